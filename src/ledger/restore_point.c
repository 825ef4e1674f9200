/* phasegate.restore_point: what a backup can be restored to, and whether its WAL is in the archive. */
#include "rows.h"

#include "phasegate/names.h"

bool ledger_restore_point_add(struct db *db, struct arena *a, struct restore_point *p,
                              struct err *err)
{
    struct db_rows rows = {0};
    struct db_call call;

    call_begin(&call, sql_insert_restore_point);
    call_text(&call, p->plan);
    call_text(&call, p->phase);
    call_text(&call, p->name);
    call_text(&call, p->lsn);
    call_int(a, &call, p->timeline);
    call_text(&call, p->segment);
    call_text(&call, p->run_id);
    call_text(&call, p->by);
    if (!db_query(db, a, call.sql, &call.params, &rows, err))
        return ledger_explain(db, err);
    struct reader r = {&rows, 0, 0};
    p->id = read_int(&r);
    p->at_ms = read_int(&r);
    return true;
}

bool ledger_restore_point_archived(struct db *db, int64_t id, const char *why_not, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_call call;

    call_begin(&call, sql_update_restore_point_archived);
    call_int(&a, &call, id);
    call_text(&call, why_not);
    return db_exec(db, call.sql, &call.params, err) ? true : ledger_explain(db, err);
}

bool ledger_restore_points(struct db *db, struct arena *a, const char *plan,
                           struct restore_point **out, int *out_n, struct err *err)
{
    struct db_rows rows = {0};

    *out = NULL;
    *out_n = 0;
    if (!ledger_read_since(db, a, LEDGER_WITH_RESTORE_POINTS, sql_select_restore_points,
                           &DB_PARAMS(plan), &rows, err))
        return false;
    struct restore_point *list = arena_array(a, struct restore_point, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        struct restore_point *p = &list[i];

        p->id = read_int(&r);
        p->plan = read_text(&r);
        p->phase = read_text(&r);
        p->name = read_text(&r);
        p->lsn = read_text(&r);
        p->timeline = read_int(&r);
        p->segment = read_text(&r);
        p->run_id = read_text(&r);
        p->by = read_text(&r);
        p->at_ms = read_int(&r);
        p->archived_at_ms = read_int(&r);
        p->why_not = read_text(&r);
    }
    *out = list;
    *out_n = rows.n_rows;
    return true;
}

static void put_time(struct json_out *j, const char *key, int64_t ms)
{
    char at[25];

    if (ms > 0)
        time_to_rfc3339(ms, at);
    json_str(j, key, ms > 0 ? at : NULL);
}

void restore_point_json(struct json_out *j, const char *key_or_null,
                        const struct restore_point *p_or_null)
{
    const struct restore_point *p = p_or_null;

    if (!p) {
        json_put_null(j, key_or_null);
        return;
    }
    json_object_begin(j, key_or_null);
    json_str(j, "name", p->name);
    json_str(j, "before", p->phase);
    json_str(j, "lsn", p->lsn);
    json_int(j, "timeline", p->timeline);
    json_str(j, "wal_segment", p->segment);
    json_str(j, "by", p->by);
    json_str(j, "run_id", p->run_id);
    put_time(j, "at", p->at_ms);
    put_time(j, "archived_at", p->archived_at_ms);
    json_str(j, "not_archived_why", p->why_not);
    json_object_end(j);
}
