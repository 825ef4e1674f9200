/* Back from a snapshot, by key, into tables that go on being written to. Nothing newer is overwritten, and what was
 * done is seen in the rows themselves: the same command again comes to the same end. */
#include "snapshot.h"

#include "sql_embedded.h"

#include <stdlib.h>

#define BATCH_ROWS 5000

const char *snapshot_kind_word(enum snapshot_kind k)
{
    static const char *const words[SNAPSHOT_KINDS] = {
        "same", "restored", "recomputed", "changed", "newer", "newer_recomputed", "gone"};

    return words[k];
}

struct back {
    struct work *w;
    const struct store *store;
    const struct snapshot *s;
    struct snapshot_back b;
    bool compares;         /* and writes nothing */
    int64_t todo, written; /* rows of the list; rows that were written, all kinds */
};

/* ---- may it go there? ---------------------------------------------------------------------------------- */

static bool absent(struct back *k, const char *column, struct err *err)
{
    const struct snapshot_part *p = k->b.part;
    const char *plan = k->w->p->id.s;
    bool is_held =
        k->w->state.stage >= STAGE_CONTRACT_RUNNING && k->w->state.stage <= STAGE_CONTRACT_UNDOING;

    if (column)
        err_set(err, ERR_REFUSED, "table %s.%s has no column %s to restore into", p->schema,
                p->table, column);
    else
        err_set(err, ERR_REFUSED, "there is no table %s.%s to restore into", p->schema, p->table);
    if (is_held)
        err_hint(err, "it is only hidden: phasegate restore %s", plan);
    else if (k->s->definition.file)
        err_hint(err,
                 "make it again first, by a plan: phasegate new NAME --compensates %s; what it was "
                 "made of: phasegate snapshots show %s",
                 plan, k->s->name);
    else
        err_hint(err,
                 "make it again first, by a plan: phasegate new NAME --compensates %s; its types "
                 "are in the manifest",
                 plan);
    return err_reason(err, column ? "column_absent" : "table_absent");
}

static bool has_column(const struct snapshot_back *b, const char *name)
{
    for (int i = 0; i < b->n_columns; i++)
        if (strcmp(b->columns[i], name) == 0)
            return true;
    return false;
}

static bool columns_now(struct back *k, struct err *err)
{
    const struct snapshot_part *p = k->b.part;
    struct db_rows rows = {0};

    if (!db_query(k->w->e->db, k->w->a, sql_select_snapshot_columns,
                  &DB_PARAMS(p->schema, p->table), &rows, err))
        return false;
    const char **names = arena_array(k->w->a, const char *, rows.n_rows + 1);
    bool *computed = arena_array(k->w->a, bool, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++) {
        names[i] = db_cell(&rows, i, 0);
        computed[i] = db_cell(&rows, i, 2)[0] == 't';
    }
    k->b.columns = names;
    k->b.computed = computed;
    k->b.n_columns = rows.n_rows;
    if (rows.n_rows == 0)
        return absent(k, NULL, err);
    for (int i = 0; i < p->n_columns; i++)
        if (!has_column(&k->b, p->columns[i].name))
            return absent(k, p->columns[i].name, err);
    return true;
}

/* Without a key nobody can say which rows are there already. */
static bool keyless(struct back *k, struct err *err)
{
    const struct snapshot_part *p = k->b.part;
    AUTO(str) sql = {0};
    const char *first = NULL;

    if (p->n_key > 0)
        return true;
    str_add(&sql, "SELECT 1 FROM ");
    sql_qualified(&sql, p->schema, p->table);
    str_add(&sql, " LIMIT 1");
    if (!ask_value(k->w->e, k->w->a, str_text(&sql), k->w->e->policy.statement_timeout_ms, &first,
                   err))
        return false;
    if (!first)
        return true;
    err_set(err, ERR_REFUSED,
            "table %s.%s has no key by which its rows could be told apart, and isn't empty",
            p->schema, p->table);
    err_hint(err, "its rows are in %s (zstd -dc), as COPY wrote them",
             store_path(k->w->a, k->store, k->s->name, p->file));
    return err_reason(err, "no_key");
}

