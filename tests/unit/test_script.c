/* What a phase consists of, and in which order: one line of text a plan and phase. */
#include "phasegate/phase.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define STEP(name, text)                                                                           \
    {                                                                                              \
        .id.s = name, .sql.s = text, .checksum = "sum-" name                                       \
    }

static struct rung read_rungs[] = {{.percent = 5}, {.percent = 100}};
static struct rung write_rungs[] = {{.percent = 10}, {.percent = 100}};
static struct backfill fill[] = {{.id.s = "fill"}}, lines[] = {{.id.s = "lines"}};
static struct check filled[] = {{.id.s = "filled"}};
static struct text gate_names[] = {{"errors"}};

static struct sql_stmt add_column = {.kind = "ALTER TABLE ADD COLUMN", .class = SQL_ADDITIVE};
static struct step expand_steps[] = {STEP("column", "..."), STEP("index", "...")};
static struct step late_steps[] = {STEP("lookup", "...")};

static struct sql_stmt drops[] = {
    {.kind = "ALTER TABLE DROP COLUMN", .class = SQL_DESTRUCTIVE, .drop = DROP_COLUMN},
    {.kind = "DROP TABLE", .class = SQL_DESTRUCTIVE, .drop = DROP_TABLE},
    {.kind = "DROP INDEX", .class = SQL_DESTRUCTIVE, .drop = DROP_INDEX},
    {.kind = "DROP VIEW", .class = SQL_DESTRUCTIVE, .drop = DROP_VIEW},
    {.kind = "DROP TRIGGER", .class = SQL_DESTRUCTIVE, .drop = DROP_TRIGGER},
    {.kind = "ALTER TABLE DROP CONSTRAINT", .class = SQL_RESTRICTIVE, .drop = DROP_CONSTRAINT},
    {.kind = "DROP FUNCTION", .class = SQL_DESTRUCTIVE, .drop = DROP_FUNCTION},
    {.kind = "DROP TYPE", .class = SQL_DESTRUCTIVE, .drop = DROP_OTHER},
    {.kind = "DELETE", .class = SQL_DATA},
    {.kind = "ALTER TABLE ADD CHECK", .class = SQL_RESTRICTIVE},
};
static struct sql_stmt two_drops[] = {
    {.kind = "ALTER TABLE ADD CHECK", .class = SQL_RESTRICTIVE},
    {.kind = "ALTER TABLE DROP COLUMN", .class = SQL_DESTRUCTIVE, .drop = DROP_COLUMN},
};

#define DROP_STEP(name, i)                                                                         \
    {                                                                                              \
        .id.s = name, .sql.s = "...", .stmts = &drops[i], .n_stmts = 1, .checksum = "sum-" name    \
    }

static struct step contract_steps[] = {
    DROP_STEP("check", 9),
    DROP_STEP("column", 0),
    DROP_STEP("table", 1),
    DROP_STEP("index", 2),
    DROP_STEP("view", 3),
    DROP_STEP("trigger", 4),
    DROP_STEP("constraint", 5),
    DROP_STEP("function", 6),
    DROP_STEP("type", 7),
    DROP_STEP("delete", 8),
    {.id.s = "two", .sql.s = "...", .stmts = two_drops, .n_stmts = 2, .checksum = "sum-two"},
    {.id.s = "tool", .command = {gate_names, 1}, .checksum = "sum-tool"},
};
static struct step contract_finish[] = {DROP_STEP("late-check", 9), DROP_STEP("late-column", 0),
                                        DROP_STEP("late-delete", 8)};

/* A plan with everything in it. */
static struct plan full_plan(enum sync_by by)
{
    struct plan p = {.id.s = "widen", .checksum = "whole", .sync = {.by = by, .table.s = "orders"}};

