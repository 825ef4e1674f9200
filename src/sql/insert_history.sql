-- purpose: append one row to the journal
-- params: $1 plan, $2 phase, $3 step, $4 kind, $5 description, $6 checksum, $7 applied_at in ms (0: now),
--         $8 applied_by, $9 status, $10 duration_ms, $11 run_id, $12 host, $13 release, $14 sql, $15 undo_sql,
--         $16 detail, $17 machine_row
-- returns: one row: seq, hash
-- The row lock on journal_head puts appends in order: whoever waited for it works on the newest head, which
-- no snapshot taken before the wait would show. Without a head the NOT NULL of seq refuses the row.
-- The array is the one of select_history_breaks.sql, column by column.
WITH head AS (
    UPDATE phasegate.journal_head AS j
       SET seq = j.seq + 1,
           prev_hash = j.hash,
           hash = pg_catalog.sha256(j.hash || pg_catalog.convert_to(pg_catalog.jsonb_build_array(
               j.seq + 1, $1::text, $2::text, $3::text, $4::text, $5::text, $6::text,
               (EXTRACT(epoch FROM coalesce(pg_catalog.to_timestamp(nullif($7::bigint, 0) / 1000.0),
                                            pg_catalog.statement_timestamp())) * 1000000)::bigint,
               $8::text, $9::text, $10::bigint, $11::text, $12::text, $13::text, $14::text, $15::text,
               $16::jsonb, $17::integer)::text, 'UTF8'))
    RETURNING j.seq, j.prev_hash, j.hash
)
INSERT INTO phasegate.migration_history
    (seq, plan, phase, step, kind, description, checksum, applied_at, applied_by, status, duration_ms, run_id, host,
     release, sql, undo_sql, detail, machine_row, prev_hash, hash)
SELECT head.seq, $1::text, $2::text, $3::text, $4::text, $5::text, $6::text,
       coalesce(pg_catalog.to_timestamp(nullif($7::bigint, 0) / 1000.0), pg_catalog.statement_timestamp()),
       $8::text, $9::text, $10::bigint, $11::text, $12::text, $13::text, $14::text, $15::text, $16::jsonb,
       $17::integer, head.prev_hash, head.hash
  FROM (VALUES (true)) AS one (here)
  LEFT JOIN head ON true
RETURNING seq, pg_catalog.encode(hash, 'hex')
