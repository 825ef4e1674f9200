-- purpose: what was hidden is destroyed
-- params: $1 id
-- returns: nothing
UPDATE phasegate.soft_drop AS d
   SET purged_at = pg_catalog.statement_timestamp()
 WHERE d.soft_drop_id = $1::bigint AND d.purged_at IS NULL
