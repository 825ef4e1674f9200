/* What phasegate says about a statement from its text alone. */
#include "phasegate/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define A SQL_ADDITIVE
#define R SQL_RESTRICTIVE
#define D SQL_DESTRUCTIVE
#define W SQL_DATA /* writes */
#define U SQL_UNKNOWN

/* facts: u undo, q the catalogue is asked for it, w applied_when, h half made and clean up, s standalone */
static const struct row {
    const char *sql, *kind;
    enum sql_class class;
    enum lock_mode lock;
    const char *note; /* start of lock_note; NULL: none */
    const char *facts;
    enum drop_kind drop;
} rows[] = {
    /* ALTER TABLE, columns */
    {"ALTER TABLE t ADD COLUMN c text", "ALTER TABLE ADD COLUMN", A, LOCK_AE, "brief", "uw"},
    {"ALTER TABLE t ADD c int DEFAULT 0 NOT NULL", "ALTER TABLE ADD COLUMN", A, LOCK_AE, "brief",
     "uw"},
    {"ALTER TABLE t ADD c timestamptz DEFAULT now()", "ALTER TABLE ADD COLUMN", A, LOCK_AE, "brief",
     "uw"},
    {"ALTER TABLE t ADD c uuid DEFAULT gen_random_uuid()", "ALTER TABLE ADD COLUMN", A, LOCK_AE,
     "rewrites", "uw"},
    {"ALTER TABLE t ADD c int DEFAULT f()", "ALTER TABLE ADD COLUMN", A, LOCK_AE,
     "brief, unless the default", "uw"},
    {"ALTER TABLE t ADD c bigserial", "ALTER TABLE ADD COLUMN", A, LOCK_AE, "rewrites", "uw"},
    {"ALTER TABLE t ADD c int GENERATED ALWAYS AS IDENTITY", "ALTER TABLE ADD COLUMN", A, LOCK_AE,
     "rewrites", "uw"},
    {"ALTER TABLE t ADD c int GENERATED ALWAYS AS (a + 1) STORED", "ALTER TABLE ADD COLUMN", A,
     LOCK_AE, "rewrites", "uw"},
    {"ALTER TABLE t ADD c int GENERATED ALWAYS AS (a + 1) STORED NOT NULL",
     "ALTER TABLE ADD COLUMN", R, LOCK_AE, "rewrites", "uw"},
    {"ALTER TABLE t ADD c s.email", "ALTER TABLE ADD COLUMN", A, LOCK_AE, "brief, unless the type",
     "uw"},
    {"ALTER TABLE t ADD c int NOT NULL", "ALTER TABLE ADD COLUMN", R, LOCK_AE, "scans", "uw"},
    {"ALTER TABLE t ADD c int NOT NULL DEFAULT NULL", "ALTER TABLE ADD COLUMN", R, LOCK_AE, "scans",
     "uw"},
    {"ALTER TABLE t ADD c int CHECK (c > 0)", "ALTER TABLE ADD COLUMN", A, LOCK_AE, "scans", "uw"},
    {"ALTER TABLE t ADD c text DEFAULT 'new' CHECK (c IN ('new', 'old'))", "ALTER TABLE ADD COLUMN",
     A, LOCK_AE, "scans", "uw"},
    {"ALTER TABLE t ADD c int CHECK (c IS NOT NULL)", "ALTER TABLE ADD COLUMN", R, LOCK_AE, "scans",
     "uw"},
    {"ALTER TABLE t ADD c int CHECK (c IS NULL OR c > a)", "ALTER TABLE ADD COLUMN", A, LOCK_AE,
     "scans", "uw"},
    {"ALTER TABLE t ADD c int CHECK (a > 0 AND c > 0)", "ALTER TABLE ADD COLUMN", R, LOCK_AE,
     "scans", "uw"},
    {"ALTER TABLE t ADD c int CHECK (num_nonnulls(a, c) = 1)", "ALTER TABLE ADD COLUMN", R, LOCK_AE,
     "scans", "uw"},
    {"ALTER TABLE t ADD c int CHECK (NOT (c IS NULL))", "ALTER TABLE ADD COLUMN", R, LOCK_AE,
     "scans", "uw"},
    {"ALTER TABLE t ADD c text CHECK (length(c) BETWEEN 1 AND 9)", "ALTER TABLE ADD COLUMN", A,
     LOCK_AE, "scans", "uw"},
    {"ALTER TABLE t ADD c int REFERENCES p", "ALTER TABLE ADD COLUMN", A, LOCK_AE, "brief", "uw"},
    {"ALTER TABLE t ADD c int DEFAULT 1 REFERENCES p", "ALTER TABLE ADD COLUMN", R, LOCK_AE,
     "brief", "uw"},
    {"ALTER TABLE t ADD c int UNIQUE", "ALTER TABLE ADD COLUMN", A, LOCK_AE, "builds", "uw"},
    {"ALTER TABLE t ADD c int DEFAULT 1 UNIQUE", "ALTER TABLE ADD COLUMN", R, LOCK_AE, "builds",
     "uw"},
    {"ALTER TABLE t ADD c uuid DEFAULT gen_random_uuid() UNIQUE", "ALTER TABLE ADD COLUMN", A,
     LOCK_AE, "rewrites", "uw"},
    {"ALTER TABLE t ADD c int UNIQUE NULLS NOT DISTINCT", "ALTER TABLE ADD COLUMN", R, LOCK_AE,
     "builds", "uw"},
    {"ALTER TABLE t ADD c int, ADD CONSTRAINT k CHECK (c > 0) NOT VALID",
     "ALTER TABLE ADD COLUMN, ADD CHECK", A, LOCK_AE, "brief", "uw"},
    {"ALTER TABLE t ADD c int, ADD d int", "ALTER TABLE ADD COLUMN", A, LOCK_AE, "brief", "uw"},
    {"ALTER TABLE t DROP COLUMN c", "ALTER TABLE DROP COLUMN", D, LOCK_AE, "brief", "w",
     DROP_COLUMN},
    {"ALTER TABLE t DROP COLUMN c, DROP COLUMN d", "ALTER TABLE DROP COLUMN", D, LOCK_AE, "brief",
     "w", DROP_OTHER},
    {"ALTER TABLE t ALTER c SET DEFAULT 1", "ALTER TABLE SET DEFAULT", A, LOCK_AE, "brief", "qw"},
    {"ALTER TABLE t ALTER c SET DEFAULT f(1)", "ALTER TABLE SET DEFAULT", A, LOCK_AE, "brief", "q"},
    {"ALTER TABLE t ALTER c DROP DEFAULT", "ALTER TABLE DROP DEFAULT", R, LOCK_AE, "brief", "qw"},
    {"ALTER TABLE t ALTER c SET NOT NULL", "ALTER TABLE SET NOT NULL", R, LOCK_AE, "scans", "uw"},
    {"ALTER TABLE t ALTER c DROP NOT NULL", "ALTER TABLE DROP NOT NULL", A, LOCK_AE, "brief", "uw"},
    {"ALTER TABLE t ALTER c TYPE text", "ALTER TABLE ALTER COLUMN TYPE", R, LOCK_AE, "rewrites",
     "w"},
    {"ALTER TABLE t ALTER c TYPE bigint", "ALTER TABLE ALTER COLUMN TYPE", R, LOCK_AE, "rewrites",
     "w"},
    {"ALTER TABLE t ALTER c TYPE numeric(4,1)", "ALTER TABLE ALTER COLUMN TYPE", D, LOCK_AE,
     "rewrites", "w"},
    {"ALTER TABLE t ALTER c TYPE varchar(5)", "ALTER TABLE ALTER COLUMN TYPE", R, LOCK_AE,
     "rewrites", "w"},
    {"ALTER TABLE t ALTER c TYPE bigint USING c::bigint", "ALTER TABLE ALTER COLUMN TYPE", D,
     LOCK_AE, "rewrites", "w"},
    {"ALTER TABLE t ALTER c SET STATISTICS 100", "ALTER TABLE SET STATISTICS", A, LOCK_SUE, "brief",
     "w"},
    {"ALTER TABLE t ALTER c SET STORAGE external", "ALTER TABLE SET STORAGE", A, LOCK_AE, "brief",
     "w"},
    {"ALTER TABLE t ALTER c ADD GENERATED ALWAYS AS IDENTITY", "ALTER TABLE ADD IDENTITY", R,
     LOCK_AE, "brief", "uw"},
    {"ALTER TABLE t ALTER c ADD GENERATED BY DEFAULT AS IDENTITY", "ALTER TABLE ADD IDENTITY", A,
     LOCK_AE, "brief", "uw"},
    {"ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE RENAME COLUMN", D, LOCK_AE, "brief", "uw"},
    /* constraints */
    {"ALTER TABLE t ADD CONSTRAINT k CHECK (c > 0)", "ALTER TABLE ADD CHECK", R, LOCK_AE, "scans",
     "uw"},
    {"ALTER TABLE t ADD CONSTRAINT k CHECK (c > 0) NOT VALID", "ALTER TABLE ADD CHECK", R, LOCK_AE,
     "brief", "uw"},
    {"ALTER TABLE t ADD CHECK (c > 0)", "ALTER TABLE ADD CHECK", R, LOCK_AE, "scans", ""},
    {"ALTER TABLE t ADD CONSTRAINT k UNIQUE (a)", "ALTER TABLE ADD UNIQUE", R, LOCK_AE, "builds",
     "uw"},
    {"ALTER TABLE t ADD CONSTRAINT k UNIQUE USING INDEX i", "ALTER TABLE ADD UNIQUE", A, LOCK_AE,
     "brief", "qw"},
    {"ALTER TABLE t ADD PRIMARY KEY (a)", "ALTER TABLE ADD PRIMARY KEY", R, LOCK_AE, "builds", "w"},
    {"ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY USING INDEX i", "ALTER TABLE ADD PRIMARY KEY", R,
     LOCK_AE, "scans", "qw"},
    {"ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p", "ALTER TABLE ADD FOREIGN KEY",
     R, LOCK_SRE, "scans", "uw"},
    {"ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p NOT VALID",
     "ALTER TABLE ADD FOREIGN KEY", R, LOCK_SRE, "brief", "uw"},
    {"ALTER TABLE t ADD CONSTRAINT k EXCLUDE USING gist (a WITH =)", "ALTER TABLE ADD EXCLUDE", R,
     LOCK_AE, "builds", "uw"},
    {"ALTER TABLE t VALIDATE CONSTRAINT k", "ALTER TABLE VALIDATE CONSTRAINT", A, LOCK_SUE, "scans",
     "uws"},
    {"ALTER TABLE t DROP CONSTRAINT k", "ALTER TABLE DROP CONSTRAINT", D, LOCK_AE, "brief", "w",
     DROP_CONSTRAINT},
    {"ALTER TABLE t RENAME CONSTRAINT a TO b", "ALTER TABLE RENAME CONSTRAINT", R, LOCK_AE, "brief",
     "uw"},
    {"ALTER TABLE t ADD CONSTRAINT k CHECK (c > 0) NOT VALID, VALIDATE CONSTRAINT o",
     "ALTER TABLE ADD CHECK, VALIDATE CONSTRAINT", R, LOCK_AE, "scans", "ws"},
    /* the table */
    {"ALTER TABLE t RENAME TO u", "ALTER TABLE RENAME", D, LOCK_AE, "brief", "uw"},
    {"ALTER TABLE s.t SET SCHEMA z", "ALTER TABLE SET SCHEMA", D, LOCK_AE, "brief", "uw"},
    {"ALTER TABLE t OWNER TO joe", "ALTER TABLE OWNER TO", R, LOCK_AE, "brief", "w"},
    {"ALTER TABLE t ENABLE ROW LEVEL SECURITY", "ALTER TABLE ENABLE ROW LEVEL SECURITY", R, LOCK_AE,
     "brief", "uw"},
    {"ALTER TABLE t DISABLE TRIGGER x", "ALTER TABLE DISABLE TRIGGER", U, LOCK_SRE, "brief", "qw"},
    {"ALTER TABLE t SET (fillfactor = 70)", "ALTER TABLE SET OPTIONS", A, LOCK_SUE, "brief", ""},
    {"ALTER TABLE t SET LOGGED", "ALTER TABLE SET LOGGED", A, LOCK_AE, "rewrites", "uw"},
    {"ALTER TABLE t SET UNLOGGED", "ALTER TABLE SET UNLOGGED", D, LOCK_AE, "rewrites", "uw"},
    {"ALTER TABLE t REPLICA IDENTITY FULL", "ALTER TABLE REPLICA IDENTITY", U, LOCK_AE, "brief",
     "w"},
    {"ALTER TABLE p ATTACH PARTITION c FOR VALUES IN (1)", "ALTER TABLE ATTACH PARTITION", R,
     LOCK_AE, "scans the partition", "qw"},
    {"ALTER TABLE p DETACH PARTITION c", "ALTER TABLE DETACH PARTITION", D, LOCK_AE, "brief", "w"},
    {"ALTER TABLE p DETACH PARTITION c CONCURRENTLY", "ALTER TABLE DETACH PARTITION CONCURRENTLY",
     D, LOCK_AE, "brief", "whs"},
    {"DROP TABLE t", "DROP TABLE", D, LOCK_AE, "brief", "w", DROP_TABLE},
    {"DROP TABLE a, b", "DROP TABLE", D, LOCK_AE, "brief", "w", DROP_OTHER},
    {"CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL CHECK (a > 0))", "CREATE TABLE", A,
     LOCK_NONE, NULL, "uw"},
    {"CREATE TABLE IF NOT EXISTS s.t (a int REFERENCES p)", "CREATE TABLE", A, LOCK_SRE, "brief",
     "uw"},
    {"CREATE TABLE c PARTITION OF p DEFAULT", "CREATE TABLE PARTITION OF", A, LOCK_AE, "brief",
     "uw"},
    {"CREATE TABLE t (LIKE x)", "CREATE TABLE", A, LOCK_AS, "brief", "uw"},
    {"CREATE TABLE t AS SELECT * FROM x", "CREATE TABLE AS", A, LOCK_AS, "brief", "uw"},
    {"CREATE TEMP TABLE t (a int)", "CREATE TABLE", A, LOCK_NONE, NULL, ""},
    {"TRUNCATE t", "TRUNCATE", D, LOCK_AE, "brief", ""},
    /* indexes */
    {"CREATE INDEX i ON t (a)", "CREATE INDEX", A, LOCK_S, "builds", "uw"},
    {"CREATE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX CONCURRENTLY", A, LOCK_SUE, "builds",
     "uwhs"},
    {"CREATE INDEX CONCURRENTLY ON t (a)", "CREATE INDEX CONCURRENTLY", A, LOCK_SUE, "builds", "s"},
    {"CREATE UNIQUE INDEX i ON t (a)", "CREATE UNIQUE INDEX", R, LOCK_S, "builds", "uw"},
    {"CREATE UNIQUE INDEX CONCURRENTLY i ON s.t (lower(a))", "CREATE UNIQUE INDEX CONCURRENTLY", R,
     LOCK_SUE, "builds", "uwhs"},
    {"CREATE INDEX i ON ONLY t (a)", "CREATE INDEX", A, LOCK_S, "brief", "uw"},
    {"DROP INDEX i", "DROP INDEX", D, LOCK_AE, "brief", "w", DROP_INDEX},
    {"DROP INDEX CONCURRENTLY i", "DROP INDEX CONCURRENTLY", D, LOCK_SUE, "brief", "ws",
     DROP_INDEX},
    {"REINDEX INDEX i", "REINDEX INDEX", A, LOCK_S, "builds an index, which", ""},
    {"REINDEX TABLE CONCURRENTLY t", "REINDEX TABLE CONCURRENTLY", A, LOCK_SUE, "builds", "s"},
    {"REINDEX (CONCURRENTLY) INDEX i", "REINDEX INDEX CONCURRENTLY", A, LOCK_SUE, "builds", "s"},
    {"REINDEX SCHEMA s", "REINDEX SCHEMA OR DATABASE", A, LOCK_S, "builds", "s"},
    {"ALTER INDEX i RENAME TO j", "ALTER INDEX RENAME", A, LOCK_SUE, "brief", "uw"},
    {"ALTER INDEX i SET (fillfactor = 70)", "ALTER INDEX SET OPTIONS", A, LOCK_SUE, "brief", ""},
    /* types */
    {"CREATE TYPE e AS ENUM ('a')", "CREATE TYPE", A, LOCK_NONE, NULL, "uw"},
    {"CREATE TYPE c AS (a int)", "CREATE TYPE", A, LOCK_NONE, NULL, "uw"},
    {"CREATE DOMAIN d AS int CHECK (value > 0)", "CREATE DOMAIN", A, LOCK_NONE, NULL, "uw"},
    {"ALTER TYPE e ADD VALUE IF NOT EXISTS 'b' AFTER 'a'", "ALTER TYPE ADD VALUE", A, LOCK_NONE,
     NULL, "ws"},
    {"ALTER TYPE e RENAME VALUE 'a' TO 'b'", "ALTER TYPE RENAME VALUE", D, LOCK_NONE, NULL, "uw"},
    {"ALTER TYPE c ADD ATTRIBUTE b int", "ALTER TYPE ADD ATTRIBUTE", A, LOCK_NONE, NULL, "uw"},
    {"ALTER TYPE e RENAME TO f", "ALTER TYPE RENAME", D, LOCK_NONE, NULL, "uw"},
    {"ALTER DOMAIN d ADD CONSTRAINT k CHECK (value > 0)", "ALTER DOMAIN ADD CONSTRAINT", R, LOCK_S,
     "scans", "uw"},
    {"ALTER DOMAIN d ADD CONSTRAINT k CHECK (value > 0) NOT VALID", "ALTER DOMAIN ADD CONSTRAINT",
     R, LOCK_NONE, NULL, "uw"},
    {"ALTER DOMAIN d SET NOT NULL", "ALTER DOMAIN SET NOT NULL", R, LOCK_S, "scans", "uw"},
    {"ALTER DOMAIN d DROP DEFAULT", "ALTER DOMAIN DROP DEFAULT", R, LOCK_NONE, NULL, "w"},
    {"DROP TYPE s.e", "DROP TYPE", D, LOCK_NONE, NULL, "w", DROP_OTHER},
    /* views, sequences, functions, triggers */
    {"CREATE VIEW v AS SELECT a FROM t", "CREATE VIEW", A, LOCK_AS, "brief", "uw"},
    {"CREATE OR REPLACE VIEW v AS SELECT a FROM t", "CREATE OR REPLACE VIEW", U, LOCK_AE, "brief",
     ""},
    {"CREATE MATERIALIZED VIEW m AS SELECT a FROM t", "CREATE MATERIALIZED VIEW", A, LOCK_AS,
     "brief", "uw"},
    {"REFRESH MATERIALIZED VIEW m", "REFRESH MATERIALIZED VIEW", A, LOCK_AE, "rewrites", ""},
    {"REFRESH MATERIALIZED VIEW CONCURRENTLY m", "REFRESH MATERIALIZED VIEW CONCURRENTLY", A,
     LOCK_E, "rewrites", "s"},
    {"DROP VIEW v", "DROP VIEW", D, LOCK_AE, "brief", "w", DROP_VIEW},
    {"DROP MATERIALIZED VIEW v", "DROP MATERIALIZED VIEW", D, LOCK_AE, "brief", "w", DROP_VIEW},
    {"CREATE SEQUENCE q", "CREATE SEQUENCE", A, LOCK_NONE, NULL, "uw"},
    {"DROP SEQUENCE q", "DROP SEQUENCE", D, LOCK_AE, "brief", "w", DROP_OTHER},
    {"CREATE FUNCTION f(a int, OUT b int) LANGUAGE sql AS 'select 1'", "CREATE FUNCTION", A,
     LOCK_NONE, NULL, "uw"},
    {"CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'",
     "CREATE OR REPLACE FUNCTION", U, LOCK_NONE, NULL, "qw"},
    {"CREATE OR REPLACE FUNCTION f() RETURNS int COST 7 LANGUAGE sql AS 'select 1'",
     "CREATE OR REPLACE FUNCTION", U, LOCK_NONE, NULL, "q"},
    {"DROP FUNCTION f(int)", "DROP FUNCTION", D, LOCK_NONE, NULL, "w", DROP_FUNCTION},
    {"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()", "CREATE TRIGGER", U,
     LOCK_SRE, "brief", "uw"},
    {"DROP TRIGGER g ON s.t", "DROP TRIGGER", D, LOCK_AE, "brief", "w", DROP_TRIGGER},
    {"CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING", "CREATE RULE", R, LOCK_AE, "brief",
     "uw"},
    {"CREATE POLICY p ON t USING (a = 1)", "CREATE POLICY", A, LOCK_AE, "brief", "uw"},
    {"CREATE POLICY p ON t AS RESTRICTIVE USING (a = 1)", "CREATE POLICY", R, LOCK_AE, "brief",
     "uw"},
    {"CREATE STATISTICS z ON a, b FROM t", "CREATE STATISTICS", A, LOCK_SUE, "brief", "uw"},
    {"CREATE EXTENSION IF NOT EXISTS pgcrypto", "CREATE EXTENSION", A, LOCK_NONE, NULL, "uw"},
    {"CREATE SCHEMA s", "CREATE SCHEMA", A, LOCK_NONE, NULL, "uw"},
    {"DROP SCHEMA s", "DROP SCHEMA", D, LOCK_NONE, NULL, "w", DROP_OTHER},
    {"CREATE PUBLICATION b FOR TABLE t", "CREATE PUBLICATION", A, LOCK_SUE, "brief", "uw"},
    {"COMMENT ON COLUMN t.a IS 'x'", "COMMENT", A, LOCK_SUE, "brief", "qw"},
    {"COMMENT ON TABLE t IS NULL", "COMMENT", A, LOCK_SUE, "brief", "qw"},
    {"GRANT SELECT ON t TO app", "GRANT", A, LOCK_NONE, NULL, "uw"},
    {"GRANT SELECT (a) ON t TO app", "GRANT", A, LOCK_NONE, NULL, ""},
    {"REVOKE SELECT ON t FROM app", "REVOKE", R, LOCK_NONE, NULL, "qw"},
    {"REVOKE SELECT, INSERT ON t FROM app", "REVOKE", R, LOCK_NONE, NULL, "qw"},
    /* upkeep, server */
    {"VACUUM t", "VACUUM", A, LOCK_SUE, "scans", "s"},
    {"VACUUM (FULL) t", "VACUUM FULL", A, LOCK_AE, "rewrites", "s"},
    {"VACUUM (FULL false) t", "VACUUM", A, LOCK_SUE, "scans", "s"},
    {"ANALYZE t", "ANALYZE", A, LOCK_SUE, "scans", ""},
    {"CLUSTER t USING i", "CLUSTER", A, LOCK_AE, "rewrites", ""},
    {"CLUSTER", "CLUSTER", A, LOCK_AE, "rewrites", "s"},
    {"CREATE DATABASE d", "CREATE DATABASE", A, LOCK_NONE, NULL, "s"},
    {"DROP DATABASE d", "DROP DATABASE", D, LOCK_NONE, NULL, "s"},
    {"ALTER SYSTEM SET work_mem = '1MB'", "ALTER SYSTEM", U, LOCK_NONE, NULL, "s"},
    {"LOCK TABLE t IN SHARE MODE", "LOCK TABLE", A, LOCK_S, "until", ""},
    {"SET LOCAL work_mem = '1MB'", "SET", A, LOCK_NONE, NULL, ""},
    /* data */
    {"INSERT INTO t VALUES (1)", "INSERT", W, LOCK_RE, "brief", ""},
    {"UPDATE s.t SET a = 1", "UPDATE", W, LOCK_RE, "brief", ""},
    {"DELETE FROM t", "DELETE", W, LOCK_RE, "brief", ""},
    {"WITH d AS (DELETE FROM t RETURNING 1) SELECT * FROM d", "SELECT", W, LOCK_RE, "brief", ""},
    {"SELECT a FROM t", "SELECT", A, LOCK_AS, "brief", ""},
    {"SELECT f()", "SELECT", U, LOCK_NONE, NULL, ""},
    {"SELECT a FROM t FOR UPDATE", "SELECT", A, LOCK_RS, "brief", ""},
    {"COPY t FROM '/x'", "COPY", W, LOCK_RE, "brief", ""},
    {"DO 'begin end'", "DO", U, LOCK_NONE, NULL, ""},
    {"CALL p()", "CALL", U, LOCK_NONE, NULL, ""},
    {"BEGIN", "transaction control", U, LOCK_NONE, NULL, ""},
};

