/* Suppressions and the project's severities. */
#include "lint_fixture.h"

static const struct project *project_of(struct arena *a)
{
    static const char text[] = "phasegate: 1\nplans: plans/\nreleases:\n"
                               "  - {version: \"1.9.0\"}\n  - {version: \"1.10.0\"}\n"
                               "  - {version: \"1.11.0\", planned: true}\n"
                               "policy:\n  approvers: {dba: [alice]}\n"
                               "environments:\n  production: {databases: {default: {url: x}}}\n";
    AUTO(problem_list) problems = {0};
    struct project *p = arena_new(a, struct project);

    assert_true(project_parse(a, "phasegate.yaml", text, sizeof text - 1, p, &problems));
    return p;
}

/* What is said of one directive; "" where it's fine. */
static const char *said(struct arena *a, struct report *r, const char *sql)
{
    struct suppression_list l = {0};
    AUTO(str) found = {0};

    suppress_read_sql(&l, r, project_of(a), sql, (struct pos) {"a.sql", 1, 1}, false, NULL);
    findings_text(r, &found);
    if (r->n == 0 && l.n == 0)
        return "none";
    return arena_strdup(a, r->n ? str_text(&found) : "read");
}

static void test_syntax(void **state)
{
    static const struct {
        const char *sql, *expected;
    } rows[] = {
        {"SELECT 1", "none"},
        {"-- phasegate does it", "none"},
        {"SELECT '-- phasegate: allow x until y because z'", "none"},
        {"SELECT $x$ -- phasegate: allow x until y because z $x$", "none"},
        {"-- phasegate: allow old-query-fails until 1.11.0 because it is dead", "read"},
        {"--phasegate: allow old-query-fails until 1.11.0 because it is dead approved-by alice",
         "read"},
        {"/* phasegate: allow old-query-fails until 2.0 because it is dead */ SELECT 1", "read"},
        {"-- phasegate: allow old-query-fails until 1.11.0 because of what approved-by says "
         "approved-by bob",
         "read"},
        {"-- phasegate: allow old-query-fails until 1.11.0 because", "suppression-malformed"},
        {"-- phasegate: allow old-query-fails until 1.11.0 because approved-by alice",
         "suppression-malformed"},
        {"-- phasegate: allow old-query-fails until 1.11.0 because x approved-by",
         "suppression-malformed"},
        {"-- phasegate: allow old-query-fails until 1.11.0 because x approved-by alice and bob",
         "suppression-malformed"},
        {"-- phasegate: allow old-query-fails because x", "suppression-malformed"},
        {"-- phasegate: allow old-query-fails until because x", "suppression-malformed"},
        {"-- phasegate: allow until 1.11.0 because x", "suppression-malformed"},
        {"-- phasegate: allow a, b until 1.11.0 because x", "suppression-malformed"},
        {"-- phasegate: ignore old-query-fails", "suppression-malformed"},
        {"-- phasegate:", "suppression-malformed"},
        {"-- Phasegate: allow old-query-fails until 1.11.0 because x", "suppression-malformed"},
        {"-- phasegate allow old-query-fails until 1.11.0 because x", "suppression-malformed"},
        {"-- phasegate-allow old-query-fails", "suppression-malformed"},
        {"-- phasegate: allow old-query-failz until 1.11.0 because x", "suppression-unknown-rule"},
        {"-- phasegate: allow old-query-fails until 1.10.0 because x", "suppression-expired"},
        {"-- phasegate: allow old-query-fails until 1.9.0 because x", "suppression-expired"},
        {"-- phasegate: allow old-query-fails until 1.2 because x", "suppression-expired"},
        {"-- phasegate: allow old-query-fails until 1.10.1 because x", "read"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(arena) a = {0};
        AUTO(report) r = {0};
        const char *found = said(&a, &r, rows[i].sql);

        if (strcmp(found, rows[i].expected) != 0)
            print_error("for: %s\n", rows[i].sql);
        assert_string_equal(found, rows[i].expected);
    }
}

static void test_nearest_rule_and_place(void **state)
{
    AUTO(arena) a = {0};
    AUTO(report) r = {0};

    (void) state;
    said(&a, &r, "SELECT 1;\n  -- phasegate: allow old-query-failz until 1.11.0 because x");
    assert_string_equal(r.findings[0].message,
                        "there is no rule \"old-query-failz\"; did you mean old-query-fails?");
    assert_int_equal(r.findings[0].at.line, 2);
    assert_int_equal(r.findings[0].at.col, 3);
}

static void apply(struct arena *a, struct report *r, const char *sql, struct str *found)
{
    struct suppression_list l = {0};
    struct lint_known *k = lint_known_new(a);
    struct lint_file file = {"a.sql", sql, 1};
    struct lint_parse *p = lint_file_parse(a, &file);
    const struct project *project = project_of(a);

    r->is_static = true;
    lint_sql_file(k, &file, p, project, r, &l);
    lint_parse_free(p);
    severities_apply(&project->policy, r);
    suppress_apply(&l, &project->policy, r);
    report_finish(r);
    findings_text(r, found);
}

#define UNTIL " until 1.11.0 because it is small"

static void test_files(void **state)
{
    static const struct {
        const char *sql, *expected;
    } rows[] = {
        {"-- phasegate: allow index-not-concurrent" UNTIL "\nCREATE INDEX ON t (a);",
         "(index-not-concurrent)"},
        {"CREATE INDEX ON t -- phasegate: allow index-not-concurrent" UNTIL "\n(a);",
         "(index-not-concurrent)"},
        {"CREATE INDEX ON t (a); -- phasegate: allow index-not-concurrent" UNTIL "\n",
         "(index-not-concurrent)"},
        /* only for the statement that it stands at */
        {"-- phasegate: allow index-not-concurrent" UNTIL
         "\nCREATE INDEX ON t (a);\nCREATE INDEX ON t (b);",
         "(index-not-concurrent) index-not-concurrent"},
        {"-- phasegate: allow index-not-concurrent" UNTIL "\nSELECT 1;", "suppression-unused"},
        /* what only the shadow finds may be there */
        {"-- phasegate: allow old-query-fails" UNTIL "\nSELECT 1;", ""},
        /* an order error needs a name, and one of the approvers */
        {"BEGIN;\n-- phasegate: allow concurrently-in-transaction" UNTIL
         "\nCREATE INDEX CONCURRENTLY ON t (a); COMMIT;",
         "suppression-needs-approver concurrently-in-transaction"},
        {"BEGIN;\n-- phasegate: allow concurrently-in-transaction" UNTIL
         " approved-by bob\nCREATE INDEX CONCURRENTLY ON t (a); COMMIT;",
         "suppression-needs-approver concurrently-in-transaction"},
        {"BEGIN;\n-- phasegate: allow concurrently-in-transaction" UNTIL
         " approved-by alice\nCREATE INDEX CONCURRENTLY ON t (a); COMMIT;",
         "(concurrently-in-transaction)"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(arena) a = {0};
        AUTO(report) r = {0};
        AUTO(str) found = {0};

        apply(&a, &r, rows[i].sql, &found);
        if (strcmp(str_text(&found), rows[i].expected) != 0)
            print_error("for: %s\n", rows[i].sql);
        assert_string_equal(str_text(&found), rows[i].expected);
    }
}

static struct finding *broken(struct report *r, const char *release, int line)
{
    struct finding *f = report_add(r, "result-shape-changed", (struct pos) {"p.yaml", 5, 1}, "m");

    f->plan = "p", f->phase = "expand", f->step = "s";
    finding_place(r, f, (struct pos) {"s.sql", line, 1}, release, "GetOrder");
    return f;
}

static void test_steps_and_statements(void **state)
{
    static const struct suppression step = {.plan = "p", .phase = "expand", .step = "s"};
    static const struct suppression other = {.plan = "p", .phase = "expand", .step = "t"};
    static const struct suppression statement = {.release = "1.9.0", .statement = "GetOrder"};
    static const struct {
        const struct suppression *scope;
        int allowed; /* of: both releases, the first alone */
    } rows[] = {{&step, 3}, {&other, 0}, {&statement, 2}};

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(report) r = {0};
        struct suppression_list l = {0};
        struct policy policy = {0};

        finding_place(&r, broken(&r, "1.9.0", 1), (struct pos) {"s.sql", 9, 1}, "1.10.0",
                      "GetOrder");
        broken(&r, "1.9.0", 1);
        suppress_read_one(&l, &r, NULL, "allow result-shape-changed" UNTIL,
                          (struct pos) {"p.yaml", 4, 1}, rows[i].scope);
        suppress_apply(&l, &policy, &r);
        assert_int_equal((r.findings[0].allowed_because != NULL) +
                             2 * (r.findings[1].allowed_because != NULL),
                         rows[i].allowed);
    }
}

static void test_severities(void **state)
{
    static const struct {
        const char *rule, *severity;
        enum severity before, after;
        bool is_refused;
    } rows[] = {
        {"index-not-concurrent", "warning", SEVERITY_ERROR, SEVERITY_WARNING, false},
        {"index-not-concurrent", "off", SEVERITY_ERROR, SEVERITY_OFF, false},
        {"positional-insert-or-star", "error", SEVERITY_WARNING, SEVERITY_ERROR, false},
        {"not-null-scan", "error", SEVERITY_NOTE, SEVERITY_NOTE,
         false}, /* it isn't known to be one */
        {"not-null-scan", "off", SEVERITY_NOTE, SEVERITY_OFF, false},
        {"old-query-fails", "warning", SEVERITY_ERROR, SEVERITY_ERROR, true},
        {"old-query-fails", "off", SEVERITY_ERROR, SEVERITY_ERROR, true},
        {"result-shape-changed", "note", SEVERITY_WARNING, SEVERITY_NOTE, false},
        {"result-shape-changed", "note", SEVERITY_ERROR, SEVERITY_ERROR, true}, /* by its driver */
        {"result-shape-changed", "error", SEVERITY_WARNING, SEVERITY_ERROR, false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(report) r = {0};
        struct pair pair = {.key = {rows[i].rule, {"phasegate.yaml", 9, 3}},
                            .value = {.s = rows[i].severity}};
        struct policy policy = {.rules = {&pair, 1}};

        report_add(&r, rows[i].rule, (struct pos) {"a.sql", 1, 1}, "m")->severity = rows[i].before;
        severities_apply(&policy, &r);
        assert_int_equal(r.findings[0].severity, rows[i].after);
        assert_int_equal(r.n, 1 + rows[i].is_refused);
        if (rows[i].is_refused)
            assert_string_equal(r.findings[1].rule->id, "severity-below-gate");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax),     cmocka_unit_test(test_nearest_rule_and_place),
        cmocka_unit_test(test_files),      cmocka_unit_test(test_steps_and_statements),
        cmocka_unit_test(test_severities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
