-- purpose: makes the limited role the owner of what a baseline made as a strong one
-- Owner of what: catalogue, name of the object, ALTER ...
-- params: the setting phasegate.owner: that role
-- returns: nothing
DO $do$ DECLARE r record; me text := current_setting('phasegate.owner'); n int := 0;
BEGIN
FOR r IN WITH strong AS (SELECT o.oid FROM pg_roles o WHERE EXISTS
(SELECT FROM pg_roles u WHERE
(u.rolsuper OR u.rolcreaterole OR u.rolreplication OR u.rolname IN ('pg_execute_server_program',
  'pg_read_server_files', 'pg_write_server_files', 'pg_create_subscription', 'pg_signal_backend')) AND
  pg_has_role(o.oid, u.oid, 'MEMBER'))
OR o.rolname = 'pg_database_owner'),
own AS (SELECT e.objid, e.classid FROM pg_depend e WHERE e.deptype = 'e'
-- Views and rules reach what their owner reaches, whoever put them into an extension.
AND NOT (e.classid = 'pg_class'::regclass AND e.objid IN (SELECT ev_class FROM pg_rewrite)))
SELECT format(what, name) AS sql FROM (SELECT 1 AS place, c.oid, 'pg_namespace'::regclass AS class, nspowner AS owner,
'SCHEMA %s' AS what, format('%I', nspname) AS name FROM pg_namespace c
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL SELECT 2, c.oid, 'pg_class', relowner, 'TABLE %s', c.oid::regclass::text
FROM pg_class c WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND c.relkind = 'S')
UNION ALL SELECT 3, c.oid, 'pg_proc', proowner, 'ROUTINE %s', c.oid::regprocedure::text
FROM pg_proc c
UNION ALL SELECT 3, c.oid, 'pg_type', typowner, 'TYPE %s', c.oid::regtype::text FROM pg_type
c
WHERE typtype IN ('b', 'c', 'd', 'e', 'r') AND typisdefined
AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = c.oid)
AND (typrelid = 0 OR EXISTS (SELECT FROM pg_class k WHERE k.oid = c.typrelid
AND k.relkind = 'c'))
UNION ALL SELECT 3, c.oid, 'pg_operator', oprowner, 'OPERATOR %s', c.oid::regoperator::text
FROM pg_operator c
UNION ALL SELECT 3, c.oid, 'pg_opclass', opcowner, 'OPERATOR CLASS %s',
format('%I.%I USING %I', n.nspname, opcname, amname) FROM pg_opclass c
JOIN pg_namespace n ON n.oid = opcnamespace JOIN pg_am m ON m.oid = opcmethod
UNION ALL SELECT 3, c.oid, 'pg_opfamily', opfowner, 'OPERATOR FAMILY %s',
format('%I.%I USING %I', n.nspname, opfname, amname) FROM pg_opfamily c
JOIN pg_namespace n ON n.oid = opfnamespace JOIN pg_am m ON m.oid = opfmethod
UNION ALL SELECT 3, c.oid, 'pg_collation', collowner, 'COLLATION %s',
format('%I.%I', n.nspname, collname) FROM pg_collation c
JOIN pg_namespace n ON n.oid = collnamespace
UNION ALL SELECT 3, c.oid, 'pg_conversion', conowner, 'CONVERSION %s',
format('%I.%I', n.nspname, conname) FROM pg_conversion c
JOIN pg_namespace n ON n.oid = connamespace
UNION ALL SELECT 3, c.oid, 'pg_statistic_ext', stxowner, 'STATISTICS %s',
format('%I.%I', n.nspname, stxname) FROM pg_statistic_ext c
JOIN pg_namespace n ON n.oid = stxnamespace
UNION ALL SELECT 3, c.oid, 'pg_ts_dict', dictowner, 'TEXT SEARCH DICTIONARY %s',
c.oid::regdictionary::text FROM pg_ts_dict c
UNION ALL SELECT 3, c.oid, 'pg_ts_config', cfgowner, 'TEXT SEARCH CONFIGURATION %s',
c.oid::regconfig::text FROM pg_ts_config c
UNION ALL SELECT 3, c.oid, 'pg_largeobject', lomowner, 'LARGE OBJECT %s', c.oid::text
FROM pg_largeobject_metadata c
UNION ALL SELECT 3, c.oid, 'pg_publication', pubowner, 'PUBLICATION %s',
format('%I', pubname) FROM pg_publication c WHERE NOT puballtables) o JOIN strong ON strong.oid = o.owner
WHERE (o.oid >= 16384 OR (place = 1 AND name = 'public'))
AND NOT EXISTS (SELECT FROM own WHERE own.objid = o.oid AND own.classid = o.class)
ORDER BY place, o.oid LOOP
EXECUTE 'ALTER ' || r.sql || ' OWNER TO ' || quote_ident(me);
n := n + 1; IF n % 200 = 0 THEN COMMIT; END IF; END LOOP; END $do$
