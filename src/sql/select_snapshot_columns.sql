-- purpose: the columns of a table, and which of them tell its rows apart
-- params: $1 schema, $2 table
-- returns: one row each: name, type with its schema, generated?, place in the key (0: not in it)
WITH relation AS (
    SELECT c.oid
      FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1::text AND c.relname = $2::text AND c.relkind IN ('r', 'p')
), chosen AS (
    SELECT i.indkey, i.indnkeyatts
      FROM relation AS r
      JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid
     WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
       AND NOT EXISTS (SELECT 1
                         FROM pg_catalog.pg_attribute AS a
                        WHERE a.attrelid = r.oid AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull)
     ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid
     LIMIT 1
)
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '',
       coalesce((SELECT k.place
                   FROM chosen AS c, pg_catalog.unnest(c.indkey::int2[]) WITH ORDINALITY AS k (number, place)
                  WHERE k.number = a.attnum AND k.place <= c.indnkeyatts), 0)
  FROM relation AS r
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid
 WHERE a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
