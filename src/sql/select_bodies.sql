-- purpose: by what functions, domains, views, triggers, and policies of tables go, as far as it is text
-- params: $1 text[]: names, in any schema
-- returns: one row for each body, condition or query; NULLs among them
SELECT p.prosrc FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
 WHERE p.proname = ANY ($1::pg_catalog.text[]) AND p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
UNION ALL
SELECT pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_type AS t ON t.oid = k.contypid
 WHERE t.typname = ANY ($1::pg_catalog.text[])
UNION ALL
SELECT pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class AS c
 WHERE c.relname = ANY ($1::pg_catalog.text[]) AND c.relkind = 'v' AND c.oid >= 16384
UNION ALL
SELECT pg_catalog.pg_get_triggerdef(t.oid) FROM pg_catalog.pg_trigger AS t
 WHERE t.tgname = ANY ($1::pg_catalog.text[]) AND NOT t.tgisinternal
UNION ALL
SELECT pg_catalog.concat_ws(' ', pg_catalog.pg_get_expr(o.polqual, o.polrelid), pg_catalog.pg_get_expr(o.polwithcheck, o.polrelid))
  FROM pg_catalog.pg_policy AS o JOIN pg_catalog.pg_class AS c ON c.oid = o.polrelid WHERE c.relname = ANY ($1::pg_catalog.text[])
 ORDER BY 1
