-- purpose: the chain of the whole journal, with what was hashed of one plan's rows
-- params: $1 plan
-- returns: one row each, oldest first: seq, is it the plan's, prev_hash, hash, and of the plan's rows the text that was hashed behind
--          prev_hash; last the head of the chain: its seq is NULL
-- The array is the one of insert_history.sql, column by column.
SELECT l.seq, l.is_own, l.prev_hash, l.hash, l.content
  FROM (SELECT h.seq, h.plan IS NOT DISTINCT FROM $1::text AS is_own, pg_catalog.encode(h.prev_hash, 'hex') AS prev_hash,
               pg_catalog.encode(h.hash, 'hex') AS hash,
               CASE WHEN h.plan IS NOT DISTINCT FROM $1::text THEN pg_catalog.jsonb_build_array(
                   h.seq, h.plan, h.phase, h.step, h.kind, h.description, h.checksum,
                   (EXTRACT(epoch FROM h.applied_at) * 1000000)::bigint,
                   h.applied_by, h.status, h.duration_ms, h.run_id, h.host, h.release, h.sql, h.undo_sql,
                   h.detail, h.machine_row)::text END AS content
          FROM phasegate.migration_history AS h
         UNION ALL
        SELECT NULL, false, NULL, pg_catalog.encode(j.hash, 'hex'), j.seq::text
          FROM phasegate.journal_head AS j) AS l
 ORDER BY l.seq NULLS LAST
