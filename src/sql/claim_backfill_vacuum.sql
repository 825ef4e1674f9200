-- purpose: it is this process's turn to vacuum the table of a backfill
-- params: $1 job, $2 rows changed when it was vacuumed last, $3 rows changed now
-- returns: one row, or none: somebody else has it
UPDATE phasegate.backfill_job AS j SET vacuumed_at_changed = $3::bigint
 WHERE j.job_id = $1::bigint AND j.vacuumed_at_changed = $2::bigint
RETURNING j.job_id
