-- purpose: set a restore point
-- params: $1 name, 63 bytes at most
-- returns: one row: its LSN, the segment of WAL that holds it, that segment's timeline
WITH point AS MATERIALIZED (
    SELECT pg_catalog.pg_create_restore_point($1::text) AS lsn
), file AS MATERIALIZED (
    SELECT p.lsn, pg_catalog.pg_walfile_name(p.lsn) AS name FROM point AS p
)
SELECT f.lsn, f.name, ('x' || pg_catalog.left(f.name, 8))::bit(32)::bigint FROM file AS f
