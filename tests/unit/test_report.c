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

static struct pair_list one_flag(struct report *r, const char *key, const char *value)
{
    struct pair_list l = {arena_new(&r->arena, struct pair), 1};

    l.items[0] = (struct pair) {{.s = key}, {.s = value}};
    return l;
}

static void test_what_keeps_findings_apart(void **state)
{
    AUTO(report) r = {0};

    (void) state;
    broken(&r, "4.4.0", 1);
    broken(&r, "4.4.0", 3)->sqlstate = "42702";
    broken(&r, "4.4.0", 4)->step = "other";
    broken(&r, "4.4.0", 5)->phase = "expand";
    broken(&r, "4.4.0", 6)->plan = "b";
    broken(&r, "4.4.0", 7)->at.line++;
    broken(&r, "4.4.0", 8)->message = "another one";
    broken(&r, "4.4.0", 9)->allowed_because = "nobody calls it";
    broken(&r, "4.4.0", 10)->rule = rule_find("star-arity-broken");
    report_finish(&r);
    assert_int_equal(r.n, 9);
    for (int i = 0; i < r.n; i++)
        assert_int_equal(r.findings[i].n_places, 1);

    /* How bad, in which worlds, at which level, by which probe, from when and what to do: these don't. */
    broken(&r, "4.4.0", 2)->kind = "rollback";
    broken(&r, "4.4.0", 1)->severity = SEVERITY_NOTE;
    broken(&r, "4.4.0", 1)->level = "session";
    broken(&r, "4.4.0", 1)->probe = "H";
    broken(&r, "4.4.0", 1)->safe_from = "4.6.0";
    broken(&r, "4.4.0", 1)->help = "wait";
    report_finish(&r);
    assert_int_equal(r.n, 9);
}

/* The number of a parameter is the statement's, not the cause's. */
static void test_parameters_have_any_number(void **state)
{
    AUTO(report) r = {0};

    (void) state;
    broken(&r, "4.4.0", 1)->message = "with $1 (\"a\") = NULL it fails";
    broken(&r, "4.5.0", 2)->message = "with $12 (\"a\") = NULL it fails";
    broken(&r, "4.5.0", 3)->message = "with $1 (\"b\") = NULL it fails";
    report_finish(&r);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.findings[0].n_places, 2);
}

/* What is merged doesn't hang on the order in which it came; each place keeps its own flags and probe. */
static void test_merged_in_any_order(void **state)
{
    static const struct {
        const char *release, *flag, *probe, *safe_from;
        int line;
        enum severity severity;
    } rows[] = {
        {"4.4.0", "off", "P", NULL, 12, SEVERITY_WARNING},
        {"4.5.0", "on", "H", "4.7.0", 30, SEVERITY_ERROR},
        {"4.5.0", "off", "X", NULL, 20, SEVERITY_ERROR},
        {"4.5.0", "on", "H", "4.7.0", 30, SEVERITY_ERROR},
    };
    enum { N = sizeof rows / sizeof *rows };

    (void) state;
    for (int turn = 0; turn < N * 2; turn++) {
        AUTO(report) r = {0};

        for (int i = 0; i < N; i++) {
            int k = ((turn < N ? i : N - 1 - i) + turn) % N;
            struct finding *f = broken(&r, rows[k].release, rows[k].line);

            f->flags = one_flag(&r, "read", rows[k].flag);
            f->probe = rows[k].probe, f->safe_from = rows[k].safe_from;
            f->severity = rows[k].severity;
        }
        for (int again = 0; again < 2; again++) {
            report_finish(&r);
            const struct finding *f = &r.findings[0];

            assert_int_equal(r.n, 1);
            assert_int_equal(f->severity, SEVERITY_ERROR);
            assert_string_equal(f->release, "4.5.0"); /* of the worst, the first */
            assert_string_equal(f->flags.items[0].value.s, "off");
            assert_string_equal(f->probe, "X");
            assert_string_equal(f->safe_from, "4.7.0");
            assert_int_equal(f->n_places, 3);
            for (int i = 0; i < 3; i++) {
                static const int rank[] = {0, 2, 1};
                const struct place *p = &f->places[i];

                assert_int_equal(p->at.line, rows[rank[i]].line);
                assert_string_equal(p->release, rows[rank[i]].release);
                assert_string_equal(p->flags.items[0].value.s, rows[rank[i]].flag);
                assert_string_equal(p->probe, rows[rank[i]].probe);
            }
        }
    }
}

static void test_fingerprints(void **state)
{
    AUTO(report) r = {0};
    AUTO(arena) a = {0};
    enum { SAME = 700 };

    (void) state;
    assert_non_null(report_fingerprints(&a, &r));
    broken(&r, "4.4.0", 1);
    broken(&r, "4.5.0", 1);
    broken(&r, "4.5.0", 1)->statement = "PutOrder";
    broken(&r, "4.5.0", 1)->step = "other";
    broken(&r, "4.5.0", 1)->plan = NULL;
    broken(&r, "4.5.0", 1)->plan = "";
    broken(&r, "4.5.0", 1)->phase = "expand";
    broken(&r, "4.5.0", 1)->kind = "rollback";
    broken(&r, "4.5.0", 1)->rule = rule_find("star-arity-broken");
    int n = r.n;
    for (int i = 0; i < SAME; i++)
        broken(&r, "4.5.0", i);
    const uint64_t *prints = report_fingerprints(&a, &r);
    for (int i = 0; i < r.n; i++)
        for (int k = i + 1; k < r.n; k++)
            assert_true(prints[i] != prints[k]);

    /* Lines move and servers change their words: the finding is the one it was. */
    for (int i = 0; i < n; i++) {
        struct finding *f = &r.findings[i];
        f->at.line += 7, f->at.col = 1, f->places[0].at.line += 7;
        f->message = "something else", f->sqlstate = "XX000", f->probe = "P";
    }
    const uint64_t *later = report_fingerprints(&a, &r);
    for (int i = 0; i < r.n; i++)
        assert_true(prints[i] == later[i]);
    /* Released: baselines of code scanners hold it. */
    assert_true(prints[0] == 0x4dc4a366f26b4915u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_cause_is_one_finding),
        cmocka_unit_test(test_order_is_of_what_they_say),
        cmocka_unit_test(test_off_allowed_and_failing),
        cmocka_unit_test(test_what_keeps_findings_apart),
        cmocka_unit_test(test_parameters_have_any_number),
        cmocka_unit_test(test_merged_in_any_order),
        cmocka_unit_test(test_fingerprints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
