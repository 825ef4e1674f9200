-- purpose: a backfill
-- params: $1 plan, $2 name
-- returns: one row, or none; times in ms
SELECT j.job_id, j.plan, j.name, j.rel, j.checksum, j.status, j.hi::text AS hi, j.cursor::text AS cursor,
       j.rows_total, j.rows_done, j.rows_changed, j.batches,
       (EXTRACT(epoch FROM j.started_at) * 1000)::bigint AS started_at_ms,
       (EXTRACT(epoch FROM j.finished_at) * 1000)::bigint AS finished_at_ms, j.epoch
  FROM phasegate.backfill_job AS j
 WHERE j.plan = $1::text AND j.name = $2::text
