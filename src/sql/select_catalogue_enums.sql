-- purpose: the labels of the user's enums
-- params: none
-- returns: one row a label, by type and order; last: does an extension own it?
SELECT t.oid, n.nspname, t.typname, e.enumlabel, EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid =
  'pg_catalog.pg_type'::pg_catalog.regclass AND x.objid = t.oid AND x.deptype = 'e') FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON
  n.oid = t.typnamespace JOIN pg_catalog.pg_enum e ON e.enumtypid = t.oid WHERE n.nspname NOT IN
  ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' ORDER BY t.oid, e.enumsortorder
