-- purpose: is pg_stat_statements in this database, and what does it show of others?
-- params: none
-- returns: none, or one row: its quoted name, may we see statements of every role?, who we are, is it 1.9 or newer?,
--          what does it count? (none, top, all; NULL: the server hasn't loaded it)
SELECT pg_catalog.format('%I.pg_stat_statements', n.nspname),
       pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), current_user,
       pg_catalog.to_regprocedure(pg_catalog.format('%I.pg_stat_statements_info()', n.nspname)) IS NOT NULL,
       pg_catalog.current_setting('pg_stat_statements.track', true)
  FROM pg_catalog.pg_extension AS x
  JOIN pg_catalog.pg_namespace AS n ON n.oid = x.extnamespace
 WHERE x.extname = 'pg_stat_statements'
