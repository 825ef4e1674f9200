/* What advance, rollback or purge would do, statement by statement. Writes nothing. */
#include "internal.h"

#include <stdlib.h>

struct dry {
    struct work w;
    struct dry_run *out;
    int cap;
    const struct script *script; /* of an advance or a purge */
    int at;                      /* in it */
};

static struct dry_step *add(struct dry *d, const struct task *t)
{
    struct dry_run *r = d->out;

    if (r->n_steps == d->cap) {
        int cap = d->cap ? 2 * d->cap : 16;
        r->steps = arena_grow(d->w.a, r->steps, sizeof *r->steps * (size_t) d->cap,
                              sizeof *r->steps * (size_t) cap);
        d->cap = cap;
    }
    struct dry_step *s = &r->steps[r->n_steps++];
    memset(s, 0, sizeof *s);
    s->id = t->id;
    s->kind = task_kind_word(t->kind);
    s->title = t->title;
    s->status = task_is_done(&d->w, t) ? "done" : "would run";
    s->reversibility = "lossless";
    s->rows = -1;
    return s;
}

static void take_sql(struct dry *d, struct dry_step *s, const struct sql_list *l)
{
    (void) d;
    s->sql = l->items;
    s->n_sql = l->n;
}

/* May a step that is still to run before it make what it changes? Yes where that can't be told. */
static bool may_be_made_before(const struct dry *d, const struct step *st)
{
    if (st->n_stmts != 1 || !st->stmts[0].table || d->w.o->n_before > 0)
        return true;
    for (int i = 0; i < d->at; i++) {
        const struct task *t = &d->script->tasks[i];
        if (t->kind != TASK_STEP || task_is_done(&d->w, t))
            continue;
        if (t->step->n_stmts == 0)
            return true;
        for (int k = 0; k < t->step->n_stmts; k++) {
            const struct sql_stmt *s = &t->step->stmts[k];
            if (s->class == SQL_UNKNOWN || !s->table || strcmp(s->table, st->stmts[0].table) == 0)
                return true;
        }
    }
    return false;
}

static bool dry_step(struct dry *d, const struct task *t, struct err *err)
{
    struct dry_step *s = add(d, t);
    const struct step *st = t->step;
    const char **sql = arena_array(d->w.a, const char *, st->n_stmts + 1);
    const char *json = NULL;
    bool applies = true, known = false, applied = false;

    s->at = &st->at;
    for (int i = 0; i < st->n_stmts; i++) {
        sql[s->n_sql++] = st->stmts[i].sql;
        if (st->stmts[i].lock >= s->lock) {
            s->lock = st->stmts[i].lock;
            s->lock_note = st->stmts[i].lock_note;
        }
    }
    s->sql = sql;
    if (!step_undo_json(&d->w, st, strcmp(s->status, "done") != 0, &json, &s->undo, err))
        return false;
    bool denied = !s->undo && step_asks_for_undo(st) && !may_be_made_before(d, st) &&
                  strcmp(s->status, "done") != 0;
    if (!s->undo && step_asks_for_undo(st) && !denied &&
        !step_undo_json(&d->w, st, false, &json, &s->undo, err))
        return false;
    s->reversibility = step_reversibility(st);
    if (strcmp(s->status, "done") == 0)
        return true;
    if (!step_applies(&d->w, st, &applies, err) ||
        !step_observe_applied(&d->w, st, &known, &applied, err))
        return false;
    if (!applies)
        s->status = "does not apply";
    else if (known && applied)
        s->status = "already in place";
    else if (denied) {
        s->reversibility = "irreversible";
        s->note = "there is no way back from it: what was there before can't be had again";
    }
    return true;
}

static const char *one_text(struct arena *a, const struct sql_list *l)
{
    AUTO(str) s = {0};

    for (int i = 0; i < l->n; i++)
        str_addf(&s, "%s%s", i ? ";\n" : "", l->items[i]);
    return arena_strdup(a, str_text(&s));
}

static void dry_sync(struct dry *d, const struct task *t)
{
    struct dry_step *s = add(d, t);
    struct sql_list l, undo;

    sync_install_sql(d->w.a, d->w.p, NULL, 0, &l);
    sync_remove_sql(d->w.a, d->w.p, &undo);
    take_sql(d, s, t->kind == TASK_SYNC_INSTALL ? &l : &undo);
    s->lock = t->kind == TASK_SYNC_INSTALL ? LOCK_SRE : LOCK_AE;
    s->lock_note = "brief";
    s->undo = one_text(d->w.a, t->kind == TASK_SYNC_INSTALL ? &undo : &l);
}

