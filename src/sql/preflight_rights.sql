-- purpose: may we change this table, and do we see all of its rows?
-- params: $1 oid of the table, $2 is its definition changed, $3 are its rows changed
-- returns: one row: outcome (pass, warn, no-go), value, limit, what to do
WITH t AS (
    SELECT c.oid, pg_catalog.pg_has_role(current_user, c.relowner, 'USAGE') AS is_owner,
           pg_catalog.pg_get_userbyid(c.relowner) AS owner,
           pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_any_column_privilege(c.oid, 'UPDATE') AS may_update,
           c.relkind NOT IN ('r', 'p') AS is_other,
           CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table'
                          ELSE 'a relation of kind ' || c.relkind::text END AS kind,
           pg_catalog.row_security_active(c.oid) AS is_filtered
      FROM pg_catalog.pg_class AS c
     WHERE c.oid = $1::oid
), bad AS (
    SELECT CASE WHEN t.is_other AND $3::boolean THEN t.kind END AS kind,
           CASE WHEN NOT t.is_owner AND $2::boolean THEN 'belongs to ' || t.owner END AS owner,
           CASE WHEN NOT t.may_update AND $3::boolean THEN 'no right to SELECT and UPDATE' END AS rights,
           CASE WHEN t.is_filtered THEN 'row security hides rows from this role' END AS rows
      FROM t
)
SELECT CASE WHEN coalesce(bad.owner, bad.rights, bad.rows) IS NOT NULL THEN 'no-go'
            WHEN bad.kind IS NOT NULL THEN 'warn' ELSE 'pass' END AS outcome,
       coalesce(nullif(pg_catalog.concat_ws('; ', bad.kind, bad.owner, bad.rights, bad.rows), ''), 'all that is needed') AS value,
       'owner where the table is changed, UPDATE where rows are, no row security' AS "limit",
       CASE WHEN bad.owner IS NOT NULL THEN 'run as a member of that role'
            WHEN bad.rights IS NOT NULL THEN 'GRANT SELECT, UPDATE to this role'
            WHEN bad.rows IS NOT NULL THEN 'ALTER ROLE ... BYPASSRLS, or run as the owner'
            WHEN bad.kind IS NOT NULL THEN 'name the tables behind it' END AS help
  FROM bad
