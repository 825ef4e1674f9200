-- purpose: the indexes of those relations
-- params: none
-- returns: one row each, by relation and name; the columns are those of the key, without INCLUDE
SELECT i.indrelid, x.oid, x.relfilenode, x.relname, pg_catalog.pg_get_indexdef(x.oid), i.indisunique,
  i.indisvalid, pg_catalog.array_to_string((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1], ' '),
  i.indpred IS NOT NULL FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON
  x.oid = i.indexrelid WHERE i.indrelid >= 16384 AND x.relnamespace = ANY (ARRAY(SELECT n.oid FROM pg_catalog.pg_namespace n WHERE
  n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)')) ORDER BY i.indrelid, x.relname
