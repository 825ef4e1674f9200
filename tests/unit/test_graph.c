#include "phasegate/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define TEXT(t)                                                                                    \
    {                                                                                              \
        .s = (t), .at = { "x.yaml", 1, 1 }                                                         \
    }

/* ---- plans in a few words --------------------------------------------------------------------------- */

struct row {
    const char *id;
    int64_t time;
    const char *deps[3]; /* "b/contract" */
    const char
        *releases[PHASE_SLOTS]; /* [0] unused; NULL: absent with a reason; all NULL: 1, 2, 3, 4 */
};

struct made {
    struct arena arena;
    struct plan_set set;
    struct problem_list problems;
};
static void made_auto(struct made *m)
{
    arena_free(&m->arena);
    problem_list_free(&m->problems);
}

static struct pos at_line(int i) { return (struct pos) {"x.yaml", i + 1, 1}; }

static void make_dep(struct made *m, struct plan *p, const char *words, int line)
{
    const char *slash = strchr(words, '/');
    struct plan_dep *dep = &p->depends_on[p->n_depends_on++];

    dep->plan =
        (struct text) {arena_strndup(&m->arena, words, (size_t) (slash - words)), at_line(line)};
    dep->phase = phase_from_word(slash + 1);
    dep->at = at_line(line);
}

static void make_plan(struct made *m, struct plan *p, const struct row *row, int line)
{
    static const char *const usual[PHASE_SLOTS] = {NULL, "1", "2", "3", "4"};
    const char *const *releases = usual;

    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
        if (row->releases[i])
            releases = row->releases;
    p->id = (struct text) {row->id, at_line(line)};
    p->time = row->time;
    p->timestamp =
        (struct text) {arena_printf(&m->arena, "%lld", (long long) row->time), at_line(line)};
    p->file = "x.yaml";
    p->depends_on = arena_array(&m->arena, struct plan_dep, 3);
    for (int i = 0; i < 3 && row->deps[i]; i++)
        make_dep(m, p, row->deps[i], line);
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++) {
        p->phases[i].present = releases[i] != NULL;
        if (releases[i])
            p->phases[i].release = (struct text) {releases[i], at_line(line)};
        else
            p->phases[i].none = (struct text) {"not needed", at_line(line)};
    }
}

static void make(struct made *m, const struct row *rows, int n)
{
    m->set.plans = arena_array(&m->arena, struct plan, n);
    m->set.n_plans = n;
    m->set.project.policy.one_phase_per_release = MODEL_UNSET;
    for (int i = 0; i < n; i++)
        make_plan(m, &m->set.plans[i], &rows[i], i);
}

static void show(const struct problem_list *problems)
{
    for (int i = 0; i < problems->n; i++) {
        AUTO(str) line = {0};
        problem_text(&line, &problems->items[i]);
        print_message("  %s\n", str_text(&line));
    }
}

static void assert_says(const struct problem_list *problems, const char *expected)
{
    for (int i = 0; i < problems->n; i++) {
        AUTO(str) line = {0};
        problem_text(&line, &problems->items[i]);
        if (strstr(str_text(&line), expected))
            return;
    }
    show(problems);
    fail_msg("no problem says: %s", expected);
}

/* ---- one set of plans at a time ---------------------------------------------------------------------- */

static void relations_are_checked(void **state)
{
    static const struct {
        struct row rows[3];
        const char *says[3]; /* none: there is no problem */
    } cases[] = {
        {{{"a", 1},
          {"b", 2, {"a/expand"}},
          {"c", 3, {"a/contract", "b/expand"}, {NULL, "4", "5", "6", "7"}}},
         {NULL}},
        {{{"a", 1}, {"a", 2}},
         {"plan \"a\" is also in x.yaml:1; expected an id that no other plan has"}},
        {{{"a", 5}, {"b", 5}}, {"timestamp 5 is also that of plan \"a\""}},
        {{{"orders", 1}, {"b", 2, {"order/expand"}}},
         {"no plan \"order\"; expected the id of a plan; did you mean \"orders\"?"}},
        {{{"orders", 1}, {"b", 2, {"zzz/expand"}}}, {"no plan \"zzz\"; expected the id of a plan"}},
        {{{"a", 2}, {"b", 1, {"a/expand"}}},
         {"plan \"a\" (2) is not earlier than \"b\" (1); expected a plan with an earlier "
          "timestamp"}},
        /* a phase that never comes */
        {{{"a", 1, {NULL}, {NULL, "1", "2", "3", NULL}},
          {"b", 2, {"a/contract"}, {NULL, "7", NULL, NULL, NULL}}},
         {"plan \"a\" has no phase contract: not needed"}},
        /* a phase that comes too late */
        {{{"a", 1}, {"b", 2, {"a/contract"}}},
         {"contract of plan \"a\" comes with release 4, after this plan has begun with 1"}},
        {{{"a", 1}, {"b", 2, {"a/contract"}, {NULL, "4", "5", "6", "7"}}}, {NULL}},
        {{{"a", 1}, {"b", 2, {"a/contract"}, {NULL, NULL, NULL, "3", "4"}}},
         {"contract of plan \"a\" comes with release 4, after this plan has begun with 3"}},
        /* cycles */
        {{{"a", 1, {"b/expand"}}, {"b", 2, {"a/expand"}}},
         {"the plans depend on each other: a -> b -> a", "plan \"b\" (2) is not earlier"}},
        {{{"a", 1, {"c/expand"}}, {"b", 2, {"a/expand"}}, {"c", 3, {"b/expand"}}},
         {"the plans depend on each other: a -> c -> b -> a"}},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(made) m = {0};
        int n = 0;

        while (n < 3 && cases[i].rows[n].id)
            n++;
        make(&m, cases[i].rows, n);
        plan_set_validate(&m.set, &m.problems);
        for (int k = 0; k < 3 && cases[i].says[k]; k++)
            assert_says(&m.problems, cases[i].says[k]);
        if (!cases[i].says[0] && m.problems.n > 0) {
            show(&m.problems);
            fail_msg("case %zu should have no problems", i);
        }
    }
}

