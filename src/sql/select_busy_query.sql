-- purpose: what keeps a database from being dropped: a statement that the server can't cancel
-- params: $1 the database
-- returns: a row each session that is at work there, the oldest first: the beginning of its statement
SELECT pg_catalog.left(a.query, 300)
  FROM pg_catalog.pg_stat_activity AS a
 WHERE a.datname = $1 AND a.pid <> pg_catalog.pg_backend_pid() AND a.state = 'active'
 ORDER BY a.query_start, a.pid
