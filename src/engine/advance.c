/* The loop: observe, decide, act, record. Every way in ends in run_phase or a refusal. */
#include "internal.h"

#define RECONNECT_TRIES 8
#define BRAKE_EVERY_MS 200
#define BRAKE_ANSWER_MS 30000

typedef bool task_fn(struct work *, const struct task *, struct err *);

static task_fn *const task_runners[] = {
    [TASK_STEP] = step_run,           [TASK_SYNC_INSTALL] = sync_install,
    [TASK_SYNC_REMOVE] = sync_remove, [TASK_BACKFILL] = backfill_run,
    [TASK_VERIFY] = verify_run,       [TASK_COMPARE] = compare_run,
    [TASK_RUNG] = rung_run,           [TASK_GATES] = gates_run,
    [TASK_SOFT_DROP] = soft_drop_run, [TASK_PURGE_DROP] = purge_drop_run,
};

/* The world that was proved has to be the one that the transition meets. */
static bool still_proved(struct work *w, enum phase_event ev, struct err *err)
{
    const struct transition_proof *t = w->o->proof;

    if (!t || !asks_for_proof(ev, w->state.stage))
        return true;
    if (t->word && (t->phase == PHASE_NONE || t->phase == w->phase))
        return !t->holds || t->holds(t->ctx, w->e->db, err);
    err_set(err, ERR_REFUSED,
            "%s of plan %s is refused: the plan or its flags moved between proof and transition",
            phase_event_word(ev), w->p->id.s);
    err_hint(err, "the same command again proves it as it stands now");
    return err_reason(err, "proof");
}

/* Observes and decides; takes the row. *go false with err unset never happens: a refusal is an error. */
static bool take(struct work *w, enum phase_event ev, const char *why, struct err *err)
{
    struct world world;
    struct decision d;

    if (!engine_observe(w->e, w->p, ev, w->o, w->a, &w->state, &world, err))
        return false;
    phase_decide(&world, ev, &d);
    if (w->out)
        w->out->decision = d;
    /* What a signal kept from being looked at is no reason to refuse. */
    if (!d.go && ports_interrupted(w->e->ports))
        return err_set(err, ERR_INTERRUPTED, "stopped by a signal; nothing was begun");
    if (!d.go)
        return engine_refuse(w->p, ev, &d, err);
    if (!still_proved(w, ev, err))
        return false;
    if (w->out && w->o->proof && asks_for_proof(ev, w->state.stage))
        w->out->proof = w->o->proof->word;
    if (begins_first_phase(w, ev) && !validation_before(w, err))
        return false;
    return record_transition(w, d.row, ev, why, err);
}

static bool brake_is_on(struct work *w, struct err *err)
{
    const char *by = w->state.brake_by ? w->state.brake_by : "somebody";

    err_set(err, ERR_STOPPED, "plan %s was %s%s%s", w->p->id.s, brake_word(w->state.brake),
            w->state.brake_reason ? ": " : "", w->state.brake_reason ? w->state.brake_reason : "");
    err_detail(err, "By %s. Nothing is lost: what was done is recorded.", by);
    err_hint(err, "phasegate resume %s, once the cause is gone, then the same command again",
             w->p->id.s);
    return err_reason(err, brake_word(w->state.brake));
}

