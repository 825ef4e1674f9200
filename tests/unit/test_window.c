/* Which releases may run: by table, and over all stages of a plan. */
#include "phasegate/window.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct release releases[] = {
    {.version.s = "4.1"}, {.version.s = "4.2"}, {.version.s = "4.3"}, {.version.s = "4.4"},
    {.version.s = "4.5"}, {.version.s = "4.6"}, {.version.s = "4.10"}};
static const struct project project = {.releases = releases, .n_releases = ROWS(releases)};

static struct plan plan_of(enum sync_by by)
{
    struct plan p = {.id.s = "widen", .sync.by = by};

    p.phases[PHASE_EXPAND] = (struct phase_plan) {.present = true, .release.s = "4.2"};
    p.phases[PHASE_DUAL_READ] = (struct phase_plan) {.present = true, .release.s = "4.3"};
    p.phases[PHASE_WRITE_ACTIVATION] = (struct phase_plan) {.present = true, .release.s = "4.4"};
    p.phases[PHASE_CONTRACT] = (struct phase_plan) {.present = true, .release.s = "4.6"};
    return p;
}

static void check_window(const struct window *w, const char *oldest, const char *below,
                         const char *where)
{
    CHECK(!w->oldest == !oldest && (!oldest || strcmp(w->oldest, oldest) == 0),
          "%s: oldest is %s, not %s", where, w->oldest ? w->oldest : "none",
          oldest ? oldest : "none");
    CHECK(!w->below == !below && (!below || strcmp(w->below, below) == 0),
          "%s: below is %s, not %s", where, w->below ? w->below : "none", below ? below : "none");
    CHECK(!w->oldest == !w->oldest_why && !w->below == !w->below_why,
          "%s: a limit without a reason", where);
}

static void test_one_plan_stage_by_stage(void **state)
{
    (void) state;
    static const struct {
        enum stage stage;
        const char *oldest, *oldest_written,
            *below; /* oldest_written: by application, with writes on the new shape */
    } rows[STAGE_COUNT] = {
        {STAGE_PLANNED, NULL, NULL, "4.2"},
        {STAGE_EXPAND_RUNNING, NULL, NULL, "4.2"},
        {STAGE_EXPAND_DONE, NULL, NULL, NULL},
        {STAGE_EXPAND_UNDOING, NULL, NULL, "4.2"},
        {STAGE_DUAL_READ_RUNNING, NULL, NULL, NULL},
        {STAGE_DUAL_READ_DONE, NULL, NULL, NULL},
        {STAGE_DUAL_READ_UNDOING, NULL, NULL, NULL},
        {STAGE_WRITE_ACTIVATION_RUNNING, NULL, "4.3", NULL},
        {STAGE_WRITE_ACTIVATION_DONE, NULL, "4.3", NULL},
        {STAGE_WRITE_ACTIVATION_UNDOING, NULL, "4.3", NULL},
        {STAGE_CONTRACT_RUNNING, "4.5", "4.5", NULL},
        {STAGE_CONTRACT_DONE, "4.5", "4.5", NULL},
        {STAGE_CONTRACT_UNDOING, "4.5", "4.5", NULL},
        {STAGE_PURGING, "4.5", "4.5", NULL},
        {STAGE_PURGED, "4.5", "4.5", NULL},
    };

    for (int i = 0; i < STAGE_COUNT; i++)
        for (int by = SYNC_NONE; by <= SYNC_APPLICATION; by++)
            for (int written = 0; written < 2; written++) {
                struct plan p = plan_of((enum sync_by) by);
                struct window_plan wp = {
                    .plan = &p, .stage = rows[i].stage, .first_write_rung = written};
                struct window w;
                AUTO(arena) a = {0};
                assert_int_equal(rows[i].stage, i);
                window_compute(&a, &project, 1, &wp, 1, &w);
                bool one_sided = written && by != SYNC_TRIGGER;
                check_window(&w, one_sided ? rows[i].oldest_written : rows[i].oldest, rows[i].below,
                             stage_word(rows[i].stage));
            }
}

