-- purpose: how many verifications of a plan's backfills are under way, or were killed in the middle
-- params: $1 plan
-- returns: one row: how many
SELECT pg_catalog.count(*)
  FROM phasegate.backfill_verification AS v JOIN phasegate.backfill_job AS j USING (job_id)
 WHERE j.plan = $1::text AND v.finished_at IS NULL
