/* May a release run here now? The same answer as the release_window table, plus the flags' floor. */
#include "internal.h"
#include "phasegate/window.h"

/* The newest listed release before `below`. */
static const char *newest_below(const struct project *prj, const char *below)
{
    const char *newest = NULL;

    for (int i = 0; i < prj->n_releases; i++)
        if (release_compare(prj, prj->releases[i].version.s, below) < 0)
            newest = prj->releases[i].version.s;
    return newest;
}

/* A plan whose file is gone; what its contract hid or destroyed still is: the ledger has the release. Once that isn't
 * listed any more either, those before it are long unknown. */
static bool add_gone(struct engine *e, struct arena *a, const struct plan_state *s,
                     struct window_plan *out)
{
    const char *release = s->release[PHASE_CONTRACT];

    if (s->stage < STAGE_CONTRACT_RUNNING || !release ||
        project_release_index(&e->set->project, release) < 0 || plan_find(e->set, s->plan) ||
        plan_find_spared(e->set, s->plan))
        return false;
    struct plan *p = arena_new(a, struct plan);
    p->id.s = s->plan;
    p->phases[PHASE_EXPAND].none.s = p->phases[PHASE_WRITE_ACTIVATION].none.s = "its file is gone";
    p->phases[PHASE_CONTRACT].present = true;
    p->phases[PHASE_CONTRACT].release.s = release;
    *out = (struct window_plan) {.plan = p, .stage = s->stage};
    return true;
}

struct gathered {
    struct window_plan *plans;
    int n;
    const struct plan_state *states; /* of plans, but for those whose file is gone */
};

/* Every plan of the set with its state, then those whose files can't be read, as far as they are known, then those whose
 * files are gone; what isn't in the ledger is planned. */
static bool gather(struct engine *e, struct arena *a, struct gathered *out, struct err *err)
{
    static const struct plan unknown;
    int n = 0, n_plans = e->set->n_plans, n_all = n_plans + e->set->n_spared;
    struct plan_state *states = NULL, *of_plan;

    if (e->has_ledger && !ledger_plan_states(e->db, a, &states, &n, err))
        return false;
    struct window_plan *wp = arena_array(a, struct window_plan, n_all + n + 1);
    out->states = of_plan = arena_array(a, struct plan_state, n_all + 1);
    for (int i = 0; i < n_all; i++) {
        const struct spared *s = i < n_plans ? NULL : &e->set->spared[i - n_plans];
        const char *id = s ? s->id : e->set->plans[i].id.s;
        wp[i].plan = !s ? &e->set->plans[i] : s->plan ? s->plan : &unknown;
        for (int j = 0; j < n; j++)
            if (strcmp(states[j].plan, id) == 0)
                of_plan[i] = states[j];
        wp[i].stage = of_plan[i].stage;
        wp[i].first_write_rung = of_plan[i].first_write_rung;
    }
    for (int j = 0; j < n; j++)
        n_all += add_gone(e, a, &states[j], &wp[n_all]);
    out->plans = wp;
    out->n = n_all;
    return true;
}

static struct release_window as_stored(const struct engine *e, const struct window *win)
{
    return (struct release_window) {
        .exists = win->oldest || win->below,
        .oldest = win->oldest,
        .newest = win->below ? newest_below(&e->set->project, win->below) : NULL,
        .why = win->oldest_why ? win->oldest_why : win->below_why};
}

bool window_add(struct work *w, struct txn *t, struct err *err)
{
    struct gathered g;
    struct window win;

    if (!gather(w->e, w->a, &g, err))
        return false;
    /* The state that is about to be written, in place of the stored one. */
    for (int i = 0; i < w->e->set->n_plans; i++)
        if (strcmp(g.plans[i].plan->id.s, w->state.plan) == 0) {
            g.plans[i].stage = w->state.stage;
            g.plans[i].first_write_rung = w->state.first_write_rung;
        }
    window_compute(w->a, &w->e->set->project, w->e->policy.window, g.plans, g.n, &win);
    struct release_window stored = as_stored(w->e, &win);
    if (!spared_narrow(w->e, w->a, &stored, err))
        return false;
    stored.since_ms = now_ms(w->e);
    ledger_release_window_call(w->a, &stored, txn_slot(t));
    return true;
}

/* ---- the flags as they are now -------------------------------------------------------------------------------- */

