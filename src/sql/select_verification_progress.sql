-- purpose: how far a verification is
-- params: $1 verification
-- returns: one row, its columns as those of select_backfill_progress; rows that are wrong stand for those that can't be filled
SELECT j.status, j.status_reason, (EXTRACT(epoch FROM v.began_at) * 1000)::bigint AS since_ms,
       pg_catalog.count(s.number) AS slices,
       pg_catalog.count(s.number) FILTER (WHERE s.status = 'done') AS slices_done,
       pg_catalog.count(s.number) FILTER (WHERE s.status = 'running') AS slices_running,
       coalesce(pg_catalog.sum(s.rows), 0)::bigint AS rows_done, 0 AS rows_changed,
       coalesce(pg_catalog.sum(s.ranges), 0)::bigint AS batches, 0 AS residual,
       coalesce(pg_catalog.sum(s.rows_bad), 0)::bigint AS quarantined,
       j.knobs::text AS knobs, j.vacuumed_at_changed
  FROM phasegate.backfill_verification AS v JOIN phasegate.backfill_job AS j USING (job_id)
  LEFT JOIN phasegate.backfill_verified_slice AS s USING (verification_id)
 WHERE v.verification_id = $1::bigint
 GROUP BY v.verification_id, j.job_id
