-- purpose: is WAL archived?
-- params: $1 segments that may wait
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH segments AS (
    SELECT n.name, ('x' || pg_catalog.substr(n.name, 9, 8))::bit(32)::bigint
           * (4294967296 / pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size')))
           + ('x' || pg_catalog.substr(n.name, 17, 8))::bit(32)::bigint AS number
      FROM (SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) WHERE NOT pg_catalog.pg_is_in_recovery()
             UNION ALL
            SELECT pg_catalog.left(a.last_archived_wal, 24) FROM pg_catalog.pg_stat_archiver AS a
             WHERE a.last_archived_wal ~ '^[0-9A-F]{24}') AS n (name)
), archive AS (
    SELECT pg_catalog.current_setting('archive_mode') AS mode,
           a.last_failed_time > coalesce(a.last_archived_time, '-infinity') AS fails, a.last_failed_wal,
           a.last_archived_time,
           (SELECT x.setting::bigint FROM pg_catalog.pg_settings AS x WHERE x.name = 'archive_timeout') AS timeout_s,
           (SELECT greatest(pg_catalog.max(s.number) - pg_catalog.min(s.number) - 1, 0) FROM segments AS s) AS ready
      FROM pg_catalog.pg_stat_archiver AS a
), seen AS (
    SELECT archive.*, archive.ready > 0 AND archive.timeout_s > 0
           AND pg_catalog.clock_timestamp() > archive.last_archived_time + 2 * archive.timeout_s * interval '1 second' AS is_late
      FROM archive
)
SELECT CASE WHEN seen.mode = 'off' THEN 'warn' WHEN seen.fails OR seen.ready > $1::bigint OR seen.is_late THEN 'no-go' ELSE 'pass' END
         AS outcome,
       CASE WHEN seen.mode = 'off' THEN 'archive_mode = off'
            WHEN seen.fails THEN pg_catalog.format('fails since %s', seen.last_failed_wal)
            ELSE pg_catalog.format('%s segments wait, the last was archived %s', seen.ready,
                                   coalesce(pg_catalog.to_char(seen.last_archived_time, 'YYYY-MM-DD HH24:MI:SS TZ'), 'never')) END
         AS value,
       pg_catalog.format('no more than %s segments wait, none for twice archive_timeout, and none fails',
                         $1::bigint) AS "limit",
       CASE WHEN seen.mode = 'off' THEN 'nothing can be restored to a point in time: see that a backup is young enough'
            WHEN seen.fails OR seen.ready > $1::bigint OR seen.is_late THEN 'mend archive_command: the server''s log has its words' END AS help
  FROM seen