    expand_steps[0].stmts = &add_column;
    expand_steps[0].n_stmts = 1;
    p.phases[PHASE_EXPAND] = (struct phase_plan) {.present = true, .steps = {expand_steps, 2}};
    p.phases[PHASE_DUAL_READ] = (struct phase_plan) {.present = true,
                                                     .rollout = {read_rungs, 2},
                                                     .backfill = {fill, 1},
                                                     .compare.present = true,
                                                     .gates = {gate_names, 1}};
    p.phases[PHASE_WRITE_ACTIVATION] = (struct phase_plan) {.present = true,
                                                            .rollout = {write_rungs, 2},
                                                            .backfill = {lines, 1},
                                                            .verify = {filled, 1},
                                                            .finish = {late_steps, 1},
                                                            .gates = {gate_names, 1}};
    p.phases[PHASE_CONTRACT] = (struct phase_plan) {
        .present = true, .steps = {contract_steps, ROWS(contract_steps)}, .gates = {gate_names, 1}};
    return p;
}

/* "kind id, kind id, ..." */
static const char *script_text(struct arena *a, const struct plan *p, enum phase phase, bool purge)
{
    struct script s;
    const char *text = "";

    plan_script(a, p, phase, purge, &s);
    for (int i = 0; i < s.n; i++) {
        assert_non_null(s.tasks[i].title);
        text = arena_printf(a, "%s%s%s %s", text, i ? ", " : "", task_kind_word(s.tasks[i].kind),
                            s.tasks[i].id);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(s.tasks[i].id, s.tasks[j].id) != 0, "two tasks of %s have the id %s",
                  phase_word(phase), s.tasks[i].id);
    }
    return text;
}

static void check_script(const struct plan *p, enum phase phase, bool purge, const char *expected)
{
    AUTO(arena) a = {0};

    assert_string_equal(script_text(&a, p, phase, purge), expected);
}

#define READ_RUNGS "rung read/5%, rung read/100%"
#define WRITE_RUNGS "rung write/10%, rung write/100%"

static void test_order_by_sync(void **state)
{
    (void) state;
    static const struct {
        enum sync_by by;
        bool reverse;
        const char *expand, *dual_read, *write_activation;
    } rows[] = {
        /* Every writer keeps the new shape up from expand on: the past is filled before reads. A kill that
         * took reads back has them climb first in write_activation, and no backfill runs after a new write. */
        {SYNC_TRIGGER, true, "step column, step index, sync install sync/trigger",
         "backfill backfill/fill, verify verify/all, compare compare/all, " READ_RUNGS,
         READ_RUNGS ", backfill backfill/fill, backfill backfill/lines, " WRITE_RUNGS
                    ", verify verify/all, step finish/lookup"},
        /* Without a way back old and new part with the first new write. */
        {SYNC_TRIGGER, false, "step column, step index, sync install sync/trigger",
         "backfill backfill/fill, verify verify/all, compare compare/all, " READ_RUNGS,
         READ_RUNGS
         ", backfill backfill/fill, backfill backfill/lines, verify verify/all, " WRITE_RUNGS
         ", step finish/lookup"},
        /* Only writes at 100 % keep it up: then the past, its verification, and only then reads. */
        {SYNC_COHORT, false, "step column, step index", "",
         WRITE_RUNGS ", backfill backfill/fill, backfill backfill/lines, verify verify/all, "
                     "compare compare/all, " READ_RUNGS ", step finish/lookup"},
        {SYNC_APPLICATION, false, "step column, step index", "",
         WRITE_RUNGS ", backfill backfill/fill, backfill backfill/lines, verify verify/all, "
                     "compare compare/all, " READ_RUNGS ", step finish/lookup"},
        {SYNC_NONE, false, "step column, step index",
         "backfill backfill/fill, verify verify/all, compare compare/all, " READ_RUNGS,
         READ_RUNGS ", " WRITE_RUNGS ", backfill backfill/fill, backfill backfill/lines, verify "
                    "verify/all, step finish/lookup"},
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        static struct pair back[] = {{.key.s = "old", .value.s = "new"}};
        struct plan p = full_plan(rows[i].by);
        if (rows[i].reverse)
            p.sync.reverse = (struct pair_list) {back, 1};
        check_script(&p, PHASE_EXPAND, false, rows[i].expand);
        check_script(&p, PHASE_DUAL_READ, false, rows[i].dual_read);
        check_script(&p, PHASE_WRITE_ACTIVATION, false, rows[i].write_activation);
    }
}

