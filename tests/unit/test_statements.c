#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "phasegate/statements.h"
#include "table.h"

#include <string.h>

struct parsed {
    struct arena arena;
    struct statements s;
    struct problem_list problems;
    bool good;
};

static void parsed_free(struct parsed *p)
{
    arena_free(&p->arena);
    problem_list_free(&p->problems);
}
static void parsed_auto(struct parsed *p) { parsed_free(p); }

static void parse(struct parsed *p, enum param_style style, const char *text)
{
    p->good = statements_parse(&p->arena, "s.sql", text, strlen(text), style, &p->s, &p->problems);
    if (!statements_validate(&p->s, &p->problems))
        p->good = false;
}

static void test_every_header(void **state)
{
    AUTO(parsed) p = {0};
    (void) state;

    parse(&p, PARAMS_DOLLAR,
          "-- Orders of the shop. Note: a comment.\n"
          "\n"
          "-- name: GetOrder :one\n"
          "-- when: orders-read=on\n"
          "--when:   orders-write = off \n"
          "-- args: (1, 'it''s'), (2, NULL)\n"
          "-- args: (-3.5e2, now())\n"
          "-- tx: PlaceOrder\n"
          "-- role: app\n"
          "-- knows: order_status=refunded\n"
          "-- differs: rounding\n"
          "-- phasegate: allow wire-change until 4.4.0 because the client is strict\n"
          "-- what follows is the SQL\n"
          "SELECT a, -- with a comment; and a semicolon\n"
          "       b FROM orders\n"
          " WHERE id = $1 AND note = $2;\n"
          "\n"
          "-- name: Other\r\n"
          "SELECT 1\r\n");
    assert_true(p.good);
    assert_int_equal(p.s.n, 2);
    const struct statement *s = &p.s.items[0];
    assert_string_equal(s->name, "GetOrder");
    assert_string_equal(s->result, "one");
    assert_int_equal(s->n_when, 2);
    assert_string_equal(s->when[0].flag, "orders-read");
    assert_true(s->when[0].on);
    assert_string_equal(s->when[1].flag, "orders-write");
    assert_false(s->when[1].on);
    assert_int_equal(s->n_args, 3);
    assert_string_equal(s->args[0].items[1].value, "it's");
    assert_true(s->args[1].items[1].is_literal);
    assert_null(s->args[1].items[1].value);
    assert_string_equal(s->args[2].items[0].value, "-3.5e2");
    assert_false(s->args[2].items[1].is_literal);
    assert_string_equal(s->args[2].items[1].sql, "now()");
    assert_string_equal(s->tx, "PlaceOrder");
    assert_string_equal(s->role, "app");
    assert_string_equal(s->knows.items[0].key.s, "order_status");
    assert_string_equal(s->knows.items[0].value.s, "refunded");
    assert_string_equal(s->differs, "rounding");
    assert_string_equal(s->allow.items[0].s,
                        "wire-change until 4.4.0 because the client is strict");
    assert_int_equal(s->at.line, 3);
    assert_int_equal(s->sql_at.line, 14);
    assert_int_equal(s->n_params, 2);
    assert_int_equal(strncmp(s->sql, "SELECT a, --", 12), 0);
    assert_int_equal(s->sql[strlen(s->sql) - 1], '2');
    assert_string_equal(p.s.items[1].sql, "SELECT 1");
    assert_null(p.s.items[1].result);
}

