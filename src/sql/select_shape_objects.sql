-- purpose: what a schema is made of besides relations and enums, thing by thing: without oids, owners, rights, comments, and
--   what only plans of queries depend on; not what extensions own, and not phasegate's own
-- params: none; search_path empty, TimeZone UTC
-- returns: one row each: kind and name, definition, and whether it says nothing to statements that don't name it
WITH own AS (
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d WHERE d.deptype IN ('e', 'i')
), n AS (
    SELECT s.oid, s.nspname, pg_catalog.quote_ident(s.nspname) || '.' AS dot FROM pg_catalog.pg_namespace AS s
     WHERE s.nspname NOT IN ('pg_catalog', 'information_schema') AND s.nspname !~ '^(pg_(toast|temp)|phasegate(_hold)?$)'
), c AS (
    SELECT r.oid, r.relkind, r.relname, n.nspname || '.' || r.relname AS name
      FROM pg_catalog.pg_class AS r JOIN n ON n.oid = r.relnamespace
     WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND own.objid = r.oid)
), p AS (
    SELECT f.*, n.nspname || '.' || f.proname || '(' || pg_catalog.oidvectortypes(f.proargtypes) || ')' AS name
      FROM pg_catalog.pg_proc AS f JOIN n ON n.oid = f.pronamespace
     WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND own.objid = f.oid)
), t AS (
    SELECT y.*, n.nspname || '.' || y.typname AS name,
           CASE WHEN y.typcollation <> 0 THEN y.typcollation::pg_catalog.regcollation END AS collation
      FROM pg_catalog.pg_type AS y JOIN n ON n.oid = y.typnamespace
     WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND own.objid = y.oid)
)
SELECT 'schema ' || n.nspname AS name, '' AS definition, true AS is_idle FROM n
UNION ALL
-- An extension that nobody asked for can only be met by an operator, a cast, or a name that others have, too.
SELECT 'extension ' || x.extname, x.extversion || ' ' || coalesce(n.nspname, ''), NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
     WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = x.oid AND d.deptype = 'e'
       AND (d.classid IN ('pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_cast'::pg_catalog.regclass,
                          'pg_catalog.pg_event_trigger'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass)
            OR EXISTS (SELECT FROM pg_catalog.pg_proc AS a JOIN pg_catalog.pg_proc AS b ON b.proname = a.proname
                        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND a.oid = d.objid
                          AND (b.oid >= 16384 OR b.proargtypes <> a.proargtypes)
                          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS o WHERE o.classid = d.classid
                                             AND o.objid = b.oid AND o.deptype = 'e' AND o.refobjid = x.oid))
            OR EXISTS (SELECT FROM pg_catalog.pg_class AS a JOIN pg_catalog.pg_class AS b ON b.relname = a.relname
                        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND a.oid = d.objid AND b.oid <> a.oid)))
  FROM pg_catalog.pg_extension AS x LEFT JOIN n ON n.oid = x.extnamespace
UNION ALL
SELECT CASE p.prokind WHEN 'p' THEN 'procedure ' WHEN 'w' THEN 'window function ' ELSE 'function ' END || p.name,
       pg_catalog.concat_ws('|', pg_catalog.pg_get_function_arguments(p.oid), pg_catalog.pg_get_function_result(p.oid),
           l.lanname, p.provolatile, p.proisstrict, p.prosecdef,
           (SELECT pg_catalog.string_agg(s, ',' ORDER BY s) FROM pg_catalog.unnest(p.proconfig) AS s), p.probin,
           CASE WHEN pg_catalog.to_jsonb(p) ->> 'prosqlbody' IS NULL THEN p.prosrc
                ELSE pg_catalog.replace(pg_catalog.pg_get_functiondef(p.oid), ' LEAKPROOF', '') END), false
  FROM p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang WHERE p.prokind <> 'a'
UNION ALL
SELECT 'aggregate ' || p.name, pg_catalog.concat_ws('|', pg_catalog.pg_get_function_arguments(p.oid),
           pg_catalog.pg_get_function_result(p.oid), p.proisstrict, g.aggkind, g.aggnumdirectargs,
           g.aggtransfn::pg_catalog.regprocedure, g.aggfinalfn::pg_catalog.regprocedure,
           g.aggcombinefn::pg_catalog.regprocedure, g.aggmtransfn::pg_catalog.regprocedure,
           g.aggminvtransfn::pg_catalog.regprocedure, g.aggmfinalfn::pg_catalog.regprocedure, g.aggfinalextra,
           g.aggfinalmodify, g.aggsortop::pg_catalog.regoperator, pg_catalog.format_type(g.aggtranstype, NULL),
           'i=' || g.agginitval, 'm=' || g.aggminitval), false
  FROM p JOIN pg_catalog.pg_aggregate AS g ON g.aggfnoid = p.oid
