/* The truth of what is derived from a statement's text, on a real server: applied_when is false before and true
 * after, undo gives back the very catalogue and makes it false again. */
#include "sql_ground.h"

/* ---- the catalogue as text -------------------------------------------------------------------------- */

/* Everything in schemas w and x, and what belongs to the database, by name and never by oid or number. */
static const char catalogue[] =
    "WITH rel AS (SELECT c.*, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = "
    "c.relnamespace"
    "             WHERE n.nspname IN ('w', 'x', 'y')), line AS ("
    " SELECT 'rel ' || format('%I.%I', r.nspname, r.relname) || concat_ws('|', r.relkind, "
    "r.relpersistence, r.relrowsecurity,"
    "   r.relforcerowsecurity, r.relreplident, pg_get_userbyid(r.relowner), r.reloptions, "
    "obj_description(r.oid, 'pg_class'),"
    "   pg_get_partkeydef(r.oid), CASE WHEN r.relispartition THEN pg_get_expr(r.relpartbound, "
    "r.oid) END,"
    "   (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(COALESCE(r.relacl, "
    "acldefault(CASE r.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END, r.relowner))) x)) AS l "
    "FROM rel r"
    " UNION ALL SELECT 'col ' || format('%I.%I.%I', r.nspname, r.relname, a.attname) || "
    "concat_ws('|',"
    "   row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), format_type(a.atttypid, "
    "a.atttypmod), a.attnotnull,"
    "   a.attidentity, a.attgenerated, a.attstorage, a.attstattarget, a.attacl, a.attoptions, "
    "pg_get_expr(d.adbin, d.adrelid),"
    "   col_description(r.oid, a.attnum)) FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND "
    "a.attnum > 0 AND NOT a.attisdropped"
    "   LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " UNION ALL SELECT 'con ' || k.conname || concat_ws('|', k.conrelid::regclass, "
    "k.contypid::regtype, pg_get_constraintdef(k.oid),"
    "   k.convalidated, obj_description(k.oid, 'pg_constraint')) FROM pg_constraint k JOIN "
    "pg_namespace n ON n.oid = k.connamespace WHERE n.nspname IN ('w', 'x', 'y')"
    " UNION ALL SELECT 'idx ' || concat_ws('|', pg_get_indexdef(i.indexrelid), i.indisvalid, "
    "i.indisunique) FROM pg_index i JOIN rel r ON r.oid = i.indrelid"
    " UNION ALL SELECT 'trg ' || concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled) FROM "
    "pg_trigger t JOIN rel r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal"
    " UNION ALL SELECT 'inh ' || concat_ws('|', i.inhrelid::regclass, i.inhparent::regclass, "
    "i.inhdetachpending) FROM pg_inherits i JOIN rel r ON r.oid = i.inhrelid"
    " UNION ALL SELECT 'view ' || concat_ws('|', r.relname, pg_get_viewdef(r.oid)) FROM rel r "
    "WHERE r.relkind IN ('v', 'm')"
    " UNION ALL SELECT 'seq ' || concat_ws('|', r.relname, s.*) FROM rel r JOIN pg_sequences s ON "
    "s.schemaname = r.nspname AND s.sequencename = r.relname"
    " UNION ALL SELECT 'rule ' || pg_get_ruledef(w.oid) FROM pg_rewrite w JOIN rel r ON r.oid = "
    "w.ev_class WHERE w.rulename <> '_RETURN'"
    " UNION ALL SELECT 'pol ' || concat_ws('|', p.polname, p.polrelid::regclass, p.polpermissive, "
    "pg_get_expr(p.polqual, p.polrelid)) FROM pg_policy p"
    " UNION ALL SELECT 'stat ' || pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s"
    " UNION ALL SELECT 'fun ' || pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON "
    "n.oid = p.pronamespace WHERE n.nspname IN ('w', 'x', 'y') AND p.prokind IN ('f', 'p')"
    " UNION ALL SELECT 'typ ' || concat_ws('|', n.nspname, t.typname, t.typtype, t.typnotnull, "
    "t.typdefault, format_type(t.typbasetype, t.typtypmod), obj_description(t.oid, 'pg_type'),"
    "   (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE "
    "e.enumtypid = t.oid))"
    "   FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname IN ('w', 'x', "
    "'y')"
    " UNION ALL SELECT 'nsp ' || concat_ws('|', n.nspname, obj_description(n.oid, 'pg_namespace'), "
    "(SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(COALESCE(n.nspacl, "
    "acldefault('n', n.nspowner))) x)) FROM pg_namespace n WHERE n.nspname !~ '^pg_(toast_)?temp'"
    " UNION ALL SELECT 'ext ' || extname FROM pg_extension UNION ALL SELECT 'pub ' || pubname FROM "
    "pg_publication"
    ") SELECT string_agg(l, E'\\n' ORDER BY l COLLATE \"C\") FROM line";

static const char *snapshot(PGconn *conn, struct arena *a)
{
    const char *text;

    ask(conn, a, "SET search_path = ''", NULL);
    text = ask(conn, a, catalogue, NULL);
    ask(conn, a, "SET search_path = w, x", NULL);
    return text;
}

/* ---- derive: the table -------------------------------------------------------------------------------- */

enum undo {
    NO_UNDO,
    UNDO,
    UNKNOWN /* the catalogue is asked, and has no answer here */
};

static const struct row {
    const char *sql;
    enum undo undo;
    const char *before; /* more ground */
} rows[] = {
    {"CREATE TABLE nt (id int)", UNDO},
    {"CREATE TABLE IF NOT EXISTS x.nt (id int PRIMARY KEY, p int REFERENCES w.p)", UNDO},
    {"CREATE TABLE far (id int)", UNDO}, /* x.far is in the search_path, and isn't this one */
    {"CREATE TABLE nt AS SELECT * FROM t", UNDO},
    {"CREATE TABLE part3 PARTITION OF part FOR VALUES IN (3)", UNDO},
    {"CREATE SCHEMA y", UNDO},
    {"CREATE SCHEMA IF NOT EXISTS y AUTHORIZATION CURRENT_USER", UNDO},
    {"CREATE TYPE ne AS ENUM ('a', 'it''s', E'back\\\\slash')", UNDO},
    {"CREATE TYPE x.nr AS (a int)", UNDO},
    {"CREATE TYPE nrange AS RANGE (subtype = int4)", UNDO},
    {"CREATE DOMAIN nd AS text CHECK (value <> '')", UNDO},
    {"CREATE SEQUENCE x.nq START 5", UNDO},
    {"CREATE VIEW nv AS SELECT a FROM t", UNDO},
    {"CREATE MATERIALIZED VIEW nm AS SELECT a FROM t", UNDO},
    {"CREATE INDEX ni ON t (a)", UNDO},
    {"CREATE INDEX ni ON x.far (\"Odd Name\")", UNDO},
    {"CREATE UNIQUE INDEX \"Odd \"\"Index\" ON t (a)", UNDO},
    {"CREATE INDEX CONCURRENTLY ni ON t (a)", UNDO},
    {"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ni ON w.t (lower(b))", UNDO},
    {"CREATE INDEX ni ON ONLY part (k)", UNDO},
    {"CREATE FUNCTION nf(a int, b text[], OUT c int) LANGUAGE sql AS 'SELECT 1'", UNDO},
    {"CREATE FUNCTION x.f(int) RETURNS int LANGUAGE sql AS 'SELECT 2'", UNDO}, /* w.f is another */
    {"CREATE FUNCTION f(text) RETURNS int LANGUAGE sql AS 'SELECT 2'", UNDO},
    {"CREATE PROCEDURE np(a e, VARIADIC b int[]) LANGUAGE sql AS 'SELECT 1'", UNDO},
    {"CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'", UNDO},
    {"CREATE OR REPLACE FUNCTION w.f(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1'", UNDO},
    {"CREATE OR REPLACE FUNCTION nf(a int, b text[]) RETURNS int LANGUAGE sql AS 'SELECT 1'", UNDO},
    {"CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 3'", UNDO,
     "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET "
     "search_path = w AS $q$ BEGIN RETURN 'a;b'::text = $$x$$; END $q$"},
    {"CREATE OR REPLACE PROCEDURE np(a e) LANGUAGE sql AS 'SELECT 2'", UNDO,
     "CREATE PROCEDURE np(a e) LANGUAGE sql AS 'SELECT 1'"},
    {"CREATE TRIGGER ng AFTER UPDATE OF a ON t FOR EACH ROW EXECUTE FUNCTION tf()", UNDO},
    {"CREATE EXTENSION IF NOT EXISTS hstore", UNDO},
    {"CREATE PUBLICATION pgtest_pub FOR TABLE w.t", UNDO},
    {"CREATE STATISTICS ns ON a, b FROM t", UNDO},
    {"CREATE POLICY np ON w.t USING (a = 1)", UNDO},
    {"CREATE RULE nr AS ON DELETE TO t DO INSTEAD NOTHING", UNDO},
    /* columns */
    {"ALTER TABLE t ADD COLUMN nc text", UNDO},
    {"ALTER TABLE w.t ADD nc varchar(7) NOT NULL DEFAULT 'x' CHECK (nc <> '') UNIQUE", UNDO,
     "DELETE FROM t"},
    {"ALTER TABLE x.far ADD nc numeric(6,2)[]", UNDO},
    {"ALTER TABLE t ADD nc interval day to second(3)", UNDO},
    {"ALTER TABLE t ADD nc interval(2)", UNDO},
    {"ALTER TABLE t ADD nc timestamp(3) with time zone", UNDO},
    {"ALTER TABLE t ADD nc time(0)", UNDO},
    {"ALTER TABLE t ADD nc char", UNDO},
    {"ALTER TABLE t ADD nc bit varying(9)", UNDO},
    {"ALTER TABLE t ADD nc bit", UNDO},
    {"ALTER TABLE t ADD nc numeric(5,-2)", UNDO},
    {"ALTER TABLE t ADD nc \"char\"", UNDO},
    {"ALTER TABLE t ADD nc e", UNDO},
    {"ALTER TABLE t ADD nc w.d[]", UNDO},
    {"ALTER TABLE t ADD nc serial", UNDO},
    {"ALTER TABLE t ADD nc bigint GENERATED BY DEFAULT AS IDENTITY", UNDO},
    {"ALTER TABLE t ADD nc int GENERATED ALWAYS AS (a * 2) STORED", UNDO},
    {"ALTER TABLE t ADD nc int REFERENCES p", UNDO},
    {"ALTER TABLE part ADD nc int", UNDO},
    {"ALTER TABLE t ADD COLUMN IF NOT EXISTS nc int, ADD nd int, ADD CONSTRAINT nk CHECK (nc > "
     "nd), ALTER nc SET NOT NULL, ALTER n DROP NOT NULL",
     UNDO, "DELETE FROM t"},
    {"ALTER TABLE t DROP COLUMN b", NO_UNDO},
    {"ALTER TABLE IF EXISTS w.t DROP COLUMN IF EXISTS b, DROP COLUMN c", NO_UNDO},
    {"ALTER TABLE t ALTER a SET DEFAULT 7", UNDO},
    {"ALTER TABLE t ALTER a SET DEFAULT -7", UNDO, NULL},
    {"ALTER TABLE t ALTER b SET DEFAULT 'it''s'", UNDO},
    {"ALTER TABLE t ALTER b SET DEFAULT E'a\\\\b'", UNDO},
    {"ALTER TABLE t ALTER c SET DEFAULT 'd'", UNDO},
    {"ALTER TABLE t ALTER c DROP DEFAULT", UNDO},
    {"ALTER TABLE part ALTER s SET DEFAULT 'x'", UNDO},
    {"ALTER TABLE part ALTER s SET DEFAULT 'x'", UNKNOWN, /* of one the others can't be had back */
     "ALTER TABLE part1 ALTER s SET DEFAULT 'y'"},
    {"ALTER TABLE t ADD nd int, ALTER n SET DEFAULT 7, ALTER c DROP DEFAULT", UNDO},
    {"ALTER VIEW v ALTER a SET DEFAULT 7", UNDO},
    {"ALTER TABLE t ALTER a SET NOT NULL", UNDO},
    {"ALTER TABLE t ALTER n DROP NOT NULL", UNDO},
    {"ALTER TABLE t ALTER c TYPE text", NO_UNDO},
    {"ALTER TABLE t ALTER c TYPE varchar(20)", NO_UNDO},
    {"ALTER TABLE t ALTER n TYPE bigint", NO_UNDO},
    {"ALTER TABLE t ALTER b TYPE numeric(8,3) USING b::numeric", NO_UNDO},
    {"ALTER TABLE t ALTER n DROP DEFAULT, ALTER n TYPE e USING 'one'", NO_UNDO},
    {"ALTER TABLE t ALTER b SET STORAGE external", NO_UNDO},
    {"ALTER TABLE t ALTER b SET STATISTICS 77", NO_UNDO},
    {"ALTER TABLE ud ALTER v ADD GENERATED ALWAYS AS IDENTITY", UNDO,
     "ALTER TABLE ud ALTER v TYPE int, ALTER v SET NOT NULL"},
    {"ALTER TABLE t RENAME COLUMN a TO aa", UNDO},
    {"ALTER VIEW v RENAME COLUMN a TO aa", UNDO},
    {"ALTER TYPE r RENAME ATTRIBUTE a TO aa", UNDO},
    {"ALTER TYPE r ADD ATTRIBUTE z text", UNDO},
    {"ALTER TYPE w.r DROP ATTRIBUTE a", NO_UNDO},
    /* constraints */
    {"ALTER TABLE t ADD CONSTRAINT nk CHECK (a < 100)", UNDO},
    {"ALTER TABLE w.t ADD CONSTRAINT nk CHECK (a < 100) NOT VALID", UNDO},
    {"ALTER TABLE t ADD CONSTRAINT nk UNIQUE (a, b)", UNDO},
    {"ALTER TABLE ud ADD CONSTRAINT nk PRIMARY KEY (v)", UNDO,
     "ALTER TABLE ud ALTER v SET NOT NULL"},
    {"ALTER TABLE ud ADD CONSTRAINT nk PRIMARY KEY (v)", UNDO}, /* v could be NULL */
    {"ALTER TABLE part1 ADD CONSTRAINT \"n'k\" PRIMARY KEY (k, s)", UNDO,
     "ALTER TABLE part1 ALTER k SET NOT NULL"},
    {"ALTER TABLE ud ADD PRIMARY KEY (v)", NO_UNDO},
    {"ALTER TABLE t ADD CONSTRAINT nk FOREIGN KEY (a) REFERENCES p", UNDO},
    {"ALTER TABLE t ADD CONSTRAINT nk FOREIGN KEY (a) REFERENCES p NOT VALID", UNDO},
    {"ALTER TABLE t ADD CONSTRAINT nk EXCLUDE USING btree (a WITH =)", UNDO},
    {"ALTER TABLE t ADD CONSTRAINT nk UNIQUE USING INDEX ni", UNDO,
     "CREATE UNIQUE INDEX ni ON t (a)"},
    {"ALTER TABLE w.t ADD CONSTRAINT ni UNIQUE USING INDEX ni", UNDO,
     "CREATE UNIQUE INDEX ni ON t (a, b) INCLUDE (c) WITH (fillfactor = 70)"},
    {"ALTER TABLE t ADD UNIQUE USING INDEX \"n ON i\" DEFERRABLE", UNDO,
     "CREATE UNIQUE INDEX \"n ON i\" ON t (a)"},
    {"ALTER TABLE ud ADD CONSTRAINT nk PRIMARY KEY USING INDEX \"n'i\"", UNDO,
     "CREATE UNIQUE INDEX \"n'i\" ON ud (v)"},
    /* What refers to it keeps the index: the constraint can't go without it. */
    {"ALTER TABLE t ADD CONSTRAINT nk UNIQUE USING INDEX ni", UNKNOWN,
     "CREATE UNIQUE INDEX ni ON t (a); ALTER TABLE p ADD FOREIGN KEY (n) REFERENCES t (a)"},
    {"ALTER TABLE t VALIDATE CONSTRAINT nk", UNDO,
     "ALTER TABLE t ADD CONSTRAINT nk CHECK (b <> 'it''s') NOT VALID"},
    {"ALTER TABLE x.far VALIDATE CONSTRAINT \"n'k\"", UNDO,
     "ALTER TABLE x.far ADD CONSTRAINT \"n'k\" FOREIGN KEY (id) REFERENCES w.p NOT VALID"},
    {"ALTER TABLE t DROP CONSTRAINT told", NO_UNDO},
    {"ALTER TABLE t DROP CONSTRAINT IF EXISTS told CASCADE", NO_UNDO},
    {"ALTER TABLE t RENAME CONSTRAINT told TO tnew", UNDO},
    {"ALTER DOMAIN d ADD CONSTRAINT nk CHECK (value > 0)", UNDO},
    {"ALTER DOMAIN d SET NOT NULL", UNDO},
    {"ALTER DOMAIN d DROP NOT NULL", UNDO, "ALTER DOMAIN d SET NOT NULL"},
    {"ALTER DOMAIN d DROP DEFAULT", NO_UNDO},
    {"ALTER DOMAIN d VALIDATE CONSTRAINT nk", NO_UNDO,
     "ALTER DOMAIN d ADD CONSTRAINT nk CHECK (value > 0) NOT VALID"},
    {"ALTER DOMAIN d DROP CONSTRAINT nk", NO_UNDO,
     "ALTER DOMAIN d ADD CONSTRAINT nk CHECK (value > 0) NOT VALID"},
    /* whole objects */
    {"ALTER TABLE child RENAME TO kid", UNDO},
    {"ALTER TABLE x.far RENAME TO near", UNDO},
    {"ALTER INDEX t_b RENAME TO t_bb", UNDO},
    {"ALTER VIEW v RENAME TO vv", UNDO},
    {"ALTER SEQUENCE w.q RENAME TO qq", UNDO},
    {"ALTER TYPE e RENAME TO ee", UNDO},
    {"ALTER DOMAIN d RENAME TO dd", UNDO},
    {"ALTER TRIGGER g ON t RENAME TO gg", UNDO},
    {"ALTER SCHEMA x RENAME TO y", UNDO},
    {"ALTER TABLE w.child SET SCHEMA x", UNDO},
    {"ALTER TABLE t ENABLE ROW LEVEL SECURITY", UNDO},
    {"ALTER TABLE t FORCE ROW LEVEL SECURITY", UNDO},
    {"ALTER TABLE t DISABLE TRIGGER g", UNDO},
    {"ALTER TABLE t ENABLE TRIGGER g", UNDO, "ALTER TABLE t DISABLE TRIGGER g"},
    {"ALTER TABLE t ENABLE TRIGGER g", UNDO, "ALTER TABLE t ENABLE ALWAYS TRIGGER g"},
    {"ALTER TABLE t DISABLE TRIGGER g", UNDO, "ALTER TABLE t ENABLE REPLICA TRIGGER g"},
    {"ALTER TABLE child SET UNLOGGED", UNDO},
    {"ALTER TABLE t REPLICA IDENTITY FULL", NO_UNDO},
    {"ALTER TABLE t OWNER TO derive_role", NO_UNDO},
    {"ALTER TABLE part ATTACH PARTITION part2 FOR VALUES IN (2)", UNDO},
    {"ALTER TABLE w.part ATTACH PARTITION w.part2 FOR VALUES IN (2)", UNDO,
     "CREATE INDEX \"p's\" ON part (s); CREATE INDEX ON part2 (s); CREATE INDEX own ON part2 (k); "
     "ALTER TABLE part ADD UNIQUE "
     "(k, s), ADD FOREIGN KEY (k) REFERENCES p (id)"},
    {"ALTER TABLE part DETACH PARTITION part1", NO_UNDO},
    {"ALTER TABLE w.part DETACH PARTITION w.part1 CONCURRENTLY", NO_UNDO},
    {"ALTER TYPE e ADD VALUE 'three'", NO_UNDO},
    {"ALTER TYPE w.e ADD VALUE IF NOT EXISTS 'it''s' BEFORE 'two'", NO_UNDO},
    {"ALTER TYPE e RENAME VALUE 'one' TO 'uno'", UNDO},
    {"DROP TABLE child", NO_UNDO},
    {"DROP TABLE IF EXISTS w.child, x.far CASCADE", NO_UNDO},
    {"DROP VIEW v", NO_UNDO},
    {"DROP MATERIALIZED VIEW m", NO_UNDO},
    {"DROP INDEX t_b", NO_UNDO},
    {"DROP INDEX CONCURRENTLY w.t_b", NO_UNDO},
    {"DROP SEQUENCE q", NO_UNDO},
    {"DROP FUNCTION f(int)", NO_UNDO},
    {"DROP FUNCTION w.f", NO_UNDO},
    {"DROP TRIGGER g ON w.t", NO_UNDO},
    {"DROP TYPE e", NO_UNDO},
    {"DROP DOMAIN d CASCADE", NO_UNDO},
    {"DROP SCHEMA x CASCADE", NO_UNDO},
    /* words and rights */
    {"COMMENT ON TABLE t IS 'it''s'", UNDO},
    {"COMMENT ON TABLE t IS 'new'", UNDO, "COMMENT ON TABLE t IS E'o\\\\l''d'"},
    {"COMMENT ON COLUMN w.t.a IS 'x'", UNDO},
    {"COMMENT ON COLUMN w.t.a IS 'x'", UNDO, "COMMENT ON COLUMN w.t.a IS 'old'"},
    {"COMMENT ON COLUMN t.a IS NULL", UNDO, "COMMENT ON COLUMN w.t.a IS 'old'"},
    {"COMMENT ON CONSTRAINT told ON t IS 'x'", UNDO, "COMMENT ON CONSTRAINT told ON t IS 'old'"},
    {"COMMENT ON INDEX t_b IS 'x'", UNDO},
    {"COMMENT ON SCHEMA w IS 'x'", UNDO},
    {"COMMENT ON TYPE e IS 'x'", UNDO},
    {"COMMENT ON DOMAIN d IS 'x'", UNDO},
    {"COMMENT ON CONSTRAINT told ON t IS 'x'", UNDO},
    {"COMMENT ON TABLE t IS NULL", UNDO, "COMMENT ON TABLE t IS 'old'"},
    {"GRANT SELECT ON t TO derive_role", UNDO},
    {"GRANT SELECT, INSERT ON w.t, p TO derive_role, PUBLIC", UNDO},
    {"GRANT SELECT, INSERT ON w.t, p TO derive_role, PUBLIC", UNDO,
     "GRANT SELECT ON w.t, p TO derive_role; GRANT INSERT ON p TO PUBLIC"},
    {"GRANT USAGE, CREATE ON SCHEMA w TO derive_role", UNDO,
     "GRANT USAGE ON SCHEMA w TO derive_role"},
    {"GRANT USAGE ON SCHEMA w TO derive_role", UNDO},
    {"GRANT USAGE ON SEQUENCE q TO derive_role", UNDO},
    {"GRANT SELECT ON t TO derive_role WITH GRANT OPTION", NO_UNDO},
    {"REVOKE SELECT ON t FROM derive_role", UNDO, "GRANT SELECT, INSERT ON t TO derive_role"},
    {"REVOKE SELECT, INSERT ON t FROM derive_role", UNDO,
     "GRANT SELECT, INSERT ON t TO derive_role"},
    {"REVOKE SELECT, UPDATE ON t FROM derive_role", UNDO,
     "GRANT SELECT ON t TO derive_role WITH GRANT OPTION"},
};

/* Has every name that is looked up a schema? */
static bool is_qualified(const char *query)
{
    const char *p = strstr(query, "('\"");

    if (!p || strstr(query, "current_schema") || strstr(query, "is_visible"))
        return false;
    for (; p; p = strstr(p + 1, "('\"")) {
        const char *dot = strstr(p, "\".\""), *end = strstr(p, "')");

        if (!dot || !end || dot > end)
            return false;
    }
    return true;
}

static void expect(PGconn *conn, struct arena *a, const struct row *r, const char *query,
                   const char *want, const char *when)
{
    const char *got = ask(conn, a, query, NULL), *bare;

    if (!got || strcmp(got, want) != 0)
        fail_msg("%s\n%s: %s instead of %s\n%s", r->sql, when, got ? got : "NULL", want, query);
    /* The session that asks may have no search_path: qualified names give the same answer. */
    if (!is_qualified(query))
        return;
    ask(conn, a, "SET search_path = ''", NULL);
    bare = ask(conn, a, query, NULL);
    if (!bare || strcmp(bare, want) != 0)
        fail_msg("%s\n%s, without a search_path: %s instead of %s\n%s", r->sql, when,
                 bare ? bare : "NULL", want, query);
    ask(conn, a, "SET search_path = w, x", NULL);
}

/* One by one, as the engine runs them, those that commit by themselves may come a second time after a crash. */
static void undo_twice(PGconn *conn, struct arena *a, const char *undo)
{
    AUTO(problem_list) problems = {0};
    struct sql_stmt *s = NULL;
    bool is_standalone = false;
    int n = 0;

    if (!sql_facts(a, undo, (struct pos) {"undo", 1, 1}, &s, &n, &problems))
        fail_msg("%s: %s", undo, problems.items[0].message);
    for (int i = 0; i < n; i++)
        is_standalone |= s[i].standalone;
    for (int round = 0; round <= is_standalone && n > 1; round++)
        for (int i = 0; i < n; i++) {
            const char *done =
                is_standalone && s[i].applied_when ? ask(conn, a, s[i].applied_when, NULL) : NULL;
            if (!done || strcmp(done, "t") != 0)
                ask(conn, a, s[i].sql, NULL);
        }
    if (n == 1)
        ask(conn, a, undo, NULL);
}

static void derive_row(PGconn *conn, const struct row *r)
{
    AUTO(arena) a = {0};
    const struct sql_stmt *s = facts_of(&a, r->sql);
    const char *before, *after;

    ask(conn, &a, sql_ground, NULL);
    if (r->before)
        ask(conn, &a, r->before, NULL);
    const char *undo = s->undo_query ? ask(conn, &a, s->undo_query, NULL) : s->undo;
    bool is_known = s->undo || s->undo_query;
    if (!s->applied_when || is_known != (r->undo != NO_UNDO) ||
        !undo != (r->undo == NO_UNDO || r->undo == UNKNOWN))
        fail_msg("%s\napplied_when: %s\nundo: %s", r->sql, s->applied_when, undo);

    before = snapshot(conn, &a);
    expect(conn, &a, r, s->applied_when, "f", "before");
    if (s->half_made_when)
        expect(conn, &a, r, s->half_made_when, "f", "half made before");
    ask(conn, &a, r->sql, NULL);
    if (strcmp(before, snapshot(conn, &a)) == 0)
        fail_msg("%s: changed nothing that is looked at", r->sql);
    expect(conn, &a, r, s->applied_when, "t", "after");
    if (s->half_made_when)
        expect(conn, &a, r, s->half_made_when, "f", "half made after");
    if (!undo)
        return;
    undo_twice(conn, &a, undo);
    expect(conn, &a, r, s->applied_when, "f", "after undo");
    after = snapshot(conn, &a);
    if (r->undo == UNDO && strcmp(before, after) != 0)
        fail_msg("%s\nundone by %s, but it isn't as it was:\n%s\n---- it was\n%s", r->sql, undo,
                 after, before);
}

static void test_derive(void **state)
{
    PGconn *conn = connect_to(*state);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        derive_row(conn, &rows[i]);
}

/* ---- what isn't there, and what is there differently -------------------------------------------------- */

static void test_no_table_is_no_error(void **state)
{
    PGconn *conn = connect_to(*state);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(arena) a = {0};
        const struct sql_stmt *s = facts_of(&a, rows[i].sql);
        const char *got;

        ask(conn, &a,
            "DROP SCHEMA IF EXISTS w CASCADE; DROP SCHEMA IF EXISTS x CASCADE; SET search_path = "
            "w, x",
            NULL);
        if (!s->applied_when)
            fail_msg("no applied_when: %s", rows[i].sql);
        got = ask(conn, &a, s->applied_when, NULL);
        if (!got || (strcmp(got, "f") != 0 && strncmp(rows[i].sql, "DROP", 4) != 0 &&
                     strncmp(rows[i].sql, "REVOKE", 6) != 0))
            fail_msg("%s: %s\n%s", rows[i].sql, got ? got : "NULL", s->applied_when);
        if (s->half_made_when)
            assert_string_equal(ask(conn, &a, s->half_made_when, NULL), "f");
    }
}

