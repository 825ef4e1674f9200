-- purpose: what those who read or write a relation come to besides: tables that its policies read, its children, and
-- functions of the user's that its defaults, checks, indexes, rules and policies call
-- params: none
-- returns: one row for each pair, by relation: the relation, 0: whatever is compared, cast or stored; the other one, 0:
-- anything, because a function may read anything
WITH called AS (
    SELECT d.classid, d.objid
      FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_proc AS p ON p.oid = d.refobjid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
     WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid >= 16384 AND n.nspname !~ '^phasegate(_hold)?$'
       AND (p.prokind = 'a' OR l.lanname NOT IN ('c', 'internal'))
       AND d.classid NOT IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_trigger'::pg_catalog.regclass,
                             'pg_catalog.pg_event_trigger'::pg_catalog.regclass,
                             'pg_catalog.pg_statistic_ext'::pg_catalog.regclass,
                             'pg_catalog.pg_publication_rel'::pg_catalog.regclass)
)
SELECT DISTINCT coalesce(f.adrelid, k.conrelid, i.indrelid, c.oid, r.ev_class, o.polrelid, 0::pg_catalog.oid), 0::pg_catalog.oid
  FROM called
  LEFT JOIN pg_catalog.pg_attrdef AS f ON called.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = called.objid
  LEFT JOIN pg_catalog.pg_constraint AS k ON called.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = called.objid
  LEFT JOIN pg_catalog.pg_index AS i ON called.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.indexrelid = called.objid
  LEFT JOIN pg_catalog.pg_class AS c ON called.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = called.objid
  LEFT JOIN pg_catalog.pg_rewrite AS r ON called.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = called.objid
  LEFT JOIN pg_catalog.pg_policy AS o ON called.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND o.oid = called.objid
UNION
SELECT o.polrelid, d.refobjid
  FROM pg_catalog.pg_policy AS o JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass
   AND d.objid = o.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> o.polrelid
UNION
SELECT h.inhparent, h.inhrelid FROM pg_catalog.pg_inherits AS h JOIN pg_catalog.pg_class AS c ON c.oid = h.inhrelid
 WHERE c.relkind IN ('r', 'p', 'f')
 ORDER BY 1, 2
