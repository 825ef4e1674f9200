/* Rungs: up one, confirm, wait out the pause, ask the gates. Background gates are asked all the while. */
#include "internal.h"

#define TICK_MS 500
#define DRIFT_EVERY_MS 30000
#define HELD_EVERY_MS 2000 /* while a drift holds the rung */

/* One gate while it is being asked. */
struct asked {
    const struct gate *gate;
    int64_t next_ms; /* monotonic; of the next measurement */
    int64_t good, failures, passes;
    bool done;
    const char *last;
};

struct vigil { /* what is looked after during a rung */
    struct asked *gates;
    int n;
    int64_t drift_ms; /* monotonic; of the next look at the flags */
    bool hold;        /* the last look found them elsewhere */
    const struct task *task;
};

/* rung_confirmed_ms belongs to the task that the state names: a write rung in its pause says nothing about
 * the read rungs below it. */
bool rung_is_settled(const struct work *w, const struct task *t)
{
    int now = w->state.percent[t->flag];
    bool in_pause =
        w->state.rung_confirmed_ms != 0 && w->state.task && strcmp(w->state.task, t->id) == 0;

    return now > t->rung->percent || (now == t->rung->percent && !in_pause);
}

static void gates_of_phase(struct work *w, struct vigil *v, bool background)
{
    const struct text_list *names = &w->p->phases[w->phase].gates;

    v->gates = arena_array(w->a, struct asked, names->n + 1);
    v->n = 0;
    for (int i = 0; i < names->n; i++) {
        const struct gate *g = plan_gate(w->p, names->items[i].s);
        if (g && (g->count == 0) == background)
            v->gates[v->n++] = (struct asked) {.gate = g};
    }
}

/* A gate said no: the flag goes straight back, without walking down the rungs, and the plan stays halted. */
static bool gate_failed(struct work *w, const struct task *t, const struct asked *q,
                        struct err *err)
{
    const char *reason = arena_printf(w->a, "gate %s failed: %s", q->gate->name.s, q->last);
    bool back = q->gate->on_failure == ON_FAILURE_ROLLBACK && t->kind == TASK_RUNG &&
                w->state.percent[t->flag] > 0;

    if (back && !flags_set_percent(w, t->flag, 0, reason, err))
        return err_note(err, "taking the flag back after gate %s failed", q->gate->name.s);
    if (!halt(w, BRAKE_HALTED, reason, err))
        return false;
    err_set(err, ERR_NO, "%s", reason);
    err_detail(err, back ? "The flag is back at its safe value; the plan is halted."
                         : "The flag was left where it is; the plan is halted.");
    err_hint(err, "phasegate resume %s, once the cause is gone, then the same command again",
             w->p->id.s);
    return err_reason(err, "gate_failed");
}

static bool ask(struct work *w, struct asked *q, bool *failed, bool *waits, struct err *err)
{
    AUTO(arena) scratch = {0}; /* a gate is asked for days */
    struct gate_reading r;

    *failed = *waits = false;
    if (!gate_measure(w->e, w->p, w->phase, q->gate, &scratch, &r, err))
        return false;
    bool bad =
        r.verdict == GATE_FAIL || (r.verdict == GATE_NO_DATA && q->gate->no_data == NO_DATA_FAIL);
    if (r.verdict == GATE_PASS) {
        q->passes++;
        q->good++;
    } else if (bad) {
        q->good = 0;
        *failed = ++q->failures > q->gate->failure_limit;
    } else if (q->gate->no_data == NO_DATA_PASS && q->passes > 0) {
        q->good++; /* a gap after real measurements; no measurement at all never passes */
    } else {
        q->good = 0;
        *waits = true;
    }
    if (bad || *waits)
        q->last = arena_strdup(w->a, r.detail ? r.detail : "no data");
    return true;
}

static bool watch_flags(struct work *w, struct vigil *v, bool *hold, struct err *err)
{
    struct flags_seen seen;
    int64_t now = clock_mono_ms(w->e->ports->clock);

    *hold = v->hold;
    if (v->task->kind != TASK_RUNG || now < v->drift_ms)
        return true;
    v->drift_ms = now + DRIFT_EVERY_MS;
    *hold = v->hold = false;
    flags_check(w, &seen);
    if (seen.killed)
        return stop_at_kill(w, seen.drift, err);
    if (!seen.drift)
        return record_wait(w, NULL, NULL, NULL, 0, err);
    *hold = v->hold = true;
    v->drift_ms = now + HELD_EVERY_MS;
    return record_wait(w, seen.drift, seen.holder, seen.release, 0, err);
}

/* Asks every gate that is due. *open: all of them have passed as often as they must. */
static bool ask_due(struct work *w, struct vigil *v, bool *open, struct err *err)
{
    int64_t now = clock_mono_ms(w->e->ports->clock);

    *open = true;
    for (int i = 0; i < v->n; i++) {
        struct asked *q = &v->gates[i];
        bool failed = false, waits = false;
        if (!q->done && now >= q->next_ms) {
            if (!ask(w, q, &failed, &waits, err))
                return false;
            q->next_ms = now + q->gate->interval_ms;
            if (failed)
                return gate_failed(w, v->task, q, err);
            q->done = q->gate->count > 0 && q->good >= q->gate->count;
            if (waits &&
                !record_wait(
                    w, arena_printf(w->a, "gate %s: %s", q->gate->name.s, q->last), "the gate",
                    q->gate->kind == GATE_APPROVAL ? arena_printf(w->a, "phasegate approve %s %s",
                                                                  w->p->id.s, phase_word(w->phase))
                                                   : "a measurement that passes",
                    0, err))
                return false;
        }
        /* A background gate never closes a rung by itself, but one without a single measurement holds it. */
        *open = *open && (q->done || (q->gate->count == 0 && q->passes > 0));
    }
    return true;
}