static const char *facts_word(struct arena *a, const struct sql_stmt *s)
{
    return arena_printf(a, "%s%s%s%s",
                        s->undo         ? "u"
                        : s->undo_query ? "q"
                                        : "",
                        s->applied_when ? "w" : "", s->half_made_when && s->clean_up ? "h" : "",
                        s->standalone ? "s" : "");
}

static void test_table(void **state)
{
    int n_bad = 0;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(arena) a = {0};
        AUTO(problem_list) problems = {0};
        const struct row *r = &rows[i];
        struct sql_stmt *s = NULL;
        int n = 0;

        if (!sql_facts(&a, r->sql, (struct pos) {"x.sql", 1, 1}, &s, &n, &problems) || n != 1)
            fail_msg("%s: %d statements, %s", r->sql, n,
                     problems.n ? problems.items[0].message : "no problem");
        if (strcmp(s->kind, r->kind) != 0 || s->class != r->class || s->lock != r->lock ||
            s->drop != r->drop || strcmp(facts_word(&a, s), r->facts) != 0 ||
            !s->lock_note != !r->note ||
            (r->note && strncmp(s->lock_note, r->note, strlen(r->note)) != 0)) {
            print_error("%s:\n kind %s, want %s\n class %s, want %s\n lock %s, want %s\n note %s, "
                        "want %s\n facts %s, want %s\n"
                        " drop %d, want %d\n why %s\n",
                        r->sql, s->kind, r->kind, sql_class_word(s->class),
                        sql_class_word(r->class), lock_mode_word(s->lock), lock_mode_word(r->lock),
                        s->lock_note ? s->lock_note : "none", r->note ? r->note : "none",
                        facts_word(&a, s), r->facts, (int) s->drop, (int) r->drop,
                        s->class_why ? s->class_why : "none");
            n_bad++;
        }
        assert_int_equal(s->class == SQL_ADDITIVE, s->class_why == NULL);
        assert_string_equal(s->sql, r->sql);
    }
    assert_int_equal(n_bad, 0);
}

