/* Opening a plan for work: facts, lease, state, what is done. */
#include "internal.h"

#include <stdlib.h>

bool work_reload(struct work *w, struct err *err)
{
    return ledger_plan_state(w->e->db, w->a, w->p->id.s, &w->state, err) &&
           ledger_steps(w->e->db, w->a, w->p->id.s, &w->steps, &w->n_steps, err);
}

bool work_open(struct work *w, struct engine *e, struct plan *p, const struct advance_options *o,
               struct arena *a, struct err *err)
{
    struct lease_options lo = {.run_id = e->run_id,
                               .host = e->ports->host->ops->hostname(e->ports->host),
                               .user = e->actor,
                               .command = e->command,
                               .pid = e->ports->host->ops->pid(e->ports->host),
                               .wait_ms = e->lock_wait_ms,
                               .clock = e->ports->clock,
                               .events = e->ports->events,
                               .interrupt = e->ports->interrupt};

    memset(w, 0, sizeof *w);
    w->e = e;
    w->p = p;
    w->a = a;
    w->o = o;
    if (!e->facts(e->set, p, err) || !lease_acquire(e->db, &lo, true, err))
        return false;
    e->has_ledger = true;
    if (!session_ask_clock(e, a, err))
        return false;
    if (!work_reload(w, err) || !fleet_adopt(w, err))
        return false;
    w->phase = stage_phase(w->state.stage);
    return true;
}

/* What is absent changes nothing: the first phase that is there begins the plan. */
bool begins_first_phase(const struct work *w, enum phase_event ev)
{
    enum phase first = PHASE_FIRST;

    while (first < PHASE_LAST && !w->p->phases[first].present)
        first++;
    return ev == EVENT_ADVANCE && w->phase == first && !stage_is_running(w->state.stage);
}

/* The machine's sentences know no names: PLAN in them is this plan. */
static void with_name(struct str *out, const char *text, const char *plan)
{
    for (const char *at; (at = strstr(text, "PLAN")) != NULL; text = at + strlen("PLAN")) {
        str_addn(out, text, (size_t) (at - text));
        str_add(out, plan);
    }
    str_add(out, text);
}

/* For those who show a decision themselves. */
void decision_with_name(struct arena *a, const struct plan *p, struct decision *d)
{
    for (int i = 0; i < d->n_refusals; i++) {
        AUTO(str) named = {0};
        if (!d->refusals[i].fact.release)
            continue;
        with_name(&named, d->refusals[i].fact.release, p->id.s);
        d->refusals[i].fact.release = arena_strdup(a, str_text(&named));
    }
}

/* A brake's reason is somebody's free text: it is said which brake it belongs to. */
static bool is_brake(const struct refusal *r)
{
    enum brake b;

    return brake_from_word(r->reason, &b) && b != BRAKE_NONE;
}

/* One line for each thing that is missing: what, who holds it, since when, what releases it. */
static void add_refusal(struct str *lines, const struct refusal *r, bool first)
{
    const char *what = r->fact.what ? r->fact.what : r->reason;
    char when[25];

    if (!first)
        str_addf(lines, "%sAlso: %s.", lines->len ? "\n" : "", what);
    if (r->fact.holder)
        str_addf(lines, "%sHeld by %s.", lines->len ? " " : "", r->fact.holder);
    if (r->fact.since_ms > 0) {
        time_to_rfc3339(r->fact.since_ms, when);
        str_addf(lines, "%sSince %s.", lines->len ? " " : "", when);
    }
    if (r->fact.release && !first)
        str_addf(lines, " Released by: %s.", r->fact.release);
}

bool engine_refuse(const struct plan *p, enum phase_event ev, const struct decision *d,
                   struct err *err)
{
    const struct refusal *first = &d->refusals[0];
    AUTO(str) lines = {0};

    for (int i = 0; i < d->n_refusals; i++)
        add_refusal(&lines, &d->refusals[i], i == 0);
    bool braked = d->n_refusals > 0 && is_brake(first);
    err_set(err, ERR_REFUSED, "%s of plan %s is refused: %s%s%s", phase_event_word(ev), p->id.s,
            braked ? "it is " : "", braked ? first->reason : "", braked ? ": " : "");
    str_add(&err->message, d->n_refusals == 0 ? "nothing allows it"
                           : first->fact.what ? first->fact.what
                                              : first->reason);
    if (lines.len) {
        AUTO(str) named = {0};
        with_name(&named, str_text(&lines), p->id.s);
        err_detail(err, "%s", str_text(&named));
    }
    if (d->n_refusals > 0 && first->fact.release) {
        AUTO(str) named = {0};
        with_name(&named, first->fact.release, p->id.s);
        err_hint(err, "%s", str_text(&named));
    }
    return err_reason(err, d->n_refusals > 0 ? first->reason : "refused");
}
