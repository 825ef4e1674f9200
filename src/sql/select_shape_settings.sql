-- purpose: settings that make statements mean something else
-- params: $1 roles that statements run as, as one array, '' where none is said; $2 false: what the database and its roles set,
--   of a server in use; true: what a session on the shadow has whose release says nothing
-- returns: one row each: setting, of which role where it is one's own, and the value in one form
WITH names (name, lower_name) AS (
    SELECT x, pg_catalog.lower(x) FROM pg_catalog.unnest(ARRAY['DateStyle', 'IntervalStyle', 'TimeZone', 'array_nulls',
        'backslash_quote', 'bytea_output', 'default_text_search_config', 'default_transaction_read_only', 'lc_monetary',
        'lc_numeric', 'lc_time', 'role', 'row_security', 'search_path', 'session_replication_role',
        'standard_conforming_strings', 'transform_null_equals', 'xmlbinary', 'xmloption']) AS x
), raw AS (
    SELECT 'setting ' || names.name AS name, names.lower_name, NULL AS rolname, CASE names.lower_name WHEN 'search_path'
           THEN 'public' WHEN 'timezone' THEN 'UTC' ELSE pg_catalog.current_setting(names.name) END AS value
      FROM names WHERE $2::boolean
    UNION ALL
    SELECT m.* FROM (
    SELECT DISTINCT ON (names.name, s.rolname)
           'setting ' || names.name || CASE WHEN s.rolname <> '' THEN ' of role ' || s.rolname ELSE '' END, names.lower_name,
           s.rolname, pg_catalog.substr(s.setting, pg_catalog.strpos(s.setting, '=') + 1)
      FROM (SELECT u.rolname, c AS setting, CASE WHEN d.setrole <> 0 THEN 0 ELSE 2 END
                   + CASE WHEN d.setdatabase <> 0 THEN 0 ELSE 1 END AS place
              FROM pg_catalog.unnest($1::pg_catalog.text[]) AS u (rolname)
              JOIN pg_catalog.pg_db_role_setting AS d
                ON (d.setrole = 0 OR d.setrole = (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = u.rolname))
               AND (d.setdatabase = 0 OR d.setdatabase = (SELECT b.oid FROM pg_catalog.pg_database AS b
                                                           WHERE b.datname = pg_catalog.current_database()))
             CROSS JOIN pg_catalog.unnest(d.setconfig) AS c
            UNION ALL
            -- A schema of the role's own comes before public.
            SELECT u.rolname, 'search_path="$user", public', 4 FROM pg_catalog.unnest($1::pg_catalog.text[]) AS u (rolname)
              JOIN pg_catalog.pg_namespace AS o ON o.nspname = u.rolname) AS s
      JOIN names ON names.lower_name = pg_catalog.lower(pg_catalog.split_part(s.setting, '=', 1))
     WHERE NOT $2::boolean
     ORDER BY names.name, s.rolname, s.place) AS m
)
SELECT raw.name, CASE raw.lower_name
    WHEN 'search_path' THEN (
        SELECT pg_catalog.string_agg(coalesce(s.nspname, ''), ',' ORDER BY x.place)
          FROM pg_catalog.unnest(pg_catalog.string_to_array(raw.value, ',')) WITH ORDINALITY AS x (word, place)
          JOIN pg_catalog.pg_namespace AS s ON s.nspname = CASE pg_catalog.btrim(x.word, ' "''') WHEN '$user' THEN raw.rolname
               ELSE pg_catalog.btrim(x.word, ' "''') END)
    WHEN 'datestyle' THEN pg_catalog.concat_ws(' ', coalesce(pg_catalog.substring(pg_catalog.lower(raw.value),
               '(iso|sql|postgres|german)'), 'iso'), CASE WHEN raw.value ~* '(dmy|euro|german)' THEN 'dmy' WHEN raw.value ~* 'ymd'
               THEN 'ymd' ELSE 'mdy' END)
    WHEN 'timezone' THEN CASE WHEN pg_catalog.lower(raw.value) IN ('utc', 'etc/utc', 'gmt', 'etc/gmt', 'zulu', 'etc/zulu', 'uct',
               'etc/uct', 'universal', 'etc/universal', '0', '+00', '+00:00', 'gmt0', 'gmt+0', 'greenwich') THEN 'utc'
               ELSE pg_catalog.lower(raw.value) END
    WHEN 'default_text_search_config' THEN pg_catalog.replace(pg_catalog.lower(raw.value), 'pg_catalog.', '')
    ELSE CASE WHEN pg_catalog.lower(raw.value) IN ('true', 'yes', '1') THEN 'on'
              WHEN pg_catalog.lower(raw.value) IN ('false', 'no', '0') THEN 'off' ELSE pg_catalog.lower(raw.value) END
    END AS value
  FROM raw