/* Between tasks, batches and seconds of a pause: did somebody pause or kill the plan, or press Ctrl-C? */
bool work_may_go_on(struct work *w, struct err *err)
{
    AUTO(arena) scratch = {0}; /* asked twice a second of a long pause */
    struct plan_state now;
    int64_t mono = clock_mono_ms(w->e->ports->clock);

    if (ports_interrupted(w->e->ports)) {
        err_set(err, ERR_INTERRUPTED, "stopped by a signal at a safe point, in task %s",
                w->state.task ? w->state.task : "none");
        if (w->e->ports->interrupt->signal == SIGTERM)
            err->exit_code = 143;
        return err_hint(err, "the same command goes on from here");
    }
    if (w->only_reads)
        return true;
    /* Short tasks in a row don't ask each time: a brake is seen within BRAKE_EVERY_MS. */
    if (w->brake_seen_ms && mono - w->brake_seen_ms < BRAKE_EVERY_MS)
        return true;
    w->brake_seen_ms = mono;
    /* A server that took the question and never answers would hold the rollout, and its kill, for good. */
    db_set_deadline_ms(w->e->db, BRAKE_ANSWER_MS);
    bool known = ledger_plan_state(w->e->db, &scratch, w->p->id.s, &now, err);
    db_set_deadline_ms(w->e->db, 0);
    if (!known)
        return false;
    if (now.brake == BRAKE_NONE || w->undoing)
        return flags_watch_kills(w, mono, err);
    return ledger_plan_state(w->e->db, w->a, w->p->id.s, &w->state, err) && brake_is_on(w, err);
}

bool halt(struct work *w, enum brake brake, const char *reason, struct err *err)
{
    enum phase_event ev = brake == BRAKE_KILLED ? EVENT_KILL_SEEN : EVENT_GATE_FAILED;
    struct world world = {.stage = w->state.stage, .brake = w->state.brake};
    struct decision d;

    phase_decide(&world, ev, &d);
    if (!d.row)
        return true; /* a stronger brake is on already */
    if (brake == BRAKE_KILLED && w->state.first_write_rung && w->p->sync.by != SYNC_TRIGGER &&
        !verification_void(w, err))
        return false;
    w->state.waiting_for = w->state.waiting_holder = w->state.waiting_release = NULL;
    w->state.waiting_since_ms = w->state.waiting_until_ms = 0;
    return record_transition(w, d.row, ev, reason, err);
}

/* What is known only now is saved before the deciding read: that reads the row again. */
static bool finish(struct work *w, struct err *err)
{
    w->state.task = NULL;
    w->state.waiting_for = NULL;
    w->state.waiting_since_ms = w->state.waiting_until_ms = 0;
    w->state.rows_done = 0;
    return record_save_state(w, err) && take(w, EVENT_FINISHED, NULL, err);
}

static bool record_failure(struct work *w, const struct task *t, struct err *err)
{
    AUTO(err) ignored = {0};
    /* Who stops at a pause or a brake hasn't failed; a step that stops has. */
    bool resting = err_is(err, ERR_STOPPED) && t->kind != TASK_STEP;
    /* A statement by itself may have run: the next try goes by what was there before this one. */
    const struct history_row *began = t->kind == TASK_STEP ? work_step_row(w, t->id) : NULL;

    if (!resting && !err_is(err, ERR_INTERRUPTED) && !err_is(err, ERR_CONNECTION_LOST) &&
        db_is_usable(w->e->db))
        (void) !record_task_now(w, t, "failed", 0, NULL, began ? began->undo_sql : NULL,
                                began ? began->detail : NULL, &ignored);
    return false;
}

static bool is_force_rerun(const struct work *w, const struct task *t)
{
    return w->o->force && (t->kind == TASK_STEP || t->kind == TASK_SYNC_INSTALL);
}

static bool run_task(struct work *w, const struct task *t, struct err *err)
{
    int64_t before = clock_mono_ms(w->e->ports->clock);

    if (!work_may_go_on(w, err))
        return false;
    w->state.task = t->id;
    /* A transactional step carries its label in its transaction; the longer tasks are described for those
     * who wait for the lock. */
    if (t->kind != TASK_STEP || t->step->n_stmts == 0 || t->step->stmts[0].standalone ||
        t->step->no_transaction) {
        db_set_label(w->e->db, session_label(w));
        /* Status shows it from elsewhere. */
        if (!lease_describe(w->e->db, t->id, err) || (!t->step && !record_save_state(w, err)))
            return false;
    }
    emit(w, EVENT_START, t->id, "%s", t->title);
    if (!task_runners[t->kind](w, t, err)) {
        record_failure(w, t, err);
        if (t->step)
            return err_note(err, "step \"%s\" (%s:%d:%d)", t->id, t->step->at.file,
                            t->step->at.line, t->step->at.col);
        return err_note(err, "%s \"%s\"", task_kind_word(t->kind), t->id);
    }
    struct event ev = {.kind = EVENT_DONE,
                       .plan = w->p->id.s,
                       .phase = phase_word(w->phase),
                       .task = t->id,
                       .message = t->title,
                       .number = w->task_no,
                       .total = w->n_tasks,
                       .ms = clock_mono_ms(w->e->ports->clock) - before};
    events_emit(w->e->ports->events, &ev);
    return true;
}

