-- purpose: give a session advisory lock back
-- params: $1 class, $2 key
-- returns: one row: was it ours?
SELECT pg_catalog.pg_advisory_unlock($1::integer, $2::integer) AS released