static void test_another_of_that_name(void **state)
{
    static const struct {
        const char *there, *sql;
    } others[] = {
        {"ALTER TABLE t ADD nc int", "ALTER TABLE t ADD nc text"},
        {"ALTER TABLE t ADD nc varchar(5)", "ALTER TABLE t ADD nc varchar(6)"},
        {"ALTER TABLE t ADD CONSTRAINT nk CHECK (a < 9) NOT VALID",
         "ALTER TABLE t ADD CONSTRAINT nk CHECK (a < 9)"},
        {"ALTER TABLE t ADD CONSTRAINT nk CHECK (a < 9)",
         "ALTER TABLE t ADD CONSTRAINT nk UNIQUE (a)"},
        {"CREATE VIEW nv AS SELECT 1", "CREATE TABLE nv (a int)"},
        {"CREATE INDEX ni ON p (n)", "CREATE INDEX ni ON t (a)"},
        {"CREATE DOMAIN ne AS int", "CREATE TYPE ne AS ENUM ('a')"},
        {"ALTER TABLE p ADD nc int", "ALTER TABLE t ADD nc int"},
        {"CREATE TABLE x.nt (id int)", "CREATE TABLE nt (id int)"},
    };
    PGconn *conn = connect_to(*state);

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        AUTO(arena) a = {0};

        ask(conn, &a, sql_ground, NULL);
        ask(conn, &a, others[i].there, NULL);
        if (strcmp(ask(conn, &a, facts_of(&a, others[i].sql)->applied_when, NULL), "f") != 0)
            fail_msg("%s passes for %s", others[i].there, others[i].sql);
    }
}

