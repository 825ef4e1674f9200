/* The lease: one at a time, free when its holder dies, harmless to CREATE INDEX CONCURRENTLY,
 * and it says who. */
#include "ledger_test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static long advisory_locks(const char *conninfo)
{
    return pgtest_count(
        conninfo, "SELECT count(*) FROM pg_locks l WHERE locktype = 'advisory' AND database = "
                  "(SELECT oid FROM pg_database WHERE datname = current_database())");
}

static void take(struct db *db, const char *run_id)
{
    AUTO(err) err = {0};
    struct lease_options o = test_lease(run_id);
    assert_good(lease_acquire(db, &o, true, &err), &err);
}

static struct db *open_run(const char *conninfo, const char *run_id)
{
    AUTO(str) label = {0};
    str_addf(&label, "phasegate/%s", run_id);
    return test_open_url(conninfo, str_text(&label), true);
}

/* ---- events that were said ----------------------------------------------------------------- */

struct recorder {
    struct events base;
    int n_waits;
    struct str last;
};

static void record(struct events *e, const struct event *ev)
{
    struct recorder *r = (struct recorder *) e;
    if (ev->kind == EVENT_WAIT)
        r->n_waits++;
    str_set(&r->last, ev->message);
}

static const struct events_ops recorder_ops = {.emit = record};

/* ---- one at a time ------------------------------------------------------------------------- */

static void test_one_holder(void **state)
{
    struct db *first = open_run(*state, "r1"), *second = open_run(*state, "r2");
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct holder h;
    bool held = false;
    take(first, "r1");
    assert_good(lease_describe(first, "expand/column", &err), &err);
    assert_good(lease_holder(second, &a, &held, &h, &err), &err);
    assert_true(held && h.alive);
    assert_string_equal(h.run_id, "r1");
    assert_string_equal(h.host, "box");
    assert_string_equal(h.user, "ann");
    assert_string_equal(h.command, "advance widen");
    assert_string_equal(h.step, "expand/column");
    assert_int_equal(h.pid, 4242);
    assert_int_equal(h.backend_pid, db_backend_pid(first));
    int64_t age = clock_wall_ms(test_clock()) - h.since_ms;
    assert_true(age > -60000 && age < 60000);
    assert_good(lease_is_held(first, &held, &err), &err);
    assert_true(held);
    assert_good(lease_is_held(second, &held, &err), &err);
    assert_false(held);

    struct lease_options o = test_lease("r2");
    assert_err(lease_acquire(second, &o, true, &err), &err, ERR_LOCKED);
    assert_int_equal(err_exit_code(&err), 6);
    const char *parts[] = {"r1", "ann@box", "4242", "advance widen", "expand/column"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_has(str_text(&err.detail), parts[i]);
    assert_has(str_text(&err.hint), "--lock-wait");
    /* The one that doesn't hold it changes nothing of the description. */
    err_clear(&err);
    assert_good(lease_describe(second, "mine", &err), &err);
    assert_err(lease_release(second, &err), &err, ERR_CONNECTION_LOST);
    err_clear(&err);
    assert_good(lease_holder(second, &a, &held, &h, &err), &err);
    assert_true(held);
    assert_string_equal(h.step, "expand/column");

    /* What the session says of itself is newer; what another run says, or just the command, is no step. */
    static const char *const labels[][2] = {{"phasegate/r1/expand/index", "expand/index"},
                                            {"phasegate/r1/advance widen", "expand/column"},
                                            {"phasegate/r9/other", "expand/column"},
                                            {"phasegate/r1", "expand/column"}};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        db_set_label(first, labels[i][0]);
        assert_good(db_exec(first, "SELECT 1", &DB_NO_PARAMS, &err), &err);
        assert_good(lease_holder(second, &a, &held, &h, &err), &err);
        assert_string_equal(h.step, labels[i][1]);
    }

    assert_good(lease_release(first, &err), &err);
    assert_good(lease_holder(second, &a, &held, &h, &err), &err);
    assert_false(held);
    assert_int_equal(h.backend_pid, 0);
    assert_good(lease_acquire(second, &o, true, &err), &err);
    assert_int_equal(advisory_locks(*state), 1);
    db_close(first);
    db_close(second);
}

