/* What a baseline has made becomes the limited role's. */
#include "shadow/load_int.h"
#include "shadow/wire_int.h"

#include <string.h>

/* Rights by which a role gets at files, programs or other roles. */
#define STRONG                                                                                     \
    "(u.rolsuper OR u.rolcreaterole OR u.rolreplication OR u.rolname IN "                          \
    "('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', "              \
    "'pg_create_subscription', 'pg_signal_backend'))"

/* Roles that we made, whatever the baseline has given them. */
static const char weaken[] =
    "DO $do$ DECLARE r record; BEGIN "
    "FOR r IN SELECT u.rolname FROM pg_roles u WHERE u.rolname = ANY "
    "(current_setting('phasegate.roles')::name[]) AND u.oid >= 16384 AND "
    "(u.rolsuper OR u.rolcreaterole OR u.rolreplication OR u.rolcreatedb) LOOP "
    "EXECUTE format('ALTER ROLE %I NOSUPERUSER NOCREATEROLE NOREPLICATION NOCREATEDB', r.rolname); "
    "END LOOP; "
    "FOR r IN SELECT m.rolname AS member, u.rolname AS role FROM pg_auth_members a "
    "JOIN pg_roles m ON m.oid = a.member JOIN pg_roles u ON u.oid = a.roleid "
    "WHERE m.rolname = ANY (current_setting('phasegate.roles')::name[]) AND " STRONG " LOOP "
    "EXECUTE format('REVOKE %I FROM %I', r.role, r.member); "
    "END LOOP; END $do$";

