/* The lease: a session advisory lock, polled. A waiter that blocked in pg_advisory_lock would
 * deadlock with the holder's CREATE INDEX CONCURRENTLY, and the holder would lose. */
#include "phasegate/names.h"
#include "rows.h"

#include <inttypes.h>
#include <string.h>

enum {
    POLL_MS = 300,
    SAY_AGAIN_MS = 30000,
    /* A moment's write of another run (an approval, a kill's journal) is no remnant of a dead
     * one. */
    STALE_GRACE_MS = 1500,
    PROBE_POLL_MS = 100,
    PROBE_MS = 3000
};

struct wait {
    const struct lease_options *o;
    int64_t start_ms, said_ms; /* monotonic; said 0: nothing said yet */
    int64_t said_pid;
};

/* ---- words --------------------------------------------------------------------------------- */

static const char *known(const char *text) { return text ? text : "unknown"; }

static void add_holder(struct str *to, const struct holder *h)
{
    char since[25];
    time_to_rfc3339(h->since_ms, since);
    const char *user = known(h->user);

    /* Who acts is user@host already, unless a name was given. */
    str_addf(to, "run %s, %s", known(h->run_id), user);
    if (!strchr(user, '@'))
        str_addf(to, "@%s", known(h->host));
    if (h->pid)
        str_addf(to, ", process %" PRId64, h->pid);
    str_addf(to, ", database session %" PRId64 ", since %s", h->backend_pid, since);
    if (h->command)
        str_addf(to, ", running \"%s\"", h->command);
    if (h->step)
        str_addf(to, ", at step %s", h->step);
}

static void say_waiting(struct wait *w, const char *what, const struct holder *h)
{
    int64_t now = clock_mono_ms(w->o->clock);
    if (w->said_ms && w->said_pid == h->backend_pid && now - w->said_ms < SAY_AGAIN_MS)
        return;
    w->said_ms = now;
    w->said_pid = h->backend_pid;

    AUTO(str) message = {0};
    str_addf(&message, "waiting for %s: ", what);
    add_holder(&message, h);
    str_add(&message, "; gives up in ");
    duration_to_text(&message, w->start_ms + w->o->wait_ms - now);
    struct event e = {
        .kind = EVENT_WAIT, .message = str_text(&message), .ms = w->start_ms + w->o->wait_ms - now};
    events_emit(w->o->events, &e);
}

static bool check_interrupt(const struct lease_options *o, struct err *err)
{
    if (!o->interrupt || o->interrupt->count == 0)
        return true;
    err_set(err, ERR_INTERRUPTED, "interrupted before the lease was taken; nothing was changed");
    if (o->interrupt->signal == SIGTERM)
        err->exit_code = 128 + SIGTERM;
    return false;
}

/* Sleeps until the next look, or says that the wait is over (*out_over). */
static bool wait_more(const struct wait *w, int64_t limit_ms, bool *out_over, struct err *err)
{
    int64_t left = w->start_ms + limit_ms - clock_mono_ms(w->o->clock);
    *out_over = left <= 0;
    if (*out_over)
        return true;
    clock_sleep_ms(w->o->clock, left < POLL_MS ? left : POLL_MS);
    return check_interrupt(w->o, err);
}

/* ---- the session --------------------------------------------------------------------------- */

static bool refuse_pooler(struct db *db, const char *what, struct err *err)
{
    err_set(err, ERR_REFUSED, "%s goes through a pooler in transaction mode: %s", db->shown, what);
    err_reason(err, "pooler");
    return err_hint(
        err,
        "Give phasegate the server's own address, or a pool in session mode: the lease and the "
        "session's limits must stay with one session.");
}

/* Refuses a server that can't be written to. */
static bool check_writable(struct db *db, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_rows rows = {0};
    if (!db_query(db, &a, sql_select_session, &DB_NO_PARAMS, &rows, err))
        return false;

    struct reader r = {&rows, 0, 1};
    bool in_recovery = read_bool(&r), read_only = read_bool(&r);
    if (in_recovery || read_only) {
        err_set(err, ERR_REFUSED, in_recovery ? "%s is a standby" : "%s is read-only", db->shown);
        err_reason(err, "read_only");
        return err_hint(err, in_recovery
                                 ? "Connect to the primary (target_session_attrs=primary)."
                                 : "Connect to a server that can be written to, or see what sets "
                                   "default_transaction_read_only.");
    }
    return true;
}

/* Is the lock there in another transaction, under the same session? */
static bool check_stays(struct db *db, int64_t class, const char *name, int64_t pid,
                        struct err *err)
{
    AUTO(arena) a = {0};
    struct lock_owner owner;
    if (!lock_owner(db, &a, class, name, &owner, err))
        return false;
    if (!owner.is_mine || owner.backend_pid != pid)
        return refuse_pooler(db, "a lock that one transaction took wasn't held by the next", err);
    return true;
}

