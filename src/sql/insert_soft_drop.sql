-- purpose: record what was hidden
-- params: $1 plan, $2 step, $3 object_kind, $4 schema, $5 table, $6 original name, $7 hidden name,
--         $8 restore_sql, $9 purge_sql, $10 owner, $11 dropped_at in ms (0: now), $12 expires_at in ms (0: never)
-- returns: one row: id
INSERT INTO phasegate.soft_drop
    (plan, step, object_kind, schema_name, table_name, original_name, hidden_name, restore_sql, purge_sql, owner,
     dropped_at, expires_at)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::text, $10::text,
        coalesce(pg_catalog.to_timestamp(nullif($11::bigint, 0) / 1000.0), pg_catalog.statement_timestamp()),
        pg_catalog.to_timestamp(nullif($12::bigint, 0) / 1000.0))
RETURNING soft_drop_id
