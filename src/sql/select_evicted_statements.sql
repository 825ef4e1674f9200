-- purpose: how often has pg_stat_statements thrown out the statements with the fewest calls to make room?
-- params: none
-- returns: one row: how often, since when (UTC), how many it may hold; <<info>> is the quoted name of pg_stat_statements_info
SELECT i.dealloc::pg_catalog.text,
       pg_catalog.to_char(i.stats_reset AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       pg_catalog.current_setting('pg_stat_statements.max')
  FROM <<info>>() AS i
