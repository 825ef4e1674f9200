#include "phasegate/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void phases_have_words(void **state)
{
    static const char *const words[] = {"expand", "dual_read", "write_activation", "contract"};

    (void) state;
    for (int p = PHASE_FIRST; p <= PHASE_LAST; p++) {
        assert_string_equal(phase_word((enum phase) p), words[p - 1]);
        assert_int_equal(phase_from_word(words[p - 1]), p);
    }
    assert_int_equal(phase_from_word("none"), PHASE_NONE);
    assert_int_equal(phase_from_word("Expand"), PHASE_NONE);
    assert_int_equal(phase_from_word(NULL), PHASE_NONE);
    assert_string_equal(phase_word((enum phase) 99), "?");
}

static void other_words(void **state)
{
    (void) state;
    assert_string_equal(sql_class_word(SQL_ADDITIVE), "additive");
    assert_string_equal(sql_class_word(SQL_UNKNOWN), "unknown");
    assert_string_equal(lock_mode_word(LOCK_NONE), "none");
    assert_string_equal(lock_mode_word(LOCK_SUE), "SHARE UPDATE EXCLUSIVE");
    assert_string_equal(lock_mode_word(LOCK_AE), "ACCESS EXCLUSIVE");
    assert_string_equal(gate_kind_word(GATE_HTTP), "http");
    assert_string_equal(gate_kind_word(GATE_REHEARSAL), "rehearsal");
    assert_string_equal(gate_kind_word(GATE_BACKUP), "backup");
    assert_string_equal(flag_role_word(FLAG_WRITE), "write");
    assert_string_equal(sync_by_word(SYNC_COHORT), "cohort");
    assert_string_equal(sync_by_word(SYNC_NONE), "none");
}

/* ---- conditions ------------------------------------------------------------------------------------ */

static void conditions_parse(void **state)
{
    static const struct {
        const char *s;
        enum cond_op op;
        const char *value;
        bool numeric;
        double number;
    } good[] = {
        {"= 0", COND_EQ, "0", true, 0},
        {"=0", COND_EQ, "0", true, 0},
        {"!= 12", COND_NE, "12", true, 12},
        {"< 0.01", COND_LT, "0.01", true, 0.01},
        {"<= -5", COND_LE, "-5", true, -5},
        {"> 1e3", COND_GT, "1e3", true, 1000},
        {">= 14", COND_GE, "14", true, 14},
        {"= ok", COND_EQ, "ok", false, 0},
        {"= two words", COND_EQ, "two words", false, 0},
        {"!= 0x10", COND_NE, "0x10", false, 0},
        {"= inf", COND_EQ, "inf", false, 0},
        {"= 1.2.3", COND_EQ, "1.2.3", false, 0},
        {"unchanged", COND_UNCHANGED, NULL, false, 0},
        {"true", COND_TRUE, NULL, false, 0},
        {"  > 0", COND_GT, "0", true, 0},
    };
    static const char *const bad[] = {"",    " ",    "0",       "ok",    "=",
                                      "= ",  "== 0", "=> 0",    "<> 0",  "=< 1",
                                      "! 1", "!",    "changed", "false", "<"};

    (void) state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct cond c;
        if (!cond_parse(good[i].s, &c))
            fail_msg("\"%s\" should parse", good[i].s);
        assert_int_equal(c.op, good[i].op);
        assert_true(c.numeric == good[i].numeric);
        assert_true(c.number == good[i].number);
        if (good[i].value)
            assert_string_equal(c.value, good[i].value);
        else
            assert_null(c.value);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct cond c = {.op = COND_GE};
        if (cond_parse(bad[i], &c))
            fail_msg("\"%s\" should not parse", bad[i]);
        assert_int_equal(c.op, COND_GE);
    }
    assert_false(cond_parse(NULL, &(struct cond) {0}));
}

