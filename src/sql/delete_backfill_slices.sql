-- purpose: forget how a backfill was cut, and what came of it: it begins at the start of its table
-- params: $1 plan, $2 name
-- returns: one row: how many slices there were
WITH job AS (
    SELECT j.job_id FROM phasegate.backfill_job AS j WHERE j.plan = $1::text AND j.name = $2::text
), slices AS (
    DELETE FROM phasegate.backfill_slice AS s USING job WHERE s.job_id = job.job_id RETURNING s.slice_id
), batches AS (
    DELETE FROM phasegate.backfill_batch AS b USING slices WHERE b.slice_id = slices.slice_id
), residual AS (
    DELETE FROM phasegate.backfill_residual AS r USING job WHERE r.job_id = job.job_id
), verified AS (
    DELETE FROM phasegate.backfill_verification AS v USING job WHERE v.job_id = job.job_id
), quarantine AS (
    DELETE FROM phasegate.backfill_quarantine AS q USING job WHERE q.job_id = job.job_id
)
SELECT pg_catalog.count(*) FROM slices
