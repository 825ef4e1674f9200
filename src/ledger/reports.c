/* What is read of the journal and the snapshots for reports: the chain, manifests. */
#include "rows.h"

bool ledger_snapshot_manifests(struct db *db, struct arena *a, const char *plan,
                               struct snapshot_manifest **out, int *out_n, struct err *err)
{
    struct db_rows rows = {0};

    *out = NULL;
    *out_n = 0;
    if (!ledger_read_since(db, a, LEDGER_WITH_SNAPSHOTS, sql_select_snapshot_manifests,
                           &DB_PARAMS(plan), &rows, err))
        return false;
    *out = arena_array(a, struct snapshot_manifest, rows.n_rows + 1);
    *out_n = rows.n_rows;
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        struct snapshot_manifest *m = &(*out)[i];

        m->name = read_text(&r);
        m->manifest = read_text(&r);
        m->lsn = read_text(&r);
    }
    return true;
}

bool ledger_history_chain(struct db *db, struct arena *a, const char *plan,
                          struct history_link **out, int *out_n, struct history_link *out_head,
                          struct err *err)
{
    struct db_rows rows = {0};
    int n = 0;

    *out = NULL;
    *out_n = 0;
    *out_head = (struct history_link) {0};
    if (!ledger_read(db, a, sql_select_history_chain, &DB_PARAMS(plan), &rows, err))
        return false;
    *out = arena_array(a, struct history_link, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++) {
        struct reader r = {&rows, i, 0};
        bool is_head = !db_cell(&rows, i, 0);
        struct history_link *l = is_head ? out_head : &(*out)[n++];

        l->seq = read_int(&r);
        l->is_own = read_bool(&r);
        l->prev_hash = read_text(&r);
        l->hash = read_text(&r);
        l->content = read_text(&r);
    }
    *out_n = n;
    return true;
}
