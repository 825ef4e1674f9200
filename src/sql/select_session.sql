-- purpose: who and where this session is, and may it write?
-- params: none
-- returns: one row: backend pid, in recovery, read-only, role, database
SELECT pg_catalog.pg_backend_pid() AS backend_pid,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       pg_catalog.current_setting('transaction_read_only')::boolean AS read_only,
       current_user::text AS role,
       pg_catalog.current_database()::text AS database
