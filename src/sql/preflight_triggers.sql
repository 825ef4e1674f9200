-- purpose: triggers of the user's that fire once a row while a backfill changes rows
-- params: $1 oid of the table
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH t AS (
    SELECT pg_catalog.string_agg(g.tgname || ' calls ' || f.oid::pg_catalog.regprocedure::text, ', ' ORDER BY g.tgname) AS words
      FROM pg_catalog.pg_trigger AS g
      JOIN pg_catalog.pg_proc AS f ON f.oid = g.tgfoid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace
     WHERE g.tgrelid = $1::oid AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A') AND g.tgtype & 16 = 16
       AND n.nspname <> 'phasegate'
)
SELECT CASE WHEN t.words IS NULL THEN 'pass' ELSE 'warn' END AS outcome, coalesce(t.words, 'none') AS value,
       'none that fires on UPDATE' AS "limit",
       CASE WHEN t.words IS NOT NULL
            THEN 'see that it may run once for each row: an audit or outbox trigger writes as many rows as the table has' END AS help
  FROM t
