/* app_sim: instances of the application, their sessions and their statistics. */
#include "demo/app_sim_int.h"

#include <curl/curl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SWITCH_LIMIT_S 10
#define RECONNECT_MS 100

struct failure {
    char sqlstate[6];
    const char *release, *statement;
    struct str message;
    int64_t count;
};

struct instance {
    struct app_sim *sim;
    pthread_t thread;
    bool is_running;
    /* the thread's own */
    PGconn *conn;
    const struct app_release *release;
    bool *prepared; /* by statement of the release */
    struct app_flags *flags;
    struct app_dice dice;
    uint8_t view; /* flags of the request under way */
    /* shared */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct app_release *wanted, *serving; /* serving: of the last request that succeeded */
    bool stop;
    int64_t requests, failed, refused, max_us;
    int64_t histogram[APP_BUCKETS];
    struct app_sim_flag counted[APP_SIM_FLAGS];
    int n_counted;
    struct failure failures[APP_SIM_FAILURES];
    int n_failures;
};

struct app_sim {
    struct app_sim_options o;
    struct str conninfo;
    struct instance instances[APP_SIM_INSTANCES];
    int n;
    int64_t before[APP_BUCKETS]; /* all instances together at the last snapshot */
    int64_t before_requests;
    int64_t marked[APP_BUCKETS]; /* at the mark */
    int64_t marked_requests;
};

int64_t app_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- one request -------------------------------------------------------------------------------- */

struct outcome { /* of a request */
    bool failed, refused;
    char sqlstate[6];
    const char *statement; /* that failed */
    struct str message;
    const struct statement *ran[APP_CALLS + 1];
    int n_ran;
};

static void outcome_fail(struct outcome *o, const char *statement, const PGresult *res,
                         const char *message)
{
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *text = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;

    if (o->failed)
        return; /* the first one is the cause */
    o->failed = true;
    o->statement = statement;
    for (int i = 0; state && state[i] && i < 5; i++)
        o->sqlstate[i] = state[i];
    text = text ? text : message;
    str_addn(&o->message, text, strcspn(text, "\n"));
}

static bool run_command(struct instance *in, const char *sql, struct outcome *o)
{
    PGresult *res = PQexec(in->conn, sql);
    bool good = PQresultStatus(res) == PGRES_COMMAND_OK && strcmp(PQcmdStatus(res), sql) == 0;

    if (!good)
        outcome_fail(o, sql, res, PQerrorMessage(in->conn));
    PQclear(res);
    return good;
}

static bool is_on(void *ctx, const char *flag)
{
    struct instance *in = ctx;

    return app_flags_is_on(in->flags, in->view, flag);
}

/* Once per session and then held, across every change of the schema: as drivers do. */
static bool prepare(struct instance *in, const struct statement *st, const char *name,
                    struct outcome *o)
{
    size_t at = (size_t) (st - in->release->statements->items);

    if (in->prepared[at])
        return true;
    PGresult *res = PQprepare(in->conn, name, st->dollar_sql, 0, NULL);
    in->prepared[at] = PQresultStatus(res) == PGRES_COMMAND_OK;
    if (!in->prepared[at])
        outcome_fail(o, st->name, res, PQerrorMessage(in->conn));
    PQclear(res);
    return in->prepared[at];
}

