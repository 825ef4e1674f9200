-- purpose: roles with rights by which one gets at files, programs or other roles
-- params: none
-- returns: a name each
SELECT r.rolname FROM pg_catalog.pg_roles r WHERE EXISTS (SELECT FROM pg_catalog.pg_roles u WHERE (u.rolsuper OR
  u.rolcreaterole OR u.rolreplication OR u.rolname IN ('pg_execute_server_program', 'pg_read_server_files',
  'pg_write_server_files', 'pg_create_subscription', 'pg_signal_backend')) AND
  pg_catalog.pg_has_role(r.oid, u.oid, 'MEMBER'))
