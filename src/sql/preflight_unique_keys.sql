-- purpose: columns that no two rows of a table share, of unique indexes without expressions and WHERE
-- params: $1 oid of the table, $2 array of columns that are written
-- returns: a row each: the index; its columns, quoted, with commas: those whose columns are all written
SELECT c.relname,
       pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY k.place)
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
 CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (number, place)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
 WHERE i.indrelid = $1::pg_catalog.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
   AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
 GROUP BY c.relname
HAVING pg_catalog.bool_and(a.attname = ANY ($2::pg_catalog.name[]))
 ORDER BY 1
