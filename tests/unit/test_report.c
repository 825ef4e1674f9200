/* Findings: one cause, one finding; the same order whatever the order in which they came. */
#include "phasegate/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct pos drop = {"plans/a.yaml", 61, 14};

static struct finding *broken(struct report *r, const char *release, int line)
{
    struct finding *f = report_add(r, "old-query-fails", drop, "column \"%s\" does not exist", "x");

    f->plan = "a", f->phase = "contract", f->step = "drop", f->sqlstate = "42703";
    f->release = release, f->statement = "GetOrder";
    finding_place(r, f, (struct pos) {"statements/s.sql", line, 1}, release, "GetOrder");
    return f;
}

static void test_one_cause_is_one_finding(void **state)
{
    AUTO(report) r = {0};

    (void) state;
    broken(&r, "4.5.0", 30);
    broken(&r, "4.4.0", 20)->severity = SEVERITY_WARNING;
    broken(&r, "4.4.0", 10);
    broken(&r, "4.4.0", 10);
    report_add(&r, "old-query-fails", drop, "zebras are gone")->plan = "z";
    report_finish(&r);
    assert_int_equal(r.n, 2);
    assert_string_equal(r.findings[0].message, "column \"x\" does not exist");
    assert_int_equal(r.findings[0].severity, SEVERITY_ERROR);
    assert_string_equal(r.findings[0].release, "4.4.0");
    assert_int_equal(r.findings[0].n_places, 3);
    assert_int_equal(r.findings[0].places[0].at.line, 10);
    assert_int_equal(r.findings[0].places[1].at.line, 20);
    assert_int_equal(r.findings[0].places[2].at.line, 30);
    assert_int_equal(r.summary.errors, 2);
}

static void test_order_is_of_what_they_say(void **state)
{
    static const struct {
        const char *rule, *file;
        int line;
    } rows[] = {{"old-query-fails", "b.yaml", 1},
                {"index-not-concurrent", "a.yaml", 10},
                {"old-query-fails", "a.yaml", 9},
                {"index-not-concurrent", "a.yaml", 9},
                {"old-query-fails", NULL, 0}};
    enum { N = sizeof rows / sizeof *rows };

    (void) state;
    for (int turn = 0; turn < N; turn++) {
        AUTO(report) r = {0};
        static const int order[] = {4, 3, 2, 1, 0};

        for (int i = 0; i < N; i++) {
            int k = (i + turn) % N;
            report_add(&r, rows[k].rule, (struct pos) {rows[k].file, rows[k].line, 1}, "m");
        }
        report_finish(&r);
        assert_int_equal(r.n, N);
        for (int i = 0; i < N; i++) {
            assert_string_equal(r.findings[i].rule->id, rows[order[i]].rule);
            assert_int_equal(r.findings[i].at.line, rows[order[i]].line);
        }
        report_finish(&r); /* twice is once */
        assert_int_equal(r.n, N);
    }
}

static void test_off_allowed_and_failing(void **state)
{
    AUTO(report) r = {0};

    (void) state;
    report_add(&r, "index-not-concurrent", drop, "a")->severity = SEVERITY_OFF;
    report_add(&r, "index-not-concurrent", drop, "b")->allowed_because = "the table is small";
    report_add(&r, "index-not-concurrent", drop, "c")->severity = SEVERITY_NOTE;
    report_finish(&r);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.summary.errors, 0);
    assert_int_equal(r.summary.allowed, 1);
    assert_int_equal(r.summary.notes, 1);
    assert_false(report_fails(&r, SEVERITY_WARNING));
    assert_true(report_fails(&r, SEVERITY_NOTE));

    /* What is allowed at one place isn't at another. */
    broken(&r, "4.4.0", 10)->allowed_because = "nobody calls it";
    broken(&r, "4.4.0", 20);
    report_finish(&r);
    assert_int_equal(r.n, 4);
    assert_true(report_fails(&r, SEVERITY_ERROR));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_cause_is_one_finding),
        cmocka_unit_test(test_order_is_of_what_they_say),
        cmocka_unit_test(test_off_allowed_and_failing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
