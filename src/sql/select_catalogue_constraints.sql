-- purpose: the constraints of those relations, and what a partition's bound asks of a row
-- params: none
-- returns: one row each, by relation and name; fifth: does it come with that of a partitioned table? Type b is a bound,
--   of a partitioned table what any of its partitions takes; those by hash take all there is, and aren't there
SELECT k.conrelid, k.confrelid, pg_catalog.array_to_string(k.conkey, ' '),
  pg_catalog.array_to_string(k.confkey, ' '), k.conparentid <> 0, k.conname, k.contype, pg_catalog.pg_get_constraintdef(k.oid),
  k.convalidated FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid WHERE k.conrelid >= 16384 AND
  k.contype IN ('p', 'u', 'f', 'c', 'x', 'n') AND c.relnamespace = ANY (ARRAY(SELECT n.oid FROM pg_catalog.pg_namespace n WHERE
  n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'))
UNION ALL SELECT b.oid, 0::pg_catalog.oid, pg_catalog.array_to_string(ARRAY(SELECT a.attnum FROM pg_catalog.pg_attribute a WHERE
  a.attrelid = b.oid AND a.attnum > 0 AND NOT a.attisdropped AND pg_catalog.strpos(b.bound,
  pg_catalog.quote_ident(a.attname)) > 0), ' '), '', false, 'bound', 'b', 'CHECK (' || b.bound || ')', true FROM (SELECT
  c.oid, CASE WHEN c.relkind = 'p' THEN (SELECT pg_catalog.string_agg('(' || l.bound || ')', ' OR ') FROM (SELECT
  pg_catalog.pg_get_partition_constraintdef(t.relid) AS bound FROM pg_catalog.pg_partition_tree(c.oid) t WHERE t.isleaf AND
  t.relid <> c.oid ORDER BY t.relid::pg_catalog.oid LIMIT 20) l) ELSE pg_catalog.pg_get_partition_constraintdef(c.oid) END
  AS bound FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND (c.relkind = 'p' OR
  c.relispartition) AND c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~
  '^pg_(toast|temp)') b WHERE b.bound !~ 'satisfies_hash_partition'
ORDER BY 1, 6
