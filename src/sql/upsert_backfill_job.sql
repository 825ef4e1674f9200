-- purpose: begin a backfill, or take over one that was begun
-- params: $1 plan, $2 name, $3 table, $4 checksum, $5 hi, $6 rows_total, $7 started_at in ms (0: now), $8 how it is walked
-- returns: one row: the backfill as it is now; times in ms
-- It goes on where it stands, up to the end frozen then, and whoever had it is fenced off by the new epoch.
-- From the start when it was finished, voided, or planned differently.
INSERT INTO phasegate.backfill_job AS j
    (plan, name, rel, checksum, status, hi, rows_total, mode, started_at)
VALUES ($1::text, $2::text, $3::text, $4::text, 'running', $5::jsonb, $6::bigint, $8::text,
        coalesce(pg_catalog.to_timestamp(nullif($7::bigint, 0) / 1000.0), pg_catalog.statement_timestamp()))
ON CONFLICT (plan, name) DO UPDATE
       SET mode = excluded.mode, (hi, cursor, rows_total, rows_done, rows_changed, batches, bad_rows, started_at, finished_at, verified_at,
            rel, checksum, status, status_reason, status_since, updated_at, epoch) = (
           SELECT CASE WHEN k.keep AND j.hi IS NOT NULL THEN j.hi ELSE excluded.hi END,
                  CASE WHEN k.keep THEN j.cursor END,
                  CASE WHEN k.keep AND j.rows_total > 0 THEN j.rows_total ELSE excluded.rows_total END,
                  CASE WHEN k.keep THEN j.rows_done ELSE 0 END,
                  CASE WHEN k.keep THEN j.rows_changed ELSE 0 END,
                  CASE WHEN k.keep THEN j.batches ELSE 0 END,
                  CASE WHEN k.keep THEN j.bad_rows ELSE 0 END,
                  CASE WHEN k.keep AND j.started_at IS NOT NULL THEN j.started_at ELSE excluded.started_at END,
                  NULL::timestamptz, NULL::timestamptz, excluded.rel, excluded.checksum, 'running', NULL::text,
                  pg_catalog.statement_timestamp(), pg_catalog.statement_timestamp(), j.epoch + 1
             FROM (VALUES (j.checksum IS NOT DISTINCT FROM excluded.checksum
                           AND j.status NOT IN ('done', 'void', 'cancelled'))) AS k (keep))
RETURNING j.job_id, j.plan, j.name, j.rel, j.checksum, j.status, j.hi::text AS hi, j.cursor::text AS cursor,
       j.rows_total, j.rows_done, j.rows_changed, j.batches,
       (EXTRACT(epoch FROM j.started_at) * 1000)::bigint AS started_at_ms,
       (EXTRACT(epoch FROM j.finished_at) * 1000)::bigint AS finished_at_ms, j.epoch
