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

bool check_against(struct context *c, struct report *r, struct err *err)
{
    const char *environment = c->env->name.s;
    struct engine *e = NULL;

    for (int i = 0; i < c->set.n_plans; i++) {
        struct plan *p = &c->set.plans[i];
        struct edit *edits = NULL;
        int n = 0;

        if (!context_engine(c, p, &e, err) || !engine_edits(e, p, &c->arena, &edits, &n, err))
            return err_note(err, "--against %s", environment);
        for (int k = 0; k < n; k++)
            report_edit(c, r, p, &edits[k]);
    }
    return !e || say_if_untouched(c, e, err);
}
