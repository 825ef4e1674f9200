-- purpose: the verification of a backfill that is under way
-- params: $1 job
-- returns: one row, or none: id, are old and new compared?, rows looked at already, when it began in ms
SELECT v.verification_id, v.compares,
       (SELECT coalesce(pg_catalog.sum(s.rows), 0)::bigint FROM phasegate.backfill_verified_slice AS s
         WHERE s.verification_id = v.verification_id) AS rows_done,
       (EXTRACT(epoch FROM v.began_at) * 1000)::bigint AS began_at_ms
  FROM phasegate.backfill_verification AS v
 WHERE v.job_id = $1::bigint AND v.finished_at IS NULL
