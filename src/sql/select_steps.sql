-- purpose: the state of each step of a plan: its newest row that says what became of it
-- params: $1 plan
-- returns: rows of the journal, oldest first; times in ms
SELECT h.seq, h.plan, h.phase, h.step, h.kind, h.description, h.checksum, h.status, h.run_id, h.applied_by, h.host,
       h.release, (EXTRACT(epoch FROM h.applied_at) * 1000)::bigint AS applied_at_ms, h.duration_ms, h.sql, h.undo_sql,
       h.detail::text AS detail, h.machine_row, pg_catalog.encode(h.prev_hash, 'hex') AS prev_hash,
       pg_catalog.encode(h.hash, 'hex') AS hash
  FROM (SELECT DISTINCT ON (m.phase, m.step) m.*
          FROM phasegate.migration_history AS m
         WHERE m.plan = $1::text AND m.step IS NOT NULL AND m.status NOT IN ('note', 'transition')
         ORDER BY m.phase, m.step, m.seq DESC) AS h
 ORDER BY h.seq
