-- purpose: take the next slice of a verification that nobody works on: a new one, or one whose owner is gone
-- params: $1 verification, $2 who takes it
-- returns: one row: the slice as it is now, or none
-- As claim_backfill_slice: whoever had it is fenced off by the new epoch.
UPDATE phasegate.backfill_verified_slice AS s
   SET owner = $2::text, owner_pid = pg_catalog.pg_backend_pid(),
       owner_since = (SELECT a.backend_start FROM pg_catalog.pg_stat_activity AS a
                       WHERE a.pid = pg_catalog.pg_backend_pid()),
       epoch = s.epoch + 1, status = 'running',
       lease_until = pg_catalog.clock_timestamp() + s.lease, updated_at = pg_catalog.clock_timestamp()
 WHERE s.verified_slice_id = (
       SELECT c.verified_slice_id
         FROM phasegate.backfill_verified_slice AS c
        WHERE c.verification_id = $1::bigint
          AND (c.status = 'pending'
               OR (c.status = 'running'
                   AND (c.lease_until < pg_catalog.clock_timestamp()
                        OR NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a
                                        WHERE a.pid = c.owner_pid
                                          AND coalesce(a.backend_start = c.owner_since, true)))))
        ORDER BY c.number LIMIT 1 FOR UPDATE OF c SKIP LOCKED)
RETURNING s.verified_slice_id, s.number, s.hi::text AS hi, s.cursor::text AS cursor, s.epoch
