-- purpose: the tables whose rows a table's rows are as well
-- params: $1 schema, $2 table
-- returns: one row each, in order: schema, name, and the bound of a partition, NULL of another child
SELECT n.nspname, t.relname,
       CASE WHEN c.relispartition THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END AS bound
  FROM pg_catalog.pg_inherits AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
  JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.relnamespace
  JOIN pg_catalog.pg_class AS t ON t.oid = i.inhparent
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
 WHERE cn.nspname = $1::text AND c.relname = $2::text AND c.relkind IN ('r', 'p')
 ORDER BY i.inhseqno
