-- purpose: forget the description of the holder: this session
-- params: $1 namespace
-- returns: nothing
DELETE FROM phasegate.migration_lock AS m
 WHERE m.namespace = $1::text AND m.backend_pid = pg_catalog.pg_backend_pid()
