-- purpose: which server this is, for telling two connections to the same one from a physical copy
-- params: none
-- returns: one row: system identifier, since when it runs, is it a standby?, name of the database
SELECT s.system_identifier, pg_catalog.pg_postmaster_start_time(), pg_catalog.pg_is_in_recovery(), pg_catalog.current_database()
  FROM pg_catalog.pg_control_system() AS s
