-- purpose: do the standbys follow?
-- params: $1 seconds, $2 bytes that one may be behind
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH standbys AS (
    SELECT coalesce(nullif(s.application_name, ''), 'pid ' || s.pid) AS name,
           coalesce(EXTRACT(epoch FROM s.replay_lag), 0) AS lag,
           coalesce(pg_catalog.pg_wal_lsn_diff(s.sent_lsn, s.replay_lsn), 0) AS bytes, s.state IS NULL AS is_hidden,
           s.sync_state IN ('sync', 'quorum') AS is_awaited
      FROM pg_catalog.pg_stat_replication AS s
), seen AS (
    SELECT pg_catalog.count(*) AS n, coalesce(pg_catalog.bool_or(standbys.is_hidden), false) AS is_hidden,
           CASE WHEN pg_catalog.current_setting('synchronous_standby_names') <> ''
                  AND pg_catalog.current_setting('synchronous_commit') NOT IN ('off', 'local')
                  AND NOT coalesce(pg_catalog.bool_or(standbys.is_awaited), false)
                THEN pg_catalog.format('commits wait for %s, and none of them is connected',
                                       pg_catalog.current_setting('synchronous_standby_names')) END AS missing,
           pg_catalog.string_agg(pg_catalog.format('%s is %s s, %s behind', standbys.name, pg_catalog.round(standbys.lag),
                                                   pg_catalog.pg_size_pretty(standbys.bytes)), '; ' ORDER BY standbys.name)
             FILTER (WHERE standbys.lag > $1::numeric OR standbys.bytes > $2::bigint) AS behind
      FROM standbys
)
SELECT CASE WHEN seen.is_hidden THEN 'warn' WHEN coalesce(seen.missing, seen.behind) IS NOT NULL THEN 'no-go' ELSE 'pass' END AS outcome,
       CASE WHEN seen.is_hidden THEN 'this role can''t see them'
            ELSE coalesce(seen.missing, seen.behind, CASE WHEN seen.n = 0 THEN 'none' ELSE pg_catalog.format('%s, all close', seen.n) END) END
         AS value,
       pg_catalog.format('none more than %s s or %s behind, and none missing that commits wait for', $1, pg_catalog.pg_size_pretty($2::bigint)) AS "limit",
       CASE WHEN seen.is_hidden THEN 'GRANT pg_monitor to this role'
            WHEN seen.missing IS NOT NULL THEN 'start that standby, or take it out of synchronous_standby_names'
            WHEN seen.behind IS NOT NULL THEN 'wait until it has caught up, or see what keeps it' END AS help
  FROM seen
