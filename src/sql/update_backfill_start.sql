-- purpose: what a backfill begins with, for comparing afterwards; only the first time
-- params: $1 job, $2 oid of its table
-- returns: nothing
UPDATE phasegate.backfill_job AS j
   SET lsn_at_begin = pg_catalog.pg_current_wal_lsn(), timeline = c.timeline_id, system_identifier = s.system_identifier,
       bytes_at_begin = pg_catalog.pg_total_relation_size($2::oid)
  FROM pg_catalog.pg_control_checkpoint() AS c, pg_catalog.pg_control_system() AS s
 WHERE j.job_id = $1::bigint AND j.rows_done = 0
