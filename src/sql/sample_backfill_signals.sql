-- purpose: what throttles a backfill, as the server sees it
-- params: $1 oid of the table, $2 pids of our sessions
-- returns: one row; NULL: this role can't see it
WITH ours AS (
    SELECT u.pid FROM pg_catalog.unnest($2::integer[]) AS u (pid)
), parts AS (
    SELECT t.relid::oid AS relid FROM pg_catalog.pg_partition_tree($1::oid::regclass) AS t UNION SELECT $1::oid
), standbys AS (
    SELECT CASE WHEN pg_catalog.count(*) = pg_catalog.count(s.state)
                THEN coalesce(pg_catalog.max(EXTRACT(epoch FROM s.replay_lag)), 0) END AS lag,
           CASE WHEN pg_catalog.count(*) = pg_catalog.count(s.state)
                THEN coalesce(pg_catalog.max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.replay_lsn)), 0) END
           AS bytes
      FROM pg_catalog.pg_stat_replication AS s
     WHERE s.state IS NULL OR s.state IN ('streaming', 'catchup')
), slots AS (
    SELECT coalesce(pg_catalog.max(CASE WHEN s.wal_status = 'unreserved' THEN 'Infinity'::float8
                                        ELSE pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn) END), 0)
           AS retained
      FROM pg_catalog.pg_replication_slots AS s
     WHERE s.wal_status <> 'lost'
), segments AS (
    SELECT n.name, ('x' || pg_catalog.substr(n.name, 9, 8))::bit(32)::bigint
           * (4294967296 / pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size')))
           + ('x' || pg_catalog.substr(n.name, 17, 8))::bit(32)::bigint AS number
      FROM (SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) UNION ALL
            SELECT pg_catalog.left(a.last_archived_wal, 24) FROM pg_catalog.pg_stat_archiver AS a
             WHERE a.last_archived_wal ~ '^[0-9A-F]{24}') AS n (name)
), archive AS (
    SELECT CASE WHEN pg_catalog.current_setting('archive_mode') = 'off' THEN 0
                WHEN a.last_failed_time > coalesce(a.last_archived_time, '-infinity') THEN 'Infinity'::float8
                ELSE (SELECT greatest(pg_catalog.max(s.number) - pg_catalog.min(s.number) - 1, 0) FROM segments AS s) END AS ready
      FROM pg_catalog.pg_stat_archiver AS a
), waiters AS (
    SELECT pg_catalog.count(DISTINCT l.pid) AS n
      FROM pg_catalog.pg_locks AS l JOIN parts ON parts.relid = l.relation
     WHERE NOT l.granted AND l.pid NOT IN (SELECT ours.pid FROM ours)
), sessions AS (
    SELECT coalesce(pg_catalog.bool_and(a.backend_type IS NOT NULL), true) AS is_seen,
           pg_catalog.count(*) FILTER (WHERE a.state = 'active' AND a.backend_type = 'client backend') AS active,
           coalesce(pg_catalog.max(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start))
                    FILTER (WHERE a.backend_xmin IS NOT NULL), 0) AS oldest
      FROM pg_catalog.pg_stat_activity AS a
     WHERE a.datid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid() AND a.pid NOT IN (SELECT ours.pid FROM ours)
), transactions AS (
    SELECT pg_catalog.count(*) AS n
      FROM pg_catalog.pg_locks AS l
     WHERE l.locktype = 'virtualxid' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
       AND l.pid NOT IN (SELECT ours.pid FROM ours)
), prepared AS (
    SELECT coalesce(pg_catalog.max(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - x.prepared)), 0) AS oldest
      FROM pg_catalog.pg_prepared_xacts AS x
)
SELECT standbys.lag AS replica_lag, standbys.bytes AS replica_bytes, slots.retained AS slot_retention,
       archive.ready AS archiver, waiters.n AS lock_waiters,
       CASE WHEN sessions.is_seen THEN sessions.active ELSE transactions.n END AS sessions,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_progress_vacuum AS v JOIN parts ON parts.relid = v.relid
         WHERE v.pid NOT IN (SELECT ours.pid FROM ours)) AS vacuum,
       CASE WHEN sessions.is_seen THEN greatest(sessions.oldest, prepared.oldest) END AS oldest_xmin,
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0') AS wal,
       pg_catalog.current_setting('max_connections') AS max_connections
  FROM standbys, slots, archive, waiters, sessions, transactions, prepared
