-- purpose: snapshots
-- params: $1 plan (NULL: all)
-- returns: one row each, oldest first; times in ms; last: may it be pruned now? Not before its time, and not the last good
--          one of a plan in which something is still hidden
SELECT s.name, s.plan, s.phase, s.checksum, s.location, s.manifest_sha256, s.rows, s.bytes, s.run_id, s.taken_by,
       (EXTRACT(epoch FROM s.taken_at) * 1000)::bigint, (EXTRACT(epoch FROM s.keep_until) * 1000)::bigint,
       (EXTRACT(epoch FROM s.verified_at) * 1000)::bigint, (EXTRACT(epoch FROM s.failed_at) * 1000)::bigint, s.failed_why,
       (EXTRACT(epoch FROM s.pruned_at) * 1000)::bigint,
       s.pruned_at IS NULL AND s.keep_until IS NOT NULL AND s.keep_until <= pg_catalog.clock_timestamp()
       AND NOT (EXISTS (SELECT 1
                          FROM phasegate.soft_drop AS d
                         WHERE d.plan = s.plan AND d.restored_at IS NULL AND d.purged_at IS NULL)
                AND NOT EXISTS (SELECT 1
                                  FROM phasegate.snapshot AS n
                                 WHERE n.plan = s.plan AND n.snapshot_id > s.snapshot_id AND n.pruned_at IS NULL
                                   AND n.verified_at IS NOT NULL AND n.failed_at IS NULL))
  FROM phasegate.snapshot AS s
 WHERE $1::text IS NULL OR s.plan = $1::text
 ORDER BY s.snapshot_id
