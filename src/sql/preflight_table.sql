-- purpose: a relation by its name; runs under the user's search_path, so operators are named with their schema too
-- params: $1 name, quoted, as the search path finds it
-- returns: one row: oid, its name as it is shown, size in bytes with indexes and TOAST; none: there is none
SELECT c.oid, c.oid::pg_catalog.regclass::pg_catalog.text AS name,
       (SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(t.relid))::pg_catalog.int8
          FROM (SELECT p.relid FROM pg_catalog.pg_partition_tree(c.oid) AS p UNION SELECT c.oid) AS t (relid)) AS bytes
  FROM pg_catalog.pg_class AS c
 WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)::pg_catalog.oid
