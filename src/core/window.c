/* Which releases may run, given how far the plans are. Pure. */
#include "phasegate/window.h"

#include <string.h>

/* The release `window` places before version in the list, or its first; NULL when version isn't in it: then
 * nothing is known of what came before. */
static const char *before(const struct project *prj, const char *version, int64_t window)
{
    int at = project_release_index(prj, version);

    if (at < 0)
        return NULL;
    return prj->releases[at >= window ? at - window : 0].version.s;
}

static void floor_at(const struct project *prj, struct window *w, const char *version,
                     const char *why)
{
    if (version && (!w->oldest || release_compare(prj, version, w->oldest) > 0)) {
        w->oldest = version;
        w->oldest_why = why;
    }
}

static void ceiling_of(struct arena *a, const struct project *prj, const struct window_plan *wp,
                       struct window *out)
{
    const struct phase_plan *expand = &wp->plan->phases[PHASE_EXPAND];
    const char *release = expand->release.s;

    if (!expand->present || !release || stage_has_finished(wp->stage, PHASE_EXPAND) ||
        (out->below && release_compare(prj, release, out->below) >= 0))
        return;
    out->below = release;
    out->below_why =
        arena_printf(a, "expand of plan %s, bound to %s, isn't finished", wp->plan->id.s, release);
}

/* From its start to the end of its undoing: a shape that is half back serves older releases no better. */
static void floor_of_contract(struct arena *a, const struct project *prj, int64_t window,
                              const struct window_plan *wp, struct window *out)
{
    const struct phase_plan *contract = &wp->plan->phases[PHASE_CONTRACT];
    const char *release = contract->release.s;

    if (!contract->present || wp->stage < STAGE_CONTRACT_RUNNING)
        return;
    const char *oldest = before(prj, release, window);
    floor_at(prj, out, oldest ? oldest : release,
             arena_printf(a, "contract of plan %s at %s hid or dropped what older releases use",
                          wp->plan->id.s, release));
}

/* Without the trigger only releases that know the write flag keep both sides equal. Once write_activation is
 * undone the old shape is the truth again, and the new one is filled anew before it is used. */
static void floor_of_writes(struct arena *a, const struct project *prj,
                            const struct window_plan *wp, struct window *out)
{
    const struct plan *p = wp->plan;
    const struct phase_plan *dual = &p->phases[PHASE_DUAL_READ],
                            *write = &p->phases[PHASE_WRITE_ACTIVATION];

    bool were_on = wp->first_write_rung && stage_phase(wp->stage) >= PHASE_WRITE_ACTIVATION;

    if ((!were_on && !wp->write_is_up) || p->sync.by == SYNC_TRIGGER || !write->present)
        return;
    floor_at(prj, out, dual->present ? dual->release.s : write->release.s,
             arena_printf(a,
                          "plan %s has writes on the new shape, which older releases don't keep up",
                          p->id.s));
}

void window_compute(struct arena *a, const struct project *prj, int64_t window,
                    const struct window_plan *plans, int n, struct window *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < n; i++) {
        ceiling_of(a, prj, &plans[i], out);
        floor_of_contract(a, prj, window, &plans[i], out);
        floor_of_writes(a, prj, &plans[i], out);
    }
}

bool window_allows(const struct project *prj, const struct window *w, const char *version,
                   const char **reason, const char **why)
{
    if (w->oldest && release_compare(prj, version, w->oldest) < 0) {
        *reason = guard_word(GUARD_IN_WINDOW);
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