/* Whatever one plan does, some release may run: the floor never meets the ceiling. */
static void test_a_plan_never_shuts_everything_out(void **state)
{
    (void) state;
    for (int s = 0; s < STAGE_COUNT; s++)
        for (int by = SYNC_NONE; by <= SYNC_APPLICATION; by++)
            for (int written = 0; written < 2; written++)
                for (int absent = 0; absent < 16; absent++)
                    for (int64_t window = 0; window < 4; window++) {
                        struct plan p = plan_of((enum sync_by) by);
                        struct window_plan wp = {
                            .plan = &p, .stage = (enum stage) s, .first_write_rung = written};
                        struct window w;
                        AUTO(arena) a = {0};
                        int allowed = 0;
                        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
                            if (absent >> (ph - 1) & 1)
                                p.phases[ph] = (struct phase_plan) {.none.s = "not needed"};
                        window_compute(&a, &project, window, &wp, 1, &w);
                        for (int r = 0; r < project.n_releases; r++) {
                            const char *reason, *why;
                            allowed +=
                                window_allows(&project, &w, releases[r].version.s, &reason, &why);
                        }
                        CHECK(allowed > 0, "no release may run at %s", stage_word((enum stage) s));
                    }
}

static void test_how_far_back_a_contract_goes(void **state)
{
    (void) state;
    static const struct {
        const char *contract;
        int64_t window;
        const char *oldest;
    } rows[] = {
        {"4.6", 0, "4.6"},  {"4.6", 1, "4.5"}, {"4.6", 3, "4.3"},
        {"4.6", 5, "4.1"},  {"4.6", 6, "4.1"}, /* all that are listed */
        {"4.10", 1, "4.6"},                    /* by the list, not by number or text */
        {"9.9", 1, "9.9"}, /* not listed: nothing is known of what came before */
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct plan p = plan_of(SYNC_TRIGGER);
        struct window_plan wp = {.plan = &p, .stage = STAGE_CONTRACT_DONE};
        struct window w;
        AUTO(arena) a = {0};
        p.phases[PHASE_CONTRACT].release.s = rows[i].contract;
        window_compute(&a, &project, rows[i].window, &wp, 1, &w);
        check_window(&w, rows[i].oldest, NULL, rows[i].contract);
    }
}

static void test_plans_without_some_phases(void **state)
{
    (void) state;
    struct window w;
    AUTO(arena) a = {0};

    /* A plan that ends without a contract: the old column stays, and still nobody but the application keeps it up. */
    struct plan p = plan_of(SYNC_APPLICATION);
    p.phases[PHASE_CONTRACT] = (struct phase_plan) {.none.s = "the old column stays"};
    struct window_plan wp = {.plan = &p, .stage = STAGE_PURGED, .first_write_rung = true};
    window_compute(&a, &project, 1, &wp, 1, &w);
    check_window(&w, "4.3", NULL, "no contract");

    p.phases[PHASE_DUAL_READ] = (struct phase_plan) {.none.s = "nothing is read"};
    window_compute(&a, &project, 1, &wp, 1, &w);
    check_window(&w, "4.4", NULL, "no dual_read");

    p.phases[PHASE_WRITE_ACTIVATION] = (struct phase_plan) {.none.s = "nothing is written"};
    window_compute(&a, &project, 1, &wp, 1, &w);
    check_window(&w, NULL, NULL, "no write_activation");

    p = plan_of(SYNC_TRIGGER);
    p.phases[PHASE_EXPAND] = (struct phase_plan) {.none.s = "it is there"};
    wp = (struct window_plan) {.plan = &p, .stage = STAGE_PLANNED};
    window_compute(&a, &project, 1, &wp, 1, &w);
    check_window(&w, NULL, NULL, "no expand");

    window_compute(&a, &project, 1, NULL, 0, &w);
    check_window(&w, NULL, NULL, "no plans");
}