/* Owner of what: catalogue, name of the object, ALTER ... */
static const char take_over[] =
    "DO $do$ DECLARE r record; me text := current_setting('phasegate.owner'); n int := 0; "
    "BEGIN "
    "FOR r IN WITH strong AS (SELECT o.oid FROM pg_roles o WHERE EXISTS "
    "(SELECT FROM pg_roles u WHERE " STRONG " AND pg_has_role(o.oid, u.oid, 'MEMBER')) "
    "OR o.rolname = 'pg_database_owner'), "
    "own AS (SELECT e.objid, e.classid FROM pg_depend e WHERE e.deptype = 'e' "
    /* Views and rules reach what their owner reaches, whoever put them into an extension. */
    "AND NOT (e.classid = 'pg_class'::regclass AND e.objid IN (SELECT ev_class FROM pg_rewrite))) "
    "SELECT format(what, name) AS sql FROM ("
    "SELECT 1 AS place, c.oid, 'pg_namespace'::regclass AS class, nspowner AS owner, "
    "'SCHEMA %s' AS what, format('%I', nspname) AS name FROM pg_namespace c "
    "WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' "
    "UNION ALL SELECT 2, c.oid, 'pg_class', relowner, 'TABLE %s', c.oid::regclass::text "
    "FROM pg_class c WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't' "
    "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass "
    "AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND c.relkind = 'S') "
    "UNION ALL SELECT 3, c.oid, 'pg_proc', proowner, 'ROUTINE %s', c.oid::regprocedure::text "
    "FROM pg_proc c "
    "UNION ALL SELECT 3, c.oid, 'pg_type', typowner, 'TYPE %s', c.oid::regtype::text FROM pg_type "
    "c "
    "WHERE typtype IN ('b', 'c', 'd', 'e', 'r') AND typisdefined "
    "AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = c.oid) "
    "AND (typrelid = 0 OR EXISTS (SELECT FROM pg_class k WHERE k.oid = c.typrelid "
    "AND k.relkind = 'c')) "
    "UNION ALL SELECT 3, c.oid, 'pg_operator', oprowner, 'OPERATOR %s', c.oid::regoperator::text "
    "FROM pg_operator c "
    "UNION ALL SELECT 3, c.oid, 'pg_opclass', opcowner, 'OPERATOR CLASS %s', "
    "format('%I.%I USING %I', n.nspname, opcname, amname) FROM pg_opclass c "
    "JOIN pg_namespace n ON n.oid = opcnamespace JOIN pg_am m ON m.oid = opcmethod "
    "UNION ALL SELECT 3, c.oid, 'pg_opfamily', opfowner, 'OPERATOR FAMILY %s', "
    "format('%I.%I USING %I', n.nspname, opfname, amname) FROM pg_opfamily c "
    "JOIN pg_namespace n ON n.oid = opfnamespace JOIN pg_am m ON m.oid = opfmethod "
    "UNION ALL SELECT 3, c.oid, 'pg_collation', collowner, 'COLLATION %s', "
    "format('%I.%I', n.nspname, collname) FROM pg_collation c "
    "JOIN pg_namespace n ON n.oid = collnamespace "
    "UNION ALL SELECT 3, c.oid, 'pg_conversion', conowner, 'CONVERSION %s', "
    "format('%I.%I', n.nspname, conname) FROM pg_conversion c "
    "JOIN pg_namespace n ON n.oid = connamespace "
    "UNION ALL SELECT 3, c.oid, 'pg_statistic_ext', stxowner, 'STATISTICS %s', "
    "format('%I.%I', n.nspname, stxname) FROM pg_statistic_ext c "
    "JOIN pg_namespace n ON n.oid = stxnamespace "
    "UNION ALL SELECT 3, c.oid, 'pg_ts_dict', dictowner, 'TEXT SEARCH DICTIONARY %s', "
    "c.oid::regdictionary::text FROM pg_ts_dict c "
    "UNION ALL SELECT 3, c.oid, 'pg_ts_config', cfgowner, 'TEXT SEARCH CONFIGURATION %s', "
    "c.oid::regconfig::text FROM pg_ts_config c "
    "UNION ALL SELECT 3, c.oid, 'pg_largeobject', lomowner, 'LARGE OBJECT %s', c.oid::text "
    "FROM pg_largeobject_metadata c "
    "UNION ALL SELECT 3, c.oid, 'pg_publication', pubowner, 'PUBLICATION %s', "
    "format('%I', pubname) FROM pg_publication c WHERE NOT puballtables"
    ") o JOIN strong ON strong.oid = o.owner "
    "WHERE (o.oid >= 16384 OR (place = 1 AND name = 'public')) "
    "AND NOT EXISTS (SELECT FROM own WHERE own.objid = o.oid AND own.classid = o.class) "
    "ORDER BY place, o.oid LOOP "
    "EXECUTE 'ALTER ' || r.sql || ' OWNER TO ' || quote_ident(me); "
    "n := n + 1; IF n % 200 = 0 THEN COMMIT; END IF; END LOOP; END $do$";

/* They would run as us, also where session_replication_role turns others off. In sessions of the origin it's the same
 * as before. */
static const char calm_events[] =
    "DO $do$ DECLARE r record; BEGIN "
    "FOR r IN SELECT evtname, evtenabled FROM pg_event_trigger WHERE evtenabled IN ('A', 'R') LOOP "
    "EXECUTE format('ALTER EVENT TRIGGER %I %s', r.evtname, "
    "CASE r.evtenabled WHEN 'A' THEN 'ENABLE' ELSE 'DISABLE' END); END LOOP; END $do$";

/* Functions of extensions stay with the superuser, but run as who calls them: anybody's function can be put under an
 * extension. */
static const char take_definers[] =
    "DO $do$ DECLARE r record; BEGIN "
    "FOR r IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.prosecdef "
    "AND p.oid >= 16384 AND EXISTS (SELECT FROM pg_roles u WHERE " STRONG
    " AND pg_has_role(p.proowner, u.oid, 'MEMBER')) LOOP "
    "EXECUTE format('ALTER ROUTINE %s SECURITY INVOKER', r.name); END LOOP; END $do$";

/* PostgreSQL's own objects (public, 2200, aside) are the superuser's, and give nobody more than initdb did, but to
 * read. By hand: REVOKE takes only what one grantor gave. initdb makes information_schema after it has written down
 * what it gave, so USAGE to PUBLIC on it is known only from here. */
