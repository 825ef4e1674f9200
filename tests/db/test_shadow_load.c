/* The shadow: baselines, what becomes of them, and what a limited role can't do. */
#include "shadow_rig.h"

#include "pgtest.h"

#include <sys/stat.h>
#include <unistd.h>

/* ---- a project of one test --------------------------------------------------------------------- */

static char *root;

static int begin_test(void **state)
{
    (void) state;
    root = strdup("/tmp/phasegate-test-XXXXXX");
    assert_non_null(mkdtemp(root));
    return 0;
}

static void remove_below(const char *path)
{
    struct host *host = host_posix(rig.clock, NULL);
    const char *const argv[] = {"rm", "-rf", path, NULL};
    int code;
    GOOD(host->ops->run(host, argv, NULL, 10000, NULL, NULL, &code, &err));
    host_posix_free(host);
}

static int end_test(void **state)
{
    remove_below(root);
    free(root);
    return rig_free_texts(state);
}

static void write_bytes(const char *name, const char *bytes, size_t n)
{
    AUTO(str) path = {0};

    str_addf(&path, "%s/%s", root, name);
    FILE *file = fopen(str_text(&path), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

static void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void make_folder(const char *name)
{
    AUTO(str) path = {0};

    str_addf(&path, "%s/%s", root, name);
    assert_int_equal(mkdir(str_text(&path), 0755), 0);
}

static const char *load(const char *path)
{
    const char *name = rig_database(NULL);

    GOOD(shadow_load(rig.shadow, name, root, path, &err));
    return name;
}

static struct wire *loaded(const char *sql)
{
    write_file("dump.sql", sql);
    return rig_open(&(struct wire_options) {.database = load("dump.sql")});
}

/* The load of sql fails, and message (with its SQLSTATE behind it, as people see it) and hint hold these. */
static void refused(const char *sql, const char *message, const char *hint)
{
    const char *name = rig_database(NULL);
    AUTO(err) why = {0};

    write_file("dump.sql", sql);
    if (shadow_load(rig.shadow, name, root, "dump.sql", &why))
        fail_msg("it was loaded: %s", sql);
    str_addf(&why.message, " (SQLSTATE %s)", why.sqlstate);
    if (why.kind != ERR_INPUT || !strstr(str_text(&why.message), message) ||
        !strstr(str_text(&why.hint), hint))
        fail_msg("%s %s\n%s\ninstead of: %s\n%s", err_kind_word(why.kind), str_text(&why.message),
                 str_text(&why.hint), message, hint);
}

/* ---- a dump as it is --------------------------------------------------------------------------- */

static const char dump[] =
    "--\n-- PostgreSQL database dump\n--\n\n"
    "\\restrict AbCdEf123\n\n"
    "SET statement_timeout = 0;\n"
    "SET transaction_timeout = 0;\n"
    "SET client_encoding = 'UTF8';\n"
    "SET standard_conforming_strings = on;\n"
    "SELECT pg_catalog.set_config('search_path', '', false);\n"
    "SET default_tablespace = fast;\n"
    "CREATE SCHEMA app;\n"
    "ALTER SCHEMA app OWNER TO shop_owner;\n"
    "CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA app;\n"
    "COMMENT ON EXTENSION pg_trgm IS 'trigrams';\n"
    "CREATE FUNCTION app.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;\n"
    "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION app.on_ddl();\n"
    "ALTER EVENT TRIGGER watch OWNER TO postgres;\n"
    "CREATE TYPE public.state AS ENUM ('new', 'paid');\n"
    "ALTER TYPE public.state OWNER TO postgres;\n"
    "CREATE TABLE public.orders (id bigint NOT NULL, note text DEFAULT 'a\\' , state "
    "public.state);\n"
    "ALTER TABLE public.orders OWNER TO postgres;\n"
    "CREATE SEQUENCE public.orders_id_seq;\n"
    "ALTER TABLE public.orders_id_seq OWNER TO postgres;\n"
    "ALTER SEQUENCE public.orders_id_seq OWNED BY public.orders.id;\n"
    "CREATE TABLE app.untold (id serial PRIMARY KEY, v public.state);\n"
    "CREATE VIEW app.seen AS SELECT id FROM app.untold;\n"
    "CREATE MATERIALIZED VIEW app.kept AS SELECT id FROM app.untold;\n"
    "CREATE DOMAIN app.positive AS integer CHECK (VALUE > 0);\n"
    "CREATE TYPE app.pair AS (a int, b int);\n"
    "CREATE FUNCTION app.twice(integer) RETURNS integer LANGUAGE sql\n"
    "    BEGIN ATOMIC\n SELECT CASE WHEN true THEN ($1 * 2) END;\nEND;\n"
    "CREATE AGGREGATE app.total(integer) (SFUNC = int4pl, STYPE = integer);\n"
    "CREATE OPERATOR app.@+ (FUNCTION = int4pl, LEFTARG = integer, RIGHTARG = integer);\n"
    "CREATE STATISTICS app.st ON id, v FROM app.untold;\n"
    "COPY public.orders (id, note) FROM stdin;\n"
    "1\t\\\\! echo\n"
    "2\t'; DROP\n"
    "\\.\n\n"
    "COPY public.orders (id, note) FROM stdin WITH (FORMAT csv);\n"
    "3,\"\\! x\"\n"
    "\\.\n"
    "SELECT pg_catalog.setval('public.orders_id_seq', 7, true);\n"
    "CREATE POLICY own ON public.orders TO web, \"Odd Role\" USING (true);\n"
    "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT SELECT ON TABLES TO "
    "reader;\n"
    "GRANT SELECT ON TABLE public.orders TO web;\n"
    "GRANT reader TO web;\n"
    "GRANT CONNECT ON DATABASE production TO web;\n"
    "\\unrestrict AbCdEf123\n";

static void test_a_dump_is_loaded(void **state)
{
    (void) state;
    struct wire *w = loaded(dump);
    static const char *const steps[] = {
        "ALTER TABLE orders ADD COLUMN x int",
        "ALTER TYPE state ADD VALUE 'sent'",
        "ALTER TABLE app.untold ADD COLUMN x int",
        "DROP VIEW app.seen",
        "REFRESH MATERIALIZED VIEW app.kept",
        "DROP MATERIALIZED VIEW app.kept",
        "ALTER DOMAIN app.positive DROP CONSTRAINT positive_check",
        "ALTER TYPE app.pair ADD ATTRIBUTE c int",
        "CREATE OR REPLACE FUNCTION app.twice(integer) RETURNS integer LANGUAGE sql AS 'SELECT 3'",
        "DROP AGGREGATE app.total(integer)",
        "DROP OPERATOR app.@+ (integer, integer)",
        "DROP STATISTICS app.st",
        "ALTER SEQUENCE orders_id_seq RESTART",
        "CREATE TABLE app.more (id int)",
        "CREATE TABLE public.more (id int)",
        "CREATE SCHEMA third",
        "ALTER TABLE app.more OWNER TO shop_owner",
        "CREATE EXTENSION citext",
        "ALTER POLICY own ON orders USING (false)",
        "COMMENT ON EXTENSION pg_trgm IS 'x'",
        "DROP EXTENSION pg_trgm",
        "DROP SCHEMA app CASCADE",
    };

    assert_string_equal(rig_value(w, "SELECT string_agg(note, '|' ORDER BY id) FROM orders"),
                        "\\! echo|'; DROP|\\! x");
    assert_string_equal(rig_value(w, "SELECT nextval('orders_id_seq')"), "8");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        rig_ok(w, steps[i]);
    assert_string_equal(rig_value(w, "SELECT has_table_privilege('reader', 'more', 'SELECT')"),
                        "t");
    assert_string_equal(
        rig_value(w, "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolsuper"),
        "phasegate_admin");
    wire_close(w);
}

static void test_a_role_is_as_the_baseline_makes_it(void **state)
{
    (void) state;
    static const char sql[] = "CREATE ROLE app LOGIN BYPASSRLS SUPERUSER CREATEROLE PASSWORD 'x';\n"
                              "CREATE USER boss IN ROLE staff;\n"
                              "ALTER ROLE boss CREATEDB;\n"
                              "ALTER ROLE boss IN DATABASE production SET search_path = x;\n"
                              "GRANT pg_read_server_files, staff TO app;\n"
                              "CREATE TABLE t (id int);\nALTER TABLE t OWNER TO boss;\n";
    struct wire *w = loaded(sql);

    assert_string_equal(rig_value(w, "SELECT rolbypassrls AND NOT rolsuper AND NOT rolcreaterole "
                                     "FROM pg_roles WHERE rolname = 'app'"),
                        "t");
    assert_string_equal(rig_value(w, "SELECT pg_has_role('app', 'pg_read_server_files', 'MEMBER') "
                                     "OR NOT pg_has_role('app', 'staff', 'MEMBER') "
                                     "OR NOT pg_has_role('boss', 'staff', 'MEMBER')"),
                        "f");
    wire_close(w);
    w = loaded(sql); /* once more: all of them exist now */
    rig_ok(w, "ALTER TABLE t ADD COLUMN x int");
    wire_close(w);
}

/* Where the text doesn't show it, the second time does it. */
static void test_a_role_that_nobody_could_see(void **state)
{
    (void) state;
    struct wire *w = loaded("CREATE TABLE t (id int);\n"
                            "DO $$BEGIN EXECUTE 'GRANT SELECT ON t TO ' || 'hid' || 'den'; END$$;");

    assert_string_equal(rig_value(w, "SELECT has_table_privilege('hidden', 't', 'SELECT')"), "t");
    wire_close(w);
}

/* ---- folders ----------------------------------------------------------------------------------- */

static void test_the_order_of_a_folder(void **state)
{
    (void) state;
    make_folder("m");
    write_file("m/10_last.sql", "INSERT INTO t VALUES ('10')");
    write_file("m/2_second.sql", "INSERT INTO t VALUES ('2') -- no semicolon");
    write_file("m/001_first.sql",
               "\xef\xbb\xbf"
               "CREATE TABLE t (v text, n serial);\nSET search_path = nowhere;\n");
    write_file("m/V2.10__x.sql", "INSERT INTO t VALUES ('2.10');");
    write_file("m/V2.9__x.sql", "INSERT INTO t VALUES ('2.9');");
    write_file("m/20240101120000_x.up.sql", "INSERT INTO t VALUES ('2024');");
    write_file("m/20240101120000_x.down.sql", "DROP TABLE t;");
    write_file("m/U2__x.sql", "DROP TABLE t;");
    write_file("m/3_both.sql", "-- migrate:up\nINSERT INTO t VALUES ('3');\n-- migrate:down\n"
                               "DROP TABLE t; \\! false\n");
    write_file("m/readme.txt", "no SQL");
    write_file("m/repeat.sql", "INSERT INTO t VALUES ('r');");
    make_folder("m/4_nested.sql.d");
    struct wire *w = rig_open(&(struct wire_options) {.database = load("m")});
    assert_string_equal(rig_value(w, "SELECT string_agg(v, ' ' ORDER BY n) FROM t"),
                        "2 2.9 2.10 3 10 2024 r");
    wire_close(w);
    /* The place of an error in a later file. */
    write_file("m/11_bad.sql", "SELECT 1;\n\n-- here\nINSERT INTO\n  t\nVALUES\n  (1, nothing);\n");
    AUTO(err) why = {0};
    assert_false(shadow_load(rig.shadow, rig_database(NULL), root, "m/", &why));
    assert_non_null(strstr(str_text(&why.message), "m/11_bad.sql:7: "));
    assert_string_equal(why.sqlstate, "42703");
}

/* In the order of a folder's, and called as if they lay in one. */
static void test_files_that_lie_nowhere(void **state)
{
    static const char first[] = "CREATE TABLE t (n serial, v text);\n",
                      last[] = "INSERT INTO t (v) VALUES ('10');\n", bad[] = "SELECT 1;\nSELEC;\n";
    struct given_file files[] = {{.name = "10_c.sql", .bytes = last, .n = sizeof last - 1},
                                 {.name = "2_b.sql", .path = "to be set"},
                                 {.name = "1_a.down.sql", .bytes = bad, .n = sizeof bad - 1},
                                 {.name = "1_a.sql", .bytes = first, .n = sizeof first - 1}};
    const char *name = rig_database(NULL);
    AUTO(str) path = {0};
    AUTO(err) why = {0};

    (void) state;
    write_file("elsewhere.sql", "INSERT INTO t (v) VALUES ('2');\n");
    str_addf(&path, "%s/elsewhere.sql", root);
    files[1].path = str_text(&path);
    GOOD(shadow_load_given(rig.shadow, name, "m", files, 4, true, &err));
    struct wire *w = rig_open(&(struct wire_options) {.database = name});
    assert_string_equal(rig_value(w, "SELECT string_agg(v, ' ' ORDER BY n) FROM t"), "2 10");
    wire_close(w);
    assert_false(shadow_load_given(rig.shadow, rig_database(NULL), "m", files + 2, 1, false, &why));
    assert_non_null(strstr(str_text(&why.message), "m:2: "));
    err_clear(&why);
    assert_false(shadow_load_given(rig.shadow, rig_database(NULL), "m", files + 2, 1, true, &why));
    assert_non_null(strstr(str_text(&why.message), "has no .sql file"));
}

static void test_what_can_not_be_read(void **state)
{
    (void) state;
    const char *name = rig_database(NULL);
    AUTO(err) why = {0};

    assert_false(shadow_load(rig.shadow, name, root, "nothing.sql", &why));
    assert_int_equal(why.kind, ERR_INPUT);
    make_folder("empty");
    assert_false(shadow_load(rig.shadow, name, root, "empty", &why));
    assert_int_equal(why.kind, ERR_INPUT);
    assert_non_null(strstr(str_text(&why.message), "has no .sql file"));
    write_bytes("dump.sql", "PGDMP\1\16", 7);
    assert_false(shadow_load(rig.shadow, name, root, "dump.sql", &why));
    assert_non_null(strstr(str_text(&why.hint), "pg_restore"));
    write_bytes("dump.sql", "S\0E\0L\0", 6);
    assert_false(shadow_load(rig.shadow, name, root, "dump.sql", &why));
    assert_non_null(strstr(str_text(&why.message), "dump.sql:1: a byte 0"));
}

/* ---- errors ------------------------------------------------------------------------------------ */

static void test_errors_have_a_place(void **state)
{
    (void) state;
    refused("SELECT 1;\n\nCREATE TABLE t (\n  id int,\n  x nothing\n);\n", "dump.sql:5: ", "");
    refused("CREATE TABLE t (id int); CREATE TABLE t (id int);", "dump.sql:1: relation \"t\"", "");
    refused("COPY nothing FROM stdin;\n\\! touch /tmp/x\n\\.\n", "dump.sql:1: relation", "");
    refused("CREATE TABLE t (id int);\nCOPY t FROM stdin;\n1\nx\n\\.\n", "dump.sql:", "");
    refused("CREATE TABLE t (v text DEFAULT 'caf\xe9');", "SQLSTATE 22021",
            "pg_dump --encoding=UTF8");
    refused("CREATE EXTENSION nonexistent_one;", "lacks the extension \"nonexistent_one\"",
            "apt install postgresql-");
    refused("CREATE EXTENSION vector;", "lacks the extension \"vector\"", "pgvector");
    refused("BEGIN;\nSELECT 1;\n", "SQLSTATE 25001", "add COMMIT");
    refused("SET no_such_thing = 1;", "dump.sql:1: unrecognized", "newer PostgreSQL");
    refused("DO $$BEGIN RAISE EXCEPTION 'psql:<stdin>:99: ERROR:  no'; END$$;",
            "dump.sql:1: psql:", "");
}

/* ---- what a baseline may not do ---------------------------------------------------------------- */

static void test_a_baseline_runs_no_programs(void **state)
{
    (void) state;
    static const struct {
        const char *sql, *message;
    } cases[] = {
        {"\\! touch /tmp/phasegate-owned", "dump.sql:1: a backslash command"},
        {"SELECT 1;\n  \\i other.sql\n", "dump.sql:2: a backslash command"},
        {"SELECT 1 \\g /tmp/phasegate-owned\n", "dump.sql:1: a backslash command"},
        {"SELECT 'x' \\gexec", "dump.sql:1: a backslash"},
        {"SELECT 1\\; SELECT 2;", "dump.sql:1: a backslash"},
        {"\\connect postgres", "dump.sql:1: a backslash"},
        {"\\restrict a \\! true\n\\! true\n", "dump.sql:2: a backslash"},
        {"SELECT 1 \\restrict a\n;", "dump.sql:1: a backslash"},
        {"SELECT $$ $$ \\! true", "dump.sql:1: a backslash"},
        {"SELECT $a$ $$ ' $a$ \\! true", "dump.sql:1: a backslash"},
        {"SELECT E'\\'' \\! true", "dump.sql:1: a backslash"},
        {"SELECT e'\\\\' \\! true", "dump.sql:1: a backslash"},
        {"SELECT 'a\\' \\! true", "dump.sql:1: a backslash"},
        {"SET standard_conforming_strings = off;\nSELECT 'a\\'' \\! true",
         "dump.sql:2: a backslash"},
        {"SELECT \"a\"\"\\\" \\! true", "dump.sql:1: a backslash"},
        {"/* /* */ ' */ \\! true", "dump.sql:1: a backslash"},
        {"-- '\n\\! true", "dump.sql:2: a backslash"},
        {"-- '\r\\! true", "dump.sql:1: a backslash"},
        {"SELECT a$b$c, \\! true $b$", "dump.sql:1: a backslash"},
        {"SELECT $1$ \\! true", "dump.sql:1: a backslash"},
        {"COPY t FROM stdin;\n1\n\\.\n\\! true\n", "dump.sql:4: a backslash"},
        {"COPY t FROM stdin; SELECT 1;\n1\n\\.\n", "dump.sql:1: something follows"},
        {"COPY t FROM '/etc/passwd';", "dump.sql:1: COPY from or to a file"},
        {"COPY t FROM PROGRAM 'id';", "dump.sql:1: COPY from or to a file"},
        {"copy (select 1 from t) /* */ to\nprogram 'id';", "dump.sql:1: COPY from or to a file"},
        {"COPY t TO '/tmp/phasegate-owned';", "dump.sql:1: COPY from or to a file"},
        {"CREATE DATABASE x;", "makes and drops no databases"},
        {"DROP DATABASE x;", "makes and drops no databases"},
        {"ALTER SYSTEM SET fsync = on;", "settings of the server"},
        {"CREATE TABLESPACE x LOCATION '/tmp';", "no tablespaces"},
        {"SELECT 'never ends;\n", "dump.sql:1: a string doesn't end"},
        {"SELECT 1;\nSELECT $x$ never;\n$y$", "dump.sql:2: a string doesn't end"},
        {"SELECT 1;\n/* never", "dump.sql:2: a comment doesn't end"},
        {"SELECT (1;\n", "dump.sql:1: a statement doesn't end"},
        {"SELECT E'a'\n'b\\' ;", "dump.sql:2: a string with escapes that goes on"},
        {"SET client_encoding = 'SJIS';", "an encoding whose characters"},
        {"SET NAMES 'GBK';", "an encoding whose characters"},
        {"SELECT 1;\nALTER EXTENSION plpgsql ADD FUNCTION f();", "dump.sql:2: a baseline adds"},
        {"ALTER ROLE phasegate_admin NOSUPERUSER;", "dump.sql:1: a role of the shadow's"},
        {"ALTER USER \"phasegate_shadow\" SUPERUSER;", "dump.sql:1: a role of the shadow's"},
        {"UPDATE pg_authid SET rolsuper = true;", "dump.sql:1: a baseline doesn't write"},
        {"DELETE FROM ONLY pg_catalog.pg_database;", "dump.sql:1: a baseline doesn't write"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].sql, cases[i].message, "");
    assert_int_not_equal(access("/tmp/phasegate-owned", F_OK), 0);
}

/* What no scan can see, the server's process isn't able to: on a Linux with seccomp and Landlock. */
static void test_not_even_a_superuser_runs_programs(void **state)
{
    (void) state;
    refused("DO $$BEGIN EXECUTE 'COPY (SELECT 1) TO PROG' || 'RAM ''touch /tmp/phasegate-owned'''; "
            "END$$;",
            "could not execute command", "");
    refused(
        "DO $$BEGIN EXECUTE 'COPY (SELECT 1) TO ' || quote_literal('/tmp/phasegate-owned'); END$$;",
        "Permission denied", "");
    refused(
        "CREATE EXTENSION dblink;\nSELECT dblink_connect('host=/tmp/nowhere dbname=x user=y');\n",
        "dump.sql:2: could not establish connection", "");
    assert_int_not_equal(access("/tmp/phasegate-owned", F_OK), 0);
}

/* ---- what a step may not do -------------------------------------------------------------------- */

static void test_a_step_stays_inside(void **state)
{
    (void) state;
    struct wire *w =
        loaded("CREATE EXTENSION dblink;\nCREATE EXTENSION postgres_fdw;\n"
               "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far');\n"
               "ALTER SERVER far OWNER TO shop_owner;\n"
               "CREATE USER MAPPING FOR shop_owner SERVER far OPTIONS (user 'u', "
               "password 'p');\n"
               "CREATE FOREIGN TABLE away (id int) SERVER far;\n"
               "CREATE TABLE t (v text);\n");
    static const struct {
        const char *sqlstate, *sql;
    } cases[] = {
        {"42501", "SET ROLE phasegate_admin"},
        {"42501", "SET SESSION AUTHORIZATION phasegate_admin"},
        {"42501", "SELECT pg_read_file('/etc/passwd')"},
        {"42501", "SELECT pg_ls_dir('/')"},
        {"42501", "SELECT lo_import('/etc/passwd')"},
        {"42501", "SELECT lo_export(lo_create(0), '/tmp/phasegate-owned')"},
        {"42501", "DO $$BEGIN COPY t FROM PROGRAM 'id'; END$$"},
        {"42501", "DO $$BEGIN EXECUTE 'COPY t TO ''/tmp/phasegate-owned'''; END$$"},
        {"42501", "DO $$BEGIN PERFORM pg_read_file('/etc/passwd'); END$$"},
        {"42501", "DROP DATABASE postgres"},
        {"42501", "DROP DATABASE template1"},
        {"42501", "CREATE DATABASE x"},
        {"42501", "ALTER ROLE phasegate_shadow SUPERUSER"},
        {"42501", "CREATE ROLE x SUPERUSER"},
        {"42501", "GRANT pg_execute_server_program TO phasegate_shadow"},
        {"42501", "ALTER SYSTEM SET fsync = on"},
        {"42501", "SET lc_messages = 'C'"},
        {"42501", "SET session_preload_libraries = 'x'"},
        {"42501", "CREATE EXTENSION file_fdw"},
        {"42501", "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'"},
        {"42501", "CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'x'"},
        {"42501", "SELECT dblink_connect('host=/tmp user=phasegate_admin')"},
        {"42501", "SELECT dblink_connect_u('host=/tmp user=phasegate_admin')"},
        {"42501", "ALTER FUNCTION dblink_connect_u(text) OWNER TO phasegate_shadow"},
        {"42501", "GRANT EXECUTE ON FUNCTION dblink(text) TO phasegate_shadow"},
        {"42501", "ALTER EXTENSION dblink DROP FUNCTION dblink_connect_u(text)"},
        {"42501", "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw"},
        {"42501", "CREATE USER MAPPING FOR phasegate_shadow SERVER far"},
        {"42501", "CREATE USER MAPPING FOR shop_owner SERVER far"},
        {"42501", "UPDATE pg_authid SET rolsuper = true"},
        {"42501", "SELECT pg_reload_conf()"},
        {"42501", "LOAD 'auto_explain'"},
        {"42501", "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()"},
    };

    rig_ok(w, "RESET ROLE");
    rig_ok(w, "RESET SESSION AUTHORIZATION");
    assert_string_equal(rig_value(w, "SELECT current_user"), "phasegate_shadow");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        rig_fails(w, cases[i].sqlstate, cases[i].sql);
    struct wire_result r = rig_exec(w, "SELECT * FROM away");
    assert_false(r.ok);
    rig_ok(w, "ALTER FOREIGN TABLE away ADD COLUMN x int");
    assert_int_not_equal(access("/tmp/phasegate-owned", F_OK), 0);
    wire_close(w);
    AUTO(err) why = {0};
    assert_false(wire_open(
        rig.shadow,
        &(struct wire_options) {.database = rig_database(NULL), .role = "phasegate_admin"}, &w,
        &why));
    assert_int_equal(why.kind, ERR_INPUT);
}

#define HIDDEN(sql) "DO $o$BEGIN EXECUTE $i$" sql "$i$; END$o$;\n"
#define RUNS                                                                                       \
    "(q text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN EXECUTE q; END$$;\n"

/* Prepared by the superuser, where no scan sees it. */
static const char traps[] =
    "CREATE FUNCTION evil" RUNS "CREATE FUNCTION plain" RUNS
    "CREATE VIEW roles AS SELECT * FROM pg_authid;\nGRANT ALL ON roles TO PUBLIC;\n"
    "CREATE TABLE ruled (id int);\nGRANT ALL ON ruled TO PUBLIC;\n"
    "CREATE RULE r AS ON INSERT TO ruled DO INSTEAD UPDATE pg_authid SET rolsuper = true;\n" //
    HIDDEN("ALTER EXTENSION plpgsql ADD FUNCTION evil(text)")                                //
    HIDDEN("ALTER EXTENSION plpgsql ADD VIEW roles")                                         //
    HIDDEN("ALTER EXTENSION plpgsql ADD TABLE ruled")                                        //
    HIDDEN("GRANT CREATE ON SCHEMA pg_catalog TO PUBLIC")                                    //
    HIDDEN("GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO PUBLIC")              //
    HIDDEN("GRANT UPDATE (rolsuper) ON pg_authid TO PUBLIC")                                 //
    HIDDEN("GRANT SELECT (rolsuper, rolname) ON pg_authid TO PUBLIC")                        //
    HIDDEN("ALTER FUNCTION obj_description(oid, name) OWNER TO phasegate_shadow");

static void test_a_baseline_lifts_no_step(void **state)
{
    (void) state;
    struct wire *w = loaded(traps);
    static const char *const steps[] = {
        "SELECT evil('ALTER ROLE phasegate_shadow SUPERUSER')",
        "SELECT plain('ALTER ROLE phasegate_shadow SUPERUSER')",
        "UPDATE roles SET rolsuper = true WHERE rolname = 'phasegate_shadow'",
        "INSERT INTO ruled VALUES (1)",
        "UPDATE pg_authid SET rolsuper = true WHERE rolname = 'phasegate_shadow'",
        "CREATE FUNCTION pg_catalog.concat_ws(text, text, text) RETURNS text LANGUAGE sql "
        "AS 'SELECT 1::text'",
        "CREATE OR REPLACE FUNCTION pg_catalog.obj_description(oid, name) RETURNS text LANGUAGE "
        "sql AS 'SELECT 1::text'",
        "SELECT pg_read_file('/etc/passwd')",
    };

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        rig_fails(w, "42501", steps[i]);
    assert_string_equal(rig_value(w, "SELECT count(*) FROM pg_roles WHERE rolsuper"), "1");
    wire_close(w);
}

static void test_what_is_postgres_own(void **state)
{
    (void) state;
    static const struct {
        const char *sql, *message;
    } cases[] = {
        {"CREATE FUNCTION pg_catalog.quote_literal(name) RETURNS text LANGUAGE sql "
         "AS 'SELECT ''x''::text';",
         "function quote_literal"},
        {"CREATE FUNCTION f(text) RETURNS text LANGUAGE sql AS 'SELECT $1'; "
         "CREATE OPERATOR pg_catalog.@@@@ (FUNCTION = f, RIGHTARG = text);",
         "operator @@@@"},
        {"CREATE FUNCTION f(oid) RETURNS text LANGUAGE sql AS 'SELECT ''x''::text'; "
         "CREATE CAST (oid AS text) WITH FUNCTION f(oid);",
         "cast from oid"},
        {"CREATE OR REPLACE FUNCTION pg_catalog.obj_description(oid, name) RETURNS text LANGUAGE "
         "sql AS 'SELECT ''x''::text';",
         "object obj_description"},
        {"UPDATE pg_language SET lanpltrusted = true WHERE lanname = 'c';", "object c"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].sql, cases[i].message, "pg_dump");
}

static const char settings[] =
    "CREATE FUNCTION boom() RETURNS event_trigger LANGUAGE plpgsql AS "
    "$$BEGIN ALTER ROLE phasegate_shadow SUPERUSER; END$$;\n"
    "CREATE EVENT TRIGGER always ON ddl_command_end EXECUTE FUNCTION boom();\n"
    "ALTER EVENT TRIGGER always ENABLE ALWAYS;\n"                                //
    HIDDEN("ALTER ROLE phasegate_admin SET default_transaction_read_only = on")  //
    HIDDEN("ALTER ROLE phasegate_admin NOLOGIN")                                 //
    HIDDEN("ALTER ROLE phasegate_shadow NOLOGIN")                                //
    HIDDEN("ALTER ROLE phasegate_shadow SET default_transaction_read_only = on") //
    "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', "
    "current_database()); END$$;\n"
    "DO $$BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 0', "
    "current_database()); END$$;\n";

static void test_our_sessions_stay_as_they_are(void **state)
{
    (void) state;
    struct wire *w = loaded(settings);

    assert_string_equal(rig_value(w, "SHOW default_transaction_read_only"), "off");
    assert_string_equal(rig_value(w, "SELECT count(*) FROM pg_roles WHERE rolsuper"), "1");
    rig_fails(w, "42501", "CREATE TABLE t (id int)"); /* the trigger runs, and not as us */
    wire_close(w);
    GOOD(shadow_database(rig.shadow, "still_there", NULL, &err));
}

/* ---- from a live database ---------------------------------------------------------------------- */

static void test_from_a_live_database(void **state)
{
    (void) state;
    char *from = pgtest_new_database();
    const char *name = rig_database(NULL);

    pgtest_exec(from, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);"
                      "CREATE PUBLICATION p FOR TABLE t");
    GOOD(shadow_load_from(rig.shadow, name, from, &err));
    struct wire *w = rig_open(&(struct wire_options) {.database = name});
    assert_string_equal(rig_value(w, "SELECT count(*) FROM t"), "0");
    rig_ok(w, "ALTER TABLE t ADD COLUMN x int");
    wire_close(w);
    pgtest_drop_database(from);

    AUTO(err) why = {0};
    name = rig_database(NULL);
    assert_false(shadow_load_from(
        rig.shadow, name, "postgresql://u:se%2Fcret@127.0.0.1:1/x?connect_timeout=2", &why));
    assert_int_equal(why.kind, ERR_UNREACHABLE);
    assert_null(strstr(str_text(&why.detail), "cret"));
    assert_false(shadow_load_from(rig.shadow, name, "postgresql://u:se/cret@x", &why));
    assert_null(strstr(str_text(&why.message), "cret"));
}

static int begin(void **state)
{
    static const char *const roles[] = {"app", "web", NULL};

    (void) state;
    return rig_begin_with(&(struct shadow_options) {.roles = roles});
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_dump_is_loaded),
        TEST(a_role_is_as_the_baseline_makes_it),
        TEST(a_role_that_nobody_could_see),
        TEST(the_order_of_a_folder),
        TEST(files_that_lie_nowhere),
        TEST(what_can_not_be_read),
        TEST(errors_have_a_place),
        TEST(a_baseline_runs_no_programs),
        TEST(not_even_a_superuser_runs_programs),
        TEST(a_step_stays_inside),
        TEST(a_baseline_lifts_no_step),
        TEST(what_is_postgres_own),
        TEST(our_sessions_stay_as_they_are),
        TEST(from_a_live_database),
    };

    return cmocka_run_group_tests(tests, begin, rig_end);
}