static bool run_script(struct work *w, bool purge, struct err *err)
{
    struct script s;
    int rungs = 0;

    plan_script(w->a, w->p, w->phase, purge, &s);
    w->n_tasks = s.n;
    for (int i = 0; i < s.n; i++) {
        w->task_no = i + 1;
        if (s.tasks[i].kind == TASK_RUNG && fleet_holds(w, &s.tasks[i], rungs++))
            return fleet_hold(w, &s.tasks[i], err);
        if (task_is_done(w, &s.tasks[i]) && !is_force_rerun(w, &s.tasks[i]))
            report_task(w, &s.tasks[i], "done", 0, "done before");
        else if (!restore_point_before_task(w, &s, &s.tasks[i], err) ||
                 !run_task(w, &s.tasks[i], err))
            return false;
    }
    return true;
}

/* Only what begins is proved: what --force runs again isn't, and that is said and recorded. */
static void say_forced(struct work *w)
{
    AUTO(str) ids = {0};
    struct script s;

    if (!w->o->force || w->phase == PHASE_NONE)
        return;
    plan_script(w->a, w->p, w->phase, false, &s);
    for (int i = 0; i < s.n; i++)
        if (is_force_rerun(w, &s.tasks[i]) &&
            (!stage_is_running(w->state.stage) || task_is_done(w, &s.tasks[i])))
            str_addf(&ids, "%s%s", ids.len ? ", " : "", s.tasks[i].id);
    if (!ids.len)
        return;
    w->forced = arena_strdup(w->a, str_text(&ids));
    w->out->proof = "forced";
    emit(w, EVENT_WARNING, NULL, "not proved: --force runs %s of %s again", w->forced,
         phase_word(w->phase));
}

/* Absent phases are passed over, each with its reason in the journal. */
static bool skip_absent(struct work *w, struct err *err)
{
    for (;;) {
        enum phase next = stage_next_phase(w->state.stage);
        if (next == PHASE_NONE || stage_is_running(w->state.stage) || w->p->phases[next].present ||
            w->state.brake != BRAKE_NONE)
            return true;
        const char *why = w->p->phases[next].none.s;
        w->phase = next;
        if (!take(w, EVENT_SKIP, why, err))
            return false;
        if (w->out && w->out->n_skipped < PHASE_SLOTS)
            w->out->skipped[w->out->n_skipped++] =
                arena_printf(w->a, "%s: %s", phase_word(next), why ? why : "absent");
        w->phase = stage_phase(w->state.stage);
    }
}

/* The session was lost when the last word of this very command was on its way, and it did arrive. Going back
 * further, or on to the next phase, is for another command. */
static bool has_arrived(const struct work *w, bool going_back)
{
    enum phase p = w->out->phase;

    return p != PHASE_NONE && stage_has_finished(w->state.stage, p) != going_back &&
           !stage_is_undoing(w->state.stage);
}

