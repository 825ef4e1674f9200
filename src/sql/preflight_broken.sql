-- purpose: half made things of this table
-- params: $1 oid of the table
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH bad AS (
    SELECT pg_catalog.string_agg(i.indexrelid::pg_catalog.regclass::text, ', ' ORDER BY i.indexrelid) AS indexes,
           pg_catalog.bool_or(i.indisunique) AS is_unique
      FROM pg_catalog.pg_index AS i
     WHERE i.indrelid = $1::oid AND NOT (i.indisvalid AND i.indisready)
), open AS (
    SELECT pg_catalog.string_agg(c.conname, ', ' ORDER BY c.conname) AS names
      FROM pg_catalog.pg_constraint AS c
     WHERE c.conrelid = $1::oid AND NOT c.convalidated
)
SELECT CASE WHEN bad.is_unique THEN 'no-go' WHEN bad.indexes IS NOT NULL OR open.names IS NOT NULL THEN 'warn' ELSE 'pass' END
         AS outcome,
       coalesce(nullif(pg_catalog.concat_ws('; ', 'invalid index ' || bad.indexes, 'not validated: ' || open.names), ''), 'nothing')
         AS value,
       'no invalid index' AS "limit",
       CASE WHEN bad.indexes IS NOT NULL THEN 'REINDEX INDEX CONCURRENTLY, or DROP INDEX CONCURRENTLY and make it again'
            WHEN open.names IS NOT NULL THEN 'ALTER TABLE ... VALIDATE CONSTRAINT, in a step of its own' END AS help
  FROM bad, open
