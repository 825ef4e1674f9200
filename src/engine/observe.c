/* Facts for the guards: what the world is like, before anything is decided. Writes nothing. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

/* The present phase that was finished last; PHASE_NONE: none. */
enum phase newest_phase(const struct plan *p, enum stage s)
{
    enum phase newest = stage_phase(s);

    while (newest != PHASE_NONE && !p->phases[newest].present)
        newest--;
    return newest;
}

struct look {
    struct work w; /* no lease needed for looking */
    enum phase_event ev;
    enum phase phase; /* that the event would run or go on with */
};

/* ---- release, dependencies ------------------------------------------------------------------------------ */

static bool is_running_phase(const struct look *l) { return stage_is_running(l->w.state.stage); }

static void look_release(struct look *l, struct fact *f)
{
    struct arena *a = l->w.a;
    const struct plan *p = l->w.p;
    const char *bound = p->phases[l->phase].release.s;
    const char *given = l->w.o->release;

    if (!bound) {
        fact_yes(f);
        return;
    }
    const char *cmd = arena_printf(a, "phasegate advance %s --release %s", p->id.s, bound);
    if (!given) {
        if (is_running_phase(l))
            fact_yes(f);
        else
            fact_no(f,
                    arena_printf(a, "no release was named; %s is bound to release %s",
                                 phase_word(l->phase), bound),
                    arena_printf(a, "%s, when %s is being rolled out", cmd, bound));
        return;
    }
    int cmp = release_compare(&l->w.e->set->project, given, bound);
    if (cmp == 0 || (cmp > 0 && l->w.e->policy.one_phase_per_release == 0))
        fact_yes(f);
    else if (cmp < 0)
        fact_no(f,
                arena_printf(a, "%s is bound to release %s, which comes after %s",
                             phase_word(l->phase), bound, given),
                cmd);
    else if (is_running_phase(l))
        fact_no(f, arena_printf(a, "%s of release %s isn't finished", phase_word(l->phase), bound),
                cmd);
    else
        fact_no(f,
                arena_printf(a, "%s is bound to release %s, which was passed over on the way to %s",
                             phase_word(l->phase), bound, given),
                arena_printf(a, "%s first: one phase per release", cmd));
}

/* Would an earlier plan of the same run have finished it? */
static bool is_foreseen(const struct look *l, const struct plan_dep *d)
{
    for (int i = 0; i < l->w.o->n_before; i++)
        if (strcmp(l->w.o->before[i].plan->id.s, d->plan.s) == 0 &&
            l->w.o->before[i].phase >= d->phase)
            return true;
    return false;
}

static bool look_dependencies(struct look *l, struct fact *f, struct err *err)
{
    const struct plan *p = l->w.p;
    struct arena *a = l->w.a;

    fact_yes(f);
    for (int i = 0; i < p->n_depends_on; i++) {
        struct plan_state other = {0};
        const struct plan_dep *d = &p->depends_on[i];
        if (l->w.e->has_ledger && !ledger_plan_state(l->w.e->db, a, d->plan.s, &other, err))
            return false;
        if (stage_has_finished(other.stage, d->phase) || is_foreseen(l, d))
            continue;
        const struct plan *op = plan_find(l->w.e->set, d->plan.s);
        const char *rel = op ? op->phases[d->phase].release.s : NULL;
        fact_no(f,
                arena_printf(a, "plan %s has to finish %s first; it is at \"%s\" (%s)", d->plan.s,
                             phase_word(d->phase), stage_word(other.stage), pos_text(a, d->at)),
                arena_printf(a, "phasegate advance %s --release %s", d->plan.s, rel ? rel : "V"));
        f->since_ms = other.stage_since_ms;
        return true;
    }
    return true;
}

/* ---- edits, approvals, go ---------------------------------------------------------------------------------------- */

/* The trigger that keeps old and new equal is what was applied, too: rows that were written without it can't be
 * told from those with. Before a phase that hides or destroys, it is put back in the one that verifies. */
static bool look_sync(struct look *l, struct fact *f, struct err *err)
{
    struct arena *a = l->w.a;
    const struct plan *p = l->w.p;
    bool late = l->phase == PHASE_CONTRACT;
    enum phase at = late ? PHASE_WRITE_ACTIVATION : l->phase;
    const char *broken = NULL;

    if (!sync_broken(&l->w, &broken, err))
        return false;
    if (!broken || (l->w.o->force && !late))
        return true;
    while (at > PHASE_EXPAND && !p->phases[at].present)
        at--;
    fact_no(f, broken,
            arena_printf(a,
                         "%sphasegate advance %s --release %s --force makes it again and verifies",
                         l->w.state.stage > STAGE_WRITE_ACTIVATION_DONE
                             ? arena_printf(a, "phasegate restore %s; then ", p->id.s)
                             : "",
                         p->id.s, p->phases[at].release.s ? p->phases[at].release.s : "V"));
    return true;
}