static const char take_back[] =
    "DO $do$ DECLARE r record; BEGIN "
    "FOR r IN SELECT * FROM (VALUES ('pg_namespace', 'nspowner', 'nspacl', 'n'), "
    "('pg_class', 'relowner', 'relacl', 'r'), ('pg_proc', 'proowner', 'proacl', 'f'), "
    "('pg_type', 'typowner', 'typacl', 'T'), ('pg_language', 'lanowner', 'lanacl', 'l')) "
    "v (cat, owner, acl, kind) LOOP "
    "EXECUTE format('UPDATE %1$I c SET %2$I = 10, %3$I = i.initprivs FROM %1$I o "
    "LEFT JOIN (SELECT objoid, classoid, initprivs FROM pg_init_privs WHERE objsubid = 0 "
    "UNION ALL SELECT n.oid, ''pg_namespace''::regclass, acldefault(''n'', 10) || "
    "makeaclitem(0, 10, ''USAGE'', false) FROM pg_namespace n "
    "WHERE nspname = ''information_schema'' AND NOT EXISTS (SELECT FROM pg_init_privs p "
    "WHERE p.objoid = n.oid AND p.classoid = ''pg_namespace''::regclass)) "
    "i ON i.objoid = o.oid AND i.classoid = %1$L::regclass WHERE o.oid = c.oid AND c.oid < 16384 "
    "AND c.oid <> 2200 "
    "AND (c.%2$I <> 10 OR EXISTS (SELECT x.grantee, x.privilege_type FROM aclexplode(c.%3$I) x "
    "WHERE x.grantee <> 10 AND (x.privilege_type <> ''SELECT'' OR %4$L <> ''r'') "
    "EXCEPT SELECT y.grantee, y.privilege_type "
    "FROM aclexplode(coalesce(i.initprivs, acldefault(%4$L, 10))) y))', "
    "r.cat, r.owner, r.acl, r.kind); END LOOP; "
    "UPDATE pg_attribute c SET attacl = NULL WHERE attrelid < 16384 AND EXISTS (SELECT FROM "
    "aclexplode(attacl) x WHERE x.grantee <> 10 AND x.privilege_type <> 'SELECT'); "
    "UPDATE pg_language SET lanpltrusted = false WHERE lanpltrusted AND lanname ~ 'u$'; "
    "IF current_setting('server_version_num')::int >= 150000 THEN "
    "DELETE FROM pg_parameter_acl; END IF; END $do$";

/* An extension can be dropped by whom it belongs to, and there is no ALTER EXTENSION ... OWNER. Its members stay with
 * the superuser: they may do what nobody else may. Only on our own server, by hand. */
static const char take_extensions[] =
    "DO $do$ DECLARE me oid := to_regrole(quote_ident(current_setting('phasegate.owner'))); BEGIN "
    "SET LOCAL allow_system_table_mods = on; "
    "INSERT INTO pg_shdepend (dbid, classid, objid, objsubid, refclassid, refobjid, deptype) "
    "SELECT d.oid, 'pg_extension'::regclass, e.oid, 0, 'pg_authid'::regclass, me, 'o' "
    "FROM pg_extension e, pg_database d WHERE d.datname = current_database() AND e.oid >= 16384 "
    "AND e.extowner = 10; "
    "UPDATE pg_extension SET extowner = me WHERE oid >= 16384 AND extowner = 10; END $do$";

/* The others that own something: what they may, it may. */
static const char join_owners[] =
    "DO $do$ DECLARE r record; me text := current_setting('phasegate.owner'); BEGIN "
    "FOR r IN SELECT DISTINCT o.rolname FROM pg_roles o WHERE o.oid >= 16384 AND o.rolname <> me "
    "AND (o.rolname = ANY (current_setting('phasegate.roles')::name[]) OR EXISTS (SELECT FROM "
    "pg_shdepend d WHERE d.deptype = 'o' "
    "AND d.refobjid = o.oid AND d.dbid = (SELECT oid FROM pg_database "
    "WHERE datname = current_database()))) "
    "AND NOT EXISTS (SELECT FROM pg_roles u WHERE " STRONG
    " AND pg_has_role(o.oid, u.oid, 'MEMBER')) "
    "AND NOT pg_has_role(o.oid, me, 'MEMBER') AND NOT EXISTS (SELECT FROM pg_auth_members a "
    "WHERE a.roleid = o.oid AND a.member = me::regrole) LOOP "
    "EXECUTE format('GRANT %I TO %I', r.rolname, me); END LOOP; END $do$";

