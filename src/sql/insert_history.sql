-- purpose: append one row to the journal
-- params: $1 plan, $2 phase, $3 step, $4 kind, $5 description, $6 checksum, $7 applied_at in ms (NULL: now),
--         $8 applied_by, $9 status, $10 duration_ms, $11 run_id, $12 host, $13 release, $14 sql, $15 undo_sql,
--         $16 detail, $17 machine_row
-- returns: one row: seq
-- One statement of ours and no function of the schema's: a session that appends often keeps it prepared. The row lock
-- on journal_head puts appends in order: whoever waited for it goes on with the newest head. The array is the one that
-- verification builds, column by column (select_history_breaks.sql). Types and operators are qualified too: it follows
-- the author's statements in their transaction, under whatever search_path they have set.
WITH head AS (
    UPDATE phasegate.journal_head AS j
       SET seq = j.seq OPERATOR(pg_catalog.+) 1,
           prev_hash = j.hash,
           hash = pg_catalog.sha256(j.hash OPERATOR(pg_catalog.||) pg_catalog.convert_to(pg_catalog.jsonb_build_array(
               j.seq OPERATOR(pg_catalog.+) 1,
               $1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.text, $4::pg_catalog.text, $5::pg_catalog.text,
               $6::pg_catalog.text,
               (EXTRACT(epoch FROM coalesce(
                   pg_catalog.to_timestamp($7::pg_catalog.int8 OPERATOR(pg_catalog./) 1000.0::pg_catalog.numeric),
                   pg_catalog.statement_timestamp())) OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8,
               $8::pg_catalog.text, $9::pg_catalog.text, $10::pg_catalog.int8, $11::pg_catalog.text,
               $12::pg_catalog.text, $13::pg_catalog.text, $14::pg_catalog.text, $15::pg_catalog.text,
               $16::pg_catalog.jsonb, $17::pg_catalog.int4)::pg_catalog.text, 'UTF8'))
    RETURNING j.seq, j.prev_hash, j.hash
)
INSERT INTO phasegate.migration_history
    (seq, plan, phase, step, kind, description, checksum, applied_at, applied_by, status, duration_ms, run_id, host,
     release, sql, undo_sql, detail, machine_row, prev_hash, hash)
SELECT coalesce(head.seq, phasegate.refuse_headless()), $1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.text,
       $4::pg_catalog.text, $5::pg_catalog.text, $6::pg_catalog.text,
       coalesce(pg_catalog.to_timestamp($7::pg_catalog.int8 OPERATOR(pg_catalog./) 1000.0::pg_catalog.numeric),
                pg_catalog.statement_timestamp()),
       $8::pg_catalog.text, $9::pg_catalog.text, $10::pg_catalog.int8, $11::pg_catalog.text, $12::pg_catalog.text,
       $13::pg_catalog.text, $14::pg_catalog.text, $15::pg_catalog.text, $16::pg_catalog.jsonb, $17::pg_catalog.int4,
       head.prev_hash, head.hash
  FROM (VALUES (true)) AS one (here) LEFT JOIN head ON true
RETURNING seq
