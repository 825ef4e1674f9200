/* Backfill: batches by key on one connection; the cursor moves in the transaction of its rows.
 *
 * A batch is bounded by key on both sides and touches only what is still to do, so doing one again changes
 * nothing. The upper bound is frozen when the job begins: newer rows are kept up by sync.
 */
#include "internal.h"

#include <jansson.h>
#include <stdlib.h>

#define ROWS_START 1000
#define ROWS_MIN 100
#define ROWS_MAX 50000
#define TARGET_MS 50
#define PROGRESS_EVERY_MS 500

struct filler {
    struct backfill_spec spec;
    struct arena batch;    /* of one batch */
    struct arena turns[2]; /* the cursor outlives its batch by one: two in turn */
    const char *table;     /* quoted, as the user's search_path finds it */
    bool partitioned;
    const char **keys;
    int n_keys;
    struct backfill_job job;
    const char **lo, **hi; /* key texts; lo NULL: from the start */
    int64_t rows, min, max;
    int64_t visited; /* rows between lo and the next bound */
    double target_ms, ms_per_row;
    int64_t begun_ms, said_ms, rows_before; /* of this run: for its rate */
};

static void key_list(struct str *s, const struct filler *f)
{
    for (int i = 0; i < f->n_keys; i++) {
        str_add(s, i ? ", " : "");
        sql_qualified(s, f->spec.table, f->keys[i]);
    }
}

/* (k1, k2) <op> ($n, $n+1) */
static void key_bound(struct str *s, const struct filler *f, const char *op, int first_param)
{
    str_add(s, "(");
    key_list(s, f);
    str_addf(s, ") %s (", op);
    for (int i = 0; i < f->n_keys; i++)
        str_addf(s, "%s$%d", i ? ", " : "", first_param + i);
    str_add(s, ")");
}

static const char *cursor_json(struct arena *a, const char **key, int n)
{
    json_t *l = json_array();

    if (!key) {
        json_decref(l);
        return NULL;
    }
    for (int i = 0; i < n; i++)
        json_array_append_new(l, json_string(key[i]));
    char *t = json_dumps(l, JSON_COMPACT);
    const char *out = arena_strdup(a, t);
    free(t);
    json_decref(l);
    return out;
}

static const char **cursor_read(struct arena *a, const char *json, int n)
{
    json_t *l = json ? json_loads(json, 0, NULL) : NULL;
    const char **out = NULL;

    if (json_is_array(l) && json_array_size(l) == (size_t) n) {
        out = arena_array(a, const char *, n);
        for (int i = 0; i < n; i++)
            out[i] = arena_strdup(a, json_string_value(json_array_get(l, (size_t) i)));
    }
    json_decref(l);
    return out;
}

static bool user_query(struct work *w, struct arena *a, const char *sql, const struct db_params *p,
                       struct db_rows *rows, struct err *err)
{
    AUTO(err) ignored = {0};
    bool ok = session_user_path(w, true, err) && db_query(w->e->db, a, sql, p, rows, err);

    if (db_is_usable(w->e->db))
        (void) !session_user_path(w, false, &ignored);
    return ok;
}

static bool find_key(struct work *w, const struct task *t, struct filler *f, struct err *err)
{
    struct db_rows rows = {0};
    const struct text_list *given = &t->backfill->key;
    AUTO(str) name = {0};

    sql_qualified(&name, f->spec.schema, f->spec.table);
    f->table = arena_strdup(w->a, str_text(&name));
    if (!user_query(w, w->a,
                    "SELECT c.relkind, a.attname FROM pg_catalog.pg_class c "
                    "LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary AND "
                    "i.indisvalid "
                    "LEFT JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH "
                    "ORDINALITY AS k(n, o) ON true "
                    "LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n "
                    "WHERE c.oid = pg_catalog.to_regclass($1) ORDER BY k.o",
                    &DB_PARAMS(f->table), &rows, err))
        return false;
    const struct pos at = t->backfill->at;
    if (rows.n_rows == 0)
        return err_set(err, ERR_INPUT, "%s:%d:%d: table %s of backfill %s isn't there", at.file,
                       at.line, at.col, f->table, t->backfill->id.s);
    f->partitioned = db_cell(&rows, 0, 0)[0] == 'p';
    f->keys = arena_array(w->a, const char *, rows.n_rows + given->n);
    for (int i = 0; i < given->n; i++)
        f->keys[f->n_keys++] = given->items[i].s;
    for (int i = 0; given->n == 0 && i < rows.n_rows; i++)
        if (db_cell(&rows, i, 1))
            f->keys[f->n_keys++] = db_cell(&rows, i, 1);
    if (f->n_keys > 0)
        return true;
    err_set(err, ERR_INPUT, "%s:%d:%d: table %s has no primary key for backfill %s to walk along",
            at.file, at.line, at.col, f->table, t->backfill->id.s);
    return err_hint(err, "name the columns of a unique index without NULLs in key:");
}

