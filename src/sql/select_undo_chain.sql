-- purpose: the row with which a phase was begun last, and which holds its way back
-- params: $1 plan, $2 phase
-- returns: no row, or one of the journal; times in ms. One without a chain in its detail was written by an older version
SELECT h.seq, h.plan, h.phase, h.step, h.kind, h.description, h.checksum, h.status, h.run_id, h.applied_by, h.host,
       h.release, (EXTRACT(epoch FROM h.applied_at) * 1000)::bigint AS applied_at_ms, h.duration_ms, h.sql, h.undo_sql,
       h.detail::text AS detail, h.machine_row, pg_catalog.encode(h.prev_hash, 'hex') AS prev_hash,
       pg_catalog.encode(h.hash, 'hex') AS hash
  FROM phasegate.migration_history AS h
 WHERE h.plan = $1::text AND h.phase = $2::text AND h.status = 'transition' AND h.step IN ('advance', 'repeat', 'skip')
 ORDER BY h.detail -> 'chain' IS NOT NULL DESC, h.seq DESC
 LIMIT 1
