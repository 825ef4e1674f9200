/* Where a plan stands, what comes next, what it waits for. Looks only. */
#include "internal.h"

#include "phasegate/backfill_ops.h"

#include <jansson.h>

static void count_steps(struct work *w, enum phase phase, struct plan_status *out)
{
    struct script s;

    w->phase = phase;
    plan_script(w->a, w->p, phase, w->state.stage == STAGE_PURGING, &s);
    out->steps_total = s.n;
    for (int i = 0; i < s.n; i++)
        out->steps_done += task_is_done(w, &s.tasks[i]);
}

/* The present phase that comes next: absent ones are passed over. */
static enum phase next_present(const struct plan *p, enum stage s)
{
    enum phase next = stage_next_phase(s);

    while (next != PHASE_NONE && next <= PHASE_LAST && !p->phases[next].present)
        next++;
    return next > PHASE_LAST ? PHASE_NONE : next;
}

const char *next_move(struct work *w)
{
    const char *id = w->p->id.s;
    bool behind = flags_behind(w) != NULL;
    enum phase next = next_present(w->p, w->state.stage);

    if (w->state.stage == STAGE_CONTRACT_UNDOING ||
        (behind && w->state.stage == STAGE_CONTRACT_DONE))
        return arena_printf(w->a, "phasegate restore %s", id);
    if (stage_is_undoing(w->state.stage))
        return arena_printf(w->a, "phasegate rollback %s", id);
    if (w->state.stage == STAGE_CONTRACT_DONE || w->state.stage == STAGE_PURGING)
        return arena_printf(w->a, "phasegate purge %s --confirm %s", id, id);
    if (next == PHASE_NONE)
        return NULL;
    return arena_printf(w->a, "phasegate advance %s --release %s", id,
                        w->p->phases[next].release.s ? w->p->phases[next].release.s : "V");
}

static const char *next_command(struct work *w, const struct plan_status *s)
{
    if ((w->state.brake != BRAKE_NONE && w->state.stage != STAGE_PURGED) || s->kill.what)
        return arena_printf(w->a, "phasegate resume %s", w->p->id.s);
    return next_move(w);
}

/* A plan that compensates this one and has got somewhere: this one's schema was mended forward. */
static bool find_undoer(struct work *w, const char **out, struct err *err)
{
    *out = NULL;
    for (const struct plan **u = w->e->set->undoers; u && *u; u++) {
        const struct plan *p = *u;
        struct plan_state s = {0};
        if (strcmp(p->compensates.s, w->p->id.s) != 0)
            continue;
        if (w->e->has_ledger && !ledger_plan_state(w->e->db, w->a, p->id.s, &s, err))
            return false;
        if (s.stage != STAGE_PLANNED)
            *out = p->id.s;
    }
    return true;
}

/* {"paused": "who", ...} */
static const char *paused_by(struct arena *a, const char *knobs)
{
    json_t *all = knobs ? json_loads(knobs, 0, NULL) : NULL;
    const char *by = json_string_value(json_object_get(all, "paused"));

    by = by ? arena_strdup(a, by) : NULL;
    json_decref(all);
    return by;
}

/* How far a backfill is: its job moves with every batch, the plan's state doesn't. */
static bool look_at_rows(struct work *w, struct plan_status *out, struct err *err)
{
    const char *task = w->state.task;
    struct backfill_status *jobs = NULL;
    int n = 0;

    if (!task || strncmp(task, "backfill/", strlen("backfill/")) != 0)
        return true;
    if (!engine_backfills(w->e, w->p, w->a, &jobs, &n, err))
        return false;
    for (int i = 0; i < n; i++) {
        if (strcmp(jobs[i].name, task + strlen("backfill/")) != 0)
            continue;
        out->rows_done = jobs[i].rows_done;
        out->rows_total = jobs[i].rows_total;
        out->fill_paused_by = paused_by(w->a, jobs[i].knobs);
        for (int r = 0; r < jobs[i].n_runners && !out->fill_paused_by && !out->fill_reason; r++)
            out->fill_reason = jobs[i].runners[r].reason;
    }
    return true;
}

