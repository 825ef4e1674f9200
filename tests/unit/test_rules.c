/* The table of rules. */
#include "phasegate/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void test_rules_ascend_and_are_found(void **state)
{
    (void) state;
    for (const struct rule *r = rules; r->id; r++) {
        assert_ptr_equal(rule_find(r->id), r);
        if (r[1].id)
            assert_true(strcmp(r->id, r[1].id) < 0);
    }
    assert_null(rule_find("no-such-rule"));
    assert_null(rule_find(""));
}

static void test_rows_are_whole(void **state)
{
    (void) state;
    for (const struct rule *r = rules; r->id; r++) {
        size_t n = strlen(r->title);

        assert_int_equal(strspn(r->id, "abcdefghijklmnopqrstuvwxyz-"), strlen(r->id));
        assert_true(r->by == BY_STATIC || r->by == BY_SHADOW || r->by == (BY_STATIC | BY_SHADOW));
        assert_true(r->severity > SEVERITY_OFF);
        assert_true(n > 10 && n <= 80 && r->title[n - 1] != '.');
        assert_non_null(rule_class_word(r->class));
    }
}

static void test_severity_words(void **state)
{
    enum severity s = SEVERITY_OFF;

    (void) state;
    for (int i = SEVERITY_OFF; i <= SEVERITY_ERROR; i++) {
        assert_true(severity_from_word(severity_word((enum severity) i), &s));
        assert_int_equal(s, i);
    }
    assert_false(severity_from_word("fatal", &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_ascend_and_are_found),
        cmocka_unit_test(test_rows_are_whole),
        cmocka_unit_test(test_severity_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
