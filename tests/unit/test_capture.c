#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "phasegate/capture.h"
#include "table.h"

#include <string.h>

struct rig {
    struct arena arena;
    struct problem_list problems;
    struct statements existing;
    struct capture c;
    struct str file;
};

static void rig_auto(struct rig *r)
{
    arena_free(&r->arena);
    problem_list_free(&r->problems);
    str_free(&r->file);
}

static void begin(struct rig *r, enum param_style style, const char *existing, bool with_values)
{
    assert_true(statements_parse(&r->arena, "s.sql", existing, strlen(existing), style,
                                 &r->existing, &r->problems));
    capture_begin(&r->c, &r->arena, style, "log", with_values);
    capture_existing(&r->c, &r->existing);
}

static void see(struct rig *r, const char *sql, bool is_normalised)
{
    capture_add(&r->c,
                &(struct capture_seen) {.sql = sql, .is_normalised = is_normalised, .calls = 1});
}

static int n_new(const struct capture *c)
{
    int n = 0;

    for (int i = 0; i < c->n; i++)
        n += captured_is_new(&c->items[i]);
    return n;
}

static void test_texts(void **state)
{
    static const struct {
        const char *seen, *text, *name; /* text NULL: left out; name without its hash */
        enum capture_skip why;
        bool is_normalised;
    } rows[] = {
        {"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = $1", "SelectT", 0, false},
        {"/* by 'bob' */ SELECT a -- 5\n FROM t ;; ", "SELECT a \n FROM t", "SelectT", 0, false},
        {"SELECT a FROM order_lines WHERE b = $1 AND c = 'x'",
         "SELECT a FROM order_lines WHERE b = $1 AND c = $2", "SelectOrderLines", 0, false},
        {"UPDATE app.\"My Orders\" SET a = 1 FROM u", "UPDATE app.\"My Orders\" SET a = $1 FROM u",
         "UpdateMyOrdersU", 0, false},
        {"WITH d AS (DELETE FROM z RETURNING *) SELECT 1 FROM a, d",
         "WITH d AS (DELETE FROM z RETURNING *) SELECT $1 FROM a, d", "SelectZA", 0, false},
        {"INSERT INTO t VALUES (1, E'a\\'b', $x$ y $x$, true, -2.5e-3, B'01')",
         "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6)", "InsertT", 0, false},
        {"SELECT place_order(1)", "SELECT place_order($1)", "SelectPlaceOrder", 0, false},
        {"CALL app.pay(1, 'x')", "CALL app.pay($1, $2)", "CallPay", 0, false},
        {"SELECT a FROM t WHERE b > now() - interval $1 AND d = date $2",
         "SELECT a FROM t WHERE b > now() - $1::interval AND d = $2::date", "SelectT", 0, true},
        {"SELECT extract($1 from b), EXTRACT ( $2  FROM c ) FROM t",
         "SELECT pg_catalog.extract($1, b), pg_catalog.EXTRACT ( $2, c ) FROM t", "SelectT", 0,
         true},
        {"SELECT a FROM t WHERE d = date '2020-01-01' AND x = 'y'::text",
         "SELECT a FROM t WHERE d = $1::date AND x = $2::text", "SelectT", 0, false},
        {"SELECT NEWER SYNTAX FROM t(", "SELECT NEWER SYNTAX FROM t(", NULL,
         CAPTURE_SKIP_UNREADABLE, false},
        {"SELECT JSON_SCALAR(1 FORMAT) FROM t", "SELECT JSON_SCALAR(1 FORMAT) FROM t", "Statement",
         0, true},
        {"SELECT a FROM", NULL, NULL, CAPTURE_SKIP_UNREADABLE, true},
        {"SELECT 'cut off", NULL, NULL, CAPTURE_SKIP_UNREADABLE, true},
        {"SELECT 'cut off", NULL, NULL, CAPTURE_SKIP_UNREADABLE, false},
        {"SELECT 1; SELECT 2", NULL, NULL, CAPTURE_SKIP_SEVERAL, false},
        {"DECLARE c CURSOR FOR SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = $1",
         "SelectT", 0, false},
        {"declare \"for\" no scroll cursor with hold for\nSELECT a FROM t FOR UPDATE",
         "SELECT a FROM t FOR UPDATE", "SelectT", 0, false},
        {"DECLARE cursor CURSOR FOR SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = $1",
         "SelectT", 0, true},
        {"PREPARE p AS UPDATE t SET a = $1 WHERE b = 2", "UPDATE t SET a = $1 WHERE b = $2",
         "UpdateT", 0, true},
        {"PREPARE as (int, varchar(3)) AS SELECT a AS b FROM t WHERE b = $1",
         "SELECT a AS b FROM t WHERE b = $1", "SelectT", 0, false},
        {"PREPARE TRANSACTION 'x'", NULL, NULL, CAPTURE_SKIP_UTILITY, false},
        {"DECLARE c CURSOR FOR SELECT 1", NULL, NULL, CAPTURE_SKIP_NO_TABLE, false},
        {"FETCH 10 FROM c", NULL, NULL, CAPTURE_SKIP_UTILITY, false},
        {"BEGIN", NULL, NULL, CAPTURE_SKIP_UTILITY, false},
        {"-- nothing", NULL, NULL, CAPTURE_SKIP_UTILITY, false},
        {"SET a = 1", NULL, NULL, CAPTURE_SKIP_UTILITY, false},
        {"ALTER ROLE x PASSWORD 'secret'", NULL, NULL, CAPTURE_SKIP_UTILITY, false},
        {"SELECT 1", NULL, NULL, CAPTURE_SKIP_NO_TABLE, false},
        {"SELECT pg_advisory_lock(1)", NULL, NULL, CAPTURE_SKIP_NO_TABLE, false},
        {"SELECT relname FROM pg_class", NULL, NULL, CAPTURE_SKIP_CATALOGUE, false},
        {"SELECT x FROM information_schema.tables", NULL, NULL, CAPTURE_SKIP_CATALOGUE, false},
        {"SELECT a FROM t JOIN pg_class ON true", "SELECT a FROM t JOIN pg_class ON $1",
         "SelectTPgClass", 0, false},
        {"INSERT INTO phasegate.plan_state VALUES (1)", NULL, NULL, CAPTURE_SKIP_OWN, false},
        {"SELECT pg_catalog.count(*) FROM t", NULL, NULL, CAPTURE_SKIP_OWN, false},
        {"SELECT a FROM t WHERE a OPERATOR(pg_catalog.=) 1", NULL, NULL, CAPTURE_SKIP_OWN, false},
        {"SELECT '\xff' FROM t", NULL, NULL, CAPTURE_SKIP_NOT_TEXT, true},
    };
    (void) state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(rig) r = {0};
        bool wanted = rows[i].text && rows[i].name;

        begin(&r, PARAMS_DOLLAR, "", false);
        see(&r, rows[i].seen, rows[i].is_normalised);
        capture_end(&r.c);
        assert_int_equal(r.c.seen, 1);
        CHECK(n_new(&r.c) == wanted, "%s: %d new", rows[i].seen, n_new(&r.c));
        if (!wanted) {
            CHECK(r.c.skipped[rows[i].why] == 1, "%s", rows[i].seen);
            continue;
        }
        CHECK(strcmp(r.c.items[0].text, rows[i].text) == 0, "%s\n%s", rows[i].seen,
              r.c.items[0].text);
        size_t n = strlen(rows[i].name);
        CHECK(strncmp(r.c.items[0].name, rows[i].name, n) == 0 && r.c.items[0].name[n] == '_' &&
                  strlen(r.c.items[0].name) == n + 9,
              "%s: %s", rows[i].seen, r.c.items[0].name);
    }
}

