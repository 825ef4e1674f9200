/* Lints of SQL files. What is known of a table comes from the text before, or from `before` as an earlier file. */
#include "lint_fixture.h"

struct row {
    const char *before, *sql, *expected;
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(arena) a = {0};
        AUTO(report) r = {0};
        AUTO(str) found = {0};
        struct lint_known *k = lint_known_new(&a);

        if (rows[i].before)
            lint_known_learn(k, rows[i].before);
        lint_one(k, &r, "a.sql", rows[i].sql, 1);
        lint_sql_end(k, &r);
        report_finish(&r);
        findings_text(&r, &found);
        if (strcmp(str_text(&found), rows[i].expected) != 0)
            print_error("for: %s\n", rows[i].sql);
        assert_string_equal(str_text(&found), rows[i].expected);
    }
}

#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))
#define T "CREATE TABLE t (a int, b text, v varchar(10), n numeric(8,2), s timestamp);"

static void test_indexes(void **state)
{
    static const struct row rows[] = {
        {NULL, "CREATE INDEX i ON t (a)", "index-not-concurrent"},
        {NULL, "CREATE INDEX IF NOT EXISTS i ON t (a)", "index-not-concurrent"},
        {NULL, "CREATE INDEX CONCURRENTLY i ON t (a)", ""},
        {NULL, "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a); CREATE INDEX CONCURRENTLY j ON t (b)",
         ""},
        {NULL, "BEGIN; CREATE INDEX CONCURRENTLY i ON t (a); COMMIT",
         "concurrently-in-transaction"},
        {NULL, "CREATE INDEX i ON ONLY t (a)", "?index-not-concurrent"},
        {T, "CREATE INDEX i ON ONLY t (a)", "index-not-concurrent"},
        {NULL, "CREATE TABLE t (a int); CREATE INDEX ON t (a)", ""},
        {NULL, "CREATE TABLE public.t (a int); CREATE INDEX ON t (a)", ""},
        {NULL, "CREATE TEMP TABLE t (a int); CREATE INDEX ON t (a)", ""},
        {NULL, "CREATE TABLE u (a int); CREATE INDEX ON t (a)", "index-not-concurrent"},
        {NULL, "CREATE TABLE t (a int); ALTER TABLE t RENAME TO u; CREATE INDEX ON u (a)", ""},
        {NULL, "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE INDEX ON m (a)", ""},
        {"CREATE MATERIALIZED VIEW m AS SELECT 1 AS a", "CREATE INDEX ON m (a)", ""},
        {NULL, "DROP INDEX i", "drop-index-not-concurrent"},
        {NULL, "DROP INDEX CONCURRENTLY i", ""},
        {NULL, "CREATE TABLE t (a int); CREATE INDEX i ON t (a); DROP INDEX i", ""},
        {NULL, "DROP INDEX i; CREATE INDEX i ON t (a, b)",
         "drop-index-not-concurrent index-dropped-before-replacement index-not-concurrent"},
        {NULL, "REINDEX TABLE t", "reindex-not-concurrent"},
        {NULL, "REINDEX INDEX i", "reindex-not-concurrent"},
        {NULL, "REINDEX TABLE CONCURRENTLY t", ""},
        {NULL, "REINDEX (CONCURRENTLY) INDEX i", ""},
        {NULL, "REFRESH MATERIALIZED VIEW m", "matview-refresh-in-place"},
        {NULL, "REFRESH MATERIALIZED VIEW CONCURRENTLY m", ""},
        {NULL, "ALTER INDEX i RENAME TO j", ""},
        {NULL, "ALTER INDEX p ATTACH PARTITION c", ""},
    };

    (void) state;
    CHECK(rows);
}

