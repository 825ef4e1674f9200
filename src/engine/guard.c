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

/* coming: a state that is about to be written, in place of the stored one; NULL: none. */
static bool compute(struct engine *e, const struct plan_state *coming, struct arena *a,
                    struct window *out, struct err *err)
{
    struct window_plan *wp = arena_array(a, struct window_plan, e->set->n_plans + 1);
    struct plan_state *states = NULL;
    int n = 0;

    if (e->has_ledger && !ledger_plan_states(e->db, a, &states, &n, err))
        return false;
    for (int i = 0; i < e->set->n_plans; i++) {
        const struct plan_state *s = NULL;
        wp[i].plan = &e->set->plans[i];
        for (int j = 0; j < n; j++)
            if (strcmp(states[j].plan, wp[i].plan->id.s) == 0)
                s = &states[j];
        if (coming && strcmp(coming->plan, wp[i].plan->id.s) == 0)
            s = coming;
        if (s) {
            wp[i].stage = s->stage;
            wp[i].first_write_rung = s->first_write_rung;
        }
    }
    window_compute(a, &e->set->project, e->policy.window, wp, e->set->n_plans, out);
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
    struct window win;

    if (!compute(w->e, &w->state, w->a, &win, err))
        return false;
    struct release_window stored = as_stored(w->e, &win);
    stored.since_ms = now_ms(w->e);
    ledger_release_window_call(w->a, &stored, txn_slot(t));
    return true;
}

bool engine_guard(struct engine *e, const char *release, struct arena *a, struct verdict *out,
                  struct err *err)
{
    const struct project *prj = &e->set->project;
    struct window win;

    memset(out, 0, sizeof *out);
    if (!compute(e, NULL, a, &win, err))
        return false;
    out->window = as_stored(e, &win);
    out->may_run = true;
    if (release)
        out->may_run = window_allows(prj, &win, release, &out->reason, &out->why);
    return true;
}
