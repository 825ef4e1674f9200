/* check --against ENV: steps that were applied there and read differently now. Reads only. */
#include "cli.h"

#include "phasegate/ledger.h"
#include "phasegate/report.h"

static void report_edit(struct context *c, struct report *r, const struct plan *p,
                        const struct edit *e)
{
    struct finding *f =
        report_add(r, "applied-step-edited", e->at,
                   "step %s of %s was applied in %s by %s and reads differently now", e->step,
                   e->phase, c->env->name.s, e->applied_by ? e->applied_by : "somebody");

    f->plan = p->id.s;
    f->phase = arena_strdup(&r->arena, e->phase);
    f->step = arena_strdup(&r->arena, e->step);
    f->help = arena_printf(
        &r->arena,
        "put the text back, or say why it may differ: phasegate -e %s accept %s --because ...; "
        "what is to change now is a new plan",
        c->env->name.s, p->id.s);
}

/* Without a finding it would look as if what was applied had been compared. */
static bool say_if_untouched(struct context *c, struct engine *e, struct err *err)
{
    struct plan_state *states;
    int n = 0;

    if (e->has_ledger && !ledger_plan_states(e->db, &c->arena, &states, &n, err))
        return err_note(err, "--against %s", c->env->name.s);
    if (n == 0)
        out_say(&c->out, "--against %s: nothing was applied there yet", c->env->name.s);
    return true;
}

bool check_against_named(struct context *c, const char *environment, struct err *err)
{
    c->line.text[OPT_ENV] = environment;
    return context_environment(c, err);
}

struct compared {
    struct report *report;
    struct plan *plan;
    bool is_last;
    int from; /* the plan's first finding */
};

/* The databases of a fleet have taken the same steps: one finding for all of them. */
static bool is_reported(const struct compared *k, const struct edit *e)
{
    for (int i = k->from; i < k->report->n; i++) {
        const struct finding *f = &k->report->findings[i];

        if (f->step && f->phase && strcmp(f->step, e->step) == 0 && strcmp(f->phase, e->phase) == 0)
            return true;
    }
    return false;
}

static bool compare(struct context *c, struct engine *e, void *ctx, struct err *err)
{
    const struct compared *k = ctx;
    struct edit *edits = NULL;
    int n = 0;

    if (!engine_edits(e, k->plan, &c->arena, &edits, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (!is_reported(k, &edits[i]))
            report_edit(c, k->report, k->plan, &edits[i]);
    return !k->is_last || say_if_untouched(c, e, err);
}

bool check_against(struct context *c, struct report *r, struct err *err)
{
    for (int i = 0; i < c->set.n_plans; i++) {
        struct compared k = {r, &c->set.plans[i], i == c->set.n_plans - 1, r->n};

        if (!context_each_of_plan(c, k.plan, compare, &k, err))
            return err_note(err, "--against %s", c->env->name.s);
    }
    return true;
}
