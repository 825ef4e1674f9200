-- purpose: append one row to the journal
-- params: $1 plan, $2 phase, $3 step, $4 kind, $5 description, $6 checksum, $7 applied_at in ms (0: now),
--         $8 applied_by, $9 status, $10 duration_ms, $11 run_id, $12 host, $13 release, $14 sql, $15 undo_sql,
--         $16 detail, $17 machine_row
-- returns: one row: seq
SELECT phasegate.append_history(
    $1::text, $2::text, $3::text, $4::text, $5::text, $6::text,
    coalesce(pg_catalog.to_timestamp(nullif($7::bigint, 0) / 1000.0), pg_catalog.statement_timestamp()),
    $8::text, $9::text, $10::bigint, $11::text, $12::text, $13::text, $14::text, $15::text, $16::jsonb, $17::integer
) AS seq