static bool stop_waiting(const char *what, struct err *err)
{
    err_set(err, ERR_STOPPED, "waiting for %s", what);
    err_hint(err, "the same command goes on from here");
    return err_reason(err, "waiting");
}

static bool wait_pause(struct work *w, const struct task *t, struct vigil *bg, struct err *err)
{
    int64_t until = w->state.rung_confirmed_ms + t->rung->pause_ms;
    bool open = false, hold = false;

    for (;;) {
        int64_t now = server_now_ms(w->e);
        if (!work_may_go_on(w, err) || !watch_flags(w, bg, &hold, err) ||
            !ask_due(w, bg, &open, err))
            return false;
        if (now >= until && open && !hold)
            return record_wait(w, NULL, NULL, NULL, 0, err);
        if (now < until) {
            char when[25];
            time_to_rfc3339(until, when);
            const char *what = arena_printf(w->a, "the pause at %d %% of the %s flag until %s",
                                            t->rung->percent, flag_role_word(t->flag), when);
            if (!hold && !record_wait(w, what, "the plan", "time", until, err))
                return false;
            if (w->o->no_wait)
                return stop_waiting(what, err);
        }
        int64_t left = until - now;
        clock_sleep_ms(w->e->ports->clock, left > 0 && left < TICK_MS ? left : TICK_MS);
    }
}

static bool pass_gates(struct work *w, struct vigil *fg, struct vigil *bg, struct err *err)
{
    bool open = false, ignored = false, hold = false;

    for (;;) {
        if (!work_may_go_on(w, err) || !watch_flags(w, fg, &hold, err) ||
            !ask_due(w, bg, &ignored, err) || !ask_due(w, fg, &open, err))
            return false;
        if (open && !hold)
            return record_wait(w, NULL, NULL, NULL, 0, err);
        if (w->o->no_wait && w->state.waiting_for)
            return stop_waiting(w->state.waiting_for, err);
        clock_sleep_ms(w->e->ports->clock, TICK_MS);
    }
}

/* The last moment at which the old side is known to be right wherever the two differ. */
static bool agrees_before_writes(struct work *w, struct err *err)
{
    int64_t differ = 0;

    if (!sync_count_differing(w, &differ, err))
        return false;
    if (differ == 0)
        return true;
    if (!verification_void(w, err) || !record_save_state(w, err))
        return false;
    err_set(err, ERR_NO,
            "old and new differ in %lld%s rows of %s, and new writes would hide which is right",
            (long long) differ, differ >= 1000 ? " or more" : "", w->p->sync.table.s);
    err_hint(err, "the same command fills them from the old side and goes on");
    return err_reason(err, "not_verified");
}

/* Said before the request is sent: after a crash nobody may think that no new write ever happened. */
bool rung_first_write(struct work *w, struct err *err)
{
    if (!agrees_before_writes(w, err))
        return false;
    w->state.first_write_rung = true;
    return record_state_and_window(w, err);
}

static bool climb(struct work *w, const struct task *t, struct err *err)
{
    if (w->state.percent[t->flag] >= t->rung->percent)
        return true;
    if (!drill_before_rung(w, t->flag, err))
        return false;
    if (t->flag == FLAG_WRITE && !w->state.first_write_rung && !rung_first_write(w, err))
        return false;
    return flags_set_percent(w, t->flag, t->rung->percent,
                             arena_printf(w->a, "%s of plan %s", t->title, w->p->id.s), err);
}

bool rung_run(struct work *w, const struct task *t, struct err *err)
{
    struct vigil fg = {.task = t}, bg = {.task = t};
    int64_t started = clock_mono_ms(w->e->ports->clock);
    const struct pos at = t->rung->at;

    if (w->o->lead && !w->o->lead->is_leader)
        return fleet_follow(w, t, err);
    if (!w->e->flags) {
        err_set(err, ERR_CONFIG, "%s:%d:%d: environment %s has no flag service for this rollout",
                at.file, at.line, at.col, w->e->env->name.s);
        return err_hint(err, "add flags: to the environment in phasegate.yaml");
    }
    gates_of_phase(w, &bg, true);
    gates_of_phase(w, &fg, false);
    if (!climb(w, t, err) || !wait_pause(w, t, &bg, err) || !pass_gates(w, &fg, &bg, err))
        return false;
    w->state.rung_confirmed_ms = 0; /* settled: see rung_is_settled */
    int64_t ms = clock_mono_ms(w->e->ports->clock) - started;
    report_task(w, t, "done", ms, NULL);
    if (!record_task_and_state(w, t, "done", ms, err))
        return false;
    milestone_rung(w, t);
    return true;
}

bool gates_run(struct work *w, const struct task *t, struct err *err)
{
    struct vigil fg = {.task = t}, bg = {.task = t};
    int64_t started = clock_mono_ms(w->e->ports->clock);

    gates_of_phase(w, &bg, true);
    gates_of_phase(w, &fg, false);
    /* A phase without a rollout has no background: each gate has to pass once. */
    for (int i = 0; i < bg.n; i++)
        bg.gates[i].next_ms = 0;
    for (bool open = false; !open;) {
        if (!work_may_go_on(w, err) || !ask_due(w, &bg, &open, err))
            return false;
        if (!open)
            clock_sleep_ms(w->e->ports->clock, TICK_MS);
        if (!open && w->o->no_wait && w->state.waiting_for)
            return stop_waiting(w->state.waiting_for, err);
    }
    if (!pass_gates(w, &fg, &bg, err))
        return false;
    int64_t ms = clock_mono_ms(w->e->ports->clock) - started;
    report_task(w, t, "done", ms, NULL);
    return record_task_now(w, t, "done", ms, NULL, NULL, NULL, err);
}
