/* The databases of C tests: a fresh one each, values as they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "pgtest.h"

static void test_each_test_has_its_own(void **state)
{
    char *other = pgtest_new_database();

    assert_string_not_equal(*state, other);
    pgtest_exec(*state, "CREATE TABLE t AS SELECT generate_series(1, 3) AS a; SELECT 1");
    assert_int_equal(pgtest_count(*state, "SELECT pg_catalog.count(*) FROM t"), 3);
    assert_int_equal(
        pgtest_count(other, "SELECT pg_catalog.count(*) FROM pg_class WHERE relname = 't'"), 0);
    pgtest_drop_database(other);
}

static void test_values(void **state)
{
    char *text = pgtest_value(*state, "SELECT 'a b'");

    assert_string_equal(text, "a b");
    free(text);
    assert_null(pgtest_value(*state, "SELECT NULL::text"));
    assert_null(pgtest_value(*state, "SELECT 1 WHERE false"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_test_has_its_own, pgtest_setup, pgtest_teardown),
        cmocka_unit_test_setup_teardown(test_values, pgtest_setup, pgtest_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
