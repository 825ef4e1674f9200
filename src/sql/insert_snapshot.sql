-- purpose: record a snapshot that was taken
-- params: $1 name, $2 plan, $3 phase, $4 checksum, $5 location, $6 manifest, $7 its SHA-256, $8 rows, $9 bytes,
--         $10 run, $11 who, $12 taken_at in ms, $13 keep for ms (NULL: for good)
-- returns: nothing
INSERT INTO phasegate.snapshot
    (name, plan, phase, checksum, location, manifest, manifest_sha256, rows, bytes, run_id, taken_by, taken_at, keep_until)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::jsonb, $7::text, $8::bigint, $9::bigint, $10::text, $11::text,
        pg_catalog.to_timestamp($12::bigint / 1000.0), pg_catalog.to_timestamp(($12::bigint + $13::bigint) / 1000.0))
