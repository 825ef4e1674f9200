/* Transactions on the leased session: one round trip, short lock time-outs, whole-transaction retry. */
#include "internal.h"

#include "sql_embedded.h"

#include <stdlib.h>

#define TRIES 30
#define BACK_OFF_MIN_MS 1000
#define BACK_OFF_MAX_MS 60000
#define LOCK_TIMEOUT_MAX_MS 1000

int64_t now_ms(const struct engine *e) { return clock_wall_ms(e->ports->clock); }

int64_t server_now_ms(const struct engine *e)
{
    return e->server_clock_ms ? clock_mono_ms(e->ports->clock) + e->server_clock_ms : now_ms(e);
}

bool session_ask_clock(struct engine *e, struct arena *a, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(
            e->db, a,
            "SELECT (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) * 1000)::pg_catalog.int8",
            &DB_NO_PARAMS, &rows, err))
        return false;
    e->server_clock_ms = strtoll(db_cell(&rows, 0, 0), NULL, 10) - clock_mono_ms(e->ports->clock);
    return true;
}

struct db_call *txn_slot(struct txn *t)
{
    if (t->n == t->cap) {
        int cap = t->cap ? 2 * t->cap : 16;
        t->calls = arena_grow(t->a, t->calls, sizeof *t->calls * (size_t) t->cap,
                              sizeof *t->calls * (size_t) cap);
        t->what = arena_grow(t->a, t->what, sizeof *t->what * (size_t) t->cap,
                             sizeof *t->what * (size_t) cap);
        t->cap = cap;
    }
    t->what[t->n] = NULL;
    memset(&t->calls[t->n], 0, sizeof t->calls[t->n]);
    return &t->calls[t->n++];
}

void txn_add(struct txn *t, const char *sql, const struct db_params *params)
{
    struct db_call *c = txn_slot(t);
    c->sql = sql;
    if (params)
        c->params = *params;
}

const char *session_label(struct work *w)
{
    return arena_printf(w->a, "phasegate/%s/%s", w->e->run_id,
                        w->state.task ? w->state.task : w->e->command);
}

#define SET_LIMITS                                                                                 \
    "SELECT pg_catalog.set_config('lock_timeout', $1, true), "                                     \
    "pg_catalog.set_config('statement_timeout', $2, true), "                                       \
    "pg_catalog.set_config('application_name', $3, true)"

void txn_begin(struct work *w, struct txn *t, int64_t lock_timeout_ms, int64_t statement_timeout_ms)
{
    memset(t, 0, sizeof *t);
    t->a = w->a;
    txn_add(t, "BEGIN", NULL);
    txn_add(t, SET_LIMITS,
            &DB_PARAMS(arena_printf(w->a, "%lld", (long long) lock_timeout_ms),
                       arena_printf(w->a, "%lld", (long long) statement_timeout_ms),
                       session_label(w)));
    t->calls[1].repeats = true;
}

void txn_user_path(struct work *w, struct txn *t)
{
    if (t->n == 2) { /* right after txn_begin: in the statement that sets the limits */
        struct db_call *limits = &t->calls[1];
        limits->sql = SET_LIMITS ", pg_catalog.set_config('search_path', $4, true)";
        limits->params.value[limits->params.n++] = w->e->search_path;
        return;
    }
    txn_add(t, "SELECT pg_catalog.set_config('search_path', $1, true)",
            &DB_PARAMS(w->e->search_path));
}

void txn_own_path(struct txn *t)
{
    txn_add(t, "SELECT pg_catalog.set_config('search_path', '', true)", NULL);
}

