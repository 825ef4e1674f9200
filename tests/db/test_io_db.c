/* The libpq port against a real server: rows, errors, limits, cancels, pipelines, labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io_rig.h"

/* ---- rows and parameters --------------------------------------------------------------------- */

static void test_rows(void **state)
{
    struct rig *r = *state;
    struct db_rows rows = {0};
    const struct db_params p = DB_PARAMS("41", NULL, "it's \"quoted\" \\ \xc3\xa4");

    assert_true(
        db_query(r->db, &r->a,
                 "SELECT $1::int + 1 AS n, $2::text AS nothing, $3::text AS \"T x\", '' AS empty, "
                 "'\\x00ff'::bytea AS b, true AS yes, timestamptz '2026-01-31 12:00+02' AS at, "
                 "date '2026-01-31' AS d, interval '1 day 2 hours' AS i",
                 &p, &rows, &r->err));
    assert_int_equal(rows.n_rows, 1);
    assert_int_equal(rows.n_cols, 9);
    assert_string_equal(rows.column[2], "T x");
    assert_string_equal(db_cell(&rows, 0, 0), "42");
    assert_null(db_cell(&rows, 0, 1));
    assert_string_equal(db_cell(&rows, 0, 2), "it's \"quoted\" \\ \xc3\xa4");
    assert_string_equal(db_cell(&rows, 0, 3), "");
    assert_string_equal(db_cell(&rows, 0, 4), "\\x00ff");
    assert_string_equal(db_cell(&rows, 0, 5), "t");
    assert_string_equal(db_cell(&rows, 0, 6), "2026-01-31 10:00:00+00");
    assert_string_equal(db_cell(&rows, 0, 7), "2026-01-31");
    assert_string_equal(db_cell(&rows, 0, 8), "1 day 02:00:00");
    assert_true(db_query(r->db, &r->a, "SELECT 1 AS n WHERE false", NULL, &rows, &r->err));
    assert_int_equal(rows.n_rows, 0);
    assert_int_equal(rows.n_cols, 1);
}

static void test_affected(void **state)
{
    struct rig *r = *state;
    int64_t n = -1;

    good(r, "CREATE TABLE public.t (a int PRIMARY KEY)");
    assert_true(db_exec_count(r->db, "INSERT INTO public.t SELECT generate_series(1, 12345)", NULL,
                              &n, &r->err));
    assert_int_equal(n, 12345);
    assert_true(db_exec_count(r->db, "UPDATE public.t SET a = -a WHERE a <= 7", NULL, &n, &r->err));
    assert_int_equal(n, 7);
    assert_true(db_exec_count(r->db, "CREATE INDEX ON public.t (a)", NULL, &n, &r->err));
    assert_int_equal(n, 0);
    assert_true(db_exec_count(r->db, "-- only a comment", NULL, &n, &r->err));
}

/* A parameter larger than the socket's buffer goes out while the server already answers. */
static void test_large_values(void **state)
{
    struct rig *r = *state;
    size_t n = 8 << 20;
    char *large = malloc(n + 1);
    struct db_rows rows = {0};
    struct db_params p = {.n = 1, .value = {large}};

    memset(large, 'x', n);
    large[n] = '\0';
    assert_true(db_query(r->db, &r->a, "SELECT $1::text", &p, &rows, &r->err));
    assert_string_equal(db_cell(&rows, 0, 0), large);
    free(large);
}

/* ---- session settings ------------------------------------------------------------------------ */

static void test_hardened(void **state)
{
    static const struct {
        const char *setting, *value;
    } expected[] = {
        {"application_name", "phasegate/test/first"},
        {"client_connection_check_interval", "1s"},
        {"client_encoding", "UTF8"},
        {"DateStyle", "ISO, MDY"},
        {"default_transaction_read_only", "off"},
        {"idle_in_transaction_session_timeout", "1min"},
        {"IntervalStyle", "postgres"},
        {"lock_timeout", "1s"},
        {"search_path", ""},
        {"standard_conforming_strings", "on"},
        {"statement_timeout", "1min"},
        {"TimeZone", "UTC"},
    };
    struct rig *r = *state;
    struct db_options o = options(r);

    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_string_equal(value(r, arena_printf(&r->a, "SHOW %s", expected[i].setting)),
                            expected[i].value);
    assert_true(db_server_version(r->db) >= 140000);
    assert_int_equal(atoi(value(r, "SELECT pg_backend_pid()")), db_backend_pid(r->db));
    assert_non_null(strstr(r->db->shown, " as postgres"));

    /* What is left to the database, is. */
    pgtest_exec(
        r->conninfo,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = own', current_database());"
        " EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Tokyo''', current_database());"
        " EXECUTE format('ALTER DATABASE %I SET lock_timeout = 77', current_database()); END $$");
    o.search_path = o.time_zone = NULL;
    o.lock_ms = -1;
    o.statement_ms = 0;
    db_close(r->db);
    r->db = open_with(r, &o);
    assert_string_equal(value(r, "SHOW search_path"), "own");
    assert_string_equal(value(r, "SHOW TimeZone"), "Asia/Tokyo");
    assert_string_equal(value(r, "SHOW lock_timeout"), "77ms");
    assert_string_equal(value(r, "SHOW statement_timeout"), "0");
}

