-- purpose: what initdb gave whom
-- params: none
-- returns: a row each
SELECT 'pg_init_privs'::name, i.objoid, i.classoid, i.objsubid, i.initprivs FROM pg_catalog.pg_init_privs i WHERE i.objoid <
  '16384'::oid ORDER BY 2, 3, 4
