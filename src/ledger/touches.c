/* phasegate.soft_drop_touch: who wrote to what is hidden. */
#include "rows.h"

bool ledger_soft_drop_touches(struct db *db, struct arena *a, const char *plan,
                              struct soft_drop_touch **out, int *out_n, struct err *err)
{
    struct db_rows rows = {0};

    if (!ledger_read_since(db, a, LEDGER_WITH_TRAPS, sql_select_soft_drop_touches, &DB_PARAMS(plan),
                           &rows, err))
        return false;
    struct soft_drop_touch *list = arena_array(a, struct soft_drop_touch, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        struct soft_drop_touch *t = &list[i];
        t->step = read_text(&r);
        t->role = read_text(&r);
        t->application = read_text(&r);
        t->operation = read_text(&r);
        t->count = read_int(&r);
        t->first_ms = read_int(&r);
        t->last_ms = read_int(&r);
        t->age_ms = read_int(&r);
    }
    *out = list;
    *out_n = rows.n_rows;
    return true;
}

void ledger_soft_drop_untouched_call(const char *plan, const char *step, struct db_call *out)
{
    call_begin(out, sql_delete_soft_drop_touches);
    call_text(out, plan);
    call_text(out, step);
}
