/* Soft drops of columns and tables on a real server: hidden, brought back as they were, destroyed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "generate_test.h"

#define DAY INT64_C(1794650400000) /* 2026-11-14 */

/* What the engine reads of the catalogue. */
static struct column_facts facts_of(const char *db, struct arena *a, const char *schema,
                                    const char *table, const char *column)
{
    struct column_facts f = {.schema = schema, .table = table, .column = column};
    PGconn *conn = PQconnectdb(db);
    const char *const params[] = {schema, table, column};
    PGresult *r =
        PQexecParams(conn,
                     "SELECT a.attnotnull, CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE "
                     "pg_catalog.pg_get_userbyid(x.grantee) END,"
                     " x.privilege_type || CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE "
                     "'' END FROM pg_catalog.pg_attribute a"
                     " JOIN pg_catalog.pg_class t ON t.oid = a.attrelid JOIN "
                     "pg_catalog.pg_namespace n ON n.oid = t.relnamespace"
                     " LEFT JOIN LATERAL pg_catalog.aclexplode(a.attacl) x ON true"
                     " WHERE n.nspname = $1 AND t.relname = $2 AND a.attname = $3 ORDER BY 2, 3",
                     3, NULL, params, NULL, NULL, 0);

    CHECK(PQntuples(r) > 0, "%s.%s.%s: %s", schema, table, column, PQerrorMessage(conn));
    f.not_null = *PQgetvalue(r, 0, 0) == 't';
    f.grants.items = arena_array(a, struct pair, PQntuples(r));
    for (int i = 0; i < PQntuples(r); i++)
        if (!PQgetisnull(r, i, 1))
            f.grants.items[f.grants.n++] =
                (struct pair) {{.s = arena_strdup(a, PQgetvalue(r, i, 1))},
                               {.s = arena_strdup(a, PQgetvalue(r, i, 2))}};
    PQclear(r);
    PQfinish(conn);
    return f;
}

struct scripts {
    struct sql_list drop, restore, purge;
};

static struct scripts column_scripts(const char *db, struct arena *a, const char *schema,
                                     const char *table, const char *column, const char **hidden)
{
    struct column_facts f = facts_of(db, a, schema, table, column);
    struct scripts s;

    *hidden = soft_drop_name(a, column, DAY);
    soft_drop_column_sql(a, &f, *hidden, &s.drop, &s.restore, &s.purge);
    return s;
}

static void assert_fails(const char *db, const char *sql, const char *sqlstate)
{
    PGconn *conn = PQconnectdb(db);
    PGresult *r = PQexec(conn, sql);
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);

    CHECK(state && strcmp(state, sqlstate) == 0, "%s: %s, not %s", sql, state ? state : "no error",
          sqlstate);
    PQclear(r);
    PQfinish(conn);
}

/* ---- columns -------------------------------------------------------------------------------------- */