/* Whoever made tables in the baseline had rights granted on them by default: so has it now. */
static const char take_defaults[] =
    "DO $do$ DECLARE r record; me text := current_setting('phasegate.owner'); BEGIN "
    "FOR r IN SELECT DISTINCT coalesce('IN SCHEMA ' || quote_ident(n.nspname), '') AS place, "
    "d.kind, x.privilege_type AS what, "
    "CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(g.rolname) END AS grantee, "
    "x.is_grantable FROM pg_default_acl a "
    "JOIN (VALUES ('r', 'TABLES'), ('S', 'SEQUENCES'), ('f', 'FUNCTIONS'), ('T', 'TYPES'), "
    "('n', 'SCHEMAS')) d (type, kind) ON d.type = a.defaclobjtype "
    "LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace, aclexplode(a.defaclacl) x "
    "LEFT JOIN pg_roles g ON g.oid = x.grantee "
    "WHERE x.grantee <> a.defaclrole AND g.rolname IS DISTINCT FROM me "
    "AND (x.grantee = 0 OR g.oid IS NOT NULL) LOOP "
    "EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %s GRANT %s ON %s TO %s %s', me, "
    "r.place, "
    "r.what, r.kind, r.grantee, CASE WHEN r.is_grantable THEN 'WITH GRANT OPTION' ELSE '' END); "
    "END LOOP; "
    "FOR r IN SELECT CASE a.defaclobjtype WHEN 'f' THEN 'FUNCTIONS' ELSE 'TYPES' END AS kind "
    "FROM pg_default_acl a WHERE a.defaclnamespace = 0 AND a.defaclobjtype IN ('f', 'T') "
    "AND NOT EXISTS (SELECT FROM aclexplode(a.defaclacl) x WHERE x.grantee = 0) LOOP "
    "EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE ALL ON %s FROM PUBLIC', me, "
    "r.kind); END LOOP; END $do$";

/* Ways out of the database that an extension of the baseline may have opened. */
static const char close_ways_out[] =
    "DO $do$ DECLARE r record; BEGIN "
    "FOR r IN SELECT s.srvname, CASE m.umuser WHEN 0 THEN 'PUBLIC' "
    "ELSE quote_ident(pg_get_userbyid(m.umuser)) END AS who FROM pg_user_mapping m "
    "JOIN pg_foreign_server s ON s.oid = m.umserver LOOP "
    "EXECUTE format('DROP USER MAPPING FOR %s SERVER %I', r.who, r.srvname); END LOOP; "
    "FOR r IN SELECT 'FOREIGN SERVER' AS kind, srvname AS name, 'SERVER' AS word FROM "
    "pg_foreign_server UNION ALL SELECT 'FOREIGN DATA WRAPPER', fdwname, 'FOREIGN DATA WRAPPER' "
    "FROM pg_foreign_data_wrapper LOOP "
    "EXECUTE format('ALTER %s %I OWNER TO CURRENT_USER', r.word, r.name); "
    "EXECUTE (SELECT format('REVOKE ALL ON %s %I FROM PUBLIC, %s', r.kind, r.name, "
    "string_agg(quote_ident(rolname), ', ')) FROM pg_roles WHERE NOT rolsuper AND oid >= 16384); "
    "END LOOP; "
    /* Of the others some need no user mapping: for a file, or with a password in the server's options. */
    "FOR r IN SELECT w.fdwname FROM pg_foreign_data_wrapper w WHERE w.fdwhandler <> 0 AND NOT "
    "EXISTS "
    "(SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid "
    "AND d.refclassid = 'pg_extension'::regclass WHERE d.classid = "
    "'pg_foreign_data_wrapper'::regclass "
    "AND d.objid = w.oid AND d.deptype = 'e' AND e.extname = 'postgres_fdw') LOOP "
    "EXECUTE format('ALTER FOREIGN DATA WRAPPER %I NO HANDLER', r.fdwname); END LOOP; END $do$";

