-- purpose: the types of a prepared statement's parameters, in their order
-- params: $1 its name
-- returns: one row each
SELECT t.type::pg_catalog.text
  FROM pg_catalog.pg_prepared_statements AS s,
       pg_catalog.unnest(s.parameter_types) WITH ORDINALITY AS t (type, place)
 WHERE s.name = $1::text
 ORDER BY t.place
