/* What throttles: sampled every second on a session of its own, by the thread that watches; and our batches that
 * somebody waits for, which are cancelled.
 */
#include "crew.h"

#include "phasegate/hours.h"

#include "sql_embedded.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_MS 1000
#define PROBE_MS 200         /* between two looks at who waits for us */
#define BLOCKS_AT_MOST "200" /* milliseconds that somebody waits for a batch of ours */
#define ANSWER_MS 5000
#define HTTP_CONNECT_MS 1000
#define HTTP_TOTAL_MS 3000

/* ---- the session -------------------------------------------------------------------------------------------- */

static bool have_session(struct monitor *m, struct err *err)
{
    struct crew *c = m->crew;
    bool good = true;

    if (m->db && db_is_usable(m->db))
        return true;
    if (m->db)
        good = db_reconnect(m->db, err);
    else
        good = c->ports->db_open(c->ports, c->setup->url, c->setup->label, true, &m->db, err);
    if (good)
        db_set_deadline_ms(m->db, ANSWER_MS);
    return good;
}

/* "{1,2}" */
static const char *our_pids(struct crew *c, struct arena *a)
{
    AUTO(str) s = {0};

    str_add(&s, "{");
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < c->n_pids; i++)
        if (c->pids[i])
            str_addf(&s, "%s%d", s.len > 1 ? "," : "", c->pids[i]);
    pthread_mutex_unlock(&c->lock);
    str_add(&s, "}");
    return arena_strdup(a, str_text(&s));
}

/* ---- the readings ------------------------------------------------------------------------------------------- */

struct reading {
    double value[SIGNAL_COUNT];
    bool is_read[SIGNAL_COUNT];
    const char *why[SIGNAL_COUNT]; /* in the monitor's arena */
};

static void take(struct reading *r, enum signal_kind k, const char *text, const char *why)
{
    r->is_read[k] = text != NULL;
    r->value[k] = text ? strtod(text, NULL) : 0;
    r->why[k] = why;
}

static void take_wal(struct monitor *m, struct reading *r, double wal, int64_t now)
{
    if (m->wal_at_ms && now > m->wal_at_ms) {
        r->value[SIGNAL_WAL_RATE] = 1000 * (wal - m->wal) / (double) (now - m->wal_at_ms);
        r->is_read[SIGNAL_WAL_RATE] = true;
    } else {
        r->is_read[SIGNAL_WAL_RATE] = true;
    }
    m->wal = wal;
    m->wal_at_ms = now;
}

static void read_server(struct monitor *m, struct reading *r, int64_t now)
{
    static const enum signal_kind columns[] = {
        SIGNAL_REPLICA_LAG,  SIGNAL_REPLICA_BYTES,   SIGNAL_SLOT_RETAINED,  SIGNAL_ARCHIVE_READY,
        SIGNAL_LOCK_WAITERS, SIGNAL_ACTIVE_SESSIONS, SIGNAL_VACUUM_RUNNING, SIGNAL_OLDEST_XMIN};
    AUTO(err) err = {0};
    struct db_rows rows = {0};
    bool good =
        have_session(m, &err) && db_query(m->db, &m->a, sql_sample_backfill_signals,
                                          &DB_PARAMS(arena_printf(&m->a, "%u", m->crew->table->oid),
                                                     our_pids(m->crew, &m->a)),
                                          &rows, &err);
    const char *why = good ? "this role may not see it: GRANT pg_monitor"
                           : arena_strdup(&m->a, str_text(&err.message));

    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        take(r, columns[i], good ? db_cell(&rows, 0, (int) i) : NULL, why);
    if (!good) {
        r->why[SIGNAL_WAL_RATE] = why;
        return;
    }
    take_wal(m, r, strtod(db_cell(&rows, 0, 8), NULL), now);
    m->max_connections = strtod(db_cell(&rows, 0, 9), NULL);
}