/* A plan that has a checklist isn't over before that is accepted. */
static bool look_at_checklist(struct work *w, struct plan_status *out, struct err *err)
{
    if (!validation_look(w, &out->checklist, err))
        return false;
    if (w->state.stage != STAGE_PURGED || !out->checklist.n || out->checklist.accepted)
        return true;
    out->pending = true;
    out->next_command = arena_printf(w->a, "phasegate verify %s", w->p->id.s);
    return true;
}

/* What a backup can be restored to, from before something was hidden or destroyed. */
static bool look_at_point(struct work *w, struct plan_status *out, struct err *err)
{
    struct restore_point *all = NULL;
    int n = 0;

    if (w->state.stage < STAGE_CONTRACT_RUNNING)
        return true;
    if (!ledger_restore_points(w->e->db, w->a, w->p->id.s, &all, &n, err))
        return false;
    if (n > 0)
        out->point = all[n - 1];
    return true;
}

/* Of what stands against a purge, what is asked by itself. */
static bool look_beside(struct work *w, enum guard g,
                        bool (*look)(struct work *, struct fact *, struct err *),
                        struct plan_status *out, bool *stands, struct err *err)
{
    struct fact f;

    if (!look(w, &f, err))
        return false;
    if (f.holds)
        return true;
    out->decision.go = false;
    out->decision.refusals[out->decision.n_refusals++] =
        (struct refusal) {.reason = guard_word(g), .fact = f};
    *stands = true;
    return true;
}

/* A purge that would be refused isn't the next command; one that only waits for its hold is. */
static bool look_at_purge(struct work *w, const struct advance_options *o, bool with_flags,
                          struct plan_status *out, struct err *err)
{
    struct advance_options confirmed = *o;
    struct plan_state seen;
    struct world world = {.stage = w->state.stage, .brake = w->state.brake};
    bool stands = false;

    if ((w->state.stage != STAGE_CONTRACT_DONE && w->state.stage != STAGE_PURGING) ||
        w->state.brake != BRAKE_NONE || !w->e->db)
        return true;
    confirmed.confirm = w->p->id.s;
    w->phase = PHASE_CONTRACT;
    if (with_flags) {
        if (!engine_observe(w->e, w->p, EVENT_PURGE, &confirmed, w->a, &seen, &world, err))
            return false;
        phase_decide(&world, EVENT_PURGE, &out->decision);
        decision_with_name(w->a, w->p, &out->decision);
    }
    for (int i = 0; i < out->decision.n_refusals; i++)
        stands |= strcmp(out->decision.refusals[i].reason, guard_word(GUARD_HOLD_ELAPSED)) != 0;
    if ((!with_flags || w->state.stage == STAGE_PURGING) &&
        !look_beside(w, GUARD_NO_DEPENDANTS, dependants_look, out, &stands, err))
        return false;
    if (!with_flags && w->state.stage == STAGE_CONTRACT_DONE &&
        !look_beside(w, GUARD_UNTOUCHED, touched_look, out, &stands, err))
        return false;
    if (!with_flags && !look_beside(w, GUARD_SNAPSHOT, snapshot_look, out, &stands, err))
        return false;
    if (!with_flags && w->state.stage == STAGE_CONTRACT_DONE &&
        !look_beside(w, GUARD_APPROVED, purge_approvals_look, out, &stands, err))
        return false;
    if (stands || out->edited)
        out->next_command = NULL;
    return true;
}

bool engine_status(struct engine *e, struct plan *p, bool with_flags, struct arena *a,
                   struct plan_status *out, struct err *err)
{
    struct work w = {.e = e, .p = p, .a = a};
    struct advance_options o = {.glance = true};
    struct world world;
    struct edit *edits;
    int n_edits = 0;

