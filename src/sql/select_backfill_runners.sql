-- purpose: processes that work on a backfill
-- params: $1 job
-- returns: one row a process that lives, oldest first; times in ms
SELECT r.runner, r.host, r.pid, r.workers, r.level, r.signal, r.value, r.bound, r.reason,
       (EXTRACT(epoch FROM r.level_since) * 1000)::bigint AS since_ms,
       (EXTRACT(epoch FROM r.began_at) * 1000)::bigint AS began_ms,
       r.duty, r.batch_rows, r.batch_ms, r.rows_per_second, r.left_ms
  FROM phasegate.backfill_runner AS r
 WHERE r.job_id = $1::bigint
   AND EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a
                WHERE a.pid = r.backend_pid AND coalesce(a.backend_start = r.backend_since, true))
 ORDER BY r.began_at, r.runner
