-- purpose: this process works on a backfill no more; those that died are forgotten with it
-- params: $1 run, $2 job
-- returns: nothing
DELETE FROM phasegate.backfill_runner AS r
 WHERE r.runner = $1::text
    OR (r.job_id = $2::bigint
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a
                         WHERE a.pid = r.backend_pid AND coalesce(a.backend_start = r.backend_since, true)))
