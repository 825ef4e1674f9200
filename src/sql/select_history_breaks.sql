-- purpose: recompute the chain of the journal
-- params: none
-- returns: one row: rows in the journal, how many places are broken, and the first of them: from seq, to seq, what
--          (missing, changed, added, head; NULL: none)
-- The array is the one of insert_history.sql, column by column. A row's own hash proves its content, its
-- prev_hash the row before; seq says what is missing, journal_head where the chain must end.
WITH link AS (
    SELECT h.seq,
           pg_catalog.lag(h.seq, 1, 0::bigint) OVER w AS seq_before,
           h.prev_hash = pg_catalog.lag(h.hash, 1, pg_catalog.decode('', 'hex')) OVER w AS follows,
           h.hash = pg_catalog.sha256(h.prev_hash || pg_catalog.convert_to(pg_catalog.jsonb_build_array(
               h.seq, h.plan, h.phase, h.step, h.kind, h.description, h.checksum,
               (EXTRACT(epoch FROM h.applied_at) * 1000000)::bigint,
               h.applied_by, h.status, h.duration_ms, h.run_id, h.host, h.release, h.sql, h.undo_sql,
               h.detail, h.machine_row)::text, 'UTF8')) AS intact
      FROM phasegate.migration_history AS h
    WINDOW w AS (ORDER BY h.seq)
), newest AS (
    SELECT h.seq, h.hash FROM phasegate.migration_history AS h ORDER BY h.seq DESC LIMIT 1
), break AS (
    SELECT link.seq_before + 1 AS first, link.seq - 1 AS last, 'missing' AS what
      FROM link WHERE link.seq > link.seq_before + 1
    UNION ALL
    SELECT link.seq, link.seq, 'changed' FROM link WHERE NOT link.intact
    UNION ALL
    SELECT greatest(link.seq_before, 1), greatest(link.seq_before, 1), 'changed'
      FROM link WHERE link.intact AND NOT link.follows AND link.seq = link.seq_before + 1
    UNION ALL
    SELECT coalesce(newest.seq, 0) + 1, head.seq, 'missing'
      FROM phasegate.journal_head AS head LEFT JOIN newest ON true WHERE head.seq > coalesce(newest.seq, 0)
    UNION ALL
    SELECT head.seq + 1, newest.seq, 'added'
      FROM phasegate.journal_head AS head JOIN newest ON newest.seq > head.seq
    UNION ALL
    SELECT newest.seq, newest.seq, 'changed'
      FROM phasegate.journal_head AS head JOIN newest ON newest.seq = head.seq WHERE newest.hash <> head.hash
    UNION ALL
    SELECT 0, 0, 'head' WHERE NOT EXISTS (SELECT FROM phasegate.journal_head)
), place AS (
    SELECT DISTINCT break.first, break.last, break.what FROM break
)
SELECT (SELECT pg_catalog.count(*) FROM link) AS rows,
       (SELECT pg_catalog.count(*) FROM place) AS places,
       p.first, p.last, p.what
  FROM (VALUES (true)) AS one (here)
  LEFT JOIN (SELECT * FROM place ORDER BY place.first, place.what LIMIT 1) AS p ON true
