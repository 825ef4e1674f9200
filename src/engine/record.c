/* Journal rows, plan state and what the operator sees of them. */
#include "internal.h"

#include <stdarg.h>
#include <stdlib.h>

void emit(struct work *w, enum event_kind kind, const char *task, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    struct event ev = {.kind = kind,
                       .plan = w->p->id.s,
                       .phase = phase_word(w->phase),
                       .task = task,
                       .message = arena_vprintf(w->a, fmt, ap),
                       .number = w->task_no,
                       .total = w->n_tasks};
    va_end(ap);
    events_emit(w->e->ports->events, &ev);
}

void report_task(struct work *w, const struct task *t, const char *status, int64_t ms,
                 const char *note)
{
    struct advance_result *r = w->out;

    if (!r)
        return;
    if (r->n_tasks == w->out_cap) {
        int cap = w->out_cap ? 2 * w->out_cap : 16;
        r->tasks = arena_grow(w->a, r->tasks, sizeof *r->tasks * (size_t) w->out_cap,
                              sizeof *r->tasks * (size_t) cap);
        w->out_cap = cap;
    }
    r->tasks[r->n_tasks++] = (struct task_report) {.id = t->id,
                                                   .kind = task_kind_word(t->kind),
                                                   .title = t->title,
                                                   .status = status,
                                                   .ms = ms,
                                                   .note = note};
}

struct history_row *history_new(struct work *w, const char *kind, const char *step,
                                const char *status)
{
    struct history_row *r = arena_new(w->a, struct history_row);

    r->plan = w->p->id.s;
    r->phase = phase_word(w->phase);
    r->step = step;
    r->kind = kind;
    r->status = status;
    r->run_id = w->e->run_id;
    r->applied_by = w->e->actor;
    r->host = w->e->ports->host->ops->hostname(w->e->ports->host);
    r->applied_at_ms = now_ms(w->e);
    r->release =
        w->state.release[w->phase] ? w->state.release[w->phase] : w->p->phases[w->phase].release.s;
    return r;
}

static struct history_row *task_row(struct work *w, const struct task *t, const char *status,
                                    int64_t ms, const char *sql, const char *undo,
                                    const char *detail)
{
    struct history_row *r = history_new(w, task_kind_word(t->kind), t->id, status);

    r->description = t->title;
    r->checksum = t->checksum;
    r->duration_ms = ms;
    r->sql = sql;
    r->undo_sql = undo;
    r->detail = detail;
    return r;
}

void record_task(struct work *w, struct txn *t, const struct task *task, const char *status,
                 int64_t ms, const char *sql, const char *undo, const char *detail)
{
    ledger_history_call(w->a, task_row(w, task, status, ms, sql, undo, detail), txn_slot(t));
}

bool record_task_now(struct work *w, const struct task *task, const char *status, int64_t ms,
                     const char *sql, const char *undo, const char *detail, struct err *err)
{
    return ledger_history_append(w->e->db, task_row(w, task, status, ms, sql, undo, detail), err);
}

void record_state(struct work *w, struct txn *t)
{
    ledger_plan_state_call(w->a, &w->state, txn_slot(t));
}

bool record_save_state(struct work *w, struct err *err)
{
    struct db_call c = {0};

    ledger_plan_state_call(w->a, &w->state, &c);
    return db_exec(w->e->db, c.sql, &c.params, err);
}

bool record_state_and_window(struct work *w, struct err *err)
{
    struct txn t;

    txn_begin(w, &t, w->e->policy.lock_timeout_ms, w->e->policy.statement_timeout_ms);
    record_state(w, &t);
    return window_add(w, &t, err) && txn_commit(w, &t, err);
}

bool record_task_and_state(struct work *w, const struct task *task, const char *status, int64_t ms,
                           struct err *err)
{
    struct txn t;

    txn_begin(w, &t, w->e->policy.lock_timeout_ms, w->e->policy.statement_timeout_ms);
    record_state(w, &t);
    record_task(w, &t, task, status, ms, NULL, NULL, NULL);
    return txn_commit(w, &t, err);
}