/* ---- what earlier statements of the text made ------------------------------------------------------ */

static const struct {
    const char *sql;
    enum sql_class class; /* of the last statement */
    enum lock_mode lock;
} sequences[] = {
    {"CREATE TABLE t (a int); ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)", A, LOCK_NONE},
    {"CREATE TABLE t (a int); CREATE UNIQUE INDEX i ON t (a)", A, LOCK_NONE},
    {"CREATE TABLE t (a int); ALTER TABLE t ALTER a SET NOT NULL", A, LOCK_NONE},
    {"CREATE TABLE t (a int); DROP TABLE t", A, LOCK_NONE},
    {"CREATE TABLE s.t (a int); ALTER TABLE t ADD CHECK (a > 0)", R,
     LOCK_AE}, /* another t, perhaps */
    {"CREATE TABLE t (a int); INSERT INTO t VALUES (1)", W, LOCK_NONE},
    {"ALTER TABLE t ADD c text; CREATE UNIQUE INDEX i ON t (c)", A, LOCK_S},
    {"ALTER TABLE t ADD c text; CREATE UNIQUE INDEX i ON t (a, c)", A, LOCK_S},
    {"ALTER TABLE t ADD c text; CREATE UNIQUE INDEX i ON t (lower(c))", A, LOCK_S},
    {"ALTER TABLE t ADD c text; CREATE UNIQUE INDEX i ON t (coalesce(c, ''))", R, LOCK_S},
    {"ALTER TABLE t ADD c text DEFAULT ''; CREATE UNIQUE INDEX i ON t (c)", R, LOCK_S},
    {"ALTER TABLE t ADD c text; CREATE UNIQUE INDEX i ON t (c) NULLS NOT DISTINCT", R, LOCK_S},
    {"ALTER TABLE t ADD c text; CREATE UNIQUE INDEX i ON u (c)", R, LOCK_S},
    {"ALTER TABLE t ADD c text; ALTER TABLE t ALTER c SET NOT NULL", R,
     LOCK_AE}, /* old writers leave it out */
    {"ALTER TABLE t ADD c int DEFAULT 0; ALTER TABLE t ALTER c SET NOT NULL", A, LOCK_AE},
    {"ALTER TABLE t ADD c text; ALTER TABLE t ADD CONSTRAINT k CHECK (c <> '') NOT VALID", A,
     LOCK_AE},
    {"ALTER TABLE t ADD c int; ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (c) REFERENCES p NOT "
     "VALID",
     A, LOCK_SRE},
    {"ALTER TABLE t ADD c int; ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (a, c) REFERENCES p "
     "MATCH FULL",
     R, LOCK_SRE},
    {"ALTER TABLE t ADD c int; ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY (c)", R, LOCK_AE},
    {"ALTER TABLE t ADD c int GENERATED BY DEFAULT AS IDENTITY; ALTER TABLE t ADD PRIMARY KEY (c)",
     A, LOCK_AE},
    {"ALTER TABLE t ADD c int; ALTER TABLE t ALTER c TYPE bigint USING c", A, LOCK_AE},
    {"ALTER TABLE t ADD c int; ALTER TABLE t ALTER c DROP DEFAULT", A, LOCK_AE},
    {"ALTER TABLE t ADD c int; ALTER TABLE t DROP COLUMN c", A, LOCK_AE},
    {"ALTER TABLE t ADD c int; ALTER TABLE t RENAME c TO d", A, LOCK_AE},
    {"ALTER TABLE t ADD c int; UPDATE t SET c = 1", W, LOCK_RE},
    {"CREATE TYPE e AS ENUM ('a'); ALTER TYPE e RENAME VALUE 'a' TO 'b'", A, LOCK_NONE},
    {"CREATE TABLE t (a int); CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()", A,
     LOCK_NONE},
    {"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS ''; CREATE OR REPLACE FUNCTION f() RETURNS "
     "int LANGUAGE sql AS ''",
     A, LOCK_NONE},
    {"CREATE TABLE t (a int); REVOKE ALL ON t FROM app", A, LOCK_NONE},
};