/* Nothing is to be done under this release: its phase is finished. Not an error: the same command twice. */
static bool is_finished_for(const struct work *w)
{
    if (!w->o->release || stage_is_running(w->state.stage) || stage_is_undoing(w->state.stage))
        return false;
    enum phase done = stage_phase(w->state.stage);
    for (int i = PHASE_FIRST; i <= (int) done; i++)
        if (w->state.release[i] && strcmp(w->state.release[i], w->o->release) == 0 &&
            stage_has_finished(w->state.stage, (enum phase) i)) {
            enum phase next = stage_next_phase(w->state.stage);
            const char *bound = next ? w->p->phases[next].release.s : NULL;
            bool in_turn =
                bound && (strcmp(bound, w->o->release) == 0 ||
                          (w->e->policy.one_phase_per_release == 0 &&
                           release_compare(&w->e->set->project, w->o->release, bound) >= 0));
            return !in_turn;
        }
    return w->state.stage == STAGE_PURGED;
}

/* --force, when the phase of this release is finished: its steps once more. The stage stays. */
static bool repeat_once(struct work *w, struct err *err)
{
    if (!flags_settle(w, err))
        return false;
    w->phase = newest_phase(w->p, w->state.stage);
    say_forced(w);
    if (!take(w, EVENT_REPEAT, NULL, err))
        return false;
    w->out->phase = w->phase;
    if (!sync_renew(w, err) || !run_script(w, false, err))
        return false;
    w->state.task = NULL;
    return record_save_state(w, err);
}

/* A refusal of what comes next takes nothing of that back: the journal has it. */
static bool passed_over(struct work *w, struct err *err)
{
    AUTO(str) text = {0};

    if (err->detail.len)
        str_addf(&text, "%s\n", str_text(&err->detail));
    for (int i = 0; i < w->out->n_skipped; i++)
        str_addf(&text, "%s%s",
                 i ? "; " : "Passed over before that, and recorded: ", w->out->skipped[i]);
    if (w->out->n_skipped > 0)
        err_detail(err, "%s. The plan stands at \"%s\"; %s was not begun.", str_text(&text),
                   stage_word(w->state.stage), phase_word(w->phase));
    return false;
}

/* ---- a phase that failed ----------------------------------------------------------------------------------- */

/* Only expand: cheap, without flags, and nobody uses it yet. What a person, a gate or a signal has stopped goes on; of
 * a backfill nobody wants hours taken back. */
static bool may_undo_itself(struct work *w, const struct err *failed)
{
    AUTO(err) ignored = {0};
    bool lossless = false;
    const char *what;

    if (w->e->policy.on_failure != FAILURE_UNDO || w->phase != PHASE_EXPAND ||
        err_is(failed, ERR_INTERRUPTED) || err_is(failed, ERR_CONNECTION_LOST) ||
        err_is(failed, ERR_BUG) || !db_is_usable(w->e->db))
        return false;
    if (!work_reload(w, &ignored) || w->state.brake != BRAKE_NONE ||
        w->state.stage != STAGE_EXPAND_RUNNING)
        return false;
    for (int i = 0; i < w->n_steps; i++)
        if (strcmp(w->steps[i].kind, task_kind_word(TASK_BACKFILL)) == 0)
            return false;
    return undo_losses(w, &lossless, &what, &ignored) && lossless;
}

static bool undo_failed(struct work *w, struct err *err)
{
    w->undoing = true;
    if (!take(w, EVENT_ROLLBACK, "the phase failed, and policy.on_failure is undo", err) ||
        !undo_phase(w, err))
        return false;
    w->state.release[w->phase] = NULL;
    w->state.hold_until_ms = 0;
    return finish(w, err);
}

/* The failure stays the answer; what became of the phase is said with it. Always false. */
static bool undo_itself(struct work *w, struct err *err)
{
    AUTO(err) second = {0};
    AUTO(str) said = {0};

    if (!may_undo_itself(w, err))
        return false;
    if (err->detail.len)
        str_addf(&said, "%s\n", str_text(&err->detail));
    if (undo_failed(w, &second)) {
        err_detail(err,
                   "%sThe phase was undone (policy.on_failure: undo): plan %s stands at \"%s\".",
                   str_text(&said), w->p->id.s, stage_word(w->state.stage));
        return false;
    }
    err_detail(err, "%sUndoing it (policy.on_failure: undo) failed as well: %s", str_text(&said),
               str_text(&second.message));
    return err_hint(
        err,
        "phasegate rollback %s, once the cause is gone; what is to be undone: phasegate "
        "rollback %s --dry-run",
        w->p->id.s, w->p->id.s);
}

