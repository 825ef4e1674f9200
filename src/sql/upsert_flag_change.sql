-- purpose: record a write to a flag. Known already: only an answer that was still missing is added
-- params: $1 op_id, $2 plan, $3 flag, $4 role, $5 environment, $6 desired, $7 before, $8 after, $9 answer, $10 level,
--         $11 reason, $12 actor, $13 run_id, $14 at in ms (0: now), $15 ms
-- returns: nothing
INSERT INTO phasegate.flag_change AS f
    (op_id, plan, flag, role, environment, desired, before, after, answer, level, reason, actor, run_id, at, ms)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::text, $10::text,
        $11::text, $12::text, $13::text,
        coalesce(pg_catalog.to_timestamp(nullif($14::bigint, 0) / 1000.0), pg_catalog.statement_timestamp()),
        $15::bigint)
ON CONFLICT (op_id) DO UPDATE
       SET after = excluded.after, answer = excluded.answer, level = excluded.level, ms = excluded.ms
     WHERE f.answer IS NULL AND excluded.answer IS NOT NULL