bool record_transition(struct work *w, const struct transition *row, enum phase_event ev,
                       const char *why, struct err *err)
{
    struct plan_state before = w->state;
    struct txn t;
    int64_t now = now_ms(w->e);

    if (row->to != w->state.stage || !w->state.exists) {
        w->state.stage = row->to;
        w->state.stage_since_ms = now;
    }
    if (row->to_brake != BRAKE_COUNT && row->to_brake != w->state.brake) {
        w->state.brake = row->to_brake;
        w->state.brake_since_ms = row->to_brake == BRAKE_NONE ? 0 : now;
        w->state.brake_reason = row->to_brake == BRAKE_NONE ? NULL : why;
        w->state.brake_by = row->to_brake == BRAKE_NONE           ? NULL
                            : ev == EVENT_KILL_SEEN && w->kill_by ? w->kill_by
                                                                  : w->e->actor;
    }
    w->state.checksum = w->p->checksum;
    txn_begin(w, &t, w->e->policy.lock_timeout_ms, w->e->policy.statement_timeout_ms);
    struct history_row *r = history_new(w, "transition", phase_event_word(ev), "transition");
    r->description = arena_printf(w->a, "%s -> %s: %s", stage_word(before.stage),
                                  stage_word(row->to), row->comment);
    r->machine_row = row->row;
    /* The way back is there before the phase is. Of a plan that was edited since, the newer one. */
    if ((ev == EVENT_ADVANCE || ev == EVENT_REPEAT) &&
        (!stage_is_running(before.stage) || !before.checksum ||
         strcmp(before.checksum, w->p->checksum) != 0))
        undo_chain_store(w, r);
    if (why)
        r->description = arena_printf(w->a, "%s (%s)", r->description, why);
    /* What was proved of it, and for which text of the plan. */
    if (asks_for_proof(ev, before.stage) && w->o && w->o->proof && w->o->proof->record)
        r->description = arena_printf(w->a, "%s; proof: %s", r->description, w->o->proof->record);
    else if (w->forced)
        r->description =
            arena_printf(w->a, "%s; proof: none, --force runs %s again", r->description, w->forced);
    w->forced = NULL;
    record_state(w, &t);
    if (w->state.brake != before.brake)
        ledger_plan_brake_call(w->a, &w->state, txn_slot(&t));
    /* With the stage, or a crash between the two would let releases in that find nothing, or keep them out. */
    bool ok = w->state.stage == before.stage || window_add(w, &t, err);
    ledger_history_call(w->a, r, txn_slot(&t));
    if (ok && txn_commit(w, &t, err)) {
        w->state.exists = true;
        milestone_transition(w, ev, before.stage, why);
        return true;
    }
    w->state = before;
    return false;
}

/* A backfill belongs to the plan rather than to a phase: write_activation may repeat one of dual_read. */
const struct history_row *work_step_row(const struct work *w, const char *task_id)
{
    const char *phase = phase_word(w->phase);
    bool any_phase = strncmp(task_id, "backfill/", 9) == 0;
    const struct history_row *newest = NULL;

    for (int i = 0; i < w->n_steps; i++) {
        const struct history_row *r = &w->steps[i];
        if (!r->step || !r->phase || strcmp(r->step, task_id) != 0 ||
            (!any_phase && strcmp(r->phase, phase) != 0))
            continue;
        if (!newest || r->seq > newest->seq)
            newest = r;
    }
    return newest;
}

bool task_is_done(const struct work *w, const struct task *t)
{
    const struct history_row *r;

    if (t->kind == TASK_RUNG)
        return rung_is_settled(w, t);
    /* Every phase has checks of its own, and what a kill voided is verified again. */
    if (t->kind == TASK_VERIFY && !w->state.verified)
        return false;
    r = work_step_row(w, t->id);
    return r && (strcmp(r->status, "done") == 0 || strcmp(r->status, "skipped") == 0 ||
                 strcmp(r->status, "not_applicable") == 0);
}

bool record_wait(struct work *w, const char *what, const char *holder, const char *release,
                 int64_t until_ms, struct err *err)
{
    const char *before = w->state.waiting_for;

    if ((!what && !before) || (what && before && strcmp(what, before) == 0))
        return true;
    w->state.waiting_for = what;
    w->state.waiting_holder = holder;
    w->state.waiting_release = release;
    w->state.waiting_since_ms = what ? now_ms(w->e) : 0;
    w->state.waiting_until_ms = until_ms;
    if (what)
        emit(w, EVENT_WAIT, w->state.task, "waiting for %s%s%s%s%s", what,
             holder ? ", held by " : "", holder ? holder : "", release ? "; released by: " : "",
             release ? release : "");
    return record_save_state(w, err);
}