/* A plan that nothing was done of, whose steps the ledger knows under a name that no file has. */
static bool look_renamed(struct look *l, struct fact *f, struct err *err)
{
    struct arena *a = l->w.a;
    const struct plan *p = l->w.p;
    struct plan_state *lost = NULL;
    int n = 0;

    if (l->w.state.stage != STAGE_PLANNED || !engine_lost(l->w.e, a, &lost, &n, err))
        return l->w.state.stage != STAGE_PLANNED;
    for (int i = 0; i < n && f->holds; i++) {
        struct history_row *rows = NULL;
        int n_rows = 0;
        if (!ledger_steps(l->w.e->db, a, lost[i].plan, &rows, &n_rows, err))
            return false;
        for (int k = 0; k < n_rows && f->holds; k++)
            if (plan_has_step(p, &rows[k]))
                fact_no(f,
                        arena_printf(a,
                                     "step %s was applied as one of plan %s, which the ledger has "
                                     "at \"%s\" and no file: was the plan renamed? (%s)",
                                     rows[k].step, lost[i].plan, stage_word(lost[i].stage),
                                     pos_text(a, p->id.at)),
                        arena_printf(a, "give it its name back: plan: %s", lost[i].plan));
    }
    return true;
}

static bool look_edits(struct look *l, struct fact *f, struct err *err)
{
    struct edit *edits;
    int n = 0;

    fact_yes(f);
    if (!engine_edits(l->w.e, l->w.p, l->w.a, &edits, &n, err))
        return false;
    if (n == 0)
        return look_renamed(l, f, err) && (!f->holds || look_sync(l, f, err));
    char when[25];
    time_to_rfc3339(edits[0].applied_at_ms, when);
    fact_no(f,
            arena_printf(l->w.a,
                         "step %s of %s was applied as something else (%s; recorded checksum "
                         "%.12s, now %.12s)%s",
                         edits[0].step, edits[0].phase, pos_text(l->w.a, edits[0].at),
                         edits[0].recorded_checksum, edits[0].checksum,
                         n > 1 ? arena_printf(l->w.a, ", and %d more", n - 1) : ""),
            arena_printf(l->w.a, "undo the edit, or: phasegate accept %s --because REASON",
                         l->w.p->id.s));
    f->holder = edits[0].applied_by;
    f->since_ms = edits[0].applied_at_ms;
    return true;
}

static bool criterion_holds(struct look *l, const struct criterion *c, bool *holds,
                            const char **value, struct err *err)
{
    struct gate_reading r = {0};

    *value = NULL;
    if (c->gate.s) {
        const struct gate *g = plan_gate(l->w.p, c->gate.s);
        if (!gate_measure(l->w.e, l->w.p, l->phase, g, l->w.a, &r, err))
            return false;
        *holds = r.verdict == GATE_PASS;
        *value = r.detail;
        return true;
    }
    if (!ask_value(l->w.e, l->w.a, c->sql.s, l->w.e->policy.statement_timeout_ms, value, err))
        return err_note(err, "criterion at %s", pos_text(l->w.a, c->at));
    *holds = cond_holds(&c->expect, *value, NULL);
    return true;
}

static bool look_go(struct look *l, struct fact *f, struct err *err)
{
    const struct runbook *rb = &l->w.p->runbook;

    fact_yes(f);
    for (int side = 0; side < 2; side++) {
        const struct criterion *list = side ? rb->no_go : rb->go;
        int n = side ? rb->n_no_go : rb->n_go;
        for (int i = 0; i < n && f->holds; i++) {
            bool holds = false;
            const char *value = NULL;
            if (list[i].manual.s)
                continue;
            if (!criterion_holds(l, &list[i], &holds, &value, err))
                return false;
            if (holds == (side == 1))
                fact_no(f,
                        arena_printf(l->w.a, "%s criterion %s: %s (%s)", side ? "no-go" : "go",
                                     side ? "holds" : "doesn't hold",
                                     list[i].gate.s ? list[i].gate.s
                                     : value        ? value
                                                    : "no value",
                                     pos_text(l->w.a, list[i].at)),
                        NULL);
        }
    }
    return !f->holds || criteria_look(&l->w, l->phase, f, err);
}