static bool try_lock(struct db *db, int64_t class, const char *name, bool *out_got,
                     int64_t *out_pid, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_params params = lock_params(&a, class, name);
    struct db_rows rows = {0};
    if (!db_query(db, &a, sql_try_advisory_lock, &params, &rows, err))
        return false;
    struct reader r = {&rows, 0, 0};
    *out_got = read_bool(&r);
    (void) read_bool(&r);
    *out_pid = read_int(&r);
    return true;
}

static bool unlock(struct db *db, int64_t class, const char *name, bool *out_released,
                   struct err *err)
{
    AUTO(arena) a = {0};
    struct db_params params = lock_params(&a, class, name);
    struct db_rows rows = {0};
    if (!db_query(db, &a, sql_release_advisory_lock, &params, &rows, err))
        return false;
    struct reader r = {&rows, 0, 0};
    *out_released = read_bool(&r);
    return true;
}

/* There may be a pooler between. An idle pool in transaction mode gives every transaction the same
 * session: nothing looks odd, and two clients then share one lease. What gives it away is what
 * becomes of a lock when its client leaves: a session's end takes it along. */
static bool probe_pooler(struct db *db, const struct lease_options *o, struct err *err)
{
    AUTO(arena) a = {0};
    const char *name = arena_printf(&a, "%s/%08x", o->run_id, clock_random(o->clock));
    bool got = false;
    int64_t pid = 0;
    if (!try_lock(db, LOCK_CLASS_PROBE, name, &got, &pid, err) ||
        !check_stays(db, LOCK_CLASS_PROBE, name, pid, err) || !db_reconnect(db, err))
        return false;

    int64_t end = clock_mono_ms(o->clock) + PROBE_MS;
    struct lock_owner owner;
    while (true) {
        if (!lock_owner(db, &a, LOCK_CLASS_PROBE, name, &owner, err))
            return false;
        if (owner.backend_pid == 0)
            return true;
        if (owner.is_mine || clock_mono_ms(o->clock) >= end)
            break;
        clock_sleep_ms(o->clock, PROBE_POLL_MS);
        if (!check_interrupt(o, err))
            return false;
    }

    /* What can't be taken back here ends with the pool's session; nobody else ever asks for
     * this key. */
    bool released;
    AUTO(err) ignored = {0};
    if (!unlock(db, LOCK_CLASS_PROBE, name, &released, &ignored))
        err_clear(&ignored);
    return refuse_pooler(db, "a lock outlived the client that took it", err);
}

static bool check_session_stays(struct db *db, const struct lease_options *o, struct err *err)
{
    bool held = false;
    if (db_is_direct(db))
        return true;
    /* Who has the lease was let through before; opening the session again would lose it. */
    if (!lease_is_held(db, &held, err))
        return false;
    return held || probe_pooler(db, o, err);
}

/* ---- taking it ----------------------------------------------------------------------------- */

static bool refuse_locked(const struct lease_options *o, const struct holder *h, const char *shown,
                          struct err *err)
{
    AUTO(str) who = {0};
    AUTO(str) waited = {0};
    add_holder(&who, h);
    duration_to_text(&waited, o->wait_ms);
    if (o->wait_ms > 0)
        err_set(err, ERR_LOCKED, "another run holds the lease of %s, after waiting %s", shown,
                str_text(&waited));
    else
        err_set(err, ERR_LOCKED, "another run holds the lease of %s", shown);
    err_detail(err, "Held by %s.", str_text(&who));
    return err_hint(err,
                    "Let it finish, or wait longer: --lock-wait 10m. To look: SELECT * FROM "
                    "phasegate.migration_lock; "
                    "SELECT * FROM pg_stat_activity WHERE pid = %" PRId64,
                    h->backend_pid);
}

static bool wait_for_lock(struct db *db, struct wait *w, struct err *err)
{
    while (true) {
        bool got = false, is_held = false, is_over = false;
        int64_t pid = 0;
        if (!try_lock(db, LOCK_CLASS_LEASE, LEASE_NAMESPACE, &got, &pid, err))
            return false;
        if (got)
            return check_stays(db, LOCK_CLASS_LEASE, LEASE_NAMESPACE, pid, err) &&
                   check_stays(db, LOCK_CLASS_LEASE, LEASE_NAMESPACE, pid, err);

        AUTO(arena) a = {0};
        struct holder h;
        if (!lease_holder(db, &a, &is_held, &h, err))
            return false;
        if (is_held && w->o->wait_ms > 0)
            say_waiting(w, "the lease", &h);
        if (!wait_more(w, w->o->wait_ms, &is_over, err))
            return false;
        if (is_over && is_held)
            return refuse_locked(w->o, &h, db->shown, err);
        if (is_over)
            return err_set(err, ERR_LOCKED,
                           "another run held the lease of %s a moment ago: try again", db->shown);
    }
}

