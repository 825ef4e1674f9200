-- purpose: a row that can't be filled
-- params: $1 job, $2 key, $3 SQLSTATE, $4 message
-- returns: one row: how many rows of the job are in quarantine now
WITH one AS (
    INSERT INTO phasegate.backfill_quarantine AS q (job_id, key, sqlstate, message)
    VALUES ($1::bigint, $2::jsonb, $3::text, $4::text)
    ON CONFLICT (job_id, key) DO UPDATE
           SET attempts = q.attempts + 1, sqlstate = excluded.sqlstate, message = excluded.message,
               resolution = NULL, resolved_by = NULL, resolved_at = NULL
    RETURNING q.key
)
SELECT pg_catalog.count(*) + 1
  FROM phasegate.backfill_quarantine AS q
 WHERE q.job_id = $1::bigint AND q.resolution IS NULL AND q.key NOT IN (SELECT one.key FROM one)
