-- purpose: how many rows a table had in the newest rehearsal of a plan as it reads now
-- params: $1 plan, $2 checksum, $3 schema.table
-- returns: one row or none: rows
SELECT (t.one ->> 'before')::bigint AS rows
  FROM (SELECT x.* FROM phasegate.rehearsal AS x
         WHERE x.plan = $1::text AND x.checksum = $2::text ORDER BY x.rehearsal_id DESC LIMIT 1) AS r,
       pg_catalog.jsonb_array_elements(r.report -> 'rows') AS t (one)
 WHERE t.one ->> 'table' = $3::text
