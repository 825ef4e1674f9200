/* The shadow: databases, sessions, pipelines, on a server of its own. */
#include "shadow_rig.h"

#include <time.h>

/* ---- databases --------------------------------------------------------------------------------- */

static void test_a_database_is_copied(void **state)
{
    (void) state;
    const char *one = rig_database(NULL);
    struct wire *w = rig_open(&(struct wire_options) {.database = one});

    rig_ok(w, "CREATE TABLE t (id int PRIMARY KEY)");
    wire_close(w);
    const char *two = rig_database(one);
    w = rig_open(&(struct wire_options) {.database = two});
    rig_ok(w, "ALTER TABLE t ADD COLUMN x text");
    rig_ok(w, "CREATE SCHEMA s CREATE TABLE u (id int)");
    wire_close(w);
    w = rig_open(&(struct wire_options) {.database = one});
    rig_fails(w, "42703", "SELECT x FROM t");
    wire_close(w);
    GOOD(shadow_drop(rig.shadow, two, &err));
    AUTO(err) why = {0};
    assert_false(wire_open(rig.shadow, &(struct wire_options) {.database = two}, &w, &why));
    assert_int_equal(why.kind, ERR_BUG);
}

static void test_the_server_is_one_of_ours(void **state)
{
    (void) state;
    struct wire *w =
        rig_open(&(struct wire_options) {.database = rig_database(NULL), .superuser = true});

    assert_true(shadow_server_version(rig.shadow) >= 140000);
    assert_string_equal(rig_value(w, "SHOW fsync"), "off");
    assert_string_equal(rig_value(w, "SHOW listen_addresses"), "");
    assert_string_equal(rig_value(w, "SHOW server_encoding"), "UTF8");
    assert_string_equal(rig_value(w, "SELECT upper('\xc3\xa4')"), "\xc3\x84");
    assert_string_equal(rig_value(w, "SHOW is_superuser"), "on");
    wire_close(w);
}

/* ---- sessions ---------------------------------------------------------------------------------- */

static void test_a_session_is_as_asked(void **state)
{
    (void) state;
    struct wire *w = rig_open(&(struct wire_options) {.database = rig_database(NULL),
                                                      .role = "app",
                                                      .search_path = "\"my schema\", public",
                                                      .time_zone = "Europe/Berlin",
                                                      .statement_ms = 1234,
                                                      .label = "a label"});

    assert_string_equal(rig_value(w, "SELECT session_user || ' ' || current_user"), "app app");
    assert_string_equal(rig_value(w, "SHOW search_path"), "\"my schema\", public");
    assert_string_equal(rig_value(w, "SHOW TimeZone"), "Europe/Berlin");
    assert_string_equal(rig_value(w, "SHOW statement_timeout"), "1234ms");
    assert_string_equal(rig_value(w, "SHOW application_name"), "a label");
    rig_ok(w, "SET search_path = x");
    rig_ok(w, "DISCARD ALL");
    assert_string_equal(rig_value(w, "SHOW search_path"), "\"my schema\", public");
    assert_int_equal(strtol(rig_value(w, "SELECT pg_backend_pid()"), NULL, 10), wire_pid(w));
    wire_close(w);
}

static void test_a_bad_setting_is_an_input_error(void **state)
{
    (void) state;
    const char *name = rig_database(NULL);
    struct wire *w = NULL;
    AUTO(err) why = {0};

    assert_false(wire_open(
        rig.shadow, &(struct wire_options) {.database = name, .time_zone = "Mars/Base"}, &w, &why));
    assert_int_equal(why.kind, ERR_INPUT);
    assert_non_null(strstr(str_text(&why.detail), "Mars/Base"));
}

/* ---- pipelines --------------------------------------------------------------------------------- */

static struct wire_result run_one(struct wire *w, struct wire_op op)
{
    struct wire_result r;

    op.sync = true;
    GOOD(wire_run(w, &rig.arena, &op, 1, &r, &err));
    return r;
}

