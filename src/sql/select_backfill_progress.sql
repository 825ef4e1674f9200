-- purpose: how far a backfill is
-- params: $1 job
-- returns: one row
SELECT j.status, j.status_reason, (EXTRACT(epoch FROM j.status_since) * 1000)::bigint AS since_ms,
       pg_catalog.count(s.slice_id) AS slices,
       pg_catalog.count(s.slice_id) FILTER (WHERE s.status = 'done') AS slices_done,
       pg_catalog.count(s.slice_id) FILTER (WHERE s.status = 'running') AS slices_running,
       coalesce(pg_catalog.sum(s.rows_done), 0)::bigint
       + (SELECT coalesce(pg_catalog.sum(r.rows), 0)::bigint FROM phasegate.backfill_residual AS r
           WHERE r.job_id = j.job_id AND r.done_at IS NOT NULL) AS rows_done,
       coalesce(pg_catalog.sum(s.rows_changed), 0)::bigint
       + (SELECT coalesce(pg_catalog.sum(r.rows_changed), 0)::bigint
            FROM phasegate.backfill_residual AS r WHERE r.job_id = j.job_id)
       + (SELECT pg_catalog.count(*) FROM phasegate.backfill_quarantine AS q
           WHERE q.job_id = j.job_id AND q.resolved_by = 'phasegate') AS rows_changed,
       coalesce(pg_catalog.sum(s.batches), 0)::bigint AS batches,
       (SELECT pg_catalog.count(*) FROM phasegate.backfill_residual AS r
         WHERE r.job_id = j.job_id AND r.done_at IS NULL) AS residual,
       (SELECT pg_catalog.count(*) FROM phasegate.backfill_quarantine AS q
         WHERE q.job_id = j.job_id AND q.resolution IS NULL) AS quarantined,
       j.knobs::text AS knobs, j.vacuumed_at_changed
  FROM phasegate.backfill_job AS j LEFT JOIN phasegate.backfill_slice AS s USING (job_id)
 WHERE j.job_id = $1::bigint
 GROUP BY j.job_id