static void test_constraints(void **state)
{
    static const struct row rows[] = {
        {NULL, "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", "check-validated-in-place"},
        {NULL, "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID", ""},
        {NULL, "ALTER TABLE t VALIDATE CONSTRAINT c", ""},
        {NULL, "ALTER TABLE t VALIDATE CONSTRAINT c, ALTER a SET STATISTICS 100", ""},
        {NULL, "ALTER TABLE t VALIDATE CONSTRAINT c, ADD COLUMN z int",
         "validate-lock-raised-by-sibling"},
        {NULL,
         "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE "
         "CONSTRAINT c",
         "not-valid-and-validate-same-transaction"},
        {NULL,
         "BEGIN; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; COMMIT; "
         "ALTER TABLE t VALIDATE CONSTRAINT c",
         ""},
        {NULL, "ALTER TABLE t ADD COLUMN z int; ALTER TABLE t VALIDATE CONSTRAINT c",
         "statement-after-access-exclusive"},
        {NULL, "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p", "fk-validated-in-place"},
        {NULL, "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p NOT VALID", ""},
        {NULL,
         "CREATE TABLE t (a int); CREATE INDEX ON t (a); ALTER TABLE t ADD FOREIGN KEY (a) "
         "REFERENCES p",
         ""},
        {NULL, "ALTER TABLE t ADD COLUMN z int REFERENCES p", "?fk-without-index"},
        {NULL, "ALTER TABLE t ADD COLUMN z int DEFAULT 1 REFERENCES p",
         "fk-validated-in-place ?fk-without-index"},
        {NULL, "ALTER TABLE t ADD UNIQUE (a)", "unique-or-pk-built-in-place"},
        {NULL, "ALTER TABLE t ADD PRIMARY KEY (a)", "unique-or-pk-built-in-place"},
        {NULL, "ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i", ""},
        {NULL, "ALTER TABLE t ADD PRIMARY KEY USING INDEX i", "?primary-key-index-on-nullable"},
        {T "CREATE UNIQUE INDEX i ON t (a)", "ALTER TABLE t ADD PRIMARY KEY USING INDEX i",
         "primary-key-index-on-nullable"},
        {"CREATE TABLE t (a int NOT NULL); CREATE UNIQUE INDEX i ON t (a)",
         "ALTER TABLE t ADD PRIMARY KEY USING INDEX i", ""},
        {NULL, "ALTER TABLE t ADD EXCLUDE USING gist (a WITH &&)", "exclude-built-in-place"},
        {NULL, "ALTER TABLE t ALTER a SET NOT NULL", "?not-null-scan"},
        {T, "ALTER TABLE t ALTER a SET NOT NULL", "not-null-scan"},
        {T "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID",
         "ALTER TABLE t ALTER a SET NOT NULL", "not-null-scan"},
        {T "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE t VALIDATE "
           "CONSTRAINT c",
         "ALTER TABLE t ALTER a SET NOT NULL", ""},
        {T "ALTER TABLE t ADD CHECK (a > 0)", "ALTER TABLE t ALTER a SET NOT NULL",
         "not-null-scan"},
        {NULL, "CREATE TABLE t (a int); ALTER TABLE t ALTER a SET NOT NULL", ""},
        {NULL, "ALTER FOREIGN TABLE f ADD CHECK (a > 0)", ""},
        {"CREATE FOREIGN TABLE f (a int) SERVER s", "ALTER TABLE f ADD CHECK (a > 0)", ""},
    };

    (void) state;
    CHECK(rows);
}

