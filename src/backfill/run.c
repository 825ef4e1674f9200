/* One run: its workers begin, are watched, and end. */
#include "crew.h"

#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_MS 200 /* between two looks at whether to go on */
#define SAY_MS 500
#define TELL_MS 1000

static void make_via_sql(struct arena *a, struct crew *c)
{
    struct via_sql *v = &c->sql.via;

    for (int start = 0; start < 2; start++) {
        v->read[start] = walk_via_read_sql(a, &c->walk, start);
        v->batch[start] = walk_via_batch_sql(a, &c->walk, start);
        v->fill[start] = walk_via_fill_sql(a, &c->walk, start);
        v->residual[start] = walk_via_residual_sql(a, &c->walk, start);
    }
    v->read_row = walk_via_read_row_sql(a, &c->walk);
    v->row = walk_via_row_sql(a, &c->walk);
}

static void make_sql(struct arena *a, struct crew *c)
{
    for (int start = 0; start < 2; start++) {
        c->sql.next[start] = walk_next_sql(a, &c->walk, start);
        c->sql.count[start] = walk_count_sql(a, &c->walk, start);
        c->sql.batch[start] = walk_batch_sql(a, &c->walk, start);
        c->sql.batch_free[start] = walk_batch_free_sql(a, &c->walk, start);
        c->sql.fill[start] = walk_fill_sql(a, &c->walk, start);
        c->sql.left[start] = walk_left_sql(a, &c->walk, start);
        c->sql.move[start] = walk_move_sql(a, &c->walk, start);
        c->sql.residual[start] = walk_residual_sql(a, &c->walk, start);
        c->sql.swept[start] = walk_swept_sql(a, &c->walk, start);
        if (!c->setup->verifies)
            continue;
        const char *differs = c->setup->verifies->differs;
        c->sql.verify[start] = walk_verify_sql(a, &c->walk, start, differs, WALK_EVALUATES);
        c->sql.verify_blind[start] = walk_verify_sql(a, &c->walk, start, differs, WALK_BLIND);
    }
    c->sql.row = walk_row_sql(a, &c->walk);
    if (c->setup->spec.via)
        make_via_sql(a, c);
}

struct view { /* of the thread that watches */
    struct crew *crew;
    struct db *db;
    const struct backfill_watch *by;
    struct monitor monitor;
    struct forecast forecast;
    int64_t looked_ms, said_ms, told_ms;
    struct worker vacuum;
};

/* ---- how far it is ------------------------------------------------------------------------------------------- */

static int64_t number(const struct db_rows *r, int col)
{
    const char *text = db_cell(r, 0, col);

    return text ? strtoll(text, NULL, 10) : 0;
}

static struct db_call call_progress(const struct crew *c, struct arena *a)
{
    const struct backfill_question *q = c->setup->verifies;
    int64_t id = q ? q->id : c->job->id;

    return (struct db_call) {.sql = q ? sql_select_verification_progress
                                      : sql_select_backfill_progress,
                             .params = DB_PARAMS(arena_printf(a, "%lld", (long long) id))};
}

/* Of the whole job, whoever works on it. */
static bool look(struct crew *c, struct db *db, struct monitor *m, struct backfill_now *out,
                 struct err *err)
{
    AUTO(arena) a = {0};
    struct db_rows rows = {0};

    const struct db_call call = call_progress(c, &a);
    if (!db_query(db, &a, call.sql, &call.params, &rows, err))
        return false;
    if (rows.n_rows == 0)
        return err_set(err, ERR_REFUSED, "backfill %s isn't in the ledger any more",
                       c->setup->name);
    out->slices = (int) number(&rows, 3);
    out->slices_done = (int) number(&rows, 4);
    out->rows_done = number(&rows, 6);
    out->rows_changed = number(&rows, 7);
    out->batches = number(&rows, 8);
    out->residual = number(&rows, 9);
    out->quarantined = number(&rows, 10);
    monitor_set(m, db_cell(&rows, 0, 11));
    out->vacuumed_at_changed = number(&rows, 12);
    pthread_mutex_lock(&c->lock);
    out->retried = c->retried;
    out->workers = c->at_work;
    out->level = c->level;
    out->cancelled = c->cancelled;
    out->waits_for_lock = c->waits_for_lock;
    out->timeline = c->server.timeline;
    out->timeline_before = c->server_before.timeline;
    pthread_mutex_unlock(&c->lock);
    return true;
}

