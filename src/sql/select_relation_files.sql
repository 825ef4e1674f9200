-- purpose: the files of the user's tables, and the locks that a session holds on them: a rewrite makes another file
-- params: $1 pid of the session's backend
-- returns: a row each lock, or one without, by oid: oid, number of the file, name, mode of the lock
SELECT c.oid, c.relfilenode, c.relname, l.mode
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_locks l ON l.relation = c.oid AND l.pid = $1::integer AND l.granted
AND l.locktype = 'relation'
AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
WHERE c.relkind IN ('r', 'm', 'p', 'f') AND c.oid >= 16384 ORDER BY c.oid