static void test_types_are_described(void **state)
{
    (void) state;
    struct wire *w = rig_open(&(struct wire_options) {.database = rig_database(NULL)});
    const unsigned types[] = {20};
    const struct wire_op ops[] = {
        {.kind = WIRE_PREPARE, .name = "a", .sql = "SELECT id, v FROM t WHERE id = $1 AND v = $2"},
        {.kind = WIRE_DESCRIBE, .name = "a", .sync = true},
        {.kind = WIRE_PREPARE, .name = "b", .sql = "SELECT $1", .types = types, .n_types = 1},
        {.kind = WIRE_DESCRIBE, .name = "b", .sync = true},
        {.kind = WIRE_PREPARE, .name = "c", .sql = "DELETE FROM t"},
        {.kind = WIRE_DESCRIBE, .name = "c", .sync = true},
    };
    struct wire_result r[6];

    rig_ok(w, "CREATE TABLE t (id int, v varchar(7))");
    GOOD(wire_run(w, &rig.arena, ops, 6, r, &err));
    for (int i = 0; i < 6; i++)
        assert_true(r[i].ok);
    assert_int_equal(r[1].n_params, 2);
    assert_int_equal(r[1].param_types[0], 23);
    assert_int_equal(r[1].param_types[1], 25); /* = of varchar is text's */
    assert_int_equal(r[1].n_columns, 2);
    assert_string_equal(r[1].columns[0].name, "id");
    assert_int_equal(r[1].columns[0].typmod, -1);
    assert_int_equal(r[1].columns[1].type, 1043);
    assert_int_equal(r[1].columns[1].typmod, 11);
    assert_int_equal(r[3].param_types[0], 20);
    assert_int_equal(r[5].n_columns, 0);
    wire_close(w);
}

static void test_rows_and_nulls(void **state)
{
    (void) state;
    struct wire *w = rig_open(&(struct wire_options) {.database = rig_database(NULL)});
    const char *args[] = {"7", NULL};
    struct wire_result r =
        run_one(w, (struct wire_op) {.kind = WIRE_RUN,
                                     .sql = "SELECT $1::int AS a, $2::text AS b FROM "
                                            "generate_series(1, 5)",
                                     .args = args,
                                     .n_args = 2,
                                     .keep_rows = true});

    assert_true(r.ok);
    assert_int_equal(r.n_rows, 5);
    assert_int_equal(r.n_columns, 2);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(r.cell[i][0], "7");
        assert_null(r.cell[i][1]);
    }
    r = run_one(w, (struct wire_op) {.kind = WIRE_RUN, .sql = "SELECT generate_series(1, 70000)"});
    assert_int_equal(r.n_rows, 70000);
    assert_null(r.cell);
    rig_ok(w, "CREATE TABLE t AS SELECT generate_series(1, 9) AS id");
    r = run_one(w, (struct wire_op) {.kind = WIRE_RUN, .sql = "UPDATE t SET id = 0"});
    assert_true(r.ok);
    assert_int_equal(r.n_rows, 0);
    assert_int_equal(r.affected, 9);
    r = run_one(w, (struct wire_op) {.kind = WIRE_RUN, .sql = "  -- nothing"});
    assert_true(r.ok);
    wire_close(w);
}

static void test_an_error_says_all(void **state)
{
    (void) state;
    struct wire *w = rig_open(&(struct wire_options) {.database = rig_database(NULL)});
    struct wire_result r;

    r = run_one(w,
                (struct wire_op) {.kind = WIRE_PREPARE, .name = "", .sql = "SELECT a, b FROM c"});
    assert_false(r.ok);
    assert_string_equal(r.sqlstate, "42P01");
    assert_string_equal(r.message, "relation \"c\" does not exist");
    assert_int_equal(r.position, 18);
    r = run_one(w, (struct wire_op) {.kind = WIRE_RUN,
                                     .sql = "DO $$BEGIN RAISE EXCEPTION 'm' USING DETAIL = 'd', "
                                            "HINT = 'h', ERRCODE = 'PG001'; END$$"});
    assert_string_equal(r.sqlstate, "PG001");
    assert_string_equal(r.detail, "d");
    assert_string_equal(r.hint, "h");
    assert_non_null(strstr(r.context, "PL/pgSQL"));
    wire_close(w);
}