/* Pairs of texts: one statement, or two? */
static void test_what_is_one_statement(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"SELECT a FROM t WHERE b = 1", "SELECT  a\nFROM t -- x\nWHERE b = 2", true},
        {"SELECT a FROM t WHERE b IN (1, 2)", "SELECT a FROM t WHERE b IN (1,2,3)", true},
        {"SELECT a FROM t WHERE b IN (1, 2) AND c = 3", "SELECT a FROM t WHERE b IN (1) AND c = 2",
         true},
        {"SELECT a FROM t WHERE b IN (1, c)", "SELECT a FROM t WHERE b IN (1, 2)", false},
        {"INSERT INTO t (a, b) VALUES (1, 'x')",
         "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y') , (3, lower('z'))", true},
        {"INSERT INTO t (a) VALUES (1) RETURNING a", "INSERT INTO t (a) VALUES (1), (2)", false},
        {"SELECT a FROM t WHERE b = $1 AND c = $2", "SELECT a FROM t WHERE b = $2 AND c = $1",
         true},
        {"SELECT a FROM t WHERE b = $1 AND c = $2", "SELECT a FROM t WHERE b = $1 AND c = $1",
         false},
        {"SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = \"x\"", false},
        {"SELECT a FROM t", "select A From T", true},
        {"SELECT a FROM t", "SELECT \"A\" FROM t", false},
        {"SELECT a b FROM t", "SELECT ab FROM t", false},
    };
    (void) state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(rig) r = {0};

        begin(&r, PARAMS_DOLLAR, "", false);
        see(&r, rows[i].a, false);
        see(&r, rows[i].b, false);
        capture_end(&r.c);
        CHECK(r.c.n == (rows[i].same ? 1 : 2), "%s\n%s: %d", rows[i].a, rows[i].b, r.c.n);
    }
}

