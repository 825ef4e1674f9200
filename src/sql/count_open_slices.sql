-- purpose: how many slices of a backfill aren't done
-- params: $1 job, $2 checksum of the backfill as the asker knows it
-- returns: one row: how many; 0 when it isn't running, or is planned differently by now
SELECT pg_catalog.count(*)
  FROM phasegate.backfill_slice AS s JOIN phasegate.backfill_job AS j USING (job_id)
 WHERE s.job_id = $1::bigint AND s.status <> 'done' AND j.status = 'running'
   AND j.checksum IS NOT DISTINCT FROM $2::text