/* Column names of every kind and length: hidden, back, gone. */
static void test_columns_of_any_name(void **state)
{
    const char *db = *state;
    static const char *const names[] = {
        "legacy_ref",
        "Legacy Ref",
        "select",
        "a\"quote",
        "it's",
        "a.b",
        "per%cent $1 \\",
        "exactly_forty_eight_bytes_long_________________x",
        "forty_nine_bytes_long_and_so_one_byte_too_long__x",
        "sixty_three_bytes_are_what_a_name_can_have_in_all_________abcde",
        "sixty_three_bytes_are_what_a_name_can_have_in_all_________abcdf",
        "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4"
        "\u00e4\u00e4\u00e4\u00e4\u00e4"
        "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4",
        "x\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22"
        "\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22",
        "\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600"
        "\U0001F600\U0001F600\U0001F600"
        "\U0001F600\U0001F600\U0001F600",
    };
    AUTO(arena) a = {0};
    AUTO(str) ddl = {0};

    str_add(&ddl, "CREATE TABLE \"T t\" (id int");
    for (size_t i = 0; i < ROWS(names); i++) {
        assert_true(strlen(names[i]) <= 63);
        str_add(&ddl, ", ");
        sql_ident(&ddl, names[i]);
        str_add(&ddl, " int NOT NULL DEFAULT 7");
    }
    str_add(&ddl, "); INSERT INTO \"T t\" (id) VALUES (1)");
    pgtest_exec(db, str_text(&ddl));
    char *before = pgtest_value(db, CATALOGUE);

    /* All at once, so that hidden names that are alike would meet. */
    struct scripts s[ROWS(names)];
    for (size_t i = 0; i < ROWS(names); i++) {
        const char *hidden;
        s[i] = column_scripts(db, &a, "public", "T t", names[i], &hidden);
        assert_true(strlen(hidden) <= 63);
        assert_int_equal(strncmp(hidden, "_drop_20261114_", 15), 0);
        run_list(db, &s[i].drop);
        /* The server took the name as it is: nothing was cut or folded. */
        AUTO(str) sql = {0};
        str_add(&sql, "SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute WHERE NOT "
                      "attnotnull AND attname::text = ");
        sql_literal(&sql, hidden);
        assert_int_equal(pgtest_count(db, str_text(&sql)), 1);
    }
    assert_int_equal(pgtest_count(db, "SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute "
                                      "WHERE attname LIKE '\\_drop\\_%'"),
                     ROWS(names));
    for (size_t i = ROWS(names); i-- > 0;)
        run_list(db, &s[i].restore);
    assert_value(db, CATALOGUE, before);
    for (size_t i = 0; i < ROWS(names); i++) {
        run_list(db, &s[i].drop);
        run_list(db, &s[i].purge);
        run_list(db, &s[i].purge); /* again: nothing left, no error */
    }
    assert_int_equal(pgtest_count(db, "SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute a "
                                      "WHERE a.attrelid = '\"T t\"'::regclass"
                                      " AND a.attnum > 0 AND NOT a.attisdropped"),
                     1);
    free(before);
}

static void test_rights_on_columns_come_back(void **state)
{
    const char *db = *state;
    AUTO(arena) a = {0};
    const char *hidden;
    const char *one = arena_printf(&a, "\"Soft Drop %ld\"", (long) getpid()),
               *two = arena_printf(&a, "soft_drop_%ld", (long) getpid());

    pgtest_exec(
        db, arena_printf(&a,
                         "CREATE ROLE %s; CREATE ROLE %s; CREATE TABLE t (id int, old text NOT "
                         "NULL, other text);"
                         "INSERT INTO t VALUES (1, 'a', 'b'); GRANT SELECT (id, other) ON t TO %s;"
                         "GRANT SELECT (old), UPDATE (old), REFERENCES (old) ON t TO %s; GRANT "
                         "INSERT (old) ON t TO PUBLIC;"
                         "GRANT SELECT (old), UPDATE (old) ON t TO %s WITH GRANT OPTION",
                         one, two, one, one, two));
    char *before = pgtest_value(db, CATALOGUE);
    struct scripts s = column_scripts(db, &a, "public", "t", "old", &hidden);
    const char *read = arena_printf(&a, "SET ROLE %s; SELECT old FROM t", one);
    assert_value(db, read, "a");

    run_list(db, &s.drop);
    assert_fails(db, read, "42703");
    assert_fails(db, arena_printf(&a, "SET ROLE %s; SELECT \"%s\" FROM t", one, hidden), "42501");
    assert_fails(db, arena_printf(&a, "SET ROLE %s; SELECT \"%s\" FROM t", two, hidden), "42501");
    assert_value(db, arena_printf(&a, "SET ROLE %s; SELECT other FROM t", one), "b");
    assert_int_equal(
        pgtest_count(
            db,
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute WHERE attrelid = 't'::regclass"
            " AND attacl IS NOT NULL"),
        2);

    run_list(db, &s.restore);
    assert_value(db, CATALOGUE, before);
    assert_value(db, read, "a");
    pgtest_exec(db, arena_printf(&a, "SET ROLE %s; GRANT SELECT (old) ON t TO %s", two, one));
    free(before);
    pgtest_exec(db, arena_printf(&a, "DROP OWNED BY %s, %s; DROP ROLE %s, %s", one, two, one, two));
}