static void test_a_failure_stays_in_its_job(void **state)
{
    (void) state;
    struct wire *w = rig_open(&(struct wire_options) {.database = rig_database(NULL)});
    const struct wire_op ops[] = {
        {.kind = WIRE_RUN, .sql = "INSERT INTO t VALUES (1)"},
        {.kind = WIRE_RUN, .sql = "SELECT 1/0"},
        {.kind = WIRE_RUN, .sql = "INSERT INTO t VALUES (2)", .sync = true},
        {.kind = WIRE_RUN, .sql = "INSERT INTO t VALUES (3)", .sync = true},
        {.kind = WIRE_RUN, .sql = "INSERT INTO t VALUES (4)"},
        {.kind = WIRE_RUN, .sql = "INSERT INTO d VALUES (1)"}, /* fails with the commit */
        {.kind = WIRE_RUN, .sql = "SELECT string_agg(id::text, ' ') FROM t", .keep_rows = true},
    };
    struct wire_result r[7];

    rig_ok(w, "CREATE TABLE t (id int PRIMARY KEY);"
              "CREATE TABLE d (id int REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED);"
              "ALTER TABLE d ALTER CONSTRAINT d_id_fkey DEFERRABLE INITIALLY DEFERRED");
    struct wire_op with[7];
    memcpy(with, ops, sizeof ops);
    with[5].sync = true;
    with[6].sync = true;
    GOOD(wire_run(w, &rig.arena, with, 7, r, &err));
    assert_true(r[0].ok);
    assert_string_equal(r[1].sqlstate, "22012");
    assert_true(r[2].skipped && !r[2].ok);
    assert_true(r[3].ok);
    assert_true(r[4].ok);
    assert_string_equal(r[5].sqlstate, "23503");
    assert_string_equal(r[6].cell[0][0], "3");
    wire_close(w);
}

static void test_copy_is_refused(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "COPY t FROM STDIN",
        "/* a /* b */ */ -- c\n ;; cOpY t TO STDOUT",
        "copy(SELECT 1) TO STDOUT",
        "COPY t FROM PROGRAM 'true'",
        "COPY t TO '/tmp/phasegate-shadow-copy'",
    };
    struct wire *w = rig_open(&(struct wire_options) {.database = rig_database(NULL)});

    rig_ok(w, "CREATE TABLE t (id int)");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct wire_op ops[] = {
            {.kind = WIRE_RUN, .sql = "INSERT INTO t VALUES (1)"},
            {.kind = WIRE_RUN, .sql = texts[i]},
            {.kind = WIRE_RUN, .sql = "INSERT INTO t VALUES (2)", .sync = true},
            {.kind = WIRE_PREPARE, .name = "", .sql = texts[i], .sync = true},
            {.kind = WIRE_RUN, .sql = "SELECT count(*) FROM t", .keep_rows = true, .sync = true},
        };
        struct wire_result r[5];

        GOOD(wire_run(w, &rig.arena, ops, 5, r, &err));
        assert_string_equal(r[1].sqlstate, "0A000");
        assert_true(r[2].skipped);
        assert_string_equal(r[3].sqlstate, "0A000");
        assert_true(r[4].ok);
        assert_string_equal(r[4].cell[0][0], "0");
        rig_fails(w, "0A000", texts[i]);
    }
    rig_fails(w, "0A000", "SELECT 1; COPY t FROM STDIN");
    rig_fails(w, "0A000", "SELECT 1; COPY (SELECT generate_series(1, 100000)) TO STDOUT");
    assert_string_equal(rig_value(w, "SELECT count(*) FROM t"), "0");
    rig_ok(w, "CREATE TABLE copying (id int)");
    assert_true(run_one(w, (struct wire_op) {.kind = WIRE_RUN, .sql = "TABLE copying"}).ok);
    wire_close(w);
}

enum { MANY = 20000 };

/* Errors, rows in both directions and long texts, each in its own place. */
static void test_many_ops(void **state)
{
    (void) state;
    struct wire *w = rig_open(&(struct wire_options) {.database = rig_database(NULL)});
    struct wire_op *ops = calloc(MANY, sizeof *ops);
    struct wire_result *r = calloc(MANY, sizeof *r);
    char *large = malloc(100001);
    const char *one[] = {large};

    memset(large, 'x', 100000);
    large[100000] = '\0';
    rig_ok(w, "CREATE TABLE t (id int PRIMARY KEY, v text)");
    for (int i = 0; i < MANY; i++) {
        static const struct wire_op kinds[] = {
            {.kind = WIRE_PREPARE, .name = "", .sql = "SELECT v FROM t WHERE id = $1"},
            {.kind = WIRE_DESCRIBE, .name = "", .sync = true},
            {.kind = WIRE_RUN, .sql = "SELECT nothing", .sync = true},
            {.kind = WIRE_RUN, .sql = "SELECT repeat('y', 20000)", .keep_rows = true, .sync = true},
            {.kind = WIRE_RUN, .sql = "SELECT length($1)", .n_args = 1, .keep_rows = true},
            {.kind = WIRE_RUN, .sql = "SELECT 1/0"},
            {.kind = WIRE_RUN, .sql = "SELECT 1", .sync = true},
        };
        ops[i] = kinds[i % 7];
        if (i % 7 == 4)
            ops[i].args = one;
    }
    ops[MANY - 1].sync = true;
    GOOD(wire_run(w, &rig.arena, ops, MANY, r, &err));
    for (int i = 0; i < MANY; i++) {
        static const char *const states[] = {"", "", "42703", "", "", "22012", ""};

        assert_string_equal(r[i].sqlstate, states[i % 7]);
        assert_int_equal(r[i].skipped, i % 7 == 6);
        if (i % 7 == 1)
            assert_int_equal(r[i].columns[0].type, 25);
        if (i % 7 == 3)
            assert_int_equal(strlen(r[i].cell[0][0]), 20000);
        if (i % 7 == 4)
            assert_string_equal(r[i].cell[0][0], "100000");
    }
    free(ops);
    free(r);
    free(large);
    wire_close(w);
}