UNION ALL
SELECT 'operator ' || n.nspname || '.' || o.oprname || '(' || coalesce(pg_catalog.format_type(o.oprleft, NULL), 'none')
           || ',' || coalesce(pg_catalog.format_type(o.oprright, NULL), 'none') || ')',
       pg_catalog.concat_ws('|', o.oprcode::pg_catalog.regprocedure, pg_catalog.format_type(o.oprresult, NULL),
           o.oprcom::pg_catalog.regoperator, o.oprnegate::pg_catalog.regoperator, o.oprcanmerge, o.oprcanhash), false
  FROM pg_catalog.pg_operator AS o JOIN n ON n.oid = o.oprnamespace
 WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND own.objid = o.oid)
UNION ALL
SELECT 'operator class ' || n.nspname || '.' || o.opcname || ' of ' || m.amname,
       pg_catalog.concat_ws('|', pg_catalog.format_type(o.opcintype, NULL), o.opcdefault,
           pg_catalog.format_type(o.opckeytype, NULL),
           (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.amopstrategy, a.amopopr::pg_catalog.regoperator,
                a.amoppurpose), ',' ORDER BY a.amopstrategy, a.amopopr::pg_catalog.regoperator::pg_catalog.text)
              FROM pg_catalog.pg_amop AS a WHERE a.amopfamily = o.opcfamily),
           (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.amprocnum, a.amproc::pg_catalog.regprocedure), ','
                ORDER BY a.amprocnum, a.amproc::pg_catalog.regprocedure::pg_catalog.text)
              FROM pg_catalog.pg_amproc AS a WHERE a.amprocfamily = o.opcfamily)), false
  FROM pg_catalog.pg_opclass AS o JOIN n ON n.oid = o.opcnamespace JOIN pg_catalog.pg_am AS m ON m.oid = o.opcmethod
 WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND own.objid = o.oid)
UNION ALL
SELECT 'domain ' || t.name, pg_catalog.concat_ws('|', pg_catalog.format_type(t.typbasetype, t.typtypmod), t.typnotnull,
           'd=' || t.typdefault, t.collation, (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', k.conname,
           k.convalidated, pg_catalog.pg_get_constraintdef(k.oid)), ',' ORDER BY k.conname)
              FROM pg_catalog.pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'c')), false
  FROM t WHERE t.typtype = 'd'
UNION ALL
SELECT 'type ' || t.name, (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_catalog.quote_ident(a.attname),
           pg_catalog.format_type(a.atttypid, a.atttypmod), CASE WHEN a.attcollation <> y.typcollation
           THEN a.attcollation::pg_catalog.regcollation END), ',' ORDER BY a.attnum)
      FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
     WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), false
  FROM t JOIN pg_catalog.pg_class AS r ON r.oid = t.typrelid WHERE t.typtype = 'c' AND r.relkind = 'c'
UNION ALL
SELECT 'type ' || t.name, pg_catalog.concat_ws('|', pg_catalog.format_type(r.rngsubtype, NULL), r.rngcollation::pg_catalog.regcollation,
           o.opcname, r.rngcanonical::pg_catalog.regprocedure, r.rngsubdiff::pg_catalog.regprocedure,
           pg_catalog.format_type((pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid, NULL)), false
  FROM t JOIN pg_catalog.pg_range AS r ON r.rngtypid = t.oid JOIN pg_catalog.pg_opclass AS o ON o.oid = r.rngsubopc
 WHERE t.typtype = 'r'
UNION ALL
SELECT 'type ' || t.name, pg_catalog.concat_ws('|', t.typisdefined, t.typinput, t.typoutput, t.typlen, t.typbyval, t.typcategory,
           t.typispreferred, t.typdelim, 'd=' || t.typdefault, t.collation), false
  FROM t WHERE t.typtype IN ('b', 'p') AND NOT EXISTS (SELECT FROM pg_catalog.pg_type AS e WHERE e.typarray = t.oid)
UNION ALL
SELECT 'collation ' || n.nspname || '.' || l.collname, pg_catalog.concat_ws('|', l.collprovider, l.collisdeterministic, l.collencoding,
           coalesce(pg_catalog.to_jsonb(l) ->> 'colllocale', pg_catalog.to_jsonb(l) ->> 'colliculocale', l.collcollate),
           CASE WHEN l.collprovider = 'c' THEN l.collctype END, pg_catalog.to_jsonb(l) ->> 'collicurules'), false
  FROM pg_catalog.pg_collation AS l JOIN n ON n.oid = l.collnamespace
 WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass AND own.objid = l.oid)