static void test_sequences(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
        AUTO(arena) a = {0};
        AUTO(problem_list) problems = {0};
        struct sql_stmt *s = NULL;
        int n = 0;

        assert_true(
            sql_facts(&a, sequences[i].sql, (struct pos) {"x.sql", 1, 1}, &s, &n, &problems));
        assert_int_equal(n, 2);
        if (s[1].class != sequences[i].class || s[1].lock != sequences[i].lock)
            fail_msg("%s: %s, want %s; %s, want %s", sequences[i].sql, sql_class_word(s[1].class),
                     sql_class_word(sequences[i].class), lock_mode_word(s[1].lock),
                     lock_mode_word(sequences[i].lock));
    }
}

static void test_write_to_new_has_no_why(void **state)
{
    AUTO(arena) a = {0};
    AUTO(problem_list) problems = {0};
    struct sql_stmt *s = NULL;
    int n = 0;

    (void) state;
    assert_true(sql_facts(&a,
                          "CREATE TABLE t (a int); INSERT INTO t VALUES (1); ALTER TABLE o ADD c "
                          "int; UPDATE o SET c = 1; UPDATE o SET c = 1, d = 2",
                          (struct pos) {0}, &s, &n, &problems));
    assert_int_equal(n, 5);
    assert_null(s[1].class_why);
    assert_null(s[3].class_why);
    assert_non_null(s[4].class_why);
}

