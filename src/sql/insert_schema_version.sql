-- purpose: record that a schema file was applied
-- params: $1 number, $2 name
-- returns: nothing
INSERT INTO phasegate.schema_version (number, name) VALUES ($1::integer, $2::text)
