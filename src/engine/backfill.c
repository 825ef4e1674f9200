/* Backfill: a task whose rows are filled by the workers of src/backfill; here it is begun, watched and recorded. */
#include "internal.h"

#include "backfill_before.h"
#include "sql_embedded.h"

#include <stdlib.h>

#define WORKERS_MAX 64
#define HOLDER_EVERY_MS 5000

struct filler {
    struct work *w;
    const struct task *t;
    struct backfill_setup setup;
    struct backfill_table table;
    struct backfill_job job;
    struct backfill_now now;
    struct history_row *row;       /* of its end; NULL: the task's own */
    int64_t begun_ms, rows_before; /* of this run: for its rate */
    int64_t holder_said_ms, timeline_said;
};

static int64_t given(int64_t value, int64_t usual) { return value != MODEL_UNSET ? value : usual; }

/* The plan's throttle:, with what the environment fills in. */
static bool throttle(struct work *w, const struct backfill *b, struct backfill_knobs *k,
                     struct err *err)
{
    for (int i = 0; i < b->throttle.n; i++) {
        const struct pair *pair = &b->throttle.items[i];
        const char *value = NULL, *why = NULL;

        if (!text_resolved(w->e, w->a, &pair->value, &value, err))
            return false;
        if (!knob_take(k, pair->key.s, value, &why))
            return err_set(err, ERR_INPUT, "%s: throttle %s: expected %s, not \"%s\"",
                           pos_text(w->a, pair->value.at), pair->key.s, why, pair->value.s);
    }
    return true;
}

/* What programs expect to have. Everything else stays here: passwords, tokens and URLs come in variables of any name. */
static const char *const *via_environment(struct work *w)
{
    static const char *const names[] = {"PATH",     "HOME",       "USER",       "LOGNAME",
                                        "SHELL",    "TMPDIR",     "TZ",         "LANG",
                                        "LANGUAGE", "LC_ALL",     "LC_CTYPE",   "LC_NUMERIC",
                                        "LC_TIME",  "LC_COLLATE", "LC_MESSAGES"};
    struct host *h = w->e->ports->host;
    const size_t n = sizeof names / sizeof *names;
    const char **env = arena_array(w->a, const char *, n + 1);
    int used = 0;

    for (size_t i = 0; i < n; i++) {
        const char *value = h->ops->env(h, names[i]);
        if (value)
            env[used++] = arena_printf(w->a, "%s=%s", names[i], value);
    }
    return env;
}

static void settle_via(struct work *w, const struct backfill *b, struct backfill_setup *s)
{
    const char **argv = arena_array(w->a, const char *, b->via.n + 1);

    if (b->via.n == 0)
        return;
    for (int i = 0; i < b->via.n; i++)
        argv[i] = b->via.items[i].s;
    s->via = argv;
    s->via_env = via_environment(w);
}

static bool settle(struct work *w, const struct task *t, struct filler *f, struct err *err)
{
    const struct backfill *b = t->backfill;
    const struct batch_limits usual = BATCH_LIMITS_DEFAULT;
    struct backfill_setup *s = &f->setup;
    const char **key = arena_array(w->a, const char *, b->key.n);

    for (int i = 0; i < b->key.n; i++)
        key[i] = b->key.items[i].s;
    s->plan = w->p->id.s;
    s->name = b->id.s;
    s->checksum = t->checksum;
    s->key = key;
    s->n_key = b->key.n;
    s->search_path = w->e->search_path;
    const struct batch_limits batch = {
        given(b->batch_rows, usual.start), given(b->batch_min, usual.min),
        given(b->batch_max, usual.max),
        (double) given(b->batch_target_ms, (int64_t) usual.target_ms), usual.max_bytes};
    knobs_begin(&s->knobs, &batch);
    s->knobs.has_min = b->batch_min != MODEL_UNSET;
    s->knobs.has_max = b->batch_max != MODEL_UNSET;
    s->workers = (int) given(b->workers, 1);
    s->workers = s->workers < 1 ? 1 : s->workers > WORKERS_MAX ? WORKERS_MAX : s->workers;
    s->ends_job = true;
    s->takes_server = w->o->force;
    s->stops_at_bad_row = b->on_bad_row_stop;
    s->keeps_before = b->keeps_before;
    s->max_bad_rows = given(b->max_bad_rows, 0);
    s->lock_ms = w->e->policy.lock_timeout_ms;
    s->statement_ms = w->e->policy.statement_timeout_ms;
    s->url = w->e->db_url;
    s->label = session_label(w);
    s->runner = w->e->run_id;
    s->owner = arena_printf(w->a, "%s:%lld", w->e->ports->host->ops->hostname(w->e->ports->host),
                            (long long) w->e->ports->host->ops->pid(w->e->ports->host));
    settle_via(w, b, s);
    return throttle(w, b, &s->knobs, err);
}