static const char *const file = "-- Kept as it is.\n"
                                "-- name: GetOrder\n"
                                "-- when: f=on\n"
                                "SELECT a FROM orders WHERE id = $1;\n"
                                "\n"
                                "-- name: SelectGone_00000000\n"
                                "-- captured: log\n"
                                "SELECT 1 FROM gone;\n"
                                "-- name: SelectOther_00000000\n"
                                "-- captured: pg_stat_statements\n"
                                "SELECT 1 FROM other;";

static void test_merging(void **state)
{
    AUTO(rig) r = {0};
    AUTO(rig) again = {0};
    AUTO(str) unchanged = {0};
    (void) state;

    begin(&r, PARAMS_DOLLAR, file, false);
    see(&r, "SELECT a FROM orders WHERE id = 7", false);
    see(&r, "SELECT b FROM orders WHERE id = 7", false);
    see(&r, "SELECT b FROM orders WHERE id = 8", false);
    capture_end(&r.c);
    assert_int_equal(n_new(&r.c), 1);
    assert_int_equal(r.c.n_vanished, 1);
    assert_string_equal(r.c.vanished[0]->name, "SelectGone_00000000");
    capture_render(&r.c, "1.0.0", file, &r.file);
    assert_int_equal(strncmp(str_text(&r.file), file, strlen(file)), 0);
    assert_non_null(strstr(str_text(&r.file), "FROM other;\n\n-- name: SelectOrders_"));
    assert_non_null(
        strstr(str_text(&r.file), "\n-- captured: log\nSELECT b FROM orders WHERE id = $1;\n"));

    /* Once more, over its own work: nothing is new. The statement edited by hand is known by its name. */
    AUTO(str) edited = {0};
    const char *at = strstr(str_text(&r.file), "SELECT b FROM");
    str_addn(&edited, str_text(&r.file), (size_t) (at - str_text(&r.file)));
    str_add(&edited, "SELECT bb FROM orders WHERE id = $1;\n");
    for (int pass = 0; pass < 2; pass++) {
        AUTO(rig) second = {0};

        begin(&second, PARAMS_DOLLAR, pass ? str_text(&edited) : str_text(&r.file), false);
        see(&second, "SELECT b FROM orders WHERE id = $1", true);
        capture_end(&second.c);
        CHECK(n_new(&second.c) == 0, "pass %d", pass);
        assert_int_equal(second.c.n_vanished, 1);
    }
}

/* Keywords and bare names mean the same in any letters; what is quoted doesn't. */
static void test_letters(void **state)
{
    AUTO(rig) r = {0};
    (void) state;

    begin(&r, PARAMS_DOLLAR,
          "-- name: B\nselect b from Orders where \"Id\" = $1 and c in ($2, $3) and d = 'X';\n",
          false);
    see(&r, "SELECT B FROM orders WHERE \"Id\" = $1 AND c IN ($2) AND d = 'X'", true);
    see(&r, "Select b From ORDERS Where \"Id\" = $1 And C In ($2, $3) And D = 'X'", true);
    capture_end(&r.c);
    assert_int_equal(n_new(&r.c), 0);
    see(&r, "SELECT b FROM orders WHERE \"id\" = $1 AND c IN ($2) AND d = 'X'", true);
    see(&r, "SELECT b FROM orders WHERE \"Id\" = $1 AND c IN ($2) AND d = 'x'", true);
    capture_end(&r.c);
    assert_int_equal(n_new(&r.c), 2);
}