static bool execute(struct instance *in, const struct app_call *call, const struct statement *st,
                    const char *name, struct outcome *o, bool *hit)
{
    struct str texts[APP_PARAMS] = {{0}};
    const char *values[APP_PARAMS];
    int n = 0;

    for (; n < APP_PARAMS && call->params[n] != APP_PARAM_NONE; n++) {
        app_param_text(&in->dice, call->params[n], &texts[n]);
        values[n] = str_text(&texts[n]);
    }
    PGresult *res = PQexecPrepared(in->conn, name, n, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(res);
    bool good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    if (good)
        *hit = PQntuples(res) > 0 ||
               (status == PGRES_COMMAND_OK && strcmp(PQcmdTuples(res), "0") != 0);
    else
        outcome_fail(o, st->name, res, PQerrorMessage(in->conn));
    PQclear(res);
    for (int i = 0; i < n; i++)
        str_free(&texts[i]);
    return good;
}

static bool run_call(struct instance *in, const struct app_call *call, struct outcome *o)
{
    const struct statement *st =
        statement_pick(in->release->statements, call->statement, is_on, in);
    AUTO(str) name = {0};
    bool hit = false;

    if (!st) {
        outcome_fail(o, call->statement, NULL, "the release has no variant of it for these flags");
        return false;
    }
    o->ran[o->n_ran++] = st;
    str_addf(&name, "s%td", st - in->release->statements->items);
    if (!prepare(in, st, str_text(&name), o) || !execute(in, call, st, str_text(&name), o, &hit))
        return false;
    o->refused = call->must_hit && !hit;
    return !o->refused;
}

static void run_transaction(struct instance *in, const struct app_transaction *t, struct outcome *o)
{
    bool many = t->calls[1].statement != NULL;
    AUTO(str) bucket = {0};

    /* A customer's requests go by the customer; ids of both kinds must not be mixed up. */
    if (t->bucket == APP_PARAM_CUSTOMER)
        str_addf(&bucket, "customer-%d", in->dice.customer);
    else
        str_addf(&bucket, "%d", in->dice.account);
    in->view = app_flags_view(in->flags, str_text(&bucket));

    bool good = !many || run_command(in, "BEGIN", o);
    for (const struct app_call *c = t->calls; good && c->statement; c++)
        good = run_call(in, c, o);
    if (many && good)
        run_command(in, "COMMIT", o);
    else if (many && PQtransactionStatus(in->conn) != PQTRANS_IDLE)
        run_command(in, "ROLLBACK", o);
}

/* ---- statistics ---------------------------------------------------------------------------------------- */

static struct app_sim_flag *flag_slot(struct app_sim_flag *flags, int *n, const char *key)
{
    for (int i = 0; i < *n; i++)
        if (strcmp(flags[i].key, key) == 0)
            return &flags[i];
    if (*n == APP_SIM_FLAGS)
        return NULL;
    flags[*n] = (struct app_sim_flag) {.key = key};
    return &flags[(*n)++];
}

/* Each flag counts once a request, on when any of its statements was the new one. */
static void record_paths(struct instance *in, const struct outcome *o)
{
    bool took_on[APP_SIM_FLAGS] = {false}, took[APP_SIM_FLAGS] = {false};

    for (int i = 0; i < o->n_ran; i++) {
        for (int w = 0; w < o->ran[i]->n_when; w++) {
            const struct statement_when *when = &o->ran[i]->when[w];
            struct app_sim_flag *f = flag_slot(in->counted, &in->n_counted, when->flag);

            if (!f)
                continue;
            took[f - in->counted] = true;
            took_on[f - in->counted] |= when->on;
        }
    }
    for (int i = 0; i < in->n_counted; i++) {
        if (!took[i])
            continue;
        in->counted[i].on += took_on[i];
        in->counted[i].off += !took_on[i];
        if (took_on[i])
            in->counted[i].last_on_ms = app_now_us() / 1000;
    }
}

static void record_failure(struct instance *in, const struct outcome *o)
{
    const char *release = in->release ? in->release->version : "";

    in->failed++;
    for (int i = 0; i < in->n_failures; i++) {
        struct failure *f = &in->failures[i];

        if (strcmp(f->sqlstate, o->sqlstate) == 0 && strcmp(f->statement, o->statement) == 0 &&
            strcmp(f->release, release) == 0) {
            f->count++;
            return;
        }
    }
    if (in->n_failures == APP_SIM_FAILURES)
        return;
    struct failure *f = &in->failures[in->n_failures++];
    *f = (struct failure) {.release = release, .statement = o->statement, .count = 1};
    memcpy(f->sqlstate, o->sqlstate, sizeof f->sqlstate);
    str_set(&f->message, str_text(&o->message));
}

static void record(struct instance *in, const struct outcome *o, int64_t us)
{
    pthread_mutex_lock(&in->lock);
    in->requests++;
    in->refused += o->refused;
    in->histogram[app_bucket(us)]++;
    if (us > in->max_us)
        in->max_us = us;
    record_paths(in, o);
    if (o->failed)
        record_failure(in, o);
    else if (in->serving != in->release) {
        in->serving = in->release;
        pthread_cond_broadcast(&in->changed);
    }
    pthread_mutex_unlock(&in->lock);
}

/* ---- an instance ------------------------------------------------------------------------------------------ */

static void no_notice(void *arg, const PGresult *res)
{
    (void) arg;
    (void) res;
}

static void session_end(struct instance *in)
{
    PQfinish(in->conn);
    in->conn = NULL;
    free(in->prepared);
    in->prepared = NULL;
}

static bool session_begin(struct instance *in, struct outcome *o)
{
    AUTO(str) label = {0};
    const char *const names[] = {"dbname", "application_name", "connect_timeout", NULL};

    str_addf(&label, "shop/%s", in->release->version);
    const char *const values[] = {str_text(&in->sim->conninfo), str_text(&label), "3", NULL};
    in->conn = PQconnectdbParams(names, values, 1);
    if (PQstatus(in->conn) != CONNECTION_OK) {
        outcome_fail(o, "connect", NULL, PQerrorMessage(in->conn));
        session_end(in);
        return false;
    }
    PQsetNoticeReceiver(in->conn, no_notice, NULL);
    in->prepared = calloc((size_t) in->release->statements->n + 1, sizeof *in->prepared);
    if (!in->prepared)
        abort();
    return true;
}

static void serve_one(struct instance *in)
{
    struct outcome o = {0};
    const struct app_transaction *t = app_dice_roll(&in->dice);
    int64_t began = app_now_us();

    if (in->conn || session_begin(in, &o))
        run_transaction(in, t, &o);
    record(in, &o, app_now_us() - began);
    /* A lost session: this request has failed, the next one gets a new session. */
    if (in->conn && PQstatus(in->conn) != CONNECTION_OK)
        session_end(in);
    str_free(&o.message);
}

/* Waits ms or until something is asked of the instance. False: it is to end. */
static bool take_orders(struct instance *in, int ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms % 1000 * 1000000L;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&in->lock);
    if (ms > 0 && !in->stop && in->wanted == in->release)
        pthread_cond_clockwait(&in->changed, &in->lock, CLOCK_MONOTONIC, &until);
    bool stop = in->stop;
    const struct app_release *wanted = in->wanted;
    pthread_mutex_unlock(&in->lock);
    if (!stop && wanted != in->release) {
        session_end(in);
        in->release = wanted;
    }
    return !stop;
}