static void validating_twice_says_it_once(void **state)
{
    static const struct row rows[] = {{"a", 1}, {"a", 2}};
    AUTO(made) m = {0};

    (void) state;
    make(&m, rows, 2);
    plan_set_validate(&m.set, &m.problems);
    int n = m.problems.n;
    assert_int_equal(n, 1);
    plan_set_validate(&m.set, &m.problems);
    assert_int_equal(m.problems.n, n);
}

/* Every way to give four phases releases out of three, or none: by definition, not by the code's idea. */
static void releases_ascend_over_the_phases(void **state)
{
    static const char *const versions[] = {NULL, "4.9.0", "4.10.0", "5.0.0"};

    (void) state;
    for (int strictly = 0; strictly < 2; strictly++)
        for (int code = 1; code < 256; code++) {
            struct row row = {"a", 1};
            int last = 0;
            bool expected = true;
            for (int p = PHASE_FIRST; p <= PHASE_LAST; p++) {
                int v = code >> 2 * (p - 1) & 3;
                row.releases[p] = versions[v];
                if (v == 0)
                    continue;
                expected = expected && (strictly ? v > last : v >= last);
                last = v;
            }
            AUTO(made) m = {0};
            make(&m, &row, 1);
            m.set.project.policy.one_phase_per_release = strictly ? MODEL_UNSET : 0;
            plan_set_validate(&m.set, &m.problems);
            if ((m.problems.n == 0) != expected) {
                show(&m.problems);
                fail_msg("code %x, strictly %d", (unsigned) code, strictly);
            }
        }
}

static void the_release_list_decides(void **state)
{
    static const struct row row = {"a", 1, {NULL}, {NULL, "spring", "autumn", "2", "1"}};
    struct release listed[] = {{.version = TEXT("spring")},
                               {.version = TEXT("autumn")},
                               {.version = TEXT("2")},
                               {.version = TEXT("1")}};
    AUTO(made) m = {0};

    (void) state;
    make(&m, &row, 1);
    m.set.project.releases = listed;
    m.set.project.n_releases = 4;
    plan_set_validate(&m.set, &m.problems);
    assert_int_equal(m.problems.n, 0);
    m.set.project.n_releases = 0;
    plan_set_validate(&m.set, &m.problems);
    assert_says(&m.problems, "contract has release 1, before write_activation with 2; expected "
                             "releases that ascend over the phases");
}

/* The one that is missing in the list is pointed at, and not the one that it seems to come after. */
static void a_release_that_is_not_listed_is_said(void **state)
{
    static const struct row row = {"a", 1, {NULL}, {NULL, "2.1.0", "2.2.0", "2.3.0", "2.5.0"}};
    struct release listed[] = {{.version = TEXT("2.1.0")},
                               {.version = TEXT("2.2.0")},
                               {.version = TEXT("2.4.0")},
                               {.version = TEXT("2.5.0")}};
    AUTO(made) m = {0};

    (void) state;
    make(&m, &row, 1);
    m.set.project.releases = listed;
    m.set.project.n_releases = 4;
    m.set.project.file = "phasegate.yaml";
    m.set.plans[0].phases[PHASE_WRITE_ACTIVATION].release.at.line = 77;
    plan_set_validate(&m.set, &m.problems);
    assert_says(&m.problems,
                "x.yaml:77:1: release 2.3.0 of write_activation isn't in releases:, so it comes "
                "after every one that is, and contract has 2.5.0; expected 2.3.0 in releases: of "
                "phasegate.yaml, before 2.5.0");
    assert_says(&m.problems, "did you mean \"2.");
}

