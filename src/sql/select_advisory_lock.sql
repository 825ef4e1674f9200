-- purpose: who holds an advisory lock
-- params: $1 class, $2 key
-- returns: one row, or none: backend pid, is it this session, application name, role, address, state,
--          session start in ms
SELECT l.pid, l.pid = pg_catalog.pg_backend_pid() AS is_mine, a.application_name, a.usename::text AS role,
       pg_catalog.host(a.client_addr) AS address, a.state,
       (EXTRACT(epoch FROM a.backend_start) * 1000)::bigint AS backend_start_ms
  FROM pg_catalog.pg_locks AS l
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.objsubid = 2
   AND l.classid = $1::integer::oid AND l.objid = $2::integer::oid
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
   AND l.granted
 ORDER BY is_mine DESC
 LIMIT 1
