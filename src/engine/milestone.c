/* What of a plan's way others are told of, and the journal's rows about that. */
#include "internal.h"

#include "phasegate/notify.h"

/* Outside of transactions only: what was answered since the last time. */
static void journal_outcomes(struct work *w)
{
    struct notify_outcome o;

    while (db_is_usable(w->e->db) && notify_outcome(w->e->notifier, &o)) {
        AUTO(err) ignored = {0};
        struct history_row *r = history_new(w, "notification", o.event, "note");

        r->description = arena_strdup(w->a, o.text);
        r->detail = arena_printf(w->a, "{\"failed\": %d}", o.n_failed);
        if (o.phase)
            r->phase = o.phase;
        (void) !ledger_history_append(w->e->db, r, &ignored);
    }
}

static void tell(struct work *w, const char *event, const char *text)
{
    struct notice what = {
        .event = event,
        .plan = w->p->id.s,
        .phase = w->phase != PHASE_NONE ? phase_word(w->phase) : NULL,
        .release = w->state.release[w->phase] ? w->state.release[w->phase]
                                              : w->p->phases[w->phase].release.s,
        .stage = stage_word(w->state.stage),
        .text = arena_printf(w->a, "%s in %s: %s", w->p->id.s, w->e->env->name.s, text)};

    notify_send(w->e->notifier, &what);
    journal_outcomes(w);
}

static void tell_begun(struct work *w)
{
    const char *release = w->o && w->o->release ? w->o->release : w->p->phases[w->phase].release.s;

    tell(w, "phase_begun",
         arena_printf(w->a, "%s begins%s%s", phase_word(w->phase), release ? " with release " : "",
                      release ? release : ""));
}

static void tell_finished(struct work *w, enum stage before)
{
    const char *next = next_move(w);

    if (w->state.stage == STAGE_PURGED)
        tell(w, "purged", "what contract had hidden is gone for good; the plan is complete");
    else if (before == STAGE_CONTRACT_UNDOING)
        tell(w, "restored", "what contract had hidden is back");
    else if (stage_is_undoing(before))
        tell(w, "rolled_back", arena_printf(w->a, "%s is taken back", phase_word(w->phase)));
    else
        tell(w, "phase_done",
             arena_printf(w->a, "%s is done%s%s", phase_word(w->phase), next ? "; next: " : "",
                          next ? next : ""));
}

void milestone_transition(struct work *w, enum phase_event ev, enum stage before, const char *why)
{
    if (!w->e->notifier)
        return;
    switch (ev) {
    case EVENT_ADVANCE:
        if (!stage_is_running(before))
            tell_begun(w);
        return;
    case EVENT_FINISHED: tell_finished(w, before); return;
    case EVENT_PURGE:
        if (before != STAGE_PURGING)
            tell(w, "purge_begun", "the purge begins: from here on there is no way back");
        return;
    case EVENT_GATE_FAILED:
        tell(w, "halted", arena_printf(w->a, "halted: %s", why ? why : "a gate failed"));
        return;
    case EVENT_KILL_SEEN:
        tell(w, "killed", arena_printf(w->a, "killed: %s", why ? why : "flags are off"));
        return;
    default: return;
    }
}

void milestone_rung(struct work *w, const struct task *t)
{
    if (w->e->notifier)
        tell(w, "rung",
             arena_printf(w->a, "%s flag %s stands at %d %%", flag_role_word(t->flag),
                          w->p->flags[t->flag].key.s, t->rung->percent));
}

/* Of a command that tells of nothing else. */
void milestone_accepted(struct work *w, const char *by)
{
    if (!w->e->notifier)
        return;
    tell(w, "accepted",
         arena_printf(w->a, "every item of the checklist holds; accepted by %s", by));
    milestones_end(w);
}

void milestones_end(struct work *w)
{
    if (!w->e->notifier)
        return;
    notify_end(w->e->notifier);
    journal_outcomes(w);
}
