-- purpose: transactions that have been open for long: a change waits behind them, and everybody behind the change
-- params: $1 seconds
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH open AS (
    SELECT 'pid ' || a.pid || coalesce(' ' || nullif(a.application_name, ''), '') AS who,
           EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start) AS age,
           pg_catalog.format('SELECT pg_terminate_backend(%s)', a.pid) AS ends
      FROM pg_catalog.pg_stat_activity AS a
     WHERE a.datname = pg_catalog.current_database() AND a.xact_start IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
    UNION ALL
    SELECT 'prepared transaction ' || x.gid, EXTRACT(epoch FROM pg_catalog.clock_timestamp() - x.prepared),
           pg_catalog.format('ROLLBACK PREPARED %L, or COMMIT PREPARED', x.gid)
      FROM pg_catalog.pg_prepared_xacts AS x
     WHERE x.database = pg_catalog.current_database()
), oldest AS (
    SELECT open.* FROM open ORDER BY open.age DESC LIMIT 1
)
SELECT CASE WHEN o.age > $1::numeric THEN 'no-go' ELSE 'pass' END AS outcome,
       CASE WHEN o.who IS NULL THEN 'none' ELSE pg_catalog.format('%s, for %s s', o.who, pg_catalog.round(o.age)) END AS value,
       pg_catalog.format('none older than %s s', $1) AS "limit",
       CASE WHEN o.age > $1::numeric THEN pg_catalog.format('let it end; else %s', o.ends) END AS help
  FROM (SELECT 1) AS one (one) LEFT JOIN oldest AS o ON true
