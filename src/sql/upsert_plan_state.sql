-- purpose: write where a plan stands
-- params: $1 plan, $2 stage, $3 stage_since in ms, $4 brake, $5 brake_reason, $6 brake_by, $7 brake_since in ms, $8
--         task, $9 waiting_for, $10 waiting_holder, $11 waiting_release, $12 waiting_since in ms, $13
--         waiting_until in ms, $14 read_percent, $15 write_percent, $16 rung_confirmed_at in ms, $17
--         verified, $18 first_write_rung, $19 release_expand, $20 release_dual_read, $21
--         release_write_activation, $22 release_contract, $23 checksum, $24 hold_until in ms, $25
--         rows_done
-- returns: nothing
-- The brake of a row that is there stays as it is: another session may have put it on meanwhile. See
-- upsert_plan_brake.sql.
INSERT INTO phasegate.plan_state AS s
    (plan, stage, stage_since, brake, brake_reason,
     brake_by, brake_since, task, waiting_for, waiting_holder,
     waiting_release, waiting_since, waiting_until, read_percent, write_percent,
     rung_confirmed_at, verified, first_write_rung, release_expand, release_dual_read,
     release_write_activation, release_contract, checksum, hold_until, rows_done,
     updated_at)
VALUES ($1::text, $2::text,
        pg_catalog.to_timestamp($3::bigint / 1000.0), $4::text,
        $5::text, $6::text,
        pg_catalog.to_timestamp($7::bigint / 1000.0), $8::text,
        $9::text, $10::text,
        $11::text, pg_catalog.to_timestamp($12::bigint / 1000.0),
        pg_catalog.to_timestamp($13::bigint / 1000.0), $14::integer,
        $15::integer, pg_catalog.to_timestamp($16::bigint / 1000.0),
        $17::boolean, $18::boolean,
        $19::text, $20::text,
        $21::text, $22::text,
        $23::text, pg_catalog.to_timestamp($24::bigint / 1000.0),
        $25::bigint, pg_catalog.statement_timestamp())
ON CONFLICT (plan) DO UPDATE
       SET stage = excluded.stage, stage_since = excluded.stage_since,
           task = excluded.task, waiting_for = excluded.waiting_for,
           waiting_holder = excluded.waiting_holder, waiting_release = excluded.waiting_release,
           waiting_since = excluded.waiting_since, waiting_until = excluded.waiting_until,
           read_percent = excluded.read_percent, write_percent = excluded.write_percent,
           rung_confirmed_at = excluded.rung_confirmed_at, verified = excluded.verified,
           first_write_rung = excluded.first_write_rung, release_expand = excluded.release_expand,
           release_dual_read = excluded.release_dual_read, release_write_activation = excluded.release_write_activation,
           release_contract = excluded.release_contract, checksum = excluded.checksum,
           hold_until = excluded.hold_until, rows_done = excluded.rows_done,
           updated_at = excluded.updated_at
