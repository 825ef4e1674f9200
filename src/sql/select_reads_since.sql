-- purpose: who has read what is hidden since it was hidden, by the texts of statements
-- params: $1 plan, $2 the quoted name of pg_stat_statements
-- returns: the 20 surest: step, role, statement, calls since, is it only perhaps that?, SQL that forgets them; <<statements>> is as $2
WITH h AS (
    -- What is hidden, and was counted then; names as a regular expression takes them.
    SELECT d.*, pg_catalog.regexp_replace(d.original_name, '([^\w])', '\\\1', 'g') AS name,
           pg_catalog.regexp_replace(d.table_name, '([^\w])', '\\\1', 'g') AS rel
      FROM phasegate.soft_drop AS d
     WHERE d.plan = $1::pg_catalog.text AND d.restored_at IS NULL AND d.purged_at IS NULL AND d.hidden_name IS NOT NULL
       AND EXISTS (SELECT FROM phasegate.soft_drop_calls AS c
                    WHERE c.plan = d.plan AND c.step = d.step AND c.queryid = 0)),
v AS (
    -- Views that show a hidden column.
    SELECT h.step,
           pg_catalog.string_agg(DISTINCT pg_catalog.regexp_replace(r.relname, '([^\w])', '\\\1', 'g'), '|') AS names
      FROM h
      JOIN pg_catalog.pg_namespace AS n ON n.nspname = h.schema_name
      JOIN pg_catalog.pg_class AS t ON t.relnamespace = n.oid AND t.relname = h.table_name
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attname = h.hidden_name
      JOIN pg_catalog.pg_depend AS d ON d.refobjid = t.oid AND d.refobjsubid = a.attnum
       AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
      JOIN pg_catalog.pg_rewrite AS w ON w.oid = d.objid
      JOIN pg_catalog.pg_class AS r ON r.oid = w.ev_class AND r.oid <> t.oid
     WHERE h.object_kind = 'column'
     GROUP BY h.step),
p AS (
    -- As a word; as the name of a relation, with its schema or without.
    SELECT h.*, '(^|\W)' || h.name || '(\W|$)' AS word, f.before || v.names || f.after AS views,
           f.before || CASE WHEN h.object_kind = 'column' THEN h.rel ELSE h.name END || f.after AS relation
      FROM h
      LEFT JOIN v USING (step)
     CROSS JOIN (VALUES ('(\m(from|join|into|update|only|table|using)\M|,)[\s(]*("?[^\s".,()]+"?\.)?"?(',
                         ')"?(\W|$)')) AS f (before, after)),
s AS (
    -- No COPY: a dump names every column. Nor our own, which call nothing by a bare name.
    SELECT s.queryid, s.userid, s.dbid, pg_catalog.min(s.query) AS query, pg_catalog.sum(s.calls) AS calls
      FROM <<statements>>(true) AS s
     WHERE s.dbid = (SELECT o.oid FROM pg_catalog.pg_database AS o WHERE o.datname = pg_catalog.current_database())
       AND s.toplevel AND s.queryid <> 0
       AND s.query ~* '^(\s|/\*([^*]|\*+[^*/])*\*+/|--[^\n]*\n)*(select|with|insert|update|delete|merge)\M'
       AND pg_catalog.strpos(s.query, 'pg_catalog.') = 0
     GROUP BY s.queryid, s.userid, s.dbid),
m AS (
    SELECT p.step, s.*,
           pg_catalog.strpos(s.query, p.hidden_name) > 0 OR coalesce(s.query ~* p.views, false) AS is_sure,
           s.query ~* p.relation AND (p.object_kind <> 'column' OR s.query ~* p.word) AS may_be
      FROM p CROSS JOIN s)
SELECT m.step, pg_catalog.pg_get_userbyid(m.userid), pg_catalog.left(m.query, 300), n.calls::pg_catalog.int8, NOT m.is_sure,
       pg_catalog.format('SELECT %s_reset(%s, %s, %s)', $2::pg_catalog.text, m.userid, m.dbid, m.queryid)
  FROM m
  LEFT JOIN phasegate.soft_drop_calls AS c
    ON c.plan = $1 AND c.step = m.step AND c.queryid = m.queryid AND c.userid = m.userid
 -- Fewer than then: they were reset.
 CROSS JOIN LATERAL (SELECT CASE WHEN m.calls >= coalesce(c.calls, 0) THEN m.calls - coalesce(c.calls, 0)
                                 ELSE m.calls END AS calls) AS n
 WHERE (m.is_sure OR m.may_be) AND n.calls > 0
 ORDER BY m.is_sure DESC, n.calls DESC, m.query
 LIMIT 20
