/* phasegate.rehearsal: which plan was rehearsed, as it read then, and what that found. */
#include "rows.h"

bool ledger_rehearsal_add(struct db *db, const struct rehearsal_row *r, const char *report,
                          struct err *err)
{
    AUTO(arena) a = {0};
    struct db_call call;

    call_begin(&call, sql_insert_rehearsal);
    call_text(&call, r->plan);
    call_text(&call, r->checksum);
    call_bool(&call, r->green);
    call_int(&a, &call, r->problems);
    call_bool(&call, r->on_clone);
    call_text(&call, r->server);
    call_int(&a, &call, r->rows);
    call_int(&a, &call, r->kills);
    call_int(&a, &call, r->seed);
    call_int(&a, &call, r->duration_ms);
    call_text(&call, report);
    call_text(&call, r->run_id);
    call_text(&call, r->by);
    return db_exec(db, call.sql, &call.params, err) ? true : ledger_explain(db, err);
}

bool ledger_rehearsal(struct db *db, struct arena *a, const char *plan, const char *checksum,
                      struct rehearsal_row *out, struct err *err)
{
    struct db_rows rows = {0};

    *out = (struct rehearsal_row) {.plan = plan, .checksum = checksum};
    if (!ledger_read_since(db, a, LEDGER_WITH_REHEARSALS, sql_select_rehearsal,
                           &DB_PARAMS(plan, checksum), &rows, err))
        return false;
    if (rows.n_rows == 0)
        return true;
    struct reader r = {&rows, 0, 0};
    out->exists = true;
    out->green = read_bool(&r);
    out->problems = read_int(&r);
    out->on_clone = read_bool(&r);
    out->at_ms = read_int(&r);
    out->age_ms = read_int(&r);
    out->by = read_text(&r);
    return true;
}