static void test_taken_twice_by_one(void **state)
{
    struct db *db = open_run(*state, "r1"), *other = open_run(*state, "r2");
    AUTO(err) err = {0};
    take(db, "r1");
    int pid = db_backend_pid(db);
    take(db, "r1");
    assert_int_equal(db_backend_pid(db), pid);
    assert_good(lease_release(db, &err), &err);
    assert_int_equal(advisory_locks(*state), 0);
    take(other, "r2");
    db_close(db);
    db_close(other);
}

/* A port that tells the handshake's number, right or wrong; all else is the real one's. */
static int right_pid(struct db *db) { return db_backend_pid(db); }
static int wrong_pid(struct db *db) { return db_backend_pid(db) + 1; }

/* Opening the session again costs a round of handshakes: not where it is known to be direct. */
static void test_direct_session_stays(void **state)
{
    struct db *db = open_run(*state, "r1");
    const struct db_ops *real = db->ops;
    struct db_ops ops = *real;
    AUTO(err) err = {0};
    int pid = db_backend_pid(db);
    ops.handshake_pid = right_pid;
    db->ops = &ops;
    take(db, "r1");
    assert_int_equal(db_backend_pid(db), pid);
    assert_good(lease_release(db, &err), &err);
    ops.handshake_pid = wrong_pid;
    take(db, "r1");
    assert_int_not_equal(db_backend_pid(db), pid);
    assert_int_equal(advisory_locks(*state), 1);
    db->ops = real;
    db_close(db);
}

/* A second database of the same cluster has a lease of its own. */
static void test_other_database(void **state)
{
    char *elsewhere = pgtest_new_database();
    struct db *db = open_run(*state, "r1"), *other = open_run(elsewhere, "r2");
    take(db, "r1");
    take(other, "r2");
    db_close(db);
    db_close(other);
    pgtest_drop_database(elsewhere);
}

static void test_without_ledger(void **state)
{
    struct db *db = open_run(*state, "r1"), *other = open_run(*state, "r2");
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct lease_options o = test_lease("r1");
    struct holder h;
    bool held = false;
    assert_good(lease_acquire(db, &o, false, &err), &err);
    assert_good(lease_holder(other, &a, &held, &h, &err), &err);
    assert_true(held && h.alive);
    assert_string_equal(h.run_id, "r1");
    assert_int_equal(h.backend_pid, db_backend_pid(db));
    assert_good(lease_release(db, &err), &err);
    assert_int_equal(
        pgtest_count(*state, "SELECT count(*) FROM pg_namespace WHERE nspname = 'phasegate'"), 0);
    db_close(db);
    db_close(other);
}

enum { RUNNERS = 20 };

struct runner {
    pthread_t thread;
    struct db *db;
    char run_id[16];
    int64_t wait_ms;
    struct events *events;
    struct interrupt *interrupt;
    bool got;
    struct err err;
    int64_t took_ms;
};

static void *runner_run(void *arg)
{
    struct runner *r = arg;
    struct lease_options o = test_lease(r->run_id);
    o.wait_ms = r->wait_ms;
    o.events = r->events;
    o.interrupt = r->interrupt;
    int64_t start = clock_mono_ms(test_clock());
    r->got = lease_acquire(r->db, &o, true, &r->err);
    r->took_ms = clock_mono_ms(test_clock()) - start;
    return NULL;
}

static void runner_start(struct runner *r, const char *conninfo, const char *run_id,
                         int64_t wait_ms)
{
    r->db = open_run(conninfo, run_id);
    snprintf(r->run_id, sizeof r->run_id, "%s", run_id);
    r->wait_ms = wait_ms;
    assert_int_equal(pthread_create(&r->thread, NULL, runner_run, r), 0);
}

static void runner_end(struct runner *r)
{
    db_close(r->db);
    err_clear(&r->err);
}

/* On a bare database: the winner also makes the ledger, the others must not trip over that. */
static void test_twenty_at_once(void **state)
{
    struct runner runners[RUNNERS] = {0};
    int winners = 0;
    for (int i = 0; i < RUNNERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "r%d", i);
        runner_start(&runners[i], *state, name, 0);
    }
    for (int i = 0; i < RUNNERS; i++) {
        pthread_join(runners[i].thread, NULL);
        winners += runners[i].got;
        if (!runners[i].got)
            assert_int_equal(runners[i].err.kind, ERR_LOCKED);
    }
    assert_int_equal(winners, 1);
    assert_int_equal(advisory_locks(*state), 1);
    assert_int_equal(pgtest_count(*state, "SELECT count(*) FROM phasegate.migration_lock"), 1);
    for (int i = 0; i < RUNNERS; i++)
        runner_end(&runners[i]);
}

