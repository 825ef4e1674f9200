-- purpose: describe the holder of the lease: this session
-- params: $1 namespace, $2 run_id, $3 host, $4 os_user, $5 pid, $6 command
-- returns: nothing
INSERT INTO phasegate.migration_lock AS m
    (namespace, run_id, host, os_user, pid, command, backend_pid, since)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::bigint, $6::text, pg_catalog.pg_backend_pid(),
        pg_catalog.clock_timestamp())
ON CONFLICT (namespace) DO UPDATE
       SET run_id = excluded.run_id, host = excluded.host, os_user = excluded.os_user, pid = excluded.pid,
           command = excluded.command, backend_pid = excluded.backend_pid, since = excluded.since,
           step = NULL, step_since = NULL
