-- purpose: another session may see what this transaction sees, for as long as it lasts
-- params: none
-- returns: one row: the snapshot's id
SELECT pg_catalog.pg_export_snapshot()
