-- purpose: did this run move this plan?
-- params: $1 plan, $2 run id
-- returns: one row, one boolean
SELECT EXISTS (SELECT 1 FROM phasegate.migration_history AS h WHERE h.plan = $1::text AND h.run_id = $2::text)
