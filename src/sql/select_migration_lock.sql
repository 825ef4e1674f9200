-- purpose: the description of whoever took the lease last
-- params: $1 namespace
-- returns: one row, or none: backend_pid, run_id, host, os_user, command, step, pid, since in ms
SELECT m.backend_pid, m.run_id, m.host, m.os_user, m.command, m.step, m.pid,
       (EXTRACT(epoch FROM m.since) * 1000)::bigint AS since_ms
  FROM phasegate.migration_lock AS m
 WHERE m.namespace = $1::text
