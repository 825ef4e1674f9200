-- purpose: cancel those of our batches that somebody waits for
-- params: $1 pids of our workers, $2 milliseconds that somebody may wait
-- returns: one row a batch that was cancelled: pid, how many wait for it
SELECT b.pid, pg_catalog.count(DISTINCT b.waits) AS waiting, pg_catalog.pg_cancel_backend(b.pid) AS is_cancelled
  FROM (SELECT w.pid AS waits, pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS pid
          FROM (SELECT DISTINCT l.pid FROM pg_catalog.pg_locks AS l
                 WHERE NOT l.granted AND l.pid <> ALL ($1::integer[])
                   AND l.waitstart < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $2::float8 / 1000)) AS w) AS b
 WHERE b.pid = ANY ($1::integer[])
 GROUP BY b.pid
