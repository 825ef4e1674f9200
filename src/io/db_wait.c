/* Waiting for the server with a deadline, an interrupt and a cancel that can't hang. */
#include "db_libpq.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    SLICE_MS = 100,
    GRACE_MS = 10000,      /* from the cancel to giving up */
    RESEND_MS = 1000,      /* a cancel between two statements of a pipeline is lost */
    CANCEL_WAIT_MS = 5000, /* for the cancel's own connection to end */
    ERRBUF = 256
};

/* PQcancel blocks as long as the network likes, so a thread does it. Shared by the two, freed by
 * the last. */
struct db_cancel {
    PGcancel *handle;
    atomic_bool is_done;
    atomic_int users;
};

static void cancel_drop(struct db_cancel *c)
{
    if (atomic_fetch_sub(&c->users, 1) > 1)
        return;
    PQfreeCancel(c->handle);
    free(c);
}

static void *cancel_run(void *arg)
{
    struct db_cancel *c = arg;
    char why[ERRBUF];

    /* Whether it arrived shows in the statement's own answer. */
    (void) !PQcancel(c->handle, why, sizeof why);
    atomic_store(&c->is_done, true);
    cancel_drop(c);
    return NULL;
}

static struct db_cancel *cancel_start(PGconn *conn)
{
    struct db_cancel *c = calloc(1, sizeof *c);
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;

    if (!c)
        abort();
    c->handle = PQgetCancel(conn);
    if (!c->handle) {
        free(c);
        return NULL;
    }
    atomic_init(&c->is_done, false);
    atomic_init(&c->users, 2);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all); /* signals are for the thread that waits */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, &attr, cancel_run, c) != 0)
        cancel_run(c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return c;
}

static int64_t now(struct db_libpq *d) { return clock_mono_ms(d->o.clock); }

static sig_atomic_t signals_so_far(const struct db_libpq *d)
{
    return d->o.interrupt ? d->o.interrupt->count : 0;
}

struct db_wait db_wait_begin(struct db_libpq *d)
{
    struct db_wait w = {.started = now(d), .signals = signals_so_far(d)};

    if (d->deadline_ms > 0)
        w.deadline = w.started + d->deadline_ms;
    return w;
}

void db_wait_cancel(struct db_libpq *d, struct db_wait *w, enum db_stop why)
{
    if (w->stop == DB_RUNNING) {
        w->stop = why;
        w->give_up = now(d) + GRACE_MS;
    }
    if (w->cancel && !atomic_load(&w->cancel->is_done))
        return;
    if (w->cancel)
        cancel_drop(w->cancel);
    w->cancel = cancel_start(d->conn);
    w->resend = now(d) + RESEND_MS;
}

/* False: given up. */
static bool check_limits(struct db_libpq *d, struct db_wait *w)
{
    int64_t t = now(d);
    sig_atomic_t signals = signals_so_far(d);

    if (w->stop != DB_RUNNING) {
        if (t >= w->give_up) {
            db_session_close(d);
            return false;
        }
        if (t >= w->resend)
            db_wait_cancel(d, w, w->stop);
    } else if (signals > w->signals && signals >= 2) {
        db_wait_cancel(d, w, DB_INTERRUPTED);
    } else if (w->deadline && t >= w->deadline) {
        db_wait_cancel(d, w, DB_LATE);
    }
    return true;
}

static int slice(struct db_libpq *d, const struct db_wait *w)
{
    int64_t left = SLICE_MS;

    if (w->stop == DB_RUNNING && w->deadline && w->deadline - now(d) < left)
        left = w->deadline - now(d);
    return left > 0 ? (int) left : 0;
}

bool db_wait_readable(struct db_libpq *d, struct db_wait *w)
{
    int unsent = PQflush(d->conn);
    struct pollfd fd = {.fd = PQsocket(d->conn), .events = POLLIN};

    if (!check_limits(d, w))
        return false;
    if (fd.fd < 0)
        return true; /* closed: PQgetResult tells */
    if (unsent > 0)
        fd.events |= POLLOUT;
    if (poll(&fd, 1, slice(d, w)) > 0 && (fd.revents & ~POLLOUT))
        (void) !PQconsumeInput(d->conn); /* likewise */
    return true;
}

bool db_wait_result(struct db_libpq *d, struct db_wait *w)
{
    /* What was queued goes out even where the answer to something earlier is already here. */
    PQflush(d->conn);
    while (PQstatus(d->conn) == CONNECTION_OK && PQisBusy(d->conn))
        if (!db_wait_readable(d, w))
            return false;
    return true;
}

void db_wait_end(struct db_libpq *d, struct db_wait *w)
{
    int64_t end = now(d) + CANCEL_WAIT_MS;

    if (!w->cancel)
        return;
    /* Without the session there is nothing left to protect. */
    while (d->conn && !atomic_load(&w->cancel->is_done) && now(d) < end)
        poll(NULL, 0, 5);
    if (!atomic_load(&w->cancel->is_done))
        db_session_close(d);
    cancel_drop(w->cancel);
    w->cancel = NULL;
}
