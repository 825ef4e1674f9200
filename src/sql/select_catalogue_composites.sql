-- purpose: the fields of the composite types that columns of the user's tables have, and of those within them
-- params: none
-- returns: one row a field, by type and number
SELECT t.oid, f.atttypid, CASE WHEN x.typtype = 'd' THEN x.typbasetype ELSE f.atttypid END, f.atttypmod FROM
  pg_catalog.pg_type t JOIN pg_catalog.pg_attribute f ON f.attrelid = t.typrelid AND f.attnum > 0 AND NOT
  f.attisdropped JOIN pg_catalog.pg_type x ON x.oid = f.atttypid WHERE t.typtype = 'c' AND EXISTS (SELECT
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN
  pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE a.atttypid = t.oid AND NOT a.attisdropped AND
  c.relkind IN ('r', 'p', 'c') AND n.nspname NOT IN ('pg_catalog', 'information_schema')) ORDER BY t.oid,
  f.attnum
