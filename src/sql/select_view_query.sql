-- purpose: what a view selects
-- params: $1 oid of the view
-- returns: one row: its query
SELECT pg_catalog.pg_get_viewdef($1::pg_catalog.oid)
