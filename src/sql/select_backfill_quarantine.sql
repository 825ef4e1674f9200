-- purpose: rows that couldn't be filled
-- params: $1 job, $2 how many at most
-- returns: oldest first: key, SQLSTATE, message, attempts, since when in ms
SELECT q.key::text AS key, q.sqlstate, q.message, q.attempts,
       (EXTRACT(epoch FROM q.first_at) * 1000)::bigint AS first_at_ms
  FROM phasegate.backfill_quarantine AS q
 WHERE q.job_id = $1::bigint AND q.resolution IS NULL
 ORDER BY q.first_at, q.key LIMIT $2::bigint