/* A batch, with its range as a word. */
static const char *fill_text(struct arena *a, const struct backfill_spec *spec, const char *name)
{
    AUTO(str) text = {0};

    if (spec->insert)
        return arena_printf(a, "%s, with %s being its rows WHERE <key range> AND (%s)",
                            spec->insert, name, spec->todo);
    str_addf(&text, "UPDATE %s SET ", name);
    for (int i = 0; i < spec->set.n; i++) {
        str_add(&text, i ? ", " : "");
        sql_ident(&text, spec->set.items[i].key.s);
        if (spec->via && backfill_is_via(&spec->set.items[i]))
            str_addf(&text, " = <what %s says>", spec->via->items[0].s);
        else
            str_addf(&text, " = (%s)", spec->set.items[i].value.s);
    }
    str_addf(&text, "%s%s WHERE <key range> AND (%s)", spec->from ? " FROM " : "",
             spec->from ? spec->from : "", spec->todo);
    return arena_strdup(a, str_text(&text));
}

static bool dry_backfill(struct dry *d, const struct task *t, struct err *err)
{
    struct dry_step *s = add(d, t);
    struct backfill_spec spec;
    const char *why = NULL, *v = NULL;
    const char **sql = arena_array(d->w.a, const char *, 1);
    AUTO(str) name = {0}, ask = {0};
    AUTO(err) ignored = {0};

    (void) err;
    s->at = &t->backfill->at;
    if (!backfill_spec_of(d->w.a, d->w.p, t->backfill, &spec, &why)) {
        s->status = arena_printf(d->w.a, "can't run: %s", why);
        return true;
    }
    sql_qualified(&name, spec.schema, spec.table);
    sql[0] = fill_text(d->w.a, &spec, str_text(&name));
    s->sql = sql;
    s->n_sql = 1;
    s->lock = LOCK_RE;
    s->lock_note = "row locks, one batch long";
    s->undo = spec.insert ? "stop; the rows stay, harmless"
              : t->backfill->keeps_before
                  ? arena_printf(d->w.a, "phasegate backfill %s restore", d->w.p->id.s)
                  : "stop; the values stay, harmless";
    str_add(&ask, "SELECT greatest(reltuples, 0)::pg_catalog.int8 FROM pg_catalog.pg_class WHERE "
                  "oid = pg_catalog.to_regclass(");
    sql_literal(&ask, str_text(&name));
    str_add(&ask, ")");
    if (ask_value(d->w.e, d->w.a, str_text(&ask), 5000, &v, &ignored) && v)
        s->rows = strtoll(v, NULL, 10);
    return true;
}

static void dry_rung(struct dry *d, const struct task *t)
{
    struct dry_step *s = add(d, t);
    const struct flag_decl *f = &d->w.p->flags[t->flag];
    AUTO(str) pause = {0};

    duration_to_text(&pause, t->rung->pause_ms);
    s->at = &t->rung->at;
    s->request = arena_printf(
        d->w.a, "set %s to %d %% at %s, read it back%s%s", f->key.s, t->rung->percent,
        d->w.e->flags ? d->w.e->flags->shown : "no flag service",
        t->rung->pause_ms > 0 ? ", then wait " : "", t->rung->pause_ms > 0 ? str_text(&pause) : "");
    s->undo = arena_printf(d->w.a, "set %s to 0 %%", f->key.s);
    if (t->flag == FLAG_WRITE && d->w.p->sync.by != SYNC_NONE && d->w.p->sync.reverse.n == 0)
        s->reversibility = "lossy";
}

/* What runs, word for word: how a thing can be hidden is for the catalogue to say. */
static bool dry_soft_drop(struct dry *d, const struct task *t, struct err *err)
{
    struct dry_step *s = add(d, t);
    const struct sql_stmt *st = &t->step->stmts[0];
    struct sql_list drop = {0}, restore = {0};
    const char **said = arena_array(d->w.a, const char *, 1);
    bool found = false;

    said[0] = st->sql;
    s->sql = said;
    s->n_sql = 1;
    s->at = &t->step->at;
    s->lock = LOCK_AE;
    s->lock_note = "brief";
    s->undo = "phasegate restore";
    if (strcmp(s->status, "done") == 0)
        return true;
    if (!soft_drop_sql(&d->w, t, &drop, &restore, &found, &s->note, err)) {
        if (!err_is(err, ERR_REFUSED))
            return false;
        s->status = "can't run as things are now";
        s->note = arena_strdup(d->w.a, str_text(&err->message));
        err_clear(err);
    } else if (!found) {
        s->status = "already in place";
        s->note = "there is nothing to drop";
    } else {
        take_sql(d, s, &drop);
        s->undo = one_text(d->w.a, &restore);
    }
    return true;
}

