-- purpose: the tables that a hidden table leaves: its rows are theirs as well
-- params: $1 oid of the table
-- returns: one row each, in order: schema, name
SELECT n.nspname, t.relname
  FROM pg_catalog.pg_inherits AS i
  JOIN pg_catalog.pg_class AS t ON t.oid = i.inhparent
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
 WHERE i.inhrelid = $1::oid
 ORDER BY i.inhseqno
