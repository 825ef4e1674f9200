-- purpose: what tells whether a statement gave a column a value, and whether rows reach a table past its statements
-- params: $1 schema, $2 table, $3 column (NULL: the whole table)
-- returns: one row, none where there is no such thing: rows come by way of a parent (a whole table has left its parents by
--          then), or it has partitions; the column's value is computed or counted by the server; its default; its type; is
--          the default the same whoever computes it?
SELECT c.relkind = 'p'
       OR ($3::text IS NOT NULL AND EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid)),
       a.attidentity <> '' OR a.attgenerated <> '', coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), t.typdefault),
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       NOT EXISTS (
           SELECT FROM pg_catalog.regexp_matches(coalesce(d.adbin, t.typdefaultbin)::text, ':(?:func|opfunc)id (\d+)', 'g') AS m
             LEFT JOIN pg_catalog.pg_proc AS f ON f.oid = m[1]::oid
            WHERE f.oid IS NULL OR f.oid >= 16384 OR f.provolatile = 'v')
       AND coalesce(d.adbin, t.typdefaultbin)::text !~ 'NEXTVALUEEXPR'
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = $3::text AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
  LEFT JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
 WHERE n.nspname = $1::text AND c.relname = $2::text