/* Under the name that it is hidden by. */
static bool dry_purge(struct dry *d, const struct task *t, struct err *err)
{
    struct dry_step *s = add(d, t);
    const char *sql = t->step->stmts[0].sql;
    struct soft_drop *list = NULL;
    struct sql_list all;
    int n = 0;

    if (d->w.e->has_ledger && !ledger_soft_drops(d->w.e->db, d->w.a, d->w.p->id.s, &list, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (strcmp(list[i].step, t->step->id.s) == 0 && !list[i].restored_at_ms)
            sql = list[i].purge_sql;
    script_split(d->w.a, sql, &all);
    s->sql = all.items;
    s->n_sql = all.n;
    s->at = &t->step->at;
    s->lock = t->step->stmts[0].lock;
    s->lock_note = t->step->stmts[0].lock_note;
    s->reversibility = "irreversible";
    if (d->out->no_return < 0)
        d->out->no_return = d->out->n_steps - 1;
    return true;
}

/* They come before the purge, and are no part of it. */
static void dry_purge_gates(struct dry *d)
{
    const struct text_list *names = &d->w.p->phases[PHASE_CONTRACT].gates;
    struct task t = {.kind = TASK_GATES, .id = "purge/gates"};
    AUTO(str) title = {0};

    for (int i = 0; i < names->n; i++)
        if (gate_is_asked_at_purge(plan_gate(d->w.p, names->items[i].s)))
            str_addf(&title, "%s%s", title.len ? ", " : "gates: ", names->items[i].s);
    if (!title.len)
        return;
    t.title = arena_strdup(d->w.a, str_text(&title));
    add(d, &t)->undo = "nothing is changed";
}

static bool dry_task(struct dry *d, const struct task *t, struct err *err)
{
    switch (t->kind) {
    case TASK_STEP: {
        bool ok = dry_step(d, t, err);
        struct dry_step *s = &d->out->steps[d->out->n_steps - 1];
        if (d->w.state.stage >= STAGE_CONTRACT_DONE && strcmp(s->reversibility, "lossless") != 0 &&
            d->out->no_return < 0)
            d->out->no_return = d->out->n_steps - 1;
        return ok;
    }
    case TASK_SYNC_INSTALL:
    case TASK_SYNC_REMOVE: dry_sync(d, t); return true;
    case TASK_BACKFILL: return dry_backfill(d, t, err);
    case TASK_RUNG: dry_rung(d, t); return true;
    case TASK_SOFT_DROP: return dry_soft_drop(d, t, err);
    case TASK_PURGE_DROP: return dry_purge(d, t, err);
    case TASK_VERIFY:
    case TASK_COMPARE:
    case TASK_GATES: add(d, t)->undo = "nothing is changed"; return true;
    }
    return true;
}

static void dry_flag_down(struct dry *d, const struct flag_obs *seen, enum flag_role role)
{
    struct work *w = &d->w;
    struct task t = {.kind = TASK_RUNG,
                     .id = arena_printf(w->a, "%s/0%%", flag_role_word(role)),
                     .title = arena_printf(w->a, "%s flag to 0 %%", flag_role_word(role)),
                     .flag = role,
                     .rung = arena_new(w->a, struct rung)};

    if (!w->p->flags[role].key.s || !undo_takes_flag(w, role))
        return;
    /* A run that died may have left it higher than the state says. */
    int seen_at = flag_exposure(seen[role].state, seen[role].percent);
    int from = w->state.percent[role] > seen_at ? w->state.percent[role] : seen_at;
    if (from <= 0)
        return;
    struct dry_step *s = add(d, &t);
    s->status = "would run";
    s->request = arena_printf(w->a, "set %s to 0 %% at %s, read it back", w->p->flags[role].key.s,
                              w->e->flags ? w->e->flags->shown : "no flag service");
    s->undo = arena_printf(w->a, "the rollout, from %d %% down", from);
}

/* The statements of a text one by one, and the strongest of their locks. */
static void show_statements(struct dry *d, const char *sql, struct dry_step *s)
{
    struct sql_stmt *stmts = NULL;
    AUTO(problem_list) ignored = {0};
    int n = 0;

    /* What can't be read is shown by its worst. */
    s->lock = LOCK_AE;
    s->lock_note = "brief";
    const char **list = arena_array(d->w.a, const char *, 1);
    list[0] = sql;
    s->sql = list;
    s->n_sql = sql ? 1 : 0;
    if (!sql || !sql_facts(d->w.a, sql, (struct pos) {.file = "undo"}, &stmts, &n, &ignored) || !n)
        return;
    s->lock = LOCK_NONE;
    s->sql = list = arena_array(d->w.a, const char *, n);
    s->n_sql = n;
    for (int i = 0; i < n; i++) {
        list[i] = stmts[i].sql;
        if (stmts[i].lock >= s->lock) {
            s->lock = stmts[i].lock;
            s->lock_note = stmts[i].lock_note;
        }
    }
}

static bool dry_restore(struct dry *d, struct err *err)
{
    struct work *w = &d->w;
    struct soft_drop *list = NULL;
    int n = 0;

    if (!w->e->has_ledger || w->phase != PHASE_CONTRACT)
        return true;
    if (!ledger_soft_drops(w->e->db, w->a, w->p->id.s, &list, &n, err))
        return false;
    for (int i = n - 1; i >= 0; i--) {
        if (list[i].restored_at_ms || list[i].purged_at_ms)
            continue;
        struct task t = {.kind = TASK_SOFT_DROP,
                         .id = list[i].step,
                         .title = arena_printf(w->a, "restore %s %s", list[i].object_kind,
                                               list[i].original_name)};
        struct dry_step *s = add(d, &t);
        s->status = "would run";
        show_statements(d, list[i].restore_sql, s);
        s->undo = "the soft drop itself";
    }
    return true;
}

static void dry_undo_row(struct dry *d, const struct history_row *r)
{
    struct work *w = &d->w;
    struct task t = {
        .kind = TASK_STEP, .id = r->step, .title = arena_printf(w->a, "undo of %s", r->step)};
    struct dry_step *s = add(d, &t);

    s->status = r->undo_sql ? "would run" : "has no undo";
    show_statements(d, r->undo_sql, s);
    s->undo = "the step itself";
    s->reversibility = !r->undo_sql ? "irreversible" : undo_loses(w, r) ? "lossy" : "lossless";
}

/* In the order of the undo: flags down, what is hidden back, the steps as their undo was stored. */
static bool dry_undo(struct dry *d, struct err *err)
{
    struct work *w = &d->w;
    const struct history_row **order = NULL;
    struct flag_obs seen[FLAG_ROLES] = {0};

    if (!w->e->has_ledger)
        return true; /* nothing was ever done */
    if (!undo_order(w, &order, err))
        return false;
    if (undo_takes_flag(w, FLAG_READ) || undo_takes_flag(w, FLAG_WRITE))
        flags_observe(w, seen);
    dry_flag_down(d, seen, FLAG_READ);
    dry_flag_down(d, seen, FLAG_WRITE);
    if (!dry_restore(d, err))
        return false;
    for (int i = 0; i < w->n_steps; i++)
        if (strcmp(order[i]->phase, phase_word(w->phase)) == 0 && undo_covers(order[i]) &&
            (strcmp(order[i]->kind, "step") == 0 || strcmp(order[i]->kind, "sync install") == 0))
            dry_undo_row(d, order[i]);
    return true;
}

bool engine_dry_run(struct engine *e, struct plan *p, enum phase_event ev,
                    const struct advance_options *o, struct arena *a, struct dry_run *out,
                    struct err *err)
{
    struct dry d = {.w = {.e = e, .p = p, .a = a, .o = o}, .out = out};
    struct world world;
    struct script s;

    memset(out, 0, sizeof *out);
    out->no_return = -1;
    if (!engine_observe(e, p, ev, o, a, &d.w.state, &world, err))
        return false;
    phase_decide(&world, ev, &out->decision);
    decision_with_name(a, p, &out->decision);
    if (e->has_ledger && !ledger_steps(e->db, a, p->id.s, &d.w.steps, &d.w.n_steps, err))
        return false;
    enum phase next = stage_next_phase(d.w.state.stage);
    while (ev == EVENT_ADVANCE && next != PHASE_NONE && next <= PHASE_LAST &&
           !p->phases[next].present)
        next++;
    d.w.phase = ev == EVENT_ADVANCE ? (next > PHASE_LAST ? PHASE_NONE : next)
                                    : stage_phase(d.w.state.stage);
    out->phase = d.w.phase;
    if (out->phase == PHASE_NONE)
        return true;
    if (begins_first_phase(&d.w, ev) && !validation_foresee(&d.w, &out->decision, err))
        return false;
    if (ev == EVENT_ROLLBACK)
        undo_can_read_flags(&d.w, &out->decision);
    if (ev == EVENT_ROLLBACK || ev == EVENT_RESTORE)
        return dry_undo(&d, err);
    if (ev == EVENT_PURGE && e->has_ledger && !snapshot_word(&d.w, &out->snapshot, err))
        return false;
    plan_script(a, p, out->phase, ev == EVENT_PURGE, &s);
    if (d.w.phase == PHASE_CONTRACT && s.n > 0 && (ev == EVENT_ADVANCE || ev == EVENT_PURGE) &&
        !restore_point_word(&d.w, &out->restore_point, &out->restore_point_why, err))
        return false;
    d.script = &s;
    if (ev == EVENT_PURGE && d.w.state.stage == STAGE_CONTRACT_DONE)
        dry_purge_gates(&d);
    for (d.at = 0; d.at < s.n; d.at++)
        if (!dry_task(&d, &s.tasks[d.at], err))
            return false;
    return true;
}