static void test_columns(void **state)
{
    static const struct row rows[] = {
        {NULL, "ALTER TABLE t ADD COLUMN z int", ""},
        {NULL, "ALTER TABLE t ADD COLUMN z int NOT NULL DEFAULT 0", ""},
        {NULL, "ALTER TABLE t ADD COLUMN z timestamptz DEFAULT now()", ""},
        {NULL, "ALTER TABLE t ADD COLUMN z text DEFAULT CURRENT_USER", ""},
        {NULL, "ALTER TABLE t ADD COLUMN z uuid DEFAULT gen_random_uuid()",
         "volatile-default-rewrites"},
        {NULL, "ALTER TABLE t ADD COLUMN z int DEFAULT f()", "?volatile-default-rewrites"},
        {"CREATE FUNCTION f() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'",
         "ALTER TABLE t ADD COLUMN z int DEFAULT f()", ""},
        {"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
         "ALTER TABLE t ADD COLUMN z int DEFAULT f()", "volatile-default-rewrites"},
        {NULL, "ALTER TABLE t ADD COLUMN z bigserial", "serial-or-identity-column"},
        {NULL, "ALTER TABLE t ADD COLUMN z bigint GENERATED BY DEFAULT AS IDENTITY",
         "serial-or-identity-column"},
        {NULL, "ALTER TABLE t ADD COLUMN z int GENERATED ALWAYS AS (a + 1) STORED",
         "stored-generated-column"},
        {NULL, "ALTER TABLE t ADD COLUMN z int CHECK (z > 0)", "check-validated-in-place"},
        {NULL, "ALTER TABLE t ADD COLUMN z int UNIQUE", "unique-or-pk-built-in-place"},
        {NULL, "ALTER TABLE t ADD COLUMN z int NOT NULL", "not-null-column-without-default"},
        {NULL, "ALTER TABLE t ADD COLUMN z d", "?constrained-domain-column"},
        {NULL, "ALTER TABLE t ADD COLUMN z citext NOT NULL", "not-null-column-without-default"},
        {"CREATE DOMAIN d AS int CHECK (value > 0)", "ALTER TABLE t ADD COLUMN z d",
         "constrained-domain-column"},
        {"CREATE DOMAIN d AS int", "ALTER TABLE t ADD COLUMN z d", ""},
        {"CREATE TYPE d AS ENUM ('x')", "ALTER TABLE t ADD COLUMN z d", ""},
        {NULL, "CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN z bigserial", ""},
        {NULL, "ALTER TABLE t ALTER a ADD GENERATED ALWAYS AS IDENTITY", ""},
        {NULL, "ALTER TABLE t ADD COLUMN z json", "json-type"},
        {NULL, "CREATE TABLE t (id serial PRIMARY KEY)", "small-int-key"},
        {NULL, "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (id))",
         "small-int-key"},
        {NULL, "CREATE TABLE t (id bigserial PRIMARY KEY)", ""},
        {NULL, "CREATE TABLE t (id int PRIMARY KEY)", ""},
        {NULL, "CREATE TABLE t (p int REFERENCES p)", "fk-without-index"},
        {NULL, "CREATE TABLE t (p int REFERENCES p); CREATE INDEX ON t (p, a)", ""},
        {NULL, "CREATE TABLE t (p int, q int, UNIQUE (q, p), FOREIGN KEY (p, q) REFERENCES p)", ""},
    };

    (void) state;
    CHECK(rows);
}

static void test_types(void **state)
{
    static const struct row rows[] = {
        {NULL, "ALTER TABLE t ALTER a TYPE bigint", "~type-change-rewrites"},
        {NULL, "ALTER TABLE t ALTER a TYPE text", "?type-change-rewrites"},
        {NULL, "ALTER TABLE t ALTER a TYPE bigint USING upper(a)::bigint", "type-change-rewrites"},
        {T, "ALTER TABLE t ALTER a TYPE bigint", "type-change-rewrites"},
        {T, "ALTER TABLE t ALTER a TYPE int", ""},
        {T, "ALTER TABLE t ALTER v TYPE varchar(20)", ""},
        {T, "ALTER TABLE t ALTER v TYPE text", ""},
        {T, "ALTER TABLE t ALTER v TYPE text USING v::text", ""},
        {T, "ALTER TABLE t ALTER v TYPE varchar(5)", "type-change-rewrites"},
        {T, "ALTER TABLE t ALTER b TYPE varchar", ""},
        {T, "ALTER TABLE t ALTER b TYPE varchar(9)", "type-change-rewrites"},
        {T, "ALTER TABLE t ALTER n TYPE numeric(10,2)", ""},
        {T, "ALTER TABLE t ALTER n TYPE numeric", ""},
        {T, "ALTER TABLE t ALTER n TYPE numeric(10,3)", "type-change-rewrites"},
        {T, "ALTER TABLE t ALTER s TYPE timestamptz", "?timestamptz-needs-utc"},
        {T, "SET TimeZone = 'UTC'; ALTER TABLE t ALTER s TYPE timestamptz", ""},
        {T, "ALTER TABLE t ALTER s TYPE timestamp(3)", "type-change-rewrites"},
        {T "ALTER TABLE t ADD CHECK (v <> '')", "ALTER TABLE t ALTER v TYPE text",
         "array-or-check-surprise"},
        {T "CREATE INDEX ON t (a)", "ALTER TABLE t ALTER a TYPE oid", "index-rebuild-without-heap"},
        {T "CREATE INDEX ON t (v)", "ALTER TABLE t ALTER v TYPE text", ""},
        {T "CREATE INDEX ON t (v)", "ALTER TABLE t ALTER v TYPE text COLLATE \"C\"",
         "index-rebuild-without-heap"},
        {"CREATE TABLE t (x text[])", "ALTER TABLE t ALTER x TYPE varchar[]",
         "array-or-check-surprise"},
        {T "CREATE DOMAIN d AS int", "ALTER TABLE t ALTER a TYPE d", ""},
        {T "CREATE DOMAIN d AS int CHECK (value > 0)", "ALTER TABLE t ALTER a TYPE d",
         "type-change-rewrites"},
        {"CREATE TYPE e AS ENUM ('x'); CREATE TABLE t (c e)", "ALTER TABLE t ALTER c TYPE text",
         "type-change-rewrites"},
    };

    (void) state;
    CHECK(rows);
}