/* ---- watching ---------------------------------------------------------------------------------------------- */

static bool may_go_on(void *ctx, struct err *err)
{
    struct filler *f = ctx;

    return work_may_go_on(f->w, err);
}

static void said(void *ctx, const char *line)
{
    struct filler *f = ctx;

    emit(f->w, EVENT_INFO, f->t->id, "%s: %s", f->setup.via[0], line);
}

static void say_holder(struct filler *f, int64_t now)
{
    if (f->holder_said_ms && now - f->holder_said_ms < HOLDER_EVERY_MS)
        return;
    f->holder_said_ms = now;
    emit(f->w, EVENT_RETRY, f->t->id, "lock on rows of %s not got: held by %s", f->table.quoted,
         lock_holder(f->w, f->table.quoted));
}

static void say_failover(struct filler *f, const struct backfill_now *now)
{
    if (f->timeline_said == 0)
        f->timeline_said = now->timeline_before;
    if (now->timeline <= f->timeline_said)
        return;
    emit(f->w, EVENT_WARNING, f->t->id,
         "there was a failover: timeline %lld, after %lld; going on from the cursor of this server",
         (long long) now->timeline, (long long) f->timeline_said);
    f->timeline_said = now->timeline;
}

/* What an earlier run did took none of this one's time. */
static void progress(void *ctx, const struct backfill_now *now, bool is_last)
{
    struct filler *f = ctx;
    int64_t mono = clock_mono_ms(f->w->e->ports->clock), ms = mono - f->begun_ms;
    const struct fill_counts fill = {.changed = now->rows_changed,
                                     .failed = now->quarantined,
                                     .retried = now->retried,
                                     .batches = now->batches,
                                     .residual = now->residual,
                                     .left_ms = now->left_ms,
                                     .since_ms = now->since_ms,
                                     .workers = now->workers,
                                     .slices = now->slices,
                                     .slices_done = now->slices_done,
                                     .level = signal_level_word(now->level),
                                     .reason = now->reason,
                                     .is_last = is_last};
    struct event ev = {.kind = EVENT_PROGRESS,
                       .plan = f->w->p->id.s,
                       .phase = phase_word(f->w->phase),
                       .task = f->t->id,
                       .message = "rows",
                       .number = now->rows_done,
                       .total = now->rows_total,
                       .fill = &fill};

    ev.rate = ms > 0 ? 1000.0 * (double) (now->rows_done - f->rows_before) / (double) ms : 0;
    f->w->state.rows_done = now->rows_done;
    events_emit(f->w->e->ports->events, &ev);
    if (now->waits_for_lock)
        say_holder(f, mono);
    say_failover(f, now);
}

/* ---- beginning and end --------------------------------------------------------------------------------------- */

/* Without statistics nobody knows how many rows there are, nor where to cut them. */
static bool analyze(struct work *w, const char *table, struct err *err)
{
    AUTO(err) ignored = {0};

    if (session_user_path(w, true, err) &&
        db_exec(w->e->db, arena_printf(w->a, "ANALYZE %s", table), &DB_NO_PARAMS, err) &&
        session_user_path(w, false, err))
        return true;
    if (!err_is(err, ERR_SQL) && !err_is(err, ERR_LOCK_TIMEOUT))
        return false;
    err_clear(err);
    (void) !session_user_path(w, false, &ignored);
    return true;
}

/* A row without a key is in no range: it would never be walked over. */
static bool has_null_keys(struct work *w, const struct filler *f, bool *out, struct err *err)
{
    AUTO(str) sql = {0};
    struct db_rows rows = {0};

    str_addf(&sql, "SELECT EXISTS (SELECT 1 FROM %s%s WHERE ", f->table.has_parts ? "" : "ONLY ",
             f->table.quoted);
    for (int i = 0; i < f->table.n_keys; i++) {
        str_add(&sql, i ? " OR " : "");
        sql_ident(&sql, f->table.keys[i]);
        str_add(&sql, " IS NULL");
    }
    str_add(&sql, ")");
    if (!session_user_path(w, true, err) ||
        !db_query(w->e->db, w->a, str_text(&sql), &DB_NO_PARAMS, &rows, err)) {
        AUTO(err) ignored = {0};

        if (db_is_usable(w->e->db))
            (void) !session_user_path(w, false, &ignored);
        return false;
    }
    if (!session_user_path(w, false, err))
        return false;
    *out = strcmp(db_cell(&rows, 0, 0), "t") == 0;
    return true;
}

