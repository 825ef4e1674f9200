-- purpose: forget a verification that isn't finished and isn't to be gone on with: it asked something else, or nobody has worked on it for a day
-- params: $1 job, $2 hash of what is asked
-- returns: nothing
DELETE FROM phasegate.backfill_verification AS v
 WHERE v.job_id = $1::bigint AND v.finished_at IS NULL
   AND (v.question <> $2::text
        OR NOT EXISTS (SELECT FROM phasegate.backfill_verified_slice AS s
                        WHERE s.verification_id = v.verification_id
                          AND s.updated_at > pg_catalog.clock_timestamp() - '1 day'::interval))
