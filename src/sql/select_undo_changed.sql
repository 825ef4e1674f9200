-- purpose: the first of the rows that a phase's way back rests on and that isn't what was written
-- params: $1 plan, $2 phase
-- returns: no row, or one: seq, step
-- Its own hash proves a row; the array is the one of insert_history.sql, column by column.
SELECT h.seq, h.step
  FROM (SELECT DISTINCT ON (m.step, m.status = 'transition') m.*
          FROM phasegate.migration_history AS m
         WHERE m.plan = $1::text AND m.phase = $2::text AND m.step IS NOT NULL
           AND (m.status NOT IN ('note', 'transition') OR m.detail -> 'chain' IS NOT NULL)
         ORDER BY m.step, m.status = 'transition', m.seq DESC) AS h
 WHERE h.hash <> pg_catalog.sha256(h.prev_hash || pg_catalog.convert_to(pg_catalog.jsonb_build_array(
           h.seq, h.plan, h.phase, h.step, h.kind, h.description, h.checksum,
           (EXTRACT(epoch FROM h.applied_at) * 1000000)::bigint,
           h.applied_by, h.status, h.duration_ms, h.run_id, h.host, h.release, h.sql, h.undo_sql,
           h.detail, h.machine_row)::text, 'UTF8'))
 ORDER BY h.seq
 LIMIT 1