static void conditions_hold(void **state)
{
    static const struct {
        const char *cond, *measured, *before;
        bool holds;
    } rows[] = {
        {"= 0", "0", NULL, true},
        {"= 0", "0.000", NULL, true},
        {"= 0", "-0", NULL, true},
        {"= 0", " 0\n", NULL, true},
        {"= 0", "1", NULL, false},
        {"= 0", NULL, NULL, false},
        {"= 0", "", NULL, false},
        {"= 0", "none", NULL, false},
        {"!= 0", "none", NULL, false}, /* no number: doesn't hold, whatever the comparator */
        {"!= 0", NULL, NULL, false},
        {"!= 0", "3", NULL, true},
        {"< 0.01", "0.009", NULL, true},
        {"< 0.01", "0.01", NULL, false},
        {"< 0.01", "9e-3", NULL, true},
        {"< 0.01", "NaN", NULL, false},
        {"> 0", "Infinity", NULL, false},
        {"<= 10", "10.0", NULL, true},
        {"<= 10", "9", NULL, true},
        {"> 9", "10", NULL, true},
        {"> -2", "-10", NULL, false},
        {"< -2", "-10", NULL, true},
        {">= 14", "16.4", NULL, true},
        {">= 14", "9.6", NULL, false},
        /* further than a double can tell */
        {"= 9007199254740993", "9007199254740992", NULL, false},
        {"> 9007199254740992", "9007199254740993", NULL, true},
        {"= 00100", "100", NULL, true},
        {"= ok", "ok", NULL, true},
        {"= ok", "OK", NULL, false},
        {"= ok", NULL, NULL, false},
        {"!= ok", "down", NULL, true},
        {"> 2026-01-01", "2026-02-01", NULL, true},
        {"true", "true", NULL, true},
        {"true", "t", NULL, true},
        {"true", "f", NULL, false},
        {"true", "1", NULL, false},
        {"true", NULL, NULL, false},
        {"unchanged", "5", "5", true},
        {"unchanged", "5.0", "5", true},
        {"unchanged", "6", "5", false},
        {"unchanged", "5", NULL, false},
        {"unchanged", NULL, "5", false},
        {"unchanged", "abc", "abc", true},
        {"unchanged", "abc", "abd", false},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cond c;
        assert_true(cond_parse(rows[i].cond, &c));
        if (cond_holds(&c, rows[i].measured, rows[i].before) != rows[i].holds)
            fail_msg("%s on %s should %shold", rows[i].cond,
                     rows[i].measured ? rows[i].measured : "nothing", rows[i].holds ? "" : "not ");
    }
    assert_false(cond_holds(&(struct cond) {0}, "0", "0"));
}

/* Every pair of these in order: exactly one of <, =, > holds. */
static void numbers_are_ordered(void **state)
{
    static const char *const ascending[] = {
        "-100.5", "-100", "-3",  "-0.5", "-0.25",  "0",
        "0.1",    "0.11", "0.2", "1",    "1.5",    "2",
        "9",      "10",   "99",  "100",  "100.01", "123456789012345678901234567890"};

    (void) state;
    for (size_t i = 0; i < COUNT(ascending); i++)
        for (size_t j = 0; j < COUNT(ascending); j++) {
            const char *signs[] = {"<", "=", ">", "<=", "!=", ">="};
            bool expected[] = {i<j, i == j, i> j, i <= j, i != j, i >= j};
            for (size_t k = 0; k < COUNT(signs); k++) {
                char text[64] = "";
                struct cond c;
                strcat(strcat(strcat(text, signs[k]), " "), ascending[j]);
                assert_true(cond_parse(text, &c));
                assert_true(cond_holds(&c, ascending[i], NULL) == expected[k]);
            }
        }
}

/* ---- releases -------------------------------------------------------------------------------------- */

#define TEXT(t)                                                                                    \
    {                                                                                              \
        .s = (t)                                                                                   \
    }

