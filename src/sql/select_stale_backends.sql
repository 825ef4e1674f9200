-- purpose: sessions of other runs that are at work: what a killed client has left running
-- params: $1 run id of ours
-- returns: one row a session: run, step, address, role, query, backend pid, begin of the transaction in ms
-- At work is who has changed something or holds a table lock that a query doesn't take: others only look.
-- pg_locks is readable by all; application_name is cut by the server to 63 bytes, so the comparison is too.
SELECT pg_catalog.split_part(a.application_name, '/', 2) AS run_id,
       nullif(pg_catalog.split_part(a.application_name, '/', 3), '') AS step,
       pg_catalog.host(a.client_addr) AS address, a.usename::text AS role,
       pg_catalog.left(a.query, 200) AS query, a.pid,
       (EXTRACT(epoch FROM coalesce(a.xact_start, a.query_start, a.backend_start)) * 1000)::bigint AS since_ms
  FROM pg_catalog.pg_stat_activity AS a
 WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
   AND a.leader_pid IS NULL
   AND pg_catalog.starts_with(a.application_name, 'phasegate/')
   AND NOT pg_catalog.starts_with(a.application_name || '/', pg_catalog.left('phasegate/' || $1::text || '/', 63))
   AND EXISTS (SELECT FROM pg_catalog.pg_locks AS l
                WHERE l.pid = a.pid AND l.granted
                  AND (l.locktype = 'transactionid' OR (l.locktype = 'relation' AND l.mode <> 'AccessShareLock')))
 ORDER BY since_ms, a.pid