static void test_partitions_and_storage(void **state)
{
    static const char p[] = "CREATE TABLE p (a int) PARTITION BY RANGE (a);";
    static const struct row rows[] = {
        {NULL, "ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (1) TO (2)",
         "?partition-attach-scans"},
        {"CREATE TABLE c (a int)", "ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (1) TO (2)",
         "partition-attach-scans"},
        {NULL,
         "CREATE TABLE c (a int); ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (1) TO (2)", ""},
        {"CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE d PARTITION OF p DEFAULT",
         "CREATE TABLE c (a int); ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (1) TO (2)",
         "default-partition-scanned"},
        {p, "CREATE TABLE c PARTITION OF p FOR VALUES FROM (1) TO (2)",
         "partition-created-in-place"},
        {NULL,
         "CREATE TABLE p (a int) PARTITION BY RANGE (a); "
         "CREATE TABLE c PARTITION OF p FOR VALUES FROM (1) TO (2)",
         ""},
        {NULL, "ALTER TABLE p DETACH PARTITION c", "partition-detach-not-concurrent"},
        {NULL, "ALTER TABLE p DETACH PARTITION c CONCURRENTLY", ""},
        {NULL, "ALTER TABLE t SET UNLOGGED", "storage-rewrite"},
        {NULL, "ALTER TABLE t SET LOGGED", "?storage-rewrite"},
        {"CREATE TABLE t (a int)", "ALTER TABLE t SET LOGGED", ""},
        {NULL, "ALTER TABLE t SET TABLESPACE s", "storage-rewrite"},
        {NULL, "CLUSTER t USING i", "storage-rewrite"},
        {NULL, "VACUUM FULL t", "storage-rewrite"},
        {NULL, "VACUUM t", ""},
        {NULL, "ALTER DOMAIN d ADD CHECK (value > 0)", "?domain-constraint-scans-users"},
        {NULL, "ALTER DOMAIN d ADD CHECK (value > 0) NOT VALID", ""},
        {"CREATE DOMAIN d AS int; CREATE TABLE t (a d)", "ALTER DOMAIN d SET NOT NULL",
         "domain-constraint-scans-users"},
        {NULL, "CREATE DOMAIN d AS int; ALTER DOMAIN d ADD CHECK (value > 0)", ""},
    };

    (void) state;
    CHECK(rows);
}

