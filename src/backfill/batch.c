/* One batch: the rows, the cursor and the journal in one transaction, and the bound after it in the same round trip.
 *
 * The next bound is asked for before the rows are touched: what the batch locks, it holds for no longer than it works.
 */
#include "via.h"

#include <stdlib.h>

static const char *number(struct arena *a, int64_t n)
{
    return arena_printf(a, "%lld", (long long) n);
}

static void add_key(struct db_params *p, const char *const *key, int n)
{
    for (int i = 0; key && i < n; i++)
        p->value[p->n++] = key[i];
}

static struct db_params range(const struct worker *w, const char *const *lo, const char *const *hi)
{
    struct db_params p = {0};

    add_key(&p, lo, w->crew->walk.n_keys);
    add_key(&p, hi, w->crew->walk.n_keys);
    return p;
}

static int64_t rows_wanted(const struct worker *w) { return w->narrow ? w->narrow : w->size.rows; }

static struct db_call call_next(struct worker *w, const char *const *from)
{
    struct db_call call = {.sql = w->crew->sql.next[!from], .repeats = from != NULL};

    call.params = range(w, from, w->slice.hi);
    call.params.value[call.params.n++] = number(&w->batch, rows_wanted(w) - 1);
    return call;
}

/* No row: the slice's end comes first. */
static void take_bound(struct worker *w, const struct db_rows *r)
{
    w->bound_rows = rows_wanted(w);
    w->is_last = r->n_rows == 0;
    place_set(&w->bound, w->is_last ? w->slice.hi : r->cell[0], w->crew->walk.n_keys);
}

bool batch_bound(struct worker *w, struct err *err)
{
    struct db_call call = call_next(w, w->cursor.key);
    struct db_rows rows = {0};

    if (!db_query(w->db, &w->batch, call.sql, &call.params, &rows, err))
        return false;
    take_bound(w, &rows);
    return true;
}

static void add_move(struct worker *w, struct db_params *p, const char *visited)
{
    int n = w->crew->walk.n_keys;

    p->value[p->n++] = number(&w->batch, w->slice.id);
    p->value[p->n++] = number(&w->batch, w->slice.epoch);
    p->value[p->n++] = key_json(&w->batch, w->cursor.key, n);
    p->value[p->n++] = key_json(&w->batch, w->bound.key, n);
    p->value[p->n++] = number(&w->batch, w->bound_rows);
    p->value[p->n++] = visited;
    p->value[p->n++] = number(&w->batch, w->rest_ms);
    p->value[p->n++] = w->rest_reason.len ? str_text(&w->rest_reason) : NULL;
}

/* Rows of the blocks up to here: a share of what the table was taken to have, so that all of them add up to that. Counting
 * them would count those again that a batch before has moved on. */
static int64_t rows_up_to(const struct worker *w, const char *const *key)
{
    return key ? (int64_t) ((double) (strtoll(key[0] + 1, NULL, 10) + 1) *
                            w->crew->walk.rows_per_page)
               : 0;
}

/* Of the last batch nobody knows how many rows are in it, nor of blocks. */
static bool count(struct worker *w, const char **out, struct err *err)
{
    const char *const *from = (const char *const *) w->cursor.key;
    const char *const *to = (const char *const *) w->bound.key;
    struct db_params p = range(w, from, to);
    struct db_rows rows = {0};

    if (w->crew->walk.by_blocks) {
        *out = number(&w->batch, rows_up_to(w, to) - rows_up_to(w, from));
        return true;
    }
    if (!db_query(w->db, &w->batch, w->crew->sql.count[!w->cursor.key], &p, &rows, err))
        return false;
    *out = db_cell(&rows, 0, 0);
    return true;
}

/* The bound is behind us: the next one is ahead. */
static void step_on(struct worker *w, const struct db_rows *next)
{
    place_swap(&w->cursor, &w->bound);
    if (next)
        take_bound(w, next);
}