    memset(out, 0, sizeof *out);
    out->plan = p;
    w.o = &o;
    if (!e->facts(e->set, p, err) || (e->has_ledger && !work_reload(&w, err)))
        return false;
    w.state.plan = p->id.s;
    out->state = w.state;
    /* Nothing is waited for any more once a brake is on. */
    if (w.state.brake != BRAKE_NONE) {
        out->state.waiting_for = out->state.waiting_holder = out->state.waiting_release = NULL;
        out->state.waiting_since_ms = out->state.waiting_until_ms = 0;
    }
    out->next_phase = next_present(p, w.state.stage);
    if (out->next_phase != PHASE_NONE)
        out->next_release = p->phases[out->next_phase].release.s;
    count_steps(&w, out->next_phase != PHASE_NONE ? out->next_phase : stage_phase(w.state.stage),
                out);
    out->pending = w.state.stage != STAGE_PURGED &&
                   (out->next_phase != PHASE_NONE || w.state.stage >= STAGE_CONTRACT_DONE ||
                    stage_is_undoing(w.state.stage));
    flags_kill_pending(&w, &out->kill);
    out->next_command = next_command(&w, out);
    if (e->has_ledger && (!look_at_checklist(&w, out, err) || !look_at_point(&w, out, err)))
        return false;
    if (!engine_edits(e, p, a, &edits, &n_edits, err) || !find_undoer(&w, &out->undone_by, err))
        return false;
    out->edited = n_edits > 0;
    if (n_edits > 0)
        out->edit = edits[0];
    if (e->has_ledger && e->env->n_notify > 0 &&
        !ledger_notification(e->db, a, p->id.s, &out->untold, err))
        return false;
    if (out->untold.n_failed == 0)
        out->untold.text = NULL;
    if (e->has_ledger && (!look_at_rows(&w, out, err) || !sync_broken(&w, &out->sync_broken, err)))
        return false;
    bool purges = out->next_phase == PHASE_NONE && w.state.stage == STAGE_CONTRACT_DONE;
    if ((purges || out->next_phase != PHASE_NONE) &&
        !approvals_read(&w, purges ? PHASE_CONTRACT : out->next_phase, purges, NULL,
                        &out->approvals, err))
        return false;
    if (with_flags)
        flags_observe(&w, out->observed);
    for (int r = 0; with_flags && w.state.stage != STAGE_PURGED && r < FLAG_ROLES; r++)
        if (p->flags[r].key.s)
            (void) flag_out_of_turn(a, p, &w.state, (enum flag_role) r, &out->observed[r],
                                    &out->ahead[r]);
    if (!touches_read(&w, &out->touches, err) || !look_at_purge(&w, &o, with_flags, out, err))
        return false;
    /* What advance would be told now. Its flags are asked only when the caller wants the network. */
    o.release = out->next_release;
    if (!with_flags && out->next_phase >= PHASE_DUAL_READ)
        return true;
    if (out->next_phase != PHASE_NONE && e->db) {
        struct plan_state seen;
        if (!engine_observe(e, p, EVENT_ADVANCE, &o, a, &seen, &world, err))
            return false;
        phase_decide(&world, EVENT_ADVANCE, &out->decision);
        decision_with_name(a, p, &out->decision);
    }
    return true;
}

bool engine_lost(struct engine *e, struct arena *a, struct plan_state **out, int *out_n,
                 struct err *err)
{
    struct plan_state *all = NULL;
    int n = 0;

    *out = NULL;
    *out_n = 0;
    if (!e->has_ledger || !ledger_plan_states(e->db, a, &all, &n, err))
        return !e->has_ledger;
    *out = arena_array(a, struct plan_state, n + 1);
    for (int i = 0; i < n; i++)
        if (all[i].stage != STAGE_PLANNED && all[i].stage != STAGE_PURGED &&
            !plan_find(e->set, all[i].plan) && !plan_find_spared(e->set, all[i].plan))
            (*out)[(*out_n)++] = all[i];
    return true;
}