/* ---- texts and names --------------------------------------------------------------------------------- */

static void test_split_and_places(void **state)
{
    static const char sql[] =
        "-- first; of two\n"
        "  /* a /* nested; */ one */ CREATE TABLE t (a text DEFAULT ';');\n"
        "\n"
        "\tCREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END ; ; -- é\n"
        "SELECT 'é', 1 ;  \n";
    AUTO(arena) a = {0};
    AUTO(problem_list) problems = {0};
    struct sql_stmt *s = NULL;
    int n = 0;

    (void) state;
    assert_true(sql_facts(&a, sql, (struct pos) {"x.sql", 10, 5}, &s, &n, &problems));
    assert_int_equal(n, 3);
    assert_string_equal(s[0].sql, "CREATE TABLE t (a text DEFAULT ';')");
    assert_int_equal(s[0].at.line, 11);
    assert_int_equal(s[0].at.col, 29);
    assert_string_equal(s[0].at.file, "x.sql");
    assert_string_equal(s[1].sql,
                        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END");
    assert_int_equal(s[1].at.line, 13);
    assert_int_equal(s[1].at.col, 2);
    assert_string_equal(s[2].sql, "SELECT 'é', 1");
    assert_int_equal(s[2].at.line, 14);
    assert_int_equal(s[2].at.col, 1);
}

static void expect_problem(const char *sql, int line, int col, const char *message)
{
    AUTO(arena) a = {0};
    AUTO(problem_list) problems = {0};
    struct sql_stmt *s = NULL;
    int n = 0;

    assert_false(sql_facts(&a, sql, (struct pos) {"x.sql", 1, 3}, &s, &n, &problems));
    assert_null(s);
    assert_int_equal(problems.n, 1);
    assert_string_equal(problems.items[0].message, message);
    assert_int_equal(problems.items[0].at.line, line);
    assert_int_equal(problems.items[0].at.col, col);
}

static void test_parse_errors(void **state)
{
    (void) state;
    expect_problem("ALTER TABEL t", 1, 9, "syntax error at or near \"TABEL\"");
    expect_problem("SELECT 'éé' FRM x y z", 1, 19, "syntax error at or near \"x\"");
    expect_problem("SELECT 1;\nSELECT 'é' +;", 2, 13, "syntax error at or near \";\"");
    expect_problem("SELECT (", 1, 11, "syntax error at end of input");
    expect_problem("SELECT 'x", 1, 10, "unterminated quoted string at or near \"'x\"");
    expect_problem("SELECT '\xff'", 1, 3, "the SQL isn't valid UTF-8");
}

static void test_nothing(void **state)
{
    static const char *const texts[] = {"", " ; ", "-- a comment", "/* never closed? no */", ";;"};

    (void) state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO(arena) a = {0};
        AUTO(problem_list) problems = {0};
        struct sql_stmt *s = NULL;
        int n = -1;

        assert_true(sql_facts(&a, texts[i], (struct pos) {0}, &s, &n, &problems));
        assert_int_equal(n, 0);
    }
}

