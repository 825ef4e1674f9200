/* A worker: a thread with a session that takes slices and walks them, batch after batch, until there are none. */
#include "via.h"

#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

#define OTHERS_MS 300

/* ---- what is shared ---------------------------------------------------------------------------------------- */

/* The first failure is the reason; everybody ends at the next safe point. */
static void stop_all(struct crew *c, struct err *why)
{
    pthread_mutex_lock(&c->lock);
    c->stops = true;
    if (c->why.kind == ERR_NONE && why->kind != ERR_NONE)
        err_move(&c->why, why);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

void crew_wait(struct crew *c, int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += ms % 1000 * 1000000;
    t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_cond_clockwait(&c->changed, &c->lock, CLOCK_MONOTONIC, &t);
}

bool worker_turn(struct worker *w, int64_t rest_ms)
{
    struct crew *c = w->crew;
    int64_t begun = clock_mono_ms(c->ports->clock), now = begun;

    str_free(&w->rest_reason);
    pthread_mutex_lock(&c->lock);
    while (!c->stops && (now - begun < rest_ms || c->level == SIGNAL_STOP)) {
        if (c->level == SIGNAL_STOP && w->rest_reason.len == 0)
            str_add(&w->rest_reason, str_text(&c->reason));
        crew_wait(c, now - begun < rest_ms && rest_ms - (now - begun) < 200
                         ? rest_ms - (now - begun)
                         : 200);
        now = clock_mono_ms(c->ports->clock);
    }
    bool goes_on = !c->stops;
    batch_size_limit(&w->size, &c->limits);
    pthread_mutex_unlock(&c->lock);
    w->rest_ms = now - begun;
    return goes_on;
}

int64_t worker_note_batch(struct worker *w, int64_t ms, int64_t changed)
{
    struct crew *c = w->crew;

    pthread_mutex_lock(&c->lock);
    c->batch_rows = w->size.rows;
    c->batch_ms = c->batch_ms > 0 ? 0.9 * c->batch_ms + 0.1 * (double) ms : (double) ms;
    c->waits_for_lock = false;
    int64_t rest = pace_rest_ms(&c->pace, ms, changed);
    pthread_mutex_unlock(&c->lock);
    return rest;
}

bool worker_pause(struct worker *w, int64_t ms)
{
    struct crew *c = w->crew;
    int64_t end = clock_mono_ms(c->ports->clock) + ms, left = ms;

    pthread_mutex_lock(&c->lock);
    for (; !c->stops && left > 0; left = end - clock_mono_ms(c->ports->clock))
        crew_wait(c, left < 1000 ? left : 1000);
    bool goes_on = !c->stops;
    pthread_mutex_unlock(&c->lock);
    return goes_on;
}

void worker_note_retry(struct worker *w, bool waits_for_lock)
{
    pthread_mutex_lock(&w->crew->lock);
    w->crew->retried++;
    w->crew->waits_for_lock = waits_for_lock;
    pthread_mutex_unlock(&w->crew->lock);
}

/* ---- failures ---------------------------------------------------------------------------------------------- */

#define SHORT_TRIES 3
#define SLOW_TRIES 10
#define LOST_TRIES 10
#define CANCELLED_MS 500 /* those who waited have their turn */

static bool is_taken_over(const struct err *err)
{
    return strstr(str_text(&err->message), WALK_TAKEN) != NULL;
}

enum next {
    GO_ON, /* it was done another way */
    AGAIN, /* the same bound, or a nearer one */
    LEAVE, /* the slice is somebody else's, or is to be found again */
    FAIL
};

struct trial { /* of one batch */
    enum batch_kind kind;
    int n;      /* times it failed */
    int n_long; /* of those, the ones that could only be waited for */
};

static enum next again_after(struct worker *w, int64_t wait, struct err *why, struct err *err)
{
    if (wait < 0) {
        err_move(err, why);
        return FAIL;
    }
    worker_pause(w, wait);
    return AGAIN;
}

/* Rows that others hold are left for later; a lock on the table can only be waited for. */
static enum next contended(struct worker *w, struct err *why, struct trial *t, struct err *err)
{
    uint32_t random = clock_random(w->crew->ports->clock);

    if (t->n <= SHORT_TRIES)
        return again_after(w, failure_wait_ms(FAILURE_CONTENTION, t->n, random), why, err);
    if (t->kind == BATCH_ALL) {
        t->kind = BATCH_FREE;
        return AGAIN;
    }
    worker_note_retry(w, true);
    return again_after(w, failure_long_wait_ms(++t->n_long, random), why, err);
}

/* Was it cancelled because others waited for it? Then it is nobody's fault. */
static bool was_cancelled(struct worker *w)
{
    struct crew *c = w->crew;

    pthread_mutex_lock(&c->lock);
    bool is = c->is_cancelled[w->number - 1];
    c->is_cancelled[w->number - 1] = false;
    pthread_mutex_unlock(&c->lock);
    return is;
}

static enum next too_slow(struct worker *w, struct err *why, struct trial *t, struct err *err)
{
    if (was_cancelled(w)) {
        t->n--;
        (void) batch_size_halve(&w->size);
        worker_pause(w, CANCELLED_MS);
        return AGAIN;
    }
    if (batch_size_halve(&w->size))
        return AGAIN;
    if (t->kind == BATCH_ALL) {
        t->kind = BATCH_FREE;
        return AGAIN;
    }
    return again_after(w, t->n > SLOW_TRIES ? -1 : 0, why, err);
}

static enum next fill_apart(struct worker *w, struct err *why, const struct trial *t,
                            int64_t *changed, struct err *err)
{
    const struct key_range r = {w->cursor.key, w->bound.key};

    if (!w->bound.key) /* looking for the bound failed: no row's fault */
        return again_after(w, -1, why, err);
    if (bisect_only_looks(w))
        return bisect(w, &r, changed, err) ? again_after(w, t->n > SHORT_TRIES ? -1 : 0, why, err)
                                           : FAIL;
    return bisect(w, &r, changed, err) && batch_move(w, *changed, err) ? GO_ON : FAIL;
}

#define BLIND_MOST 1000 /* rows that a verification can't evaluate */

/* A verification goes around a row that can't be evaluated, in ever smaller ranges; the row counts as still to do. */
static enum next look_apart(struct worker *w, struct err *why, int64_t *visited, struct err *err)
{
    int64_t rows = w->narrow ? w->narrow : w->size.rows;

    /* Of blocks the smallest range may have many rows. */
    if (!w->bound.key || w->n_blind >= BLIND_MOST || w->crew->walk.by_blocks)
        return again_after(w, -1, why, err);
    if (rows > 1) {
        w->narrow = rows / 2;
        return AGAIN;
    }
    w->n_blind++;
    return batch_verify(w, WALK_BLIND, visited, err) ? GO_ON : FAIL;
}

static bool look_at_batch(struct worker *w, int64_t *visited, int64_t *changed, struct err *err)
{
    int64_t asked = w->bound_rows;

    if (!batch_verify(w, WALK_EVALUATES, visited, err))
        return false;
    if (w->crew->walk.by_blocks) /* they were read, however few rows are in them */
        *visited = asked;
    *changed = *visited; /* reading is work, too: it is paced by it */
    w->narrow = w->narrow * 2 < w->size.rows ? w->narrow * 2 : 0;
    return true;
}

/* What to do about it. */
static enum next handle(struct worker *w, struct err *why, struct trial *t, int64_t *changed,
                        struct err *err)
{
    enum failure_class f = is_taken_over(why) ? FAILURE_FENCED : failure_of(why->sqlstate);

    t->n++;
    if (err_is(why, ERR_INTERRUPTED))
        return again_after(w, -1, why, err);
    if (f == FAILURE_FENCED)
        return LEAVE;
    worker_note_retry(w, false);
    if (f == FAILURE_DATA && w->crew->setup->spec.via) /* whose fault it is was looked for */
        return again_after(w, -1, why, err);
    if (f == FAILURE_DATA && w->crew->setup->verifies)
        return look_apart(w, why, changed, err);
    if (f == FAILURE_DATA)
        return fill_apart(w, why, t, changed, err);
    if (f == FAILURE_CONTENTION)
        return contended(w, why, t, err);
    if (f == FAILURE_SLOW)
        return too_slow(w, why, t, err);
    /* The slice is found again where it stands, once there is a session. But not a batch that ends each session. */
    if (f == FAILURE_CONNECTION && ++w->lost_in_a_row <= LOST_TRIES)
        return LEAVE;
    if (f == FAILURE_CONNECTION)
        return again_after(w, -1, why, err);
    return again_after(w, failure_wait_ms(f, t->n, clock_random(w->crew->ports->clock)), why, err);
}

/* ---- one slice --------------------------------------------------------------------------------------------- */

static bool is_stopped(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    bool stops = c->stops;
    pthread_mutex_unlock(&c->lock);
    return stops;
}

static bool one_batch(struct worker *w, bool *leaves, int64_t *changed, int64_t *ms,
                      struct err *err)
{
    struct trial t = {0};
    int64_t visited = 0;

    while (t.n == 0 || !is_stopped(w->crew)) {
        AUTO(err) why = {0};
        int64_t begun = clock_mono_ms(w->crew->ports->clock);

        arena_reset(&w->batch);
        if ((w->bound.key || batch_bound(w, &why)) &&
            (w->crew->setup->verifies ? look_at_batch(w, &visited, changed, &why)
                                      : batch_run(w, t.kind, &visited, changed, &why))) {
            *ms = clock_mono_ms(w->crew->ports->clock) - begun;
            batch_size_done(&w->size, visited, *changed, (double) *ms);
            w->lost_in_a_row = 0;
            return true;
        }
        enum next next = handle(w, &why, &t, changed, err);
        if (next == FAIL)
            return false;
        if (next == LEAVE)
            *leaves = true;
        if (next == GO_ON || next == AGAIN)
            place_set(&w->bound, NULL, 0);
        if (next != AGAIN)
            return true;
    }
    return true;
}

static bool is_at_end(const struct worker *w)
{
    for (int i = 0; w->cursor.key && i < w->crew->walk.n_keys; i++)
        if (strcmp(w->cursor.key[i], w->slice.hi[i]) != 0)
            return false;
    return w->cursor.key != NULL;
}

static bool walk_slice(struct worker *w, struct err *err)
{
    int64_t rest = 0;
    bool leaves = false;

    place_set(&w->bound, NULL, 0);
    while (!leaves && !is_at_end(w)) {
        int64_t changed = 0, ms = 0;

        if (!worker_turn(w, rest)) {
            slice_release(w, NULL);
            return true;
        }
        if (!one_batch(w, &leaves, &changed, &ms, err)) {
            slice_release(w, err);
            return err_note(err, "backfill %s, slice %lld, rows after %s", w->crew->setup->name,
                            (long long) w->slice.number,
                            w->cursor.key ? key_json(&w->batch, (const char *const *) w->cursor.key,
                                                     w->crew->walk.n_keys)
                                          : "the start");
        }
        rest = worker_note_batch(w, ms, changed);
    }
    w->slice.id = 0;
    return true;
}

/* ---- the thread -------------------------------------------------------------------------------------------- */

/* No batch waits for the disk: its rows and the cursor are in one transaction, so a crash of the server takes both
 * back, and what the ledger writes at the end takes all of it to the disk. Nor do others wait for the disk because of
 * a row of ours. Where commits wait for standbys they keep the pace of the slowest, and stay as they are. */
static bool settle_session(struct worker *w, struct err *err)
{
    const struct backfill_setup *b = w->crew->setup;
    AUTO(arena) a = {0};

    return db_exec(w->db,
                   "SELECT pg_catalog.set_config('search_path', $1, false), "
                   "pg_catalog.set_config('phasegate.backfill', 'on', false), "
                   "pg_catalog.set_config('lock_timeout', $2, false), "
                   "pg_catalog.set_config('statement_timeout', $3, false), "
                   "pg_catalog.set_config('plan_cache_mode', 'force_custom_plan', false), "
                   "CASE WHEN pg_catalog.current_setting('synchronous_standby_names') = ''"
                   " THEN pg_catalog.set_config('synchronous_commit', 'off', false) END",
                   &DB_PARAMS(b->search_path, arena_printf(&a, "%lld", (long long) b->lock_ms),
                              arena_printf(&a, "%lld", (long long) b->statement_ms)),
                   err);
}

static void note_pid(struct worker *w, int pid)
{
    pthread_mutex_lock(&w->crew->lock);
    w->crew->pids[w->number - 1] = pid;
    pthread_mutex_unlock(&w->crew->lock);
}

/* A session that is there; a new one after the last was lost. */
bool worker_session(struct worker *w, struct err *err)
{
    struct ports *p = w->crew->ports;
    bool good;

    if (w->db && db_is_usable(w->db))
        return true;
    note_pid(w, 0);
    if (w->db)
        good = db_reconnect(w->db, err);
    else
        good = p->db_open(p, w->crew->setup->url, w->crew->setup->label, true, &w->db, err);
    if (!good || !settle_session(w, err) || !server_check(w, err))
        return false;
    note_pid(w, db_backend_pid(w->db));
    return true;
}

static int walked(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    int n = c->walked;
    pthread_mutex_unlock(&c->lock);
    return n;
}

static void note_walked(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    c->walked++;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* Until another thread is through with a slice; what other processes do is asked for after a while. */
static void wait_for_others(struct crew *c, int walked_before)
{
    int64_t end = clock_mono_ms(c->ports->clock) + OTHERS_MS, left = OTHERS_MS;

    pthread_mutex_lock(&c->lock);
    for (; !c->stops && left > 0 && c->walked == walked_before;
         left = end - clock_mono_ms(c->ports->clock))
        crew_wait(c, left);
    pthread_mutex_unlock(&c->lock);
}

/* Takes a slice and walks it. *out: there is something to come back for. */
static bool one_slice(struct worker *w, bool *out, bool *lost, struct err *why, struct err *err)
{
    bool found = false;
    int before = walked(w->crew);

    *lost = !worker_session(w, why) || !slice_claim(w, &found, why);
    *out = true;
    if (*lost)
        return true;
    if (found) {
        bool good = walk_slice(w, err);

        note_walked(w->crew);
        return good;
    }
    *lost = !slice_any_open(w, out, why);
    if (!*lost && *out)
        wait_for_others(w->crew, before);
    return true;
}

static bool work(struct worker *w, struct err *err)
{
    bool goes_on = true;

    for (int attempt = 0; goes_on && !is_stopped(w->crew);) {
        AUTO(err) why = {0};
        bool lost = false;

        if (!one_slice(w, &goes_on, &lost, &why, err))
            return false;
        if (!lost) {
            attempt = 0;
            continue;
        }
        int64_t wait = failure_of(why.sqlstate) == FAILURE_CONNECTION && !err_is(&why, ERR_REFUSED)
                           ? failure_wait_ms(FAILURE_CONNECTION, ++attempt,
                                             clock_random(w->crew->ports->clock))
                           : -1;
        if (wait < 0) {
            err_move(err, &why);
            return false;
        }
        worker_pause(w, wait);
    }
    return true;
}

void worker_thread(struct worker *w, bool (*run)(struct worker *, struct err *))
{
    AUTO(err) err = {0};

    batch_size_begin(&w->size, &w->crew->limits,
                     w->crew->table->rows > 0
                         ? (double) w->crew->table->bytes / (double) w->crew->table->rows
                         : 0);
    if (!run(w, &err))
        stop_all(w->crew, &err);
    via_end(w);
    note_pid(w, 0);
    db_close(w->db);
    str_free(&w->rest_reason);
    arena_free(&w->batch);
    arena_free(&w->slice.a);
    arena_free(&w->cursor.a);
    arena_free(&w->bound.a);
    pthread_mutex_lock(&w->crew->lock);
    w->crew->at_work--;
    pthread_cond_broadcast(&w->crew->changed);
    pthread_mutex_unlock(&w->crew->lock);
}

void *worker_main(void *worker)
{
    worker_thread(worker, work);
    return NULL;
}
