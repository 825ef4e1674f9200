-- purpose: how long the tasks of a phase took in the newest rehearsal of a plan as it reads now, where that was on a clone
-- params: $1 plan, $2 checksum, $3 phase
-- returns: rows: task, ms, when (UTC)
SELECT t.task ->> 'task' AS task, (t.task ->> 'ms')::bigint AS ms,
       pg_catalog.to_char(r.rehearsed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS at
  FROM (SELECT x.* FROM phasegate.rehearsal AS x
         WHERE x.plan = $1::text AND x.checksum = $2::text ORDER BY x.rehearsal_id DESC LIMIT 1) AS r,
       pg_catalog.jsonb_array_elements(r.report -> 'phases') AS p (phase),
       pg_catalog.jsonb_array_elements(p.phase -> 'tasks') AS t (task)
 WHERE r.green AND r.on_clone AND p.phase ->> 'phase' = $3::text
