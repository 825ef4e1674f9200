-- purpose: what a new version of a row costs beside the row: indexes, and room on its page
-- params: $1 oid of the table, $2 the columns that are set
-- returns: one row: bytes of all indexes, how many there are, is a set column in one of them, fillfactor
SELECT (SELECT coalesce(pg_catalog.sum(pg_catalog.pg_indexes_size(p.relid)), 0)::pg_catalog.int8
          FROM (SELECT t.relid::pg_catalog.oid AS relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) AS t
                 WHERE t.isleaf UNION SELECT $1::pg_catalog.oid) AS p) AS index_bytes,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indislive) AS indexes,
       EXISTS (SELECT FROM pg_catalog.pg_index AS i
                WHERE i.indrelid = c.oid
                  AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
                       OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                                   WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey) AND a.attname = ANY ($2::text[]))))
       AS is_indexed,
       coalesce((SELECT o.option_value::pg_catalog.int4 FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
                  WHERE o.option_name = 'fillfactor'), 100) AS fillfactor
  FROM pg_catalog.pg_class AS c
 WHERE c.oid = $1::pg_catalog.oid