static void test_no_file_yet(void **state)
{
    AUTO(rig) r = {0};
    (void) state;

    begin(&r, PARAMS_DOLLAR, "", false);
    see(&r, "SELECT b FROM b", true);
    see(&r, "SELECT a FROM a", true);
    r.c.items[0].types = "int4, app.\"x,y\"";
    capture_end(&r.c);
    assert_null(r.c.items[0].types); /* of a statement without parameters: not written */
    capture_render(&r.c, "1.0.0", NULL, &r.file);
    const char *a = strstr(str_text(&r.file), "SelectA_"),
               *b = strstr(str_text(&r.file), "SelectB_");
    assert_true(a && b && a < b);
    assert_true(statements_parse(&r.arena, "n.sql", str_text(&r.file), r.file.len, PARAMS_DOLLAR,
                                 &r.existing, &r.problems));
}

static void test_styles(void **state)
{
    static const struct {
        enum param_style style;
        const char *sql, *text; /* NULL: can't be written */
    } rows[] = {
        {PARAMS_COLON, "SELECT a::int FROM t WHERE b = $2 AND c = $1",
         "SELECT a::int FROM t WHERE b = :p2 AND c = :p1"},
        {PARAMS_COLON, "SELECT a[b:c], x[1 :d] FROM t", NULL},
        {PARAMS_QUESTION, "SELECT a FROM t WHERE b = $1 AND j ? $2 AND '?' = $3",
         "SELECT a FROM t WHERE b = ? AND j ?? ? AND '?' = ?"},
        {PARAMS_QUESTION, "SELECT a FROM t WHERE j ?| $1", "SELECT a FROM t WHERE j ??| ?"},
        {PARAMS_QUESTION, "SELECT a FROM t WHERE b = $2 AND c = $1", NULL},
        {PARAMS_QUESTION, "SELECT a FROM t WHERE b = $1 AND c = $1", NULL},
        {PARAMS_PERCENT, "SELECT a % 7, \"x%\" FROM t WHERE b = $1",
         "SELECT a %% 7, \"x%%\" FROM t WHERE b = %(p1)s"},
    };
    (void) state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(rig) r = {0};

        begin(&r, rows[i].style, "", false);
        see(&r, rows[i].sql, true);
        capture_end(&r.c);
        CHECK(n_new(&r.c) == (rows[i].text != NULL), "%s", rows[i].sql);
        CHECK(r.c.skipped[CAPTURE_SKIP_STYLE] == !rows[i].text, "%s", rows[i].sql);
        if (rows[i].text)
            CHECK(strcmp(r.c.items[0].text, rows[i].text) == 0, "%s\n%s", rows[i].sql,
                  r.c.items[0].text);
    }
}

/* ---- logs ------------------------------------------------------------------------------------------------ */

/* A line of a csvlog, of user app, with "" where the message has quotes. */
static void add_csv(struct str *out, const char *user, const char *label, const char *message,
                    const char *detail)
{
    const char *fields[] = {message, detail};

    str_addf(
        out,
        "2026-11-14 09:30:00.000 UTC,\"%s\",\"shop\",1,\"[local]\",1.1,1,\"SELECT\",2026-11-14 "
        "09:30:00 UTC,3/4,0,LOG,00000,",
        user);
    for (int i = 0; i < 2; i++) {
        str_addc(out, '"');
        for (const char *p = fields[i]; *p; p++)
            str_addf(out, *p == '"' ? "\"\"" : "%c", *p);
        str_add(out, "\",");
    }
    str_addf(out, ",,,,,,,\"%s\",\"client backend\",,0\n", label);
}

static bool read_log(struct rig *r, const struct capture_log_options *o, const char *text,
                     size_t piece)
{
    struct capture_log *l = capture_log_begin(&r->c, o);
    size_t n = strlen(text);

    for (size_t at = 0; at < n; at += piece)
        capture_log_feed(l, text + at, n - at < piece ? n - at : piece);
    return capture_log_end(l);
}