static void test_rows_of_data(void **state)
{
    static const struct row rows[] = {
        {NULL, "UPDATE t SET a = 1", "dml-without-where"},
        {NULL, "UPDATE t SET a = 1 WHERE true", "dml-without-where"},
        {NULL, "UPDATE t SET a = 1 WHERE id = 7", ""},
        {NULL, "UPDATE t SET a = 1 WHERE id IN (7, 8) AND b > 2", ""},
        {NULL, "UPDATE t SET a = b WHERE a IS NULL", "?unbatched-backfill"},
        {NULL, "CREATE TABLE t (a int); UPDATE t SET a = 1", ""},
        {NULL, "ALTER TABLE t ADD COLUMN z int; UPDATE t SET z = a WHERE z IS NULL",
         "statement-after-access-exclusive unbatched-backfill"},
        {NULL, "DELETE FROM t", "dml-without-where"},
        {NULL, "INSERT INTO t VALUES (1)", ""},
        {NULL, "INSERT INTO t SELECT * FROM u", "~unbatched-backfill"},
        {NULL, "INSERT INTO t SELECT * FROM u WHERE a < 9", ""},
        {NULL, "INSERT INTO t SELECT generate_series(1, 10)", ""},
        {NULL, "TRUNCATE t CASCADE", "truncate-cascade"},
        {NULL, "TRUNCATE t", "?destructive-without-precheck"},
        {NULL, "DROP SCHEMA s CASCADE", "drop-schema"},
        {NULL, "DROP DATABASE d", "drop-database"},
        {NULL, "DROP TABLE t", "~destructive-without-precheck"},
        {NULL, "ALTER TABLE t DROP COLUMN a", "~destructive-without-precheck"},
        {NULL, "ALTER TABLE t ADD COLUMN z int; ALTER TABLE t DROP COLUMN z", ""},
        {NULL, "ALTER TABLE t RENAME COLUMN a TO z", "~destructive-outside-contract"},
        {NULL, "ALTER TABLE t ADD COLUMN y int; ALTER TABLE t RENAME COLUMN y TO z", ""},
        {NULL, "ALTER TABLE t RENAME TO z", "~destructive-outside-contract"},
        {NULL, "ALTER TABLE t RENAME TO z; CREATE VIEW t AS SELECT * FROM z", ""},
        {NULL,
         "CREATE TABLE n (a int); ALTER TABLE n RENAME COLUMN a TO b; ALTER TABLE n RENAME TO m",
         ""},
        {NULL, "ALTER VIEW v RENAME TO z", "~destructive-outside-contract"},
        {NULL, "ALTER TABLE t RENAME CONSTRAINT c TO d", ""},
        {NULL, "CREATE TABLE t (a int); DROP TABLE t", ""},
    };

    (void) state;
    CHECK(rows);
}

