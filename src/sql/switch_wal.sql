-- purpose: end the segment of WAL that is being written, so that it is archived
-- params: none
-- returns: one row: where it ended
SELECT pg_catalog.pg_switch_wal()