/* ---- waiting ------------------------------------------------------------------------------- */

static void test_wait_and_get(void **state)
{
    struct db *first = open_run(*state, "r1");
    struct recorder said = {.base = {&recorder_ops}};
    struct runner waiter = {.events = &said.base};
    AUTO(err) err = {0};
    take(first, "r1");
    runner_start(&waiter, *state, "r2", 20000);
    usleep(800 * 1000);
    assert_good(lease_release(first, &err), &err);
    pthread_join(waiter.thread, NULL);
    assert_good(waiter.got, &waiter.err);
    assert_true(waiter.took_ms >= 500);
    assert_int_equal(said.n_waits, 1);
    assert_has(str_text(&said.last), "run r1, ann@box");
    str_free(&said.last);
    runner_end(&waiter);
    db_close(first);
}

static void test_wait_and_give_up(void **state)
{
    struct db *first = open_run(*state, "r1");
    struct runner waiter = {0};
    take(first, "r1");
    runner_start(&waiter, *state, "r2", 700);
    pthread_join(waiter.thread, NULL);
    assert_false(waiter.got);
    assert_int_equal(waiter.err.kind, ERR_LOCKED);
    assert_has(str_text(&waiter.err.message), "after waiting 700ms");
    assert_true(waiter.took_ms >= 700);
    runner_end(&waiter);
    db_close(first);
}

static void test_interrupted_wait(void **state)
{
    struct db *first = open_run(*state, "r1");
    struct interrupt interrupt = {0};
    struct runner waiter = {.interrupt = &interrupt};
    take(first, "r1");
    runner_start(&waiter, *state, "r2", 60000);
    usleep(400 * 1000);
    interrupt.signal = SIGTERM;
    interrupt.count = 1;
    pthread_join(waiter.thread, NULL);
    assert_false(waiter.got);
    assert_int_equal(waiter.err.kind, ERR_INTERRUPTED);
    assert_int_equal(err_exit_code(&waiter.err), 143);
    assert_true(waiter.took_ms < 30000);
    runner_end(&waiter);
    db_close(first);
}

static void *commit_later(void *db)
{
    AUTO(err) err = {0};
    usleep(700 * 1000);
    (void) !db_exec(db, "COMMIT", &DB_NO_PARAMS, &err);
    return NULL;
}

/* Blocking in pg_advisory_lock would make the server kill the holder's index build. */
static void test_concurrent_index_under_waiters(void **state)
{
    struct db *first = open_run(*state, "r1"), *app = test_open_url(*state, "shop", true);
    struct interrupt enough = {0};
    struct runner waiters[3] = {{0}};
    AUTO(err) err = {0};
    take(first, "r1");
    test_exec(
        first,
        "CREATE TABLE public.t AS SELECT g AS id FROM pg_catalog.generate_series(1, 20000) AS g");
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        waiters[i].interrupt = &enough;
        runner_start(&waiters[i], *state, name, 120000);
    }
    for (int i = 0; i < 3; i++) {
        pthread_t writer;
        test_exec(first, "DROP INDEX IF EXISTS public.t_id");
        test_exec(app, "BEGIN");
        test_exec(app, "INSERT INTO public.t VALUES (0)");
        /* The build waits for the writer, and in each of its phases for whoever has a snapshot. */
        assert_int_equal(pthread_create(&writer, NULL, commit_later, app), 0);
        test_exec(first, "SET lock_timeout = 0");
        test_exec(first, "CREATE INDEX CONCURRENTLY t_id ON public.t (id)");
        pthread_join(writer, NULL);
        assert_int_equal(
            pgtest_count(*state,
                         "SELECT count(*) FROM pg_index WHERE indexrelid = 'public.t_id'::regclass "
                         "AND indisvalid"),
            1);
    }
    enough.signal = SIGINT;
    enough.count = 1;
    for (int i = 0; i < 3; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_false(waiters[i].got);
        assert_int_equal(waiters[i].err.kind, ERR_INTERRUPTED);
    }
    assert_good(lease_release(first, &err), &err);
    for (int i = 0; i < 3; i++)
        runner_end(&waiters[i]);
    db_close(first);
    db_close(app);
}