/* ---- flags, verification, live releases ----------------------------------------------------------------------------- */

static bool look_flags_known(struct look *l, struct fact *f, struct err *err)
{
    struct flags_seen seen;

    (void) err;
    fact_yes(f);
    if (!l->w.p->flags[FLAG_READ].key.s && !l->w.p->flags[FLAG_WRITE].key.s)
        return true;
    /* Before its first rung a flag needn't even exist. */
    if (l->phase < PHASE_DUAL_READ)
        return true;
    if (!l->w.e->flags) {
        fact_no(f,
                arena_printf(l->w.a, "environment %s has no flag service, and the plan has flags",
                             l->w.e->env->name.s),
                "add flags: to the environment in phasegate.yaml");
        return true;
    }
    flags_check(&l->w, &seen);
    if (seen.drift) {
        fact_no(f, seen.drift, seen.release);
        f->holder = seen.holder;
    }
    return true;
}

static void look_flags_full(struct look *l, struct fact *f)
{
    const enum phase bound[FLAG_ROLES] = {PHASE_DUAL_READ, PHASE_WRITE_ACTIVATION};

    fact_yes(f);
    for (int r = 0; r < FLAG_ROLES && f->holds; r++) {
        const struct flag_decl *d = &l->w.p->flags[r];
        if (!d->key.s || l->w.p->phases[bound[r]].rollout.n == 0 || l->w.state.percent[r] == 100)
            continue;
        fact_no(f,
                arena_printf(l->w.a, "%s flag %s is at %d %%, contract needs 100 %%",
                             flag_role_word((enum flag_role) r), d->key.s, l->w.state.percent[r]),
                arena_printf(l->w.a,
                             l->w.state.stage == STAGE_CONTRACT_DONE
                                 ? "phasegate restore %s: the old shape first, then phasegate "
                                   "advance rolls it out again"
                                 : "phasegate advance %s: roll it out again",
                             l->w.p->id.s));
    }
}

static bool look_verified(struct look *l, struct fact *f, struct err *err)
{
    int64_t differ = 0;
    const struct plan *p = l->w.p;
    bool data = p->sync.by != SYNC_NONE;

    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
        data |= p->phases[i].backfill.n > 0 || p->phases[i].verify.n > 0;
    fact_yes(f);
    if (data && !l->w.state.verified)
        fact_no(f, "the backfill isn't verified, or a kill or rollback voided its verification",
                arena_printf(l->w.a, "phasegate rollback %s, then advance write_activation again",
                             p->id.s));
    if (!f->holds || l->w.o->glance)
        return true;
    /* Verified was then; what is hidden or destroyed now has to agree now. */
    if (!sync_count_differing(&l->w, &differ, err)) {
        if (!err_is(err, ERR_SQL))
            return false;
        fact_no(f,
                arena_printf(l->w.a, "whether old and new agree can't be asked: %s",
                             arena_strdup(l->w.a, str_text(&err->message))),
                "look at the table: something of it was taken away or renamed by hand");
        err_clear(err);
        return true;
    }
    if (differ > 0)
        fact_no(f,
                arena_printf(l->w.a,
                             "old and new differ in %lld%s rows of %s: they were written past the "
                             "sync trigger",
                             (long long) differ, differ >= 1000 ? " or more" : "", p->sync.table.s),
                "write the right value to the side that is wrong");
    return true;
}

static bool look_at_distance(struct look *l, const char *bound, const char *version, struct fact *f)
{
    const struct project *prj = &l->w.e->set->project;
    int at = project_release_index(prj, bound), idx = project_release_index(prj, version);

    if (at < 0 || idx < 0 || at - idx <= l->w.e->policy.window)
        return true;
    fact_no(f,
            arena_printf(l->w.a,
                         "release %s is still live; beside %s only the %lld before it may be",
                         version, bound, (long long) l->w.e->policy.window),
            arena_printf(l->w.a, "stop the instances of %s", version));
    return false;
}

/* Expand let its release in, and those after it: without expand they may run no more. */
static bool look_at_guest(struct look *l, const char *bound, const char *version, struct fact *f)
{
    const struct project *prj = &l->w.e->set->project;
    int idx = project_release_index(prj, version), at = project_release_index(prj, bound);

    if (idx < 0 || at < 0 || idx < at)
        return true;
    fact_no(f,
            arena_printf(l->w.a, "release %s is live, and expand let in %s and those after it",
                         version, bound),
            arena_printf(l->w.a,
                         "roll the application back%s%s and stop the instances of %s, then: "
                         "phasegate rollback %s",
                         at > 0 ? " to " : "", at > 0 ? prj->releases[at - 1].version.s : "",
                         version, l->w.p->id.s));
    return false;
}

