/* ports: the seams between the engine and the world.
 *
 * The engine never includes libpq, libcurl or a system header that does I/O: it calls the functions
 * below. Each port is a handle whose first member is its table of functions; io/ has the real ones,
 * tests have fakes that pass the same contract tests. The inline wrappers are the names to call.
 *
 * Every call that can wait has a deadline and looks at the interrupt: a first SIGINT or SIGTERM is for
 * the engine to see (it stops at the next safe point), a second one makes running calls cancel and fail
 * with ERR_INTERRUPTED.
 */
#ifndef PHASEGATE_PORTS_H
#define PHASEGATE_PORTS_H

#include "phasegate/err.h"
#include <signal.h>
#include <stdint.h>

/* ---- interrupt ------------------------------------------------------------------------------- */

struct interrupt {
    volatile sig_atomic_t count;  /* signals so far */
    volatile sig_atomic_t signal; /* the first one */
};

/* ---- clock ------------------------------------------------------------------------------------- */

struct clock;
struct clock_ops {
    int64_t (*wall_ms)(struct clock *); /* since the epoch, UTC */
    int64_t (*mono_ms)(struct clock *);
    void (*sleep_ms)(struct clock *, int64_t ms); /* returns early when interrupted */
    uint32_t (*random)(struct clock *);           /* for jitter and ids */
};
struct clock {
    const struct clock_ops *ops;
};
static inline int64_t clock_wall_ms(struct clock *c) { return c->ops->wall_ms(c); }
static inline int64_t clock_mono_ms(struct clock *c) { return c->ops->mono_ms(c); }
static inline void clock_sleep_ms(struct clock *c, int64_t ms) { c->ops->sleep_ms(c, ms); }
static inline uint32_t clock_random(struct clock *c) { return c->ops->random(c); }

/* ---- database ---------------------------------------------------------------------------------- */

struct db_rows {
    int n_rows, n_cols;
    const char ***cell;  /* [row][col], NULL is SQL NULL; in the arena of the call */
    const char **column; /* names */
};
static inline const char *db_cell(const struct db_rows *r, int row, int col)
{
    return r->cell[row][col];
}

enum { DB_MAX_PARAMS = 32 };
struct db_params {
    int n;
    const char *value[DB_MAX_PARAMS]; /* text format; NULL is SQL NULL */
};
#define DB_PARAMS(...)                                                                             \
    ((const struct db_params) {sizeof((const char *[]) {__VA_ARGS__}) / sizeof(const char *),      \
                               {__VA_ARGS__}})
#define DB_NO_PARAMS ((const struct db_params) {0})

struct db_call { /* one statement of a pipeline */
    const char *sql;
    struct db_params params;
    bool repeats; /* sql is a literal of ours that comes often: the session may keep it prepared */
};

/* What a COPY hands over, or is handed, piece by piece. A false ends it with that err. */
struct db_sink {
    bool (*take)(void *ctx, const char *bytes, size_t n, struct err *);
    void *ctx;
};
struct db_source {
    /* *n 0: that was all. The bytes stay until the next call. */
    bool (*give)(void *ctx, const char **bytes, size_t *n, struct err *);
    void *ctx;
};

