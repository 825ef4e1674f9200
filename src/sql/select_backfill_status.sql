-- purpose: backfills of a plan as they stand
-- params: $1 plan
-- returns: one row a backfill, oldest first; times in ms
SELECT j.job_id, j.name, j.rel, j.status, j.status_reason, j.rows_total,
       CASE WHEN s.n = 0 OR j.status = 'done' THEN j.rows_done ELSE s.rows_done + r.rows_done END AS rows_done,
       CASE WHEN s.n = 0 THEN j.rows_changed ELSE s.rows_changed + r.rows_changed + q.filled END AS rows_changed,
       CASE WHEN s.n = 0 THEN j.batches ELSE s.batches END AS batches, j.retried,
       s.n AS slices, s.n_done, s.n_running, r.n AS residual, q.n AS bad, q.filled AS mended, j.knobs::text AS knobs,
       (EXTRACT(epoch FROM j.started_at) * 1000)::bigint AS started_at_ms,
       (EXTRACT(epoch FROM j.finished_at) * 1000)::bigint AS finished_at_ms, j.wal_bytes, j.growth_bytes,
       j.est_rows, j.est_batches, (j.est_seconds * 1000)::bigint AS est_ms, j.est_wal_bytes, j.est_growth_bytes
  FROM phasegate.backfill_job AS j,
       LATERAL (SELECT pg_catalog.count(*) AS n, pg_catalog.count(*) FILTER (WHERE s.status = 'done') AS n_done,
                       pg_catalog.count(*) FILTER (WHERE s.status = 'running') AS n_running,
                       coalesce(pg_catalog.sum(s.rows_done), 0)::bigint AS rows_done,
                       coalesce(pg_catalog.sum(s.rows_changed), 0)::bigint AS rows_changed,
                       coalesce(pg_catalog.sum(s.batches), 0)::bigint AS batches
                  FROM phasegate.backfill_slice AS s WHERE s.job_id = j.job_id) AS s,
       LATERAL (SELECT pg_catalog.count(*) FILTER (WHERE r.done_at IS NULL) AS n,
                       coalesce(pg_catalog.sum(r.rows) FILTER (WHERE r.done_at IS NOT NULL), 0)::bigint AS rows_done,
                       coalesce(pg_catalog.sum(r.rows_changed), 0)::bigint AS rows_changed
                  FROM phasegate.backfill_residual AS r WHERE r.job_id = j.job_id) AS r,
       LATERAL (SELECT pg_catalog.count(*) FILTER (WHERE q.resolution IS NULL) AS n,
                       pg_catalog.count(*) FILTER (WHERE q.resolved_by = 'phasegate') AS filled
                  FROM phasegate.backfill_quarantine AS q WHERE q.job_id = j.job_id) AS q
 WHERE j.plan = $1::text
 ORDER BY j.job_id