static bool look_live(struct look *l, struct fact *f, struct err *err)
{
    const char *bound = l->w.p->phases[l->phase].release.s;
    const char **live;
    int n = 0;
    bool watched = false, good = true;

    fact_yes(f);
    if (!bound)
        return true;
    if (!live_releases(l->w.e, l->w.a, &live, &n, &watched, err)) {
        if (!err_is(err, ERR_UNREACHABLE))
            return false;
        fact_no(f, arena_strdup(l->w.a, str_text(&err->message)),
                "see to it that live_releases of the environment can be asked");
        err_clear(err);
        return true;
    }
    for (int i = 0; watched && i < n && good; i++)
        good = l->ev == EVENT_ROLLBACK ? look_at_guest(l, bound, live[i], f)
                                       : look_at_distance(l, bound, live[i], f);
    return true;
}

/* ---- going back, purge -------------------------------------------------------------------------------------------------- */

static bool look_lossless(struct look *l, struct fact *f, struct err *err)
{
    bool lossless = true;
    const char *what = NULL;

    fact_yes(f);
    if (!undo_losses(&l->w, &lossless, &what, err))
        return false;
    if (!lossless && l->w.e->policy.forward_only != 0)
        fact_no(f, what, arena_printf(l->w.a, "phasegate new NAME --compensates %s", l->w.p->id.s));
    return true;
}

static bool look_hold(struct look *l, struct fact *f, struct err *err)
{
    struct arena *a = l->w.a;
    const char *v = NULL;

    /* The server's clock: the host's may have been moved. */
    if (!ask_value(l->w.e, a,
                   "SELECT (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint", 5000,
                   &v, err))
        return false;
    fact_yes(f);
    if (l->w.state.hold_until_ms > strtoll(v, NULL, 10)) {
        char when[25];
        time_to_rfc3339(l->w.state.hold_until_ms, when);
        fact_no(f, arena_printf(a, "the hold of what was soft-dropped ends at %s", when),
                arena_printf(a, "wait; or: phasegate restore %s", l->w.p->id.s));
        f->since_ms = l->w.state.stage_since_ms;
        f->gives_up_ms = l->w.state.hold_until_ms;
    }
    return true;
}

static void look_confirmed(struct look *l, struct fact *f)
{
    fact_yes(f);
    if (!l->w.o->confirm || strcmp(l->w.o->confirm, l->w.p->id.s) != 0)
        fact_no(
            f,
            l->w.o->confirm
                ? arena_printf(l->w.a, "the confirmation names \"%s\", the plan is %s",
                               l->w.o->confirm, l->w.p->id.s)
                : "this is the point of no return; it has to be confirmed with the plan's name",
            arena_printf(l->w.a, "phasegate purge %s --confirm %s", l->w.p->id.s, l->w.p->id.s));
}

static bool look_at(struct look *l, enum guard g, struct fact *f, struct err *err)
{
    /* A repeat out of the end asks whether contract, which would have come last, is absent. */
    enum phase asked = l->ev == EVENT_REPEAT ? PHASE_CONTRACT : l->phase;
    bool present = asked == PHASE_NONE || l->w.p->phases[asked].present;

    switch (g) {
    case GUARD_IN_WINDOW: return outlived_look(&l->w, f, err);
    case GUARD_RELEASE_TURN: look_release(l, f); return true;
    case GUARD_DEPENDENCIES: return look_dependencies(l, f, err);
    case GUARD_REQUIREMENTS: return requirements_look(&l->w, f, err);
    case GUARD_UNEDITED: return look_edits(l, f, err);
    case GUARD_APPROVED: return approvals_look(&l->w, l->phase, l->ev == EVENT_PURGE, f, err);
    case GUARD_GO: return look_go(l, f, err);
    case GUARD_IN_HOURS: return hours_look(&l->w, f, err);
    case GUARD_PREFLIGHT: return preflight_look(&l->w, l->phase, l->ev == EVENT_PURGE, f, err);
    case GUARD_GATES: return gates_look(&l->w, l->phase, f, err);
    case GUARD_REHEARSED: return rehearsal_look(&l->w, f, err);
    case GUARD_DRILLED: return drill_look(&l->w, l->phase, f, err);
    case GUARD_FLAGS_KNOWN: return look_flags_known(l, f, err);
    case GUARD_FLAGS_FULL: look_flags_full(l, f); return true;
    case GUARD_VERIFIED: return look_verified(l, f, err);
    case GUARD_RELEASES_LIVE: return look_live(l, f, err);
    case GUARD_LOSSLESS: return look_lossless(l, f, err);
    case GUARD_UNDO_WHOLE: return undo_chain_look(&l->w, f, err);
    case GUARD_HOLD_ELAPSED: return look_hold(l, f, err);
    case GUARD_NO_DEPENDANTS: return dependants_look(&l->w, f, err);
    case GUARD_UNTOUCHED: return touched_look(&l->w, f, err);
    case GUARD_SNAPSHOT: return snapshot_look(&l->w, f, err);
    case GUARD_RESTORE_POINT: return restore_point_look(&l->w, f, err);
    case GUARD_CONFIRMED: look_confirmed(l, f); return true;
    case GUARD_NEXT_ABSENT:
    case GUARD_NEXT_PRESENT:
        fact_yes(f);
        if (present != (g == GUARD_NEXT_PRESENT))
            fact_no(
                f,
                arena_printf(l->w.a, "%s is %s", phase_word(asked), present ? "present" : "absent"),
                NULL);
        return true;
    case GUARD_COUNT: break;
    }
    return true;
}

