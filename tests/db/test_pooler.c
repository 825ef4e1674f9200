/* A real pgbouncer between phasegate and the server: transaction and statement mode are
 * refused, also by an idle pool that always hands out the same session; session mode is as
 * good as none. */
#include "ledger_test.h"

#include <libpq-fe.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct bouncer {
    char *conninfo; /* the server's, of a database of this test; pgtest */
    char *url;      /* the same database through the pooler */
    char dir[64];
    pid_t pid;
};

static const char *option(PQconninfoOption *options, const char *name)
{
    for (PQconninfoOption *o = options; o->keyword; o++)
        if (strcmp(o->keyword, name) == 0 && o->val && *o->val)
            return o->val;
    fail_msg("no %s in the conninfo", name);
    return NULL;
}

static void write_file(const char *dir, const char *name, const char *text)
{
    AUTO(str) path = {0};
    str_addf(&path, "%s/%s", dir, name);
    FILE *f = fopen(str_text(&path), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void wait_until_it_answers(struct bouncer *b)
{
    for (int i = 0; i < 200; i++) {
        PGconn *conn = PQconnectdb(b->url);
        bool is_up = PQstatus(conn) == CONNECTION_OK;
        PQfinish(conn);
        if (is_up)
            return;
        if (waitpid(b->pid, NULL, WNOHANG) == b->pid)
            break;
        usleep(50000);
    }
    AUTO(str) command = {0};
    str_addf(&command, "cat %s/log >&2", b->dir);
    (void) !system(str_text(&command));
    fail_msg("pgbouncer doesn't answer: is it installed? apt-get install pgbouncer");
}

/* The one of the running test: its teardown stops it, however the test ends. */
static struct bouncer running;

static struct bouncer *bouncer_start(const char *mode, int pool_size)
{
    running = (struct bouncer) {.conninfo = pgtest_new_database(),
                                .dir = "/tmp/phasegate-bouncer.XXXXXX"};
    struct bouncer *b = &running;
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(b->conninfo, &why);
    AUTO(str) ini = {0};
    AUTO(str) users = {0};
    AUTO(str) path = {0};
    assert_non_null(options);
    assert_non_null(mkdtemp(b->dir));
    assert_int_equal(chmod(b->dir, 0777), 0); /* it doesn't run as root */
    const char *user = option(options, "user"), *database = option(options, "dbname");
    str_addf(&users, "\"%s\" \"\"\n", user);
    str_addf(
        &ini,
        "[databases]\n%s = host=%s port=%s\n[pgbouncer]\nunix_socket_dir = %s\nlisten_port = 6432\n"
        "auth_type = trust\nauth_file = %s/users\nlogfile = %s/log\npool_mode = "
        "%s\ndefault_pool_size = %d\n",
        database, option(options, "host"), option(options, "port"), b->dir, b->dir, b->dir, mode,
        pool_size);
    write_file(b->dir, "users", str_text(&users));
    write_file(b->dir, "ini", str_text(&ini));
    str_addf(&path, "%s/ini", b->dir);
    if (asprintf(&b->url, "host=%s port=6432 user=%s dbname=%s", b->dir, user, database) < 0)
        abort();
    PQconninfoFree(options);

    b->pid = fork();
    if (b->pid == 0) {
        const char *old = getenv("PATH");
        AUTO(str) search = {0};
        str_addf(&search, "%s:/usr/sbin", old ? old : "/usr/bin");
        setenv("PATH", str_text(&search), 1);
        if (geteuid() == 0)
            execlp("pgbouncer", "pgbouncer", "-q", "-u", "postgres", path.text, NULL);
        else
            execlp("pgbouncer", "pgbouncer", "-q", path.text, NULL);
        _exit(127);
    }
    assert_true(b->pid > 0);
    wait_until_it_answers(b);
    return b;
}

static int bouncer_stop(void **state)
{
    (void) state;
    static const char *const files[] = {"ini", "users", "log"};
    struct bouncer *b = &running;
    if (b->pid > 0) {
        kill(b->pid, SIGTERM);
        waitpid(b->pid, NULL, 0);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        AUTO(str) path = {0};
        str_addf(&path, "%s/%s", b->dir, files[i]);
        unlink(str_text(&path));
    }
    rmdir(b->dir);
    free(b->url);
    if (b->conninfo)
        pgtest_drop_database(b->conninfo);
    *b = (struct bouncer) {0};
    return 0;
}

static long locks(const struct bouncer *b)
{
    return pgtest_count(b->conninfo,
                        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                        "(SELECT oid FROM pg_database WHERE datname = current_database())");
}

static void assert_refused(const struct bouncer *b)
{
    struct db *db = test_open(b->url);
    AUTO(err) err = {0};
    struct lease_options o = test_lease("r1");
    assert_err(lease_acquire(db, &o, true, &err), &err, ERR_REFUSED);
    assert_string_equal(err.reason, "pooler");
    assert_int_equal(err_exit_code(&err), 4);
    assert_has(str_text(&err.hint), "session mode");
    assert_int_equal(
        pgtest_count(b->conninfo, "SELECT count(*) FROM pg_namespace WHERE nspname = 'phasegate'"),
        0);
    db_close(db);
}

/* Nobody else uses the pool: each transaction gets the same session of the server, so that no
 * pid ever differs. */
static void test_transaction_mode_idle(void **state)
{
    (void) state;
    struct bouncer *b = bouncer_start("transaction", 5);
    assert_refused(b);
    assert_int_equal(locks(b), 0);
    assert_refused(b);
}

/* Another client is in and out of transactions meanwhile, so that sessions change. */
static void test_transaction_mode_busy(void **state)
{
    (void) state;
    struct bouncer *b = bouncer_start("transaction", 5);
    struct db *other = test_open_url(b->url, "shop", true);
    test_exec(other, "BEGIN");
    test_exec(other, "SELECT 1");
    assert_refused(b);
    test_exec(other, "COMMIT");
    assert_refused(b);
    db_close(other);
}

static void test_statement_mode(void **state)
{
    (void) state;
    struct bouncer *b = bouncer_start("statement", 1);
    assert_refused(b);
}

static void test_session_mode(void **state)
{
    (void) state;
    struct bouncer *b = bouncer_start("session", 3);
    struct db *first = test_open(b->url), *second = test_open(b->url);
    AUTO(err) err = {0};
    struct lease_options o = test_lease("r1"), p = test_lease("r2");
    bool held = false;
    assert_good(lease_acquire(first, &o, true, &err), &err);
    assert_good(lease_is_held(first, &held, &err), &err);
    assert_true(held);
    assert_int_equal(locks(b), 1);
    assert_err(lease_acquire(second, &p, true, &err), &err, ERR_LOCKED);
    db_close(first);
    err_clear(&err);
    p.wait_ms = 10000;
    assert_good(lease_acquire(second, &p, true, &err), &err);
    assert_good(lease_release(second, &err), &err);
    assert_int_equal(locks(b), 0);
    db_close(second);
}

/* One session for all: whoever comes back waits for its own reset. */
static void test_session_mode_of_one(void **state)
{
    (void) state;
    struct bouncer *b = bouncer_start("session", 1);
    struct db *db = test_open(b->url);
    AUTO(err) err = {0};
    struct lease_options o = test_lease("r1");
    assert_good(lease_acquire(db, &o, true, &err), &err);
    assert_int_equal(locks(b), 1);
    db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_transaction_mode_idle, bouncer_stop),
        cmocka_unit_test_teardown(test_transaction_mode_busy, bouncer_stop),
        cmocka_unit_test_teardown(test_statement_mode, bouncer_stop),
        cmocka_unit_test_teardown(test_session_mode, bouncer_stop),
        cmocka_unit_test_teardown(test_session_mode_of_one, bouncer_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
