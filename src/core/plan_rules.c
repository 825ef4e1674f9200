/* What one plan must satisfy by itself, beyond the types of its keys. */
#include "phasegate/backfill.h"
#include "phasegate/generate.h"
#include "phasegate/names.h"
#include "phasegate/problem.h"

#include <string.h>

/* ---- ids ------------------------------------------------------------------------------------------ */

/* Ids of elements that start with a struct text. */
static void check_ids(const void *items, int n, size_t size, const char *what,
                      struct problem_list *problems)
{
    for (int i = 1; i < n; i++) {
        const struct text *id = (const void *) ((const char *) items + (size_t) i * size);
        for (int j = 0; id->s && j < i; j++) {
            const struct text *other = (const void *) ((const char *) items + (size_t) j * size);
            if (other->s && strcmp(other->s, id->s) == 0) {
                problem_add(problems, id->at, "an id of its own", NULL,
                            "two %s have the id \"%s\"; the first is in line %d", what, id->s,
                            other->at.line);
                break;
            }
        }
    }
}

/* steps and finish are one sequence to the ledger. */
static void check_step_ids(const struct phase_plan *phase, struct problem_list *problems)
{
    check_ids(phase->steps.items, phase->steps.n, sizeof(struct step), "steps of the phase",
              problems);
    check_ids(phase->finish.items, phase->finish.n, sizeof(struct step), "steps of the phase",
              problems);
    for (int i = 0; i < phase->finish.n; i++)
        for (int j = 0; j < phase->steps.n; j++) {
            const struct text *late = &phase->finish.items[i].id,
                              *early = &phase->steps.items[j].id;
            if (late->s && early->s && strcmp(late->s, early->s) == 0)
                problem_add(problems, late->at, "an id of its own", NULL,
                            "two steps of the phase have the id \"%s\"; the first is in line %d",
                            late->s, early->at.line);
        }
}

/* A backfill is known by plan and id: two phases can't have the same one. */
static void check_backfill_ids(const struct plan *p, struct problem_list *problems)
{
    const struct backfill_list *reads = &p->phases[PHASE_DUAL_READ].backfill;
    const struct backfill_list *writes = &p->phases[PHASE_WRITE_ACTIVATION].backfill;

    check_ids(reads->items, reads->n, sizeof(struct backfill), "backfills", problems);
    check_ids(writes->items, writes->n, sizeof(struct backfill), "backfills", problems);
    for (int i = 0; i < writes->n; i++)
        for (int j = 0; j < reads->n; j++)
            if (writes->items[i].id.s && reads->items[j].id.s &&
                strcmp(writes->items[i].id.s, reads->items[j].id.s) == 0)
                problem_add(problems, writes->items[i].id.at, "an id of its own", NULL,
                            "two backfills have the id \"%s\"; the first is in line %d",
                            writes->items[i].id.s, reads->items[j].id.at.line);
}

/* ---- gates ---------------------------------------------------------------------------------------- */

static void check_gate_name(const struct plan *p, const struct text *name,
                            struct problem_list *problems)
{
    AUTO(str) expected = {0};
    AUTO(str) hint = {0};
    AUTO(arena) scratch = {0};
    int n = 0;

    if (!name->s || plan_gate(p, name->s))
        return;
    const char **words = arena_array(&scratch, const char *, p->n_gates + 1);
    str_add(&expected,
            p->n_gates ? "one of the plan's gates: " : "a gate of the plan; it has none");
    for (int i = 0; i < p->n_gates; i++)
        if (p->gates[i].name.s) {
            str_addf(&expected, "%s%s", n ? ", " : "", p->gates[i].name.s);
            words[n++] = p->gates[i].name.s;
        }
    const char *nearest = name_nearest(name->s, words);
    if (nearest)
        str_addf(&hint, "did you mean \"%s\"?", nearest);
    problem_add(problems, name->at, str_text(&expected), nearest ? str_text(&hint) : NULL,
                "no gate \"%s\"", name->s);
}

static void check_gate_names(const struct plan *p, struct problem_list *problems)
{
    for (enum phase phase = PHASE_FIRST; phase <= PHASE_LAST; phase++)
        for (int i = 0; i < p->phases[phase].gates.n; i++)
            check_gate_name(p, &p->phases[phase].gates.items[i], problems);
    for (int i = 0; i < p->n_validation; i++)
        check_gate_name(p, &p->validation[i].gate, problems);
    for (int i = 0; i < p->runbook.n_go; i++)
        check_gate_name(p, &p->runbook.go[i].gate, problems);
    for (int i = 0; i < p->runbook.n_no_go; i++)
        check_gate_name(p, &p->runbook.no_go[i].gate, problems);
    for (int i = 0; i < p->runbook.rollback_when.n; i++)
        check_gate_name(p, &p->runbook.rollback_when.items[i], problems);
}

/* ---- phases --------------------------------------------------------------------------------------- */

