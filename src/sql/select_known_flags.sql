-- purpose: every flag that was ever set in an environment, with the plan it was set for last
-- params: $1 environment
-- returns: one row a flag, with the plan's stage (NULL: no plan, or nothing of it applied)
SELECT DISTINCT ON (f.flag) f.flag, f.plan, f.role, s.stage
  FROM phasegate.flag_change AS f
  LEFT JOIN phasegate.plan_state AS s ON s.plan = f.plan
 WHERE f.environment IS NULL OR f.environment = $1::text
 ORDER BY f.flag, f.plan IS NULL, f.at DESC
