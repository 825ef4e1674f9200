-- purpose: forget old values that a plan's backfills kept, some at a time
-- params: $1 plan, $2 how many at most
-- returns: one row: how many it were
WITH gone AS (
    DELETE FROM phasegate.backfill_before AS b
     WHERE b.ctid = ANY (ARRAY(SELECT c.ctid FROM phasegate.backfill_before AS c JOIN phasegate.backfill_job AS j USING (job_id)
                                WHERE j.plan = $1::text LIMIT $2::bigint))
    RETURNING 1
)
SELECT pg_catalog.count(*) FROM gone
