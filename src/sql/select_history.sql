-- purpose: the newest rows of the journal
-- params: $1 plan (NULL: all), $2 release (NULL: all), $3 how many (0: all)
-- returns: rows of the journal, oldest first; times in ms
SELECT h.seq, h.plan, h.phase, h.step, h.kind, h.description, h.checksum, h.status, h.run_id, h.applied_by, h.host,
       h.release, (EXTRACT(epoch FROM h.applied_at) * 1000)::bigint AS applied_at_ms, h.duration_ms, h.sql, h.undo_sql,
       h.detail::text AS detail, h.machine_row, pg_catalog.encode(h.prev_hash, 'hex') AS prev_hash,
       pg_catalog.encode(h.hash, 'hex') AS hash
  FROM (SELECT *
          FROM phasegate.migration_history AS m
         WHERE ($1::text IS NULL OR m.plan = $1::text) AND ($2::text IS NULL OR m.release = $2::text)
         ORDER BY m.seq DESC
         LIMIT nullif($3::bigint, 0)) AS h
 ORDER BY h.seq
