/* The worlds of one transition, from the database as it is. */
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

#define TWO_PLANS                                                                                  \
    {                                                                                              \
        .plans = {{"a",                                                                            \
                   {"t"},                                                                          \
                   {[E] = "2 s2", [R] = "3 r1", [W] = "4 r1", [C] = "6 d1"},                       \
                   .by = SYNC_TRIGGER},                                                            \
                  {"b", {"u"}, {[E] = "2 s1", [R] = "3 r1"}}},                                     \
        .listed = {                                                                                \
            "1",                                                                                   \
            "2",                                                                                   \
            "3",                                                                                   \
            "4",                                                                                   \
            "5",                                                                                   \
            "6",                                                                                   \
            "7"                                                                                    \
        }                                                                                          \
    }

static const enum stage nothing_done[] = {STAGE_PLANNED, STAGE_PLANNED};
static const enum stage b_expanded[] = {STAGE_PLANNED, STAGE_EXPAND_DONE};
static const enum stage both_expanded[] = {STAGE_EXPAND_DONE, STAGE_EXPAND_DONE};
static const enum stage b_reads[] = {STAGE_EXPAND_DONE, STAGE_DUAL_READ_RUNNING};
static const enum stage b_read_back[] = {STAGE_EXPAND_DONE, STAGE_EXPAND_DONE};
static const enum stage a_written[] = {STAGE_WRITE_ACTIVATION_DONE, STAGE_PURGED};
static const enum stage a_hidden[] = {STAGE_CONTRACT_DONE, STAGE_PURGED};
static const char *const b_flag[] = {"b-read"};
static const char *const live_1[] = {"1", "4"}, *const live_7[] = {"7"}, *const stranger[] = {"x"};

static const struct {
    const char *name;
    struct timeline_next next;
    const char *worlds;
} rows[] = {
    {"nobody looked: flags of other plans may say anything",
     {.plan = "a", .release = "2", .phase = E},
     "baseline 1 b-read\n"
     "expand 1 b-read\n"
     "expand 1 b-read\n"
     "expand 1 b-read\n"
     "rolling 1..2 b-read\n"},
    {"another expand of the release is to come: nobody rolls it out yet",
     {.plan = "a", .release = "2", .phase = E, .stages = nothing_done},
     "baseline 1\n"
     "expand 1\n"
     "expand 1\n"
     "expand 1\n"},
    {"the last expand of the release",
     {.plan = "a", .release = "2", .phase = E, .stages = b_expanded},
     "baseline 1\n"
     "expand 1\n"
     "expand 1\n"
     "expand 1\n"
     "rolling 1..2\n"},
    {"a flag that is up before its rollout",
     {.plan = "a", .release = "2", .phase = E, .stages = b_expanded, .up = b_flag, .n_up = 1},
     "baseline 1 b-read\n"
     "expand 1 b-read\n"
     "expand 1 b-read\n"
     "expand 1 b-read\n"
     "rolling 1..2 b-read\n"},
    {"flags of a rollout that has begun may say either",
     {.plan = "a", .release = "3", .phase = R, .stages = b_reads},
     "baseline 2..3 b-read\n"
     "flags 2..3 a-read b-read\n"},
    {"flags of a rollout that was taken back have their safe value",
     {.plan = "a", .release = "3", .phase = R, .stages = b_read_back},
     "baseline 2..3\n"
     "flags 2..3 a-read\n"},
    {"contract, with an old release still live",
     {.plan = "a", .release = "6", .phase = C, .stages = a_written, .live = live_1, .n_live = 2},
     "baseline 1..6 a-read a-write b-read\n"
     "contract 1..6 a-read a-write b-read\n"},
    {"a live release that nobody lists",
     {.plan = "a", .release = "3", .phase = R, .stages = both_expanded, .live = stranger, 1},
     "baseline 2..3\n"
     "flags 2..3 a-read\n"},
    {"purge, releases later",
     {.plan = "a",
      .release = "6",
      .phase = C,
      .is_purge = true,
      .stages = a_hidden,
      .live = live_7,
      .n_live = 1},
     "baseline 5..7 a-read a-write b-read\n"
     "purged 5..7 a-read a-write b-read\n"
     "purged 5..7 a-read a-write b-read\n"},
};

/* "kind oldest..newest flags": a world in a line. */
static const char *text_of(struct arena *a, const struct timeline *t)
{
    AUTO(str) s = {0};

    for (int i = 0; i < t->n_worlds; i++) {
        const struct timeline_world *w = &t->worlds[i];

        str_addf(&s, "%s %s", world_kind_word(w->kind), t->releases[w->oldest].version);
        if (w->newest > w->oldest)
            str_addf(&s, "..%s", t->releases[w->newest].version);
        for (int f = 0; f < t->n_flags; f++)
            if (w->either[f])
                str_addf(&s, " %s", t->flags[f]);
        str_add(&s, "\n");
    }
    return arena_strdup(a, str_text(&s));
}

static void test_worlds_are_those(void **state)
{
    static const struct build_project project = TWO_PLANS;

    (void) state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(made) m = {0};
        struct timeline_options o = {.window = 1};

        build_set(&project, &m.set);
        timeline_build_next(&m.set.arena, &m.set, &o, &rows[i].next, &m.t);
        const char *got = text_of(&m.set.arena, &m.t);
        CHECK(strcmp(got, rows[i].worlds) == 0, "%s:\n%s\nexpected:\n%s", rows[i].name, got,
              rows[i].worlds);
    }
}

/* Whatever was seen, what is proved without looking is never less. */
static void test_looking_only_narrows_flags(void **state)
{
    static const struct build_project project = TWO_PLANS;
    struct timeline_options o = {.window = 1};

    (void) state;
    for (int s = 0; s < STAGE_COUNT; s++) {
        AUTO(made) blind = {0};
        AUTO(made) seeing = {0};
        const enum stage stages[] = {STAGE_EXPAND_DONE, (enum stage) s};
        struct timeline_next next = {.plan = "a", .release = "3", .phase = R};

        build_set(&project, &blind.set);
        build_set(&project, &seeing.set);
        timeline_build_next(&blind.set.arena, &blind.set, &o, &next, &blind.t);
        next.stages = stages;
        timeline_build_next(&seeing.set.arena, &seeing.set, &o, &next, &seeing.t);
        assert_int_equal(seeing.t.n_worlds, blind.t.n_worlds);
        int f = timeline_flag_index(&seeing.t, "b-read");
        for (int w = 0; w < seeing.t.n_worlds; w++) {
            assert_true(blind.t.worlds[w].either[f]);
            assert_int_equal(seeing.t.worlds[w].either[f], stage_phase((enum stage) s) >= R);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worlds_are_those),
        cmocka_unit_test(test_looking_only_narrows_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