static void test_several_plans(void **state)
{
    (void) state;
    struct plan early = plan_of(SYNC_TRIGGER), late = plan_of(SYNC_TRIGGER);
    struct window w;
    AUTO(arena) a = {0};

    early.id.s = "early";
    early.phases[PHASE_CONTRACT].release.s = "4.5";
    late.id.s = "late";
    late.phases[PHASE_EXPAND].release.s = "4.10";
    /* The strictest of each, and the reason names the plan, whatever the order. */
    struct window_plan both[][2] = {
        {{&early, STAGE_CONTRACT_DONE, false}, {&late, STAGE_PLANNED, false}},
        {{&late, STAGE_PLANNED, false}, {&early, STAGE_CONTRACT_DONE, false}},
    };
    for (size_t i = 0; i < ROWS(both); i++) {
        window_compute(&a, &project, 1, both[i], 2, &w);
        check_window(&w, "4.4", "4.10", "early and late");
        assert_non_null(strstr(w.oldest_why, "plan early"));
        assert_non_null(strstr(w.below_why, "plan late"));
    }
    /* Two floors: the higher; two ceilings: the lower; whatever the order. */
    late = plan_of(SYNC_TRIGGER);
    late.id.s = "late";
    late.phases[PHASE_EXPAND].release.s = "4.6";
    for (int swap = 0; swap < 2; swap++) {
        struct window_plan floors[2], ceilings[2];
        floors[swap] = (struct window_plan) {&early, STAGE_PURGED, false};
        floors[!swap] = (struct window_plan) {&late, STAGE_CONTRACT_RUNNING, false};
        window_compute(&a, &project, 1, floors, 2, &w);
        check_window(&w, "4.5", NULL, "two floors");
        assert_non_null(strstr(w.oldest_why, "plan late"));
        ceilings[swap] = (struct window_plan) {&early, STAGE_PLANNED, false};
        ceilings[!swap] = (struct window_plan) {&late, STAGE_PLANNED, false};
        window_compute(&a, &project, 1, ceilings, 2, &w);
        check_window(&w, NULL, "4.2", "two ceilings");
        assert_non_null(strstr(w.below_why, "plan early"));
    }
    /* Of equals the first is named. */
    early = late;
    early.id.s = "early";
    struct window_plan equals[] = {{&early, STAGE_CONTRACT_DONE, false},
                                   {&late, STAGE_CONTRACT_DONE, false}};
    window_compute(&a, &project, 1, equals, 2, &w);
    assert_non_null(strstr(w.oldest_why, "plan early"));
}

/* Seen up before its turn: the floor rises as after the first rung, and a trigger keeps both sides equal. */
static void test_a_write_flag_that_is_up(void **state)
{
    (void) state;
    for (int by = SYNC_NONE; by <= SYNC_APPLICATION; by++) {
        struct plan p = plan_of((enum sync_by) by);
        struct window_plan wp = {.plan = &p, .stage = STAGE_DUAL_READ_DONE, .write_is_up = true};
        struct window w;
        AUTO(arena) a = {0};
        window_compute(&a, &project, 1, &wp, 1, &w);
        check_window(&w, by == SYNC_TRIGGER ? NULL : "4.3", NULL, "a write flag that is up");
    }
}

static void test_allows(void **state)
{
    (void) state;
    static const struct window w = {
        .oldest = "4.3", .oldest_why = "floor", .below = "4.6", .below_why = "ceiling"};
    static const struct {
        const char *version, *reason, *why;
    } rows[] = {
        {"4.1", "older_than_window", "floor"},
        {"4.2", "older_than_window", "floor"},
        {"4.3", NULL, NULL},
        {"4.5", NULL, NULL},
        {"4.6", "expand_missing", "ceiling"},
        {"4.10", "expand_missing", "ceiling"},
        {"5.0", "expand_missing", "ceiling"}, /* not listed: newer than all that are */
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        const char *reason = "unset", *why = "unset";
        bool may = window_allows(&project, &w, rows[i].version, &reason, &why);
        CHECK(may == !rows[i].reason, "%s", rows[i].version);
        if (may) {
            assert_null(reason);
            assert_null(why);
        } else {
            assert_string_equal(reason, rows[i].reason);
            assert_string_equal(why, rows[i].why);
        }
    }
    static const struct window open_window;
    const char *reason, *why;
    assert_true(window_allows(&project, &open_window, "4.1", &reason, &why));
    assert_true(window_allows(&project, &open_window, "never heard of", &reason, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_plan_stage_by_stage),
        cmocka_unit_test(test_a_plan_never_shuts_everything_out),
        cmocka_unit_test(test_how_far_back_a_contract_goes),
        cmocka_unit_test(test_plans_without_some_phases),
        cmocka_unit_test(test_several_plans),
        cmocka_unit_test(test_a_write_flag_that_is_up),
        cmocka_unit_test(test_allows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