static bool advance_once(struct work *w, struct err *err)
{
    if (is_finished_for(w)) {
        if (!engine_in_window(w->e, w->o->release, w->a, err))
            return false;
        /* Hidden, with its flags down, is no end: the old shape has to come back. */
        if (w->state.stage == STAGE_CONTRACT_DONE && !flags_settle(w, err))
            return false;
        w->out->nothing_to_do = !w->o->force;
        return w->out->nothing_to_do || repeat_once(w, err);
    }
    if (has_arrived(w, false))
        return skip_absent(w, err);
    if (!flags_settle(w, err) || !skip_absent(w, err))
        return false;
    w->phase = stage_next_phase(w->state.stage);
    if (stage_is_running(w->state.stage))
        say_forced(w);
    if (!take(w, EVENT_ADVANCE, NULL, err))
        return passed_over(w, err);
    w->out->phase = w->phase;
    if (!w->state.release[w->phase]) {
        w->state.release[w->phase] =
            w->o->release ? w->o->release : w->p->phases[w->phase].release.s;
        if (!record_save_state(w, err))
            return false;
    }
    if (!sync_renew(w, err) || !run_script(w, false, err))
        return undo_itself(w, err);
    if (w->out->holds)
        return true;
    if (w->phase == PHASE_CONTRACT) {
        int64_t hold = w->p->phases[PHASE_CONTRACT].hold_ms;
        w->state.hold_until_ms =
            server_now_ms(w->e) + (hold != MODEL_UNSET ? hold : w->e->policy.hold_ms);
    }
    return finish(w, err) && skip_absent(w, err);
}

/* A dropped connection or a restarted server ends the session and with it the lease: take both again, and
 * let the loop observe what had been done. */
static bool reopen(struct work *w, int attempt, struct err *err)
{
    AUTO(err) last = {0};

    emit(w, EVENT_WARNING, w->state.task, "the database session was lost; connecting again");
    for (int i = attempt; i < RECONNECT_TRIES; i++) {
        clock_sleep_ms(w->e->ports->clock, 250 << (i < 5 ? i : 5));
        if (ports_interrupted(w->e->ports)) {
            err_clear(err);
            err_set(err, ERR_INTERRUPTED,
                    "stopped by a signal while the database was out of reach");
            return err_hint(err, "once the server is back, the same command goes on from here");
        }
        err_clear(&last);
        if (db_reconnect(w->e->db, &last))
            return true;
    }
    err_detail(err, "Connecting again failed: %s", str_text(&last.message));
    return err_hint(err, "once the server is back, the same command goes on from here");
}

typedef bool once_fn(struct work *, struct err *);

static bool run_event(struct engine *e, struct plan *p, const struct advance_options *o,
                      struct arena *a, struct advance_result *out, once_fn *once, struct err *err)
{
    static const struct advance_options none;

    memset(out, 0, sizeof *out);
    int64_t began_ms = now_ms(e);
    for (int attempt = 0;; attempt++) {
        struct work w;
        out->n_tasks = out->n_skipped = 0;
        out->tasks = NULL;
        bool ok = work_open(&w, e, p, o ? o : &none, a, err);

        w.out = out;
        w.began_ms = began_ms;
        if (attempt == 0)
            out->from = w.state.stage;
        ok = ok && once(&w, err);
        out->to = w.state.stage;
        if (ok || !err_is(err, ERR_CONNECTION_LOST) || attempt >= RECONNECT_TRIES ||
            !reopen(&w, attempt, err)) {
            AUTO(err) ignored = {0};
            if (db_is_usable(e->db))
                (void) !lease_release(e->db, &ignored);
            milestones_end(&w);
            return ok;
        }
        err_clear(err);
    }
}