static void test_parameters(void **state)
{
    static const struct {
        enum param_style style;
        const char *sql, *dollar;
        int n;
        const char *name; /* of the last parameter */
    } rows[] = {
        {PARAMS_DOLLAR, "SELECT $2 + $1", "SELECT $2 + $1", 2, NULL},
        {PARAMS_DOLLAR, "SELECT '$9', \"$8\", $$ $7 $$, $t$ $6 $t$ -- $5",
         "SELECT '$9', \"$8\", $$ $7 $$, $t$ $6 $t$ -- $5", 0, NULL},
        {PARAMS_DOLLAR, "SELECT E'\\'$4', a$3 /* $2 /* $2 */ $2 */",
         "SELECT E'\\'$4', a$3 /* $2 /* $2 */ $2 */", 0, NULL},
        {PARAMS_DOLLAR, "SELECT a1$3 + $1::int", "SELECT a1$3 + $1::int", 1, NULL},
        {PARAMS_DOLLAR, "SELECT @x, @ y, j @> sqlc.arg(k)", "SELECT @x, @ y, j @> $1", 1, "k"},
        {PARAMS_DOLLAR, "SELECT sqlc.arg( 'a' ), sqlc.narg(b)::int, sqlc.arg(a), 'sqlc.arg(c)'",
         "SELECT $1, $2::int, $1, 'sqlc.arg(c)'", 2, "b"},
        {PARAMS_DOLLAR, "SELECT sqlc.embed(t), my.sqlc.arg(x), sqlc.other(y) FROM sqlc.t",
         "SELECT t.*, my.sqlc.arg(x), sqlc.other(y) FROM sqlc.t", 0, NULL},
        {PARAMS_DOLLAR, "SELECT 1 WHERE a = ANY(sqlc.slice(\"ids\"))", "SELECT 1 WHERE a = ANY($1)",
         1, "ids"},
        {PARAMS_COLON, "SELECT :a, :b, :a::int", "SELECT $1, $2, $1::int", 2, "b"},
        {PARAMS_COLON, "SELECT x::text, y[1:2], ':no', z := 1",
         "SELECT x::text, y[1:2], ':no', z := 1", 0, NULL},
        {PARAMS_COLON, "SELECT :a -- :b\n, $$ :c $$, \":d\", /* :e */ :f",
         "SELECT $1 -- :b\n, $$ :c $$, \":d\", /* :e */ $2", 2, "f"},
        {PARAMS_QUESTION, "SELECT ?, '?', j ?? 'k' WHERE a = ?",
         "SELECT $1, '?', j ? 'k' WHERE a = $2", 2, NULL},
        {PARAMS_QUESTION, "SELECT j ??| ?, j ??& ? -- ?\n, $$?$$, \"?\", E'\\'?'",
         "SELECT j ?| $1, j ?& $2 -- ?\n, $$?$$, \"?\", E'\\'?'", 2, NULL},
        {PARAMS_PERCENT, "SELECT %s, 7 %% 2, '%s' WHERE a = %s",
         "SELECT $1, 7 % 2, '%s' WHERE a = $2", 2, NULL},
        {PARAMS_PERCENT, "SELECT %(a)s, %(bb)s, %(a)s", "SELECT $1, $2, $1", 2, "bb"},
        {PARAMS_PERCENT, "SELECT a LIKE '%%x%' AND b = %b, %(c)t",
         "SELECT a LIKE '%x%' AND b = $1, $2", 2, "c"},
    };
    (void) state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(parsed) p = {0};
        AUTO(str) text = {0};

        str_addf(&text, "-- name: X\n%s\n;\n", rows[i].sql);
        parse(&p, rows[i].style, str_text(&text));
        CHECK(p.good, "%s: refused", rows[i].sql);
        const struct statement *s = &p.s.items[0];
        CHECK(strcmp(s->dollar_sql, rows[i].dollar) == 0, "%s: %s", rows[i].sql, s->dollar_sql);
        CHECK(s->n_params == rows[i].n, "%s: %d parameters", rows[i].sql, s->n_params);
        if (rows[i].name)
            assert_string_equal(s->param_names[s->n_params - 1], rows[i].name);
    }
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *text, *message;
        int line;
        enum param_style style;
    } rows[] = {
        {"SELECT 1;\n", "SQL without a name", 1, 0},
        {"-- when: a=on\n-- name: X\nSELECT 1;", "before any name", 1, 0},
        {"-- name:\nSELECT 1;", "is no name", 1, 0},
        {"-- name: 1x\nSELECT 1;", "is no name", 1, 0},
        {"-- name: X one\nSELECT 1;", "more than a name", 1, 0},
        {"-- name: X\n-- nmae: Y\nSELECT 1;", "unknown header \"nmae\"", 2, 0},
        {"-- name: X\n-- when: a\nSELECT 1;", "is no condition", 2, 0},
        {"-- name: X\n-- when: a=maybe\nSELECT 1;", "is no condition", 2, 0},
        {"-- name: X\n-- when: a=on\n-- when: a=off\nSELECT 1;", "two conditions", 3, 0},
        {"-- name: X\n-- args: 1, 2\nSELECT $1,$2;", "don't start", 2, 0},
        {"-- name: X\n-- args: (1, 2\nSELECT $1,$2;", "isn't closed", 2, 0},
        {"-- name: X\n-- args: (1,,2)\nSELECT $1,$2;", "empty", 2, 0},
        {"-- name: X\n-- args: (1) (2)\nSELECT $1;", "follows", 2, 0},
        {"-- name: X\n-- args: (1)\nSELECT $1,$2;", "1 arguments for a statement with 2", 2, 0},
        {"-- name: X\n-- args:\nSELECT $1;", "no arguments", 2, 0},
        {"-- name: X\n-- tx: a\n-- tx: b\nSELECT 1;", "a second \"tx\"", 3, 0},
        {"-- name: X\n-- role:\nSELECT 1;", "is empty", 2, 0},
        {"-- name: X\n-- knows: red\nSELECT 1;", "no label", 2, 0},
        {"-- name: X\n-- phasegate: forbid\nSELECT 1;", "no instruction", 2, 0},
        {"-- name: X\nSELECT 1,\n-- args: (1)\n2;", "within the SQL", 3, 0},
        {"-- name: X\n", "has no SQL", 1, 0},
        {"-- name: X\n-- only a comment\n;\n", "has no SQL", 3, 0},
        {"-- name: X\nSELECT 1; SELECT 2;", "more than one statement", 2, 0},
        {"-- name: X\nSELECT 'a;", "isn't closed", 2, 0},
        {"-- name: X\nSELECT /* a;", "isn't closed", 2, 0},
        {"-- name: X\nSELECT $0;", "number is not between", 2, 0},
        {"-- name: X\nSELECT $99999999999999999999;", "number is not between", 2, 0},
        {"-- name: X\nSELECT a ?| b;", "write the operators", 2, PARAMS_QUESTION},
        {"-- name: X\nSELECT a,\n  %d b;", "neither %s nor", 3, PARAMS_PERCENT},
        {"-- name: X :on\nSELECT 1;", "unknown command \":on\"", 1, 0},
        {"-- name: X :one\nSELECT $1,\n@a;", "numbered parameters ($1) and named ones", 3, 0},
        {"-- name: X\nSELECT sqlc.arg(a.b);", "plain name", 2, 0},
        {"-- name: X\nSELECT sqlc.arg('a);", "isn't closed", 2, 0},
        {"-- name: X\n-- types: int4\nSELECT $1, $2;", "1 types for a statement with 2", 2, 0},
        {"-- name: X\n-- types: int4,\nSELECT $1, $2;", "can't be read", 2, 0},
        {"-- name: X\n-- types: a(1\nSELECT $1;", "can't be read", 2, 0},
        {"-- name: X\n-- types: int4\n-- types: int4\nSELECT $1;", "a second \"types\"", 3, 0},
        {"-- name: X\nSELECT a % b;", "neither %s nor", 2, PARAMS_PERCENT},
        {"-- name: X\nSELECT 1;\n-- name: X\nSELECT 2;", "may both apply", 3, 0},
        {"-- name: X\n-- when: a=on\nSELECT 1;\n-- name: X\n-- when: b=off\nSELECT 2;",
         "may both apply", 4, 0},
        {"-- name: X\n-- when: a=on\nSELECT $1;\n-- name: X\n-- when: a=off\nSELECT 2;",
         "take 1 and 0 parameters", 4, 0},
    };
    (void) state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(parsed) p = {0};

        parse(&p, rows[i].style, rows[i].text);
        CHECK(!p.good && p.problems.n > 0, "accepted: %s", rows[i].text);
        const struct problem *first = &p.problems.items[0];
        CHECK(strstr(first->message, rows[i].message), "%s: %s", rows[i].text, first->message);
        CHECK(first->at.line == rows[i].line, "%s: line %d", rows[i].text, first->at.line);
        assert_string_equal(first->at.file, "s.sql");
    }
}

