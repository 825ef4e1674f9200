-- purpose: restore points
-- params: $1 plan (NULL: all)
-- returns: one row each, oldest first; times in ms
SELECT p.restore_point_id, p.plan, p.phase, p.name, p.lsn, p.timeline, p.wal_segment, p.run_id, p.set_by,
       (EXTRACT(epoch FROM p.set_at) * 1000)::bigint, (EXTRACT(epoch FROM p.archived_at) * 1000)::bigint, p.not_archived_why
  FROM phasegate.restore_point AS p
 WHERE $1::text IS NULL OR p.plan = $1::text
 ORDER BY p.restore_point_id