static void test_transactions(void **state)
{
    static const struct row rows[] = {
        {NULL, "ALTER TABLE t ADD COLUMN z int; UPDATE u SET a = b WHERE a < b",
         "statement-after-access-exclusive ?unbatched-backfill"},
        {NULL, "ALTER TABLE t ADD COLUMN z int; UPDATE u SET a = 1 WHERE id = 1", ""},
        {NULL, "ALTER TABLE t ADD COLUMN z int; INSERT INTO roles VALUES ('x')", ""},
        {NULL, "ALTER TABLE t ADD COLUMN z int; CREATE TABLE n AS SELECT * FROM u",
         "statement-after-access-exclusive"},
        {NULL, "ALTER TABLE t ADD COLUMN z int; CREATE TABLE n (a int); CREATE INDEX ON n (a)", ""},
        {NULL, "ALTER TABLE t ADD COLUMN z int; SELECT count(*) FROM u",
         "?statement-after-access-exclusive"},
        {NULL, "ALTER TABLE t ADD COLUMN z int; SELECT pg_catalog.set_config('a.b', '', false)",
         ""},
        {NULL, "BEGIN; ALTER TABLE t ADD COLUMN z int; COMMIT; DELETE FROM u WHERE a < b",
         "?unbatched-backfill"},
        {NULL, "UPDATE u SET a = b WHERE a < b; ALTER TABLE t ADD COLUMN z int",
         "?unbatched-backfill ddl-mixed-with-dml"},
        {NULL, "ALTER TYPE e ADD VALUE 'x'; INSERT INTO t VALUES ('x')",
         "?enum-value-used-in-same-transaction"},
        {NULL, "ALTER TYPE e ADD VALUE 'x'; SELECT 'x'::e", "enum-value-used-in-same-transaction"},
        {"CREATE TYPE e AS ENUM ('y'); CREATE TABLE t (c e)",
         "ALTER TYPE e ADD VALUE 'x'; INSERT INTO t VALUES ('x')",
         "enum-value-used-in-same-transaction"},
        {"CREATE TABLE t (c text)", "ALTER TYPE e ADD VALUE 'x'; INSERT INTO t VALUES ('x')", ""},
        {NULL, "CREATE TYPE e AS ENUM ('y'); ALTER TYPE e ADD VALUE 'x'; SELECT 'x'::e", ""},
        {NULL, "BEGIN; ALTER TYPE e ADD VALUE 'x'; COMMIT; SELECT 'x'::e", ""},
        {NULL, "SET lock_timeout = 0", "lock-timeout-missing"},
        {NULL, "SET lock_timeout = '2s'", ""},
        {NULL, "DO $$ BEGIN END $$", "?work-under-strong-lock"},
        {NULL, "SELCT 1; CREATE INDEX ON t (a)", "statement-unparsed index-not-concurrent"},
        {NULL, "\\set x 1\nCREATE INDEX ON t (a);\n", "index-not-concurrent"},
        {NULL, "COPY t FROM stdin;\n1\t'\n\\.\nCREATE TABLE u (a int);", ""},
        {NULL, "", ""},
        {NULL, "-- nothing", ""},
    };

    (void) state;
    CHECK(rows);
}

static void test_long_names(void **state)
{
    static const struct row rows[] = {
        {NULL,
         "CREATE TABLE a123456789012345678901234567890123456789012345678901234567890123 (a int)",
         "identifier-too-long"},
        {NULL,
         "CREATE TABLE a12345678901234567890123456789012345678901234567890123456789012 (a int)",
         ""},
        {NULL, "SELECT 'a1234567890123456789012345678901234567890123456789012345678901234567890'",
         ""},
    };

    (void) state;
    CHECK(rows);
}

static void test_files_of_a_set(void **state)
{
    AUTO(arena) a = {0};
    AUTO(report) r = {0};
    AUTO(str) found = {0};
    struct lint_known *k = lint_known_new(&a);

    (void) state;
    /* deployed together: the table is new to the second */
    lint_one(k, &r, "1.sql", "CREATE TABLE t (a int)", 1);
    lint_one(k, &r, "2.sql", "CREATE INDEX ON t (a)", 1);
    assert_int_equal(r.n, 0);
    /* one after the other: it is there, and what it is made of is known */
    lint_one(k, &r, "3.sql", "ALTER TABLE t ALTER a SET NOT NULL", 2);
    report_finish(&r);
    findings_text(&r, &found);
    assert_string_equal(str_text(&found), "not-null-scan");
    assert_string_equal(r.findings[0].at.file, "3.sql");
}

static void test_places(void **state)
{
    AUTO(arena) a = {0};
    AUTO(report) r = {0};
    struct lint_known *k = lint_known_new(&a);

    (void) state;
    lint_one(k, &r, "1.sql",
             "-- a comment\n  CREATE INDEX ON t (a);\nnonsense;\n\n DELETE FROM \"t\u00e4\"; "
             "DELETE FROM u",
             1);
    report_finish(&r);
    assert_int_equal(r.n, 4);
    assert_int_equal(r.findings[0].at.line, 2);
    assert_int_equal(r.findings[0].at.col, 3);
    assert_int_equal(r.findings[1].at.line, 3);
    assert_int_equal(r.findings[2].at.line, 5);
    assert_int_equal(r.findings[2].at.col, 2);
    assert_int_equal(r.findings[3].at.col, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_indexes),
        cmocka_unit_test(test_constraints),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_partitions_and_storage),
        cmocka_unit_test(test_rows_of_data),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_files_of_a_set),
        cmocka_unit_test(test_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