/* Without a key nothing names a row for longer than until somebody changes it. Such a job isn't gone on with by a key that
 * was made meanwhile, nor the other way round: it reads differently. */
static bool take_blocks(struct work *w, struct filler *f, struct err *err)
{
    const struct pos at = f->t->backfill->at;
    const char *what = NULL;

    if (!f->table.by_blocks)
        return true;
    f->setup.checksum = arena_printf(w->a, "%s %s", f->t->checksum, WALK_CTID);
    if (!f->setup.spec.tells_left)
        what = "say in where: which rows are still to do";
    else if (f->setup.max_bad_rows > 0)
        what = "without max_bad_rows no row has to be remembered";
    if (!what)
        return true;
    err_set(err, ERR_INPUT, "%s:%d:%d: table %s has no primary key by which backfill %s could %s",
            at.file, at.line, at.col, f->table.quoted, f->setup.name,
            f->setup.spec.tells_left ? "remember rows that can't be filled"
                                     : "find the rows that others move meanwhile");
    return err_hint(err, "%s; or name the columns of a unique index without NULLs in key:", what);
}

static bool look(struct work *w, struct filler *f, struct err *err)
{
    bool has_nulls = false;
    const struct pos at = f->t->backfill->at;
    AUTO(str) name = {0};

    sql_qualified(&name, f->setup.spec.schema, f->setup.spec.table);
    if (!analyze(w, str_text(&name), err))
        return false;
    if (!backfill_look(w->e->db, w->a, &f->setup, &f->table, err)) {
        if (!err_is(err, ERR_INPUT))
            return false;
        return err_set(err, ERR_INPUT, "%s:%d:%d: table %s of backfill %s isn't there", at.file,
                       at.line, at.col, str_text(&name), f->setup.name);
    }
    if (!take_blocks(w, f, err))
        return false;
    if (f->setup.n_key > 0 && f->table.n_keys > 0 && !f->table.by_blocks &&
        !has_null_keys(w, f, &has_nulls, err))
        return false;
    if (f->table.n_keys > 0 && !has_nulls)
        return true;
    if (has_nulls)
        err_set(err, ERR_INPUT,
                "%s:%d:%d: table %s has rows whose key is NULL: backfill %s would not reach them",
                at.file, at.line, at.col, f->table.quoted, f->setup.name);
    else
        err_set(err, ERR_INPUT,
                "%s:%d:%d: table %s has no primary key for backfill %s to walk along", at.file,
                at.line, at.col, f->table.quoted, f->setup.name);
    return err_hint(err, "name the columns of a unique index without NULLs in key:");
}

/* For the report only: a role that may not ask isn't kept from filling. */
static void note_start(struct work *w, const struct filler *f)
{
    AUTO(err) ignored = {0};

    (void) !db_exec(w->e->db, sql_update_backfill_start,
                    &DB_PARAMS(arena_printf(w->a, "%lld", (long long) f->job.id),
                               arena_printf(w->a, "%u", f->table.oid)),
                    &ignored);
}

/* What it will take, for comparing afterwards; without it the work goes on. */
static bool note_estimate(struct work *w, const struct filler *f, struct err *err)
{
    struct estimate_basis b;
    struct estimate e;

    if (!backfill_basis(w, &f->setup, &f->table, &b, err)) {
        if (!err_is(err, ERR_SQL) && !err_is(err, ERR_LOCK_TIMEOUT))
            return false;
        err_clear(err);
        return true;
    }
    estimate_make(&b, &e);
    return db_exec(w->e->db, sql_update_backfill_estimate,
                   &DB_PARAMS(arena_printf(w->a, "%lld", (long long) f->job.id),
                              arena_printf(w->a, "%lld", (long long) e.rows),
                              arena_printf(w->a, "%lld", (long long) e.batches),
                              arena_printf(w->a, "%lld", (long long) e.ms),
                              arena_printf(w->a, "%lld", (long long) e.wal_bytes),
                              arena_printf(w->a, "%lld", (long long) e.growth_bytes)),
                   err);
}

/* Of a backfill that begins; one that goes on has shown that it can. */
static bool try_first(struct work *w, const struct filler *f, struct err *err)
{
    return backfill_check_shape(w, f->t, &f->setup, &f->table, err) &&
           backfill_check_twice(w, f->t, &f->setup, &f->table, err) && note_estimate(w, f, err);
}

