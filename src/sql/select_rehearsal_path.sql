-- purpose: the search_path that a session has by itself
-- params: none
-- returns: one row: the search_path
SELECT p.reset_val FROM pg_catalog.pg_settings AS p WHERE p.name = 'search_path'
