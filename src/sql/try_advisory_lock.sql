-- purpose: take a session advisory lock if it is free. Not twice: it doesn't count up
-- params: $1 class, $2 key
-- returns: one row: got it, had it before, backend pid
SELECT CASE WHEN mine.held THEN true ELSE pg_catalog.pg_try_advisory_lock($1::integer, $2::integer) END AS got,
       mine.held AS had, pg_catalog.pg_backend_pid() AS backend_pid
  FROM (SELECT EXISTS (SELECT FROM pg_catalog.pg_locks AS l
                        WHERE l.locktype = 'advisory' AND l.objsubid = 2
                          AND l.classid = $1::integer::oid AND l.objid = $2::integer::oid
                          AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                                             WHERE d.datname = pg_catalog.current_database())
                          AND l.pid = pg_catalog.pg_backend_pid() AND l.granted) AS held) AS mine
