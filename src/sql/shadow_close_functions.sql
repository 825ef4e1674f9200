-- purpose: takes functions that reach out of the database from PUBLIC
-- params: none
-- returns: nothing
DO $do$ DECLARE r record; BEGIN
FOR r IN SELECT p.oid::regprocedure AS name FROM pg_depend d JOIN pg_extension e
ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
WHERE e.extname IN ('dblink', 'http', 'pg_net', 'pgsql-http', 'aws_s3', 'aws_lambda',
'adminpack', 'file_fdw', 'pg_cron', 'pg_background', 'plproxy', 'plsh', 'citus',
'pgagent', 'pglogical', 'oracle_fdw', 'mysql_fdw', 'tds_fdw', 'mongo_fdw', 'orafce')
AND (e.extname <> 'orafce' OR p.proname LIKE 'utl%') LOOP
EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', r.name); END LOOP; END $do$