/* The statement, for which a program was asked where there is one. */
static struct db_call call_fill(struct worker *w, enum batch_kind kind, const char *counted,
                                const struct via *v)
{
    const struct walk_sql *sql = &w->crew->sql;
    bool from_start = !w->cursor.key, asks = w->crew->setup->spec.via;
    struct db_call call = {.sql = asks                ? sql->via.batch[from_start]
                                  : kind == BATCH_ALL ? sql->batch[from_start]
                                                      : sql->batch_free[from_start],
                           .params = range(w, w->cursor.key, w->bound.key),
                           .repeats = !asks && kind == BATCH_ALL && !from_start};

    add_move(w, &call.params, counted);
    if (asks)
        call.params.value[call.params.n++] = v->said;
    return call;
}

static bool run(struct worker *w, enum batch_kind kind, const char *counted, struct via *v,
                struct db_rows *rows, struct err *err)
{
    const struct db_params here = range(w, w->cursor.key, w->bound.key);

    for (;;) {
        struct db_call calls[2];
        int n = 0, done = 0;

        if (!w->is_last)
            calls[n++] = call_next(w, w->bound.key);
        calls[n++] = call_fill(w, kind, counted, v);
        if (db_pipeline(w->db, &w->batch, calls, n, rows, &done, err))
            return true;
        if (!w->crew->setup->spec.via ||
            !via_blame(w, w->crew->sql.via.fill[!w->cursor.key], &here, v, err))
            return false;
    }
}

bool batch_run(struct worker *w, enum batch_kind kind, int64_t *visited, int64_t *changed,
               struct err *err)
{
    const struct db_params here = range(w, w->cursor.key, w->bound.key);
    struct db_rows rows[2] = {{0}, {0}};
    const char *counted = NULL;
    struct via v = {0};

    if ((w->is_last || w->crew->walk.by_blocks) && !count(w, &counted, err))
        return false;
    if (w->crew->setup->spec.via &&
        !via_ask(w, w->crew->sql.via.read[!w->cursor.key], &here, &v, err))
        return false;
    if (!run(w, kind, counted, &v, rows, err))
        return false;
    *visited = counted ? strtoll(counted, NULL, 10) : w->bound_rows;
    *changed = strtoll(db_cell(&rows[w->is_last ? 0 : 1], 0, 0), NULL, 10);
    step_on(w, w->is_last ? NULL : &rows[0]);
    return true;
}

bool batch_move(struct worker *w, int64_t changed, struct err *err)
{
    struct db_params p = range(w, w->cursor.key, w->bound.key);
    struct db_rows rows = {0};
    const char *visited = NULL;

    if (!count(w, &visited, err))
        return false;
    add_move(w, &p, visited);
    p.value[p.n++] = number(&w->batch, changed);
    if (!db_query(w->db, &w->batch, w->crew->sql.move[!w->cursor.key], &p, &rows, err))
        return false;
    step_on(w, NULL);
    return true;
}

bool batch_verify(struct worker *w, enum walk_trust trust, int64_t *visited, struct err *err)
{
    const struct walk_sql *sql = &w->crew->sql;
    bool from_start = !w->cursor.key;
    int n = w->crew->walk.n_keys;
    struct db_params p = range(w, w->cursor.key, w->bound.key);
    struct db_rows rows = {0};

    p.value[p.n++] = number(&w->batch, w->slice.id);
    p.value[p.n++] = number(&w->batch, w->slice.epoch);
    p.value[p.n++] = key_json(&w->batch, w->cursor.key, n);
    p.value[p.n++] = key_json(&w->batch, w->bound.key, n);
    p.value[p.n++] = number(&w->batch, w->crew->job->id);
    if (!db_query(w->db, &w->batch,
                  trust == WALK_BLIND ? sql->verify_blind[from_start] : sql->verify[from_start], &p,
                  &rows, err))
        return false;
    *visited = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    step_on(w, NULL);
    place_set(&w->bound, NULL, 0);
    return true;
}