struct raised { /* a flag that stands higher than its rollout has got */
    const struct plan *plan;
    enum flag_role role;
    int percent, left;
};

struct flags_now {
    struct engine *e;
    struct arena *a;
    struct window_plan *plans;
    const struct plan_state *states;
    struct flag_ref *refs;
    int *plan_of;
    enum flag_role *role_of;
    int n;
    struct raised *raised;
    int n_raised;
    const char *unread;
};

/* Before expand no release that knows the flags may run, after the purge nothing depends on them. */
static void gather_flags(struct flags_now *f)
{
    int n = f->e->set->n_plans;

    f->refs = arena_array(f->a, struct flag_ref, n * FLAG_ROLES + 1);
    f->plan_of = arena_array(f->a, int, n *FLAG_ROLES + 1);
    f->role_of = arena_array(f->a, enum flag_role, n * FLAG_ROLES + 1);
    f->raised = arena_array(f->a, struct raised, n * FLAG_ROLES + 1);
    for (int i = 0; f->e->flags && i < n; i++)
        for (int r = 0; r < FLAG_ROLES; r++) {
            const struct flag_decl *d = &f->plans[i].plan->flags[r];
            if (!d->key.s || f->plans[i].stage < STAGE_EXPAND_DONE ||
                f->plans[i].stage == STAGE_EXPAND_UNDOING || f->plans[i].stage == STAGE_PURGED)
                continue;
            f->refs[f->n] = (struct flag_ref) {.service = f->e->flags,
                                               .key = d->key.s,
                                               .bucket_by = d->bucket_by.s,
                                               .purpose = f->plans[i].plan->id.s};
            f->plan_of[f->n] = i;
            f->role_of[f->n++] = (enum flag_role) r;
        }
}

/* While its phase runs a flag may be a rung ahead of the ledger: it is journalled once it is settled. */
static bool is_next_rung(struct flags_now *f, int i, int exposure, bool *out, struct err *err)
{
    struct plan *head = (struct plan *) f->plans[f->plan_of[i]].plan, room, *whole;
    enum phase bound = f->role_of[i] == FLAG_READ ? PHASE_DUAL_READ : PHASE_WRITE_ACTIVATION;
    int left = f->states[f->plan_of[i]].percent[f->role_of[i]];
    const struct rung_list *rungs;

    *out = false;
    if (!stage_is_running(f->plans[f->plan_of[i]].stage))
        return true;
    whole = f->e->read_plan(f->e->set, head, f->a, &room, err);
    if (!whole)
        return false;
    rungs = &whole->phases[bound].rollout;
    for (int k = 0; k < rungs->n; k++)
        if (rungs->items[k].percent > left) {
            *out = exposure <= rungs->items[k].percent;
            return true;
        }
    return true;
}

static bool look_at_flags(struct flags_now *f, struct err *err)
{
    struct flag_obs *obs;

    gather_flags(f);
    obs = arena_array(f->a, struct flag_obs, f->n + 1);
    if (f->n > 0)
        flags_observe_all(f->e, f->refs, f->n, f->a, obs);
    for (int i = 0; i < f->n; i++) {
        int exposure = flag_exposure(obs[i].state, obs[i].percent);
        int left = f->states[f->plan_of[i]].percent[f->role_of[i]];
        bool in_turn = exposure <= left;
        if (exposure < 0) {
            if (!f->unread)
                f->unread = arena_printf(f->a, "flag %s can't be read: %s", f->refs[i].key,
                                         obs[i].why ? obs[i].why : flag_state_word(obs[i].state));
            continue;
        }
        if (!in_turn && !is_next_rung(f, i, exposure, &in_turn, err))
            return false;
        if (!in_turn)
            f->raised[f->n_raised++] =
                (struct raised) {f->plans[f->plan_of[i]].plan, f->role_of[i], exposure, left};
        if (f->role_of[i] == FLAG_WRITE && exposure > 0)
            f->plans[f->plan_of[i]].write_is_up = true;
    }
    return true;
}

/* Only a release that knows the flag does what it switches on. */
static void judge_raised(const struct flags_now *f, const char *release, struct verdict *out)
{
    for (int i = 0; i < f->n_raised && out->may_run; i++) {
        const struct raised *r = &f->raised[i];
        enum phase bound = r->role == FLAG_READ ? PHASE_DUAL_READ : PHASE_WRITE_ACTIVATION;
        const char *knows = r->plan->phases[bound].release.s;
        if (!knows || release_compare(&f->e->set->project, release, knows) < 0)
            continue;
        out->may_run = false;
        out->reason = "flag_out_of_turn";
        out->why = arena_printf(f->a,
                                "%s flag %s of plan %s is at %d %%, and its rollout has got to "
                                "%d %%: phasegate flags reconcile",
                                flag_role_word(r->role), r->plan->flags[r->role].key.s,
                                r->plan->id.s, r->percent, r->left);
    }
}

