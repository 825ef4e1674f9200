-- purpose: the time of the week, in a time zone
-- params: $1 the zone
-- returns: one row: day of the week, 1 is Monday; minutes since midnight
SELECT EXTRACT(isodow FROM t.now)::pg_catalog.int4, (EXTRACT(hour FROM t.now) * 60 + EXTRACT(minute FROM t.now))::pg_catalog.int4
  FROM (SELECT pg_catalog.timezone($1, pg_catalog.clock_timestamp()) AS now) AS t
