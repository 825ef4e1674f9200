-- purpose: a type by its name, as the search path finds it
-- params: $1 name, as a cast takes it
-- returns: one row: oid, or NULL when there is none
SELECT pg_catalog.to_regtype($1)::pg_catalog.oid