static void releases_compare(void **state)
{
    struct release listed[] = {
        {.version = TEXT("5.0")}, {.version = TEXT("4.9")}, {.version = TEXT("autumn")}};
    struct project p = {.releases = listed, .n_releases = 3};
    static const struct {
        const char *a, *b;
        int sign;
    } rows[] = {
        {"5.0", "4.9", -1}, /* the list, not the numbers */
        {"autumn", "4.9", 1},
        {"4.9", "4.9", 0},
        {"autumn", "1.0", -1}, /* listed before unlisted */
        {"1.0", "5.0", 1},
        {"4.2.0", "4.10.0", -1}, /* by number */
        {"4.2", "4.2.1", -1},
        {"10", "9", 1},
        {"4.2.0", "4.2.0", 0},
        {"4.2.0-rc1", "4.2.0-rc2", -1},
        {"2026-11", "2026-12", -1},
        {"4.02", "4.3", -1},
        {"4.20000000000000000000000000000001", "4.20000000000000000000000000000002", -1},
        {"winter", "summer", 1},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int c = release_compare(&p, rows[i].a, rows[i].b),
            back = release_compare(&p, rows[i].b, rows[i].a);
        if ((c > 0) - (c < 0) != rows[i].sign || (back > 0) - (back < 0) != -rows[i].sign)
            fail_msg("%s and %s: %d, %d", rows[i].a, rows[i].b, c, back);
    }
    assert_int_equal(project_release_index(&p, "autumn"), 2);
    assert_int_equal(project_release_index(&p, "4.9.0"), -1);
    assert_int_equal(project_release_index(&p, NULL), -1);
}

/* ---- policy ---------------------------------------------------------------------------------------- */

static struct policy unset(void)
{
    struct policy p = {
        .one_phase_per_release = MODEL_UNSET,
        .window = MODEL_UNSET,
        .forward_only = MODEL_UNSET,
        .kill_drill_ms = MODEL_UNSET,
        .rehearsal_max_age_ms = MODEL_UNSET,
        .hold_ms = MODEL_UNSET,
        .lock_timeout_ms = MODEL_UNSET,
        .statement_timeout_ms = MODEL_UNSET,
    };
    for (int i = 0; i < PHASE_SLOTS; i++)
        p.approvals[i] = MODEL_UNSET;
    return p;
}

static void policy_has_defaults(void **state)
{
    struct project project = {.policy = unset()};
    struct environment production = {.name = TEXT("production"), .policy = unset()};
    struct environment staging = {.name = TEXT("staging"), .policy = unset()};
    struct policy p = policy_effective(&project, NULL);

    (void) state;
    assert_int_equal(p.one_phase_per_release, 1);
    assert_int_equal(p.window, 1);
    assert_int_equal(p.forward_only, 0);
    assert_int_equal(p.kill_drill_ms, 0);
    assert_int_equal(p.rehearsal_max_age_ms, 0);
    assert_int_equal(p.hold_ms, 24 * 3600 * 1000);
    assert_int_equal(p.lock_timeout_ms, 500);
    assert_int_equal(p.statement_timeout_ms, 30000);
    assert_int_equal(p.proof, PROOF_AUTO);
    project.policy.proof = PROOF_REQUIRED;
    staging.policy.proof = PROOF_OFF;
    assert_int_equal(policy_effective(&project, &production).proof, PROOF_REQUIRED);
    assert_int_equal(policy_effective(&project, &staging).proof, PROOF_OFF);
    project.policy.proof = staging.policy.proof = PROOF_UNSET;
    for (int i = 0; i < PHASE_SLOTS; i++)
        assert_int_equal(p.approvals[i], 0);
    assert_int_equal(policy_effective(&project, &production).forward_only, 1);
    assert_int_equal(policy_effective(&project, &staging).forward_only, 0);
}

