-- purpose: is this a server that may be changed?
-- params: none
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
SELECT CASE WHEN pg_catalog.pg_is_in_recovery() OR v.num < 140000 THEN 'no-go' ELSE 'pass' END AS outcome,
       pg_catalog.format('%s, PostgreSQL %s, system %s, timeline %s',
                         CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'a standby' ELSE 'a primary' END,
                         pg_catalog.current_setting('server_version'), s.system_identifier, c.timeline_id) AS value,
       'a primary, PostgreSQL 14 or newer' AS "limit",
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'point the environment at the primary'
            WHEN v.num < 140000 THEN 'upgrade the server' END AS help
  FROM (SELECT pg_catalog.current_setting('server_version_num')::integer AS num) AS v,
       pg_catalog.pg_control_system() AS s, pg_catalog.pg_control_checkpoint() AS c
