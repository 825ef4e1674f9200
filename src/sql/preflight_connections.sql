-- purpose: is there room for our sessions?
-- params: $1 how many we want
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH used AS (
    SELECT pg_catalog.count(*) AS n,
           pg_catalog.count(*) FILTER (WHERE a.datname = pg_catalog.current_database()) AS here,
           pg_catalog.count(*) FILTER (WHERE a.usename = current_user) AS own
      FROM pg_catalog.pg_stat_activity AS a
     WHERE a.datname IS NOT NULL
), room AS (
    SELECT least(pg_catalog.current_setting('max_connections')::bigint
                   - pg_catalog.current_setting('superuser_reserved_connections')::bigint - used.n,
                 CASE WHEN d.datconnlimit >= 0 THEN d.datconnlimit - used.here END,
                 CASE WHEN r.rolconnlimit >= 0 THEN r.rolconnlimit - used.own END) AS free
      FROM used, pg_catalog.pg_database AS d, pg_catalog.pg_roles AS r
     WHERE d.datname = pg_catalog.current_database() AND r.rolname = current_user
)
SELECT CASE WHEN room.free < $1::bigint THEN 'no-go' ELSE 'pass' END AS outcome,
       pg_catalog.format('%s free', room.free) AS value, pg_catalog.format('%s or more', $1::bigint) AS "limit",
       CASE WHEN room.free < $1::bigint
            THEN 'fewer workers, or room for more sessions: max_connections, or the limit of the database or role' END AS help
  FROM room
