-- purpose: the files of a snapshot are gone, by our own hand
-- params: $1 name
-- returns: nothing
UPDATE phasegate.snapshot AS s
   SET pruned_at = pg_catalog.clock_timestamp()
 WHERE s.name = $1::text AND s.pruned_at IS NULL
