-- purpose: are these names of types, and nothing else? Any other text is an error
-- params: $1 array of names, as format_type gives them
-- returns: one row: how many
SELECT pg_catalog.count(t.name::pg_catalog.regtype) FROM pg_catalog.unnest($1::pg_catalog.text[]) AS t (name)
