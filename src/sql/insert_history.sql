-- purpose: append one row to the journal
-- params: $1 plan, $2 phase, $3 step, $4 kind, $5 description, $6 checksum, $7 applied_at in ms (NULL: now),
--         $8 applied_by, $9 status, $10 duration_ms, $11 run_id, $12 host, $13 release, $14 sql, $15 undo_sql,
--         $16 detail, $17 machine_row
-- returns: one row: seq
-- Types and operators are qualified too: it follows the author's statements in their transaction, under whatever
-- search_path they have set.
SELECT phasegate.append_history(
    $1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.text, $4::pg_catalog.text, $5::pg_catalog.text,
    $6::pg_catalog.text,
    coalesce(pg_catalog.to_timestamp($7::pg_catalog.int8 OPERATOR(pg_catalog./) 1000.0::pg_catalog.numeric),
             pg_catalog.statement_timestamp()),
    $8::pg_catalog.text, $9::pg_catalog.text, $10::pg_catalog.int8, $11::pg_catalog.text, $12::pg_catalog.text,
    $13::pg_catalog.text, $14::pg_catalog.text, $15::pg_catalog.text, $16::pg_catalog.jsonb, $17::pg_catalog.int4
) AS seq