/* What the ledger has of plans whose files can't be read just now. */
static bool stored_allows(const struct project *prj, const char *release, struct verdict *v)
{
    const struct release_window *w = &v->window;

    if (w->oldest && release_compare(prj, release, w->oldest) < 0)
        v->reason = guard_word(GUARD_IN_WINDOW);
    else if (w->newest && release_compare(prj, release, w->newest) > 0)
        v->reason = "expand_missing";
    else
        return true;
    v->why = w->why;
    return false;
}

bool engine_guard(struct engine *e, const char *release, struct arena *a, struct verdict *out,
                  struct err *err)
{
    const struct project *prj = &e->set->project;
    struct flags_now f = {.e = e, .a = a};
    const char *near = NULL;
    struct gathered g;
    struct window win;

    memset(out, 0, sizeof *out);
    if (!gather(e, a, &g, err))
        return false;
    f.plans = g.plans;
    f.states = g.states;
    if (!look_at_flags(&f, err))
        return false;
    window_compute(a, prj, e->policy.window, f.plans, g.n, &win);
    out->window = as_stored(e, &win);
    if (e->has_ledger && !spared_narrow(e, a, &out->window, err))
        return false;
    out->unread = f.unread;
    out->may_run = true;
    if (!release)
        return true;
    if (!release_is_known(e->set, a, release, &near)) {
        out->may_run = false;
        out->reason = "unknown_release";
        out->why = arena_printf(a,
                                "neither releases: of %s nor a plan names it, so nobody knows what "
                                "comes before it%s%s%s",
                                prj->file, near ? "; did you mean \"" : "", near ? near : "",
                                near ? "\"?" : "");
        return true;
    }
    out->may_run = window_allows(prj, &win, release, &out->reason, &out->why) &&
                   stored_allows(prj, release, out);
    if (out->may_run && !spared_allow(e, a, release, &out->may_run, &out->why, err))
        return false;
    if (!out->may_run && !out->reason)
        out->reason = "unreadable_plan";
    judge_raised(&f, release, out);
    return true;
}

/* ---- before an advance ------------------------------------------------------------------------------------------ */

/* Of what guard holds against a release, advance goes by its age alone: what it still lacks is for advance to bring.
 * *why NULL: it isn't too old. */
static bool judge_age(struct engine *e, const char *release, struct arena *a, const char **why,
                      const char **oldest, struct err *err)
{
    struct verdict v;

    *why = *oldest = NULL;
    if (!release)
        return true;
    if (!engine_guard(e, release, a, &v, err))
        return false;
    if (v.may_run || strcmp(v.reason, guard_word(GUARD_IN_WINDOW)) != 0)
        return true;
    *why = arena_printf(a, "release %s may not run here any more: %s", release, v.why);
    *oldest = v.window.oldest;
    return true;
}

bool outlived_look(struct work *w, struct fact *f, struct err *err)
{
    const char *why, *oldest, *id = w->p->id.s;

    fact_yes(f);
    if (!judge_age(w->e, w->o->release, w->a, &why, &oldest, err))
        return false;
    if (why && stage_is_running(w->state.stage))
        fact_no(f, why,
                arena_printf(w->a,
                             "phasegate advance %s, which names no release, ends what was begun; "
                             "phasegate rollback %s takes it back",
                             id, id));
    else if (why)
        fact_no(f, why,
                arena_printf(w->a,
                             "bind the phase to %s or a later release, and advance under that one",
                             oldest));
    return true;
}

bool engine_in_window(struct engine *e, const char *release, struct arena *a, struct err *err)
{
    const char *why, *oldest;

    if (!judge_age(e, release, a, &why, &oldest, err))
        return false;
    if (!why)
        return true;
    err_set(err, ERR_REFUSED, "advance is refused: %s", why);
    err_hint(err, "the oldest that may run is %s; phasegate guard --release %s", oldest, release);
    return err_reason(err, guard_word(GUARD_IN_WINDOW));
}