/* ---- limits ------------------------------------------------------------------------------------ */

static void test_no_statement_runs_for_ever(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "SELECT pg_sleep(100)",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        "SELECT generate_series(1, 1000000000000)",
        "DO $$BEGIN LOOP END LOOP; END$$",
    };
    struct wire *w =
        rig_open(&(struct wire_options) {.database = rig_database(NULL), .statement_ms = 200});

    for (int is_off = 0; is_off < 2; is_off++) {
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            int64_t start = clock_mono_ms(rig.clock);
            struct wire_result r = run_one(w, (struct wire_op) {.kind = WIRE_RUN, .sql = texts[i]});

            assert_string_equal(r.sqlstate, "57014");
            rig_fails(w, "57014", texts[i]);
            assert_true(clock_mono_ms(rig.clock) - start < 5000);
        }
        /* Nor where it is told not to stop. */
        rig_ok(w, "SET statement_timeout = 0");
    }
    rig_ok(w, "SELECT 1");
    wire_close(w);
}

static void test_a_large_result_has_an_end(void **state)
{
    (void) state;
    struct wire *w =
        rig_open(&(struct wire_options) {.database = rig_database(NULL), .statement_ms = 60000});
    static const char sql[] = "SELECT repeat('x', 1000000) FROM generate_series(1, 200)";
    struct wire_result r =
        run_one(w, (struct wire_op) {.kind = WIRE_RUN, .sql = sql, .keep_rows = true});

    assert_string_equal(r.sqlstate, "54000");
    rig_fails(w, "54000", sql);
    r = run_one(w, (struct wire_op) {.kind = WIRE_RUN, .sql = sql});
    assert_int_equal(r.n_rows, 200);
    wire_close(w);
}

static void test_a_lost_session_is_told(void **state)
{
    (void) state;
    const char *name = rig_database(NULL);
    struct wire *w = rig_open(&(struct wire_options) {.database = name});
    struct wire_op ops[] = {
        {.kind = WIRE_RUN, .sql = "SELECT 1", .sync = true},
        {.kind = WIRE_RUN, .sql = "SELECT pg_terminate_backend(pg_backend_pid())", .sync = true},
        {.kind = WIRE_RUN, .sql = "SELECT 2", .sync = true},
    };
    struct wire_result r[3];
    AUTO(err) why = {0};

    assert_false(wire_run(w, &rig.arena, ops, 3, r, &why));
    assert_int_equal(why.kind, ERR_CONNECTION_LOST);
    assert_true(r[0].ok);
    assert_string_equal(r[1].sqlstate, "57P01");
    assert_true(r[2].skipped);
    assert_false(wire_run(w, &rig.arena, ops, 1, r, &why));
    assert_int_equal(why.kind, ERR_CONNECTION_LOST);
    assert_false(wire_exec(w, &rig.arena, "SELECT 1", false, r, &why));
    assert_int_equal(why.kind, ERR_CONNECTION_LOST);
    wire_close(w);
    w = rig_open(&(struct wire_options) {.database = name});
    rig_ok(w, "SELECT 1");
    assert_false(
        wire_exec(w, &rig.arena, "SELECT pg_terminate_backend(pg_backend_pid())", false, r, &why));
    assert_int_equal(why.kind, ERR_CONNECTION_LOST);
    wire_close(w);
}

/* ---- one statement, watched -------------------------------------------------------------------- */