static void test_csvlog(void **state)
{
    AUTO(str) log = {0};
    (void) state;

    add_csv(&log, "app", "shop", "statement: SELECT a\nFROM t WHERE b = 'it''s \"x\"'", "");
    add_csv(&log, "app", "shop", "execute <unnamed>: SELECT c FROM t WHERE b = $1 AND d = $2",
            "parameters: $1 = 'x, $2 = ''y', $2 = NULL");
    add_csv(&log, "app", "shop", "duration: 0.1 ms  execute S_1/C_2: SELECT e FROM t WHERE b = $1",
            "Parameters: $1 = 'long...'");
    add_csv(&log, "app", "shop", "duration: 0.1 ms  bind S_1: SELECT notseen FROM t", "");
    add_csv(&log, "app", "shop", "duration: 0.1 ms", "");
    add_csv(&log, "app", "shop", "disconnection: session time: 0:00:00.007 user=app", "");
    add_csv(&log, "other", "shop", "statement: SELECT notours FROM t", "");
    add_csv(&log, "app", "phasegate/20261114", "statement: SELECT own FROM t", "");
    add_csv(&log, "app", "shop",
            "duration: 5.1 ms  plan:\nQuery Text: SELECT f\nFROM t WHERE a = $1;\n"
            "Query Parameters: $1 = '1\n2'\nSeq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n  "
            "Filter: x",
            "");
    add_csv(&log, "app", "shop",
            "duration: 5.1 ms  plan:\n{\n  \"Query Text\": \"SELECT g FROM t WHERE a = 7\",\n"
            "  \"Plan\": {}\n}",
            "");
    add_csv(&log, "app", "shop", "duration: 5.1 ms  plan:\n<explain/>", "");
    str_add(&log, "2026-11-14,\"app\",\"cut off, in the mid");

    for (size_t piece = 1; piece < 400; piece = 3 * piece + 2) {
        AUTO(rig) r = {0};
        static const struct capture_log_options o = {.role = "app", .database = "shop"};
        static const char *const texts[][2] = {
            {"SELECT a\nFROM t WHERE b = $1", "('it''s \"x\"')"},
            {"SELECT c FROM t WHERE b = $1 AND d = $2", "('x, $2 = ''y', NULL)"},
            {"SELECT e FROM t WHERE b = $1", NULL},
            {"SELECT f\nFROM t WHERE a = $1", "(E'1\\n2')"},
            {"SELECT g FROM t WHERE a = $1", "(7)"},
        };

        begin(&r, PARAMS_DOLLAR, "", true);
        assert_true(read_log(&r, &o, str_text(&log), piece));
        capture_end(&r.c);
        assert_int_equal(r.c.n, ROWS(texts));
        for (size_t i = 0; i < ROWS(texts); i++) {
            const struct captured *item = &r.c.items[i];

            assert_string_equal(item->text, texts[i][0]);
            assert_int_equal(item->args.n, texts[i][1] != NULL);
            if (texts[i][1])
                assert_string_equal(item->args.items[0].s, texts[i][1]);
        }
        assert_int_equal(r.c.skipped[CAPTURE_SKIP_OWN], 1);
        assert_int_equal(r.c.skipped[CAPTURE_SKIP_UNREADABLE], 2);
        capture_render(&r.c, "1.0.0", NULL, &r.file);
        struct statements back = {0};
        assert_true(statements_parse(&r.arena, "n.sql", str_text(&r.file), r.file.len,
                                     PARAMS_DOLLAR, &back, &r.problems));
        assert_int_equal(back.n, ROWS(texts));
    }
}