/* The plan's own query, with its own names, in a transaction that only looks. */
static void read_sql(struct monitor *m, struct reading *r, const char *sql)
{
    const struct db_call calls[] = {
        {.sql = "BEGIN TRANSACTION READ ONLY"},
        {.sql = "SELECT pg_catalog.set_config('search_path', $1, true)",
         .params = DB_PARAMS(m->crew->setup->search_path)},
        {.sql = sql},
        {.sql = "COMMIT"},
    };
    struct db_rows rows[4] = {{0}, {0}, {0}, {0}};
    AUTO(err) err = {0}, ignored = {0};
    int done = 0;

    if (!have_session(m, &err) || !db_pipeline(m->db, &m->a, calls, 4, rows, &done, &err)) {
        if (m->db && db_is_usable(m->db))
            (void) !db_exec(m->db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
        take(r, SIGNAL_SQL, NULL, arena_strdup(&m->a, str_text(&err.message)));
        return;
    }
    const char *cell = rows[2].n_rows > 0 && rows[2].n_cols > 0 ? db_cell(&rows[2], 0, 0) : NULL;
    take(r, SIGNAL_SQL, cell, "its query gave no value");
    if (cell && (strcmp(cell, "t") == 0 || r->value[SIGNAL_SQL] > 0))
        r->value[SIGNAL_SQL] = 1;
    else
        r->value[SIGNAL_SQL] = 0;
}

/* 200 and nothing else lets it go on; no answer is an answer that can't be read. */
static void read_http(struct monitor *m, struct reading *r, const char *url)
{
    struct ports *p = m->crew->ports;
    const struct http_req req = {
        .method = "GET", .url = url, .connect_ms = HTTP_CONNECT_MS, .total_ms = HTTP_TOTAL_MS};
    struct http_res res = {0};
    AUTO(err) err = {0};
    void *tag = NULL;

    if (!p->http) {
        take(r, SIGNAL_HTTP, NULL, "this run has no HTTP");
        return;
    }
    if (!p->http->ops->submit(p->http, &req, m, &err)) {
        take(r, SIGNAL_HTTP, NULL, arena_strdup(&m->a, str_text(&err.message)));
        return;
    }
    if (!p->http->ops->wait(p->http, &m->a, HTTP_TOTAL_MS + 1000, &tag, &res) || tag != m) {
        p->http->ops->cancel(p->http, m);
        take(r, SIGNAL_HTTP, NULL, "no answer");
        return;
    }
    if (res.outcome != HTTP_ANSWERED)
        take(r, SIGNAL_HTTP, NULL, res.why ? arena_strdup(&m->a, res.why) : "no answer");
    else
        take(r, SIGNAL_HTTP, res.status == 200 ? "0" : "1", NULL);
}

#define NOT_FROM_HERE "the server's disk can't be seen from here"

/* Where the server keeps its data, as far as this host has it; NULL: it hasn't. */
static const char *data_folder(struct monitor *m)
{
    AUTO(err) ignored = {0};
    struct db_rows rows = {0};

    if (m->asked_for_folder)
        return m->folder;
    if (!have_session(m, &ignored) ||
        !db_query(m->db, &m->a, sql_select_data_directory, &DB_NO_PARAMS, &rows, &ignored))
        return NULL;
    m->asked_for_folder = true;
    m->folder =
        arena_strdup(&m->told, rows.n_rows > 0 && rows.n_cols > 0 ? db_cell(&rows, 0, 0) : NULL);
    return m->folder;
}

static void read_disk(struct monitor *m, struct reading *r)
{
    struct host *h = m->crew->ports->host;
    const char *folder = data_folder(m);
    const char *wal = folder ? arena_printf(&m->a, "%s/pg_wal", folder) : NULL;
    int64_t left = folder ? h->ops->disk_free(h, folder) : -1;
    int64_t wal_left = wal ? h->ops->disk_free(h, wal) : -1;
    int64_t wal_size = wal ? h->ops->disk_size(h, wal) : -1;

    r->is_read[SIGNAL_DISK_FREE] = left >= 0;
    r->value[SIGNAL_DISK_FREE] = (double) left;
    r->why[SIGNAL_DISK_FREE] = NOT_FROM_HERE;
    r->is_read[SIGNAL_WAL_DISK] = wal_left >= 0 && wal_size > 0;
    r->why[SIGNAL_WAL_DISK] = NOT_FROM_HERE;
    if (r->is_read[SIGNAL_WAL_DISK])
        r->value[SIGNAL_WAL_DISK] = 100.0 * (double) (wal_size - wal_left) / (double) wal_size;
}

/* By the server's clock and its time zones. */
static void read_hours(struct monitor *m, struct reading *r, const char *text)
{
    struct hours hours;
    struct db_rows rows = {0};
    AUTO(err) err = {0};

    if (!hours_parse(text, &hours))
        return;
    if (!have_session(m, &err) ||
        !db_query(m->db, &m->a, sql_select_local_time, &DB_PARAMS(hours.zone), &rows, &err)) {
        take(r, SIGNAL_WINDOW, NULL, arena_strdup(&m->a, str_text(&err.message)));
        return;
    }
    int day = (int) strtol(db_cell(&rows, 0, 0), NULL, 10);
    int minute = (int) strtol(db_cell(&rows, 0, 1), NULL, 10);
    take(r, SIGNAL_WINDOW, hours_contain(&hours, day, minute) ? "0" : "1", NULL);
}

static void read_all(struct monitor *m, struct reading *r, int64_t now)
{
    const struct backfill_knobs *k = &m->knobs;
    struct host *h = m->crew->ports->host;

    read_server(m, r, now);
    if (k->limits[SIGNAL_WAL_DISK].is_on || k->limits[SIGNAL_DISK_FREE].is_on)
        read_disk(m, r);
    if (k->limits[SIGNAL_WINDOW].is_on && k->text[SIGNAL_WINDOW])
        read_hours(m, r, k->text[SIGNAL_WINDOW]);
    if (k->limits[SIGNAL_SQL].is_on && k->text[SIGNAL_SQL])
        read_sql(m, r, k->text[SIGNAL_SQL]);
    if (k->limits[SIGNAL_HTTP].is_on && k->text[SIGNAL_HTTP])
        read_http(m, r, k->text[SIGNAL_HTTP]);
    if (k->limits[SIGNAL_FILE].is_on && k->text[SIGNAL_FILE])
        take(r, SIGNAL_FILE, h->ops->file_exists(h, k->text[SIGNAL_FILE]) ? "1" : "0", NULL);
}

/* ---- the levels --------------------------------------------------------------------------------------------- */

/* How many sessions are many depends on the server: a quarter of those it lets in, and half. */
static void settle_sessions(struct monitor *m)
{
    if (!m->knobs.is_named[SIGNAL_ACTIVE_SESSIONS] && m->max_connections > 0)
        m->knobs.limits[SIGNAL_ACTIVE_SESSIONS] =
            (struct signal_limit) {m->max_connections / 4, m->max_connections / 2,
                                   m->knobs.limits[SIGNAL_ACTIVE_SESSIONS].is_on};
}

/* What nobody asked for and this role can't see isn't looked at. What somebody asked for is a stop at once. */
static void settle_first(struct monitor *m, const struct reading *r, int64_t now)
{
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        if (!m->knobs.limits[i].is_on || r->is_read[i])
            continue;
        if (m->knobs.is_named[i] || !m->db || !db_is_usable(m->db))
            m->state[i].blind_since_ms = now - SIGNAL_BLIND_MS;
        else
            m->unseen[i] = true;
    }
}