/* What sync knows of the row, if all of its columns are there. */
static void ask_sync(struct back *k)
{
    const struct plan *p = k->w->p;
    const struct sync *sync = &p->sync;
    const struct snapshot_part *part = k->b.part;
    bool is_whole = true;

    if (sync->by == SYNC_NONE || part->whole || strcmp(sync->table.s, part->table) != 0)
        return;
    for (int i = 0; i < sync->forward.n; i++)
        is_whole &= has_column(&k->b, sync->forward.items[i].key.s);
    for (int i = 0; i < sync->forward_columns.n; i++)
        is_whole &= has_column(&k->b, sync->forward_columns.items[i].s);
    if (is_whole && sync->forward.n)
        k->b.agrees = sync_agrees_sql(k->w->a, p);
    for (int i = 0; i < sync->reverse_columns.n; i++)
        is_whole &= has_column(&k->b, sync->reverse_columns.items[i].s);
    for (int i = part->n_key; i < part->n_columns; i++) {
        bool is_reversed = false;

        for (int r = 0; r < sync->reverse.n; r++)
            is_reversed |= strcmp(sync->reverse.items[r].key.s, part->columns[i].name) == 0;
        is_whole &= is_reversed;
    }
    if (is_whole && sync->reverse.n == part->n_columns - part->n_key)
        k->b.reverse = sync->reverse;
}

/* ---- the work --------------------------------------------------------------------------------------------- */

static bool drop_temporary(struct work *w, struct err *err)
{
    return db_exec(w->e->db, "DROP TABLE IF EXISTS " SNAPSHOT_COPY ", " SNAPSHOT_TODO,
                   &DB_NO_PARAMS, err);
}

/* One transaction under the user's search_path: types may have operators of a schema of their own. What has params is
 * a batch, which must not read the table whole. */
static bool run(struct back *k, const char *sql, const struct db_params *params, int64_t *affected,
                struct err *err)
{
    struct db *db = k->w->e->db;
    AUTO(err) ignored = {0};
    AUTO(arena) a = {0};
    struct db_rows rows = {0};

    bool good =
        db_exec(db, "BEGIN", &DB_NO_PARAMS, err) &&
        db_query(db, &a, sql_set_snapshot_limits, &DB_NO_PARAMS, &rows, err) &&
        db_exec(db, "SELECT pg_catalog.set_config('search_path', $1, true)",
                &DB_PARAMS(k->w->e->search_path), err) &&
        (params->n == 0 || db_query(db, &a, sql_set_index_scans_only, &DB_NO_PARAMS, &rows, err)) &&
        db_exec_count(db, sql, params, affected, err) && db_exec(db, "COMMIT", &DB_NO_PARAMS, err);
    if (!good && db_is_usable(db))
        (void) !db_exec(db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
    return good;
}

static bool retried(struct back *k, const char *sql, const struct db_params *params,
                    int64_t *affected, struct err *err)
{
    const struct snapshot_part *p = k->b.part;

    for (int attempt = 0;;) {
        if (run(k, sql, params, affected, err))
            return true;
        if (!err_is(err, ERR_LOCK_TIMEOUT) ||
            !lock_back_off(k->w, table_text(k->w, p->schema, p->table), &attempt, err))
            return false;
    }
}

static bool batches(struct back *k, const char *sql, struct err *err)
{
    for (int64_t at = 0; at < k->todo; at += BATCH_ROWS) {
        int64_t n = 0;

        if (ports_interrupted(k->w->e->ports)) {
            err_set(err, ERR_INTERRUPTED, "stopped by a signal between two batches");
            return err_hint(err, "the same command goes on from here");
        }
        if (!retried(k, sql,
                     &DB_PARAMS(arena_printf(k->w->a, "%lld", (long long) at),
                                arena_printf(k->w->a, "%lld", (long long) (at + BATCH_ROWS))),
                     &n, err))
            return false;
        k->written += n;
    }
    return true;
}

static enum snapshot_kind kind_of(const char *word)
{
    static const struct {
        const char *word;
        enum snapshot_kind kind;
    } kinds[] = {{"same", SNAPSHOT_SAME},          {"restore", SNAPSHOT_RESTORED},
                 {"missing", SNAPSHOT_RESTORED},   {"recompute", SNAPSHOT_RECOMPUTED},
                 {"current", SNAPSHOT_RECOMPUTED}, {"changed", SNAPSHOT_CHANGED},
                 {"newer", SNAPSHOT_NEWER},        {"newer_recompute", SNAPSHOT_NEWER_RECOMPUTED},
                 {"gone", SNAPSHOT_GONE}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].word, word) == 0)
            return kinds[i].kind;
    return SNAPSHOT_CHANGED;
}