/* ---- half made ---------------------------------------------------------------------------------------- */

static void test_invalid_index_is_half_made(void **state)
{
    AUTO(arena) a = {0};
    PGconn *conn = connect_to(*state);
    const char *sql = "CREATE UNIQUE INDEX CONCURRENTLY \"I x\" ON w.t (n)", *error = NULL;
    const struct sql_stmt *s = facts_of(&a, sql);

    ask(conn, &a, sql_ground, NULL);
    ask(conn, &a, "UPDATE t SET n = 1", NULL);
    ask(conn, &a, sql, &error);
    assert_non_null(error);
    assert_string_equal(ask(conn, &a, s->applied_when, NULL), "f");
    assert_string_equal(ask(conn, &a, s->half_made_when, NULL), "t");
    ask(conn, &a, s->clean_up, NULL);
    assert_string_equal(ask(conn, &a, s->half_made_when, NULL), "f");
    ask(conn, &a, s->clean_up, NULL); /* again: no harm */
    ask(conn, &a, "UPDATE t SET n = id", NULL);
    ask(conn, &a, sql, NULL);
    assert_string_equal(ask(conn, &a, s->applied_when, NULL), "t");
}

static void test_pending_detach_is_half_made(void **state)
{
    AUTO(arena) a = {0};
    PGconn *conn = connect_to(*state), *reader = connect_to(*state), *worker = connect_to(*state);
    const char *sql = "ALTER TABLE w.part DETACH PARTITION w.part1 CONCURRENTLY";
    const struct sql_stmt *s = facts_of(&a, sql);

    ask(conn, &a, sql_ground, NULL);
    ask(reader, &a, "BEGIN", NULL);
    ask(reader, &a, "SELECT * FROM w.part", NULL);
    ask(worker, &a, "SET lock_timeout = '2s'", NULL);
    sql_send(worker, sql);
    sql_wait_for(conn, &a, sql_is_waiting(&a, worker));
    ask(conn, &a, arena_printf(&a, "SELECT pg_cancel_backend(%d)", PQbackendPID(worker)), NULL);
    assert_false(sql_finish(worker));
    ask(reader, &a, "ROLLBACK", NULL);
    assert_string_equal(ask(conn, &a, s->applied_when, NULL), "f");
    assert_string_equal(ask(conn, &a, s->half_made_when, NULL), "t");
    ask(conn, &a, s->clean_up, NULL);
    assert_string_equal(ask(conn, &a, s->applied_when, NULL),
                        "t"); /* cleaning up was the rest of the work */
    assert_string_equal(ask(conn, &a, s->half_made_when, NULL), "f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_derive, ground_give, end_sessions),
        cmocka_unit_test_setup_teardown(test_no_table_is_no_error, ground_give, end_sessions),
        cmocka_unit_test_setup_teardown(test_another_of_that_name, ground_give, end_sessions),
        cmocka_unit_test_setup_teardown(test_invalid_index_is_half_made, ground_give, end_sessions),
        cmocka_unit_test_setup_teardown(test_pending_detach_is_half_made, ground_give,
                                        end_sessions),
    };

    return cmocka_run_group_tests(tests, ground_start, ground_stop);
}
