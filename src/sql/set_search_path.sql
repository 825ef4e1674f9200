-- purpose: a session's search_path from here on
-- params: $1 text: the path, as SET takes it
-- returns: one row: the path
SELECT pg_catalog.set_config('search_path', $1::pg_catalog.text, false)
