/* One row a backfill: cursor, counts and the epoch that fences off a run which was taken over. */
#include "rows.h"

#include <string.h>

/* Columns of select_backfill_job.sql and of what upsert_backfill_job.sql returns. */
static void read_job(const struct db_rows *rows, struct backfill_job *out)
{
    *out = (struct backfill_job) {0};
    if (rows->n_rows == 0)
        return;
    struct reader r = {rows, 0, 0};
    out->id = read_int(&r);
    out->plan = read_text(&r);
    out->name = read_text(&r);
    out->table = read_text(&r);
    out->checksum = read_text(&r);
    out->status = read_text(&r);
    out->hi = read_text(&r);
    out->cursor = read_text(&r);
    out->rows_total = read_int(&r);
    out->rows_done = read_int(&r);
    out->rows_changed = read_int(&r);
    out->batches = read_int(&r);
    out->started_at_ms = read_int(&r);
    out->finished_at_ms = read_int(&r);
    out->epoch = read_int(&r);
    out->exists = true;
}

/* Columns of select_backfill_progress.sql. The job's own counts are written at its end; a ledger of the first version
 * has no others. */
static bool read_progress(struct db *db, struct arena *a, struct backfill_job *out, struct err *err)
{
    struct db_call call;
    struct db_rows rows = {0};
    int version = 0;
    if (!ledger_version(db, &version, err))
        return false;
    if (version < 2)
        return true;
    call_begin(&call, sql_select_backfill_progress);
    call_int(a, &call, out->id);
    if (!ledger_read(db, a, call.sql, &call.params, &rows, err))
        return false;
    struct reader slices = {&rows, 0, 3}, counts = {&rows, 0, 6};
    if (rows.n_rows == 0 || read_int(&slices) == 0)
        return true;
    out->rows_done = read_int(&counts);
    out->rows_changed = read_int(&counts);
    out->batches = read_int(&counts);
    return true;
}

bool ledger_backfill_job(struct db *db, struct arena *a, const char *plan, const char *name,
                         struct backfill_job *out, struct err *err)
{
    struct db_call call;
    struct db_rows rows = {0};
    call_begin(&call, sql_select_backfill_job);
    call_text(&call, plan);
    call_text(&call, name);
    if (!ledger_read(db, a, call.sql, &call.params, &rows, err))
        return false;
    read_job(&rows, out);
    if (!out->exists || strcmp(out->status, "running") != 0)
        return true;
    return read_progress(db, a, out, err);
}

static void begin_call(struct arena *a, const struct backfill_job *j, struct db_call *out)
{
    call_begin(out, sql_upsert_backfill_job);
    call_text(out, j->plan);
    call_text(out, j->name);
    call_text(out, j->table);
    call_text(out, j->checksum);
    call_text(out, j->hi);
    call_int(a, out, j->rows_total);
    call_time(a, out, j->started_at_ms);
    call_text(out, j->mode ? j->mode : "keyset");
}

bool ledger_backfill_begin(struct db *db, struct arena *a, const struct backfill_job *j,
                           struct backfill_job *out, struct err *err)
{
    struct db_call call;
    struct db_rows rows = {0};
    begin_call(a, j, &call);
    if (!db_query(db, a, call.sql, &call.params, &rows, err))
        return ledger_explain(db, err);
    read_job(&rows, out);
    return true;
}

bool ledger_backfill_begin_cut(struct db *db, struct arena *a, const struct backfill_job *j,
                               const char *slices, struct backfill_job *out, struct err *err)
{
    struct db_call calls[3];
    struct db_rows rows[3] = {{0}, {0}, {0}};
    int done = 0;
    begin_call(a, j, &calls[0]);
    call_begin(&calls[1], sql_delete_backfill_slices);
    call_text(&calls[1], j->plan);
    call_text(&calls[1], j->name);
    call_begin(&calls[2], sql_insert_backfill_slices);
    call_text(&calls[2], j->plan);
    call_text(&calls[2], j->name);
    call_text(&calls[2], slices);
    if (!db_pipeline(db, a, calls, 3, rows, &done, err))
        return ledger_explain(db, err);
    read_job(&rows[0], out);
    return true;
}

void ledger_backfill_cursor_call(struct arena *a, int64_t id, int64_t epoch, const char *old_cursor,
                                 const char *new_cursor, int64_t rows, int64_t changed,
                                 struct db_call *out)
{
    call_begin(out, sql_update_backfill_cursor);
    call_int(a, out, id);
    call_int(a, out, epoch);
    call_text(out, old_cursor);
    call_text(out, new_cursor);
    call_int(a, out, rows);
    call_int(a, out, changed);
}

void ledger_backfill_status_call(struct arena *a, int64_t id, const char *status,
                                 struct db_call *out)
{
    call_begin(out, sql_update_backfill_status);
    call_int(a, out, id);
    call_text(out, status);
}