struct db;
struct db_ops {
    /* Exactly one statement. rows may be NULL; affected may be NULL. A server error keeps its SQLSTATE,
     * DETAIL and HINT in err; 55P03 and 40P01 give ERR_LOCK_TIMEOUT, a lost session ERR_CONNECTION_LOST,
     * 57014 by our own interrupt ERR_INTERRUPTED, everything else ERR_SQL. After the deadline the
     * statement is cancelled on the server and drained. */
    bool (*exec)(struct db *, struct arena *, const char *sql, const struct db_params *,
                 struct db_rows *rows, int64_t *affected, struct err *);
    /* Several statements in one round trip, each answered by itself; the first failure skips the rest
     * (err says which, *out_done counts the ones that succeeded). rows[i] may be requested (array or NULL). */
    bool (*pipeline)(struct db *, struct arena *, const struct db_call *, int n,
                     struct db_rows *rows, int *out_done, struct err *);
    bool (*reconnect)(struct db *, struct err *); /* same settings, new session */
    bool (*is_usable)(struct db *);     /* the session is alive as far as we know, without asking */
    int (*backend_pid)(struct db *);    /* the server's own number of the newest session */
    int (*server_version)(struct db *); /* 150020 */
    void (*set_label)(struct db *,
                      const char *application_name);  /* applied with the next statement */
    void (*set_deadline_ms)(struct db *, int64_t ms); /* for each later call; 0: none */
    void (*close)(struct db *);
    /* The number that the handshake told: another one than backend_pid where a pooler is between.
     * NULL: the port can't tell. */
    int (*handshake_pid)(struct db *);
    /* COPY ... TO STDOUT and COPY ... FROM STDIN; rows may be NULL. */
    bool (*copy_out)(struct db *, const char *sql, const struct db_sink *, int64_t *rows,
                     struct err *);
    bool (*copy_in)(struct db *, const char *sql, const struct db_source *, int64_t *rows,
                    struct err *);
};
struct db {
    const struct db_ops *ops;
    const char *shown; /* the connection as shown to people: no password */
};
static inline bool db_exec(struct db *d, const char *sql, const struct db_params *p,
                           struct err *err)
{
    return d->ops->exec(d, NULL, sql, p, NULL, NULL, err);
}
static inline bool db_exec_count(struct db *d, const char *sql, const struct db_params *p,
                                 int64_t *affected, struct err *err)
{
    return d->ops->exec(d, NULL, sql, p, NULL, affected, err);
}
static inline bool db_query(struct db *d, struct arena *a, const char *sql,
                            const struct db_params *p, struct db_rows *rows, struct err *err)
{
    return d->ops->exec(d, a, sql, p, rows, NULL, err);
}
static inline bool db_pipeline(struct db *d, struct arena *a, const struct db_call *calls, int n,
                               struct db_rows *rows, int *out_done, struct err *err)
{
    return d->ops->pipeline(d, a, calls, n, rows, out_done, err);
}
static inline bool db_copy_out(struct db *d, const char *sql, const struct db_sink *to,
                               int64_t *rows, struct err *err)
{
    return d->ops->copy_out(d, sql, to, rows, err);
}
static inline bool db_copy_in(struct db *d, const char *sql, const struct db_source *from,
                              int64_t *rows, struct err *err)
{
    return d->ops->copy_in(d, sql, from, rows, err);
}
static inline bool db_reconnect(struct db *d, struct err *err) { return d->ops->reconnect(d, err); }
static inline bool db_is_usable(struct db *d) { return d->ops->is_usable(d); }
static inline int db_backend_pid(struct db *d) { return d->ops->backend_pid(d); }
/* Surely no pooler between us and the server? */
static inline bool db_is_direct(struct db *d)
{
    return d->ops->handshake_pid && d->ops->handshake_pid(d) == d->ops->backend_pid(d);
}
static inline int db_server_version(struct db *d) { return d->ops->server_version(d); }
static inline void db_set_label(struct db *d, const char *name) { d->ops->set_label(d, name); }
static inline void db_set_deadline_ms(struct db *d, int64_t ms) { d->ops->set_deadline_ms(d, ms); }
static inline void db_close(struct db *d)
{
    if (d)
        d->ops->close(d);
}

/* ---- HTTP ---------------------------------------------------------------------------------------- */

enum http_outcome {
    HTTP_ANSWERED, /* status, headers and the whole body arrived */
    HTTP_NOT_SENT, /* resolve, connect or TLS failed: certainly nothing was applied */
    HTTP_IN_DOUBT  /* bytes may have left: time-out, reset, cut body, body over the limit */
};

