-- purpose: what the roles that statements run as may do, and whose rows they see
-- params: $1 those roles, as one array; $2 who runs the steps, NULL: this session's role; $3 true: of columns only those that
--   have rights of their own
-- returns: one row each: what, and the rights as letters: r a w d D of relations and columns, * sees every row, U C of schemas,
--   X of routines; the roles that are there with no letter
WITH n AS (
    SELECT s.oid, s.nspname FROM pg_catalog.pg_namespace AS s
     WHERE s.nspname NOT IN ('pg_catalog', 'information_schema') AND s.nspname !~ '^(pg_(toast|temp)|phasegate(_hold)?$)'
), u AS (
    SELECT r.oid, r.rolname, r.rolsuper, r.rolbypassrls FROM pg_catalog.pg_roles AS r
     WHERE r.rolname = ANY ($1::pg_catalog.text[])
), maker AS (
    SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = coalesce($2, CURRENT_USER::pg_catalog.text)
), c AS (
    SELECT r.*, n.nspname || '.' || r.relname AS name FROM pg_catalog.pg_class AS r JOIN n ON n.oid = r.relnamespace
     WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                          AND d.objid = r.oid AND d.deptype = 'e')
)
SELECT 'role ' || u.rolname AS name, '' AS rights FROM u
UNION ALL
SELECT 'rights of ' || u.rolname || ' on schema ' || n.nspname, pg_catalog.concat(
           CASE WHEN pg_catalog.has_schema_privilege(u.oid, n.oid, 'USAGE') THEN 'U' END,
           CASE WHEN pg_catalog.has_schema_privilege(u.oid, n.oid, 'CREATE') THEN 'C' END)
  FROM u CROSS JOIN n
UNION ALL
SELECT 'rights of ' || u.rolname || CASE c.relkind WHEN 'v' THEN ' on view ' WHEN 'm' THEN ' on materialized view '
           WHEN 'f' THEN ' on foreign table ' ELSE ' on table ' END || c.name, pg_catalog.concat(
           CASE WHEN pg_catalog.has_table_privilege(u.oid, c.oid, 'SELECT') THEN 'r' END,
           CASE WHEN pg_catalog.has_table_privilege(u.oid, c.oid, 'INSERT') THEN 'a' END,
           CASE WHEN pg_catalog.has_table_privilege(u.oid, c.oid, 'UPDATE') THEN 'w' END,
           CASE WHEN pg_catalog.has_table_privilege(u.oid, c.oid, 'DELETE') THEN 'd' END,
           CASE WHEN pg_catalog.has_table_privilege(u.oid, c.oid, 'TRUNCATE') THEN 'D' END,
           CASE WHEN NOT c.relrowsecurity OR u.rolsuper OR u.rolbypassrls
                     OR (NOT c.relforcerowsecurity AND pg_catalog.pg_has_role(u.oid, c.relowner, 'USAGE')) THEN '*' END)
  FROM u CROSS JOIN c WHERE c.relkind <> 'S'
UNION ALL
SELECT 'rights of ' || u.rolname || ' on sequence ' || c.name, pg_catalog.concat(
           CASE WHEN pg_catalog.has_sequence_privilege(u.oid, c.oid, 'USAGE') THEN 'U' END,
           CASE WHEN pg_catalog.has_sequence_privilege(u.oid, c.oid, 'SELECT') THEN 'r' END,
           CASE WHEN pg_catalog.has_sequence_privilege(u.oid, c.oid, 'UPDATE') THEN 'w' END)
  FROM u CROSS JOIN c WHERE c.relkind = 'S'
UNION ALL
SELECT 'rights of ' || u.rolname || ' on column ' || c.name || '.' || a.attname, pg_catalog.concat(
           CASE WHEN pg_catalog.has_column_privilege(u.oid, c.oid, a.attnum, 'SELECT') THEN 'r' END,
           CASE WHEN pg_catalog.has_column_privilege(u.oid, c.oid, a.attnum, 'INSERT') THEN 'a' END,
           CASE WHEN pg_catalog.has_column_privilege(u.oid, c.oid, a.attnum, 'UPDATE') THEN 'w' END)
  FROM u CROSS JOIN c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind <> 'S' AND (NOT $3::boolean OR a.attacl IS NOT NULL)
UNION ALL
SELECT 'rights of ' || u.rolname || ' on routine ' || n.nspname || '.' || p.proname || '('
           || pg_catalog.oidvectortypes(p.proargtypes) || ')',
       CASE WHEN pg_catalog.has_function_privilege(u.oid, p.oid, 'EXECUTE') THEN 'X' END
  FROM u CROSS JOIN pg_catalog.pg_proc AS p JOIN n ON n.oid = p.pronamespace
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                      AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
-- What they would have of what the steps make.
SELECT 'rights of ' || u.rolname || ' on new ' || k.word || ' in schema ' || n.nspname, (
           SELECT pg_catalog.string_agg(DISTINCT CASE x.privilege_type WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a'
                      WHEN 'UPDATE' THEN 'w' WHEN 'DELETE' THEN 'd' WHEN 'TRUNCATE' THEN 'D' WHEN 'USAGE' THEN 'U'
                      WHEN 'EXECUTE' THEN 'X' END, '')
             FROM (SELECT e.* FROM pg_catalog.aclexplode(coalesce((SELECT g.defaclacl FROM pg_catalog.pg_default_acl AS g
                       WHERE g.defaclrole = m.oid AND g.defaclnamespace = 0 AND g.defaclobjtype = k.type),
                       pg_catalog.acldefault(CASE k.type WHEN 'S' THEN 's'::"char" ELSE k.type END, m.oid))) AS e
                   UNION ALL
                   SELECT e.* FROM pg_catalog.pg_default_acl AS g, pg_catalog.aclexplode(g.defaclacl) AS e
                    WHERE g.defaclrole = m.oid AND g.defaclnamespace = n.oid AND g.defaclobjtype = k.type) AS x
            WHERE x.grantee = 0 OR pg_catalog.pg_has_role(u.oid, x.grantee, 'USAGE'))
  FROM u CROSS JOIN n CROSS JOIN maker AS m
  CROSS JOIN (VALUES ('r'::"char", 'tables'), ('S'::"char", 'sequences'), ('f'::"char", 'functions')) AS k (type, word)
