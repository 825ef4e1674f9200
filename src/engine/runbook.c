/* What a runbook says of now: each reading on its own, so that one that fails takes nothing along. */
#include "internal.h"

#include "phasegate/flag_ops.h"
#include "phasegate/runbook.h"

#define NO_ANSWER "the database doesn't answer"

struct facts {
    struct work w;
    struct runbook_facts *out;
};

/* Somebody wants to be gone; everything else is an answer. */
static bool is_over(const struct err *err) { return err_is(err, ERR_INTERRUPTED); }

/* ---- criteria and gates ---------------------------------------------------------------------- */

static struct runbook_reading *add_reading(struct facts *f, enum runbook_side side,
                                           const char *what, struct pos at)
{
    struct runbook_facts *o = f->out;
    struct runbook_reading *r;

    o->readings = arena_more(f->w.a, o->readings, sizeof *o->readings, o->n_readings);
    r = &o->readings[o->n_readings++];
    *r = (struct runbook_reading) {side, RUNBOOK_UNREADABLE, what, NULL, at};
    return r;
}

static bool needs_database(const struct engine *e, const struct gate *g)
{
    switch (g->kind) {
    case GATE_HTTP:
    case GATE_PROMETHEUS:
    case GATE_BACKUP:
    case GATE_COMMAND: return false;
    case GATE_SESSIONS: return e->env->live_releases.application_name.s != NULL;
    case GATE_SQL:
    case GATE_APPROVAL:
    case GATE_LAG:
    case GATE_REHEARSAL: return true;
    }
    return true;
}

/* The engine's own measurement; what has no data is not readable. */
static bool read_gate(struct facts *f, const struct gate *g, struct runbook_reading *r,
                      struct err *err)
{
    struct gate_reading got = {0};
    AUTO(err) bad = {0};

    if (!f->w.e->db && needs_database(f->w.e, g)) {
        r->value = NO_ANSWER;
        return true;
    }
    if (!gate_measure(f->w.e, f->w.p, f->w.phase, g, f->w.a, &got, &bad)) {
        if (is_over(&bad)) {
            err_move(err, &bad);
            return false;
        }
        r->value = arena_strdup(f->w.a, str_text(&bad.message));
        return true;
    }
    r->value = got.detail;
    if (got.verdict != GATE_NO_DATA)
        r->verdict = got.verdict == GATE_PASS ? RUNBOOK_SPEAKS_FOR : RUNBOOK_SPEAKS_AGAINST;
    return true;
}

static bool read_query(struct facts *f, const struct criterion *c, struct runbook_reading *r,
                       struct err *err)
{
    struct engine *e = f->w.e;
    const char *value = NULL;
    AUTO(err) bad = {0};

    if (!e->db) {
        r->value = NO_ANSWER;
        return true;
    }
    if (!ask_value(e, f->w.a, c->sql.s, e->policy.statement_timeout_ms, &value, &bad)) {
        if (is_over(&bad)) {
            err_move(err, &bad);
            return false;
        }
        r->value = arena_strdup(f->w.a, str_text(&bad.message));
        return true;
    }
    r->value = value ? arena_printf(f->w.a, "measured %s", value) : "no value";
    r->verdict = cond_holds(&c->expect, value, NULL) ? RUNBOOK_SPEAKS_FOR : RUNBOOK_SPEAKS_AGAINST;
    return true;
}

/* Of a no-go, too: who signs it says that it isn't so. */
static bool read_signature(struct facts *f, const struct criterion *c, struct runbook_reading *r,
                           struct err *err)
{
    struct signatures s = {0};
    struct work *w = &f->w;
    char when[25];

    r->verdict = RUNBOOK_BY_HAND;
    if (!f->out->readable || w->phase == PHASE_NONE)
        return true;
    if (!criterion_signatures(w, w->phase, c, &s, err))
        return false;
    const struct validation_row *by = s.refused ? s.refused : s.given;
    if (!by) {
        r->value = sign_command(w, criterion_name(c));
        return true;
    }
    time_to_rfc3339(by->at_ms, when);
    r->value = arena_printf(w->a, "%s, at %s", by->description, when);
    r->verdict = s.refused ? RUNBOOK_SPEAKS_AGAINST : RUNBOOK_SPEAKS_FOR;
    return true;
}

static bool read_criterion(struct facts *f, enum runbook_side side, const struct criterion *c,
                           struct err *err)
{
    const struct gate *g = c->gate.s ? plan_gate(f->w.p, c->gate.s) : NULL;
    struct arena *a = f->w.a;
    const char *what = c->manual.s;
    bool ok = true;

