-- purpose: takes from the shadow's roles what a baseline gave them
-- params: the setting phasegate.roles: their names
-- returns: nothing
DO $do$ DECLARE r record; BEGIN
FOR r IN SELECT u.rolname FROM pg_roles u WHERE u.rolname = ANY
(current_setting('phasegate.roles')::name[]) AND u.oid >= 16384 AND
(u.rolsuper OR u.rolcreaterole OR u.rolreplication OR u.rolcreatedb) LOOP
EXECUTE format('ALTER ROLE %I NOSUPERUSER NOCREATEROLE NOREPLICATION NOCREATEDB', r.rolname);
END LOOP;
FOR r IN SELECT m.rolname AS member, u.rolname AS role FROM pg_auth_members a
JOIN pg_roles m ON m.oid = a.member JOIN pg_roles u ON u.oid = a.roleid
WHERE m.rolname = ANY (current_setting('phasegate.roles')::name[]) AND
(u.rolsuper OR u.rolcreaterole OR u.rolreplication OR u.rolname IN ('pg_execute_server_program',
  'pg_read_server_files', 'pg_write_server_files', 'pg_create_subscription', 'pg_signal_backend')) LOOP
EXECUTE format('REVOKE %I FROM %I', r.role, r.member);
END LOOP; END $do$
