/* The generated sync trigger: installed at the end of expand, following soft drops, removed by the purge. */
#include "internal.h"

#include <jansson.h>
#include <stdlib.h>

/* Columns of the sync's table that are soft-dropped just now, plus one that is about to be. */
static bool renamed_columns(struct work *w, const struct soft_drop *extra, struct renamed **out,
                            int *out_n, struct err *err)
{
    struct soft_drop *d = NULL;
    int n = 0;

    if (!ledger_soft_drops(w->e->db, w->a, w->p->id.s, &d, &n, err))
        return false;
    *out = arena_array(w->a, struct renamed, n + 1);
    *out_n = 0;
    for (int i = 0; i <= n; i++) {
        const struct soft_drop *s = i < n ? &d[i] : extra;
        if (!s || (i < n && (s->restored_at_ms || s->purged_at_ms ||
                             (extra && extra->id == s->id && s->id))))
            continue;
        if (strcmp(s->object_kind, "column") == 0 && strcmp(s->table, w->p->sync.table.s) == 0 &&
            s->hidden_name)
            (*out)[(*out_n)++] = (struct renamed) {s->original_name, s->hidden_name};
    }
    return true;
}

/* extra: a soft drop that is being made (hidden_name set) or undone (id set, hidden_name NULL). */
bool sync_current_sql(struct work *w, const struct soft_drop *extra, struct sql_list *out,
                      struct err *err)
{
    struct renamed *r;
    int n = 0;

    if (!renamed_columns(w, extra, &r, &n, err))
        return false;
    sync_install_sql(w->a, w->p, r, n, out);
    return true;
}

struct sync_ctx {
    const struct task *task;
    const struct sql_list *sql;
    const char *status, *text, *undo, *detail;
    int64_t started_ms;
};

static bool build(struct work *w, struct txn *t, int64_t lock_ms, void *ctx, struct err *err)
{
    struct sync_ctx *c = ctx;

    (void) err;
    txn_begin(w, t, lock_ms, w->e->policy.statement_timeout_ms);
    txn_user_path(w, t);
    for (int i = 0; i < c->sql->n; i++)
        txn_add(t, c->sql->items[i], NULL);
    txn_own_path(t);
    record_task(w, t, c->task, c->status, clock_mono_ms(w->e->ports->clock) - c->started_ms,
                c->text, c->undo, c->detail);
    return true;
}

static const char *joined(struct arena *a, const struct sql_list *l)
{
    AUTO(str) s = {0};

    for (int i = 0; i < l->n; i++)
        str_addf(&s, "%s%s", i ? ";\n" : "", l->items[i]);
    return arena_strdup(a, str_text(&s));
}

/* As a step stores it: run from here whatever the plan says by then. */
static const char *undo_detail(struct arena *a, const struct sql_list *l)
{
    json_t *list = json_array();

    for (int i = 0; i < l->n; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:b}", "sql", l->items[i], "standalone", false));
    json_t *o = json_pack("{s:o, s:b}", "undo", list, "lossless", true);
    char *text = json_dumps(o, JSON_COMPACT);
    const char *out = arena_strdup(a, text);
    free(text);
    json_decref(o);
    return out;
}

static bool check_children(struct work *w, struct err *err)
{
    const struct sync *s = &w->p->sync;
    const char *children = NULL;

    if (!ask_value(w->e, w->a, sync_children_sql(w->a, w->p), w->e->policy.statement_timeout_ms,
                   &children, err))
        return false;
    if (!children)
        return true;
    err_set(err, ERR_INPUT, "%s:%d:%d: sync can't be installed: %s inherits from %s", s->at.file,
            s->at.line, s->at.col, children, s->table.s);
    err_detail(err,
               "Neither the trigger nor the backfill of a table reaches rows of its children.");
    return err_hint(err,
                    "ALTER TABLE ... NO INHERIT, or make them partitions; or one plan for each "
                    "table, after that");
}

