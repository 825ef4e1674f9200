-- purpose: what the verifications of a plan's backfills have found
-- params: $1 plan
-- returns: one row a verification, oldest first: backfill, began, finished (ms), slices, rows, rows left, differing, bad, digest
SELECT j.name, (EXTRACT(epoch FROM v.began_at) * 1000)::bigint, (EXTRACT(epoch FROM v.finished_at) * 1000)::bigint,
       pg_catalog.count(s.number), coalesce(pg_catalog.sum(s.rows), 0)::bigint,
       coalesce(pg_catalog.sum(s.rows_left), 0)::bigint, coalesce(pg_catalog.sum(s.rows_differing), 0)::bigint,
       coalesce(pg_catalog.sum(s.rows_bad), 0)::bigint, coalesce(pg_catalog.sum(s.digest), 0)::text
  FROM phasegate.backfill_job AS j JOIN phasegate.backfill_verification AS v USING (job_id)
  LEFT JOIN phasegate.backfill_verified_slice AS s USING (verification_id)
 WHERE j.plan = $1::text
 GROUP BY j.name, v.verification_id
 ORDER BY v.verification_id
