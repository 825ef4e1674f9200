-- purpose: what was left for later and isn't done
-- params: $1 job
-- returns: ranges in order: lo ([]: the start of the table), hi
SELECT r.lo::text AS lo, r.hi::text AS hi
  FROM phasegate.backfill_residual AS r
 WHERE r.job_id = $1::bigint AND r.done_at IS NULL
 ORDER BY r.at, r.lo
