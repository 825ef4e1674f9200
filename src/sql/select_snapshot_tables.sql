-- purpose: a table, and those that hold its rows: partitions and children, which a definition of it alone leaves out
-- params: $1 schema, $2 table
-- returns: a row each: schema, name; the table itself first
WITH RECURSIVE tables AS (
    SELECT c.oid, 0 AS depth
      FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1::text AND c.relname = $2::text AND c.relkind IN ('r', 'p')
     UNION ALL
    SELECT i.inhrelid, t.depth + 1
      FROM tables AS t
      JOIN pg_catalog.pg_inherits AS i ON i.inhparent = t.oid
)
SELECT n.nspname, c.relname
  FROM tables AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.oid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 GROUP BY n.nspname, c.relname
 ORDER BY pg_catalog.min(t.depth), n.nspname, c.relname
