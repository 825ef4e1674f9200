/* phasegate.snapshot: where each lies, and whether it counts. */
#include "rows.h"

#include <string.h>

bool ledger_snapshot_add(struct db *db, const struct snapshot_row *s, const char *manifest,
                         struct err *err)
{
    AUTO(arena) a = {0};
    struct db_call call;

    call_begin(&call, sql_insert_snapshot);
    call_text(&call, s->name);
    call_text(&call, s->plan);
    call_text(&call, s->phase);
    call_text(&call, s->checksum);
    call_text(&call, s->location);
    call_text(&call, manifest);
    call_text(&call, s->manifest_sha256);
    call_int(&a, &call, s->rows);
    call_int(&a, &call, s->bytes);
    call_text(&call, s->run_id);
    call_text(&call, s->taken_by);
    call_int(&a, &call, s->taken_at_ms);
    call_time(&a, &call, s->keep_until_ms ? s->keep_until_ms - s->taken_at_ms : 0);
    return db_exec(db, call.sql, &call.params, err) ? true : ledger_explain(db, err);
}

bool ledger_snapshot_verified(struct db *db, const char *name, const char *why_not, struct err *err)
{
    return db_exec(db, sql_update_snapshot_verified, &DB_PARAMS(name, why_not), err)
               ? true
               : ledger_explain(db, err);
}

bool ledger_snapshot_pruned(struct db *db, const char *name, struct err *err)
{
    return db_exec(db, sql_update_snapshot_pruned, &DB_PARAMS(name), err) ? true
                                                                          : ledger_explain(db, err);
}

bool ledger_snapshots(struct db *db, struct arena *a, const char *plan, struct snapshot_row **out,
                      int *out_n, struct err *err)
{
    struct db_rows rows = {0};

    *out = NULL;
    *out_n = 0;
    if (!ledger_read_since(db, a, LEDGER_WITH_SNAPSHOTS, sql_select_snapshots, &DB_PARAMS(plan),
                           &rows, err))
        return false;
    struct snapshot_row *list = arena_array(a, struct snapshot_row, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        struct snapshot_row *s = &list[i];

        s->name = read_text(&r);
        s->plan = read_text(&r);
        s->phase = read_text(&r);
        s->checksum = read_text(&r);
        s->location = read_text(&r);
        s->manifest_sha256 = read_text(&r);
        s->rows = read_int(&r);
        s->bytes = read_int(&r);
        s->run_id = read_text(&r);
        s->taken_by = read_text(&r);
        s->taken_at_ms = read_int(&r);
        s->keep_until_ms = read_int(&r);
        s->verified_at_ms = read_int(&r);
        s->failed_at_ms = read_int(&r);
        s->failed_why = read_text(&r);
        s->pruned_at_ms = read_int(&r);
        s->may_be_pruned = read_bool(&r);
    }
    *out = list;
    *out_n = rows.n_rows;
    return true;
}