/* The safety of the order itself, for every kind of sync and with parts left out. */
static void test_reads_come_after_what_they_need(void **state)
{
    (void) state;
    for (int by = SYNC_NONE; by <= SYNC_APPLICATION; by++)
        for (int without = 0; without < 16; without++) {
            struct plan p = full_plan((enum sync_by) by);
            AUTO(arena) a = {0};
            if (without & 1)
                p.phases[PHASE_DUAL_READ].backfill.n = 0;
            if (without & 2)
                p.phases[PHASE_WRITE_ACTIVATION].backfill.n = 0;
            if (without & 4)
                p.phases[PHASE_DUAL_READ].compare.present = false;
            if (without & 8)
                p.phases[PHASE_WRITE_ACTIVATION].verify.n = 0;
            bool write_first = by == SYNC_COHORT || by == SYNC_APPLICATION;
            enum phase phase = write_first ? PHASE_WRITE_ACTIVATION : PHASE_DUAL_READ;
            const char *text = script_text(&a, &p, phase, false);
            const char *reads = strstr(text, "rung read/5%"),
                       *verify = strstr(text, "verify verify/all");
            const char *writes = strstr(text, "rung write/100%"),
                       *fills = strstr(text, "backfill backfill/fill");
            assert_non_null(reads);
            CHECK(!!fills == !(without & 1), "%s", text);
            if (fills)
                CHECK(verify && fills < verify && verify < reads,
                      "reads before the past is filled and verified: %s", text);
            if (write_first)
                CHECK(writes && verify && writes < verify && verify < reads,
                      "reads before writes: %s", text);
            /* A plan with sync always verifies in write_activation. */
            text = script_text(&a, &p, PHASE_WRITE_ACTIVATION, false);
            if (by != SYNC_NONE)
                assert_non_null(strstr(text, "verify verify/all"));
        }
}

static void test_reads_dont_wait_without_write_activation(void **state)
{
    (void) state;
    struct plan p = full_plan(SYNC_APPLICATION);

    p.phases[PHASE_WRITE_ACTIVATION] = (struct phase_plan) {.none.s = "only reads"};
    check_script(&p, PHASE_DUAL_READ, false,
                 "backfill backfill/fill, verify verify/all, compare compare/all, " READ_RUNGS);
    check_script(&p, PHASE_WRITE_ACTIVATION, false, "");
}

static void test_gates_without_a_rollout(void **state)
{
    (void) state;
    static const enum sync_by all[] = {SYNC_NONE, SYNC_TRIGGER, SYNC_COHORT, SYNC_APPLICATION};

    for (size_t i = 0; i < ROWS(all); i++) {
        struct plan p = full_plan(all[i]);
        AUTO(arena) a = {0};
        assert_null(strstr(script_text(&a, &p, PHASE_DUAL_READ, false), "gates"));
        assert_null(strstr(script_text(&a, &p, PHASE_WRITE_ACTIVATION, false), "gates"));
        p.phases[PHASE_DUAL_READ].rollout.n = 0;
        p.phases[PHASE_WRITE_ACTIVATION].rollout.n = 0;
        /* Also where the rest of dual_read waits for the writes. */
        assert_non_null(strstr(script_text(&a, &p, PHASE_DUAL_READ, false), "gates gates/all"));
        assert_non_null(
            strstr(script_text(&a, &p, PHASE_WRITE_ACTIVATION, false), "gates gates/all"));
    }
    struct plan p = full_plan(SYNC_TRIGGER);
    p.phases[PHASE_EXPAND].gates = (struct text_list) {gate_names, 1};
    p.phases[PHASE_EXPAND].finish = (struct step_list) {late_steps, 1};
    p.phases[PHASE_EXPAND].verify = (struct check_list) {filled, 1};
    check_script(&p, PHASE_EXPAND, false,
                 "step column, step index, verify verify/all, gates gates/all, step finish/lookup, "
                 "sync install sync/trigger");
}

static void test_a_backfill_in_expand_comes_after_the_trigger(void **state)
{
    (void) state;
    struct plan p = full_plan(SYNC_TRIGGER);

    p.phases[PHASE_EXPAND].backfill = (struct backfill_list) {fill, 1};
    check_script(&p, PHASE_EXPAND, false,
                 "step column, step index, sync install sync/trigger, backfill backfill/fill, "
                 "verify verify/all");
    p.sync.by = SYNC_COHORT;
    check_script(&p, PHASE_EXPAND, false,
                 "step column, step index, backfill backfill/fill, verify verify/all");
}

