-- purpose: which database this is, for telling whether two addresses of a fleet lead to the same one
-- params: none
-- returns: one row: system identifier of the server, oid of the database
SELECT s.system_identifier, d.oid
  FROM pg_catalog.pg_control_system() AS s, pg_catalog.pg_database AS d
 WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
