-- purpose: the columns by which a table is parted, in their order
-- params: $1 name, quoted, as the search_path finds it
-- returns: one row each: name; NULL: an expression. None: it isn't parted
SELECT a.attname
  FROM pg_catalog.pg_partitioned_table AS p,
       pg_catalog.unnest(p.partattrs::pg_catalog.int2[]) WITH ORDINALITY AS k (number, place)
  LEFT JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = pg_catalog.to_regclass($1::pg_catalog.text) AND a.attnum = k.number AND a.attnum > 0
 WHERE p.partrelid = pg_catalog.to_regclass($1::pg_catalog.text)
 ORDER BY k.place
