/* Expressions that are one column in another dress, and those that aren't. */
#include "phasegate/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_expressions(void **state)
{
    static const struct {
        const char *expr, *column; /* column NULL: it isn't one */
        const char *casts;         /* innermost first, each with a blank behind it */
    } rows[] = {
        {"phone", "phone", ""},
        {"t.phone", "phone", ""},
        {"\"Old\"", "Old", ""},
        {"(phone)", "phone", ""},
        {"ref::bigint", "ref", "int8 "},
        {"cast(ref AS text)", "ref", "text "},
        {"ref::bigint::text", "ref", "int8 text "},
        {"phone::varchar(5)", "phone", "varchar "},
        {"'+' || phone", "phone", "text "},
        {"phone || '-' || 'x'", "phone", "text text "},
        {"n + 1", "n", ""},
        {"1000 - n", "n", ""},
        {"nullif(phone, '')", "phone", ""},
        {"phone COLLATE \"C\"", "phone", ""},
        {"CASE WHEN n > 0 THEN phone END", "phone", ""},
        {"CASE WHEN n > 0 THEN phone ELSE NULL END", "phone", ""},
        {"CASE WHEN n > 0 THEN phone ELSE '' END", NULL, NULL},
        {"CASE WHEN n > 0 THEN phone WHEN n < 0 THEN mail END", NULL, NULL},
        {"nullif(phone, mail)", NULL, NULL},
        {"n * 2", NULL, NULL},
        {"n + 0.5", NULL, NULL},
        {"phone || NULL", NULL, NULL},
        {"area || phone", NULL, NULL},
        {"lower(phone)", NULL, NULL},
        {"coalesce(phone, '')", NULL, NULL},
        {"phone::mine", NULL, NULL},
        {"CASE a WHEN 1 THEN b END", "b", ""},
        {"data ->> 'city'", NULL, NULL},
        {"-n", NULL, NULL},
        {"'x'", NULL, NULL},
        {"a, b", NULL, NULL},
        {"a FROM t; DROP TABLE t", NULL, NULL},
        {"(", NULL, NULL},
        {"", NULL, NULL},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(arena) a = {0};
        AUTO(str) casts = {0};
        struct column_expr e;
        bool is = expr_of_column(&a, rows[i].expr, &e);

        if (is != (rows[i].column != NULL))
            fail_msg("%s: %d", rows[i].expr, is);
        if (!is)
            continue;
        for (int k = 0; k < e.n_casts; k++)
            str_addf(&casts, "%s ", e.casts[k].type);
        assert_string_equal(e.column, rows[i].column);
        assert_string_equal(str_text(&casts), rows[i].casts);
    }
}

static void test_lengths(void **state)
{
    AUTO(arena) a = {0};
    struct column_expr e;

    (void) state;
    assert_true(expr_of_column(&a, "a::varchar(5)::text", &e));
    assert_int_equal(e.casts[0].typmod, 9);
    assert_int_equal(e.casts[1].typmod, -1);
    assert_false(expr_of_column(&a, "a::text::text::text::text::text", &e));
    assert_true(expr_of_column(&a, "a", &e));
    assert_false(e.makes_null);
    assert_true(expr_of_column(&a, "'+' || nullif(a, '')", &e));
    assert_true(e.makes_null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