static void test_too_deep(void **state)
{
    AUTO(arena) a = {0};
    AUTO(problem_list) problems = {0};
    AUTO(str) sql = {0};
    struct sql_stmt *s = NULL;
    int n = 0;

    (void) state;
    str_add(&sql, "SELECT 1");
    for (int i = 0; i < 3000; i++)
        str_add(&sql, "+ (1");
    for (int i = 0; i < 3000; i++)
        str_add(&sql, ")");
    assert_false(sql_facts(&a, str_text(&sql), (struct pos) {"x.sql", 1, 1}, &s, &n, &problems));
    assert_int_equal(problems.n, 1);
}

static void test_names(void **state)
{
    static const struct {
        const char *sql, *schema, *table, *object;
    } names[] = {
        {"ALTER TABLE \"S\".t ADD COLUMN \"C d\" int", "S", "t", "C d"},
        {"ALTER TABLE t DROP COLUMN c", NULL, "t", "c"},
        {"ALTER TABLE t DROP CONSTRAINT k", NULL, "t", "k"},
        {"CREATE INDEX i ON s.t (a)", "s", "t", "i"},
        {"DROP INDEX s.i", "s", NULL, "i"},
        {"DROP TABLE s.t", "s", "t", NULL},
        {"DROP VIEW v", NULL, "v", NULL},
        {"DROP TRIGGER g ON s.t", "s", "t", "g"},
        {"DROP FUNCTION s.f(int, text[])", "s", NULL, "\"f\"(\"pg_catalog\".\"int4\", \"text\"[])"},
        {"DROP FUNCTION s.f", "s", NULL, "\"f\""},
        {"UPDATE s.t SET a = 1", "s", "t", NULL},
    };

    (void) state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        AUTO(arena) a = {0};
        AUTO(problem_list) problems = {0};
        struct sql_stmt *s = NULL;
        int n = 0;

        assert_true(sql_facts(&a, names[i].sql, (struct pos) {0}, &s, &n, &problems));
        if (strcmp(s->schema ? s->schema : "-", names[i].schema ? names[i].schema : "-") != 0 ||
            strcmp(s->table ? s->table : "-", names[i].table ? names[i].table : "-") != 0 ||
            strcmp(s->object ? s->object : "-", names[i].object ? names[i].object : "-") != 0)
            fail_msg("%s: %s, %s, %s", names[i].sql, s->schema, s->table, s->object);
    }
}

