-- purpose: are reads of what is hidden watched, and has pg_stat_statements thrown out statements to make room since?
-- params: $1 plan
-- returns: a row per hidden thing: step, is it watched?, how often since, how many it may hold; <<info>> is the quoted name of pg_stat_statements_info
SELECT d.step, c.plan IS NOT NULL,
       -- Fewer than then: they were counted anew.
       CASE WHEN i.dealloc >= c.calls THEN i.dealloc - c.calls ELSE i.dealloc END,
       pg_catalog.current_setting('pg_stat_statements.max')
  FROM phasegate.soft_drop AS d
 CROSS JOIN <<info>>() AS i
  LEFT JOIN phasegate.soft_drop_calls AS c ON c.plan = d.plan AND c.step = d.step AND c.queryid = 0
 WHERE d.plan = $1::pg_catalog.text AND d.restored_at IS NULL AND d.purged_at IS NULL AND d.hidden_name IS NOT NULL
 ORDER BY d.soft_drop_id
