-- purpose: how long a question may take, where its names are found, and who asks it
-- params: $1 statement_timeout, $2 search path, $3 role (NULL: the session's own)
-- returns: one row of no interest
SELECT pg_catalog.set_config('statement_timeout', $1, true), pg_catalog.set_config('search_path', $2, true),
       CASE WHEN $3::text IS NOT NULL THEN pg_catalog.set_config('role', $3::text, true) END
