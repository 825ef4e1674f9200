-- purpose: closes foreign servers and wrappers
-- Ways out of the database that an extension of the baseline may have opened.
-- params: none
-- returns: nothing
DO $do$ DECLARE r record; BEGIN
FOR r IN SELECT s.srvname, CASE m.umuser WHEN 0 THEN 'PUBLIC'
ELSE quote_ident(pg_get_userbyid(m.umuser)) END AS who FROM pg_user_mapping m
JOIN pg_foreign_server s ON s.oid = m.umserver LOOP
EXECUTE format('DROP USER MAPPING FOR %s SERVER %I', r.who, r.srvname); END LOOP;
FOR r IN SELECT 'FOREIGN SERVER' AS kind, srvname AS name, 'SERVER' AS word FROM
pg_foreign_server UNION ALL SELECT 'FOREIGN DATA WRAPPER', fdwname, 'FOREIGN DATA WRAPPER'
FROM pg_foreign_data_wrapper LOOP
EXECUTE format('ALTER %s %I OWNER TO CURRENT_USER', r.word, r.name);
EXECUTE (SELECT format('REVOKE ALL ON %s %I FROM PUBLIC, %s', r.kind, r.name,
string_agg(quote_ident(rolname), ', ')) FROM pg_roles WHERE NOT rolsuper AND oid >= 16384);
END LOOP;
-- Of the others some need no user mapping: for a file, or with a password in the server's options.
FOR r IN SELECT w.fdwname FROM pg_foreign_data_wrapper w WHERE w.fdwhandler <> 0 AND NOT
EXISTS
(SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
AND d.refclassid = 'pg_extension'::regclass WHERE d.classid =
'pg_foreign_data_wrapper'::regclass
AND d.objid = w.oid AND d.deptype = 'e' AND e.extname = 'postgres_fdw') LOOP
EXECUTE format('ALTER FOREIGN DATA WRAPPER %I NO HANDLER', r.fdwname); END LOOP; END $do$