/* Ids of steps are words without a slash: none of them is taken for a task of the engine's own. */
static void test_step_ids_are_free(void **state)
{
    (void) state;
    static struct step steps[] = {
        STEP("sync", "..."),  STEP("verify", "..."),   STEP("compare", "..."),
        STEP("gates", "..."), STEP("backfill", "..."), STEP("finish", "..."),
        STEP("purge", "..."), STEP("all", "..."),      STEP("trigger", "...")};
    static const enum sync_by all[] = {SYNC_NONE, SYNC_TRIGGER, SYNC_COHORT, SYNC_APPLICATION};

    for (size_t i = 0; i < ROWS(all); i++)
        for (int phase = PHASE_FIRST; phase <= PHASE_LAST; phase++) {
            struct plan p = full_plan(all[i]);
            struct script s;
            AUTO(arena) a = {0};
            p.phases[phase].steps = (struct step_list) {steps, ROWS(steps)};
            p.phases[phase].rollout.n = 0; /* so that gates are a task as well */
            p.phases[phase].gates = (struct text_list) {gate_names, 1};
            script_text(&a, &p, (enum phase) phase, false); /* checks that ids differ */
            plan_script(&a, &p, (enum phase) phase, false, &s);
            for (int t = 0; t < s.n; t++)
                CHECK((s.tasks[t].kind == TASK_STEP && !strncmp(s.tasks[t].checksum, "sum-", 4) &&
                       !strchr(s.tasks[t].id, '/')) ||
                          strchr(s.tasks[t].id, '/'),
                      "%s %s could be a step's id", task_kind_word(s.tasks[t].kind), s.tasks[t].id);
        }
}

static void test_contract_hides_and_purge_destroys(void **state)
{
    (void) state;
    struct plan p = full_plan(SYNC_TRIGGER);

    p.phases[PHASE_CONTRACT].finish = (struct step_list) {contract_finish, ROWS(contract_finish)};
    /* What can be hidden is; what destroys and can't be hidden waits; the rest is done now. The trigger stays. */
    check_script(&p, PHASE_CONTRACT, false,
                 "gates gates/all, step check, soft drop column, soft drop table, soft drop index, "
                 "soft drop view, "
                 "soft drop trigger, soft drop constraint, step tool, step finish/late-check, soft "
                 "drop finish/late-column");
    /* The trigger goes first: it reads and writes what is destroyed next. */
    check_script(&p, PHASE_CONTRACT, true,
                 "sync remove purge/sync/trigger, purge purge/column, purge purge/table, purge "
                 "purge/index, purge purge/view, "
                 "purge purge/trigger, purge purge/constraint, step purge/function, step "
                 "purge/type, step purge/delete, "
                 "step purge/two, purge purge/finish/late-column, step purge/finish/late-delete");
    p.sync.by = SYNC_COHORT;
    AUTO(arena) a = {0};
    assert_null(strstr(script_text(&a, &p, PHASE_CONTRACT, true), "sync"));
}