static void test_bytes_that_are_no_text(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {{"-- name: X\nSELECT '\xff';", 22},
                {"-- name: X\nSELECT '\0';", 22},
                {"\xc3", 1},
                {"\xe2\x82", 2}};
    (void) state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(parsed) p = {0};

        assert_false(statements_parse(&p.arena, "s.sql", rows[i].bytes, rows[i].n, PARAMS_DOLLAR,
                                      &p.s, &p.problems));
        assert_string_equal(p.problems.items[0].message, "the file is not a text");
    }
    AUTO(parsed) p = {0};
    parse(&p, PARAMS_DOLLAR, "-- name: X\nSELECT 'é€😀';");
    assert_true(p.good);
}

static void test_where_bytes_are_bad(void **state)
{
    static const char bytes[] = "-- name: X\nSELECT '\xc3\xa9 \xff';";
    AUTO(parsed) p = {0};
    (void) state;

    assert_false(statements_parse(&p.arena, "s.sql", bytes, sizeof bytes - 1, PARAMS_DOLLAR, &p.s,
                                  &p.problems));
    assert_int_equal(p.problems.items[0].at.line, 2);
    assert_int_equal(p.problems.items[0].at.col, 11);
}

/* sqlc's files, also with a byte order mark and its other form of the name. */
static void test_files_of_sqlc(void **state)
{
    static const char *const words[] = {"one", "many", "exec", "execrows", "batchone", "copyfrom"};
    AUTO(parsed) p = {0};
    AUTO(str) text = {0};
    (void) state;

    str_add(&text, "\xef\xbb\xbf");
    for (size_t i = 0; i < ROWS(words); i++)
        str_addf(&text,
                 "-- name: Q%zu :%s\nSELECT * FROM t WHERE a = @a AND j @> @j AND 'x' <@ k;\n", i,
                 words[i]);
    str_add(&text,
            "/* name: Last :exec */\nUPDATE t SET a = @a::int, b = sqlc.narg('b') WHERE a = @a\n");
    parse(&p, PARAMS_DOLLAR, str_text(&text));
    assert_true(p.good);
    assert_int_equal(p.s.n, ROWS(words) + 1);
    for (size_t i = 0; i < ROWS(words); i++) {
        assert_string_equal(p.s.items[i].result, words[i]);
        assert_string_equal(p.s.items[i].dollar_sql,
                            "SELECT * FROM t WHERE a = $1 AND j @> $2 AND 'x' <@ k");
        assert_string_equal(p.s.items[i].param_names[1], "j");
    }
    assert_string_equal(p.s.items[ROWS(words)].dollar_sql,
                        "UPDATE t SET a = $1::int, b = $2 WHERE a = $1");
}

