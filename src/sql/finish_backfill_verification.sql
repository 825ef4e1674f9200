-- purpose: a verification whose slices are all done is finished, whoever says so first; a backfill without a wrong row is verified
-- params: $1 verification
-- returns: nothing
WITH ended AS (
    UPDATE phasegate.backfill_verification AS v
       SET finished_at = pg_catalog.clock_timestamp()
     WHERE v.verification_id = $1::bigint AND v.finished_at IS NULL
       AND NOT EXISTS (SELECT FROM phasegate.backfill_verified_slice AS s
                        WHERE s.verification_id = v.verification_id AND s.status <> 'done')
    RETURNING v.verification_id, v.job_id, v.finished_at
)
UPDATE phasegate.backfill_job AS j
   SET verified_at = CASE WHEN EXISTS (SELECT FROM phasegate.backfill_verified_slice AS s
                                        WHERE s.verification_id = ended.verification_id AND s.rows_bad > 0)
                          THEN NULL ELSE ended.finished_at END
  FROM ended
 WHERE j.job_id = ended.job_id
