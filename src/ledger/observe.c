/* Who is in the way. */
#include "rows.h"

static bool read_holders(struct db *db, struct arena *a, const struct db_call *call,
                         struct lock_holder **out, int *out_n, struct err *err)
{
    struct db_rows rows = {0};
    if (!db_query(db, a, call->sql, &call->params, &rows, err))
        return false;

    struct lock_holder *list = arena_array(a, struct lock_holder, rows.n_rows);
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        struct lock_holder *h = &list[i];
        h->pid = read_int(&r);
        h->application = read_text(&r);
        h->mode = read_text(&r);
        h->state = read_text(&r);
        h->query = read_text(&r);
        h->xact_age_ms = read_int(&r);
        h->query_age_ms = read_int(&r);
    }
    *out = list;
    *out_n = rows.n_rows;
    return true;
}

bool observe_lock_holders(struct db *db, struct arena *a, const char *table_or_null,
                          struct lock_holder **out, int *out_n, struct err *err)
{
    struct db_call call;
    call_begin(&call, sql_select_lock_holders);
    call_text(&call, table_or_null);
    return read_holders(db, a, &call, out, out_n, err);
}

bool observe_open_transactions(struct db *db, struct arena *a, struct lock_holder **out, int *out_n,
                               struct err *err)
{
    struct db_call call;
    call_begin(&call, sql_select_open_transactions);
    return read_holders(db, a, &call, out, out_n, err);
}

bool observe_identity(struct db *db, struct arena *a, const char **out, struct err *err)
{
    struct db_rows rows = {0};
    struct db_call call;

    call_begin(&call, sql_select_fleet_member);
    if (!db_query(db, a, call.sql, &call.params, &rows, err))
        return false;
    *out = rows.n_rows ? arena_printf(a, "%s/%s", db_cell(&rows, 0, 0), db_cell(&rows, 0, 1)) : "";
    return true;
}
