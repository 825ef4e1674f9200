-- purpose: functions whose text names what is to be gone: the server keeps no dependency of a body that is a text
-- params: $1 oid of the table, $2 the column, NULL: the whole table, $3 names of functions that go before it, each in quotes
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH words AS (
    SELECT '(?i)\m' || pg_catalog.regexp_replace(c.relname::text, '([^[:alnum:]_])', '\\\1', 'g') || '\M' AS t,
           '(?i)\m' || pg_catalog.regexp_replace($2, '([^[:alnum:]_])', '\\\1', 'g') || '\M' AS c
      FROM pg_catalog.pg_class AS c
     WHERE c.oid = $1::pg_catalog.oid
), f AS (
    SELECT pg_catalog.string_agg(p.oid::pg_catalog.regprocedure::text, ', ' ORDER BY p.oid::pg_catalog.regprocedure::text) AS names
      FROM words
      JOIN pg_catalog.pg_proc AS p
        ON CASE WHEN words.c IS NULL THEN p.prosrc ~ words.t
                ELSE p.prosrc ~ words.c
                     AND (p.prosrc ~ words.t
                          OR EXISTS (SELECT FROM pg_catalog.pg_trigger AS g WHERE g.tgfoid = p.oid AND g.tgrelid = $1::pg_catalog.oid)) END
      JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'phasegate')
       AND '"' || pg_catalog.replace(p.proname::text, '"', '""') || '"' <> ALL ($3::text[])
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
)
SELECT CASE WHEN f.names IS NULL THEN 'pass' ELSE 'warn' END AS outcome, coalesce('named by ' || f.names, 'none names it') AS value,
       'no function names it' AS "limit",
       CASE WHEN f.names IS NOT NULL
            THEN 'the server doesn''t hold them together: they fail from then on when they are called, or find another column of that '
                 'name; change them, or drop them before it in this phase' END AS help
  FROM f
