-- purpose: which server is this?
-- params: none
-- returns: one row: system identifier
SELECT c.system_identifier FROM pg_catalog.pg_control_system() AS c
