-- purpose: the user's functions that aren't an extension's, each as one text
-- params: none
-- returns: one row each, by name
SELECT n.nspname, p.proname, pg_catalog.concat_ws(' ', pg_catalog.pg_get_function_arguments(p.oid),
  pg_catalog.pg_get_function_result(p.oid), p.provolatile, p.prosecdef, p.proisstrict, p.proconfig,
  p.proacl, p.prokind, pg_catalog.md5(p.prosrc), pg_catalog.md5(pg_catalog.pg_get_function_sqlbody(p.oid)),
  CASE WHEN p.prosecdef THEN pg_catalog.pg_get_userbyid(p.proowner) END, (SELECT pg_catalog.concat_ws(' ',
  g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.agginitval, g.aggsortop) FROM pg_catalog.pg_aggregate g
  WHERE g.aggfnoid = p.oid)) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid =
  p.pronamespace WHERE p.oid >= 16384 AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~
  '^pg_(toast|temp)' AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend x WHERE x.classid =
  'pg_catalog.pg_proc'::pg_catalog.regclass AND x.objid = p.oid AND x.deptype = 'e') ORDER BY p.proname, 1,
  3
