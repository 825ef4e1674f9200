-- purpose: the newest schema file that was applied
-- params: none
-- returns: one row: number, 0 for none
SELECT coalesce(pg_catalog.max(v.number), 0) AS version FROM phasegate.schema_version AS v
