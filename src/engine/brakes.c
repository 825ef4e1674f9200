/* pause and resume: the brakes that an operator puts on and takes off. */
#include "internal.h"

/* A pause needs no lease: it must work while a run holds it. The brake is the meeting point, and it alone is
 * written, so that the run's own rows stay as they are. */
bool engine_pause(struct engine *e, const struct plan *p, const char *because, struct err *err)
{
    AUTO(arena) a = {0};
    struct work w = {.e = e, .p = (struct plan *) p, .a = &a};
    struct world world = {0};
    struct decision d;
    struct txn t;

    if (!e->has_ledger) {
        err_set(err, ERR_REFUSED, "nothing of plan %s was applied yet, so there's nothing to pause",
                p->id.s);
        return err_reason(err, "nothing_to_pause");
    }
    if (!work_reload(&w, err))
        return false;
    w.phase = stage_phase(w.state.stage);
    world.stage = w.state.stage;
    world.brake = w.state.brake;
    phase_decide(&world, EVENT_PAUSE, &d);
    if (!d.go)
        return engine_refuse(p, EVENT_PAUSE, &d, err);
    w.state.brake = BRAKE_PAUSED;
    w.state.brake_reason = because;
    w.state.brake_by = e->actor;
    w.state.brake_since_ms = now_ms(e);
    struct history_row *r =
        history_new(&w, "transition", phase_event_word(EVENT_PAUSE), "transition");
    r->description = because ? because : d.row->comment;
    r->machine_row = d.row->row;
    txn_begin(&w, &t, e->policy.lock_timeout_ms, e->policy.statement_timeout_ms);
    ledger_plan_brake_call(&a, &w.state, txn_slot(&t));
    ledger_history_call(&a, r, txn_slot(&t));
    return txn_commit(&w, &t, err);
}

/* What a kill took back is the new starting point: the rungs are climbed again from there. */
static bool rebase_after_kill(struct work *w, struct err *err)
{
    struct flags_seen seen;

    if (w->state.brake != BRAKE_KILLED || !w->e->flags)
        return true;
    flags_check(w, &seen);
    if (!seen.drift || seen.killed)
        return true;
    err_set(err, ERR_REFUSED, "plan %s can't be resumed: %s", w->p->id.s, seen.drift);
    if (seen.release)
        err_hint(err, "%s", seen.release);
    return err_reason(err, "flag_in_doubt");
}

/* A kill that no advance has met yet puts the brake on here, for there is nothing to resume otherwise. */
static bool see_kill(struct work *w, struct err *err)
{
    if (flags_settle(w, err) || w->state.brake != BRAKE_KILLED)
        return !err->kind;
    err_clear(err);
    return true;
}

bool engine_resume(struct engine *e, const struct plan *p, const char *because, struct arena *a,
                   const char **next, struct err *err)
{
    AUTO(err) ignored = {0};
    static const struct advance_options none;
    struct work w;
    struct decision d;

    *next = NULL;
    if (!e->has_ledger) {
        err_set(err, ERR_REFUSED,
                "nothing of plan %s was applied yet, so there's nothing to resume", p->id.s);
        return err_reason(err, "not_paused");
    }
    bool ok = work_open(&w, e, (struct plan *) p, &none, a, err) && see_kill(&w, err);
    if (ok) {
        struct world world = {.stage = w.state.stage, .brake = w.state.brake};
        phase_decide(&world, EVENT_RESUME, &d);
        w.state.waiting_for = NULL;
        w.state.waiting_since_ms = w.state.waiting_until_ms = 0;
        ok = d.go ? rebase_after_kill(&w, err) &&
                        record_transition(&w, d.row, EVENT_RESUME, because, err)
                  : engine_refuse(p, EVENT_RESUME, &d, err);
        *next = next_move(&w);
    }
    if (db_is_usable(e->db))
        (void) !lease_release(e->db, &ignored);
    milestones_end(&w);
    return ok;
}
