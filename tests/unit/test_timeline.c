/* The worlds that plans and releases can meet: small projects with their worlds spelled out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "timeline_life.h"

#define E PHASE_EXPAND
#define R PHASE_DUAL_READ
#define W PHASE_WRITE_ACTIVATION
#define C PHASE_CONTRACT

static const struct {
    const char *name;
    struct build_project project;
    int window;
    const char *worlds;
} rows[] = {
    {"nothing but releases",
     {.listed = {"1", "2", "3"}},
     1,
     "baseline 1\n"
     "rolling 1..2\n"
     "rolling 2..3\n"},
    {"no releases, no plans", {.listed = {NULL}}, 1, "baseline -\n"},
    {"one plan, four phases, a release between",
     {.plans = {{"a",
                 {"t"},
                 {[E] = "2 s2", [R] = "3 r2", [W] = "4 b1 r2", [C] = "6 d1"},
                 .by = SYNC_TRIGGER}},
      .listed = {"1", "2", "3", "4", "5", "6"}},
     1,
     "baseline 1 a0\n"
     "expand 1 a1\n"
     "expand 1 a2\n"
     "expand 1 a3\n"
     "rolling 1..2 a3\n"
     "rolling 2..3 a3\n"
     "flags 2..3 a3 a-read\n"
     "rolling 3..4 a3 a-read\n"
     "flags 3..4 a4 a-read\n"
     "flags 3..4 a4 a-read a-write\n"
     "rolling 4..5 a4 a-read a-write\n"
     "rolling 5..6 a4 a-read a-write\n"
     "contract 5..6 a5 a-read a-write\n"
     "restored 5..6 a4 a-read a-write\n"
     "purged 5..6 a6 a-read a-write\n"
     "purged 5..6 a7 a-read a-write\n"},
    {"a window of two",
     {.plans = {{"a", {"t"}, {[E] = "3 s1", [C] = "5 d1"}}}, .listed = {"1", "2", "3", "4", "5"}},
     2,
     "baseline 1 a0\n"
     "rolling 1..2 a0\n"
     "expand 1..2 a1\n"
     "rolling 1..3 a1\n"
     "rolling 2..4 a1\n"
     "rolling 3..5 a1\n"
     "contract 3..5 a2\n"
     "restored 3..5 a1\n"
     "purged 3..5 a3\n"},
    {"the oldest release that is known needs what expand brings",
     {.plans = {{"a", {"t"}, {[E] = "1 s1", [R] = "2 r1"}}}, .listed = {"1", "2"}},
     1,
     "baseline - a0\n"
     "expand - a1\n"
     "rolling 1 a1\n"
     "rolling 1..2 a1\n"
     "flags 1..2 a1 a-read\n"},
    {"two plans that share no table don't meet",
     {.plans = {{"a", {"t"}, {[E] = "2 s2"}}, {"b", {"u"}, {[E] = "2 s1"}}}, .listed = {"1", "2"}},
     1,
     "baseline 1 a0 b0\n"
     "expand 1 a1 b0\n"
     "expand 1 a2 b0\n"
     "expand 1 a2 b1\n"
     "rolling 1..2 a2 b1\n"},
    {"two plans that share a table may be anywhere to one another",
     {.plans = {{"a", {"t"}, {[E] = "2 s2"}}, {"b", {"u", "t"}, {[E] = "2 s2"}}},
      .listed = {"1", "2"}},
     1,
     "baseline 1 a0 b0\n"
     "expand 1 a1 b0\n"
     "expand 1 a2 b0\n"
     "expand 1 a2 b1\n"
     "expand 1 a2 b2\n"
     "expand 1 a1 b1\n"
     "expand 1 a1 b2\n"
     "expand 1 a0 b1\n"
     "expand 1 a0 b2\n"
     "rolling 1..2 a2 b2\n"},
    {"one waits for the other",
     {.plans = {{"a", {"t"}, {[E] = "2 s2"}}, {"b", {"t"}, {[E] = "2 s1"}, {"a/expand"}}},
      .listed = {"1", "2"}},
     1,
     "baseline 1 a0 b0\n"
     "expand 1 a1 b0\n"
     "expand 1 a2 b0\n"
     "expand 1 a2 b1\n"
     "rolling 1..2 a2 b1\n"},
    {"a purge beside another plan's contract",
     {.plans = {{"a", {"t"}, {[C] = "2 d1"}}, {"b", {"t"}, {[C] = "2 s1"}}}, .listed = {"1", "2"}},
     1,
     "baseline 1 a0 b0\n"
     "rolling 1..2 a0 b0\n"
     "contract 1..2 a1 b0\n"
     "restored 1..2 a0 b0\n"
     "purged 1..2 a2 b0\n"
     "contract 1..2 a2 b1\n"
     "contract 1..2 a1 b1\n"
     "contract 1..2 a0 b1\n"},
    {"a flag takes no state, and needs no world where one has more",
     {.plans = {{"a", {"t"}, {[R] = "2 s1 r1"}}, {"b", {"t"}, {[R] = "2 s1 r1"}}},
      .listed = {"1", "2"}},
     1,
     "baseline 1 a0 b0\n"
     "rolling 1..2 a0 b0\n"
     "flags 1..2 a1 b0\n"
     "flags 1..2 a1 b0 a-read\n"
     "flags 1..2 a1 b1 a-read\n"
     "flags 1..2 a1 b1 a-read b-read\n"
     "flags 1..2 a0 b1\n"
     "flags 1..2 a0 b1 b-read\n"},
    {"a plan that touches no table meets nobody",
     {.plans = {{"a", {"t"}, {[R] = "2 r1"}}, {"b", {"t"}, {[R] = "2 s1 r1"}}},
      .listed = {"1", "2"}},
     1,
     "baseline 1 a0 b0\n"
     "rolling 1..2 a0 b0\n"
     "flags 1..2 a0 b0 a-read\n"
     "flags 1..2 a0 b1 a-read\n"
     "flags 1..2 a0 b1 a-read b-read\n"},
    {"two that meet, and a third that doesn't",
     {.plans = {{"a", {"t"}, {[E] = "2 s1"}},
                {"b", {"u"}, {[E] = "2 s1"}},
                {"c", {"t"}, {[E] = "2 s1"}}},
      .listed = {"1", "2"}},
     1,
     "baseline 1 a0 b0 c0\n"
     "expand 1 a1 b0 c0\n"
     "expand 1 a1 b0 c1\n"
     "expand 1 a0 b0 c1\n"
     "expand 1 a1 b1 c1\n"
     "rolling 1..2 a1 b1 c1\n"},
    {"releases that only a plan names, a planned one, and a consumer",
     {.plans = {{"a", {"t"}, {[E] = "1.5 s1", [R] = "3 r1"}}},
      .listed = {"1", "2?"},
      .consumers = {"reports"}},
     1,
     "baseline 1 a0\n"
     "rolling 1..2 a0\n"
     "expand 2 a1\n"
     "rolling 2..1.5 a1\n"
     "rolling 1.5..3 a1\n"
     "flags 1.5..3 a1 a-read\n"},
    {"all phases in one release, no contract",
     {.plans = {{"a", {"t"}, {[E] = "2 s1", [R] = "2 r1", [W] = "2 r1 f1"}}}, .listed = {"1", "2"}},
     1,
     "baseline 1 a0\n"
     "expand 1 a1\n"
     "rolling 1..2 a1\n"
     "flags 1..2 a1 a-read\n"
     "flags 1..2 a1 a-read a-write\n"
     "flags 1..2 a2 a-read a-write\n"},
    {"reads that wait for writes; a drop that waits for the purge",
     {.plans = {{"a",
                 {"t"},
                 {[R] = "2 s1 r1", [W] = "3 r1 b1", [C] = "4 p1 s1"},
                 .by = SYNC_APPLICATION}},
      .listed = {"1", "2", "3", "4"}},
     1,
     "baseline 1 a0\n"
     "rolling 1..2 a0\n"
     "flags 1..2 a1\n"
     "rolling 2..3 a1\n"
     "flags 2..3 a1 a-write\n"
     "flags 2..3 a2 a-write\n"
     "flags 2..3 a2 a-read a-write\n"
     "rolling 3..4 a2 a-read a-write\n"
     "contract 3..4 a3 a-read a-write\n"
     "purged 3..4 a4 a-read a-write\n"},
};

static void test_worlds_are_those(void **state)
{
    (void) state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(made) m = {0};

        make(&m, &rows[i].project, rows[i].window);
        const char *got = worlds_text(&m);
        CHECK(strcmp(got, rows[i].worlds) == 0, "%s:\n%s\nexpected:\n%s", rows[i].name, got,
              rows[i].worlds);
        assert_int_equal(m.t.n_cut, 0);
    }
}

static void test_releases_are_told_apart(void **state)
{
    static const struct build_project project = {
        .plans = {{"a", {"t"}, {[E] = "2.5 s1"}}},
        .listed = {"1", "2", "3?"},
        .consumers = {"reports", "audit"},
    };
    AUTO(made) m = {0};

    (void) state;
    make(&m, &project, 1);
    const struct timeline_release *r = m.t.releases;
    assert_int_equal(m.t.n_releases, 4);
    assert_int_equal(m.t.n_consumers, 2);
    assert_string_equal(r[3].version, "2.5"); /* a listed one comes before one that isn't */
    assert_false(r[0].is_projected);
    assert_true(r[2].is_projected && r[2].listed);
    assert_true(r[3].is_projected && !r[3].listed);
    assert_true(r[4].is_consumer && r[5].is_consumer && !r[4].is_projected);
    for (int w = 0; w < m.t.n_worlds; w++) {
        assert_true(world_has_release(&m.t, &m.t.worlds[w], 4));
        assert_true(world_has_release(&m.t, &m.t.worlds[w], 5));
    }
    assert_int_equal(timeline_release_index(&m.t, "2.5"), 3);
    assert_int_equal(timeline_release_index(&m.t, "reports"), -1);
    assert_int_equal(timeline_flag_index(&m.t, "a-write"), 1);
    assert_int_equal(timeline_flag_index(&m.t, "other"), -1);
}

