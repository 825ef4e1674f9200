-- purpose: say what became of a backfill
-- params: $1 id, $2 status
-- returns: nothing
UPDATE phasegate.backfill_job AS j
   SET status = $2::text, status_reason = NULL, status_since = pg_catalog.statement_timestamp(),
       updated_at = pg_catalog.statement_timestamp(),
       finished_at = CASE WHEN $2::text IN ('done', 'failed', 'cancelled')
                          THEN pg_catalog.statement_timestamp() ELSE j.finished_at END
 WHERE j.job_id = $1::bigint