static void test_a_statement_is_watched(void **state)
{
    (void) state;
    const char *name = rig_database(NULL);
    struct wire *w = rig_open(&(struct wire_options) {.database = name});
    struct wire *other = rig_open(&(struct wire_options) {.database = name, .superuser = true});
    struct wire_result r = {0};
    bool done = true;
    int looks = 0;

    rig_ok(w, "CREATE TABLE t AS SELECT generate_series(1, 10) AS id");
    GOOD(wire_send(w, "SELECT pg_sleep(0.3), id FROM t WHERE id = 1", &err));
    AUTO(err) busy = {0};
    assert_false(wire_send(w, "SELECT 1", &busy));
    assert_int_equal(busy.kind, ERR_BUG);
    GOOD(wire_poll(w, &rig.arena, 0, &done, &r, &err));
    assert_false(done);
    for (; !done && looks < 100; looks++) {
        if (looks == 1)
            assert_string_equal(rig_value(other, "SELECT mode FROM pg_locks WHERE relation = "
                                                 "'public.t'::regclass"),
                                "AccessShareLock");
        GOOD(wire_poll(w, &rig.arena, 20, &done, &r, &err));
    }
    assert_true(looks > 3);
    assert_true(r.ok);
    assert_string_equal(r.cell[0][1], "1");
    rig_ok(w, "CREATE INDEX CONCURRENTLY ON t (id)");
    wire_close(w);
    wire_close(other);
}

static void test_notices_are_kept(void **state)
{
    (void) state;
    struct wire *w =
        rig_open(&(struct wire_options) {.database = rig_database(NULL), .keep_notices = true});
    struct text_list said;
    bool found = false;

    rig_ok(w, "CREATE TABLE t (id int)");
    wire_notices(w, &rig.arena, &said);
    rig_ok(w, "ALTER TABLE t ALTER id TYPE bigint");
    wire_notices(w, &rig.arena, &said);
    for (int i = 0; i < said.n; i++)
        found |= strcmp(said.items[i].s, "DEBUG: rewriting table \"t\"") == 0;
    assert_true(found);
    wire_notices(w, &rig.arena, &said);
    assert_int_equal(said.n, 0);
    rig_ok(w, "DO $$BEGIN FOR i IN 1..20000 LOOP RAISE NOTICE 'n %', i; END LOOP; END$$");
    wire_notices(w, &rig.arena, &said);
    assert_int_equal(said.n, 10000);
    assert_string_equal(said.items[9].s, "NOTICE: n 10");
    wire_close(w);
}

/* ---- what is missing --------------------------------------------------------------------------- */

static void test_without_programs(void **state)
{
    (void) state;
    struct shadow *s = NULL;
    AUTO(err) why = {0};
    struct shadow_options o = {.bin_dir = "/nonexistent", .clock = rig.clock};

    assert_false(shadow_begin(&o, &s, &why));
    assert_int_equal(why.kind, ERR_UNREACHABLE);
    assert_non_null(strstr(str_text(&why.hint), "apt install postgresql"));
    assert_non_null(strstr(str_text(&why.hint), "--shadow URL"));
    o = (struct shadow_options) {.url = "postgresql://u:se:cret@h:x/y?z", .clock = rig.clock};
    assert_false(shadow_begin(&o, &s, &why));
    assert_int_equal(why.kind, ERR_CONFIG);
    assert_null(strstr(str_text(&why.message), "cret"));
    assert_int_equal(why.detail.len, 0);
}

static void test_ended_at_once(void **state)
{
    (void) state;
    struct interrupt interrupt = {0};
    struct shadow *s = NULL;
    AUTO(err) why = {0};

    GOOD(shadow_begin(&(struct shadow_options) {.clock = rig.clock}, &s, &err));
    shadow_end(s);
    shadow_end(NULL);
    GOOD(shadow_begin(&(struct shadow_options) {.clock = rig.clock, .interrupt = &interrupt}, &s,
                      &err));
    interrupt.count = 1;
    interrupt.signal = 2;
    assert_false(shadow_ready(s, &why));
    assert_int_equal(why.kind, ERR_INTERRUPTED);
    shadow_end(s);
}

static int begin(void **state)
{
    (void) state;
    return rig_begin_with(&(struct shadow_options) {0});
}

#define TEST(name) cmocka_unit_test_teardown(test_##name, rig_free_texts)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_database_is_copied),
        TEST(the_server_is_one_of_ours),
        TEST(a_session_is_as_asked),
        TEST(a_bad_setting_is_an_input_error),
        TEST(types_are_described),
        TEST(rows_and_nulls),
        TEST(an_error_says_all),
        TEST(a_failure_stays_in_its_job),
        TEST(copy_is_refused),
        TEST(many_ops),
        TEST(no_statement_runs_for_ever),
        TEST(a_large_result_has_an_end),
        TEST(a_lost_session_is_told),
        TEST(a_statement_is_watched),
        TEST(notices_are_kept),
        TEST(without_programs),
        TEST(ended_at_once),
    };

    return cmocka_run_group_tests(tests, begin, rig_end);
}
