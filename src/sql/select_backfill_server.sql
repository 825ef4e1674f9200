-- purpose: which server this is, and on which one a backfill was last worked on
-- params: $1 job
-- returns: one row, or none: system identifier and timeline of this one (not of its last checkpoint, which may be older than a promotion), then
-- those of the backfill; NULL: not known
SELECT s.system_identifier, ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::integer
       AS timeline, j.system_identifier AS known_identifier, j.timeline AS known_timeline
  FROM phasegate.backfill_job AS j, pg_catalog.pg_control_system() AS s
 WHERE j.job_id = $1::bigint
