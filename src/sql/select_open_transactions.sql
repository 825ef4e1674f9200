-- purpose: whose transactions are open: a concurrent index waits for every one that is older than itself
-- params: none
-- returns: one row a session of this database: pid, application, mode (NULL), state, query, age of the transaction in
--          ms, age of the query in ms; oldest first
SELECT a.pid, a.application_name AS application, NULL::text AS mode, a.state, a.query,
       (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start) * 1000)::bigint AS xact_age_ms,
       (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.query_start) * 1000)::bigint AS query_age_ms
  FROM pg_catalog.pg_stat_activity AS a
 WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() AND a.xact_start IS NOT NULL
   AND a.backend_type = 'client backend'
 ORDER BY a.xact_start, a.pid
 LIMIT 50
