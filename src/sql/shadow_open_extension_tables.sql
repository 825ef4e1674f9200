-- purpose: lets the maker of rows into the tables of extensions
-- Tables of extensions stay with the superuser, and rows are made in them too.
-- params: the setting phasegate.seeds: that role
-- returns: nothing
DO $do$ DECLARE r record; BEGIN
FOR r IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_depend d ON d.objid = c.oid
AND d.classid = 'pg_class'::regclass AND d.deptype = 'e' WHERE c.relkind IN ('r', 'p')
AND c.oid >= 16384 LOOP EXECUTE format('GRANT SELECT, INSERT ON %s TO %I', r.name,
current_setting('phasegate.seeds')); END LOOP; END $do$
