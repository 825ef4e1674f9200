-- purpose: is there a schema phasegate, and is it a ledger? Reads the catalogue only: works without any rights
-- params: none
-- returns: one row: schema exists, schema_version exists
SELECT n.oid IS NOT NULL AS has_schema, c.oid IS NOT NULL AS has_ledger
  FROM (VALUES (true)) AS one (here)
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = 'phasegate'
  LEFT JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = n.oid AND c.relname = 'schema_version' AND c.relkind = 'r'