struct http_req {
    const char *method; /* "GET", "POST", ... */
    const char *url;
    const char *headers[12]; /* "Name: value", NULL-terminated; may hold secrets, never shown */
    const char *body;        /* NULL: none */
    size_t body_len;
    const char *ca_file; /* NULL: the system's */
    int64_t connect_ms, total_ms;
    struct {               /* by Amazon's Signature Version 4, if scope is set */
        const char *scope; /* "aws:amz:REGION:s3" */
        const char *key, *secret;
    } signs;
    bool direct;   /* through no proxy, whatever the environment says */
    bool is_write; /* own connection, never reused, so that libcurl doesn't re-send it */
};

struct http_res {
    enum http_outcome outcome;
    int status;
    const char *content_type; /* lower case, without parameters; "" when absent */
    const char *etag, *retry_after,
        *rate_reset;  /* NULL when absent; rate_reset: X-RateLimit-Reset and its kin */
    const char *body; /* NUL-terminated */
    size_t body_len;  /* at most 1 MiB */
    const char *why;  /* NOT_SENT, IN_DOUBT: what happened, no secrets */
    int64_t ms;
};

struct http;
struct http_ops {
    /* Start; the answer comes from wait. tag is handed back. req and what it points to stay valid until then. */
    bool (*submit)(struct http *, const struct http_req *req, void *tag, struct err *);
    /* The next finished request within wait_ms (0: look only). False: none finished (no error). res is in arena a. */
    bool (*wait)(struct http *, struct arena *a, int64_t wait_ms, void **out_tag,
                 struct http_res *res);
    void (*cancel)(struct http *, void *tag); /* drop a running request: its outcome is in doubt */
    void (*close)(struct http *);
};
struct http {
    const struct http_ops *ops;
};

/* ---- files in one -------------------------------------------------------------------------------------- */

struct bundle_file {
    const char *name, *bytes;
    size_t n;
};
struct bundle {
    struct bundle_file *files;
    int n;
};

/* ---- files, processes, environment -------------------------------------------------------------------- */

/* A program that stays while lines go in and others come out. For one thread at a time. */
enum coprocess_turn {
    COPROCESS_LINE,  /* here it is */
    COPROCESS_ENDED, /* it has, or has written what is no line: there will be none */
    COPROCESS_LATE,  /* none came by then */
    COPROCESS_LEFT   /* may_wait said no */
};
struct coprocess;
struct coprocess_ops {
    /* After all that was fed before. It is written while lines are waited for. */
    void (*feed)(struct coprocess *, const char *bytes, size_t n);
    /* The next line of its standard output, without the end; up to until_mono_ms of the clock. */
    enum coprocess_turn (*next)(struct coprocess *, int64_t until_mono_ms,
                                bool (*may_wait)(void *ctx), void *ctx, struct str *line);
    /* What it has written to standard error since this was asked last; what nobody asks for is cut. */
    void (*said)(struct coprocess *, struct str *out);
    /* Gently: by the end of its input, then killed after a while; else at once. Frees it; its exit code, 128 + n when
     * signal n killed it. */
    int (*end)(struct coprocess *, bool gently);
};
struct coprocess {
    const struct coprocess_ops *ops;
};