/* ---- workers ------------------------------------------------------------------------------------------------- */

static bool start(struct crew *c, struct worker *w, int number, void *(*body)(void *),
                  struct err *err)
{
    memset(w, 0, sizeof *w);
    w->crew = c;
    w->number = number;
    pthread_mutex_lock(&c->lock);
    c->at_work++;
    pthread_mutex_unlock(&c->lock);
    w->has_thread = pthread_create(&w->thread, NULL, body, w) == 0;
    if (w->has_thread)
        return true;
    pthread_mutex_lock(&c->lock);
    c->at_work--;
    pthread_mutex_unlock(&c->lock);
    return err_set(err, ERR_UNREACHABLE, "no thread for another worker of backfill %s",
                   c->setup->name);
}

static void stop(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    c->stops = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static bool is_stopped(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    bool stops = c->stops;
    pthread_mutex_unlock(&c->lock);
    return stops;
}

/* True: after a while somebody is still at work. */
static bool wait_for_end(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->at_work > 0)
        crew_wait(c, LOOK_MS);
    bool busy = c->at_work > 0;
    pthread_mutex_unlock(&c->lock);
    return busy;
}

static void say(struct view *v, struct backfill_now *now, int64_t mono)
{
    AUTO(err) unseen = {0}; /* a look that fails is made again */
    AUTO(arena) a = {0};
    struct crew *c = v->crew;

    /* Often, for VACUUM to come in time; seldom for those who read it. */
    if (mono - v->looked_ms < LOOK_MS || !look(c, v->db, &v->monitor, now, &unseen))
        return;
    v->looked_ms = mono;
    if (mono - v->said_ms < SAY_MS)
        return;
    v->said_ms = mono;
    forecast_take(&v->forecast, now->rows_done, mono);
    now->per_second = v->forecast.per_second;
    now->left_ms = forecast_left_ms(&v->forecast, now->rows_done, now->rows_total);
    /* Who asks for the backfill's workers doesn't mean those that only look. */
    if (mono - v->told_ms >= TELL_MS && !c->setup->verifies) {
        v->told_ms = mono;
        monitor_tell(&v->monitor, now);
    }
    pthread_mutex_lock(&c->lock);
    now->reason = c->reason.len ? arena_strdup(&a, str_text(&c->reason)) : NULL;
    pthread_mutex_unlock(&c->lock);
    if (v->by->progress)
        v->by->progress(v->by->ctx, now, false);
    now->reason = NULL;
}

static void vacuum(struct view *v, const struct backfill_now *now)
{
    struct crew *c = v->crew;
    AUTO(err) ignored = {0};

    if (c->setup->verifies || !vacuum_is_due(c, &v->monitor, now) || !vacuum_claim(c, v->db, now))
        return;
    if (v->vacuum.has_thread)
        pthread_join(v->vacuum.thread, NULL);
    pthread_mutex_lock(&c->lock);
    c->vacuum_begun = true;
    pthread_mutex_unlock(&c->lock);
    if (!start(c, &v->vacuum, c->n_pids, vacuum_main, &ignored)) {
        pthread_mutex_lock(&c->lock);
        c->vacuum_begun = false;
        pthread_mutex_unlock(&c->lock);
    }
}

/* A line each. */
static void tell_said(struct view *v)
{
    struct crew *c = v->crew;
    AUTO(str) said = {0};

    pthread_mutex_lock(&c->lock);
    if (c->said.len > 0)
        str_set(&said, str_text(&c->said));
    str_clear(&c->said);
    pthread_mutex_unlock(&c->lock);
    for (char *line = said.text, *end; line && *line; line = end) {
        size_t n = strcspn(line, "\n");

        end = line[n] ? line + n + 1 : line + n;
        line[n] = '\0';
        if (n > 0 && v->by->said)
            v->by->said(v->by->ctx, line);
    }
}

