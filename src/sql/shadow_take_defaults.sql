-- purpose: default privileges of whoever made the baseline become the limited role's
-- Whoever made tables in the baseline had rights granted on them by default: so has it now.
-- params: the setting phasegate.owner
-- returns: nothing
DO $do$ DECLARE r record; me text := current_setting('phasegate.owner'); BEGIN
FOR r IN SELECT DISTINCT coalesce('IN SCHEMA ' || quote_ident(n.nspname), '') AS place,
d.kind, x.privilege_type AS what,
CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(g.rolname) END AS grantee,
x.is_grantable FROM pg_default_acl a
JOIN (VALUES ('r', 'TABLES'), ('S', 'SEQUENCES'), ('f', 'FUNCTIONS'), ('T', 'TYPES'),
('n', 'SCHEMAS')) d (type, kind) ON d.type = a.defaclobjtype
LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace, aclexplode(a.defaclacl) x
LEFT JOIN pg_roles g ON g.oid = x.grantee
WHERE x.grantee <> a.defaclrole AND g.rolname IS DISTINCT FROM me
AND (x.grantee = 0 OR g.oid IS NOT NULL) LOOP
EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %s GRANT %s ON %s TO %s %s', me,
r.place,
r.what, r.kind, r.grantee, CASE WHEN r.is_grantable THEN 'WITH GRANT OPTION' ELSE '' END);
END LOOP;
FOR r IN SELECT CASE a.defaclobjtype WHEN 'f' THEN 'FUNCTIONS' ELSE 'TYPES' END AS kind
FROM pg_default_acl a WHERE a.defaclnamespace = 0 AND a.defaclobjtype IN ('f', 'T')
AND NOT EXISTS (SELECT FROM aclexplode(a.defaclacl) x WHERE x.grantee = 0) LOOP
EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE ALL ON %s FROM PUBLIC', me,
r.kind); END LOOP; END $do$
