-- purpose: functions of strong roles run as who calls them
-- Functions of extensions stay with the superuser, but run as who calls them: anybody's function can be put under
-- an extension.
-- params: none
-- returns: nothing
DO $do$ DECLARE r record; BEGIN
FOR r IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.prosecdef
AND p.oid >= 16384 AND EXISTS (SELECT FROM pg_roles u WHERE
(u.rolsuper OR u.rolcreaterole OR u.rolreplication OR u.rolname IN ('pg_execute_server_program',
  'pg_read_server_files', 'pg_write_server_files', 'pg_create_subscription', 'pg_signal_backend')) AND
  pg_has_role(p.proowner, u.oid, 'MEMBER')) LOOP
EXECUTE format('ALTER ROUTINE %s SECURITY INVOKER', r.name); END LOOP; END $do$