/* After a failure inside the pipeline the session is in an aborted transaction. A lost session has none. */
static void roll_back(struct work *w)
{
    AUTO(err) ignored = {0};

    if (db_is_usable(w->e->db))
        (void) !db_exec(w->e->db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
}

bool txn_commit(struct work *w, struct txn *t, struct err *err)
{
    int done = 0;

    txn_add(t, "COMMIT", NULL);
    if (db_pipeline(w->e->db, w->a, t->calls, t->n, NULL, &done, err))
        return true;
    /* Only while COMMIT itself was on its way is the outcome unknown; before it the server rolled back. */
    if (!err_is(err, ERR_CONNECTION_LOST))
        roll_back(w);
    return false;
}

int64_t lock_timeout_of_try(int64_t base_ms, int attempt)
{
    int64_t ms = base_ms + base_ms * attempt / 10;
    int64_t most = base_ms > LOCK_TIMEOUT_MAX_MS ? base_ms : LOCK_TIMEOUT_MAX_MS;

    return ms > most ? most : ms;
}

const char *table_text(struct work *w, const char *schema, const char *table)
{
    AUTO(str) s = {0};

    if (!table)
        return NULL;
    sql_qualified(&s, schema, table);
    return arena_strdup(w->a, str_text(&s));
}

/* The table is found as the user's SQL finds it. */
static bool find_holders(struct work *w, const char *table, struct lock_holder **h, int *n,
                         struct err *err)
{
    bool ok =
        session_user_path(w, true, err) && observe_lock_holders(w->e->db, w->a, table, h, n, err);
    AUTO(err) ignored = {0};

    if (db_is_usable(w->e->db))
        (void) !session_user_path(w, false, &ignored);
    return ok;
}

const char *lock_holder(struct work *w, const char *table)
{
    AUTO(err) ignored = {0};
    AUTO(str) age = {0};
    struct lock_holder *h;
    int n = 0;

    if (!db_is_usable(w->e->db) || !find_holders(w, table, &h, &n, &ignored) || n == 0)
        return "nobody holds it any more";
    duration_to_text(&age, h[0].xact_age_ms);
    return arena_printf(
        w->a, "pid %lld (%s, %s, transaction open for %s): %s%s", (long long) h[0].pid,
        h[0].application && h[0].application[0] ? h[0].application : "no application_name",
        h[0].mode ? h[0].mode : "lock", str_text(&age), h[0].query ? h[0].query : "",
        n > 1 ? arena_printf(w->a, " (and %d more)", n - 1) : "");
}

bool lock_back_off(struct work *w, const char *table, int *attempt, struct err *err)
{
    const char *holder = lock_holder(w, table);
    int64_t base = BACK_OFF_MIN_MS << (*attempt < 6 ? *attempt : 6);

    if (++*attempt >= TRIES) {
        err_detail(err, "The lock on %s was tried %d times; it is held by %s.",
                   table ? table : "the table", TRIES, holder);
        err_hint(err, "end that session or wait for it, then run the same command again");
        return false;
    }
    if (base > BACK_OFF_MAX_MS)
        base = BACK_OFF_MAX_MS;
    int64_t wait = base / 2 + clock_random(w->e->ports->clock) % (base / 2 + 1);
    struct event ev = {.kind = EVENT_RETRY,
                       .plan = w->p->id.s,
                       .phase = phase_word(w->phase),
                       .message =
                           arena_printf(w->a, "lock on %s not got, try %d of %d: held by %s",
                                        table ? table : "the table", *attempt, TRIES, holder),
                       .ms = wait};
    events_emit(w->e->ports->events, &ev);
    clock_sleep_ms(w->e->ports->clock, wait);
    if (ports_interrupted(w->e->ports))
        return err_set(err, ERR_INTERRUPTED,
                       "stopped while waiting for a lock; nothing of this step was done");
    return true;
}

bool txn_retry(struct work *w, const char *table, int64_t lock_timeout_ms,
               bool (*build)(struct work *, struct txn *, int64_t, void *, struct err *), void *ctx,
               struct err *err)
{
    for (int attempt = 0;;) {
        struct txn t;

        if (!build(w, &t, lock_timeout_of_try(lock_timeout_ms, attempt), ctx, err))
            return false;
        if (txn_commit(w, &t, err))
            return true;
        if (!err_is(err, ERR_LOCK_TIMEOUT) || !lock_back_off(w, table, &attempt, err))
            return false;
        err_clear(err);
    }
}

static bool ask(struct engine *e, const char *path, struct arena *a, const char *first,
                const char *sql, const struct db_params *params, int64_t timeout_ms,
                struct db_rows *out, struct err *err)
{
    struct db_rows rows[5] = {0};
    struct db_call calls[5] = {
        {.sql = "BEGIN READ ONLY"},
        {.sql = sql_set_question,
         .params = DB_PARAMS(arena_printf(a, "%lld", (long long) timeout_ms), path, e->as_role)},
    };
    int n = 2, done = 0;

    if (first)
        calls[n++] = (struct db_call) {.sql = first};
    calls[n++] = (struct db_call) {.sql = sql, .params = *params};
    /* What READ ONLY lets through, a large object say, is taken back. */
    calls[n] = (struct db_call) {.sql = "ROLLBACK"};
    if (!db_pipeline(e->db, a, calls, n + 1, rows, &done, err)) {
        AUTO(err) ignored = {0};
        if (db_is_usable(e->db))
            (void) !db_exec(e->db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
        return false;
    }
    *out = rows[n - 1];
    return true;
}

bool ask_rows(struct engine *e, struct arena *a, const char *first, const char *sql,
              const struct db_params *params, int64_t timeout_ms, struct db_rows *out,
              struct err *err)
{
    return ask(e, e->search_path, a, first, sql, params, timeout_ms, out, err);
}

bool ask_own(struct engine *e, struct arena *a, const char *sql, const struct db_params *params,
             struct db_rows *out, struct err *err)
{
    return ask(e, "", a, NULL, sql, params, e->policy.statement_timeout_ms, out, err);
}

bool ask_value(struct engine *e, struct arena *a, const char *sql, int64_t timeout_ms,
               const char **out, struct err *err)
{
    struct db_rows rows = {0};

    if (!ask_rows(e, a, NULL, sql, &DB_NO_PARAMS, timeout_ms, &rows, err))
        return false;
    *out = rows.n_rows > 0 && rows.n_cols > 0 ? db_cell(&rows, 0, 0) : NULL;
    return true;
}

bool ask_bool(struct work *w, const char *sql, bool *out, struct err *err)
{
    const char *v = NULL;

    if (!ask_value(w->e, w->a, sql, w->e->policy.statement_timeout_ms, &v, err))
        return false;
    *out = v && (strcmp(v, "t") == 0 || strcmp(v, "true") == 0);
    return true;
}

bool session_user_path(struct work *w, bool on, struct err *err)
{
    return db_exec(w->e->db, sql_set_search_path, &DB_PARAMS(on ? w->e->search_path : ""), err);
}
