-- purpose: who gets the rows of this table by logical replication, while its definition is to change
-- params: $1 oid of the table
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH here AS (
    SELECT $1::pg_catalog.oid AS relid UNION SELECT t.relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid) AS t
     UNION SELECT a.relid FROM pg_catalog.pg_partition_ancestors($1::pg_catalog.oid) AS a
), p AS (
    SELECT pg_catalog.string_agg(DISTINCT x.pubname::text, ', ' ORDER BY x.pubname::text) AS names
      FROM here
      JOIN pg_catalog.pg_class AS c ON c.oid = here.relid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_publication_tables AS x ON x.schemaname = n.nspname AND x.tablename = c.relname
)
SELECT CASE WHEN p.names IS NULL THEN 'pass' ELSE 'warn' END AS outcome, coalesce('published by ' || p.names, 'not published') AS value,
       'not published, or its subscribers know' AS "limit",
       CASE WHEN p.names IS NOT NULL
            THEN 'definitions aren''t replicated: a column has to be at the subscribers before the first row that has it, and what is '
                 'hidden or dropped here goes by another name, or no more, there' END AS help
  FROM p
