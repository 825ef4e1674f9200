-- purpose: the table that a name means under the search_path
-- params: $1 name, quoted
-- returns: no row, or one: schema, table
SELECT n.nspname, c.relname
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.oid = pg_catalog.to_regclass($1::text) AND c.relkind IN ('r', 'p')
