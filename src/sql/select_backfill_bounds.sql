-- purpose: where statistics would cut a table, by the first column of its key
-- params: $1 oid, $2 column, $3 with its partitions
-- returns: one bound a row, as a text, ascending
SELECT b.bound FROM pg_catalog.pg_stats AS h JOIN pg_catalog.pg_namespace AS n ON n.nspname = h.schemaname
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = h.tablename,
  pg_catalog.unnest(h.histogram_bounds::pg_catalog.text::pg_catalog.text[]) WITH ORDINALITY AS b (bound, n)
  WHERE c.oid = $1::pg_catalog.oid AND h.attname = $2 AND h.inherited = $3::pg_catalog.bool ORDER BY b.n