static void check_rollout(const struct plan *p, enum phase phase, struct problem_list *problems)
{
    const struct rung_list *rollout = &p->phases[phase].rollout;
    enum flag_role role = phase == PHASE_DUAL_READ ? FLAG_READ : FLAG_WRITE;

    for (int i = 1; i < rollout->n; i++)
        /* 0: it was none, which has been said. */
        if (rollout->items[i].percent > 0 &&
            rollout->items[i].percent <= rollout->items[i - 1].percent)
            problem_add(problems, rollout->items[i].at, "percentages that ascend", NULL,
                        "%d%% after %d%%", rollout->items[i].percent,
                        rollout->items[i - 1].percent);
    if (rollout->n > 0 && !p->flags[role].key.s)
        problem_add(problems, rollout->items[0].at, NULL,
                    "add flags: {read: {key: ...}, write: {key: ...}}",
                    "%s rolls out the %s flag, and the plan has no flags.%s", phase_word(phase),
                    flag_role_word(role), flag_role_word(role));
}

/* What the environment fills in is looked at when it is there. */
static void check_throttle(const struct backfill *b, struct problem_list *problems)
{
    struct backfill_knobs knobs;

    knobs_begin(&knobs, &BATCH_LIMITS_DEFAULT);
    for (int i = 0; i < b->throttle.n; i++) {
        const struct pair *pair = &b->throttle.items[i];
        const char *why = NULL;

        if (pair->key.s && pair->value.s && !strstr(pair->value.s, "${") &&
            !knob_take(&knobs, pair->key.s, pair->value.s, &why))
            problem_add(problems, pair->value.at, why, NULL, "throttle %s: \"%s\"", pair->key.s,
                        pair->value.s);
    }
}

/* A program that nothing is taken from, or a column that waits for one. */
static void check_via(const struct backfill *b, struct problem_list *problems)
{
    bool says_via = false;

    for (int i = 0; i < b->set.n; i++)
        says_via |= backfill_is_via(&b->set.items[i]);
    if (b->via.n > 0 && b->set.n > 0 && !says_via)
        problem_add(problems, b->set.items[0].value.at,
                    "a column of set: with the word via as its value", "set: {external_ref: via}",
                    "backfill \"%s\" runs %s and takes nothing from it", b->id.s ? b->id.s : "",
                    b->via.items[0].s ? b->via.items[0].s : "a program");
}

static void check_backfills(const struct plan *p, enum phase phase, struct problem_list *problems)
{
    for (int i = 0; i < p->phases[phase].backfill.n; i++) {
        const struct backfill *b = &p->phases[phase].backfill.items[i];
        bool says_what = b->set.n > 0 || b->insert_select.s || b->via.n > 0;

        check_throttle(b, problems);
        check_via(b, problems);
        if (p->sync.by == SYNC_NONE && !(b->table.s && says_what))
            problem_add(problems, b->at,
                        "table and set, insert or via; or a sync to derive them from", NULL,
                        "backfill \"%s\" doesn't say what to fill", b->id.s ? b->id.s : "");
    }
}

static void check_phase(const struct plan *p, enum phase phase, struct problem_list *problems)
{
    const struct phase_plan *pp = &p->phases[phase];

    if (!pp->present && !pp->none.s && pp->at.line == 0) {
        AUTO(str) expected = {0};
        str_addf(&expected, "%s: {release: ..., ...}, or %s: {none: \"the reason\"}",
                 phase_word(phase), phase_word(phase));
        problem_add(problems, p->phases[PHASE_NONE].at, str_text(&expected), NULL,
                    "phase %s is missing", phase_word(phase));
    }
    check_step_ids(pp, problems);
    check_ids(pp->verify.items, pp->verify.n, sizeof(struct check), "checks of the phase",
              problems);
    check_rollout(p, phase, problems);
    check_backfills(p, phase, problems);
    if (pp->compare.present && p->sync.by == SYNC_NONE)
        problem_add(problems, pp->compare.at, "a sync, whose expressions are compared", NULL,
                    "compare without sync");
}

void plan_validate(const struct plan *p, struct problem_list *problems)
{
    for (enum phase phase = PHASE_FIRST; phase <= PHASE_LAST; phase++)
        check_phase(p, phase, problems);
    check_backfill_ids(p, problems);
    check_gate_names(p, problems);
    check_ids(p->data_checks.items, p->data_checks.n, sizeof(struct check), "data checks",
              problems);
    check_ids(p->tests, p->n_tests, sizeof(struct plan_test), "tests", problems);
    check_ids(p->validation, p->n_validation, sizeof(struct validation), "validations", problems);
    if (p->flags[FLAG_READ].key.s && p->flags[FLAG_WRITE].key.s &&
        strcmp(p->flags[FLAG_READ].key.s, p->flags[FLAG_WRITE].key.s) == 0)
        problem_add(problems, p->flags[FLAG_WRITE].key.at, "a key of its own", NULL,
                    "read and write flag are the same: reads couldn't be switched off alone");
    for (int i = 0; i < p->n_depends_on; i++)
        if (p->depends_on[i].plan.s && p->id.s && strcmp(p->depends_on[i].plan.s, p->id.s) == 0)
            problem_add(problems, p->depends_on[i].at, "another plan", NULL,
                        "the plan depends on itself");
}
