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

bool engine_guard(struct engine *e, const char *release, struct arena *a, struct verdict *out, struct err *err)
{
    const struct project *prj = &e->set->project;
    struct window_plan *wp = arena_array(a, struct window_plan, e->set->n_plans + 1);
    struct plan_state *states = NULL;
    struct window win;
    int n = 0;

    memset(out, 0, sizeof *out);
    if (e->has_ledger && !ledger_plan_states(e->db, a, &states, &n, err))
        return false;
    for (int i = 0; i < e->set->n_plans; i++) {
        wp[i].plan = &e->set->plans[i];
        for (int j = 0; j < n; j++)
            if (strcmp(states[j].plan, wp[i].plan->id.s) == 0) {
                wp[i].stage = states[j].stage;
                wp[i].first_write_rung = states[j].first_write_rung;
            }
    }
    window_compute(a, prj, e->policy.window, wp, e->set->n_plans, &win);
    out->window.exists = win.oldest || win.below;
    out->window.oldest = win.oldest;
    out->window.newest = win.below ? newest_below(prj, win.below) : NULL;
    out->window.why = win.oldest_why ? win.oldest_why : win.below_why;
    out->may_run = true;
    if (release)
        out->may_run = window_allows(prj, &win, release, &out->reason, &out->why);
    return true;
}
