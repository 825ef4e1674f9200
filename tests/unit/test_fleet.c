/* Fleets: members, waves, whose turn it is, and which exit code speaks for all. */
#include "phasegate/fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void through(const char *const *waves, int n_waves, int n, const int *expected)
{
    struct text items[4];
    struct database_decl d = {.waves = {.items = items, .n = n_waves}};

    for (int i = 0; i < n_waves; i++)
        items[i] = (struct text) {.s = waves[i]};
    for (int i = 0; i <= n_waves; i++)
        assert_int_equal(fleet_through(&d, i, n), expected[i]);
}

static void waves_count_who_is_through(void **state)
{
    (void) state;
    through((const char *const[]) {"1", "25%", "100%"}, 3, 10, (int[]) {1, 3, 10, 10});
    through((const char *const[]) {"1", "25%", "100%"}, 3, 2, (int[]) {1, 1, 2, 2});
    through((const char *const[]) {"2", "1"}, 2, 5, (int[]) {2, 2, 5});
    through((const char *const[]) {"0.5%"}, 1, 3, (int[]) {1, 3});
    through((const char *const[]) {"99", "50%"}, 2, 3, (int[]) {3, 3, 3});
    through(NULL, 0, 7, (int[]) {7});
}

static void a_fleet_becomes_its_members(void **state)
{
    (void) state;
    AUTO(arena) a = {0};
    struct text urls[] = {{.s = "x"}, {.s = "y"}};
    struct database_decl all[] = {{.name = {.s = "default"}, .url = {.s = "d"}},
                                  {.name = {.s = "shards"}, .urls = {.items = urls, .n = 2}}};
    struct environment e = {.databases = all, .n_databases = 2};
    const struct environment *out = fleet_members(&a, &e);

    assert_int_equal(out->n_databases, 3);
    assert_string_equal(out->databases[0].name.s, "default");
    assert_null(out->databases[0].fleet);
    assert_string_equal(out->databases[2].name.s, "shards/2");
    assert_string_equal(out->databases[2].url.s, "y");
    assert_ptr_equal(out->databases[2].fleet, &all[1]);
    e.n_databases = 1;
    assert_ptr_equal(fleet_members(&a, &e), &e);
    all[0] = all[1];
    all[0].urls.n = 1;
    assert_string_equal(fleet_members(&a, &e)->databases[0].name.s, "shards/1");
}

static void those_behind_catch_up(void **state)
{
    (void) state;
    struct plan p = {0};
    bool turn[3];

    p.phases[PHASE_EXPAND].present = p.phases[PHASE_DUAL_READ].present = true;
    p.phases[PHASE_CONTRACT].present = true;
    static const enum stage level[] = {STAGE_EXPAND_DONE, STAGE_EXPAND_DONE,
                                       STAGE_DUAL_READ_RUNNING};
    assert_true(fleet_whose_turn(&p, level, 3, false, turn));
    assert_true(turn[0] && turn[1] && turn[2]);
    assert_true(fleet_whose_turn(&p, level, 3, true, turn));
    assert_true(!turn[0] && !turn[1] && turn[2]);
    static const enum stage behind[] = {STAGE_PLANNED, STAGE_EXPAND_DONE, STAGE_EXPAND_RUNNING};
    assert_true(fleet_whose_turn(&p, behind, 3, false, turn));
    assert_true(turn[0] && !turn[1] && turn[2]);
    /* What is absent is no distance. */
    static const enum stage passed[] = {STAGE_WRITE_ACTIVATION_DONE, STAGE_DUAL_READ_DONE,
                                        STAGE_WRITE_ACTIVATION_DONE};
    assert_true(fleet_whose_turn(&p, passed, 3, false, turn));
    assert_true(turn[0] && turn[1] && turn[2]);
    static const enum stage apart[] = {STAGE_PLANNED, STAGE_DUAL_READ_DONE, STAGE_DUAL_READ_DONE};
    assert_false(fleet_whose_turn(&p, apart, 3, false, turn));
}

static void the_gravest_speaks(void **state)
{
    (void) state;
    static const int order[] = {0, 1, 2, 4, 6, 3, 5, 130, 7};

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        for (size_t k = 0; k <= i; k++) {
            assert_int_equal(fleet_graver(order[k], order[i]), order[i]);
            assert_int_equal(fleet_graver(order[i], order[k]), order[i]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waves_count_who_is_through),
        cmocka_unit_test(a_fleet_becomes_its_members),
        cmocka_unit_test(those_behind_catch_up),
        cmocka_unit_test(the_gravest_speaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