bool engine_advance(struct engine *e, struct plan *p, const struct advance_options *o,
                    struct arena *a, struct advance_result *out, struct err *err)
{
    return run_event(e, p, o, a, out, advance_once, err);
}

static bool rollback_once(struct work *w, struct err *err)
{
    enum phase_event ev = EVENT_ROLLBACK;

    w->undoing = true;
    if (has_arrived(w, true))
        return true;
    w->phase = stage_phase(w->state.stage);
    struct decision unread = {0};
    if (!undo_can_read_flags(w, &unread))
        return engine_refuse(w->p, ev, &unread, err);
    if (!take(w, ev, NULL, err))
        return false;
    w->phase = stage_phase(w->state.stage);
    w->out->phase = w->phase;
    bool ok = w->phase == PHASE_CONTRACT ? restore_run(w, err) : undo_phase(w, err);
    if (!ok)
        return false;
    w->state.release[w->phase] = NULL;
    w->state.hold_until_ms = 0;
    return finish(w, err);
}

bool engine_rollback(struct engine *e, struct plan *p, const struct advance_options *o,
                     struct arena *a, struct advance_result *out, struct err *err)
{
    return run_event(e, p, o, a, out, rollback_once, err);
}

static bool restore_once(struct work *w, struct err *err)
{
    w->undoing = true;
    if (has_arrived(w, true))
        return true;
    if (!take(w, EVENT_RESTORE, NULL, err))
        return false;
    w->phase = PHASE_CONTRACT;
    w->out->phase = w->phase;
    if (!restore_run(w, err))
        return false;
    w->state.release[PHASE_CONTRACT] = NULL;
    w->state.hold_until_ms = 0;
    return finish(w, err);
}

bool engine_restore(struct engine *e, struct plan *p, const struct advance_options *o,
                    struct arena *a, struct advance_result *out, struct err *err)
{
    return run_event(e, p, o, a, out, restore_once, err);
}

/* Saved before anything is decided for good: only where the purge would be let begin or go on. */
static bool save_first(struct work *w, struct advance_options *o, struct err *err)
{
    struct world world;
    struct decision d;

    if (w->e->policy.snapshot == SNAPSHOT_OFF) {
        emit(w, EVENT_WARNING, NULL, "what is destroyed isn't saved: policy.snapshot is off");
        return true;
    }
    if (!w->e->env->snapshots_to.s)
        return true; /* is refused, unless there is nothing to save */
    if (!engine_observe(w->e, w->p, EVENT_PURGE, w->o, w->a, &w->state, &world, err))
        return false;
    phase_decide(&world, EVENT_PURGE, &d);
    if (!d.go)
        return true;
    o->is_saved = true;
    return snapshot_before_purge(w, &o->saved, err);
}

static const char *snapshot_note(const struct work *w)
{
    if (w->e->policy.snapshot == SNAPSHOT_OFF)
        return "snapshot: none, off by policy";
    return w->o->saved ? arena_printf(w->a, "snapshot: %s", w->o->saved)
                       : "snapshot: none, nothing to save";
}

static bool purge_saved(struct work *w, struct advance_options *o, struct err *err)
{
    if (!save_first(w, o, err) || !restore_point_before_purge(w, err) ||
        !take(w, EVENT_PURGE, snapshot_note(w), err))
        return false;
    w->out->phase = w->phase;
    return run_script(w, true, err) && backfill_forget(w, err) && finish(w, err);
}

static bool purge_once(struct work *w, struct err *err)
{
    const struct advance_options *given = w->o;
    struct advance_options o = *given;

    if (w->state.stage == STAGE_PURGED) {
        w->out->nothing_to_do = true;
        return true;
    }
    w->phase = PHASE_CONTRACT;
    w->o = &o;
    bool ok = purge_saved(w, &o, err);
    w->o = given;
    return ok;
}

bool engine_purge(struct engine *e, struct plan *p, const struct advance_options *o,
                  struct arena *a, struct advance_result *out, struct err *err)
{
    return run_event(e, p, o, a, out, purge_once, err);
}
