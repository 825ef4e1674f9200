/* preflight --fix: what the plan's data checks say is to be mended, in batches where it can be cut into some. */
#include "preflight_int.h"

#include "phasegate/json_out.h"

#include <stdlib.h>

struct fixing {
    struct work w;
    struct data_fixes *out;
};

/* ---- looking ----------------------------------------------------------------------------------------------- */

static bool ask(struct engine *e, struct arena *a, const struct check *k, const char **value,
                bool *holds, struct err *err)
{
    if (!ask_value(e, a, k->sql.s, PREFLIGHT_DATA_MS, value, err))
        return err_note(err, "data check %s (%s)", k->id.s, pos_text(a, k->at));
    *holds = cond_holds(&k->expect, *value, NULL);
    return true;
}

static bool find(struct engine *e, struct plan *p, struct arena *a, struct data_fixes *out,
                 struct err *err)
{
    out->items = arena_array(a, struct data_fix, p->data_checks.n + 1);
    out->n = 0;
    for (int i = 0; i < p->data_checks.n; i++) {
        const struct check *k = &p->data_checks.items[i];
        const char *value = NULL;
        bool holds = false;

        if (!k->fix.s)
            continue;
        if (!ask(e, a, k, &value, &holds, err))
            return false;
        if (!holds)
            out->items[out->n++] = (struct data_fix) {
                .check = k, .in_batches = k->fix_fill != NULL, .before = value, .rows = -1};
    }
    return true;
}

static void stand_against(struct str *s, const char *what, const char *release, const char *plan)
{
    str_addf(s, "%s%s", s->len ? "; " : "", what);
    /* The machine's sentences know no names. */
    if (release && !strstr(release, "PLAN"))
        str_addf(s, " (%s)", release);
    else if (release)
        str_addf(s, " (phasegate status %s)", plan);
}

/* What keeps a phase from writing keeps its fixes from it. */
static bool look_against(struct work *w, const char **out, struct err *err)
{
    const char *plan = w->p->id.s;
    struct fact f;
    AUTO(str) s = {0};

    *out = NULL;
    if (w->state.brake != BRAKE_NONE)
        stand_against(&s,
                      arena_printf(w->a, "the plan is %s: %s", brake_word(w->state.brake),
                                   w->state.brake_reason ? w->state.brake_reason : "no reason"),
                      arena_printf(w->a, "phasegate resume %s", plan), plan);
    if (!approvals_look(w, w->phase, false, &f, err))
        return false;
    if (!f.holds)
        stand_against(&s, f.what, f.release, plan);
    if (!hours_look(w, &f, err))
        return false;
    if (!f.holds)
        stand_against(&s, f.what, f.release, plan);
    if (s.len)
        *out = arena_strdup(w->a, str_text(&s));
    return true;
}

bool engine_fixes(struct engine *e, struct plan *p, enum phase phase, struct arena *a,
                  struct data_fixes *out, struct err *err)
{
    static const struct advance_options none;
    struct work w = {.e = e, .p = p, .a = a, .o = &none};

    *out = (struct data_fixes) {0};
    if (!e->facts(e->set, p, err) || (e->has_ledger && !work_reload(&w, err)) ||
        !preflight_phase(e, p, phase, a, &out->phase, err))
        return false;
    w.phase = out->phase;
    return out->phase == PHASE_NONE ||
           (find(e, p, a, out, err) && (!out->n || look_against(&w, &out->refused, err)));
}

/* ---- carrying out ------------------------------------------------------------------------------------------- */

static struct history_row *row_of(struct work *w, const struct task *t, const struct data_fix *f)
{
    struct history_row *r = history_new(w, "fix", t->id, "note");

    r->checksum = f->check->checksum;
    r->sql = f->check->fix_sql;
    return r;
}

static const char *detail_of(struct arena *a, const struct data_fix *f, int64_t rows)
{
    AUTO(str) detail = {0};
    struct json_out j;

    json_begin(&j, &detail, false);
    json_object_begin(&j, NULL);
    json_str(&j, "check", f->check->sql.s);
    json_str(&j, "before", f->before);
    if (rows >= 0)
        json_int(&j, "rows", rows);
    json_object_end(&j);
    return arena_strdup(a, str_text(&detail));
}

/* It may be killed on its way: that it began is written before. */
static bool fix_in_batches(struct work *w, const struct task *t, struct data_fix *f,
                           struct err *err)
{
    struct history_row *began = row_of(w, t, f), *done = row_of(w, t, f);

    began->description = arena_printf(w->a, "begins: %s, expected %s", f->before ? f->before : "-",
                                      preflight_expectation(w->a, &f->check->expect));
    began->detail = done->detail = detail_of(w->a, f, -1);
    return ledger_history_append(w->e->db, began, err) && backfill_fix(w, t, done, &f->rows, err);
}

