-- purpose: where and when a snapshot is taken
-- params: none
-- returns: one row: database, version, system identifier, WAL position, now in ms
SELECT pg_catalog.current_database(), pg_catalog.current_setting('server_version'),
       (SELECT c.system_identifier FROM pg_catalog.pg_control_system() AS c), pg_catalog.pg_current_wal_lsn(),
       (EXTRACT(epoch FROM pg_catalog.transaction_timestamp()) * 1000)::bigint