static void test_types(void **state)
{
    AUTO(parsed) p = {0};
    (void) state;

    parse(&p, PARAMS_DOLLAR,
          "-- name: X\n-- types: int4, numeric(10,2) ,app.\"a,b\"[]\n-- captured: "
          "pg_stat_statements\n"
          "SELECT $1, $2, $3");
    assert_true(p.good);
    assert_int_equal(p.s.items[0].types.n, 3);
    assert_string_equal(p.s.items[0].types.items[0].s, "int4");
    assert_string_equal(p.s.items[0].types.items[1].s, "numeric(10,2)");
    assert_string_equal(p.s.items[0].types.items[2].s, "app.\"a,b\"[]");
    assert_string_equal(p.s.items[0].captured, "pg_stat_statements");
}

/* What stands at `mark` in dollar_sql stands at line:col of the file. */
static void test_places(void **state)
{
    static const struct {
        enum param_style style;
        const char *text, *mark;
        int line, col;
    } rows[] = {
        {PARAMS_DOLLAR, "-- name: X\nSELECT a", "a", 2, 8},
        {PARAMS_DOLLAR, "-- name: X\n  SELECT 'é', a", "a", 2, 15},
        {PARAMS_DOLLAR, "-- name: X\n-- args: ()\n\n\tSELECT\n    bad", "bad", 5, 5},
        {PARAMS_COLON, "-- name: X\nSELECT :first_one, :b,\r\n bad, :c", "bad", 3, 2},
        {PARAMS_COLON, "-- name: X\nSELECT :first_one, :b, bad", "bad", 2, 24},
        {PARAMS_COLON, "-- name: X\nSELECT :first_one, :b, bad", "$2", 2, 20},
        {PARAMS_COLON, "-- name: X\nSELECT :first_one, :b, bad", "$1", 2, 8},
        {PARAMS_QUESTION, "-- name: X\nSELECT ?, ?, ?, ?? bad", "bad", 2, 20},
        {PARAMS_PERCENT, "-- name: X\nSELECT '%%é%%', %(é)s,\n bad", "bad", 3, 2},
        {PARAMS_PERCENT, "-- name: X\nSELECT '%%é%%', %(é)s, bad", "bad", 2, 24},
        {PARAMS_DOLLAR, "-- name: X\nSELECT sqlc.embed(t), sqlc.arg(a), bad", "bad", 2, 36},
    };
    (void) state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(parsed) p = {0};
        int position = 1;

        parse(&p, rows[i].style, rows[i].text);
        CHECK(p.good, "%s: refused", rows[i].text);
        const char *sql = p.s.items[0].dollar_sql, *mark = strstr(sql, rows[i].mark);
        for (const char *c = sql; c < mark; c++)
            position += ((unsigned char) *c & 0xc0) != 0x80;
        struct pos at = statement_pos_of(&p.s.items[0], position);
        CHECK(at.line == rows[i].line && at.col == rows[i].col, "%s: %d:%d", rows[i].text, at.line,
              at.col);
        assert_string_equal(at.file, "s.sql");
    }
    AUTO(parsed) p = {0};
    parse(&p, PARAMS_DOLLAR, "-- name: X\n SELECT a");
    assert_int_equal(statement_pos_of(&p.s.items[0], 0).col, 2);
    assert_int_equal(statement_pos_of(&p.s.items[0], 9).col, 10); /* the end */
    assert_int_equal(statement_pos_of(&p.s.items[0], 1000).col, 10);
}