/* Somebody may have the whole table for a while, as for the lock of a step. */
static bool begin(struct work *w, struct filler *f, bool *empty, struct err *err)
{
    AUTO(str) name = {0};

    sql_qualified(&name, f->setup.spec.schema, f->setup.spec.table);
    for (int attempt = 0;;) {
        if (look(w, f, err) &&
            backfill_begin(w->e->db, w->a, &f->setup, &f->table, &f->job, empty, err) &&
            (*empty || f->job.rows_done > 0 || try_first(w, f, err)))
            return true;
        if (!err_is(err, ERR_LOCK_TIMEOUT) ||
            !lock_back_off(w, arena_strdup(w->a, str_text(&name)), &attempt, err))
            return false;
        err_clear(err);
    }
}

static bool fill(struct work *w, struct filler *f, struct err *err)
{
    const struct backfill_watch watch = {f, may_go_on, progress, said};
    bool empty = false, finished = false;

    if (!begin(w, f, &empty, err))
        return false;
    if (empty)
        return true;
    f->begun_ms = clock_mono_ms(w->e->ports->clock);
    f->rows_before = f->job.rows_done;
    if (f->job.rows_done > 0)
        emit(w, EVENT_INFO, f->t->id, "going on after %lld rows", (long long) f->job.rows_done);
    else
        note_start(w, f);
    if (!backfill_work(w->e->ports, w->e->db, w->a, &f->setup, &f->table, &f->job, &watch, &f->now,
                       &finished, err)) {
        if (err_is(err, ERR_LOCK_TIMEOUT) && db_is_usable(w->e->db)) {
            err_detail(err, "The lock is held by %s.", lock_holder(w, f->table.quoted));
            err_hint(err, "end that session or wait for it, then run the same command again");
        }
        return false;
    }
    if (finished)
        return true;
    err_set(err, ERR_STOPPED, "backfill %s was stopped, or begun anew, by somebody else",
            f->setup.name);
    return err_hint(err, "phasegate status %s", w->p->id.s);
}

/* The job's end and the task's row together: a job that is done begins at the start when it runs again. */
static bool record_done(struct work *w, const struct filler *f, int64_t ms, struct err *err)
{
    struct txn x;

    txn_begin(w, &x, w->e->policy.lock_timeout_ms, w->e->policy.statement_timeout_ms);
    if (f->job.id)
        *txn_slot(&x) = (struct db_call) {
            .sql = sql_finish_backfill_job,
            .params = DB_PARAMS(arena_printf(w->a, "%lld", (long long) f->job.id), "done", NULL,
                                arena_printf(w->a, "%lld", (long long) f->now.retried),
                                arena_printf(w->a, "%u", f->table.oid))};
    if (f->row)
        ledger_history_call(w->a, f->row, txn_slot(&x));
    else
        record_task(w, &x, f->t, "done", ms, NULL, NULL, NULL);
    return txn_commit(w, &x, err);
}

/* One that this version can't run, or that says too little. */
static bool check(struct work *w, const struct task *t, struct backfill_spec *out, struct err *err)
{
    const struct pos at = t->backfill->at;
    const char *why = NULL;

    if (!backfill_spec_of(w->a, w->p, t->backfill, out, &why))
        return err_set(err, ERR_INPUT, "%s:%d:%d: backfill %s can't run: %s", at.file, at.line,
                       at.col, t->backfill->id.s, why);
    /* What only the new side knows isn't overwritten with what the old one last knew. */
    if (sync_is_one_way(w) && backfill_is_of_sync(w->p, out))
        out->todo = arena_printf(w->a, "(%s) AND (%s)", out->todo, sync_unwritten_sql(w->a, w->p));
    return true;
}

bool backfill_settle(struct work *w, const struct task *t, struct backfill_setup *out,
                     struct err *err)
{
    struct filler f = {.w = w, .t = t};

    if (!check(w, t, &f.setup.spec, err) || !settle(w, t, &f, err))
        return false;
    *out = f.setup;
    return true;
}

static const char *summary(struct work *w, const struct backfill_now *now)
{
    AUTO(str) s = {0};

    str_addf(&s, "%lld rows changed", (long long) now->rows_changed);
    if (now->quarantined)
        str_addf(&s, ", %lld can't be filled", (long long) now->quarantined);
    return arena_strdup(w->a, str_text(&s));
}

bool backfill_run(struct work *w, const struct task *t, struct err *err)
{
    struct filler f = {.w = w, .t = t};
    int64_t started = clock_mono_ms(w->e->ports->clock);

    if (!check(w, t, &f.setup.spec, err))
        return false;
    if (!settle(w, t, &f, err) || !fill(w, &f, err))
        return false;
    int64_t ms = clock_mono_ms(w->e->ports->clock) - started;
    report_task(w, t, "done", ms, summary(w, &f.now));
    return record_done(w, &f, ms, err);
}

