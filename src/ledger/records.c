/* Flag changes, approvals, soft drops and the release window: rows in, rows out. */
#include "rows.h"

/* ---- flag changes -------------------------------------------------------------------------- */

void ledger_flag_change_call(struct arena *a, const struct flag_change *c, struct db_call *out)
{
    call_begin(out, sql_upsert_flag_change);
    call_text(out, c->op_id);
    call_text(out, c->plan);
    call_text(out, c->flag);
    call_text(out, c->role);
    call_text(out, c->environment);
    call_text(out, c->desired);
    call_text(out, c->before);
    call_text(out, c->after);
    call_text(out, c->answer);
    call_text(out, c->level);
    call_text(out, c->reason);
    call_text(out, c->actor);
    call_text(out, c->run_id);
    call_time(a, out, c->at_ms);
    call_int(a, out, c->ms);
}

bool ledger_flag_changes(struct db *db, struct arena *a, const char *plan_or_null, int64_t limit,
                         struct flag_change **out, int *out_n, struct err *err)
{
    struct db_call call;
    struct db_rows rows = {0};
    call_begin(&call, sql_select_flag_changes);
    call_text(&call, plan_or_null);
    call_int(a, &call, limit);
    if (!ledger_read(db, a, call.sql, &call.params, &rows, err))
        return false;

    struct flag_change *list = arena_array(a, struct flag_change, rows.n_rows);
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        struct flag_change *c = &list[i];
        c->op_id = read_text(&r);
        c->plan = read_text(&r);
        c->flag = read_text(&r);
        c->role = read_text(&r);
        c->environment = read_text(&r);
        c->desired = read_text(&r);
        c->before = read_text(&r);
        c->after = read_text(&r);
        c->answer = read_text(&r);
        c->level = read_text(&r);
        c->reason = read_text(&r);
        c->actor = read_text(&r);
        c->run_id = read_text(&r);
        c->at_ms = read_int(&r);
        c->ms = read_int(&r);
    }
    *out = list;
    *out_n = rows.n_rows;
    return true;
}

bool ledger_known_flags(struct db *db, struct arena *a, const char *environment,
                        struct known_flag **out, int *out_n, struct err *err)
{
    struct db_call call;
    struct db_rows rows = {0};
    call_begin(&call, sql_select_known_flags);
    call_text(&call, environment);
    if (!ledger_read(db, a, call.sql, &call.params, &rows, err))
        return false;

    *out = arena_array(a, struct known_flag, rows.n_rows);
    *out_n = rows.n_rows;
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        struct known_flag *k = &(*out)[i];
        k->key = read_text(&r);
        k->plan = read_text(&r);
        k->role = read_text(&r);
        k->stage = read_text(&r);
    }
    return true;
}

/* ---- approvals ----------------------------------------------------------------------------- */

bool ledger_approval_add(struct db *db, const struct approval *ap, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_call call;
    call_begin(&call, sql_insert_approval);
    call_text(&call, ap->plan);
    call_text(&call, ap->phase);
    call_text(&call, ap->checksum);
    call_text(&call, ap->role);
    call_text(&call, ap->who);
    call_text(&call, ap->because);
    call_text(&call, ap->host);
    call_bool(&call, ap->refused);
    call_time(&a, &call, ap->at_ms);
    return db_exec(db, call.sql, &call.params, err) || ledger_explain(db, err);
}

bool ledger_approvals(struct db *db, struct arena *a, const char *plan, struct approval **out,
                      int *out_n, struct err *err)
{
    struct db_call call;
    struct db_rows rows = {0};
    call_begin(&call, sql_select_approvals);
    call_text(&call, plan);
    if (!ledger_read(db, a, call.sql, &call.params, &rows, err))
        return false;

    struct approval *list = arena_array(a, struct approval, rows.n_rows);
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        struct approval *ap = &list[i];
        ap->plan = read_text(&r);
        ap->phase = read_text(&r);
        ap->checksum = read_text(&r);
        ap->role = read_text(&r);
        ap->who = read_text(&r);
        ap->because = read_text(&r);
        ap->host = read_text(&r);
        ap->refused = read_bool(&r);
        ap->at_ms = read_int(&r);
        ap->is_journalled = read_bool(&r);
    }
    *out = list;
    *out_n = rows.n_rows;
    return true;
}

/* ---- soft drops ---------------------------------------------------------------------------- */

void ledger_soft_drop_call(struct arena *a, const struct soft_drop *d, struct db_call *out)
{
    call_begin(out, sql_insert_soft_drop);
    call_text(out, d->plan);
    call_text(out, d->step);
    call_text(out, d->object_kind);
    call_text(out, d->schema);
    call_text(out, d->table);
    call_text(out, d->original_name);
    call_text(out, d->hidden_name);
    call_text(out, d->restore_sql);
    call_text(out, d->purge_sql);
    call_text(out, d->owner);
    call_time(a, out, d->dropped_at_ms);
    call_time(a, out, d->expires_at_ms);
}

bool ledger_soft_drops(struct db *db, struct arena *a, const char *plan, struct soft_drop **out,
                       int *out_n, struct err *err)
{
    struct db_call call;
    struct db_rows rows = {0};
    call_begin(&call, sql_select_soft_drops);
    call_text(&call, plan);
    if (!ledger_read(db, a, call.sql, &call.params, &rows, err))
        return false;

    struct soft_drop *list = arena_array(a, struct soft_drop, rows.n_rows);
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        struct soft_drop *d = &list[i];
        d->id = read_int(&r);
        d->plan = read_text(&r);
        d->step = read_text(&r);
        d->object_kind = read_text(&r);
        d->schema = read_text(&r);
        d->table = read_text(&r);
        d->original_name = read_text(&r);
        d->hidden_name = read_text(&r);
        d->restore_sql = read_text(&r);
        d->purge_sql = read_text(&r);
        d->owner = read_text(&r);
        d->dropped_at_ms = read_int(&r);
        d->expires_at_ms = read_int(&r);
        d->restored_at_ms = read_int(&r);
        d->purged_at_ms = read_int(&r);
    }
    *out = list;
    *out_n = rows.n_rows;
    return true;
}

void ledger_soft_drop_restored_call(struct arena *a, int64_t id, struct db_call *out)
{
    call_begin(out, sql_update_soft_drop_restored);
    call_int(a, out, id);
}

void ledger_soft_drop_purged_call(struct arena *a, int64_t id, struct db_call *out)
{
    call_begin(out, sql_update_soft_drop_purged);
    call_int(a, out, id);
}

/* ---- release window ------------------------------------------------------------------------ */

bool ledger_release_window(struct db *db, struct arena *a, struct release_window *out,
                           struct err *err)
{
    struct db_rows rows = {0};
    if (!ledger_read(db, a, sql_select_release_window, &DB_NO_PARAMS, &rows, err))
        return false;

    *out = (struct release_window) {0};
    if (rows.n_rows == 0)
        return true;
    struct reader r = {&rows, 0, 0};
    out->oldest = read_text(&r);
    out->newest = read_text(&r);
    out->why = read_text(&r);
    out->since_ms = read_int(&r);
    out->exists = true;
    return true;
}

void ledger_release_window_call(struct arena *a, const struct release_window *w,
                                struct db_call *out)
{
    call_begin(out, sql_upsert_release_window);
    call_text(out, w->oldest);
    call_text(out, w->newest);
    call_text(out, w->why);
    call_time(a, out, w->since_ms);
}
