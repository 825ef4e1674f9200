-- purpose: wraparound: is the table near it, or vacuumed against it now?
-- params: $1 oid of the table
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH t AS (
    SELECT pg_catalog.max(pg_catalog.age(c.relfrozenxid)) AS age
      FROM pg_catalog.pg_class AS c
     WHERE c.relkind IN ('r', 'm') AND c.oid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree($1::oid::regclass) AS p
                                                 UNION SELECT $1::oid)
), busy AS (
    SELECT pg_catalog.bool_or(a.query LIKE '%to prevent wraparound%') AS is_wraparound
      FROM pg_catalog.pg_stat_progress_vacuum AS v JOIN pg_catalog.pg_stat_activity AS a ON a.pid = v.pid
     WHERE v.relid = $1::oid
), most AS (
    SELECT pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint AS age
)
SELECT CASE WHEN busy.is_wraparound THEN 'no-go' WHEN t.age > most.age * 0.8 THEN 'warn' ELSE 'pass' END AS outcome,
       CASE WHEN busy.is_wraparound THEN 'a vacuum to prevent wraparound is at work, and doesn''t give way'
            ELSE pg_catalog.format('%s transactions old', coalesce(t.age, 0)) END AS value,
       pg_catalog.format('%s, and no vacuum to prevent wraparound', (most.age * 0.8)::bigint) AS "limit",
       CASE WHEN busy.is_wraparound THEN 'wait until it has ended: pg_stat_progress_vacuum shows how far it is'
            WHEN t.age > most.age * 0.8 THEN 'VACUUM (FREEZE) the table first' END AS help
  FROM t, busy, most
