/* Fault points, in test builds only (PHASEGATE_FAULTS): every call that leaves the process is one.
 *
 * PHASEGATE_FAULT=kill-before:N | kill-after:N | drop-before:N | drop-after:N | bug:N   act at the N-th point (from 1)
 * PHASEGATE_FAULT_COUNT=FILE                                     append the number of points at exit
 *
 * kill sends SIGKILL to this process: before the call nothing of it has left, after it everything has, and
 * nothing that follows has happened. drop-before ends the database session on the server first, so that
 * the call meets a lost connection; drop-after lets the call through and loses its answer, as when a COMMIT
 * arrived and nobody heard of it; bug is a database call that ends with ERR_BUG. The wrappers sit at the seam of ports.h: what the engine does between two points
 * can't be seen from outside, so killing at every point covers every order that matters.
 */
#include "fault.h"

#ifdef PHASEGATE_FAULTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum fault_mode {
    FAULT_NONE,
    FAULT_KILL_BEFORE,
    FAULT_KILL_AFTER,
    FAULT_DROP_BEFORE,
    FAULT_DROP_AFTER,
    FAULT_BUG
};

static struct {
    enum fault_mode mode;
    long at;
    atomic_long count; /* a backfill's workers call from threads of their own */
} fault;
static pthread_once_t fault_ready = PTHREAD_ONCE_INIT;

static void write_count(void)
{
    const char *path = getenv("PHASEGATE_FAULT_COUNT");
    char line[32];
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

    if (fd < 0)
        return;
    int n = snprintf(line, sizeof line, "%ld\n", atomic_load(&fault.count));
    if (write(fd, line, (size_t) n) != n)
        abort();
    close(fd);
}

static void get_ready(void)
{
    static const struct {
        const char *word;
        enum fault_mode mode;
    } modes[] = {{"kill-before:", FAULT_KILL_BEFORE},
                 {"kill-after:", FAULT_KILL_AFTER},
                 {"drop-before:", FAULT_DROP_BEFORE},
                 {"drop-after:", FAULT_DROP_AFTER},
                 {"bug:", FAULT_BUG}};
    const char *s = getenv("PHASEGATE_FAULT");

    for (size_t i = 0; s && i < sizeof modes / sizeof modes[0]; i++)
        if (strncmp(s, modes[i].word, strlen(modes[i].word)) == 0) {
            fault.mode = modes[i].mode;
            fault.at = strtol(s + strlen(modes[i].word), NULL, 10);
        }
    atexit(write_count);
}

/* The number of this point. */
static long enter(void)
{
    pthread_once(&fault_ready, get_ready);
    long point = atomic_fetch_add(&fault.count, 1) + 1;
    if (point == fault.at && fault.mode == FAULT_KILL_BEFORE)
        raise(SIGKILL);
    return point;
}

static void leave(long point)
{
    if (point == fault.at && fault.mode == FAULT_KILL_AFTER)
        raise(SIGKILL);
}

/* ---- database --------------------------------------------------------------------------------------- */

struct fault_db {
    struct db base;
    struct db *real;
};

static struct db *real_of(struct db *d) { return ((struct fault_db *) d)->real; }

static void drop_session(struct db *real)
{
    AUTO(err) ignored = {0};

    (void) !db_exec(real, "SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())",
                    &DB_NO_PARAMS, &ignored);
}

/* The call went through, and its answer is lost with the session. */
static bool lose_answer(struct db *real, struct err *err)
{
    drop_session(real);
    err_clear(err);
    err_set(err, ERR_CONNECTION_LOST, "the session with %s ended before its answer came",
            real->shown);
    return false;
}

static bool is_lost(long point) { return point == fault.at && fault.mode == FAULT_DROP_AFTER; }

static bool is_bug(long point, struct err *err)
{
    if (point != fault.at || fault.mode != FAULT_BUG)
        return false;
    err_set(err, ERR_BUG, "a bug that a test has asked for");
    return true;
}

/* What comes before each call: it may find its session gone, or not be made at all. */
static bool begin(struct db *real, long *point, struct err *err)
{
    *point = enter();
    if (*point == fault.at && fault.mode == FAULT_DROP_BEFORE)
        drop_session(real);
    return !is_bug(*point, err);
}

static bool f_exec(struct db *d, struct arena *a, const char *sql, const struct db_params *p,
                   struct db_rows *rows, int64_t *affected, struct err *err)
{
    struct db *real = real_of(d);

    long point;

