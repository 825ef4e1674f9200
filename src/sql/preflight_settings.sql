-- purpose: settings under which a change is dangerous
-- params: $1 our lock_timeout in ms
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH s AS (
    SELECT pg_catalog.current_setting('autovacuum')::boolean AS autovacuum,
           pg_catalog.current_setting('session_replication_role') AS role,
           (SELECT x.setting::bigint FROM pg_catalog.pg_settings AS x WHERE x.name = 'deadlock_timeout') AS deadlock_ms
), bad AS (
    SELECT CASE WHEN s.role = 'replica' THEN 'session_replication_role = replica: triggers don''t fire' END AS replica,
           CASE WHEN $1::bigint >= s.deadlock_ms
                THEN pg_catalog.format('lock_timeout %s ms is not below deadlock_timeout %s ms', $1::bigint, s.deadlock_ms) END AS locks,
           CASE WHEN NOT s.autovacuum THEN 'autovacuum = off' END AS vacuum
      FROM s
)
SELECT CASE WHEN bad.replica IS NOT NULL OR bad.vacuum IS NOT NULL THEN 'no-go'
            WHEN bad.locks IS NOT NULL THEN 'warn' ELSE 'pass' END AS outcome,
       coalesce(nullif(pg_catalog.concat_ws('; ', bad.replica, bad.vacuum, bad.locks), ''), 'as they should be') AS value,
       'autovacuum on, triggers fire, lock_timeout below deadlock_timeout' AS "limit",
       CASE WHEN bad.replica IS NOT NULL THEN 'ALTER ROLE ... RESET session_replication_role'
            WHEN bad.vacuum IS NOT NULL THEN 'ALTER SYSTEM SET autovacuum = on, then SELECT pg_reload_conf()'
            WHEN bad.locks IS NOT NULL THEN 'policy.lock_timeout below deadlock_timeout' END AS help
  FROM bad