static bool freeze_bound(struct work *w, struct filler *f, bool *empty, struct err *err)
{
    AUTO(str) sql = {0};
    struct db_rows rows = {0};

    str_add(&sql, "SELECT ");
    key_list(&sql, f);
    str_addf(&sql, " FROM %s%s ORDER BY ", f->partitioned ? "" : "ONLY ", f->table);
    for (int i = 0; i < f->n_keys; i++) {
        str_add(&sql, i ? ", " : "");
        sql_qualified(&sql, f->spec.table, f->keys[i]);
        str_add(&sql, " DESC");
    }
    str_add(&sql, " LIMIT 1");
    if (!user_query(w, w->a, str_text(&sql), &DB_NO_PARAMS, &rows, err))
        return false;
    *empty = rows.n_rows == 0;
    if (!*empty) {
        f->hi = arena_array(w->a, const char *, f->n_keys);
        for (int i = 0; i < f->n_keys; i++)
            f->hi[i] = db_cell(&rows, 0, i);
    }
    if (!user_query(w, w->a,
                    "SELECT greatest(reltuples, 0)::pg_catalog.int8 FROM pg_catalog.pg_class WHERE "
                    "oid = pg_catalog.to_regclass($1)",
                    &DB_PARAMS(f->table), &rows, err))
        return false;
    f->job.rows_total = rows.n_rows > 0 ? strtoll(db_cell(&rows, 0, 0), NULL, 10) : 0;
    return true;
}

static bool begin_job(struct work *w, const struct task *t, struct filler *f, bool *nothing,
                      struct err *err)
{
    struct backfill_job before = {0};

    *nothing = false;
    if (!ledger_backfill_job(w->e->db, w->a, w->p->id.s, t->backfill->id.s, &before, err))
        return false;
    bool resume = before.exists && strcmp(before.status, "running") == 0 && before.checksum &&
                  t->checksum && strcmp(before.checksum, t->checksum) == 0;
    f->job = (struct backfill_job) {.plan = w->p->id.s,
                                    .name = t->backfill->id.s,
                                    .table = f->table,
                                    .checksum = t->checksum,
                                    .status = "running"};
    if (resume) {
        f->job = before;
        f->hi = cursor_read(w->a, before.hi, f->n_keys);
        f->lo = cursor_read(w->a, before.cursor, f->n_keys);
        emit(w, EVENT_INFO, t->id, "going on after %lld rows", (long long) before.rows_done);
    }
    if (!f->hi) {
        bool empty = false;
        if (!freeze_bound(w, f, &empty, err))
            return false;
        if (empty) {
            *nothing = true;
            return true;
        }
        f->lo = NULL;
        f->job.cursor = NULL;
        f->job.rows_done = 0;
    }
    f->job.hi = cursor_json(w->a, f->hi, f->n_keys);
    f->job.checksum = t->checksum;
    int64_t total = f->job.rows_total;
    if (!ledger_backfill_begin(w->e->db, w->a, &f->job, &f->job, err))
        return false;
    f->job.rows_total = total;
    return true;
}