static void *serve(void *arg)
{
    struct instance *in = arg;

    while (take_orders(in, in->release && !in->conn ? RECONNECT_MS : in->sim->o.think_ms))
        serve_one(in);
    session_end(in);
    return NULL;
}

/* ---- the fleet ---------------------------------------------------------------------------------------------- */

static bool wait_serving(struct instance *in, const struct app_release *release, struct err *err)
{
    struct timespec until;
    int waited = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SWITCH_LIMIT_S;
    pthread_mutex_lock(&in->lock);
    while (in->serving != release && waited == 0)
        waited = pthread_cond_clockwait(&in->changed, &in->lock, CLOCK_MONOTONIC, &until);
    bool good = in->serving == release;
    if (!good) {
        err_set(err, ERR_STOPPED, "an instance of release %s has served no request in %d s",
                release->version, SWITCH_LIMIT_S);
        if (in->n_failures > 0)
            err_detail(err, "%s: %s %s", in->failures[in->n_failures - 1].statement,
                       in->failures[in->n_failures - 1].sqlstate,
                       str_text(&in->failures[in->n_failures - 1].message));
    }
    pthread_mutex_unlock(&in->lock);
    return good;
}

/* The threads take no signals: those are for whoever started the simulator. */
static bool start_thread(struct instance *in, struct err *err)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    in->flags = app_flags_start(in->sim->o.flag_url, in->sim->o.read_token, in->sim->o.poll_ms);
    in->is_running = pthread_create(&in->thread, NULL, serve, in) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return in->is_running ||
           err_set(err, ERR_UNREACHABLE, "no thread for an instance of the application");
}

bool app_sim_start(const struct app_sim_options *o, struct app_sim **out, struct err *err)
{
    struct app_sim *s;
    bool good = true;

    if (o->instances < 1 || o->instances > APP_SIM_INSTANCES || o->customers < 1 || o->accounts < 1)
        return err_set(err, ERR_CONFIG,
                       "1 to %d instances, and customers and accounts, make a fleet",
                       APP_SIM_INSTANCES);
    if (!app_release_check(o->release, err))
        return false;
    s = calloc(1, sizeof *s);
    if (!s)
        abort();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    s->o = *o;
    s->o.poll_ms = o->poll_ms > 0 ? o->poll_ms : 200;
    s->n = o->instances;
    str_set(&s->conninfo, o->conninfo);
    for (int i = 0; i < s->n; i++) {
        struct instance *in = &s->instances[i];

        in->sim = s;
        in->wanted = o->release;
        pthread_mutex_init(&in->lock, NULL);
        pthread_cond_init(&in->changed, NULL);
        app_dice_seed(&in->dice, o->seed * 1000003u + (uint64_t) i, o->customers, o->accounts);
    }
    for (int i = 0; good && i < s->n; i++)
        good = start_thread(&s->instances[i], err);
    for (int i = 0; good && i < s->n; i++)
        good = wait_serving(&s->instances[i], o->release, err);
    if (!good) {
        app_sim_stop(s, NULL);
        return false;
    }
    *out = s;
    return true;
}

bool app_sim_set_release(struct app_sim *s, int instance, const struct app_release *release,
                         struct err *err)
{
    struct instance *in = &s->instances[instance];

    if (instance < 0 || instance >= s->n)
        return err_set(err, ERR_BUG, "there is no instance %d", instance);
    if (!app_release_check(release, err))
        return false;
    pthread_mutex_lock(&in->lock);
    in->wanted = release;
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->lock);
    return wait_serving(in, release, err);
}

