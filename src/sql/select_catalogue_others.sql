-- purpose: what isn't tied to a relation: privileges of schemas, memberships, settings, casts, domains; not what is of
--   other databases, or of roles that the shadow makes for itself, which come and go between two looks
-- params: none
-- returns: one text; and the roles that no policy holds for, each between two line ends
SELECT pg_catalog.concat_ws('|', (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', n.nspname,
  n.nspacl), ',' ORDER BY n.nspname) FROM pg_catalog.pg_namespace n WHERE n.nspname NOT IN ('pg_catalog',
  'information_schema') AND n.nspname !~ '^pg_(toast|temp)'), (SELECT
  pg_catalog.string_agg(pg_catalog.concat_ws(' ', m.roleid::pg_catalog.regrole,
  m.member::pg_catalog.regrole), ',' ORDER BY m.roleid, m.member) FROM pg_catalog.pg_auth_members m WHERE
  pg_catalog.pg_get_userbyid(m.member) !~ '^phasegate_(seeds$|shadow_[0-9a-f]{8}_)'), (SELECT
  pg_catalog.string_agg(pg_catalog.array_to_string(s.setconfig, ' '), ',' ORDER BY s.setrole, s.setdatabase)
  FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d
  WHERE d.datname = pg_catalog.current_database())) AND pg_catalog.pg_get_userbyid(s.setrole) !~
  '^phasegate_(seeds$|shadow_[0-9a-f]{8}_)'), (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ',
  k.castsource::pg_catalog.regtype, k.casttarget::pg_catalog.regtype, k.castfunc, k.castcontext), ',' ORDER
  BY k.oid) FROM pg_catalog.pg_cast k WHERE k.oid >= 16384), (SELECT
  pg_catalog.string_agg(pg_catalog.concat_ws(' ', o.oid::pg_catalog.regoperator, o.oprcode), ',' ORDER BY
  o.oid) FROM pg_catalog.pg_operator o WHERE o.oid >= 16384), (SELECT
  pg_catalog.string_agg(pg_catalog.concat_ws(' ', k.cfgname, k.cfgnamespace, k.cfgparser, (SELECT
  pg_catalog.string_agg(pg_catalog.concat_ws(' ', m.maptokentype, m.mapseqno, m.mapdict), ',' ORDER BY
  m.maptokentype, m.mapseqno) FROM pg_catalog.pg_ts_config_map m WHERE m.mapcfg = k.oid)), ',' ORDER BY
  k.oid) FROM pg_catalog.pg_ts_config k WHERE k.oid >= 16384), (SELECT
  pg_catalog.string_agg(pg_catalog.concat_ws(' ', d.dictname, d.dictnamespace, d.dictinitoption), ',' ORDER
  BY d.oid) FROM pg_catalog.pg_ts_dict d WHERE d.oid >= 16384), (SELECT
  pg_catalog.string_agg(pg_catalog.concat_ws(' ', l.collname, l.collnamespace), ',' ORDER BY l.oid) FROM
  pg_catalog.pg_collation l WHERE l.oid >= 16384), (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ',
  x.extname, x.extversion), ',' ORDER BY x.oid) FROM pg_catalog.pg_extension x), (SELECT
  pg_catalog.string_agg(pg_catalog.concat_ws(' ', u.pubname, u.puballtables, u.pubinsert, u.pubupdate,
  u.pubdelete, u.pubtruncate, (SELECT pg_catalog.string_agg(t.relid::pg_catalog.regclass::pg_catalog.text,
  ',' ORDER BY t.relid) FROM pg_catalog.pg_get_publication_tables(u.pubname) t)), ',' ORDER BY u.oid) FROM
  pg_catalog.pg_publication u), (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', t.typname,
  t.typnotnull, t.typdefault, t.typacl), ',' ORDER BY t.oid) FROM pg_catalog.pg_type t JOIN
  pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.oid >= 16384 AND t.typtype IN ('d', 'r', 'm') AND n.nspname NOT
  IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'), (SELECT
  pg_catalog.string_agg(pg_catalog.concat_ws(' ', c.relname, a.attname, pg_catalog.format_type(a.atttypid,
  a.atttypmod)), ',' ORDER BY c.oid, a.attnum) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON
  c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND c.relkind = 'c' AND NOT
  a.attisdropped AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~
  '^pg_(toast|temp)'), (SELECT pg_catalog.string_agg(i.inhrelid::pg_catalog.regclass::pg_catalog.text, ','
  ORDER BY i.inhparent, i.inhrelid) FROM pg_catalog.pg_inherits i), (SELECT
  pg_catalog.string_agg(pg_catalog.pg_get_ruledef(w.oid) || w.ev_enabled::pg_catalog.text, ',' ORDER BY w.oid) FROM pg_catalog.pg_rewrite w
  JOIN pg_catalog.pg_class c ON c.oid = w.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE w.oid >= 16384 AND w.rulename <> '_RETURN' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~
  '^pg_(toast|temp)'), (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', k.conname, k.convalidated,
  pg_catalog.pg_get_constraintdef(k.oid)), ',' ORDER BY k.oid) FROM pg_catalog.pg_constraint k WHERE
  k.contypid <> 0)), (SELECT E'\n' || pg_catalog.string_agg(u.rolname || E'\n', '' ORDER BY u.rolname) FROM
  pg_catalog.pg_roles u WHERE u.rolbypassrls OR u.rolsuper)