static bool too_many(const struct data_fix *f, struct err *err)
{
    const struct pos at = f->check->fix.at;

    err_set(err, ERR_REFUSED,
            "%s:%d:%d: the fix of %s would change more than %d rows in one statement", at.file,
            at.line, at.col, f->check->id.s, FIX_ROWS_MOST);
    err_detail(err, "Nothing was changed by it.");
    err_hint(err, "an UPDATE of one table, with WHERE over its own columns, goes in batches; or a "
                  "backfill in an earlier phase");
    return err_reason(err, "too_many_rows");
}

/* The rows and the row that says so in one transaction. */
static bool statement_once(struct work *w, const struct task *t, struct data_fix *f,
                           struct err *err)
{
    struct history_row *r = row_of(w, t, f);
    int64_t began = clock_mono_ms(w->e->ports->clock);
    struct db_rows rows = {0};
    struct txn x, end;
    int done = 0;

    txn_begin(w, &x, w->e->policy.lock_timeout_ms, w->e->policy.statement_timeout_ms);
    txn_user_path(w, &x);
    if (!db_pipeline(w->e->db, w->a, x.calls, x.n, NULL, &done, err) ||
        !db_query(w->e->db, w->a,
                  arena_printf(w->a,
                               "WITH fixed AS (%s\nRETURNING 1) SELECT pg_catalog.count(*) FROM "
                               "fixed",
                               f->check->fix_sql),
                  &DB_NO_PARAMS, &rows, err))
        return false;
    int64_t n = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    if (n > FIX_ROWS_MOST)
        return too_many(f, err);
    r->duration_ms = clock_mono_ms(w->e->ports->clock) - began;
    r->description = arena_printf(w->a, "%lld rows changed, in one statement", (long long) n);
    r->detail = detail_of(w->a, f, n);
    end = (struct txn) {.a = w->a};
    txn_own_path(&end);
    ledger_history_call(w->a, r, txn_slot(&end));
    if (!txn_commit(w, &end, err))
        return false;
    f->rows = n;
    return true;
}

static bool fix_by_statement(struct work *w, const struct task *t, struct data_fix *f,
                             struct err *err)
{
    for (int attempt = 0;;) {
        AUTO(err) ignored = {0};

        if (statement_once(w, t, f, err))
            return true;
        if (db_is_usable(w->e->db))
            (void) !db_exec(w->e->db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
        if (!err_is(err, ERR_LOCK_TIMEOUT) ||
            !lock_back_off(w, table_text(w, NULL, f->check->fix_table), &attempt, err))
            return false;
        err_clear(err);
    }
}

static bool carry_out(struct work *w, struct data_fix *f, struct err *err)
{
    const struct check *k = f->check;
    struct task t = {.kind = TASK_BACKFILL,
                     .id = arena_printf(w->a, "fix/%s", k->id.s),
                     .title = arena_printf(w->a, "fix of data check %s", k->id.s),
                     .backfill = k->fix_fill,
                     .checksum = k->checksum};

    if (!work_may_go_on(w, err))
        return false;
    w->state.task = t.id;
    db_set_label(w->e->db, session_label(w));
    if (!lease_describe(w->e->db, t.id, err))
        return false;
    emit(w, EVENT_START, t.id, "%s", t.title);
    if (!(f->in_batches ? fix_in_batches : fix_by_statement)(w, &t, f, err))
        return err_note(err, "fix of data check %s (%s)", k->id.s, pos_text(w->a, k->fix.at));
    return ask(w->e, w->a, k, &f->after, &f->holds, err);
}

static bool run_all(struct fixing *x, enum phase phase, struct err *err)
{
    struct work *w = &x->w;
    const char *against = NULL;

    w->phase = phase;
    /* Somebody may have mended them, or put a brake on, while the lease was waited for. */
    if (!find(w->e, w->p, w->a, x->out, err) || !look_against(w, &against, err))
        return false;
    if (against && x->out->n) {
        err_set(err, ERR_REFUSED, "the fixes of plan %s are refused: %s", w->p->id.s, against);
        err_hint(err, "phasegate preflight %s --fix --dry-run shows them", w->p->id.s);
        return err_reason(err, "fix");
    }
    for (int i = 0; i < x->out->n; i++)
        if (!carry_out(w, &x->out->items[i], err))
            return false;
    return true;
}

bool engine_fix(struct engine *e, struct plan *p, enum phase phase, struct arena *a,
                struct data_fixes *out, struct err *err)
{
    static const struct advance_options none;
    struct fixing x = {.out = out};
    AUTO(err) ignored = {0};

    if (!engine_fixes(e, p, phase, a, out, err))
        return false;
    if (out->n == 0)
        return true;
    bool ok = work_open(&x.w, e, p, &none, a, err) && run_all(&x, out->phase, err);
    if (db_is_usable(e->db))
        (void) !lease_release(e->db, &ignored);
    return ok;
}
