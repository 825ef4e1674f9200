-- purpose: functions in SQL whose body is a text that is read each time, and that have a parameter of a name
-- params: $1 the function's name, $2 the parameter's
-- returns: one row each: "(parameters) RETURNS type", and the body without its last semicolon
SELECT pg_catalog.format('(%s) RETURNS %s', pg_catalog.pg_get_function_arguments(f.oid),
  COALESCE(pg_catalog.pg_get_function_result(f.oid), 'void')), pg_catalog.regexp_replace(f.prosrc, '[;[:space:]]+$', '')
  FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_language l ON l.oid = f.prolang WHERE l.lanname = 'sql' AND f.prosqlbody
  IS NULL AND f.proname = $1 AND $2 = ANY (f.proargnames) AND pg_catalog.strpos(f.prosrc, $2) > 0 AND f.oid >= 16384
