-- purpose: what names a row of a table
-- params: $1 oid of the table
-- returns: columns of its primary key, in order; none: it has no primary key
SELECT a.attname
  FROM pg_catalog.pg_index AS i
  CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::smallint[]) WITH ORDINALITY AS u (number, place)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = u.number
 WHERE i.indrelid = $1::oid AND i.indisprimary
 ORDER BY u.place