/* Until all have ended. */
static bool watch(struct view *v, struct backfill_now *now, struct err *err)
{
    bool good = true;

    while (wait_for_end(v->crew)) {
        if (good && v->by->may_go_on && !v->by->may_go_on(v->by->ctx, err)) {
            good = false;
            stop(v->crew);
        }
        monitor_look(&v->monitor);
        tell_said(v);
        if (is_stopped(v->crew)) {
            monitor_stop_vacuum(&v->monitor);
            continue;
        }
        say(v, now, clock_mono_ms(v->crew->ports->clock));
        vacuum(v, now);
    }
    return good;
}

/* Threads that do the same, until they have all ended. */
static bool run(struct view *v, struct worker *workers, int n, void *(*body)(void *),
                struct backfill_now *now, struct err *err)
{
    struct crew *c = v->crew;
    bool good = true;
    int begun = 0;

    for (; good && begun < n; begun++)
        good = start(c, &workers[begun], begun + 1, body, err);
    if (!good)
        stop(c);
    AUTO(err) second = {0};
    bool watched = watch(v, now, good ? err : &second);
    for (int i = 0; i < begun; i++)
        if (workers[i].has_thread)
            pthread_join(workers[i].thread, NULL);
    if (!good || !watched)
        return false;
    if (c->why.kind == ERR_NONE)
        return true;
    err_move(err, &c->why);
    return false;
}

static bool is_walked(const struct backfill_now *now)
{
    return now->slices > 0 && now->slices_done == now->slices;
}

/* All slices; then, where this run is the one that ends the job, what they left. */
static bool work(struct view *v, struct worker *workers, struct backfill_now *now, struct err *err)
{
    const struct backfill_setup *s = v->crew->setup;

    if (!look(v->crew, v->db, &v->monitor, now, err))
        return false;
    if (s->only_bad_rows)
        return run(v, workers, 1, residual_main, now, err);
    if (!run(v, workers, s->workers, worker_main, now, err) ||
        !look(v->crew, v->db, &v->monitor, now, err))
        return false;
    if (!s->ends_job || !is_walked(now) ||
        (now->residual == 0 && now->quarantined == 0 && !v->crew->walk.by_blocks))
        return true;
    return run(v, workers, 1, residual_main, now, err);
}

static void begin(struct crew *c, struct view *v, struct arena *a)
{
    const struct backfill_knobs *k = &c->setup->knobs;

    c->limits = k->batch;
    c->n_pids = c->setup->workers + 1;
    c->pids = arena_array(a, int, c->n_pids);
    c->is_cancelled = arena_array(a, bool, c->n_pids);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    pace_begin(&c->pace, k->max_duty, k->max_duty, clock_mono_ms(c->ports->clock));
    c->walk.keeps_for = c->setup->keeps_before ? c->job->id : 0;
    make_sql(a, c);
    monitor_begin(&v->monitor, c);
}

static void end(struct crew *c, struct view *v)
{
    if (v->vacuum.has_thread)
        pthread_join(v->vacuum.thread, NULL);
    monitor_end(&v->monitor);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    tell_said(v);
    str_free(&c->said);
    str_free(&c->reason);
    err_clear(&c->why);
}

bool backfill_work(struct ports *ports, struct db *db, struct arena *a,
                   const struct backfill_setup *s, const struct backfill_table *t,
                   const struct backfill_job *job, const struct backfill_watch *by,
                   struct backfill_now *out, bool *finished, struct err *err)
{
    struct crew c = {
        .ports = ports, .setup = s, .table = t, .job = job, .walk = backfill_walk(s, t)};
    struct view v = {.crew = &c, .db = db, .by = by};
    struct worker *workers = arena_array(a, struct worker, s->workers);

    memset(out, 0, sizeof *out);
    if (!server_settle(db, s, job->id, &c.server, &c.server_before, err))
        return false;
    out->rows_total = job->rows_total;
    out->left_ms = -1;
    begin(&c, &v, a);
    bool good = work(&v, workers, out, err);
    AUTO(err) second = {0};
    bool seen = look(&c, db, &v.monitor, out, good ? err : &second);
    *finished = good && seen && is_walked(out) && (!s->ends_job || out->residual == 0);
    if (seen && by->progress)
        by->progress(by->ctx, out, true);
    end(&c, &v);
    return good && seen;
}