/* ---- dying --------------------------------------------------------------------------------- */

/* kill -9 of the holding process: nobody has to clean up, and what it was doing can still be
 * read. */
static void test_holder_is_killed(void **state)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        AUTO(err) err = {0};
        struct db *db = open_run(*state, "dead");
        struct lease_options o = test_lease("dead");
        if (lease_acquire(db, &o, true, &err) && lease_describe(db, "expand/index", &err))
            (void) !write(ready[1], "x", 1);
        pause();
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);

    struct db *db = open_run(*state, "next");
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct holder h;
    bool held = false;
    assert_good(lease_holder(db, &a, &held, &h, &err), &err);
    assert_true(held);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (int i = 0; held && i < 100; i++) {
        usleep(50000);
        assert_good(lease_holder(db, &a, &held, &h, &err), &err);
    }
    assert_false(held);
    assert_false(h.alive);
    assert_string_equal(h.run_id, "dead");
    assert_string_equal(h.step, "expand/index");
    take(db, "next");
    assert_good(lease_holder(db, &a, &held, &h, &err), &err);
    assert_string_equal(h.run_id, "next");
    assert_null(h.step);
    db_close(db);
}

static void test_lost_with_its_session(void **state)
{
    struct db *db = open_run(*state, "r1");
    AUTO(err) err = {0};
    bool held = true;
    take(db, "r1");
    assert_good(db_reconnect(db, &err), &err);
    assert_good(lease_is_held(db, &held, &err), &err);
    assert_false(held);
    assert_err(lease_release(db, &err), &err, ERR_CONNECTION_LOST);
    take(db, "r1");
    db_close(db);
}

/* ---- what a dead run has left behind ------------------------------------------------------- */