static void test_undo_texts(void **state)
{
    static const struct {
        const char *sql, *undo;
        bool is_lossless;
    } undos[] = {
        {"ALTER TABLE s.t ADD COLUMN c int", "ALTER TABLE \"s\".\"t\" DROP COLUMN \"c\"", true},
        {"ALTER TABLE t ADD a int, ADD b int, ADD CONSTRAINT k CHECK (a > b)",
         "ALTER TABLE \"t\" DROP CONSTRAINT \"k\", DROP COLUMN \"b\", DROP COLUMN \"a\"", true},
        {"ALTER TABLE t ADD a int, ALTER a SET DEFAULT 1, ALTER a SET NOT NULL",
         "ALTER TABLE \"t\" DROP COLUMN \"a\"", true},
        {"ALTER TABLE t ADD COLUMN IF NOT EXISTS a int", "ALTER TABLE \"t\" DROP COLUMN \"a\"",
         true},
        {"ALTER TABLE t ADD COLUMN IF NOT EXISTS a int, ADD b int",
         "ALTER TABLE \"t\" DROP COLUMN \"b\", DROP COLUMN \"a\"", false},
        {"ALTER TABLE t ADD a int, DROP b", NULL, false},
        {"CREATE UNIQUE INDEX CONCURRENTLY \"I\"\"x\" ON s.t (a)",
         "DROP INDEX CONCURRENTLY \"s\".\"I\"\"x\"", true},
        {"ALTER TABLE s.t RENAME TO u", "ALTER TABLE \"s\".\"u\" RENAME TO \"t\"", true},
        {"ALTER VIEW v RENAME COLUMN a TO b", "ALTER VIEW \"v\" RENAME COLUMN \"b\" TO \"a\"",
         true},
        /* The catalogue is asked which of them were there. */
        {"GRANT SELECT, INSERT ON t TO app, PUBLIC", NULL, true},
        {"GRANT USAGE ON SCHEMA s TO app", "REVOKE USAGE ON SCHEMA \"s\" FROM \"app\"", true},
        {"COMMENT ON COLUMN s.t.a IS 'x'", NULL, true},
    };

    (void) state;
    for (size_t i = 0; i < sizeof undos / sizeof *undos; i++) {
        AUTO(arena) a = {0};
        AUTO(problem_list) problems = {0};
        struct sql_stmt *s = NULL;
        int n = 0;

        assert_true(sql_facts(&a, undos[i].sql, (struct pos) {0}, &s, &n, &problems));
        if (!undos[i].undo)
            assert_null(s->undo);
        else
            assert_string_equal(s->undo ? s->undo : "none", undos[i].undo);
        assert_int_equal(s->undo_lossless, undos[i].is_lossless);
    }
}