/* Triggers that would undo what this one does. */
static bool check_others(struct work *w, struct err *err)
{
    const struct sync *s = &w->p->sync;
    const char *what = NULL;

    if (!ask_value(w->e, w->a, sync_conflict_sql(w->a, w->p), w->e->policy.statement_timeout_ms,
                   &what, err))
        return false;
    if (!what)
        return true;
    err_set(err, ERR_INPUT, "%s:%d:%d: sync of %s can't be kept: %s", s->at.file, s->at.line,
            s->at.col, s->table.s, what);
    return err_hint(
        err, "a trigger: rename it, so that it comes before zz_phasegate; another plan: finish "
             "or roll it back first, and if this is that plan, give it its name back");
}

/* Backfill and verification compare the two sides. */
static bool check_comparable(struct work *w, struct err *err)
{
    const struct sync *s = &w->p->sync;
    const char *none = NULL;

    if (ask_value(w->e, w->a,
                  arena_printf(w->a, "SELECT 1 FROM %s WHERE false AND (%s)",
                               table_text(w, s->schema.s, s->table.s), sync_agrees_sql(w->a, w->p)),
                  w->e->policy.statement_timeout_ms, &none, err))
        return true;
    if (strcmp(err->sqlstate, "42883") != 0)
        return false;
    err_note(err, "comparing old and new");
    return err_hint(
        err, "make the new column of a type that has an equality: jsonb instead of json, text "
             "instead of xml");
}

/* The server's words about an expression, and where the plan has it. */
static bool cant_evaluate(const struct sync *s, struct err *err)
{
    AUTO(str) said = {0};

    if (!err_is(err, ERR_SQL) || strncmp(err->sqlstate, "42", 2) != 0)
        return false;
    str_add(&said, str_text(&err->message));
    err_clear(err);
    err_set(err, ERR_INPUT, "%s:%d:%d: sync can't be installed: %s", s->at.file, s->at.line,
            s->at.col, str_text(&said));
    return err_hint(err, "mend the expression in sync:, or make what it calls in a step before");
}

static bool check_targets(struct work *w, struct err *err)
{
    struct db_rows rows = {0};

    if (!check_children(w, err))
        return false;
    if (!session_user_path(w, true, err))
        return false;
    bool ok = db_query(w->e->db, w->a, sync_check_sql(w->a, w->p), &DB_NO_PARAMS, &rows, err);
    AUTO(err) ignored = {0};
    if (db_is_usable(w->e->db))
        (void) !session_user_path(w, false, &ignored);
    const struct sync *s = &w->p->sync;
    if (!ok)
        return cant_evaluate(s, err);
    if (rows.n_rows == 0)
        return check_others(w, err) && check_comparable(w, err);
    err_set(err, ERR_INPUT, "%s:%d:%d: sync can't be installed: column %s of %s %s", s->at.file,
            s->at.line, s->at.col, db_cell(&rows, 0, 0), s->table.s, db_cell(&rows, 0, 1));
    return err_hint(err, "add the new column nullable and without a default in expand");
}

bool sync_install(struct work *w, const struct task *t, struct err *err)
{
    struct sql_list sql, undo;
    struct sync_ctx c = {
        .task = t, .sql = &sql, .status = "done", .started_ms = clock_mono_ms(w->e->ports->clock)};

    if (!check_targets(w, err) || !sync_current_sql(w, NULL, &sql, err))
        return false;
    sync_remove_sql(w->a, w->p, &undo);
    c.text = joined(w->a, &sql);
    c.undo = joined(w->a, &undo);
    c.detail = undo_detail(w->a, &undo);
    if (!txn_retry(w, table_text(w, w->p->sync.schema.s, w->p->sync.table.s),
                   w->e->policy.lock_timeout_ms, build, &c, err))
        return false;
    report_task(w, t, "done", clock_mono_ms(w->e->ports->clock) - c.started_ms, NULL);
    return true;
}

