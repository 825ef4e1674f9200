-- purpose: everybody who ran something in this database
-- params: none
-- returns: a row a role, who ran most first; <<statements>> is the quoted name of the extension's function
SELECT a.rolname::pg_catalog.text
  FROM <<statements>>(false) AS s
  JOIN pg_catalog.pg_roles AS a ON a.oid = s.userid
 WHERE s.dbid = (SELECT o.oid FROM pg_catalog.pg_database AS o WHERE o.datname = pg_catalog.current_database())
 GROUP BY 1
 ORDER BY pg_catalog.sum(s.calls) DESC, 1