/* What is derived must itself be SQL. */
static void test_derived_texts_parse(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(arena) a = {0};
        AUTO(problem_list) problems = {0};
        struct sql_stmt *s = NULL, *derived = NULL;
        int n = 0;

        assert_true(sql_facts(&a, rows[i].sql, (struct pos) {0}, &s, &n, &problems));
        const char *const texts[] = {s->applied_when, s->half_made_when, s->clean_up, s->undo};
        for (size_t k = 0; k < 4; k++) {
            if (!texts[k])
                continue;
            if (!sql_facts(&a, texts[k], (struct pos) {0}, &derived, &n, &problems) || n != 1)
                fail_msg("%s\n -> %s", rows[i].sql, texts[k]);
            assert_int_equal(k < 2, strcmp(derived->kind, "SELECT") == 0);
        }
    }
}

static void test_relations(void **state)
{
    static const struct {
        const char *sql, *names;
    } cases[] = {
        {"ALTER TABLE a.t ADD c int", "t "},
        {"ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (x) REFERENCES s.u (id) NOT VALID", "t u "},
        {"CREATE TABLE n (x int REFERENCES u, LIKE o)", "n u o "},
        {"CREATE VIEW v AS SELECT * FROM t JOIN u USING (x) WHERE x IN (SELECT y FROM w)",
         "v t u w "},
        {"CREATE INDEX i ON t (x) WHERE y", "t "},
        {"INSERT INTO t SELECT * FROM u", "t u "},
        {"UPDATE t SET x = (SELECT max(y) FROM u) FROM w", "t u w "},
        {"DROP TABLE a, s.b CASCADE", "a b "},
        {"DROP VIEW v", "v "},
        {"DROP TRIGGER g ON t", "t "},
        {"DROP FUNCTION f()", ""},
        {"TRUNCATE a, b", "a b "},
        {"ALTER TABLE p ATTACH PARTITION c DEFAULT", "p c "},
        {"GRANT SELECT ON a, b TO r", "a b "},
        {"LOCK TABLE a, b", "a b "},
        {"CREATE SEQUENCE s OWNED BY NONE", "s "},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena) a = {0};
        AUTO(problem_list) problems = {0};
        AUTO(str) names = {0};
        struct sql_stmt *s = NULL;
        int n = 0;

        assert_true(sql_facts(&a, cases[i].sql, (struct pos) {0}, &s, &n, &problems));
        for (int k = 0; k < s->relations.n; k++)
            str_addf(&names, "%s ", s->relations.items[k].s);
        if (strcmp(str_text(&names), cases[i].names) != 0)
            fail_msg("%s\n names: %s\n not:   %s", cases[i].sql, str_text(&names), cases[i].names);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_write_to_new_has_no_why),
        cmocka_unit_test(test_split_and_places),
        cmocka_unit_test(test_parse_errors),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_too_deep),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_undo_texts),
        cmocka_unit_test(test_derived_texts_parse),
        cmocka_unit_test(test_relations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
