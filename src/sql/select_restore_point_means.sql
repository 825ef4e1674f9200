-- purpose: can a restore point be set and archived here?
-- params: none
-- returns: one row: wal_level, archive_mode, may it be set?, may WAL be switched?, role
SELECT pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('archive_mode'),
       pg_catalog.has_function_privilege('pg_catalog.pg_create_restore_point(pg_catalog.text)', 'EXECUTE'),
       pg_catalog.has_function_privilege('pg_catalog.pg_switch_wal()', 'EXECUTE'), current_user