static bool keys_of(struct back *k, const char *word, struct snapshot_back_part *out,
                    struct err *err)
{
    enum snapshot_kind kind = kind_of(word);
    struct db_rows rows = {0};
    int had = out->n_keys[kind];

    if (kind == SNAPSHOT_SAME || kind == SNAPSHOT_RESTORED || k->b.part->n_key == 0 ||
        had >= SNAPSHOT_KEYS_SHOWN)
        return true;
    if (!db_query(k->w->e->db, k->w->a, snapshot_keys_sql(k->w->a, &k->b),
                  &DB_PARAMS(word, arena_printf(k->w->a, "%d", SNAPSHOT_KEYS_SHOWN - had)), &rows,
                  err))
        return false;
    const char **keys = arena_array(k->w->a, const char *, had + rows.n_rows + 1);
    for (int i = 0; i < had; i++)
        keys[i] = out->keys[kind][i];
    for (int i = 0; i < rows.n_rows; i++)
        keys[had + i] = db_cell(&rows, i, 0);
    out->keys[kind] = keys;
    out->n_keys[kind] = had + rows.n_rows;
    return true;
}

/* What is to be done, by kind; before anything is. */
static bool count_kinds(struct back *k, struct snapshot_back_part *out, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(k->w->e->db, k->w->a, SNAPSHOT_KINDS_SQL, &DB_NO_PARAMS, &rows, err))
        return false;
    for (int i = 0; i < rows.n_rows; i++) {
        int64_t n = strtoll(db_cell(&rows, i, 1), NULL, 10);

        out->rows[kind_of(db_cell(&rows, i, 0))] += n;
        k->todo += n;
        if (!keys_of(k, db_cell(&rows, i, 0), out, err))
            return false;
    }
    return true;
}

