/* Which releases may run, given how far the plans are. Pure. */
#include "phasegate/window.h"

#include <string.h>

/* The release `window` places before version in the list; NULL when the list doesn't reach that far. */
static const char *before(const struct project *prj, const char *version, int64_t window)
{
    int at = project_release_index(prj, version);

    return at >= window && at >= 0 ? prj->releases[at - window].version.s : NULL;
}

static void floor_at(const struct project *prj, struct window *w, const char *version, const char *why)
{
    if (version && (!w->oldest || release_compare(prj, version, w->oldest) > 0)) {
        w->oldest = version;
        w->oldest_why = why;
    }
}

void window_compute(struct arena *a, const struct project *prj, int64_t window, const struct window_plan *plans, int n,
                    struct window *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < n; i++) {
        const struct plan *p = plans[i].plan;
        const struct phase_plan *expand = &p->phases[PHASE_EXPAND], *contract = &p->phases[PHASE_CONTRACT];
        const struct phase_plan *dual = &p->phases[PHASE_DUAL_READ], *write = &p->phases[PHASE_WRITE_ACTIVATION];
        enum stage s = plans[i].stage;

        if (expand->present && !stage_has_finished(s, PHASE_EXPAND)) {
            if (!out->below || release_compare(prj, expand->release.s, out->below) < 0) {
                out->below = expand->release.s;
                out->below_why = arena_printf(a, "expand of plan %s, bound to %s, isn't finished", p->id.s, expand->release.s);
            }
        }
        if (contract->present && s >= STAGE_CONTRACT_RUNNING && s != STAGE_CONTRACT_UNDOING)
            floor_at(prj, out, before(prj, contract->release.s, window) ? before(prj, contract->release.s, window) : contract->release.s,
                     arena_printf(a, "contract of plan %s at %s hid or dropped what older releases use", p->id.s,
                                  contract->release.s));
        /* Without the trigger only releases that know the write flag keep both sides equal. */
        if (plans[i].first_write_rung && p->sync.by != SYNC_TRIGGER && write->present &&
            !stage_has_finished(s, PHASE_CONTRACT))
            floor_at(prj, out, dual->present ? dual->release.s : write->release.s,
                     arena_printf(a, "plan %s has writes on the new shape, which older releases don't keep up", p->id.s));
    }
}

bool window_allows(const struct project *prj, const struct window *w, const char *version, const char **reason,
                   const char **why)
{
    if (w->oldest && release_compare(prj, version, w->oldest) < 0) {
        *reason = "older_than_window";
        *why = w->oldest_why;
        return false;
    }
    if (w->below && release_compare(prj, version, w->below) >= 0) {
        *reason = "expand_missing";
        *why = w->below_why;
        return false;
    }
    *reason = NULL;
    *why = NULL;
    return true;
}
