-- purpose: what was hidden is back
-- params: $1 id
-- returns: nothing
UPDATE phasegate.soft_drop AS d
   SET restored_at = pg_catalog.statement_timestamp()
 WHERE d.soft_drop_id = $1::bigint AND d.restored_at IS NULL