static void test_not_null(void **state)
{
    const char *db = *state;
    AUTO(arena) a = {0};
    const char *hidden;

    pgtest_exec(db, "CREATE TABLE t (id int, old text NOT NULL, free text); INSERT INTO t VALUES "
                    "(1, 'a', 'b')");
    struct scripts s = column_scripts(db, &a, "public", "t", "old", &hidden);
    assert_int_equal(s.drop.n, 2);
    run_list(db, &s.drop);
    /* Writers that know nothing of it any more. */
    pgtest_exec(db, "INSERT INTO t (id) VALUES (2)");
    /* A row of the hold without a value: that the column can't be as strict as it was is said, not passed over. */
    assert_fails(db, arena_printf(&a, "%s;%s", s.restore.items[0], s.restore.items[1]), "23502");
    assert_value(db, arena_printf(&a, "SELECT \"%s\" FROM t WHERE id = 1", hidden), "a");
    pgtest_exec(db, "DELETE FROM t WHERE id = 2");
    run_list(db, &s.restore);
    assert_fails(db, "INSERT INTO t (id) VALUES (2)", "23502");
    /* A column that was nullable stays so. */
    s = column_scripts(db, &a, "public", "t", "free", &hidden);
    assert_int_equal(s.drop.n, 1);
    run_list(db, &s.drop);
    run_list(db, &s.restore);
    pgtest_exec(db, "INSERT INTO t (id, old) VALUES (3, 'c')");
}

static void test_views_indexes_and_keys_of_a_column(void **state)
{
    const char *db = *state;
    AUTO(arena) a = {0};
    const char *hidden;

    pgtest_exec(
        db,
        "CREATE TABLE t (id int, old text NOT NULL DEFAULT 'x' CHECK (old <> ''), note text);"
        "CREATE UNIQUE INDEX t_old ON t (old) WHERE old IS NOT NULL; CREATE VIEW v AS SELECT id, "
        "old FROM t;"
        "CREATE MATERIALIZED VIEW m AS SELECT old FROM t; COMMENT ON COLUMN t.old IS 'as it was';"
        "INSERT INTO t VALUES (1, 'a')");
    char *before = pgtest_value(db, CATALOGUE);
    struct scripts s = column_scripts(db, &a, "public", "t", "old", &hidden);
    run_list(db, &s.drop);
    assert_value(db, "SELECT old FROM v", "a");
    pgtest_exec(db, "UPDATE v SET old = 'b'; REFRESH MATERIALIZED VIEW m");
    assert_value(db, "SELECT old FROM m", "b");
    assert_fails(db, "UPDATE v SET old = ''", "23514");
    /* The purge doesn't drag along what depends on it. */
    assert_fails(db, s.purge.items[0], "2BP01");
    run_list(db, &s.restore);
    assert_value(db, CATALOGUE, before);
    assert_value(db, "SELECT pg_catalog.col_description('t'::regclass, 2)", "as it was");
    free(before);
}

/* ---- tables --------------------------------------------------------------------------------------- */

