-- purpose: is a segment of WAL in the archive?
-- params: $1 segment
-- returns: one row: is it?, is it still being written?, is the server on its timeline?, the last that was archived, the one that
--          can't be (NULL: none)
SELECT coalesce(a.last_archived_wal ~ '^[0-9A-F]{24}([.][0-9A-F]{8}[.]backup)?$'
                AND pg_catalog.left(a.last_archived_wal, 8) = pg_catalog.left($1::text, 8)
                AND pg_catalog.left(a.last_archived_wal, 24) COLLATE pg_catalog."C" >= $1::text, false),
       n.current COLLATE pg_catalog."C" <= $1::text,
       pg_catalog.left(n.current, 8) = pg_catalog.left($1::text, 8),
       a.last_archived_wal,
       CASE WHEN a.last_failed_time > coalesce(a.last_archived_time, '-infinity') THEN a.last_failed_wal END
  FROM pg_catalog.pg_stat_archiver AS a,
       (SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()) AS current) AS n
