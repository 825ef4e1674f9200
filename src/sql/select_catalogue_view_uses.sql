-- purpose: which relations a view reads
-- params: none
-- returns: one row for each pair
SELECT DISTINCT r.ev_class, d.refobjid FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d ON d.classid
  = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid AND d.refclassid =
  'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class JOIN pg_catalog.pg_class c ON
  c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.ev_class >= 16384 AND n.nspname NOT IN
  ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' ORDER BY 1, 2
