-- purpose: who wrote to what a plan has hidden
-- params: $1 plan
-- returns: one row per step, role, application and operation, the newest first: these four, how many statements, the first
--          and the newest of them in ms, ms since the newest
SELECT t.step, t.role, t.application_name, t.operation, pg_catalog.sum(t.touches)::bigint,
       (EXTRACT(epoch FROM pg_catalog.min(t.first_at)) * 1000)::bigint,
       (EXTRACT(epoch FROM pg_catalog.max(t.last_at)) * 1000)::bigint,
       greatest((EXTRACT(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.max(t.last_at)) * 1000)::bigint, 0)
  FROM phasegate.soft_drop_touch AS t
 WHERE t.plan = $1::text
 GROUP BY t.step, t.role, t.application_name, t.operation
 ORDER BY pg_catalog.max(t.last_at) DESC, t.step, t.role, t.application_name, t.operation