bool backfill_fix(struct work *w, const struct task *t, struct history_row *row, int64_t *changed,
                  struct err *err)
{
    struct filler f = {.w = w, .t = t, .row = row};
    int64_t started = clock_mono_ms(w->e->ports->clock);

    if (!check(w, t, &f.setup.spec, err) || !settle(w, t, &f, err) || !fill(w, &f, err))
        return false;
    *changed = f.now.rows_changed;
    row->duration_ms = clock_mono_ms(w->e->ports->clock) - started;
    row->description = arena_printf(w->a, "%s, in batches", summary(w, &f.now));
    return record_done(w, &f, row->duration_ms, err);
}

/* The job as it was begun; it is to read as it did then. */
static bool find(struct work *w, const struct task *t, struct filler *f, struct err *err)
{
    if (!backfill_look(w->e->db, w->a, &f->setup, &f->table, err) || !take_blocks(w, f, err) ||
        !ledger_backfill_job(w->e->db, w->a, f->setup.plan, f->setup.name, &f->job, err))
        return false;
    if (f->job.checksum && t->checksum && strcmp(f->job.checksum, f->setup.checksum) == 0)
        return true;
    err_set(err, ERR_REFUSED, "%s: backfill %s reads differently from the one that runs",
            pos_text(w->a, t->backfill->at), f->setup.name);
    err_reason(err, "edited");
    return err_hint(err, "work on it with the plan as it was when it began");
}

bool backfill_join(struct work *w, const struct task *t, int workers, bool only_bad_rows,
                   struct backfill_now *out, struct err *err)
{
    struct filler f = {.w = w, .t = t};
    const struct backfill_watch watch = {&f, may_go_on, progress, said};
    bool finished = false;

    if (!check(w, t, &f.setup.spec, err))
        return false;
    if (!settle(w, t, &f, err))
        return false;
    f.setup.workers = workers > 0 ? workers : f.setup.workers;
    f.setup.ends_job = false;
    f.setup.only_bad_rows = only_bad_rows;
    if (only_bad_rows)
        f.setup.max_bad_rows = INT32_MAX;
    /* Not "phasegate/": a run that begins isn't to wait for these sessions, which may stay for hours. */
    f.setup.label = arena_printf(w->a, "phasegate-backfill/%s/%s", w->e->run_id, f.setup.name);
    if (!find(w, t, &f, err))
        return false;
    f.begun_ms = clock_mono_ms(w->e->ports->clock);
    f.rows_before = f.job.rows_done;
    return backfill_work(w->e->ports, w->e->db, w->a, &f.setup, &f.table, &f.job, &watch, out,
                         &finished, err);
}

/* A session that only looks and may stay for hours: a run that begins isn't to wait for it. */
static void settle_verification(struct work *w, struct filler *f)
{
    f->setup.ends_job = false;
    f->setup.label = arena_printf(w->a, "phasegate-verify/%s/%s", w->e->run_id, f->setup.name);
}

static bool verify_begin(struct work *w, const struct task *t, struct filler *f,
                         struct backfill_question *out, struct err *err)
{
    /* From the first write of the new side on, nothing but that side knows what is right. */
    bool compares = !(sync_is_one_way(w) && backfill_is_of_sync(w->p, &f->setup.spec));

    if (!backfill_verify_begin(w->e->db, w->a, &f->setup, &f->table, &f->job, compares, out, err))
        return err_note(err, "verifying backfill %s", f->setup.name);
    f->setup.verifies = out;
    f->begun_ms = clock_mono_ms(w->e->ports->clock);
    f->rows_before = out->rows_before;
    if (out->rows_before > 0)
        emit(w, EVENT_INFO, t->id, "going on with a verification after %lld rows",
             (long long) out->rows_before);
    return true;
}

bool backfill_verify_job(struct work *w, const struct task *t, struct backfill_question *out,
                         struct err *err)
{
    struct filler f = {.w = w, .t = t};
    const struct backfill_watch watch = {&f, may_go_on, progress};
    bool finished = false;

    if (!check(w, t, &f.setup.spec, err) || !settle(w, t, &f, err))
        return false;
    settle_verification(w, &f);
    if (!find(w, t, &f, err) || !verify_begin(w, t, &f, out, err) ||
        !backfill_work(w->e->ports, w->e->db, w->a, &f.setup, &f.table, &f.job, &watch, &f.now,
                       &finished, err))
        return false;
    return db_exec(w->e->db, sql_finish_backfill_verification,
                   &DB_PARAMS(arena_printf(w->a, "%lld", (long long) out->id)), err);
}