static void test_read_only(void **state)
{
    struct rig *r = *state;
    struct db_options o = options(r);

    good(r, "CREATE TABLE public.t (a int)");
    o.writable = false;
    db_close(r->db);
    r->db = open_with(r, &o);
    bad(r, "INSERT INTO public.t VALUES (1)", ERR_SQL, "25006");
    bad(r, "CREATE TABLE public.u (a int)", ERR_SQL, "25006");
    assert_string_equal(value(r, "SELECT count(*) FROM public.t"), "0");
}

static void test_empty_url_is_the_environment(void **state)
{
    struct rig *r = *state;
    struct db_options o = options(r);
    char *name = arena_strdup(&r->a, value(r, "SELECT current_database()"));
    char *folder = arena_strdup(&r->a, strstr(r->conninfo, "host=") + 5);

    folder[strcspn(folder, " ")] = '\0';
    setenv("PGHOST", folder, 1);
    setenv("PGUSER", "postgres", 1);
    setenv("PGDATABASE", name, 1);
    o.url = "";
    db_close(r->db);
    r->db = open_with(r, &o);
    unsetenv("PGHOST");
    unsetenv("PGUSER");
    unsetenv("PGDATABASE");
    assert_string_equal(value(r, "SELECT current_database()"), name);
    assert_string_equal(r->db->shown, arena_printf(&r->a, "%s:5432/%s as postgres", folder, name));
}

