-- purpose: take the next slice that nobody works on: a new one, or one whose owner is gone
-- params: $1 job, $2 who takes it, $3 checksum of the backfill as it knows it
-- returns: one row: the slice as it is now, or none
-- Whoever had it is fenced off by the new epoch. An owner is gone when its session is; where sessions can't be told
-- apart, when its lease has run out.
UPDATE phasegate.backfill_slice AS s
   SET owner = $2::text, owner_pid = pg_catalog.pg_backend_pid(),
       owner_since = (SELECT a.backend_start FROM pg_catalog.pg_stat_activity AS a
                       WHERE a.pid = pg_catalog.pg_backend_pid()),
       epoch = s.epoch + 1, status = 'running', attempts = s.attempts + 1,
       lease_until = pg_catalog.clock_timestamp() + s.lease, updated_at = pg_catalog.clock_timestamp()
 WHERE s.slice_id = (
       SELECT c.slice_id
         FROM phasegate.backfill_slice AS c JOIN phasegate.backfill_job AS j USING (job_id)
        WHERE c.job_id = $1::bigint AND j.status = 'running'
          AND j.checksum IS NOT DISTINCT FROM $3::text
          AND (c.status = 'pending'
               OR (c.status = 'running'
                   AND (c.lease_until < pg_catalog.clock_timestamp()
                        OR NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a
                                        WHERE a.pid = c.owner_pid
                                          AND coalesce(a.backend_start = c.owner_since, true)))))
        ORDER BY c.number LIMIT 1 FOR UPDATE OF c SKIP LOCKED)
RETURNING s.slice_id, s.number, s.hi::text AS hi, s.cursor::text AS cursor, s.epoch, s.rows_done, s.rows_changed
