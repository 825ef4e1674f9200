-- purpose: what a backfill was expected to take, for comparing afterwards
-- params: $1 job, $2 rows to change, $3 batches, $4 ms, $5 bytes of WAL, $6 bytes that the table grows by
-- returns: nothing
UPDATE phasegate.backfill_job AS j
   SET est_rows = $2::bigint, est_batches = $3::bigint, est_seconds = $4::numeric / 1000,
       est_wal_bytes = $5::bigint, est_growth_bytes = $6::bigint
 WHERE j.job_id = $1::bigint
