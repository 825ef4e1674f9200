-- purpose: give back a slice of a verification that isn't done
-- params: $1 slice, $2 epoch
-- returns: nothing
UPDATE phasegate.backfill_verified_slice AS s
   SET status = 'pending', owner = NULL, owner_pid = NULL, owner_since = NULL, lease_until = NULL,
       updated_at = pg_catalog.clock_timestamp()
 WHERE s.verified_slice_id = $1::bigint AND s.epoch = $2::bigint AND s.status = 'running'