/* FROM and WHERE of the rows that are still ahead, up to the frozen bound. */
static void add_ahead(struct str *sql, const struct filler *f, struct db_params *p)
{
    str_addf(sql, " FROM %s%s WHERE ", f->partitioned ? "" : "ONLY ", f->table);
    key_bound(sql, f, "<=", 1);
    for (int i = 0; i < f->n_keys; i++)
        p->value[p->n++] = f->hi[i];
    if (f->lo) {
        str_add(sql, " AND ");
        key_bound(sql, f, ">", 1 + f->n_keys);
        for (int i = 0; i < f->n_keys; i++)
            p->value[p->n++] = f->lo[i];
    }
}

/* The last batch is shorter than the others. */
static bool count_rest(struct work *w, struct filler *f, struct err *err)
{
    AUTO(str) sql = {0};
    struct db_params p = {0};
    struct db_rows rows = {0};

    str_add(&sql, "SELECT pg_catalog.count(*)");
    add_ahead(&sql, f, &p);
    if (!user_query(w, &f->batch, str_text(&sql), &p, &rows, err))
        return false;
    f->visited = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    return true;
}

/* The key `rows` rows further on; *last: the frozen bound comes first. */
static bool next_bound(struct work *w, struct filler *f, const char **bound, bool *last,
                       struct err *err)
{
    AUTO(str) sql = {0};
    struct db_params p = {0};
    struct db_rows rows = {0};

    str_add(&sql, "SELECT ");
    key_list(&sql, f);
    add_ahead(&sql, f, &p);
    str_add(&sql, " ORDER BY ");
    key_list(&sql, f);
    str_addf(&sql, " OFFSET %lld LIMIT 1", (long long) (f->rows - 1));
    if (!user_query(w, &f->batch, str_text(&sql), &p, &rows, err))
        return false;
    *last = rows.n_rows == 0;
    f->visited = f->rows;
    for (int i = 0; i < f->n_keys; i++)
        bound[i] = *last ? f->hi[i] : db_cell(&rows, 0, i);
    return !*last || count_rest(w, f, err);
}

static const char *batch_sql(struct filler *f)
{
    AUTO(str) sql = {0};

    str_addf(&sql, "WITH u AS (UPDATE %s%s SET ", f->partitioned ? "" : "ONLY ", f->table);
    for (int i = 0; i < f->spec.set.n; i++) {
        str_add(&sql, i ? ", " : "");
        sql_ident(&sql, f->spec.set.items[i].key.s);
        str_addf(&sql, " = (%s)", f->spec.set.items[i].value.s);
    }
    if (f->spec.from)
        str_addf(&sql, " FROM %s", f->spec.from);
    str_add(&sql, " WHERE ");
    key_bound(&sql, f, "<=", 1);
    if (f->lo) {
        str_add(&sql, " AND ");
        key_bound(&sql, f, ">", 1 + f->n_keys);
    }
    if (f->spec.match)
        str_addf(&sql, " AND (%s)", f->spec.match);
    str_addf(&sql, " AND (%s) RETURNING 1) SELECT pg_catalog.count(*) FROM u", f->spec.todo);
    return arena_strdup(&f->batch, str_text(&sql));
}

static bool run_batch(struct work *w, struct filler *f, const char **bound, int64_t *changed,
                      struct err *err)
{
    struct db_rows rows[8] = {0};
    struct db_params p = {0};
    struct db_call cursor = {0}, finish[2];
    AUTO(err) ignored = {0};
    int done = 0;