/* Tables of extensions stay with the superuser, and rows are made in them too. */
static const char open_extension_tables[] =
    "DO $do$ DECLARE r record; BEGIN "
    "FOR r IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_depend d ON d.objid = c.oid "
    "AND d.classid = 'pg_class'::regclass AND d.deptype = 'e' WHERE c.relkind IN ('r', 'p') "
    "AND c.oid >= 16384 LOOP EXECUTE format('GRANT SELECT, INSERT ON %s TO %I', r.name, "
    "current_setting('phasegate.seeds')); END LOOP; END $do$";

const char load_close_functions[] =
    "DO $do$ DECLARE r record; BEGIN "
    "FOR r IN SELECT p.oid::regprocedure AS name FROM pg_depend d JOIN pg_extension e "
    "ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' "
    "JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass "
    "WHERE e.extname IN ('dblink', 'http', 'pg_net', 'pgsql-http', 'aws_s3', 'aws_lambda', "
    "'adminpack', 'file_fdw', 'pg_cron', 'pg_background', 'plproxy', 'plsh', 'citus', "
    "'pgagent', 'pglogical', 'oracle_fdw', 'mysql_fdw', 'tds_fdw', 'mongo_fdw', 'orafce') "
    "AND (e.extname <> 'orafce' OR p.proname LIKE 'utl%') LOOP "
    "EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', r.name); END LOOP; END $do$";

/* SET name = '{"a","b"}' */
static void add_array(struct str *to, const char *name, const struct names *names)
{
    AUTO(str) array = {0};

    str_addc(&array, '{');
    for (int i = 0; i < names->n; i++) {
        if (!names->items[i])
            continue;
        str_add(&array, array.len > 1 ? ",\"" : "\"");
        for (const char *c = names->items[i]; *c; c++) {
            if (*c == '"' || *c == '\\')
                str_addc(&array, '\\');
            str_addc(&array, *c);
        }
        str_addc(&array, '"');
    }
    str_addc(&array, '}');
    str_addf(to, "SET %s = ", name);
    sql_literal(to, str_text(&array));
}

bool load_finish(struct shadow *s, const char *database, bool is_loaded, struct err *err)
{
    AUTO(str) roles = {0};
    AUTO(str) owner = {0};
    AUTO(str) seeds = {0};
    const char *sql[16], *maker;
    int n = 0;

    if (!shadow_role_seeds(s, &maker, err))
        return false;
    str_add(&seeds, "SET phasegate.seeds = ");
    sql_literal(&seeds, maker);
    add_array(&roles, "phasegate.roles", &s->roles_made);
    str_add(&owner, "SET phasegate.owner = ");
    sql_literal(&owner, s->owner);
    /* Triggers on events are the baseline's, and would run as us. */
    sql[n++] = "SET session_replication_role = replica";
    sql[n++] = calm_events;
    sql[n++] = str_text(&owner);
    sql[n++] = str_text(&roles);
    sql[n++] = str_text(&seeds);
    if (!s->superuser_steps)
        sql[n++] = weaken;
    if (!s->superuser_steps && !s->url)
        sql[n++] = take_back;
    if (is_loaded) {
        sql[n++] = take_over;
        sql[n++] = take_definers;
        sql[n++] = join_owners;
        sql[n++] = take_defaults;
        sql[n++] = open_extension_tables;
        sql[n++] = close_ways_out;
        sql[n++] = load_close_functions;
        if (!s->url)
            sql[n++] = take_extensions;
    }
    return shadow_within(s, database, sql, n, err);
}
