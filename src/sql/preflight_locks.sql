-- purpose: does somebody hold this table so that nobody else gets in?
-- params: $1 oid of the table, $2 is its definition changed
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH held AS (
    SELECT l.mode, l.granted, coalesce('pid ' || l.pid || coalesce(' ' || nullif(a.application_name, ''), ''),
                                       'a prepared transaction') AS who,
           l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
           -- An index that is built beside the writers, VACUUM, ANALYZE: they let no other such one in. Autovacuum gives way.
           OR $2::boolean AND l.mode = 'ShareUpdateExclusiveLock' AND a.backend_type IS DISTINCT FROM 'autovacuum worker' AS is_strong, l.pid
      FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
     WHERE l.locktype = 'relation' AND l.relation = $1::oid AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
), seen AS (
    SELECT pg_catalog.string_agg(DISTINCT pg_catalog.format('%s holds %s', held.who, held.mode), '; ')
             FILTER (WHERE held.granted AND (held.is_strong OR held.pid IS NULL)) AS words,
           pg_catalog.count(DISTINCT held.pid) FILTER (WHERE NOT held.granted) AS waiting
      FROM held
)
SELECT CASE WHEN seen.words IS NOT NULL THEN 'no-go' WHEN seen.waiting > 0 THEN 'warn' ELSE 'pass' END AS outcome,
       coalesce(seen.words, CASE WHEN seen.waiting > 0 THEN pg_catalog.format('%s sessions wait for it', seen.waiting)
                                 ELSE 'no strong lock on it' END) AS value,
       'nobody holds it against writers' AS "limit",
       CASE WHEN seen.words IS NOT NULL THEN 'let that end first: a maintenance command, an index build, another migration' END AS help
  FROM seen
