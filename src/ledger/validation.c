/* What the journal says of a plan's checklist. */
#include "rows.h"

bool ledger_validations(struct db *db, struct arena *a, const char *plan,
                        struct validation_row **out, int *out_n, struct err *err)
{
    struct db_rows rows = {0};

    if (!ledger_read(db, a, sql_select_validations, &DB_PARAMS(plan), &rows, err))
        return false;
    *out = arena_array(a, struct validation_row, rows.n_rows);
    *out_n = rows.n_rows;
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        struct validation_row *v = &(*out)[i];
        v->kind = read_text(&r);
        v->phase = read_text(&r);
        v->step = read_text(&r);
        v->checksum = read_text(&r);
        v->by = read_text(&r);
        v->description = read_text(&r);
        v->detail = read_text(&r);
        v->at_ms = read_int(&r);
        v->is_void = read_bool(&r);
    }
    return true;
}