static void test_states_have_names(void **state)
{
    static const struct build_project project = {
        .plans = {{"a", {"t"}, {[E] = "2 s1", [C] = "3 d1"}}}, .listed = {"1", "2", "3"}};
    static const char *const titles[] = {"baseline", "step1 (expand of a)", "drop1 (contract of a)",
                                         "restored (contract of a)", "purge/drop1 (purge of a)"};
    AUTO(made) m = {0};

    (void) state;
    make(&m, &project, 1);
    assert_int_equal(m.t.n_states, ROWS(titles));
    for (int i = 0; i < m.t.n_states; i++)
        assert_string_equal(state_title(&m.set.arena, &m.t, i), titles[i]);
}

/* Where more than can be enumerated could happen, it's said. */
static void test_too_much_is_counted(void **state)
{
    static const struct build_project project = {
        .plans = {{"a", {"t"}, {[E] = "2 s9"}},
                  {"b", {"t"}, {[E] = "2 s9"}},
                  {"c", {"t"}, {[E] = "2 s9"}}},
        .listed = {"1", "2"},
    };
    AUTO(made) m = {0};

    (void) state;
    make(&m, &project, 1);
    assert_true(m.t.n_cut > 0);
    assert_true(m.t.n_worlds < 1000);
}

/* Pairs that don't meet cost their sum and not their product. */
static void test_pairs_are_apart(void **state)
{
    static const struct build_project project = {
        .plans = {{"a", {"t"}, {[E] = "2 s7"}},
                  {"b", {"t"}, {[E] = "2 s7"}},
                  {"c", {"u"}, {[E] = "2 s7"}},
                  {"d", {"u"}, {[E] = "2 s7"}}},
        .listed = {"1", "2"},
    };
    AUTO(made) m = {0};

    (void) state;
    make(&m, &project, 1);
    assert_int_equal(m.t.n_cut, 0);
    assert_int_equal(m.t.n_states, 1 + 2 * (8 * 8 - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worlds_are_those),  cmocka_unit_test(test_releases_are_told_apart),
        cmocka_unit_test(test_states_have_names), cmocka_unit_test(test_too_much_is_counted),
        cmocka_unit_test(test_pairs_are_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
