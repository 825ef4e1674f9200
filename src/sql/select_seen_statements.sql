-- purpose: what ran in this database, with the search path of who ran it most; all of it, so that what is hidden can be counted
-- params: $1 only of this role (NULL: all), $2 the search path where none is set, $3 fewest calls, $4 LIKE, $5 NOT LIKE (NULL: all)
-- returns: a row a text: it, calls, search path; <<statements>> is the quoted name of the extension's function
WITH seen AS (
    SELECT s.query, s.userid, pg_catalog.sum(s.calls) AS calls FROM <<statements>>(true) AS s
     WHERE s.toplevel AND s.dbid = (SELECT o.oid FROM pg_catalog.pg_database AS o
                                     WHERE o.datname = pg_catalog.current_database())
     GROUP BY 1, 2),
chosen AS (
    SELECT s.*, a.rolname::pg_catalog.text AS role
      FROM seen AS s LEFT JOIN pg_catalog.pg_roles AS a ON a.oid = s.userid
     WHERE $1::pg_catalog.text IS NULL OR a.rolname = $1),
-- Whose settings hold is told by who ran it most.
summed AS (
    SELECT DISTINCT ON (query) query, userid, role, pg_catalog.sum(calls) OVER (PARTITION BY query) AS total
      FROM chosen ORDER BY query, calls DESC, role)
SELECT s.query, s.total::pg_catalog.text, pg_catalog.replace(coalesce(
         (SELECT pg_catalog.substr(o.setting, 13)
            FROM pg_catalog.pg_db_role_setting AS d, pg_catalog.unnest(d.setconfig) AS o (setting)
           WHERE o.setting LIKE 'search_path=%' AND d.setrole IN (0, s.userid)
             AND d.setdatabase IN (0, (SELECT b.oid FROM pg_catalog.pg_database AS b
                                        WHERE b.datname = pg_catalog.current_database()))
           ORDER BY d.setrole <> 0 DESC, d.setdatabase <> 0 DESC LIMIT 1), $2),
         '"$user"', pg_catalog.quote_ident(coalesce(s.role, '')))
  FROM summed AS s
 WHERE s.query IS NULL OR s.query = '<insufficient privilege>'
    OR (s.total >= $3::pg_catalog.int8 AND ($4::pg_catalog.text IS NULL OR s.query ILIKE $4)
        AND ($5::pg_catalog.text IS NULL OR s.query NOT ILIKE $5))
 ORDER BY s.total DESC, s.query