    if (g)
        what = arena_printf(a, "gate %s", g->name.s);
    else if (c->sql.s)
        what = arena_printf(a, "%s: %s %s", document_code_of(a, c->sql.s),
                            cond_op_word(c->expect.op), c->expect.value ? c->expect.value : "");
    struct runbook_reading *r = add_reading(f, side, what, c->at);
    if (g)
        ok = read_gate(f, g, r, err);
    else if (c->sql.s)
        ok = read_query(f, c, r, err);
    else
        return read_signature(f, c, r, err);
    /* What holds speaks against it. */
    if (side == RUNBOOK_NO_GO && r->verdict == RUNBOOK_SPEAKS_FOR)
        r->verdict = RUNBOOK_SPEAKS_AGAINST;
    else if (side == RUNBOOK_NO_GO && r->verdict == RUNBOOK_SPEAKS_AGAINST)
        r->verdict = RUNBOOK_SPEAKS_FOR;
    return ok;
}

/* Gates that some phase from here on asks, each once. */
static bool is_gate_ahead(const struct facts *f, const struct gate *g)
{
    const struct plan *p = f->w.p;

    for (int i = f->w.phase > PHASE_NONE ? (int) f->w.phase : PHASE_FIRST; i <= PHASE_LAST; i++)
        if (text_list_has(&p->phases[i].gates, g->name.s))
            return true;
    return false;
}

static bool read_criteria(struct facts *f, struct err *err)
{
    const struct plan *p = f->w.p;
    const struct runbook *rb = &p->runbook;

    for (int i = 0; i < rb->n_go; i++)
        if (!read_criterion(f, RUNBOOK_GO, &rb->go[i], err))
            return false;
    for (int i = 0; i < rb->n_no_go; i++)
        if (!read_criterion(f, RUNBOOK_NO_GO, &rb->no_go[i], err))
            return false;
    for (int i = 0; i < p->n_gates; i++) {
        const struct gate *g = &p->gates[i];
        bool back = text_list_has(&rb->rollback_when, g->name.s);
        if (!back && !is_gate_ahead(f, g))
            continue;
        struct runbook_reading *r = add_reading(f, back ? RUNBOOK_ROLLBACK : RUNBOOK_GATE,
                                                arena_printf(f->w.a, "gate %s", g->name.s), g->at);
        if (!read_gate(f, g, r, err))
            return false;
    }
    return true;
}

/* ---- times ----------------------------------------------------------------------------------- */

static void add_time(struct facts *f, const char *what, int64_t ms, int64_t at_ms)
{
    struct runbook_facts *o = f->out;

    for (int i = 0; i < o->n_times; i++)
        if (strcmp(o->times[i].what, what) == 0) {
            if (at_ms >= o->times[i].at_ms)
                o->times[i] = (struct runbook_time) {o->times[i].what, ms, at_ms};
            return;
        }
    o->times = arena_more(f->w.a, o->times, sizeof *o->times, o->n_times);
    o->times[o->n_times++] = (struct runbook_time) {what, ms, at_ms};
}

static const char *time_name(struct arena *a, const char *event, const char *phase)
{
    if (strcmp(event, phase_event_word(EVENT_ADVANCE)) == 0)
        return phase;
    if (strcmp(event, phase_event_word(EVENT_ROLLBACK)) == 0)
        return arena_printf(a, "rollback of %s", phase);
    return event;
}

/* From the transition that began something to the one that finished it: pauses and stops are part of it. */
static bool read_journal(struct facts *f, struct err *err)
{
    struct history_filter filter = {.plan = f->w.p->id.s};
    struct history_row *rows = NULL;
    const struct history_row *began = NULL;
    int n = 0;

    if (!ledger_history(f->w.e->db, f->w.a, &filter, &rows, &n, err))
        return false;
    for (int i = 0; i < n; i++) {
        const struct history_row *r = &rows[i];
        if (strcmp(r->kind, "transition") != 0 || !r->step || !r->phase)
            continue;
        if (strcmp(r->step, phase_event_word(EVENT_FINISHED)) == 0) {
            if (began)
                add_time(f, time_name(f->w.a, began->step, began->phase),
                         r->applied_at_ms - began->applied_at_ms, r->applied_at_ms);
            began = NULL;
        } else if (strcmp(r->step, phase_event_word(EVENT_ROLLBACK)) == 0 ||
                   strcmp(r->step, phase_event_word(EVENT_RESTORE)) == 0 ||
                   strcmp(r->step, phase_event_word(EVENT_PURGE)) == 0 ||
                   (strcmp(r->step, phase_event_word(EVENT_ADVANCE)) == 0 && !began))
            began = r;
    }
    return true;
}

static void add_kill_time(struct facts *f, bool drill, const char *key, int64_t ms, int64_t at_ms)
{
    for (int r = 0; r < FLAG_ROLES; r++)
        if (f->w.p->flags[r].key.s && strcmp(f->w.p->flags[r].key.s, key) == 0)
            add_time(f, arena_printf(f->w.a, "kill of %s%s", key, drill ? ", in a drill" : ""), ms,
                     at_ms);
}

