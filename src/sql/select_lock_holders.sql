-- purpose: who holds or waits for locks on a table
-- params: $1 table, quoted and with its schema (NULL: every table but PostgreSQL's and phasegate's own)
-- returns: one row a session: pid (0: a prepared transaction), application, strongest mode, state, query,
--          age of the transaction in ms, age of the query in ms; who holds comes before who waits, oldest first
SELECT coalesce(held.pid, 0) AS pid,
       CASE WHEN held.pid IS NULL THEN 'prepared transaction ' || coalesce(x.gid, '?')
            ELSE a.application_name END AS application,
       (ARRAY['ACCESS SHARE', 'ROW SHARE', 'ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE', 'SHARE', 'SHARE ROW EXCLUSIVE',
              'EXCLUSIVE', 'ACCESS EXCLUSIVE'])[held.strength] AS mode,
       CASE WHEN held.pid IS NULL THEN 'prepared' WHEN NOT held.granted THEN 'waiting' ELSE a.state END AS state,
       a.query,
       (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - coalesce(x.prepared, a.xact_start)) * 1000)::bigint
           AS xact_age_ms,
       (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.query_start) * 1000)::bigint AS query_age_ms
  FROM (SELECT l.pid, l.virtualtransaction, pg_catalog.bool_and(l.granted) AS granted,
               pg_catalog.max(pg_catalog.array_position(
                   ARRAY['AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock',
                         'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'], l.mode)) AS strength
          FROM pg_catalog.pg_locks AS l
          JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
          JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
         WHERE l.locktype = 'relation' AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
           AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                              WHERE d.datname = pg_catalog.current_database())
           AND CASE WHEN $1::text IS NULL
                    THEN n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema', 'phasegate')
                    ELSE l.relation = pg_catalog.to_regclass($1::text) END
         GROUP BY l.pid, l.virtualtransaction) AS held
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = held.pid
  LEFT JOIN pg_catalog.pg_locks AS own
    ON held.pid IS NULL AND own.pid IS NULL AND own.locktype = 'transactionid'
   AND own.virtualtransaction = held.virtualtransaction
  LEFT JOIN pg_catalog.pg_prepared_xacts AS x ON x.transaction = own.transactionid
 ORDER BY held.granted DESC, xact_age_ms DESC NULLS LAST, held.pid
 LIMIT 50
