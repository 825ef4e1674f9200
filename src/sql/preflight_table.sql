-- purpose: a relation by its name
-- params: $1 name, quoted, as the search path finds it
-- returns: one row: oid, its name as it is shown, size in bytes with indexes and TOAST; none: there is none
SELECT c.oid, c.oid::pg_catalog.regclass::text AS name,
       (SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(t.relid))::bigint
          FROM (SELECT p.relid FROM pg_catalog.pg_partition_tree(c.oid) AS p UNION SELECT c.oid) AS t (relid)) AS bytes
  FROM pg_catalog.pg_class AS c
 WHERE c.oid = pg_catalog.to_regclass($1)
