-- purpose: cut a verification as its backfill was cut, once, and what came behind the last slice since
-- params: $1 job, $2 the newest key, NULL: the table is empty
-- returns: nothing
INSERT INTO phasegate.backfill_verified_slice (verification_id, number, lo, hi, cursor)
SELECT v.verification_id, s.number, s.lo, s.hi, s.lo
  FROM phasegate.backfill_verification AS v,
       (SELECT c.number, c.lo, c.hi FROM phasegate.backfill_slice AS c WHERE c.job_id = $1::bigint
        UNION ALL
        (SELECT c.number + 1, c.hi, $2::jsonb FROM phasegate.backfill_slice AS c
          WHERE c.job_id = $1::bigint ORDER BY c.number DESC LIMIT 1)) AS s
 WHERE v.job_id = $1::bigint AND v.finished_at IS NULL AND s.hi IS NOT NULL AND s.hi IS DISTINCT FROM s.lo
   AND NOT EXISTS (SELECT FROM phasegate.backfill_verified_slice AS o WHERE o.verification_id = v.verification_id)