static void test_tables(void **state)
{
    const char *db = *state;
    static const char *const tables[][2] = {
        {"public", "orders"},
        {"Odd Schema", "Or\"ders"},
        {"public", "sixty_three_bytes_are_what_a_name_can_have_in_all_________abcde"},
        {"public", "sixty_three_bytes_are_what_a_name_can_have_in_all_________abcdf"},
    };
    AUTO(arena) a = {0};
    struct scripts s[ROWS(tables)];

    pgtest_exec(db, "CREATE SCHEMA \"Odd Schema\"");
    for (size_t i = 0; i < ROWS(tables); i++) {
        AUTO(str) ddl = {0}, name = {0};
        sql_qualified(&name, tables[i][0], tables[i][1]);
        str_addf(
            &ddl,
            "CREATE TABLE %s (id serial PRIMARY KEY, ref text UNIQUE, parent int REFERENCES %s);"
            "INSERT INTO %s (ref) VALUES ('a'); CREATE VIEW view_%zu AS SELECT ref FROM %s; GRANT "
            "SELECT ON %s TO PUBLIC",
            str_text(&name), str_text(&name), str_text(&name), i, str_text(&name), str_text(&name));
        pgtest_exec(db, str_text(&ddl));
    }
    char *before = pgtest_value(db, CATALOGUE);
    for (size_t i = 0; i < ROWS(tables); i++) {
        const char *hidden = soft_drop_name(&a, tables[i][1], DAY);
        AUTO(str) name = {0};
        soft_drop_table_sql(&a, tables[i][0], tables[i][1], hidden, &s[i].drop, &s[i].restore,
                            &s[i].purge);
        run_list(db, &s[i].drop);
        sql_qualified(&name, tables[i][0], tables[i][1]);
        assert_fails(db, arena_printf(&a, "SELECT * FROM %s", str_text(&name)), "42P01");
        str_clear(&name);
        sql_qualified(&name, HOLD_SCHEMA, hidden);
        assert_value(db, arena_printf(&a, "SELECT ref FROM %s", str_text(&name)), "a");
        /* Views go on, and with them everything that reads through them. */
        assert_value(db, arena_printf(&a, "SELECT ref FROM view_%zu", i), "a");
        assert_fails(db, s[i].purge.items[0], "2BP01");
    }
    for (size_t i = ROWS(tables); i-- > 0;)
        run_list(db, &s[i].restore);
    assert_value(db, CATALOGUE, before);
    pgtest_exec(db,
                "INSERT INTO orders (ref) VALUES ('b'); DROP VIEW view_0, view_1, view_2, view_3");
    assert_int_equal(pgtest_count(db, "SELECT pg_catalog.max(id) FROM orders"),
                     2); /* its sequence came along */
    for (size_t i = 0; i < ROWS(tables); i++) {
        run_list(db, &s[i].drop);
        run_list(db, &s[i].purge);
        run_list(db, &s[i].purge);
    }
    assert_int_equal(
        pgtest_count(
            db,
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
            " ON n.oid = c.relnamespace WHERE n.nspname IN ('public', 'Odd Schema', "
            "'phasegate_hold')"),
        0);
    free(before);
}

/* Names that begin alike, in two schemas, or with one that is in the hold already under the name it had. */
static void test_tables_that_meet_in_the_hold(void **state)
{
    const char *db = *state;
    AUTO(arena) a = {0};
    struct scripts s;

    pgtest_exec(db, "CREATE SCHEMA phasegate_hold; CREATE TABLE phasegate_hold.orders (kept int); "
                    "CREATE TABLE orders (id int)");
    soft_drop_table_sql(&a, "public", "orders", "_drop_20261114_orders", &s.drop, &s.restore,
                        &s.purge);
    run_list(db, &s.drop);
    run_list(db, &s.restore);
    assert_int_equal(pgtest_count(db, "SELECT pg_catalog.count(id) FROM public.orders"), 0);
    assert_int_equal(pgtest_count(db, "SELECT pg_catalog.count(kept) FROM phasegate_hold.orders"),
                     0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pgtest_setup, pgtest_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_columns_of_any_name),
        TEST(test_rights_on_columns_come_back),
        TEST(test_not_null),
        TEST(test_views_indexes_and_keys_of_a_column),
        TEST(test_tables),
        TEST(test_tables_that_meet_in_the_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