static void one_release_for_two_phases_names_the_policy(void **state)
{
    static const struct row row = {"a", 1, {NULL}, {NULL, "1", "1", "2", "3"}};
    AUTO(made) m = {0};

    (void) state;
    make(&m, &row, 1);
    plan_set_validate(&m.set, &m.problems);
    assert_int_equal(m.problems.n, 1);
    assert_says(&m.problems, "dual_read has release 1, as expand; expected a later release for "
                             "each phase (policy one_phase_per_release)");
}

/* ---- order ------------------------------------------------------------------------------------------ */

static void order_is_by_dependency_then_time(void **state)
{
    /* The set as it shouldn't be, unsorted and with a dependency against time: the order still holds. */
    static const struct row rows[] = {{"d", 4},
                                      {"b", 2, {"c/expand"}},
                                      {"a", 1},
                                      {"c", 3, {"d/expand"}},
                                      {"e", 5, {"a/expand", "b/expand"}}};
    static const char *const expected[] = {"a", "d", "c", "b", "e"};
    const struct plan *out[COUNT(rows)];
    AUTO(made) m = {0};

    (void) state;
    make(&m, rows, COUNT(rows));
    plan_set_order(&m.set, out);
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(out[i]->id.s, expected[i]);
}

static void empty_set_has_no_order(void **state)
{
    AUTO(made) m = {0};

    (void) state;
    plan_set_validate(&m.set, &m.problems);
    plan_set_order(&m.set, NULL);
    assert_int_equal(m.problems.n, 0);
}

/* A chain that a recursive walk wouldn't survive, and quick enough to be no bother. */
static void long_chain_is_walked(void **state)
{
    enum { N = 20000 };
    AUTO(arena) arena = {0};
    struct row *rows = arena_array(&arena, struct row, N);
    const struct plan **out = arena_array(&arena, const struct plan *, N);
    AUTO(made) m = {0};

    (void) state;
    for (int i = 0; i < N; i++) {
        rows[i].id = arena_printf(&arena, "p%d", i);
        rows[i].time = i;
        if (i > 0)
            rows[i].deps[0] = arena_printf(&arena, "p%d/expand", i - 1);
    }
    make(&m, rows, N);
    plan_set_validate(&m.set, &m.problems);
    assert_int_equal(m.problems.n, 0);
    plan_set_order(&m.set, out);
    for (int i = 0; i < N; i++)
        assert_int_equal(out[i]->time, i);
    /* Closing the chain makes one cycle of all of them. */
    m.set.plans[0].n_depends_on = 0;
    make_dep(&m, &m.set.plans[0], "p19999/expand", 0);
    plan_set_validate(&m.set, &m.problems);
    assert_says(&m.problems, "the plans depend on each other: p0 -> p19999 -> p19998");
    assert_says(&m.problems, "p19991 -> (19989 more) -> p1 -> p0");
}

static void a_flag_is_of_one_plan(void **state)
{
    static const struct row rows[] = {{"b", 2}, {"a", 1}, {"c", 3}};
    static const struct {
        const char *keys[3][FLAG_ROLES]; /* by row */
        const char *says;                /* NULL: there is no problem */
    } cases[] = {
        {{{"b-read", "b-write"}, {"a-read", "a-write"}, {NULL, NULL}}, NULL},
        {{{"x", NULL}, {"x", NULL}, {NULL, NULL}},
         "flag \"x\" is also that of plan \"a\"; expected a flag that no other plan has"},
        {{{NULL, "x"}, {"y", NULL}, {"x", "y"}}, "flag \"y\" is also that of plan \"a\""},
        {{{NULL, "x"}, {"y", NULL}, {"x", "y"}}, "flag \"x\" is also that of plan \"b\""},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made m = {0};
        AUTO(problem_list) problems = {0};

        make(&m, rows, 3);
        for (int p = 0; p < 3; p++)
            for (int r = 0; r < FLAG_ROLES; r++)
                m.set.plans[p].flags[r].key =
                    (struct text) {cases[i].keys[p][r], at_line(m.set.plans[p].id.at.line)};
        plan_set_validate(&m.set, &problems);
        if (cases[i].says)
            assert_says(&problems, cases[i].says);
        else
            assert_int_equal(problems.n, 0);
        arena_free(&m.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relations_are_checked),
        cmocka_unit_test(a_flag_is_of_one_plan),
        cmocka_unit_test(validating_twice_says_it_once),
        cmocka_unit_test(releases_ascend_over_the_phases),
        cmocka_unit_test(the_release_list_decides),
        cmocka_unit_test(a_release_that_is_not_listed_is_said),
        cmocka_unit_test(one_release_for_two_phases_names_the_policy),
        cmocka_unit_test(order_is_by_dependency_then_time),
        cmocka_unit_test(empty_set_has_no_order),
        cmocka_unit_test(long_chain_is_walked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
