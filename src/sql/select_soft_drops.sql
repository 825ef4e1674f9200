-- purpose: what was hidden
-- params: $1 plan (NULL: all)
-- returns: one row each, oldest first; times in ms
SELECT d.soft_drop_id, d.plan, d.step, d.object_kind, d.schema_name, d.table_name, d.original_name, d.hidden_name,
       d.restore_sql, d.purge_sql, d.owner, (EXTRACT(epoch FROM d.dropped_at) * 1000)::bigint AS dropped_at_ms,
       (EXTRACT(epoch FROM d.expires_at) * 1000)::bigint AS expires_at_ms,
       (EXTRACT(epoch FROM d.restored_at) * 1000)::bigint AS restored_at_ms,
       (EXTRACT(epoch FROM d.purged_at) * 1000)::bigint AS purged_at_ms
  FROM phasegate.soft_drop AS d
 WHERE $1::text IS NULL OR d.plan = $1::text
 ORDER BY d.soft_drop_id
