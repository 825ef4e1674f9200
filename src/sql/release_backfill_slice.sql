-- purpose: give back a slice that isn't done, with what was in the way
-- params: $1 slice, $2 epoch, $3 SQLSTATE or NULL, $4 message or NULL
-- returns: nothing
UPDATE phasegate.backfill_slice AS s
   SET status = 'pending', owner = NULL, owner_pid = NULL, owner_since = NULL, lease_until = NULL,
       last_sqlstate = coalesce($3::text, s.last_sqlstate), last_error = coalesce($4::text, s.last_error),
       updated_at = pg_catalog.clock_timestamp()
 WHERE s.slice_id = $1::bigint AND s.epoch = $2::bigint AND s.status = 'running'