static bool is_empty(const struct look *l, enum phase phase)
{
    struct script s;

    plan_script(l->w.a, l->w.p, phase, false, &s);
    return s.n == 0;
}

/* What a plan that comes first is still to make isn't missed in this one. */
static bool look_ahead(struct look *l, struct fact *facts, unsigned wanted, struct err *err)
{
    struct fact *f = &facts[GUARD_REQUIREMENTS];

    if (!(wanted & GUARD_BIT(REQUIREMENTS)) || !f->holds || !facts[GUARD_DEPENDENCIES].holds ||
        l->w.o->n_before > 0)
        return true;
    if (l->phase == PHASE_EXPAND && l->ev == EVENT_ADVANCE && is_empty(l, PHASE_EXPAND)) {
        fact_no(f,
                arena_printf(l->w.a, "expand has no step, and nothing else to do (%s)",
                             pos_text(l->w.a, l->w.p->phases[PHASE_EXPAND].at)),
                "write its steps, or `expand: {none: the reason}`");
        return true;
    }
    if (l->phase == PHASE_CONTRACT && l->ev == EVENT_ADVANCE)
        return restore_point_look(&l->w, f, err) && (!f->holds || foresee_drops(&l->w, f, err));
    return l->phase != PHASE_EXPAND || foresee_sync(&l->w, f, err);
}

/* Where an advance begins: it passes over absent phases first. Who only looks sees the plan there too. */
static enum stage past_absent(const struct plan *p, enum stage s)
{
    for (;;) {
        enum phase next = stage_next_phase(s);
        if (next == PHASE_NONE || stage_is_running(s) || p->phases[next].present)
            return s;
        s = next == PHASE_LAST ? STAGE_PURGED : stage_of(next, 1);
    }
}

bool engine_observe(struct engine *e, struct plan *p, enum phase_event ev,
                    const struct advance_options *o, struct arena *a, struct plan_state *state,
                    struct world *out, struct err *err)
{
    static const struct advance_options none;
    struct look l = {.ev = ev, .w = {.e = e, .p = p, .a = a, .o = o ? o : &none}};

    if (!e->facts(e->set, p, err))
        return false;
    if (e->has_ledger && (!work_reload(&l.w, err)))
        return false;
    l.w.state.plan = p->id.s;
    l.w.phase = stage_phase(l.w.state.stage);
    memset(out, 0, sizeof *out);
    out->stage = ev == EVENT_ADVANCE ? past_absent(p, l.w.state.stage) : l.w.state.stage;
    l.phase = ev == EVENT_ADVANCE || ev == EVENT_SKIP ? stage_next_phase(out->stage)
              : ev == EVENT_REPEAT                    ? newest_phase(p, l.w.state.stage)
                                                      : l.w.phase;
    out->brake = l.w.state.brake;
    out->brake_reason = l.w.state.brake_reason;
    out->brake_by = l.w.state.brake_by;
    out->brake_since_ms = l.w.state.brake_since_ms;
    unsigned wanted = phase_guards(out->stage, out->brake, ev);
    for (int g = 0; g < GUARD_COUNT; g++)
        if ((wanted & 1u << g) && !look_at(&l, (enum guard) g, &out->facts[g], err))
            return err_note(err, "observing \"%s\"", guard_question((enum guard) g));
    if (!look_ahead(&l, out->facts, wanted, err))
        return false;
    *state = l.w.state;
    return true;
}