static void test_stale_backend(void **state)
{
    struct db *db = open_run(*state, "r1"),
              *dead = test_open_url(*state, "phasegate/dead/fill", true);
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct lease_options o = test_lease("r1");
    struct holder *list = NULL;
    int n = -1;
    test_exec(dead, "CREATE TABLE public.t (a int)");
    assert_good(lease_stale_backends(db, &a, "r1", &list, &n, &err), &err);
    assert_int_equal(n, 0);
    test_exec(dead, "BEGIN");
    test_exec(dead, "UPDATE public.t SET a = 1");
    assert_good(lease_stale_backends(db, &a, "r1", &list, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_string_equal(list[0].run_id, "dead");
    assert_string_equal(list[0].step, "fill");
    assert_string_equal(list[0].command, "UPDATE public.t SET a = 1");
    assert_int_equal(list[0].backend_pid, db_backend_pid(dead));
    assert_true(list[0].alive);

    assert_err(lease_acquire(db, &o, true, &err), &err, ERR_LOCKED);
    assert_string_equal(err.reason, "stale_backend");
    assert_has(str_text(&err.detail), "run dead");
    assert_has(str_text(&err.hint), "pg_terminate_backend(");
    assert_int_equal(advisory_locks(*state), 0);

    struct runner waiter = {0};
    runner_start(&waiter, *state, "r2", 30000);
    usleep(600 * 1000);
    test_exec(dead, "COMMIT");
    pthread_join(waiter.thread, NULL);
    assert_good(waiter.got, &waiter.err);
    assert_true(waiter.took_ms >= 500);
    runner_end(&waiter);
    db_close(dead);
    db_close(db);
}

/* Label and work of a session, and whether a lease of run r1 takes it for a remnant. */
static const struct {
    const char *label, *work;
    bool is_stale;
} remnants[] = {
    {"phasegate/dead/x", "UPDATE public.t SET a = 1", true},
    {"phasegate/dead", "UPDATE public.t SET a = 1", true},
    {"phasegate/dead/x", "LOCK TABLE public.t IN SHARE UPDATE EXCLUSIVE MODE", true},
    {"phasegate/dead/x", "SELECT pg_catalog.txid_current()", true},
    {"phasegate/dead/x", "SELECT * FROM public.t", false},
    {"phasegate/r1", "UPDATE public.t SET a = 1", false},
    {"phasegate/r1/worker", "UPDATE public.t SET a = 1", false},
    {"phasegate/r10/x", "UPDATE public.t SET a = 1", true},
    {"phasegate/", "UPDATE public.t SET a = 1", true},
    {"phasegater/dead", "UPDATE public.t SET a = 1", false},
    {"shop", "UPDATE public.t SET a = 1", false},
};

static void test_what_counts_as_stale(void **state)
{
    struct db *db = open_run(*state, "r1");
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    test_exec(db, "CREATE TABLE public.t (a int)");
    for (size_t i = 0; i < sizeof remnants / sizeof *remnants; i++) {
        struct db *other = test_open_url(*state, remnants[i].label, true);
        struct holder *list = NULL;
        int n = -1;
        test_exec(other, "BEGIN");
        test_exec(other, remnants[i].work);
        assert_good(lease_stale_backends(db, &a, "r1", &list, &n, &err), &err);
        if (n != remnants[i].is_stale)
            fail_msg("%s, %s: %d", remnants[i].label, remnants[i].work, n);
        test_exec(other, "ROLLBACK");
        db_close(other);
    }
    db_close(db);
}

/* The server cuts application_name to 63 bytes; a run doesn't take itself for another one
 * because of that. */
static void test_long_run_ids(void **state)
{
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    struct db *db = open_run(*state, "looker");
    test_exec(db, "CREATE TABLE public.t (a int)");
    for (int len = 48; len < 58; len++) {
        char run_id[64] = {0};
        memset(run_id, 'x', (size_t) len);
        struct db *worker = open_run(*state, run_id);
        struct holder *list = NULL;
        int n = -1;
        test_exec(worker, "BEGIN");
        test_exec(worker, "UPDATE public.t SET a = 1");
        assert_good(lease_stale_backends(db, &a, run_id, &list, &n, &err), &err);
        assert_int_equal(n, 0);
        assert_good(lease_stale_backends(db, &a, "looker", &list, &n, &err), &err);
        assert_int_equal(n, 1);
        db_close(worker);
        for (int i = 0; n > 0 && i < 100; i++, usleep(20000))
            assert_good(lease_stale_backends(db, &a, "looker", &list, &n, &err), &err);
    }
    db_close(db);
}

/* ---- servers that can't be written to ------------------------------------------------------ */

static void test_read_only_session(void **state)
{
    struct db *db = test_open_url(*state, "phasegate/r1", false);
    AUTO(err) err = {0};
    struct lease_options o = test_lease("r1");
    assert_err(lease_acquire(db, &o, true, &err), &err, ERR_REFUSED);
    assert_string_equal(err.reason, "read_only");
    assert_int_equal(advisory_locks(*state), 0);
    db_close(db);
}

/* A standby, as far as the lease can tell: the answer that one gives to the first question. */
static bool standby_exec(struct db *db, struct arena *a, const char *sql, const struct db_params *p,
                         struct db_rows *rows, int64_t *affected, struct err *err)
{
    (void) db, (void) p, (void) affected;
    if (!strstr(sql, "pg_is_in_recovery"))
        return err_set(err, ERR_BUG, "a standby was asked for more: %s", sql);
    static const char *values[] = {"7", "t", "t", "ann", "shop"};
    rows->n_rows = 1;
    rows->n_cols = 5;
    rows->cell = arena_array(a, const char **, 1);
    rows->cell[0] = values;
    return true;
}

static int standby_pid(struct db *db)
{
    (void) db;
    return 7;
}

static void test_standby(void **state)
{
    (void) state;
    static const struct db_ops ops = {.exec = standby_exec, .backend_pid = standby_pid};
    struct db db = {&ops, "standby:5432/shop"};
    AUTO(err) err = {0};
    struct lease_options o = test_lease("r1");
    assert_err(lease_acquire(&db, &o, true, &err), &err, ERR_REFUSED);
    assert_string_equal(err.reason, "read_only");
    assert_has(str_text(&err.message), "standby:5432/shop is a standby");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pgtest_setup, pgtest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_holder),           TEST(test_taken_twice_by_one),
        TEST(test_direct_session_stays), TEST(test_other_database),
        TEST(test_without_ledger),       TEST(test_twenty_at_once),
        TEST(test_wait_and_get),         TEST(test_wait_and_give_up),
        TEST(test_interrupted_wait),     TEST(test_concurrent_index_under_waiters),
        TEST(test_holder_is_killed),     TEST(test_lost_with_its_session),
        TEST(test_stale_backend),        TEST(test_what_counts_as_stale),
        TEST(test_long_run_ids),         TEST(test_read_only_session),
        cmocka_unit_test(test_standby),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