/* A file that was damaged is told before a row of it is written: unpacking ends with its hash. */
static bool load(struct back *k, struct err *err)
{
    struct work *w = k->w;
    AUTO(err) ignored = {0};
    AUTO(arena) a = {0};
    struct db_rows rows = {0};

    bool good = db_exec(w->e->db, "BEGIN", &DB_NO_PARAMS, err) &&
                db_query(w->e->db, &a, sql_set_snapshot_limits, &DB_NO_PARAMS, &rows, err) &&
                snapshot_unpack(k->store, w->e->db, k->s, k->b.part, err) &&
                db_exec(w->e->db, "ANALYZE " SNAPSHOT_COPY, &DB_NO_PARAMS, err) &&
                db_exec(w->e->db, "COMMIT", &DB_NO_PARAMS, err);
    if (!good && db_is_usable(w->e->db))
        (void) !db_exec(w->e->db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
    return good;
}

static bool back_part(struct back *k, struct snapshot_back_part *out, struct err *err)
{
    struct work *w = k->w;

    if (!drop_temporary(w, err) || !load(k, err) ||
        !retried(k, snapshot_sort_sql(w->a, &k->b), &DB_NO_PARAMS, NULL, err) ||
        !retried(k, "CREATE INDEX phasegate_todo_m ON " SNAPSHOT_TODO " (phasegate_m)",
                 &DB_NO_PARAMS, NULL, err) ||
        !retried(k, "ANALYZE " SNAPSHOT_TODO, &DB_NO_PARAMS, NULL, err) ||
        !count_kinds(k, out, err))
        return false;
    if (k->compares)
        return drop_temporary(w, err);
    if (!batches(k, snapshot_fill_sql(w->a, &k->b), err))
        return false;
    if (k->b.reverse.n && !batches(k, snapshot_recompute_sql(w->a, &k->b), err))
        return false;
    return drop_temporary(w, err);
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

/* A path names its store itself; else it is in the one of the environment, or where the ledger says. */
static bool find(struct engine *e, struct arena *a, const char *name, const struct store **store,
                 const char **base, const char **sha256, struct err *err)
{
    struct snapshot_row *rows = NULL;
    const char *slash = strrchr(name, '/'), *location = NULL;
    int n = 0;

    *base = slash ? slash + 1 : name;
    *sha256 = NULL;
    if (slash)
        location = slash == name ? "/" : arena_strndup(a, name, (size_t) (slash - name));
    else if (!engine_snapshots(e, a, NULL, &rows, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0) {
            location = rows[i].location;
            *sha256 = rows[i].manifest_sha256;
        }
    return location ? snapshot_store_at(e, a, location, store, err)
                    : snapshot_store_needed(e, a, store, err);
}

static bool is_of_plan(const struct snapshot *s, const struct plan *p, struct err *err)
{
    if (strcmp(s->plan, p->id.s) == 0)
        return true;
    err_set(err, ERR_REFUSED, "snapshot %s is of plan %s, not of %s", s->name, s->plan, p->id.s);
    err_hint(err, "phasegate restore --from %s %s", s->name, s->plan);
    return err_reason(err, "other_plan");
}

static bool note(struct work *w, const struct snapshot_back_result *r, struct err *err)
{
    struct history_row *row = history_new(w, "snapshot", r->snapshot.name, "note");
    int64_t n = 0;

    for (int i = 0; i < r->n_parts; i++)
        n += r->parts[i].rows[SNAPSHOT_RESTORED];
    row->description =
        arena_printf(w->a, "%lld rows restored from snapshot %s", (long long) n, r->snapshot.name);
    return ledger_history_append(w->e->db, row, err);
}

static bool back_all(struct work *w, const struct store *store, bool compares,
                     struct snapshot_back_result *out, struct err *err)
{
    struct back *k = arena_array(w->a, struct back, out->snapshot.n_parts + 1);

    w->phase = PHASE_CONTRACT;
    out->n_parts = out->snapshot.n_parts;
    out->parts = arena_array(w->a, struct snapshot_back_part, out->n_parts + 1);
    /* Every part is looked at before any is written. */
    for (int i = 0; i < out->n_parts; i++) {
        k[i] = (struct back) {.w = w, .store = store, .s = &out->snapshot, .compares = compares};
        k[i].b.part = out->parts[i].part = &out->snapshot.parts[i];
        if (!columns_now(&k[i], err) || !keyless(&k[i], err))
            return false;
        ask_sync(&k[i]);
    }
    for (int i = 0; i < out->n_parts; i++) {
        const char *doing = compares ? "comparing" : "restoring";
        emit(w, EVENT_INFO, NULL, "%s %s.%s %s snapshot %s", doing, k[i].b.part->schema,
             k[i].b.part->table, compares ? "with" : "from", out->snapshot.name);
        if (!back_part(&k[i], &out->parts[i], err))
            return err_note(err, "%s table %s.%s", doing, k[i].b.part->schema, k[i].b.part->table);
    }
    return compares || note(w, out, err);
}

/* Without the lease: who only looks keeps nobody waiting. */
static bool work_look(struct work *w, struct engine *e, struct plan *p,
                      const struct advance_options *o, struct arena *a, struct err *err)
{
    *w = (struct work) {.e = e, .p = p, .a = a, .o = o};
    return e->facts(e->set, p, err) && (!e->has_ledger || work_reload(w, err));
}

bool engine_restore_from(struct engine *e, struct plan *p, const char *name, bool compares,
                         struct arena *a, struct snapshot_back_result *out, struct err *err)
{
    static const struct advance_options none;
    AUTO(err) ignored = {0};
    const struct store *store;
    const char *base, *sha256;
    struct work w;

    memset(out, 0, sizeof *out);
    if (!find(e, a, name, &store, &base, &sha256, err) ||
        !snapshot_read(store, base, a, &out->snapshot, err) || !is_of_plan(&out->snapshot, p, err))
        return false;
    if (sha256 && strcmp(sha256, out->snapshot.manifest_sha256) != 0)
        return snapshot_edited(&out->snapshot, p->id.s, err);
    bool good = (compares ? work_look : work_open)(&w, e, p, &none, a, err) &&
                back_all(&w, store, compares, out, err);
    if (db_is_usable(e->db))
        (void) !drop_temporary(&w, &ignored);
    if (!compares && db_is_usable(e->db))
        (void) !lease_release(e->db, &ignored);
    return good;
}