static void environment_goes_before_project(void **state)
{
    struct pair ours[] = {{TEXT("dba"), TEXT("alice")}},
                theirs[] = {{TEXT("dba"), TEXT("bob")}, {TEXT("dba"), TEXT("carol")}};
    struct project project = {.policy = unset()};
    struct environment e = {.name = TEXT("production"), .policy = unset()};

    (void) state;
    project.policy.hold_ms = 1;
    project.policy.window = 3;
    project.policy.approvals[PHASE_CONTRACT] = 2;
    project.policy.approvers = (struct pair_list) {ours, 1};
    e.policy.hold_ms = 2;
    e.policy.forward_only = 0;
    e.policy.approvals[PHASE_CONTRACT] = 0;
    struct policy p = policy_effective(&project, &e);
    assert_int_equal(p.hold_ms, 2);
    assert_int_equal(p.window, 3);
    assert_int_equal(p.forward_only, 0); /* stated, although the name is production */
    assert_int_equal(p.approvals[PHASE_CONTRACT], 0);
    assert_string_equal(p.approvers.items[0].value.s, "alice");
    e.policy.approvers = (struct pair_list) {theirs, 2};
    p = policy_effective(&project, &e);
    assert_int_equal(p.approvers.n, 2);
    assert_string_equal(p.approvers.items[0].value.s, "bob");
}

/* ---- finding --------------------------------------------------------------------------------------- */

static void releases_are_known(void **state)
{
    static struct release listed[] = {{.version.s = "2.1.0"}, {.version.s = "2.3.0"}};
    struct plan plan = {.phases[PHASE_CONTRACT].release.s = "3.0"};
    struct plan_set set = {
        .project = {.releases = listed, .n_releases = 2}, .plans = &plan, .n_plans = 1};
    static const struct {
        const char *version, *near;
        bool known;
    } rows[] = {{"2.1.0", NULL, true},   {"3.0", NULL, true},         {"2.33.0", "2.3.0", false},
                {"2.1", "2.1.0", false}, {"2.1.0.1", "2.1.0", false}, {"winter", NULL, false}};
    struct plan_set nothing = {.n_plans = 0};
    AUTO(arena) a = {0};
    const char *near;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(release_is_known(&set, &a, rows[i].version, &near), rows[i].known);
        assert_true(rows[i].near ? near && strcmp(near, rows[i].near) == 0 : !near);
    }
    assert_true(release_is_known(&nothing, &a, "2.1.0", &near));
}

static void things_are_found(void **state)
{
    struct gate gates[] = {{.name = TEXT("a")}, {.name = TEXT("b")}};
    struct plan plans[] = {{.id = TEXT("zebra"), .gates = gates, .n_gates = 2},
                           {.id = TEXT("ant")},
                           {.id = TEXT("mole")}};
    const struct plan *by_id[] = {&plans[1], &plans[2], &plans[0]};
    struct plan_set set = {.plans = plans, .n_plans = 3};
    struct environment environments[] = {{.name = TEXT("production")}};
    struct project project = {.environments = environments, .n_environments = 1};

    (void) state;
    for (int sorted = 0; sorted < 2; sorted++) {
        set.by_id = sorted ? by_id : NULL;
        for (int i = 0; i < 3; i++)
            assert_ptr_equal(plan_find(&set, plans[i].id.s), &plans[i]);
        assert_null(plan_find(&set, "bee"));
        assert_null(plan_find(&set, "zz"));
        assert_null(plan_find(&set, ""));
        assert_null(plan_find(&set, NULL));
    }
    assert_ptr_equal(plan_gate(&plans[0], "b"), &gates[1]);
    assert_null(plan_gate(&plans[0], "c"));
    assert_null(plan_gate(&plans[0], NULL));
    assert_ptr_equal(project_environment(&project, "production"), &environments[0]);
    assert_null(project_environment(&project, "staging"));
    assert_null(project_environment(&project, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_have_words),   cmocka_unit_test(other_words),
        cmocka_unit_test(conditions_parse),    cmocka_unit_test(conditions_hold),
        cmocka_unit_test(numbers_are_ordered), cmocka_unit_test(releases_compare),
        cmocka_unit_test(policy_has_defaults), cmocka_unit_test(environment_goes_before_project),
        cmocka_unit_test(releases_are_known),  cmocka_unit_test(things_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
