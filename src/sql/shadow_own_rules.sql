-- purpose: rules of PostgreSQL's own views
-- params: none
-- returns: a row each: the view's name first
SELECT c.relname, r.rulename, r.ev_action FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class WHERE c.oid <
  '16384'::oid ORDER BY c.oid, r.oid