    if (!begin(real, &point, err))
        return false;
    bool ok = real->ops->exec(real, a, sql, p, rows, affected, err);
    leave(point);
    return is_lost(point) ? lose_answer(real, err) : ok;
}

static bool f_pipeline(struct db *d, struct arena *a, const struct db_call *calls, int n,
                       struct db_rows *rows, int *out_done, struct err *err)
{
    struct db *real = real_of(d);

    long point;

    if (!begin(real, &point, err))
        return false;
    bool ok = real->ops->pipeline(real, a, calls, n, rows, out_done, err);
    leave(point);
    if (is_lost(point) && out_done)
        *out_done = 0;
    return is_lost(point) ? lose_answer(real, err) : ok;
}

static bool f_copy_out(struct db *d, const char *sql, const struct db_sink *to, int64_t *rows,
                       struct err *err)
{
    struct db *real = real_of(d);

    long point;

    if (!begin(real, &point, err))
        return false;
    bool ok = real->ops->copy_out(real, sql, to, rows, err);
    leave(point);
    return is_lost(point) ? lose_answer(real, err) : ok;
}

static bool f_copy_in(struct db *d, const char *sql, const struct db_source *from, int64_t *rows,
                      struct err *err)
{
    struct db *real = real_of(d);

    long point;

    if (!begin(real, &point, err))
        return false;
    bool ok = real->ops->copy_in(real, sql, from, rows, err);
    leave(point);
    return is_lost(point) ? lose_answer(real, err) : ok;
}

static bool f_reconnect(struct db *d, struct err *err) { return db_reconnect(real_of(d), err); }
static bool f_is_usable(struct db *d) { return db_is_usable(real_of(d)); }
static int f_backend_pid(struct db *d) { return db_backend_pid(real_of(d)); }
static int f_handshake_pid(struct db *d)
{
    struct db *real = real_of(d);
    return real->ops->handshake_pid ? real->ops->handshake_pid(real) : 0;
}
static int f_server_version(struct db *d) { return db_server_version(real_of(d)); }
static void f_set_label(struct db *d, const char *name) { db_set_label(real_of(d), name); }
static void f_set_deadline(struct db *d, int64_t ms) { db_set_deadline_ms(real_of(d), ms); }
static void f_close(struct db *d)
{
    db_close(real_of(d));
    free(d);
}

static const struct db_ops fault_db_ops = {
    .exec = f_exec,
    .pipeline = f_pipeline,
    .reconnect = f_reconnect,
    .is_usable = f_is_usable,
    .backend_pid = f_backend_pid,
    .server_version = f_server_version,
    .set_label = f_set_label,
    .set_deadline_ms = f_set_deadline,
    .close = f_close,
    .handshake_pid = f_handshake_pid,
    .copy_out = f_copy_out,
    .copy_in = f_copy_in,
};

struct db *fault_db(struct db *real)
{
    struct fault_db *f = calloc(1, sizeof *f);

    if (!f)
        abort();
    f->base = (struct db) {&fault_db_ops, real->shown};
    f->real = real;
    return &f->base;
}

/* ---- HTTP: the moment a request is handed over, and the moment its answer is taken ----------------------- */

struct fault_http {
    struct http base;
    struct http *real;
};

static bool f_submit(struct http *h, const struct http_req *req, void *tag, struct err *err)
{
    struct http *real = ((struct fault_http *) h)->real;

    long point = enter();
    bool ok = real->ops->submit(real, req, tag, err);
    leave(point);
    return ok;
}

static bool f_wait(struct http *h, struct arena *a, int64_t ms, void **tag, struct http_res *res)
{
    struct http *real = ((struct fault_http *) h)->real;
    bool got = real->ops->wait(real, a, ms, tag, res);

    if (got) {
        leave(enter());
    }
    return got;
}

static void f_cancel(struct http *h, void *tag)
{
    struct http *real = ((struct fault_http *) h)->real;
    real->ops->cancel(real, tag);
}

static void f_http_close(struct http *h)
{
    struct http *real = ((struct fault_http *) h)->real;
    real->ops->close(real);
    free(h);
}

static const struct http_ops fault_http_ops = {f_submit, f_wait, f_cancel, f_http_close};

struct http *fault_http(struct http *real)
{
    struct fault_http *f = calloc(1, sizeof *f);

    if (!f)
        abort();
    f->base.ops = &fault_http_ops;
    f->real = real;
    return &f->base;
}

void fault_point(void) { leave(enter()); }

#else

struct db *fault_db(struct db *real) { return real; }
struct http *fault_http(struct http *real) { return real; }
void fault_point(void) {}

#endif
