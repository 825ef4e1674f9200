/* Plan files that can't be understood: what they may have to do with the others. */
#include "internal.h"

/* Which release its expand lets in, or that it has none, could be read. */
static bool spared_is_known(const struct spared *s)
{
    const struct phase_plan *expand = s->plan ? &s->plan->phases[PHASE_EXPAND] : NULL;

    return expand && (expand->present ? expand->release.s != NULL : expand->none.s != NULL);
}

static const char *shared_flag(const struct plan *p, const struct plan *other)
{
    for (int i = 0; other && i < FLAG_ROLES; i++)
        for (int k = 0; k < FLAG_ROLES; k++)
            if (p->flags[i].key.s && other->flags[k].key.s &&
                strcmp(p->flags[i].key.s, other->flags[k].key.s) == 0)
                return p->flags[i].key.s;
    return NULL;
}

/* By the texts alone; NULL: nothing. */
static const char *tie(struct arena *a, const struct plan *p, const struct spared *s)
{
    const char *key = shared_flag(p, s->plan);

    if (strcmp(s->id, p->id.s) == 0)
        return "it may be of the same plan";
    for (int i = 0; i < p->n_depends_on; i++)
        if (strcmp(p->depends_on[i].plan.s, s->id) == 0)
            return arena_printf(a, "%s depends on plan %s", p->id.s, s->id);
    if (s->plan && s->plan->compensates.s && strcmp(s->plan->compensates.s, p->id.s) == 0)
        return arena_printf(a, "plan %s compensates %s", s->id, p->id.s);
    if (s->plan && s->plan->time == p->time)
        return "both have the same timestamp, so which comes first isn't known";
    return key ? arena_printf(a, "both have flag %s", key) : NULL;
}

static bool refuse(const struct plan *p, const struct spared *s, const char *why, struct err *err)
{
    err_set(err, ERR_INPUT, "plan %s can't be moved while %s can't be read: %s", p->id.s, s->file,
            why);
    err_detail(err, "%s", s->why);
    err_hint(err, "mend it, then the same command again; phasegate check shows all that is wrong");
    return false;
}

/* Where it stands decides which releases may run; and that can't be said without its file. */
static const struct plan_state *begun_without_file(const struct engine *e,
                                                   const struct plan_state *states, int n)
{
    for (int i = 0; i < n; i++)
        if (states[i].stage != STAGE_PLANNED && !plan_find(e->set, states[i].plan))
            return &states[i];
    return NULL;
}

static const struct spared *find_unknown(const struct engine *e)
{
    for (int i = 0; i < e->set->n_spared; i++)
        if (!spared_is_known(&e->set->spared[i]))
            return &e->set->spared[i];
    return NULL;
}

bool spared_narrow(struct engine *e, struct arena *a, struct release_window *win, struct err *err)
{
    const struct project *prj = &e->set->project;
    struct release_window was = {0};
    struct plan_state *states = NULL;
    int n = 0;

    if (e->set->n_spared == 0)
        return true;
    if (!ledger_plan_states(e->db, a, &states, &n, err) ||
        !ledger_release_window(e->db, a, &was, err))
        return false;
    bool begun = begun_without_file(e, states, n) != NULL;
    if (!was.exists || (!begun && !find_unknown(e)))
        return true;
    if (was.newest && (!win->newest || release_compare(prj, was.newest, win->newest) < 0)) {
        win->exists = true;
        win->newest = was.newest;
        win->why = was.why;
    }
    if (begun && was.oldest &&
        (!win->oldest || release_compare(prj, was.oldest, win->oldest) > 0)) {
        win->exists = true;
        win->oldest = was.oldest;
        win->why = was.why;
    }
    return true;
}

/* It was rolled out with one of its phases, or one after it was; or nothing comes before it. */
static bool has_run(const struct engine *e, const struct plan_state *states, int n,
                    const char *release)
{
    const struct project *prj = &e->set->project;

    if (project_release_index(prj, release) == 0)
        return true;
    for (int i = 0; i < n; i++)
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
            if (states[i].release[ph] && release_compare(prj, release, states[i].release[ph]) <= 0)
                return true;
    return false;
}

bool spared_allow(struct engine *e, struct arena *a, const char *release, bool *out,
                  const char **why, struct err *err)
{
    const struct spared *unknown = find_unknown(e);
    struct plan_state *states = NULL;
    int n = 0;

    *out = true;
    if (!unknown)
        return true;
    if (e->has_ledger && !ledger_plan_states(e->db, a, &states, &n, err))
        return false;
    *out = has_run(e, states, n, release);
    if (!*out)
        *why = arena_printf(a,
                            "%s can't be read, and its expand may have to come before release %s: "
                            "phasegate check says what is wrong with it",
                            unknown->file, release);
    return true;
}

bool engine_beside_spared(struct engine *e, const struct plan *p, struct arena *a, struct err *err)
{
    struct plan_state *states = NULL;
    const struct plan_state *begun;
    enum stage stage = STAGE_PLANNED;
    int n = 0;

    if (e->set->n_spared == 0)
        return true;
    if (e->has_ledger && !ledger_plan_states(e->db, a, &states, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (strcmp(states[i].plan, p->id.s) == 0)
            stage = states[i].stage;
    begun = begun_without_file(e, states, n);
    for (int i = 0; i < e->set->n_spared; i++) {
        const struct spared *s = &e->set->spared[i];
        const char *why = tie(a, p, s);
        const struct phase_plan *expand = &p->phases[PHASE_EXPAND];

        if (!why && begun)
            why = arena_printf(
                a, "plan %s has begun (\"%s\"), and which releases may run depends on it",
                begun->plan, stage_word(begun->stage));
        if (!why && !spared_is_known(s) && expand->present &&
            !stage_has_finished(stage, PHASE_EXPAND))
            why = arena_printf(a,
                               "expand lets release %s in, and it may have to come before that too",
                               expand->release.s ? expand->release.s : "of the plan");
        if (why)
            return refuse(p, s, why, err);
    }
    return true;
}