UNION ALL
SELECT 'text search configuration ' || n.nspname || '.' || k.cfgname, pg_catalog.concat_ws('|', s.prsname,
           (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', m.maptokentype, m.mapseqno,
                m.mapdict::pg_catalog.regdictionary), ',' ORDER BY m.maptokentype, m.mapseqno)
              FROM pg_catalog.pg_ts_config_map AS m WHERE m.mapcfg = k.oid)), false
  FROM pg_catalog.pg_ts_config AS k JOIN n ON n.oid = k.cfgnamespace JOIN pg_catalog.pg_ts_parser AS s ON s.oid = k.cfgparser
 WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_catalog.pg_ts_config'::pg_catalog.regclass AND own.objid = k.oid)
UNION ALL
SELECT 'text search dictionary ' || n.nspname || '.' || k.dictname, pg_catalog.concat_ws('|', s.tmplname, k.dictinitoption), false
  FROM pg_catalog.pg_ts_dict AS k JOIN n ON n.oid = k.dictnamespace JOIN pg_catalog.pg_ts_template AS s ON s.oid = k.dicttemplate
 WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_catalog.pg_ts_dict'::pg_catalog.regclass AND own.objid = k.oid)
UNION ALL
SELECT 'cast (' || pg_catalog.format_type(k.castsource, NULL) || ' AS ' || pg_catalog.format_type(k.casttarget, NULL) || ')',
       pg_catalog.concat_ws('|', k.castfunc::pg_catalog.regprocedure, k.castcontext, k.castmethod), false
  FROM pg_catalog.pg_cast AS k
 WHERE k.oid >= 16384
   AND NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass AND own.objid = k.oid)
UNION ALL
SELECT 'rule ' || w.rulename || ' of ' || c.name, pg_catalog.concat_ws('|', w.ev_enabled, pg_catalog.pg_get_ruledef(w.oid)), false
  FROM pg_catalog.pg_rewrite AS w JOIN c ON c.oid = w.ev_class WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'trigger ' || g.tgname || ' of ' || c.name, pg_catalog.concat_ws('|', g.tgenabled, pg_catalog.pg_get_triggerdef(g.oid),
           CASE WHEN f.pronamespace NOT IN (SELECT n.oid FROM n) THEN f.prosrc END), false
  FROM pg_catalog.pg_trigger AS g JOIN c ON c.oid = g.tgrelid JOIN pg_catalog.pg_proc AS f ON f.oid = g.tgfoid
 WHERE NOT g.tgisinternal AND NOT (f.proname = 'trap' AND f.pronamespace = pg_catalog.to_regnamespace('phasegate'))
UNION ALL
-- A foreign key that is left to itself.
SELECT 'disabled constraint ' || k.conname || ' of ' || c.name,
       pg_catalog.string_agg(pg_catalog.concat_ws(' ', g.tgtype, g.tgenabled), ',' ORDER BY g.tgtype, g.tgenabled), false
  FROM pg_catalog.pg_trigger AS g JOIN c ON c.oid = g.tgrelid JOIN pg_catalog.pg_constraint AS k ON k.oid = g.tgconstraint
 WHERE g.tgisinternal AND g.tgenabled <> 'O' GROUP BY k.conname, c.name
UNION ALL
SELECT 'policy ' || y.polname || ' of ' || c.name, pg_catalog.concat_ws('|', y.polcmd, y.polpermissive,
           (SELECT pg_catalog.string_agg(r.rolname, ',' ORDER BY r.rolname) FROM pg_catalog.pg_roles AS r
             WHERE r.oid = ANY (y.polroles)), 'q=' || pg_catalog.pg_get_expr(y.polqual, y.polrelid),
           'c=' || pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid)), false
  FROM pg_catalog.pg_policy AS y JOIN c ON c.oid = y.polrelid
UNION ALL
-- On the shadow A and R are as O and D: see what a load does to them.
SELECT 'event trigger ' || e.evtname, pg_catalog.concat_ws('|', e.evtevent, e.evttags, e.evtfoid::pg_catalog.regprocedure), false
  FROM pg_catalog.pg_event_trigger AS e
 WHERE e.evtenabled IN ('O', 'A')
   AND NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass AND own.objid = e.oid)
UNION ALL
SELECT 'publication of ' || c.name, pg_catalog.string_agg(DISTINCT pg_catalog.concat_ws('|', u.pubupdate, u.pubdelete,
           CASE WHEN pg_catalog.to_jsonb(r) ->> 'prattrs' IS NOT NULL THEN pg_catalog.to_jsonb(x) ->> 'attnames' END,
           pg_catalog.to_jsonb(x) ->> 'rowfilter'), ','), false
  FROM pg_catalog.pg_publication_tables AS x JOIN pg_catalog.pg_publication AS u ON u.pubname = x.pubname
  JOIN c ON c.name = x.schemaname || '.' || x.tablename
  LEFT JOIN pg_catalog.pg_publication_rel AS r ON r.prpubid = u.oid AND r.prrelid = c.oid
 GROUP BY c.name