static void test_label(void **state)
{
    static const char mine[] =
        "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    struct rig *r = *state;

    db_set_label(r->db, "phasegate/test/second");
    assert_string_equal(value(r, mine), "phasegate/test/second");
    /* A rollback takes a label set inside with it: it comes back. */
    good(r, "BEGIN");
    db_set_label(r->db, "phasegate/it's \\third");
    good(r, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
    good(r, "ROLLBACK");
    assert_string_equal(value(r, mine), "phasegate/it's \\third");
    /* A failed transaction takes nothing but its end. */
    good(r, "BEGIN");
    bad(r, "SELECT 1/0", ERR_SQL, "22012");
    db_set_label(
        r->db,
        "fourth \xc3\xa4 with a name that is much longer than the server would ever keep of it");
    bad(r, "SELECT 1", ERR_SQL, "25P02");
    good(r, "ROLLBACK");
    assert_string_equal(value(r, mine),
                        "fourth ?? with a name that is much longer than the server would");
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void test_errors(void **state)
{
    struct rig *r = *state;

    bad(r, "SELECT 1,\n  '\xc3\xa4' AS x, nope\nFROM pg_class", ERR_SQL, "42703");
    has(&r->err.detail, "at line 2, column 13 of the statement:   '\xc3\xa4' AS x, nope");
    assert_false(err_is_retryable(&r->err));
    bad(r, "SELECT 1; SELECT 2", ERR_SQL, "42601");
    good(r, "CREATE TABLE public.t (a int PRIMARY KEY)");
    good(r, "INSERT INTO public.t VALUES (1)");
    bad(r, "INSERT INTO public.t VALUES (1)", ERR_SQL, "23505");
    has(&r->err.message, "t_pkey");
    has(&r->err.detail, "(a)=(1)");
    bad(r,
        "DO $$ BEGIN RAISE EXCEPTION 'no %', 1 USING HINT = 'do it', ERRCODE = 'ZZ001', DETAIL = "
        "'more'; END $$",
        ERR_SQL, "ZZ001");
    assert_string_equal(str_text(&r->err.message), "no 1");
    assert_string_equal(str_text(&r->err.hint), "do it");
    has(&r->err.detail, "more\nCONTEXT: PL/pgSQL function");
    assert_string_equal(value(r, "SELECT 1"), "1");
}

/* As long as a statement likes, and cut between two characters. */
static void test_long_errors(void **state)
{
    struct rig *r = *state;

    for (int i = 0; i < 2; i++) {
        AUTO(str) sql = {0};

        str_addf(&sql,
                 "DO $$ BEGIN RAISE EXCEPTION '%%', '%s' || repeat('\xc3\xa4', 10000000) USING "
                 "DETAIL = repeat('x', 10000000), HINT = repeat('\xc3\xa4', 10000000); END $$",
                 i ? "x" : "");
        bad(r, str_text(&sql), ERR_SQL, "P0001");
        assert_in_range(r->err.message.len, 4000, 4200);
        assert_in_range(r->err.hint.len, 4000, 4200);
        assert_in_range(r->err.detail.len, 16000, 21000);
        has(&r->err.message, "\xc3\xa4\xe2\x80\xa6");
        has(&r->err.hint, "\xc3\xa4\xe2\x80\xa6");
    }
    assert_string_equal(value(r, "SELECT 1"), "1");
}

static void test_outputs_stay_on_failure(void **state)
{
    struct rig *r = *state;
    struct db_rows rows = {.n_rows = 77};
    int64_t n = 77;

    assert_false(db_query(r->db, &r->a, "SELECT 1/0", NULL, &rows, &r->err));
    assert_false(db_exec_count(r->db, "SELECT 1/0", NULL, &n, &r->err));
    assert_int_equal(rows.n_rows, 77);
    assert_int_equal(n, 77);
}

static void test_commit_that_rolls_back(void **state)
{
    struct rig *r = *state;

    good(r, "BEGIN");
    bad(r, "SELECT 1/0", ERR_SQL, "22012");
    bad(r, " commit", ERR_SQL, "25P02");
    good(r, "BEGIN");
    good(r, "ROLLBACK");
    good(r, "BEGIN");
    good(r, "COMMIT");
}

static void test_lock_timeout(void **state)
{
    struct rig *r = *state;
    struct db_options o = options(r);
    struct db *other = open_with(r, &o);

    good(r, "CREATE TABLE public.t (a int)");
    assert_true(db_exec(other, "BEGIN", NULL, &r->err));
    assert_true(db_exec(other, "LOCK TABLE public.t", NULL, &r->err));
    good(r, "SET lock_timeout = 50");
    bad(r, "ALTER TABLE public.t ADD b int", ERR_LOCK_TIMEOUT, "55P03");
    assert_true(err_is_retryable(&r->err));
    bad(r, "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$", ERR_LOCK_TIMEOUT,
        "40P01");
    db_close(other);
    good(r, "ALTER TABLE public.t ADD b int");
}

static void test_copy_is_refused(void **state)
{
    struct rig *r = *state;
    const struct db_call calls[] = {{"SELECT 1", DB_NO_PARAMS},
                                    {"COPY public.t FROM STDIN", DB_NO_PARAMS}};

    good(r, "CREATE TABLE public.t AS SELECT generate_series(1, 200000) AS a");
    bad(r, "COPY public.t TO STDOUT", ERR_SQL, "0A000");
    bad(r, "COPY public.t FROM STDIN", ERR_SQL, "0A000");
    assert_string_equal(value(r, "SELECT count(*) FROM public.t"), "200000");
    assert_false(db_pipeline(r->db, &r->a, calls, 2, NULL, NULL, &r->err));
    assert_int_equal(r->err.kind, ERR_CONNECTION_LOST);
    assert_true(db_reconnect(r->db, &r->err));
    assert_string_equal(value(r, "SELECT count(*) FROM public.t"), "200000");
}

/* ---- deadline and interrupt ------------------------------------------------------------------ */

static long sleepers(struct rig *r)
{
    return pgtest_count(r->conninfo, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                                     "AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid() "
                                     "AND datname = current_database()");
}

static void test_deadline_cancels_on_the_server(void **state)
{
    struct rig *r = *state;
    int64_t start = clock_mono_ms(r->clock);
    const struct db_call calls[] = {{"BEGIN", DB_NO_PARAMS},
                                    {"SELECT pg_catalog.pg_sleep(30)", DB_NO_PARAMS},
                                    {"COMMIT", DB_NO_PARAMS}};
    int done = -1;

    db_set_deadline_ms(r->db, 300);
    bad(r, "SELECT pg_catalog.pg_sleep(30)", ERR_SQL, "57014");
    has(&r->err.message, "took longer than 0.3 s");
    assert_int_equal(sleepers(r), 0);
    assert_string_equal(value(r, "SELECT 1"), "1");
    assert_false(db_pipeline(r->db, NULL, calls, 3, NULL, &done, &r->err));
    assert_string_equal(r->err.sqlstate, "57014");
    assert_int_equal(done, 1);
    assert_int_equal(sleepers(r), 0);
    good(r, "ROLLBACK");
    assert_true(clock_mono_ms(r->clock) - start < 5000);
    /* The server's own limit is not ours to explain. */
    db_set_deadline_ms(r->db, 0);
    good(r, "SET statement_timeout = 50");
    bad(r, "SELECT pg_catalog.pg_sleep(30)", ERR_SQL, "57014");
    has(&r->err.message, "statement timeout");
}

/* A cancel that comes when the statement has just ended must never hit the next one. */
static void test_late_cancel_hits_nothing(void **state)
{
    struct rig *r = *state;
    int n_late = 0;

    for (int i = 0; i < 60; i++) {
        db_set_deadline_ms(r->db, 1 + i % 6);
        if (!db_exec(r->db, "SELECT pg_catalog.pg_sleep(0.005)", NULL, &r->err)) {
            assert_string_equal(r->err.sqlstate, "57014");
            n_late++;
        }
        db_set_deadline_ms(r->db, 0);
        assert_string_equal(value(r, "SELECT 'next'"), "next");
    }
    assert_true(n_late > 0);
}

static void test_interrupt(void **state)
{
    struct rig *r = *state;
    struct later one = {r, 1, SIGTERM, NULL};
    pthread_t thread;

    pthread_create(&thread, NULL, act_later, &one);
    good(r, "SELECT pg_catalog.pg_sleep(0.6)"); /* the first signal is for the engine */
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, act_later, &one);
    bad(r, "SELECT pg_catalog.pg_sleep(30)", ERR_INTERRUPTED, "57014");
    pthread_join(thread, NULL);
    assert_int_equal(err_exit_code(&r->err), 143);
    assert_int_equal(sleepers(r), 0);
    good(r, "SELECT pg_catalog.pg_sleep(0.1)"); /* the rollback must get through */
}

/* ---- sessions that end ----------------------------------------------------------------------- */

static void test_session_ends_while_idle(void **state)
{
    struct rig *r = *state;
    int first = db_backend_pid(r->db);

    assert_true(db_is_usable(r->db));
    pgtest_exec(r->conninfo, arena_printf(&r->a, "SELECT pg_terminate_backend(%d, 5000)", first));
    assert_false(db_is_usable(r->db));
    assert_false(db_exec(r->db, "SELECT 1", NULL, &r->err));
    assert_int_equal(r->err.kind, ERR_CONNECTION_LOST);
    assert_true(db_reconnect(r->db, &r->err));
    assert_true(db_is_usable(r->db));
    assert_int_not_equal(db_backend_pid(r->db), first);
    assert_string_equal(value(r, "SHOW lock_timeout"), "1s");
    assert_string_equal(value(r, "SHOW application_name"), "phasegate/test/first");
}

static void test_session_ends_while_running(void **state)
{
    struct rig *r = *state;
    struct later l = {
        r, 0, 0, arena_printf(&r->a, "SELECT pg_terminate_backend(%d)", db_backend_pid(r->db))};
    const struct db_call calls[] = {{"BEGIN", DB_NO_PARAMS},
                                    {"SELECT pg_catalog.pg_sleep(30)", DB_NO_PARAMS},
                                    {"COMMIT", DB_NO_PARAMS}};
    pthread_t thread;
    int done = -1;

    pthread_create(&thread, NULL, act_later, &l);
    bad(r, "SELECT pg_catalog.pg_sleep(30)", ERR_CONNECTION_LOST, "57P01");
    pthread_join(thread, NULL);
    assert_false(db_is_usable(r->db));
    assert_true(db_reconnect(r->db, &r->err));
    l.sql = arena_printf(&r->a, "SELECT pg_terminate_backend(%d)", db_backend_pid(r->db));
    pthread_create(&thread, NULL, act_later, &l);
    assert_false(db_pipeline(r->db, NULL, calls, 3, NULL, &done, &r->err));
    pthread_join(thread, NULL);
    assert_int_equal(r->err.kind, ERR_CONNECTION_LOST);
    assert_int_equal(done, 1);
    assert_false(db_is_usable(r->db));
    assert_true(db_reconnect(r->db, &r->err));
}

static void test_idle_in_transaction(void **state)
{
    struct rig *r = *state;

    good(r, "SET idle_in_transaction_session_timeout = 100");
    good(r, "BEGIN");
    usleep(500 * 1000);
    assert_false(db_exec(r->db, "COMMIT", NULL, &r->err));
    assert_int_equal(r->err.kind, ERR_CONNECTION_LOST);
    assert_false(db_is_usable(r->db));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rows),
        TEST(test_affected),
        TEST(test_large_values),
        TEST(test_hardened),
        TEST(test_read_only),
        TEST(test_empty_url_is_the_environment),
        TEST(test_label),
        TEST(test_errors),
        TEST(test_long_errors),
        TEST(test_outputs_stay_on_failure),
        TEST(test_commit_that_rolls_back),
        TEST(test_lock_timeout),
        TEST(test_copy_is_refused),
        TEST(test_deadline_cancels_on_the_server),
        TEST(test_late_cancel_hits_nothing),
        TEST(test_interrupt),
        TEST(test_session_ends_while_idle),
        TEST(test_session_ends_while_running),
        TEST(test_idle_in_transaction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
