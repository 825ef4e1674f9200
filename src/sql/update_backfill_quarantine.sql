-- purpose: a row that couldn't be filled is filled, or isn't to be filled any more
-- params: $1 job, $2 key, $3 rows changed, 0 or 1
-- returns: nothing
UPDATE phasegate.backfill_quarantine AS q
   SET resolution = 'filled', resolved_by = CASE WHEN $3::bigint = 0 THEN 'somebody else' ELSE 'phasegate' END,
       resolved_at = pg_catalog.clock_timestamp()
 WHERE q.job_id = $1::bigint AND q.key = $2::jsonb
