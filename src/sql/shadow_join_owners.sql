-- purpose: makes the limited role a member of roles that own something
-- The others that own something: what they may, it may.
-- params: the settings phasegate.owner and phasegate.roles
-- returns: nothing
DO $do$ DECLARE r record; me text := current_setting('phasegate.owner'); BEGIN
FOR r IN SELECT DISTINCT o.rolname FROM pg_roles o WHERE o.oid >= 16384 AND o.rolname <> me
AND (o.rolname = ANY (current_setting('phasegate.roles')::name[]) OR EXISTS (SELECT FROM
pg_shdepend d WHERE d.deptype = 'o'
AND d.refobjid = o.oid AND d.dbid = (SELECT oid FROM pg_database
WHERE datname = current_database())))
AND NOT EXISTS (SELECT FROM pg_roles u WHERE
(u.rolsuper OR u.rolcreaterole OR u.rolreplication OR u.rolname IN ('pg_execute_server_program',
  'pg_read_server_files', 'pg_write_server_files', 'pg_create_subscription', 'pg_signal_backend')) AND
  pg_has_role(o.oid, u.oid, 'MEMBER'))
AND NOT pg_has_role(o.oid, me, 'MEMBER') AND NOT EXISTS (SELECT FROM pg_auth_members a
WHERE a.roleid = o.oid AND a.member = me::regrole) LOOP
EXECUTE format('GRANT %I TO %I', r.rolname, me); END LOOP; END $do$
