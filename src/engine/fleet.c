/* One rollout over several databases: one of them leads, the others follow it. Each of them is ready for a rung before it is
 * climbed, and says so in its own ledger before the flag moves. */
#include "internal.h"

/* What the leader took back, or a kill did, is taken back for all of them. */
bool fleet_adopt(struct work *w, struct err *err)
{
    const struct fleet_lead *lead = w->o->lead;
    bool lower = false;

    if (!lead || lead->is_leader || !w->state.exists)
        return true;
    for (int r = 0; r < FLAG_ROLES; r++)
        if (lead->percent[r] < w->state.percent[r]) {
            w->state.percent[r] = lead->percent[r];
            w->state.rung_confirmed_ms = 0;
            lower = true;
        }
    if (!lower)
        return true;
    if (w->state.first_write_rung && w->p->sync.by != SYNC_TRIGGER && !verification_void(w, err))
        return false;
    return record_save_state(w, err);
}

bool fleet_is_led(const struct work *w) { return w->o && w->o->lead && !w->o->lead->is_leader; }

bool fleet_holds(const struct work *w, const struct task *t, int rung)
{
    return t->kind == TASK_RUNG && w->o->lead && rung >= w->o->lead->rungs;
}

/* Said before the flag is raised, in every ledger: nobody may think that no new write ever happened, or that the flag is
 * further than its rollout. */
bool fleet_hold(struct work *w, const struct task *t, struct err *err)
{
    const struct fleet_lead *lead = w->o->lead;

    w->out->holds = true;
    if (t->flag == FLAG_WRITE && !w->state.first_write_rung && !rung_first_write(w, err))
        return false;
    if (lead->is_leader)
        return true; /* it may be in the pause of this very rung */
    if (lead->follows && w->state.percent[t->flag] < t->rung->percent)
        w->state.percent[t->flag] = t->rung->percent;
    w->state.rung_confirmed_ms = 0;
    w->state.task = NULL;
    return record_save_state(w, err);
}

bool fleet_follow(struct work *w, const struct task *t, struct err *err)
{
    if (t->flag == FLAG_WRITE && !w->state.first_write_rung && !rung_first_write(w, err))
        return false;
    if (w->state.percent[t->flag] < t->rung->percent)
        w->state.percent[t->flag] = t->rung->percent;
    w->state.rung_confirmed_ms = 0;
    report_task(w, t, "done", 0, "as the fleet's rollout");
    return record_task_and_state(w, t, "done", 0, err);
}

void engine_fleet_rungs(const struct plan *p, const struct plan_state *s, enum phase phase,
                        struct arena *a, int *settled, int *total)
{
    struct work w = {.state = *s};
    struct script script;
    bool all = true;

    *settled = *total = 0;
    plan_script(a, p, phase, false, &script);
    for (int i = 0; i < script.n; i++) {
        if (script.tasks[i].kind != TASK_RUNG)
            continue;
        all = all && (stage_has_finished(s->stage, phase) || rung_is_settled(&w, &script.tasks[i]));
        *total += 1;
        *settled += all;
    }
}
