-- purpose: where the server's extensions come from
-- params: none
-- returns: a folder each, of their control files and of their programs
SELECT c.setting || '/extension' FROM pg_catalog.pg_config c WHERE c.name = 'SHAREDIR' UNION ALL
SELECT c.setting FROM pg_catalog.pg_config c WHERE c.name = 'PKGLIBDIR'
