-- purpose: cut a backfill into slices, once
-- params: $1 plan, $2 name, $3 JSON array of [lo, hi], each a key or null for the start
-- returns: nothing
-- What a ledger without slices says is done already is the first one's.
INSERT INTO phasegate.backfill_slice (job_id, number, lo, hi, cursor, rows_done, rows_changed, batches)
SELECT j.job_id, r.number, nullif(r.range -> 0, 'null'::jsonb), r.range -> 1, nullif(r.range -> 0, 'null'::jsonb),
       CASE WHEN r.number = 1 THEN j.rows_done ELSE 0 END, CASE WHEN r.number = 1 THEN j.rows_changed ELSE 0 END,
       CASE WHEN r.number = 1 THEN j.batches ELSE 0 END
  FROM phasegate.backfill_job AS j,
       pg_catalog.jsonb_array_elements($3::jsonb) WITH ORDINALITY AS r (range, number)
 WHERE j.plan = $1::text AND j.name = $2::text
