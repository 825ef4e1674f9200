-- purpose: what the types of some columns are called, as SQL can name them with this search path
-- params: $1 oid of the table, $2 array of columns
-- returns: one row for each column, in the order given: its type; NULL: there is no such column
SELECT pg_catalog.format_type(a.atttypid, a.atttypmod)
  FROM pg_catalog.unnest($2::text[]) WITH ORDINALITY AS u (name, number)
  LEFT JOIN pg_catalog.pg_attribute AS a
         ON a.attrelid = $1::oid AND a.attname = u.name AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY u.number
