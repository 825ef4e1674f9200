-- purpose: say which releases may run
-- params: $1 oldest, $2 newest, $3 why, $4 since in ms (0: now)
-- returns: nothing
INSERT INTO phasegate.release_window AS w (oldest, newest, why, since)
VALUES ($1::text, $2::text, $3::text,
        coalesce(pg_catalog.to_timestamp(nullif($4::bigint, 0) / 1000.0), pg_catalog.statement_timestamp()))
ON CONFLICT (one) DO UPDATE
       SET oldest = excluded.oldest, newest = excluded.newest, why = excluded.why, since = excluded.since
