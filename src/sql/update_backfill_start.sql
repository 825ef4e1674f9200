-- purpose: what a backfill begins with, for comparing afterwards; only the first time
-- params: $1 job, $2 oid of its table
-- returns: nothing
UPDATE phasegate.backfill_job AS j
   SET lsn_at_begin = pg_catalog.pg_current_wal_lsn(), system_identifier = s.system_identifier,
       timeline = ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::integer,
       bytes_at_begin = pg_catalog.pg_total_relation_size($2::oid)
  FROM pg_catalog.pg_control_system() AS s
 WHERE j.job_id = $1::bigint AND j.rows_done = 0
