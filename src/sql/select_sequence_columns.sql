-- purpose: sequences, and whose numbers they are
-- params: none
-- returns: a row each, in order: sequence, table, number of the column
SELECT d.objid, d.refobjid, d.refobjsubid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND
  s.relkind = 'S' WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid =
  'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
UNION SELECT n.refobjid, f.adrelid, f.adnum FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend n ON n.classid =
  'pg_catalog.pg_attrdef'::pg_catalog.regclass AND n.objid = f.oid AND n.refclassid =
  'pg_catalog.pg_class'::pg_catalog.regclass JOIN pg_catalog.pg_class s ON s.oid = n.refobjid AND s.relkind = 'S'
ORDER BY 1, 2, 3
