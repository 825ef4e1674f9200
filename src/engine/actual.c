/* What production is like now: for the proof of the transition that is about to begin. Looks only. */
#include "internal.h"

struct gathering {
    struct engine *e;
    struct arena *a;
    struct plan_state *states;
    int n_states;
    struct actual *out;
};

static const struct plan_state *state_of(const struct gathering *g, const char *plan)
{
    for (int i = 0; i < g->n_states; i++)
        if (strcmp(g->states[i].plan, plan) == 0)
            return &g->states[i];
    return NULL;
}

static void gather_stages(struct gathering *g)
{
    enum stage *stages = arena_array(g->a, enum stage, g->e->set->n_plans + 1);

    for (int i = 0; i < g->e->set->n_plans; i++) {
        const struct plan_state *s = state_of(g, g->e->set->plans[i].id.s);
        stages[i] = s ? s->stage : STAGE_PLANNED;
    }
    g->out->stages = stages;
}

static void add_live(struct gathering *g, const char *version)
{
    for (int i = 0; i < g->out->n_live; i++)
        if (strcmp(g->out->live[i], version) == 0)
            return;
    g->out->live[g->out->n_live++] = version;
}

/* Under which a phase was advanced after this plan's last one: it is out, whoever watches. */
static void add_rolled_out(struct gathering *g, const struct plan *p)
{
    const char *last = p->phases[PHASE_CONTRACT].release.s;

    for (int i = 0; last && i < g->n_states; i++)
        for (int ph = PHASE_DUAL_READ; ph <= PHASE_LAST; ph++) {
            const char *r = g->states[i].release[ph];
            if (r && release_compare(&g->e->set->project, r, last) > 0)
                add_live(g, r);
        }
}

static bool gather_live(struct gathering *g, const struct plan *p, struct err *err)
{
    const char **live = NULL;
    bool watched = false;
    int n = 0;

    if (!live_releases(g->e, g->a, &live, &n, &watched, err))
        return false;
    g->out->live = arena_array(g->a, const char *, n + g->n_states * PHASE_SLOTS + 1);
    for (int i = 0; i < n; i++)
        add_live(g, live[i]);
    add_rolled_out(g, p);
    return true;
}

/* Those of phases that haven't begun have their safe value in every world, unless they are up all the same. What
 * can't be read is off, as it is for applications. */
static void gather_flags(struct gathering *g)
{
    static const enum phase bound[FLAG_ROLES] = {
        [FLAG_READ] = PHASE_DUAL_READ, [FLAG_WRITE] = PHASE_WRITE_ACTIVATION};
    int n = g->e->set->n_plans * FLAG_ROLES, n_refs = 0;
    struct flag_ref *refs = arena_array(g->a, struct flag_ref, n + 1);
    struct flag_obs *obs = arena_array(g->a, struct flag_obs, n + 1);

    g->out->up = arena_array(g->a, const char *, n + 1);
    for (int i = 0; g->e->flags && i < g->e->set->n_plans; i++)
        for (int r = 0; r < FLAG_ROLES; r++) {
            const struct plan *p = &g->e->set->plans[i];
            if (p->flags[r].key.s && stage_phase(g->out->stages[i]) < bound[r])
                refs[n_refs++] = (struct flag_ref) {.service = g->e->flags,
                                                    .key = p->flags[r].key.s,
                                                    .bucket_by = p->flags[r].bucket_by.s,
                                                    .purpose = p->id.s};
        }
    if (n_refs == 0)
        return;
    flags_observe_all(g->e, refs, n_refs, g->a, obs);
    for (int i = 0; i < n_refs; i++)
        if (obs[i].state != FLAG_UNKNOWN && flag_exposure(obs[i].state, obs[i].percent) != 0)
            g->out->up[g->out->n_up++] = refs[i].key;
}

static bool gather_hidden(struct gathering *g, const struct plan *p, struct err *err)
{
    struct soft_drop *d = NULL;
    int n = 0;

    if (g->e->has_ledger && !ledger_soft_drops(g->e->db, g->a, p->id.s, &d, &n, err))
        return false;
    g->out->hidden = arena_array(g->a, struct hidden_part, n + 1);
    for (int i = 0; i < n; i++) {
        struct hidden_part *h = &g->out->hidden[g->out->n_hidden];

        if (d[i].restored_at_ms || d[i].purged_at_ms)
            continue;
        h->step = d[i].step;
        script_split(g->a, d[i].purge_sql, &h->purge);
        g->out->n_hidden++;
    }
    return true;
}

bool engine_actual(struct engine *e, const struct plan *p, struct arena *a, struct actual *out,
                   struct err *err)
{
    struct gathering g = {.e = e, .a = a, .out = out};

    memset(out, 0, sizeof *out);
    if (e->has_ledger && !ledger_plan_states(e->db, a, &g.states, &g.n_states, err))
        return false;
    gather_stages(&g);
    if (!gather_live(&g, p, err) || !gather_hidden(&g, p, err))
        return false;
    gather_flags(&g);
    return true;
}
