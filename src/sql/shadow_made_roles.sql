-- purpose: roles that somebody has made on the shadow's server
-- params: none
-- returns: a name each
SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid >= 16384