static bool take_away(struct work *w, const struct task *t, const char *status, struct err *err)
{
    struct sql_list sql;
    struct sync_ctx c = {
        .task = t, .sql = &sql, .status = status, .started_ms = clock_mono_ms(w->e->ports->clock)};

    sync_remove_sql(w->a, w->p, &sql);
    c.text = joined(w->a, &sql);
    if (!txn_retry(w, table_text(w, w->p->sync.schema.s, w->p->sync.table.s),
                   w->e->policy.lock_timeout_ms, build, &c, err))
        return false;
    report_task(w, t, status, clock_mono_ms(w->e->ports->clock) - c.started_ms, NULL);
    return true;
}

bool sync_remove(struct work *w, const struct task *t, struct err *err)
{
    return take_away(w, t, "done", err);
}

bool sync_undo(struct work *w, const struct task *t, struct err *err)
{
    return take_away(w, t, "undone", err);
}

bool sync_is_one_way(const struct work *w)
{
    return w->p->sync.by == SYNC_TRIGGER && w->p->sync.reverse.n == 0 && w->state.first_write_rung;
}

static const struct history_row *install_row(const struct work *w)
{
    struct work in_expand = *w;

    in_expand.phase = PHASE_EXPAND;
    return work_step_row(&in_expand, "sync/trigger");
}

bool sync_broken(struct work *w, const char **out, struct err *err)
{
    const struct history_row *r = w->p->sync.by == SYNC_TRIGGER ? install_row(w) : NULL;
    struct renamed *renamed;
    const char *what = NULL;
    int n = 0;

    *out = NULL;
    if (!r || strcmp(r->status, "done") != 0 || w->state.stage >= STAGE_PURGING)
        return true;
    if (!renamed_columns(w, NULL, &renamed, &n, err) ||
        !ask_value(w->e, w->a, sync_broken_sql(w->a, w->p, renamed, n),
                   w->e->policy.statement_timeout_ms, &what, err))
        return false;
    if (what)
        *out = arena_printf(w->a, "the sync trigger on %s %s", w->p->sync.table.s, what);
    else if (!ask_value(w->e, w->a, sync_conflict_sql(w->a, w->p),
                        w->e->policy.statement_timeout_ms, &what, err))
        return false;
    else if (what)
        *out = arena_printf(w->a, "the sync trigger on %s can't keep old and new equal: %s",
                            w->p->sync.table.s, what);
    return true;
}

bool sync_count_differing(struct work *w, int64_t *out, struct err *err)
{
    struct renamed *renamed;
    const char *v = NULL;
    int n = 0;

    *out = 0;
    if (w->p->sync.by != SYNC_TRIGGER || w->p->sync.reverse.n == 0)
        return true;
    if (!renamed_columns(w, NULL, &renamed, &n, err) ||
        !ask_value(w->e, w->a, sync_differs_sql(w->a, w->p, renamed, n), 0, &v, err))
        return err_note(err, "agreement of old and new in %s", w->p->sync.table.s);
    *out = v ? strtoll(v, NULL, 10) : 0;
    return true;
}

/* Rows may have been written on one side alone. Where only the old side was, they are filled again; where the new
 * one was as well, the verification tells. */
bool sync_renew(struct work *w, struct err *err)
{
    const struct history_row *r = w->p->sync.by == SYNC_TRIGGER ? install_row(w) : NULL;
    enum phase phase = w->phase;
    struct task t = {.kind = TASK_SYNC_INSTALL, .id = "sync/trigger", .title = "sync trigger"};
    const char *broken = NULL;

    if (!w->o->force || phase == PHASE_EXPAND || !r || strcmp(r->status, "done") != 0 ||
        !sync_broken(w, &broken, err))
        return !err->kind;
    if (!broken)
        return true;
    emit(w, EVENT_WARNING, t.id, "%s: it is made again", broken);
    w->state.verified = false;
    if ((!w->state.first_write_rung && !verification_void(w, err)) || !record_save_state(w, err))
        return false;
    w->phase = PHASE_EXPAND;
    bool ok = sync_install(w, &t, err);
    w->phase = phase;
    return ok && work_reload(w, err);
}
