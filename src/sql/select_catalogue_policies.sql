-- purpose: the policies of row level security
-- params: none
-- returns: one row each, by relation and name; second: whom it holds for, a role to a line; NULL: everybody; then USING and WITH CHECK
SELECT p.polrelid, CASE WHEN NOT 0 = ANY (p.polroles) THEN (SELECT E'\n' || COALESCE(pg_catalog.string_agg(u.rolname || E'\n', ''
  ORDER BY u.rolname), '') FROM pg_catalog.pg_roles u WHERE EXISTS (SELECT 1 FROM pg_catalog.unnest(p.polroles) AS x WHERE
  pg_catalog.pg_has_role(u.oid, x, 'USAGE'))) END, pg_catalog.pg_get_expr(p.polqual, p.polrelid),
  pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), p.polname, pg_catalog.concat_ws(' ', p.polcmd, p.polpermissive, (SELECT
  pg_catalog.string_agg(r.rolname, ',' ORDER BY r.rolname) FROM pg_catalog.pg_roles r WHERE r.oid = ANY
  (p.polroles)), pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck,
  p.polrelid)) FROM pg_catalog.pg_policy p ORDER BY p.polrelid, p.polname
