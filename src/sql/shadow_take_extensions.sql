-- purpose: makes the limited role the owner of extensions
-- An extension can be dropped by whom it belongs to, and there is no ALTER EXTENSION ... OWNER. Its members stay
-- with the superuser: they may do what nobody else may. Only on our own server, by hand.
-- params: the setting phasegate.owner: that role
-- returns: nothing
DO $do$ DECLARE me oid := to_regrole(quote_ident(current_setting('phasegate.owner'))); BEGIN
SET LOCAL allow_system_table_mods = on;
INSERT INTO pg_shdepend (dbid, classid, objid, objsubid, refclassid, refobjid, deptype)
SELECT d.oid, 'pg_extension'::regclass, e.oid, 0, 'pg_authid'::regclass, me, 'o'
FROM pg_extension e, pg_database d WHERE d.datname = current_database() AND e.oid >= 16384
AND e.extowner = 10;
UPDATE pg_extension SET extowner = me WHERE oid >= 16384 AND extowner = 10; END $do$
