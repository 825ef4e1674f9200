-- purpose: a relation by its name; runs under the user's search_path, so operators are named with their schema too
-- params: $1 name, quoted, as the search path finds it
-- returns: one row: oid, its name as it is shown, size in bytes with indexes and TOAST, of that its indexes, rows by the
--          statistics (NULL: not known), schema.name without quotes; none: there is none
SELECT c.oid, c.oid::pg_catalog.regclass::pg_catalog.text AS name, parts.bytes, parts.index_bytes, parts.rows,
       n.nspname::pg_catalog.text OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) c.relname::pg_catalog.text AS plain
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace,
       LATERAL (SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(t.relid))::pg_catalog.int8 AS bytes,
                       pg_catalog.sum(pg_catalog.pg_indexes_size(t.relid))::pg_catalog.int8 AS index_bytes,
                       (pg_catalog.sum(x.reltuples) FILTER (WHERE x.reltuples OPERATOR(pg_catalog.>=) 0
                                                              AND x.relkind OPERATOR(pg_catalog.<>) 'p'))::pg_catalog.int8 AS rows
                  FROM (SELECT p.relid FROM pg_catalog.pg_partition_tree(c.oid) AS p UNION SELECT c.oid) AS t (relid)
                  JOIN pg_catalog.pg_class AS x ON x.oid OPERATOR(pg_catalog.=) t.relid) AS parts
 WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)::pg_catalog.oid
