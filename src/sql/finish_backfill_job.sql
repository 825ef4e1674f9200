-- purpose: say what became of a backfill, with the totals of its slices
-- params: $1 job, $2 status, $3 reason or NULL, $4 how often this run tried a batch again, $5 oid of its table
-- returns: nothing
UPDATE phasegate.backfill_job AS j
   SET status = $2::text, status_reason = $3::text, status_since = pg_catalog.statement_timestamp(),
       updated_at = pg_catalog.statement_timestamp(),
       finished_at = CASE WHEN $2::text IN ('done', 'failed', 'cancelled')
                          THEN pg_catalog.statement_timestamp() ELSE j.finished_at END,
       rows_done = t.rows_done, rows_changed = t.rows_changed, batches = t.batches,
       bad_rows = t.bad_rows, retried = j.retried + $4::bigint,
       wal_bytes = pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), j.lsn_at_begin)::bigint,
       growth_bytes = pg_catalog.pg_total_relation_size($5::oid) - j.bytes_at_begin
  FROM (SELECT (SELECT coalesce(pg_catalog.sum(s.rows_done), 0)::bigint
                  FROM phasegate.backfill_slice AS s WHERE s.job_id = $1::bigint)
               + (SELECT coalesce(pg_catalog.sum(r.rows), 0)::bigint FROM phasegate.backfill_residual AS r
                   WHERE r.job_id = $1::bigint AND r.done_at IS NOT NULL) AS rows_done,
               (SELECT coalesce(pg_catalog.sum(s.rows_changed), 0)::bigint
                  FROM phasegate.backfill_slice AS s WHERE s.job_id = $1::bigint)
               + (SELECT coalesce(pg_catalog.sum(r.rows_changed), 0)::bigint
                    FROM phasegate.backfill_residual AS r WHERE r.job_id = $1::bigint)
               + (SELECT pg_catalog.count(*) FROM phasegate.backfill_quarantine AS q
                   WHERE q.job_id = $1::bigint AND q.resolved_by = 'phasegate') AS rows_changed,
               (SELECT coalesce(pg_catalog.sum(s.batches), 0)::bigint
                  FROM phasegate.backfill_slice AS s WHERE s.job_id = $1::bigint) AS batches,
               (SELECT pg_catalog.count(*) FROM phasegate.backfill_quarantine AS q
                 WHERE q.job_id = $1::bigint AND q.resolution IS NULL) AS bad_rows) AS t
 WHERE j.job_id = $1::bigint
