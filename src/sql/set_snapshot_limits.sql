-- purpose: this transaction goes through whole tables, and waits for a file meanwhile
-- params: none
-- returns: one row
SELECT pg_catalog.set_config('statement_timeout', '0', true),
       pg_catalog.set_config('idle_in_transaction_session_timeout', '0', true)
