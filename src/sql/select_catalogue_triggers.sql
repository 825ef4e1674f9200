-- purpose: the triggers of those relations, with a sum over their functions' bodies
-- params: none
-- returns: one row each, by relation and name
SELECT t.tgrelid, t.tgname, pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled,
  pg_catalog.md5(pg_catalog.regexp_replace(p.prosrc, '_drop_[0-9]{8}_', '_drop__', 'g')) FROM
  pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid JOIN pg_catalog.pg_class c ON c.oid
  = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE t.tgrelid >= 16384 AND NOT t.tgisinternal AND
  n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' AND
  NOT (p.proname = 'trap' AND p.pronamespace = pg_catalog.to_regnamespace('phasegate')) ORDER BY
  t.tgrelid, t.tgname