static void publish(struct monitor *m, int64_t now)
{
    struct crew *c = m->crew;
    enum signal_kind worst = SIGNAL_COUNT;
    enum signal_level level = signals_level(m->state, m->knobs.limits, &worst);
    AUTO(str) reason = {0};

    if (m->knobs.paused) {
        str_addf(&reason, "paused by %s", m->knobs.paused);
        level = SIGNAL_STOP;
        worst = SIGNAL_COUNT;
    } else if (level != SIGNAL_OK) {
        signal_reason(&reason, worst, &m->state[worst], &m->knobs.limits[worst]);
    }
    pthread_mutex_lock(&c->lock);
    if (level != c->level || worst != m->worst)
        m->since_ms = clock_wall_ms(c->ports->clock);
    m->worst = worst;
    c->level = level;
    str_free(&c->reason);
    str_add(&c->reason, str_text(&reason));
    pace_level(&c->pace, level, now);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void sample(struct monitor *m, int64_t now)
{
    struct reading r = {0};
    bool is_first = m->sampled_ms == 0;

    arena_reset(&m->a);
    read_all(m, &r, now);
    m->sampled_ms = now;
    settle_sessions(m);
    if (is_first)
        settle_first(m, &r, now);
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        if (m->unseen[i] && !r.is_read[i] && !m->knobs.is_named[i])
            continue;
        m->unseen[i] = false;
        signal_take(&m->state[i], (enum signal_kind) i, &m->knobs.limits[i],
                    r.is_read[i] ? &r.value[i] : NULL, r.why[i], now);
    }
    publish(m, now);
}

/* ---- whom we block ------------------------------------------------------------------------------------------ */

static void note_cancelled(struct crew *c, int pid, int64_t waiting)
{
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < c->n_pids; i++)
        if (c->pids[i] == pid)
            c->is_cancelled[i] = true;
    c->cancelled++;
    pthread_mutex_unlock(&c->lock);
    (void) waiting;
}

static void probe(struct monitor *m, int64_t now)
{
    AUTO(arena) a = {0};
    AUTO(err) ignored = {0};
    struct db_rows rows = {0};

    m->probed_ms = now;
    if (!have_session(m, &ignored) ||
        !db_query(m->db, &a, sql_cancel_backfill_blockers,
                  &DB_PARAMS(our_pids(m->crew, &a), BLOCKS_AT_MOST), &rows, &ignored))
        return;
    for (int i = 0; i < rows.n_rows; i++)
        note_cancelled(m->crew, (int) strtol(db_cell(&rows, i, 0), NULL, 10),
                       strtoll(db_cell(&rows, i, 1), NULL, 10));
    if (rows.n_rows > 0) {
        pthread_mutex_lock(&m->crew->lock);
        pace_level(&m->crew->pace, SIGNAL_SLOW, now);
        pthread_mutex_unlock(&m->crew->lock);
    }
}

