-- purpose: record a rehearsal
-- params: $1 plan, $2 checksum, $3 green?, $4 problems, $5 on a clone?, $6 version of the server, $7 rows, $8 kills, $9 seed,
--         $10 ms, $11 report, $12 run, $13 who
-- returns: nothing
INSERT INTO phasegate.rehearsal
    (plan, checksum, green, problems, on_clone, server, rows, kills, seed, duration_ms, report, run_id, rehearsed_by)
VALUES ($1::text, $2::text, $3::boolean, $4::integer, $5::boolean, $6::text, $7::bigint, $8::bigint, $9::bigint, $10::bigint,
        $11::jsonb, $12::text, $13::text)