static bool refuse_stale(const struct holder *list, int n, const char *shown, struct err *err)
{
    AUTO(str) who = {0};
    for (int i = 0; i < n; i++) {
        str_add(&who, i > 0 ? "\n" : "");
        add_holder(&who, &list[i]);
    }
    err_set(err, ERR_LOCKED, "%d session%s of an earlier run %s still at work in %s", n,
            n == 1 ? "" : "s", n == 1 ? "is" : "are", shown);
    err_reason(err, "stale_backend");
    err_detail(err, "%s", str_text(&who));
    return err_hint(
        err,
        "Wait for the end (--lock-wait 10m), or stop it: SELECT pg_terminate_backend(%" PRId64 ")",
        list[0].backend_pid);
}

static bool wait_for_stale(struct db *db, struct wait *w, struct err *err)
{
    int64_t left = w->start_ms + w->o->wait_ms - clock_mono_ms(w->o->clock);
    int64_t limit =
        clock_mono_ms(w->o->clock) - w->start_ms + (left > STALE_GRACE_MS ? left : STALE_GRACE_MS);

    while (true) {
        AUTO(arena) a = {0};
        struct holder *list;
        int n = 0;
        bool is_over = false;
        if (!lease_stale_backends(db, &a, w->o->run_id, &list, &n, err))
            return false;
        if (n == 0)
            return true;
        if (w->o->wait_ms > 0)
            say_waiting(w, "a session that an earlier run has left behind", &list[0]);
        if (!wait_more(w, limit, &is_over, err))
            return false;
        if (is_over)
            return refuse_stale(list, n, db->shown, err);
    }
}

static bool lease_enter(struct db *db, struct wait *w, bool upgrade, struct err *err)
{
    int version = 0;
    if (upgrade ? !ledger_upgrade(db, err) : !ledger_version(db, &version, err))
        return false;
    if (upgrade || version > 0) {
        AUTO(arena) a = {0};
        struct db_call call;
        call_begin(&call, sql_upsert_migration_lock);
        call_text(&call, LEASE_NAMESPACE);
        call_text(&call, w->o->run_id);
        call_text(&call, w->o->host);
        call_text(&call, w->o->user);
        call_int(&a, &call, w->o->pid);
        call_text(&call, w->o->command);
        if (!db_exec(db, call.sql, &call.params, err))
            return ledger_explain(db, err);
    }
    return wait_for_stale(db, w, err);
}

bool lease_acquire(struct db *db, const struct lease_options *o, bool upgrade, struct err *err)
{
    struct wait w = {.o = o, .start_ms = clock_mono_ms(o->clock)};
    if (!check_interrupt(o, err) || !check_writable(db, err))
        return false;
    if (!check_session_stays(db, o, err))
        return false;
    if (!wait_for_lock(db, &w, err))
        return false;
    if (lease_enter(db, &w, upgrade, err))
        return true;

    /* The caller has one error to show; that the lock couldn't be given back either adds
     * nothing to it. */
    AUTO(err) ignored = {0};
    if (db_is_usable(db) && !lease_release(db, &ignored))
        err_clear(&ignored);
    return false;
}

/* ---- having it ----------------------------------------------------------------------------- */

void lease_describe_call(struct arena *a, const char *step, struct db_call *out)
{
    (void) a;
    call_begin(out, sql_update_migration_lock);
    call_text(out, LEASE_NAMESPACE);
    call_text(out, step);
}

bool lease_describe(struct db *db, const char *step, struct err *err)
{
    struct db_call call;
    lease_describe_call(NULL, step, &call);
    return db_exec(db, call.sql, &call.params, err) || ledger_explain(db, err);
}

bool lease_is_held(struct db *db, bool *out_held, struct err *err)
{
    AUTO(arena) a = {0};
    struct lock_owner owner;
    if (!lock_owner(db, &a, LOCK_CLASS_LEASE, LEASE_NAMESPACE, &owner, err))
        return false;
    *out_held = owner.is_mine;
    return true;
}

/* Gone with the ledger, or never there: nothing to forget. */
static bool forget_description(struct db *db, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_rows rows = {0};
    if (!db_query(db, &a, sql_select_ledger_presence, &DB_NO_PARAMS, &rows, err))
        return false;
    struct reader r = {&rows, 0, 1};
    struct db_params params = DB_PARAMS(LEASE_NAMESPACE);
    return !read_bool(&r) || db_exec(db, sql_delete_migration_lock, &params, err);
}

bool lease_release(struct db *db, struct err *err)
{
    bool released = false;
    AUTO(err) first = {0};
    bool forgotten = forget_description(db, &first);
    if (!unlock(db, LOCK_CLASS_LEASE, LEASE_NAMESPACE, &released, err))
        return false;
    if (!released)
        return err_set(err, ERR_CONNECTION_LOST, "the lease of %s was lost: its session ended",
                       db->shown);
    if (!forgotten)
        err_move(err, &first);
    return forgotten;
}
