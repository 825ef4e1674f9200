-- purpose: what was added to PostgreSQL's own schemas, but by an extension that is written in C
-- params: none
-- returns: a row each: its kind, its name
SELECT 'function'::text, p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >=
  '16384'::oid AND n.nspname IN ('pg_catalog'::name, 'information_schema'::name) AND NOT (p.prolang = '13'::oid AND
  EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = '1255'::oid AND d.objid = p.oid AND d.refclassid = '3079'::oid
  AND d.refobjid >= '16384'::oid AND d.deptype = 'e'::"char")) UNION ALL SELECT 'operator'::text, o.oprname FROM
  pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid >= '16384'::oid AND n.nspname IN
  ('pg_catalog'::name, 'information_schema'::name) UNION ALL SELECT 'cast from'::text, t.typname FROM pg_catalog.pg_cast c JOIN
  pg_catalog.pg_type t ON t.oid = c.castsource WHERE c.castfunc >= '16384'::oid AND t.typname IN ('oid'::name, 'name'::name,
  'char'::name, 'regclass'::name, 'regproc'::name, 'regprocedure'::name, 'regoper'::name, 'regoperator'::name,
  'regtype'::name, 'regrole'::name, 'regnamespace'::name, 'regconfig'::name, 'regdictionary'::name, 'aclitem'::name,
  'pg_node_tree'::name) AND t.oid < '16384'::oid