/* ---- the seam ----------------------------------------------------------------------------------------------- */

void monitor_begin(struct monitor *m, struct crew *c)
{
    memset(m, 0, sizeof *m);
    m->crew = c;
    m->knobs = c->setup->knobs;
    m->worst = SIGNAL_COUNT;
    monitor_look(m);
}

void monitor_look(struct monitor *m)
{
    int64_t now = clock_mono_ms(m->crew->ports->clock);

    if (m->sampled_ms == 0 || now - m->sampled_ms >= SAMPLE_MS)
        sample(m, now);
    else if (now - m->probed_ms >= PROBE_MS)
        probe(m, now);
}

/* What was set meanwhile: the plan's own, and these over it. */
void monitor_set(struct monitor *m, const char *json)
{
    json_t *all, *value;
    const char *key, *why = NULL;

    if (!json || (m->set && strcmp(m->set, json) == 0))
        return;
    arena_reset(&m->kept);
    m->set = arena_strdup(&m->kept, json);
    m->knobs = m->crew->setup->knobs;
    all = json_loads(json, 0, NULL);
    json_object_foreach(all, key, value) if (json_is_string(value))(void) !knob_take(
        &m->knobs, key, arena_strdup(&m->kept, json_string_value(value)), &why);
    json_decref(all);
    pthread_mutex_lock(&m->crew->lock);
    m->crew->limits = m->knobs.batch;
    pace_limit(&m->crew->pace, m->knobs.max_duty);
    pthread_mutex_unlock(&m->crew->lock);
    m->sampled_ms = 0;
    monitor_look(m);
}

/* Nobody waits for a VACUUM when he has said stop. */
void monitor_stop_vacuum(struct monitor *m)
{
    struct crew *c = m->crew;
    AUTO(arena) a = {0};
    AUTO(err) ignored = {0};

    pthread_mutex_lock(&c->lock);
    int pid = c->vacuum_begun ? c->pids[c->n_pids - 1] : 0;
    pthread_mutex_unlock(&c->lock);
    if (pid && have_session(m, &ignored))
        (void) !db_exec(m->db, "SELECT pg_catalog.pg_cancel_backend($1::pg_catalog.int4)",
                        &DB_PARAMS(arena_printf(&a, "%d", pid)), &ignored);
}

static const char *number(struct arena *a, double v, bool is_known)
{
    return is_known ? arena_printf(a, "%.17g", v) : NULL;
}

/* For status, from wherever it is asked. */
void monitor_tell(struct monitor *m, const struct backfill_now *now)
{
    struct crew *c = m->crew;
    struct ports *p = c->ports;
    AUTO(arena) a = {0};
    AUTO(err) ignored = {0};
    bool named = m->worst != SIGNAL_COUNT;
    double bound = named
                       ? (m->state[m->worst].level == SIGNAL_STOP ? m->knobs.limits[m->worst].stop
                                                                  : m->knobs.limits[m->worst].slow)
                       : 0;

    pthread_mutex_lock(&c->lock);
    const struct db_params params = {
        16,
        {c->setup->runner, arena_printf(&a, "%lld", (long long) c->job->id),
         p->host ? p->host->ops->hostname(p->host) : NULL,
         p->host ? arena_printf(&a, "%lld", (long long) p->host->ops->pid(p->host)) : NULL,
         arena_printf(&a, "%d", c->at_work), signal_level_word(c->level),
         named ? signal_word(m->worst) : NULL,
         number(&a, named ? m->state[m->worst].value : 0, named && m->state[m->worst].has_value),
         number(&a, bound, named && isfinite(bound)),
         c->reason.len ? arena_strdup(&a, str_text(&c->reason)) : NULL,
         m->since_ms ? arena_printf(&a, "%lld", (long long) m->since_ms) : NULL,
         number(&a, c->pace.duty, true), arena_printf(&a, "%lld", (long long) c->batch_rows),
         number(&a, c->batch_ms, true), number(&a, now->per_second, now->per_second > 0),
         now->left_ms >= 0 ? arena_printf(&a, "%lld", (long long) now->left_ms) : NULL}};
    pthread_mutex_unlock(&c->lock);
    if (have_session(m, &ignored))
        (void) !db_exec(m->db, sql_upsert_backfill_runner, &params, &ignored);
}

void monitor_end(struct monitor *m)
{
    AUTO(arena) a = {0};
    AUTO(err) ignored = {0};

    if (m->db && db_is_usable(m->db))
        (void) !db_exec(m->db, sql_delete_backfill_runner,
                        &DB_PARAMS(m->crew->setup->runner,
                                   arena_printf(&a, "%lld", (long long) m->crew->job->id)),
                        &ignored);
    db_close(m->db);
    arena_free(&m->a);
    arena_free(&m->kept);
    arena_free(&m->told);
}
