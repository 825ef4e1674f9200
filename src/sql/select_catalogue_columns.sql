-- purpose: the columns of those relations
-- params: none
-- returns: one row each, by relation and number
SELECT a.attrelid, a.atttypid, CASE WHEN t.typtype = 'd' THEN COALESCE((WITH RECURSIVE up AS (SELECT
  t.oid, t.typtype, t.typbasetype UNION ALL SELECT u.oid, u.typtype, u.typbasetype FROM up JOIN pg_catalog.pg_type u
  ON u.oid = up.typbasetype) SELECT up.oid FROM up WHERE up.typtype <> 'd' LIMIT 1), a.atttypid) ELSE a.atttypid END, a.atttypmod, t.typelem, a.attnum,
  pg_catalog.md5(pg_catalog.regexp_replace(d.adbin::pg_catalog.text, ':location -?[0-9]+', '', 'g')), a.attname,
  pg_catalog.format_type(a.atttypid, a.atttypmod), COALESCE(pg_catalog.pg_get_expr(d.adbin, d.adrelid), CASE
  WHEN t.typtype = 'd' THEN t.typdefault END), t.typtype, t.typcategory, CASE WHEN a.attcollation <>
  t.typcollation THEN a.attcollation::pg_catalog.regcollation END, a.attnotnull, a.attgenerated,
  a.attidentity, a.attacl, CASE WHEN t.typtype = 'd' THEN (SELECT
  pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname) FROM
  pg_catalog.pg_constraint k WHERE k.contypid = t.oid) END FROM pg_catalog.pg_attribute a JOIN
  pg_catalog.pg_class c ON c.oid = a.attrelid JOIN
  pg_catalog.pg_type t ON t.oid = a.atttypid LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND
  d.adnum = a.attnum WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN
  ('r', 'p', 'v', 'm', 'f') AND c.relnamespace = ANY (ARRAY(SELECT n.oid FROM pg_catalog.pg_namespace n WHERE
  n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)')) ORDER BY a.attrelid, a.attnum
