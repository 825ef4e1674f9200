-- purpose: how long a question may take, and where its names are found
-- params: $1 statement_timeout, $2 search path
-- returns: one row of no interest
SELECT pg_catalog.set_config('statement_timeout', $1, true), pg_catalog.set_config('search_path', $2, true)
