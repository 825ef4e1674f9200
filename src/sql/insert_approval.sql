-- purpose: record an approval, or a refusal
-- params: $1 plan, $2 phase, $3 checksum, $4 role, $5 who, $6 because, $7 host, $8 refused, $9 at in ms (0: now)
-- returns: nothing
INSERT INTO phasegate.approval (plan, phase, checksum, role, who, because, host, refused, at)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::boolean,
        coalesce(pg_catalog.to_timestamp(nullif($9::bigint, 0) / 1000.0), pg_catalog.statement_timestamp()))
