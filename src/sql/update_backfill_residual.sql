-- purpose: a range that was left for later is done
-- params: $1 job, $2 lo, $3 hi, $4 rows changed
-- returns: nothing
UPDATE phasegate.backfill_residual AS r
   SET done_at = pg_catalog.clock_timestamp(), rows_changed = r.rows_changed + $4::bigint
 WHERE r.job_id = $1::bigint AND r.lo = $2::jsonb AND r.hi = $3::jsonb