static void test_values_are_not_kept(void **state)
{
    AUTO(rig) r = {0};
    AUTO(str) log = {0};
    (void) state;

    add_csv(&log, "app", "", "statement: /* secret1 */ SELECT a FROM t WHERE b = 'secret2'", "");
    add_csv(&log, "app", "", "execute x: SELECT c FROM t WHERE b = $1",
            "parameters: $1 = 'secret3'");
    add_csv(&log, "app", "", "statement: ALTER ROLE a PASSWORD 'secret4'", "");
    add_csv(&log, "app", "", "statement: SELECT 'secret5' FROM t WHERE b SYNTAX", "");
    begin(&r, PARAMS_DOLLAR, "", false);
    assert_true(read_log(&r, &(struct capture_log_options) {0}, str_text(&log), 64));
    capture_end(&r.c);
    capture_render(&r.c, "1.0.0", NULL, &r.file);
    assert_int_equal(n_new(&r.c), 2);
    assert_null(strstr(str_text(&r.file), "secret"));
    for (int i = 0; i < r.c.n; i++)
        assert_null(strstr(r.c.items[i].sql, "secret"));
}

static void test_jsonlog(void **state)
{
    static const char log[] =
        "{\"user\":\"app\",\"dbname\":\"shop\",\"error_severity\":\"LOG\",\"message\":\"statement: "
        "SELECT a FROM t\"}\n\n"
        "{\"user\":\"app\",\"dbname\":\"shop\",\"error_severity\":\"LOG\",\"message\":\"execute x: "
        "SELECT b FROM t WHERE c = $1\",\"detail\":\"parameters: $1 = '5'\"}\r\n"
        "{\"user\":\"app\",\"mess";
    AUTO(rig) r = {0};
    (void) state;

    begin(&r, PARAMS_DOLLAR, "", true);
    assert_true(read_log(&r, &(struct capture_log_options) {.not_like = "%from t"}, log, 7));
    assert_int_equal(r.c.n, 1);
    assert_string_equal(r.c.items[0].args.items[0].s, "('5')");
    assert_int_equal(r.c.skipped[CAPTURE_SKIP_UNREADABLE], 1);
}

/* Half a megabyte of constants: linear, or this ends for want of memory. */
static void test_a_long_list(void **state)
{
    enum { N = 60000 };
    AUTO(rig) r = {0};
    AUTO(str) sql = {0};
    (void) state;

    int64_t left_out = 0;

    begin(&r, PARAMS_DOLLAR, "", false);
    str_add(&sql, "SELECT a FROM t WHERE b IN (0");
    for (int i = 1; i < N; i++)
        str_addf(&sql, ",%d", i);
    str_add(&sql, ")");
    see(&r, str_text(&sql), false);
    for (int i = 0; i < CAPTURE_SKIP_COUNT; i++)
        left_out += r.c.skipped[i];
    assert_int_equal(n_new(&r.c) + left_out, 1);
}

static void test_what_is_no_log(void **state)
{
    static const char *const rows[] = {"", "hello\nworld\n", "a,b,c\n\"x\n", "{\"a\": 1}\n"};
    (void) state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(rig) r = {0};

        begin(&r, PARAMS_DOLLAR, "", false);
        CHECK(!read_log(&r, &(struct capture_log_options) {0}, rows[i], 3), "%s", rows[i]);
        assert_int_equal(r.c.n, 0);
    }
}

static void test_like(void **state)
{
    static const struct {
        const char *text, *pattern;
        bool is;
    } rows[] = {
        {"abc", "abc", true},
        {"abc", "ABC", true},
        {"abc", "a%", true},
        {"abc", "%c", true},
        {"abc", "%b%", true},
        {"abc", "a_c", true},
        {"abc", "ab", false},
        {"abc", "b%", false},
        {"", "%", true},
        {"", "", true},
        {"", "_", false},
        {"aXbXc", "a%x%c", true},
        {"aXbXcd", "a%x%c", false},
        {"aaab", "%aab", true},
        {"abc", "%%%", true},
    };
    (void) state;

    for (size_t i = 0; i < ROWS(rows); i++)
        CHECK(text_is_like(rows[i].text, rows[i].pattern) == rows[i].is, "%s %s", rows[i].text,
              rows[i].pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),          cmocka_unit_test(test_what_is_one_statement),
        cmocka_unit_test(test_merging),        cmocka_unit_test(test_letters),
        cmocka_unit_test(test_no_file_yet),    cmocka_unit_test(test_styles),
        cmocka_unit_test(test_csvlog),         cmocka_unit_test(test_values_are_not_kept),
        cmocka_unit_test(test_jsonlog),        cmocka_unit_test(test_a_long_list),
        cmocka_unit_test(test_what_is_no_log), cmocka_unit_test(test_like),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