struct host; /* this machine */
struct host_ops {
    bool (*read_file)(struct host *, const char *path, size_t max, struct str *out,
                      struct err *); /* absent: ERR_INPUT */
    bool (*file_exists)(struct host *, const char *path);
    /* Whole content, fsync, rename over, fsync of the folder: old or new, never half. */
    bool (*write_atomic)(struct host *, const char *path, const char *bytes, size_t n, int mode,
                         struct err *);
    /* The same of a regular file without waiting for the disk: where the power fails, it may be half. */
    bool (*write_quick)(struct host *, const char *path, const char *bytes, size_t n, int mode,
                        struct err *);
    /* Append one line and fsync. Creates folder and file (0700/0600). Disk full leaves the file as it was. */
    bool (*append_durable)(struct host *, const char *path, const char *line, struct err *);
    /* Run without a shell; env is a NULL-terminated list of NAME=VALUE added to ours, and of NAMEs
     * that are left out. Output is cut at
     * its ceiling, where it has none of its own at 64 KiB.
     * False only when it couldn't be started or was stopped by deadline or interrupt. */
    bool (*run)(struct host *, const char *const *argv, const char *const *env, int64_t deadline_ms,
                struct str *out, struct str *errout, int *exit_code, struct err *);
    /* The same; the program reads these n bytes from its standard input. */
    bool (*run_fed)(struct host *, const char *const *argv, const char *const *env,
                    const char *input, size_t n, int64_t deadline_ms, struct str *out,
                    struct str *errout, int *exit_code, struct err *);
    /* A program that stays, without a shell, in a group of its own that ends with the thread that started it. env is
     * all it gets: a NULL-terminated list of NAME=VALUE. */
    bool (*open_coprocess)(struct host *, const char *const *argv, const char *const *env,
                           struct coprocess **out, struct err *);
    const char *(*env)(struct host *, const char *name); /* NULL: unset */
    const char *(*hostname)(struct host *);
    const char *(*user)(struct host *);
    int64_t (*pid)(struct host *);
    int64_t (*disk_free)(struct host *, const char *path); /* -1: unknown */
    int64_t (*disk_size)(struct host *,
                         const char *path); /* what may be written to it in all; -1: unknown */
};
struct host {
    const struct host_ops *ops;
};

/* ---- events: what the engine says while it works --------------------------------------------------------- */

enum event_kind {
    EVENT_INFO, /* a sentence */
    EVENT_WARNING,
    EVENT_START,    /* a task starts: (number of total) */
    EVENT_DONE,     /* a task is done: ms */
    EVENT_SKIPPED,  /* already in place, does not apply */
    EVENT_RETRY,    /* attempt, wait, holder */
    EVENT_WAIT,     /* what for, who holds it, since, what releases it, when it gives up */
    EVENT_PROGRESS, /* done, total, rate */
    EVENT_FLAG      /* key, from, to, level */
};

/* What a backfill counts, besides rows done and rows in all. */
struct fill_counts {
    int64_t changed, failed, retried,
        batches;      /* rows changed; rows that can't be filled; batches tried again */
    int64_t residual; /* ranges with rows that others hold */
    int64_t left_ms;  /* -1: not known */
    int64_t since_ms; /* of the level, wall clock */
    int workers, slices, slices_done;
    const char *level, *reason; /* what throttles: "ok", "slow", "stop"; reason NULL: nothing */
    bool is_last;
};

struct event {
    enum event_kind kind;
    const char *plan, *phase, *task; /* NULL where not known */
    const char *message;
    int64_t number, total;          /* START, DONE: "(3 of 7)"; PROGRESS: rows */
    int64_t ms;                     /* DONE, RETRY: next try in ms */
    double rate;                    /* PROGRESS: per second */
    const struct fill_counts *fill; /* PROGRESS of a backfill; NULL: of something else */
};

struct events;
struct events_ops {
    void (*emit)(struct events *, const struct event *);
};
struct events {
    const struct events_ops *ops;
};
static inline void events_emit(struct events *e, const struct event *ev)
{
    if (e)
        e->ops->emit(e, ev);
}

/* ---- all of them ----------------------------------------------------------------------------------------- */

struct ports {
    struct clock *clock;
    struct http *http;
    struct host *host;
    struct events *events;
    struct interrupt *interrupt;
    /* Open one more session on a database of the environment, hardened and labelled. Owned by the caller. */
    bool (*db_open)(struct ports *, const char *url, const char *label, bool writable,
                    struct db **out, struct err *);
    /* pg_dump on that database, read-only, with these options (NULL-terminated, nothing secret): what it writes. label: its
     * application_name. ERR_UNREACHABLE: there is none here, or it says no. */
    bool (*dump)(const struct ports *, const char *url, const char *label,
                 const char *const *options, struct str *out, struct err *);
};

static inline bool ports_interrupted(const struct ports *p)
{
    return p->interrupt && p->interrupt->count > 0;
}

#endif
