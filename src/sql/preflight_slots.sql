-- purpose: do replication slots keep WAL back, or are they about to be lost?
-- params: $1 bytes that a slot may keep
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH slots AS (
    SELECT s.slot_name, s.active, s.wal_status,
           pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                                           ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn) AS kept
      FROM pg_catalog.pg_replication_slots AS s
), bad AS (
    SELECT pg_catalog.string_agg(pg_catalog.format('%s %s, keeps %s', slots.slot_name,
                                                   CASE WHEN slots.wal_status IN ('unreserved', 'lost') THEN slots.wal_status
                                                        ELSE 'isn''t used' END,
                                                   pg_catalog.pg_size_pretty(slots.kept)), '; ' ORDER BY slots.slot_name)
             FILTER (WHERE slots.wal_status IN ('unreserved', 'lost')
                        OR NOT slots.active AND slots.kept > $1::bigint) AS words,
           pg_catalog.count(*) AS n, pg_catalog.max(slots.kept) AS most
      FROM slots
)
SELECT CASE WHEN bad.words IS NOT NULL THEN 'no-go'
            WHEN bad.n > 0 AND pg_catalog.current_setting('max_slot_wal_keep_size') = '-1' THEN 'warn' ELSE 'pass' END AS outcome,
       coalesce(bad.words, CASE WHEN bad.n = 0 THEN 'none'
                                ELSE pg_catalog.format('%s, the most that one keeps is %s', bad.n,
                                                       pg_catalog.pg_size_pretty(bad.most)) END) AS value,
       pg_catalog.format('none unused that keeps more than %s, none lost', pg_catalog.pg_size_pretty($1::bigint)) AS "limit",
       CASE WHEN bad.words IS NOT NULL THEN 'start its reader, or pg_drop_replication_slot()'
            WHEN bad.n > 0 AND pg_catalog.current_setting('max_slot_wal_keep_size') = '-1'
            THEN 'max_slot_wal_keep_size: a reader that stops fills the disk' END AS help
  FROM bad
