-- purpose: domains of these names, and those that are made of them, with what is below
-- params: $1 text[]: names, in any schema
-- returns: oid, name, oid of the innermost type
WITH RECURSIVE chain AS (
  SELECT t.oid AS domain, t.typname::pg_catalog.text AS name, t.typbasetype AS base, ARRAY[t.typname::pg_catalog.text] AS names
    FROM pg_catalog.pg_type AS t WHERE t.typtype = 'd' AND t.oid >= 16384
  UNION ALL
  SELECT c.domain, c.name, t.typbasetype, c.names || t.typname::pg_catalog.text
    FROM chain AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.base AND t.typtype = 'd')
SELECT c.domain, c.name, c.base
  FROM chain AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.base
 WHERE t.typtype <> 'd' AND c.names && $1::pg_catalog.text[]
 ORDER BY c.name, c.domain