/* What was quadratic once would take minutes here. */
static void test_a_hundred_thousand(void **state)
{
    AUTO(parsed) p = {0};
    AUTO(str) text = {0};
    (void) state;

    for (int i = 0; i < 100000; i++)
        str_addf(&text, "-- name: Q%d\n-- args: (1)\nSELECT a, b FROM t%d WHERE a = $1;\n", i, i);
    for (int i = 0; i < 1000; i++)
        str_add(&text, "-- name: Same\nSELECT 1;\n");
    parse(&p, PARAMS_DOLLAR, str_text(&text));
    assert_int_equal(p.s.n, 101000);
    assert_false(p.good);
    assert_true(p.problems.cut);
    assert_int_equal(p.problems.items[0].at.line, 300003);
    assert_true(p.arena.used < (size_t) 120 << 20);
}

static bool on_if_listed(void *ctx, const char *flag) { return strstr(ctx, flag) != NULL; }

static void test_variants(void **state)
{
    static const struct {
        const char *on, *sql;
    } rows[] = {{"", "SELECT 0"}, {"a", "SELECT 1"}, {"b", "SELECT 0"}, {"a b", "SELECT 2"}};
    AUTO(parsed) p = {0};
    (void) state;

    parse(&p, PARAMS_DOLLAR,
          "-- name: X\n-- when: a=off\nSELECT 0;\n"
          "-- name: X\n-- when: a=on\n-- when: b=off\nSELECT 1;\n"
          "-- name: X\n-- when: a=on\n-- when: b=on\nSELECT 2;\n");
    assert_true(p.good);
    for (size_t i = 0; i < ROWS(rows); i++) {
        const struct statement *s = statement_pick(&p.s, "X", on_if_listed, (void *) rows[i].on);

        CHECK(s && strcmp(s->sql, rows[i].sql) == 0, "%s: %s", rows[i].on, s ? s->sql : "none");
    }
    assert_null(statement_pick(&p.s, "Y", on_if_listed, (void *) ""));
}

static void test_styles_by_word(void **state)
{
    enum param_style style = PARAMS_COLON;
    (void) state;

    assert_true(param_style_from_word(NULL, &style));
    assert_int_equal(style, PARAMS_DOLLAR);
    assert_true(param_style_from_word("percent", &style));
    assert_int_equal(style, PARAMS_PERCENT);
    assert_false(param_style_from_word("dollars", &style));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_header),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_where_bytes_are_bad),
        cmocka_unit_test(test_files_of_sqlc),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_a_hundred_thousand),
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_styles_by_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