/* Drills of any host, as far as the ledger has heard of them. */
static bool read_flag_changes(struct facts *f, struct err *err)
{
    struct flag_change *rows = NULL;
    int n = 0;

    if (!ledger_flag_changes(f->w.e->db, f->w.a, f->w.p->id.s, 0, &rows, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (flag_change_is_drill(&rows[i]) && flag_change_is_answered(rows[i].answer))
            add_kill_time(f, true, rows[i].flag, rows[i].ms, rows[i].at_ms);
    return true;
}

/* Kills and drills from this host, which may be newer than what the ledger knows. */
static void read_flag_journal(struct facts *f)
{
    struct flag_ops ops = flags_ops(&f->w);
    struct flag_entry *rows = NULL;
    AUTO(err) ignored = {0};
    int n = 0;

    if (!flag_journal_load(&ops, f->w.a, &rows, &n, &ignored))
        return;
    for (int i = 0; i < n; i++) {
        bool drill = strcmp(rows[i].verb, "drill") == 0;
        if ((drill || strcmp(rows[i].verb, "kill") == 0) && rows[i].answered &&
            (rows[i].answer == FLAG_OK || rows[i].answer == FLAG_NOCHANGE))
            add_kill_time(f, drill, rows[i].key, rows[i].ms, rows[i].at_ms);
    }
}

/* ---- what can be brought back ---------------------------------------------------------------- */

static bool read_hidden(struct facts *f, struct err *err)
{
    struct soft_drop *all = NULL;
    int n = 0;

    if (!ledger_soft_drops(f->w.e->db, f->w.a, f->w.p->id.s, &all, &n, err))
        return false;
    f->out->hidden = arena_array(f->w.a, struct soft_drop, n + 1);
    for (int i = 0; i < n; i++)
        if (!all[i].restored_at_ms && !all[i].purged_at_ms)
            f->out->hidden[f->out->n_hidden++] = all[i];
    return true;
}

static bool read_snapshots(struct facts *f, struct err *err)
{
    struct runbook_facts *o = f->out;
    struct snapshot_row *all = NULL;
    struct snapshot_manifest *manifests = NULL;
    int n = 0, n_manifests = 0;

    if (!ledger_snapshots(f->w.e->db, f->w.a, f->w.p->id.s, &all, &n, err) ||
        !ledger_snapshot_manifests(f->w.e->db, f->w.a, f->w.p->id.s, &manifests, &n_manifests, err))
        return false;
    o->snapshots = arena_array(f->w.a, struct runbook_snapshot, n + 1);
    for (int i = 0; i < n; i++) {
        if (!snapshot_row_counts(&all[i]))
            continue;
        struct runbook_snapshot *s = &o->snapshots[o->n_snapshots++];
        *s = (struct runbook_snapshot) {all[i].name, NULL, all[i].rows, all[i].taken_at_ms};
        for (int k = 0; k < n_manifests; k++)
            if (strcmp(manifests[k].name, s->name) == 0)
                s->lsn = manifests[k].lsn;
    }
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool read_ledger(struct facts *f, struct err *err)
{
    struct work *w = &f->w;
    struct runbook_facts *o = f->out;

    if (!engine_status(w->e, w->p, true, w->a, &o->status, err))
        return false;
    w->state = o->status.state;
    w->phase = o->status.next_phase;
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
        if (!approvals_read(w, (enum phase) i, false, NULL, &o->approvals[i], err))
            return false;
    if (!w->e->has_ledger)
        return true;
    return read_journal(f, err) && read_flag_changes(f, err) && read_hidden(f, err) &&
           read_snapshots(f, err) &&
           ledger_restore_points(w->e->db, w->a, w->p->id.s, &o->points, &o->n_points, err);
}

bool engine_runbook(struct engine *e, struct plan *p, const char *why_or_null, struct arena *a,
                    struct runbook_facts *out, struct err *err)
{
    struct facts f = {.w = {.e = e, .p = p, .a = a}, .out = out};
    AUTO(err) bad = {0};

    memset(out, 0, sizeof *out);
    if (!e->facts(e->set, p, err))
        return false;
    out->at_ms = now_ms(e);
    out->why = why_or_null ? why_or_null : NO_ANSWER;
    out->readable = e->db && read_ledger(&f, &bad);
    if (is_over(&bad)) {
        err_move(err, &bad);
        return false;
    }
    if (bad.kind)
        out->why = arena_strdup(a, str_text(&bad.message));
    if (!out->readable) {
        flags_observe(&f.w, out->status.observed);
        for (int i = PHASE_FIRST; i <= PHASE_LAST; i++)
            out->approvals[i].needed = e->policy.approvals[i] > 0 ? e->policy.approvals[i] : 0;
    } else
        out->why = NULL;
    if (e->state_dir)
        read_flag_journal(&f);
    return read_criteria(&f, err);
}
