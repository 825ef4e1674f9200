-- purpose: the files of the user's tables: a rewrite makes another one
-- params: none
-- returns: a row each, by oid: oid, number of the file, name
SELECT c.oid, c.relfilenode, c.relname FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'm', 'p') AND c.oid >= 16384
ORDER BY c.oid
