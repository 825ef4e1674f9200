-- purpose: the table of a backfill: its size, and the columns of its primary key
-- params: $1 name, quoted, as the search path finds it
-- returns: one row for each column of the key, or one without; none: there is no such table
SELECT c.oid, c.relkind, (SELECT pg_catalog.sum(pg_catalog.pg_relation_size(t.relid))::pg_catalog.int8 FROM
  pg_catalog.pg_partition_tree(c.oid) AS t WHERE t.isleaf) AS part_bytes,
  pg_catalog.pg_relation_size(c.oid), k.attname, (CASE WHEN c.reltuples <= 0 OR c.relkind = 'p' OR c.relpages <= 0 THEN greatest(c.reltuples, 0)
  ELSE c.reltuples * greatest(pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8, 1)
  / c.relpages END)::pg_catalog.int8 FROM
  pg_catalog.pg_class AS c LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisprimary AND
  i.indisvalid LEFT JOIN LATERAL (SELECT a.attname, u.o FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[])
  WITH ORDINALITY AS u (n, o) JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = u.n) AS
  k ON true WHERE c.oid = pg_catalog.to_regclass($1) ORDER BY k.o
