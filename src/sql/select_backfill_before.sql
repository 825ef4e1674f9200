-- purpose: how many rows' old values a backfill keeps, and what became of the others
-- params: $1 job
-- returns: one row: kept, restored, newer
SELECT pg_catalog.count(*) FILTER (WHERE b.fate = 'kept') AS kept,
       pg_catalog.count(*) FILTER (WHERE b.fate = 'restored') AS restored,
       pg_catalog.count(*) FILTER (WHERE b.fate = 'newer') AS newer
  FROM phasegate.backfill_before AS b
 WHERE b.job_id = $1::bigint
