-- purpose: how much a database takes, and how far its server's WAL is
-- params: none
-- returns: one row: bytes of the database, bytes of WAL since the beginning
SELECT pg_catalog.pg_database_size(pg_catalog.current_database()),
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::pg_catalog.int8
