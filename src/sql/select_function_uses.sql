-- purpose: does the function phasegate_means, whose body is a query, use a column?
-- params: $1 oid of the table; $2 int: number of the column
-- returns: a row, or none
SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc f ON f.oid = d.objid WHERE d.classid =
  'pg_catalog.pg_proc'::pg_catalog.regclass AND f.proname = 'phasegate_means' AND f.pronamespace =
  pg_catalog.pg_my_temp_schema() AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND
  d.refobjid = $1::pg_catalog.oid AND d.refobjsubid = $2::pg_catalog.int4
