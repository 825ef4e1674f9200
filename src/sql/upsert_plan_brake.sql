-- purpose: put a plan's brake on or off, and touch nothing else of where it stands
-- params: $1 plan, $2 brake, $3 brake_reason, $4 brake_by, $5 brake_since in ms
-- returns: nothing
INSERT INTO phasegate.plan_state AS s
    (plan, stage, stage_since, brake, brake_reason, brake_by, brake_since, updated_at)
VALUES ($1::text, 'planned', pg_catalog.statement_timestamp(), $2::text, $3::text, $4::text,
        pg_catalog.to_timestamp($5::bigint / 1000.0), pg_catalog.statement_timestamp())
ON CONFLICT (plan) DO UPDATE
       SET brake = excluded.brake, brake_reason = excluded.brake_reason,
           brake_by = excluded.brake_by, brake_since = excluded.brake_since,
           updated_at = excluded.updated_at
