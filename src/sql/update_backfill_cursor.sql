-- purpose: move the cursor of a backfill, in the transaction of its rows
-- params: $1 id, $2 epoch, $3 cursor before, $4 cursor after, $5 rows visited, $6 rows changed
-- returns: one row: 1. Fails (22P02) when the backfill was taken over or the cursor isn't there: the rows go back too
WITH moved AS (
    UPDATE phasegate.backfill_job AS j
       SET cursor = $4::jsonb, rows_done = j.rows_done + $5::bigint, rows_changed = j.rows_changed + $6::bigint,
           batches = j.batches + 1, updated_at = pg_catalog.clock_timestamp()
     WHERE j.job_id = $1::bigint AND j.epoch = $2::bigint AND j.cursor IS NOT DISTINCT FROM $3::jsonb
       AND j.status = 'running'
    RETURNING 1
)
SELECT CASE WHEN pg_catalog.count(*) = 1 THEN 1
            ELSE ('this backfill was taken over or stopped; batches of this run that count: '
                  || pg_catalog.count(*)::text)::integer
       END AS moved
  FROM moved