    for (int i = 0; i < f->n_keys; i++)
        p.value[p.n++] = bound[i];
    for (int i = 0; f->lo && i < f->n_keys; i++)
        p.value[p.n++] = f->lo[i];
    const struct db_call work[] = {
        {.sql = "BEGIN"},
        {.sql = "SELECT pg_catalog.set_config('search_path', $1, true), "
                "pg_catalog.set_config('phasegate.backfill', 'on', true), "
                "pg_catalog.set_config('lock_timeout', $2, true), "
                "pg_catalog.set_config('statement_timeout', $3, true)",
         .params = DB_PARAMS(
             w->e->search_path,
             arena_printf(&f->batch, "%lld", (long long) w->e->policy.lock_timeout_ms),
             arena_printf(&f->batch, "%lld", (long long) w->e->policy.statement_timeout_ms))},
        {.sql = batch_sql(f), .params = p},
        {.sql = "SELECT pg_catalog.set_config('search_path', '', true)"},
    };
    if (!db_pipeline(w->e->db, &f->batch, work, 4, rows, &done, err)) {
        if (db_is_usable(w->e->db))
            (void) !db_exec(w->e->db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
        return false;
    }
    *changed = strtoll(db_cell(&rows[2], 0, 0), NULL, 10);
    ledger_backfill_cursor_call(
        &f->batch, f->job.id, f->job.epoch, cursor_json(&f->batch, f->lo, f->n_keys),
        cursor_json(&f->batch, bound, f->n_keys), f->visited, *changed, &cursor);
    finish[0] = cursor;
    finish[1] = (struct db_call) {.sql = "COMMIT"};
    if (db_pipeline(w->e->db, &f->batch, finish, 2, NULL, &done, err))
        return true;
    if (db_is_usable(w->e->db))
        (void) !db_exec(w->e->db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
    return false;
}

/* Towards the target time: half to one and a half of the last size, a quarter at once after a shock. */
static void resize(struct filler *f, int64_t ms)
{
    double per_row = (double) (ms > 0 ? ms : 1) / (double) f->rows;

    if ((double) ms > 5 * f->target_ms) {
        f->rows /= 4;
    } else {
        f->ms_per_row = f->ms_per_row > 0 ? 0.7 * f->ms_per_row + 0.3 * per_row : per_row;
        double want = f->target_ms / f->ms_per_row, low = 0.5 * (double) f->rows,
               high = 1.5 * (double) f->rows;
        f->rows = (int64_t) (want < low ? low : want > high ? high : want);
    }
    f->rows = f->rows < f->min ? f->min : f->rows > f->max ? f->max : f->rows;
}

static bool batch_with_retry(struct work *w, const struct task *t, struct filler *f,
                             const char **bound, int64_t *changed, struct err *err)
{
    for (int attempt = 0;;) {
        if (run_batch(w, f, bound, changed, err))
            return true;
        if (!err_is(err, ERR_LOCK_TIMEOUT) || !lock_back_off(w, f->table, &attempt, err))
            return err_note(err, "backfill %s, rows after %s", t->backfill->id.s,
                            f->lo ? cursor_json(&f->batch, f->lo, f->n_keys) : "the start");
        err_clear(err);
    }
}

/* What an earlier run did took none of this one's time. */
static void progress(struct work *w, const struct task *t, struct filler *f, bool last)
{
    int64_t now = clock_mono_ms(w->e->ports->clock), ms = now - f->begun_ms;
    struct event ev = {
        .kind = EVENT_PROGRESS,
        .plan = w->p->id.s,
        .phase = phase_word(w->phase),
        .task = t->id,
        .message = "rows",
        .number = f->job.rows_done,
        .total = f->job.rows_total,
        .rate = ms > 0 ? 1000.0 * (double) (f->job.rows_done - f->rows_before) / (double) ms : 0};
    if (!last && f->said_ms && now - f->said_ms < PROGRESS_EVERY_MS)
        return;
    f->said_ms = now;
    events_emit(w->e->ports->events, &ev);
}

static bool walk(struct work *w, const struct task *t, struct filler *f, struct err *err)
{
    const char **at = arena_array(w->a, const char *, f->n_keys);
    bool last = false;

    f->begun_ms = clock_mono_ms(w->e->ports->clock);
    f->rows_before = f->job.rows_done;
    for (int turn = 0; !last; turn ^= 1) {
        int64_t changed = 0, started;
        if (!work_may_go_on(w, err) || !next_bound(w, f, at, &last, err))
            return false;
        started = clock_mono_ms(w->e->ports->clock);
        if (!batch_with_retry(w, t, f, at, &changed, err))
            return false;
        f->job.rows_done += f->visited;
        f->job.rows_changed += changed;
        w->state.rows_done = f->job.rows_done;
        if (changed > 0)
            resize(f, clock_mono_ms(w->e->ports->clock) - started);
        arena_reset(&f->turns[turn]);
        const char **lo = arena_array(&f->turns[turn], const char *, f->n_keys);
        for (int i = 0; i < f->n_keys; i++)
            lo[i] = arena_strdup(&f->turns[turn], at[i]);
        f->lo = lo;
        arena_reset(&f->batch);
        progress(w, t, f, last);
    }
    return true;
}

static bool fill(struct work *w, const struct task *t, struct filler *f, struct err *err)
{
    bool nothing = false;
    AUTO(err) ignored = {0};
    const struct backfill *b = t->backfill;

    f->rows = b->batch_rows != MODEL_UNSET ? b->batch_rows : ROWS_START;
    f->min = b->batch_min != MODEL_UNSET ? b->batch_min : ROWS_MIN;
    f->max = b->batch_max != MODEL_UNSET ? b->batch_max : ROWS_MAX;
    f->target_ms = b->batch_target_ms != MODEL_UNSET ? (double) b->batch_target_ms : TARGET_MS;
    if (!find_key(w, t, f, err) || !begin_job(w, t, f, &nothing, err))
        return false;
    if (nothing)
        return true;
    /* Without statistics a bound can become a sequential scan a batch. */
    if (!session_user_path(w, true, err) ||
        !db_exec(w->e->db, arena_printf(w->a, "ANALYZE %s", f->table), &DB_NO_PARAMS, err) ||
        !session_user_path(w, false, err)) {
        if (!err_is(err, ERR_SQL) && !err_is(err, ERR_LOCK_TIMEOUT))
            return false;
        err_clear(err);
        (void) !session_user_path(w, false, &ignored);
    }
    return walk(w, t, f, err);
}

/* The job's end and the task's row together: a job that is done begins at the start when it runs again. */
static bool record_done(struct work *w, const struct task *t, const struct filler *f, int64_t ms,
                        struct err *err)
{
    struct txn x;

    txn_begin(w, &x, w->e->policy.lock_timeout_ms, w->e->policy.statement_timeout_ms);
    if (f->job.id)
        ledger_backfill_status_call(w->a, f->job.id, "done", txn_slot(&x));
    record_task(w, &x, t, "done", ms, NULL, NULL, NULL);
    return txn_commit(w, &x, err);
}

bool backfill_run(struct work *w, const struct task *t, struct err *err)
{
    struct filler f = {0};
    const char *why = NULL;
    int64_t started = clock_mono_ms(w->e->ports->clock);
    const struct pos at = t->backfill->at;

    if (t->backfill->via.n > 0 || t->backfill->insert_into.s || t->backfill->insert_select.s) {
        err_set(err, ERR_REFUSED, "%s:%d:%d: backfill %s uses %s, which this version can't run",
                at.file, at.line, at.col, t->backfill->id.s,
                t->backfill->via.n > 0 ? "via:" : "insert:");
        return err_reason(err, "not_in_this_version");
    }
    if (!backfill_spec_of(w->a, w->p, t->backfill, &f.spec, &why))
        return err_set(err, ERR_INPUT, "%s:%d:%d: backfill %s can't run: %s", at.file, at.line,
                       at.col, t->backfill->id.s, why);
    /* What only the new side knows isn't overwritten with what the old one last knew. */
    if (sync_is_one_way(w) && backfill_is_of_sync(w->p, &f.spec))
        f.spec.todo =
            arena_printf(w->a, "(%s) AND (%s)", f.spec.todo, sync_unwritten_sql(w->a, w->p));
    bool ok = fill(w, t, &f, err);
    arena_free(&f.batch);
    arena_free(&f.turns[0]);
    arena_free(&f.turns[1]);
    if (!ok)
        return false;
    int64_t ms = clock_mono_ms(w->e->ports->clock) - started;
    report_task(w, t, "done", ms,
                arena_printf(w->a, "%lld rows changed", (long long) f.job.rows_changed));
    return record_done(w, t, &f, ms, err);
}
