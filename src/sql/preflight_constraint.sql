-- purpose: what a constraint says that isn't validated yet
-- params: $1 oid of the table, $2 name
-- returns: no row: there is none; else is it validated, and its definition
SELECT c.convalidated AS is_validated,
       'ALTER TABLE ' || c.conrelid::pg_catalog.regclass::text || ' ADD ' || pg_catalog.pg_get_constraintdef(c.oid) AS definition
  FROM pg_catalog.pg_constraint AS c
 WHERE c.conrelid = $1::oid AND c.conname = $2
