-- purpose: gives PostgreSQL's own objects back to the superuser, with initdb's privileges
-- PostgreSQL's own objects (public, 2200, aside) are the superuser's, and give nobody more than initdb did, but to
-- read. By hand: REVOKE takes only what one grantor gave. initdb makes information_schema after it has written down
-- what it gave, so USAGE to PUBLIC on it is known only from here.
-- params: none
-- returns: nothing
DO $do$ DECLARE r record; BEGIN
FOR r IN SELECT * FROM (VALUES ('pg_namespace', 'nspowner', 'nspacl', 'n'),
('pg_class', 'relowner', 'relacl', 'r'), ('pg_proc', 'proowner', 'proacl', 'f'),
('pg_type', 'typowner', 'typacl', 'T'), ('pg_language', 'lanowner', 'lanacl', 'l'))
v (cat, owner, acl, kind) LOOP
EXECUTE format('UPDATE %1$I c SET %2$I = 10, %3$I = i.initprivs FROM %1$I o
LEFT JOIN (SELECT objoid, classoid, initprivs FROM pg_init_privs WHERE objsubid = 0
UNION ALL SELECT n.oid, ''pg_namespace''::regclass, acldefault(''n'', 10) ||
makeaclitem(0, 10, ''USAGE'', false) FROM pg_namespace n
WHERE nspname = ''information_schema'' AND NOT EXISTS (SELECT FROM pg_init_privs p
WHERE p.objoid = n.oid AND p.classoid = ''pg_namespace''::regclass))
i ON i.objoid = o.oid AND i.classoid = %1$L::regclass WHERE o.oid = c.oid AND c.oid < 16384
AND c.oid <> 2200
AND (c.%2$I <> 10 OR EXISTS (SELECT x.grantee, x.privilege_type FROM aclexplode(c.%3$I) x
WHERE x.grantee <> 10 AND (x.privilege_type <> ''SELECT'' OR %4$L <> ''r'')
EXCEPT SELECT y.grantee, y.privilege_type
FROM aclexplode(coalesce(i.initprivs, acldefault(%4$L, 10))) y))',
r.cat, r.owner, r.acl, r.kind); END LOOP;
UPDATE pg_attribute c SET attacl = NULL WHERE attrelid < 16384 AND EXISTS (SELECT FROM
aclexplode(attacl) x WHERE x.grantee <> 10 AND x.privilege_type <> 'SELECT');
UPDATE pg_language SET lanpltrusted = false WHERE lanpltrusted AND lanname ~ 'u$';
IF current_setting('server_version_num')::int >= 150000 THEN
DELETE FROM pg_parameter_acl; END IF; END $do$
