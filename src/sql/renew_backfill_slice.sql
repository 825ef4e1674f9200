-- purpose: keep a slice while its rows are with a program
-- params: $1 slice, $2 epoch
-- returns: nothing
UPDATE phasegate.backfill_slice AS s
   SET lease_until = pg_catalog.clock_timestamp() + s.lease
 WHERE s.slice_id = $1::bigint AND s.epoch = $2::bigint
