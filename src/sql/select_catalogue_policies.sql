-- purpose: the policies of row level security
-- params: none
-- returns: one row each, by relation and name
SELECT p.polrelid, p.polname, pg_catalog.concat_ws(' ', p.polcmd, p.polpermissive, (SELECT
  pg_catalog.string_agg(r.rolname, ',' ORDER BY r.rolname) FROM pg_catalog.pg_roles r WHERE r.oid = ANY
  (p.polroles)), pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck,
  p.polrelid)) FROM pg_catalog.pg_policy p ORDER BY p.polrelid, p.polname
