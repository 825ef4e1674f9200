-- purpose: the constraints of those relations
-- params: none
-- returns: one row each, by relation and name; fifth: does it come with that of a partitioned table?
SELECT k.conrelid, k.confrelid, pg_catalog.array_to_string(k.conkey, ' '),
  pg_catalog.array_to_string(k.confkey, ' '), k.conparentid <> 0, k.conname, k.contype, pg_catalog.pg_get_constraintdef(k.oid),
  k.convalidated FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN
  pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE k.contype IN ('p', 'u', 'f', 'c', 'x', 'n') AND
  n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' ORDER BY
  k.conrelid, k.conname
