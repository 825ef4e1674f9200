/* The journal. The chain is computed by the server; see insert_history.sql and
 * select_history_breaks.sql. */
#include "rows.h"

#include <inttypes.h>
#include <string.h>

void ledger_history_call(struct arena *a, const struct history_row *row, struct db_call *out)
{
    call_begin(out, sql_insert_history);
    out->repeats = true;
    call_text(out, row->plan);
    call_text(out, row->phase);
    call_text(out, row->step);
    call_text(out, row->kind);
    call_text(out, row->description);
    call_text(out, row->checksum);
    call_time(a, out, row->applied_at_ms);
    call_text(out, row->applied_by);
    call_text(out, row->status);
    call_int(a, out, row->duration_ms);
    call_text(out, row->run_id);
    call_text(out, row->host);
    call_text(out, row->release);
    call_text(out, row->sql);
    call_text(out, row->undo_sql);
    call_text(out, row->detail);
    call_time(a, out, row->machine_row);
}

bool ledger_history_append(struct db *db, const struct history_row *row, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_call call;
    ledger_history_call(&a, row, &call);
    return db_exec(db, call.sql, &call.params, err) || ledger_explain(db, err);
}

/* Columns of select_history.sql and select_steps.sql. */
static void read_history(struct reader *r, struct history_row *out)
{
    out->seq = read_int(r);
    out->plan = read_text(r);
    out->phase = read_text(r);
    out->step = read_text(r);
    out->kind = read_text(r);
    out->description = read_text(r);
    out->checksum = read_text(r);
    out->status = read_text(r);
    out->run_id = read_text(r);
    out->applied_by = read_text(r);
    out->host = read_text(r);
    out->release = read_text(r);
    out->applied_at_ms = read_int(r);
    out->duration_ms = read_int(r);
    out->sql = read_text(r);
    out->undo_sql = read_text(r);
    out->detail = read_text(r);
    out->machine_row = (int) read_int(r);
    out->prev_hash = read_text(r);
    out->hash = read_text(r);
}

static bool history_query(struct db *db, struct arena *a, const struct db_call *call,
                          struct history_row **out, int *out_n, struct err *err)
{
    struct db_rows rows = {0};
    if (!ledger_read(db, a, call->sql, &call->params, &rows, err))
        return false;

    struct history_row *list = arena_array(a, struct history_row, rows.n_rows);
    for (int i = 0; i < rows.n_rows; i++)
        read_history(&(struct reader) {&rows, i, 0}, &list[i]);
    *out = list;
    *out_n = rows.n_rows;
    return true;
}

bool ledger_history(struct db *db, struct arena *a, const struct history_filter *f,
                    struct history_row **out, int *out_n, struct err *err)
{
    struct db_call call;
    call_begin(&call, sql_select_history);
    call_text(&call, f->plan);
    call_text(&call, f->release);
    call_int(a, &call, f->limit);
    return history_query(db, a, &call, out, out_n, err);
}

bool ledger_run_moved(struct db *db, struct arena *a, const char *plan, const char *run_id,
                      bool *out, struct err *err)
{
    struct db_call call;
    struct db_rows rows = {0};

    call_begin(&call, sql_select_run);
    call_text(&call, plan);
    call_text(&call, run_id);
    if (!ledger_read(db, a, call.sql, &call.params, &rows, err))
        return false;
    struct reader r = {&rows, 0, 0};
    *out = rows.n_rows > 0 && read_bool(&r);
    return true;
}

bool ledger_notification(struct db *db, struct arena *a, const char *plan,
                         struct notification_row *out, struct err *err)
{
    struct db_rows rows = {0};

    *out = (struct notification_row) {0};
    if (!ledger_read(db, a, sql_select_notification, &DB_PARAMS(plan), &rows, err))
        return false;
    if (rows.n_rows == 0)
        return true;
    struct reader r = {&rows, 0, 0};
    out->text = read_text(&r);
    out->n_failed = read_int(&r);
    out->at_ms = read_int(&r);
    return true;
}

bool ledger_steps(struct db *db, struct arena *a, const char *plan, struct history_row **out,
                  int *out_n, struct err *err)
{
    struct db_call call;
    call_begin(&call, sql_select_steps);
    call_text(&call, plan);
    return history_query(db, a, &call, out, out_n, err);
}

bool ledger_undo_chain(struct db *db, struct arena *a, const char *plan, const char *phase,
                       struct history_row *out, struct err *err)
{
    struct history_row *rows = NULL;
    struct db_call call;
    int n = 0;

    call_begin(&call, sql_select_undo_chain);
    call_text(&call, plan);
    call_text(&call, phase);
    if (!history_query(db, a, &call, &rows, &n, err))
        return false;
    *out = n > 0 ? rows[0] : (struct history_row) {0};
    return true;
}

bool ledger_undo_changed(struct db *db, struct arena *a, const char *plan, const char *phase,
                         int64_t *seq, const char **step, struct err *err)
{
    struct db_call call;
    struct db_rows rows = {0};

    call_begin(&call, sql_select_undo_changed);
    call_text(&call, plan);
    call_text(&call, phase);
    if (!ledger_read(db, a, call.sql, &call.params, &rows, err))
        return false;
    *seq = 0;
    *step = NULL;
    if (rows.n_rows == 0)
        return true;
    struct reader r = {&rows, 0, 0};
    *seq = read_int(&r);
    *step = read_text(&r);
    return true;
}

/* The first broken place as a sentence. */
static const char *break_sentence(struct arena *a, const char *what, int64_t first, int64_t last,
                                  int64_t places)
{
    const char *text;
    if (strcmp(what, "head") == 0)
        text = "the end of the chain (phasegate.journal_head) is missing";
    else if (first == last)
        text = arena_printf(a, "row %" PRId64 " %s %s", first,
                            strcmp(what, "missing") == 0 ? "is" : "was",
                            strcmp(what, "added") == 0 ? "added past the chain" : what);
    else
        text = arena_printf(a, "rows %" PRId64 " to %" PRId64 " %s %s", first, last,
                            strcmp(what, "missing") == 0 ? "are" : "were",
                            strcmp(what, "added") == 0 ? "added past the chain" : what);
    if (places == 1)
        return text;
    return arena_printf(a, "%s; %" PRId64 " more %s broken", text, places - 1,
                        places == 2 ? "place is" : "places are");
}

bool ledger_history_verify(struct db *db, struct arena *a, int64_t *out_rows, bool *out_ok,
                           const char **out_broken, struct err *err)
{
    struct db_rows rows = {0};
    if (!ledger_read(db, a, sql_select_history_breaks, &DB_NO_PARAMS, &rows, err))
        return false;

    *out_rows = 0;
    *out_ok = true;
    *out_broken = NULL;
    if (rows.n_rows == 0)
        return true;
    struct reader r = {&rows, 0, 0};
    *out_rows = read_int(&r);
    int64_t places = read_int(&r), first = read_int(&r), last = read_int(&r);
    const char *what = read_text(&r);
    if (places == 0)
        return true;
    *out_ok = false;
    *out_broken = break_sentence(a, what, first, last, places);
    return true;
}