/* ---- snapshots ----------------------------------------------------------------------------------------------- */

static int64_t percentile(const int64_t *histogram, const int64_t *before, int per_hundred)
{
    int64_t total = 0, seen = 0;

    for (int i = 0; i < APP_BUCKETS; i++)
        total += histogram[i] - (before ? before[i] : 0);
    for (int i = 0; total > 0 && i < APP_BUCKETS; i++) {
        seen += histogram[i] - (before ? before[i] : 0);
        if (seen * 100 >= total * per_hundred)
            return app_bucket_us(i);
    }
    return 0;
}

static void add_failures(struct app_sim_stats *out, const struct instance *in)
{
    for (int i = 0; i < in->n_failures; i++) {
        const struct failure *f = &in->failures[i];
        int at = 0;

        while (at < out->n_failures && (strcmp(out->failures[at].sqlstate, f->sqlstate) != 0 ||
                                        strcmp(out->failures[at].statement, f->statement) != 0 ||
                                        strcmp(out->failures[at].release, f->release) != 0))
            at++;
        if (at == APP_SIM_FAILURES)
            continue;
        if (at == out->n_failures) {
            struct app_sim_failure *fresh = &out->failures[out->n_failures++];

            *fresh = (struct app_sim_failure) {.release = f->release, .statement = f->statement};
            memcpy(fresh->sqlstate, f->sqlstate, sizeof fresh->sqlstate);
            fresh->message = arena_strdup(&out->arena, str_text(&f->message));
        }
        out->failures[at].count += f->count;
    }
}

static void add_instance(struct app_sim_stats *out, int64_t *histogram, struct instance *in)
{
    pthread_mutex_lock(&in->lock);
    out->requests += in->requests;
    out->failed += in->failed;
    out->refused += in->refused;
    out->max_us = in->max_us > out->max_us ? in->max_us : out->max_us;
    for (int i = 0; i < APP_BUCKETS; i++)
        histogram[i] += in->histogram[i];
    for (int i = 0; i < in->n_counted; i++) {
        const struct app_sim_flag *f = &in->counted[i];
        struct app_sim_flag *sum = flag_slot(out->flags, &out->n_flags, f->key);

        if (!sum)
            continue;
        sum->off += f->off;
        sum->on += f->on;
        sum->last_on_ms = f->last_on_ms > sum->last_on_ms ? f->last_on_ms : sum->last_on_ms;
    }
    add_failures(out, in);
    out->release[out->n_instances++] = in->serving ? in->serving->version : "";
    pthread_mutex_unlock(&in->lock);
    out->flag_errors += in->flags ? app_flags_errors(in->flags) : 0;
}

void app_sim_snapshot(struct app_sim *s, struct app_sim_stats *out)
{
    int64_t histogram[APP_BUCKETS] = {0};

    app_sim_stats_free(out);
    for (int i = 0; i < s->n; i++)
        add_instance(out, histogram, &s->instances[i]);
    out->p50_us = percentile(histogram, NULL, 50);
    out->p99_us = percentile(histogram, NULL, 99);
    out->window_requests = out->requests - s->before_requests;
    out->window_p50_us = percentile(histogram, s->before, 50);
    out->window_p99_us = percentile(histogram, s->before, 99);
    out->marked_requests = out->requests - s->marked_requests;
    out->marked_p50_us = percentile(histogram, s->marked, 50);
    out->marked_p99_us = percentile(histogram, s->marked, 99);
    memcpy(s->before, histogram, sizeof histogram);
    s->before_requests = out->requests;
}

void app_sim_mark(struct app_sim *s)
{
    memcpy(s->marked, s->before, sizeof s->marked);
    s->marked_requests = s->before_requests;
}

void app_sim_stats_free(struct app_sim_stats *s)
{
    arena_free(&s->arena);
    *s = (struct app_sim_stats) {0};
}

void app_sim_stop(struct app_sim *s, struct app_sim_stats *last)
{
    if (!s)
        return;
    for (int i = 0; i < s->n; i++) {
        pthread_mutex_lock(&s->instances[i].lock);
        s->instances[i].stop = true;
        pthread_cond_broadcast(&s->instances[i].changed);
        pthread_mutex_unlock(&s->instances[i].lock);
    }
    for (int i = 0; i < s->n; i++)
        if (s->instances[i].is_running)
            pthread_join(s->instances[i].thread, NULL);
    if (last)
        app_sim_snapshot(s, last);
    for (int i = 0; i < s->n; i++) {
        struct instance *in = &s->instances[i];

        app_flags_stop(in->flags);
        for (int f = 0; f < in->n_failures; f++)
            str_free(&in->failures[f].message);
        pthread_cond_destroy(&in->changed);
        pthread_mutex_destroy(&in->lock);
    }
    str_free(&s->conninfo);
    free(s);
}
