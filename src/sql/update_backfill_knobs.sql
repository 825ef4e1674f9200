-- purpose: set something about a backfill; whoever works on it sees it within a second
-- params: $1 plan, $2 name, NULL: all of the plan, $3 JSON object of what is set; null takes it back
-- returns: one row a backfill: name, what is set now
UPDATE phasegate.backfill_job AS j
   SET knobs = pg_catalog.jsonb_strip_nulls(coalesce(j.knobs, '{}'::jsonb) || $3::jsonb),
       updated_at = pg_catalog.statement_timestamp()
 WHERE j.plan = $1::text AND ($2::text IS NULL OR j.name = $2::text)
RETURNING j.name, j.knobs::text AS knobs
