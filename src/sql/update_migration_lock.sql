-- purpose: say where the holder of the lease is. Changes nothing for a session that doesn't hold it
-- params: $1 namespace, $2 step
-- returns: nothing
UPDATE phasegate.migration_lock AS m
   SET step = $2::text, step_since = pg_catalog.clock_timestamp()
 WHERE m.namespace = $1::text AND m.backend_pid = pg_catalog.pg_backend_pid()
