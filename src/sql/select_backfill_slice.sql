-- purpose: was a job cut into slices?
-- params: $1 job
-- returns: one row, or none
SELECT 1 FROM phasegate.backfill_slice WHERE job_id = $1::pg_catalog.int8 LIMIT 1
