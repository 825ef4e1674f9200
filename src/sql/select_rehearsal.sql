-- purpose: the newest rehearsal of a plan as it reads now
-- params: $1 plan, $2 checksum
-- returns: one row or none: green?, problems, on a clone?, when (ms), age by the server's clock (ms), who
SELECT r.green, r.problems, r.on_clone, (EXTRACT(epoch FROM r.rehearsed_at) * 1000)::bigint,
       (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - r.rehearsed_at) * 1000)::bigint, r.rehearsed_by
  FROM phasegate.rehearsal AS r
 WHERE r.plan = $1::text AND r.checksum = $2::text
 ORDER BY r.rehearsal_id DESC
 LIMIT 1
