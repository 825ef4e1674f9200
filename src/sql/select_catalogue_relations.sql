-- purpose: every relation of the user's in the database: what it is made of
-- params: none
-- returns: one row each, ascending by oid; fourth: does an extension own it? fifth: a view that reads with the rights of who asks
SELECT c.oid, c.relfilenode, c.relispopulated, EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid =
  'pg_catalog.pg_class'::pg_catalog.regclass AND x.objid = c.oid AND x.deptype = 'e'),
  EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'security_invoker' AND
  o.option_value::pg_catalog.bool), n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner),
  c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.relpersistence, (SELECT
  pg_catalog.string_agg(o, ',' ORDER BY o) FROM pg_catalog.unnest(c.reloptions) AS o WHERE o ~
  '^(security_|check_option|user_catalog_table)'), CASE WHEN
  c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END, CASE WHEN c.relkind = 'p' THEN
  pg_catalog.pg_get_partkeydef(c.oid) END, pg_catalog.pg_get_expr(c.relpartbound, c.oid), (SELECT
  pg_catalog.string_agg(i.inhparent::pg_catalog.regclass::pg_catalog.text, ',' ORDER BY i.inhseqno) FROM
  pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid), c.relreplident, CASE WHEN c.relkind = 'S' THEN (SELECT
  pg_catalog.concat_ws(',', s.seqtypid, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcycle) FROM
  pg_catalog.pg_sequence s WHERE s.seqrelid = c.oid) END FROM pg_catalog.pg_class c JOIN
  pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND
  n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' ORDER BY c.oid