/* Nothing is forgotten, nothing is done twice: each step is in contract or (hidden: and) in the purge. */
static void test_every_contract_step_has_its_place(void **state)
{
    (void) state;
    struct plan p = full_plan(SYNC_NONE);
    struct script now, later;
    AUTO(arena) a = {0};

    p.phases[PHASE_CONTRACT].finish = (struct step_list) {contract_finish, ROWS(contract_finish)};
    plan_script(&a, &p, PHASE_CONTRACT, false, &now);
    plan_script(&a, &p, PHASE_CONTRACT, true, &later);
    const struct step_list *lists[] = {&p.phases[PHASE_CONTRACT].steps,
                                       &p.phases[PHASE_CONTRACT].finish};
    for (int l = 0; l < 2; l++)
        for (int i = 0; i < lists[l]->n; i++) {
            const struct step *s = &lists[l]->items[i];
            const struct task *first = NULL, *second = NULL;
            for (int t = 0; t < now.n; t++)
                first = now.tasks[t].step == s ? &now.tasks[t] : first;
            for (int t = 0; t < later.n; t++)
                second = later.tasks[t].step == s ? &later.tasks[t] : second;
            CHECK(first || second, "step %s is never done", s->id.s);
            if (first && second) {
                CHECK(first->kind == TASK_SOFT_DROP && second->kind == TASK_PURGE_DROP,
                      "step %s is done twice", s->id.s);
                assert_string_equal(second->id, arena_printf(&a, "purge/%s", first->id));
            }
            for (int k = 0; !first && k < s->n_stmts; k++)
                CHECK(second->kind == TASK_STEP, "step %s was never hidden", s->id.s);
            for (int k = 0; first && first->kind == TASK_STEP && k < s->n_stmts; k++)
                CHECK(s->stmts[k].class != SQL_DESTRUCTIVE && s->stmts[k].class != SQL_DATA,
                      "step %s destroys before the purge", s->id.s);
        }
}

static void test_tasks_carry_what_they_need(void **state)
{
    (void) state;
    struct plan p = full_plan(SYNC_COHORT);
    struct script s;
    AUTO(arena) a = {0};
    int rungs[FLAG_ROLES] = {0}, last[FLAG_ROLES] = {0};

    plan_script(&a, &p, PHASE_WRITE_ACTIVATION, false, &s);
    for (int i = 0; i < s.n; i++) {
        const struct task *t = &s.tasks[i];
        assert_string_equal(t->checksum, t->step ? t->step->checksum : "whole");
        assert_int_equal(t->kind == TASK_STEP, t->step != NULL);
        assert_int_equal(t->kind == TASK_BACKFILL, t->backfill != NULL);
        assert_int_equal(t->kind == TASK_RUNG, t->rung != NULL);
        if (t->kind == TASK_RUNG) {
            rungs[t->flag]++;
            last[t->flag] += t->last_rung;
            assert_int_equal(t->last_rung, t->rung->percent == 100);
            assert_ptr_equal(t->rung, t->flag == FLAG_READ ? &read_rungs[t->last_rung]
                                                           : &write_rungs[t->last_rung]);
        }
    }
    for (int f = 0; f < FLAG_ROLES; f++) {
        assert_int_equal(rungs[f], 2);
        assert_int_equal(last[f], 1);
    }
    plan_script(&a, &p, PHASE_EXPAND, false, &s);
    assert_string_equal(s.tasks[0].title, "ALTER TABLE ADD COLUMN");
    assert_string_equal(s.tasks[1].title, "SQL");
    plan_script(&a, &p, PHASE_CONTRACT, false, &s);
    assert_string_equal(s.tasks[s.n - 1].title, "command");
}

static void test_absent_and_empty_phases(void **state)
{
    (void) state;
    struct plan p = {.id.s = "empty", .checksum = "whole"};

    for (int phase = PHASE_FIRST; phase <= PHASE_LAST; phase++) {
        check_script(&p, (enum phase) phase, false, "");
        check_script(&p, (enum phase) phase, true, "");
        p.phases[phase].present = true;
        check_script(&p, (enum phase) phase, false, "");
        check_script(&p, (enum phase) phase, true, "");
    }
    for (int k = TASK_STEP; k <= TASK_PURGE_DROP; k++)
        for (int j = TASK_STEP; j < k; j++)
            assert_string_not_equal(task_kind_word((enum task_kind) k),
                                    task_kind_word((enum task_kind) j));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_by_sync),
        cmocka_unit_test(test_reads_come_after_what_they_need),
        cmocka_unit_test(test_reads_dont_wait_without_write_activation),
        cmocka_unit_test(test_gates_without_a_rollout),
        cmocka_unit_test(test_a_backfill_in_expand_comes_after_the_trigger),
        cmocka_unit_test(test_step_ids_are_free),
        cmocka_unit_test(test_contract_hides_and_purge_destroys),
        cmocka_unit_test(test_every_contract_step_has_its_place),
        cmocka_unit_test(test_tasks_carry_what_they_need),
        cmocka_unit_test(test_absent_and_empty_phases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
