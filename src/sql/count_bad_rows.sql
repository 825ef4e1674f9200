-- purpose: how many rows of a backfill are known not to be fillable
-- params: $1 plan, $2 name
-- returns: one row: how many
SELECT pg_catalog.count(*)
  FROM phasegate.backfill_quarantine AS q JOIN phasegate.backfill_job AS j USING (job_id)
 WHERE j.plan = $1::text AND j.name = $2::text AND q.resolution IS NULL
