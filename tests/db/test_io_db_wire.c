/* The libpq port on the wire: pipelines, round trips, a network that goes silent, a client that
 * is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io_rig.h"

/* ---- pipelines ------------------------------------------------------------------------------- */

static const char add_one[] = "SELECT $1::int + 1", add_two[] = "SELECT $1::int + 2";

static void test_pipeline(void **state)
{
    struct rig *r = *state;
    const struct db_call calls[] = {
        {"BEGIN", DB_NO_PARAMS},
        {"CREATE TABLE public.t (a int PRIMARY KEY)", DB_NO_PARAMS},
        {"INSERT INTO public.t VALUES ($1::int), ($2::int) RETURNING a", DB_PARAMS("4", "5")},
        {"SELECT NULL::text, $1::text", DB_PARAMS(NULL)},
        {"COMMIT", DB_NO_PARAMS},
    };
    struct db_rows rows[5] = {0};
    int done = -1;

    assert_true(db_pipeline(r->db, &r->a, calls, 5, rows, &done, &r->err));
    assert_int_equal(done, 5);
    assert_int_equal(rows[2].n_rows, 2);
    assert_string_equal(db_cell(&rows[2], 1, 0), "5");
    assert_null(db_cell(&rows[3], 0, 1));
    assert_true(db_pipeline(r->db, NULL, NULL, 0, NULL, &done, &r->err));
    assert_int_equal(done, 0);
    assert_int_equal(pgtest_count(r->conninfo, "SELECT count(*) FROM public.t"), 2);
}

static void test_pipeline_fails_in_the_middle(void **state)
{
    struct rig *r = *state;
    const struct db_call calls[] = {
        {"BEGIN", DB_NO_PARAMS},
        {"INSERT INTO public.t VALUES (1) RETURNING a", DB_NO_PARAMS},
        {"INSERT INTO public.t VALUES (1)", DB_NO_PARAMS},
        {"INSERT INTO public.t VALUES (2)", DB_NO_PARAMS},
        {"COMMIT", DB_NO_PARAMS},
    };
    struct db_rows rows[5] = {0};
    int done = -1;

    good(r, "CREATE TABLE public.t (a int PRIMARY KEY)");
    assert_false(db_pipeline(r->db, &r->a, calls, 5, rows, &done, &r->err));
    assert_int_equal(done, 2);
    assert_int_equal(r->err.kind, ERR_SQL);
    assert_string_equal(r->err.sqlstate, "23505");
    has(&r->err.notes, "statement 3 of 5");
    assert_int_equal(rows[1].n_rows, 1);
    assert_int_equal(rows[3].n_cols, 0);
    bad(r, "SELECT 1", ERR_SQL, "25P02"); /* the transaction is the caller's to end */
    good(r, "ROLLBACK");
    assert_string_equal(value(r, "SELECT count(*) FROM public.t"), "0");
    /* Without BEGIN the batch is one transaction all the same. */
    assert_false(db_pipeline(r->db, &r->a, calls + 1, 3, NULL, &done, &r->err));
    assert_int_equal(done, 1);
    assert_string_equal(value(r, "SELECT count(*) FROM public.t"), "0");
}

/* The commit of the implicit transaction happens at the Sync, after every statement was
 * answered. */
static void test_pipeline_fails_at_its_commit(void **state)
{
    struct rig *r = *state;
    const struct db_call calls[] = {{"INSERT INTO public.c VALUES (1)", DB_NO_PARAMS},
                                    {"SELECT 1", DB_NO_PARAMS}};
    const struct db_call with_commit[] = {
        {"BEGIN", DB_NO_PARAMS}, calls[0], {"COMMIT", DB_NO_PARAMS}};
    int done = -1;

    good(r, "CREATE TABLE public.p (a int PRIMARY KEY)");
    good(r, "CREATE TABLE public.c (a int REFERENCES public.p DEFERRABLE INITIALLY DEFERRED)");
    assert_false(db_pipeline(r->db, NULL, calls, 2, NULL, &done, &r->err));
    assert_string_equal(r->err.sqlstate, "23503");
    assert_int_equal(r->err.kind, ERR_SQL);
    assert_true(db_is_usable(r->db));
    assert_string_equal(value(r, "SELECT count(*) FROM public.c"), "0");
    assert_false(db_pipeline(r->db, NULL, with_commit, 3, NULL, &done, &r->err));
    assert_string_equal(r->err.sqlstate, "23503");
    assert_int_equal(done, 2);
    assert_string_equal(value(r, "SELECT count(*) FROM public.c"), "0");
}

/* Both sides' buffers full at once: who only writes, or only reads, hangs. */
static void test_pipeline_of_large_values(void **state)
{
    struct rig *r = *state;
    enum { CALLS = 40, BYTES = 1 << 20 };
    char *large = malloc(BYTES + 1);
    struct db_call calls[CALLS];
    struct db_rows rows[CALLS];
    int done = 0;

    memset(large, 'y', BYTES);
    large[BYTES] = '\0';
    for (int i = 0; i < CALLS; i++)
        calls[i] = (struct db_call) {"SELECT $1::text", {.n = 1, .value = {large}}};
    db_set_deadline_ms(r->db, 60000);
    assert_true(db_pipeline(r->db, &r->a, calls, CALLS, rows, &done, &r->err));
    assert_int_equal(done, CALLS);
    assert_string_equal(db_cell(&rows[CALLS - 1], 0, 0), large);
    free(large);
}

/* ---- a wire between that can be watched and cut ---------------------------------------------- */

struct wire {
    struct sockaddr_un server;
    int fd, port;
    atomic_int bursts;           /* times that the client spoke after the server had */
    atomic_bool is_frozen;       /* takes everything, passes nothing on */
    unsigned char said[1 << 16]; /* by the client of the first connection */
    atomic_size_t n_said;
    pthread_t thread;
};

static bool pass(struct wire *w, int from, int to, bool is_client)
{
    unsigned char block[1 << 14];
    ssize_t n = recv(from, block, sizeof block, 0);

    if (n <= 0)
        return false;
    if (w->is_frozen)
        return true;
    if (is_client && w->n_said + (size_t) n <= sizeof w->said) {
        memcpy(w->said + w->n_said, block, (size_t) n);
        w->n_said += (size_t) n;
    }
    return send(to, block, (size_t) n, MSG_NOSIGNAL) == n;
}

static void relay(struct wire *w, int client, int server)
{
    bool server_spoke = true, open = true;

    while (open) {
        struct pollfd fds[] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};

        poll(fds, 2, -1);
        if (fds[0].revents) {
            w->bursts += server_spoke;
            server_spoke = false;
            open = pass(w, client, server, true);
        }
        if (open && fds[1].revents) {
            server_spoke = true;
            open = pass(w, server, client, false);
        }
    }
}

/* One connection; what comes later (a cancel) is taken by the kernel and never answered. */
static void *wire_run(void *arg)
{
    struct wire *w = arg;
    int client = accept(w->fd, NULL, NULL);
    int server = socket(AF_UNIX, SOCK_STREAM, 0);

    if (client >= 0 && connect(server, (struct sockaddr *) &w->server, sizeof w->server) == 0)
        relay(w, client, server);
    close(client);
    close(server);
    return NULL;
}

static struct wire *wire_start(struct rig *r)
{
    struct wire *w = calloc(1, sizeof *w);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    char *folder = arena_strdup(&r->a, strstr(r->conninfo, "host=") + 5);

    folder[strcspn(folder, " ")] = '\0';
    w->server.sun_family = AF_UNIX;
    snprintf(w->server.sun_path, sizeof w->server.sun_path, "%s/.s.PGSQL.5432", folder);
    w->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(w->fd, (struct sockaddr *) &at, n), 0);
    assert_int_equal(listen(w->fd, 5), 0);
    getsockname(w->fd, (struct sockaddr *) &at, &n);
    w->port = ntohs(at.sin_port);
    pthread_create(&w->thread, NULL, wire_run, w);
    return w;
}

static void wire_stop(struct wire *w)
{
    pthread_join(w->thread, NULL);
    close(w->fd);
    free(w);
}

static struct db *open_through(struct rig *r, struct wire *w)
{
    struct db_options o = options(r);

    o.url = arena_printf(
        &r->a, "host=127.0.0.1 port=%d user=postgres dbname=%s sslmode=disable gssencmode=disable",
        w->port, value(r, "SELECT current_database()"));
    return open_with(r, &o);
}

/* Messages of one type that the client sent from byte `from` on. */
static int count_messages(const struct wire *w, size_t from, unsigned char type)
{
    int n = 0;

    while (from + 5 <= w->n_said) {
        const unsigned char *m = w->said + from;

        n += m[0] == type;
        from += 1 + ((size_t) m[1] << 24 | (size_t) m[2] << 16 | (size_t) m[3] << 8 | m[4]);
    }
    assert_int_equal(from, w->n_said);
    return n;
}

static void test_round_trips(void **state)
{
    struct rig *r = *state;
    struct wire *w = wire_start(r);
    struct db *db = open_through(r, w);
    const struct db_call calls[] = {{"BEGIN", DB_NO_PARAMS},
                                    {"SELECT 1", DB_NO_PARAMS},
                                    {"SELECT $1::int", DB_PARAMS("2")},
                                    {"COMMIT", DB_NO_PARAMS}};
    size_t before = w->n_said;
    int done = 0;

    /* The handshake, the settings; a busy machine may hand one of them on in pieces. */
    const int opened = w->bursts;
    assert_in_range(opened, 2, 3);
    assert_true(db_pipeline(db, NULL, calls, 4, NULL, &done, &r->err));
    assert_int_equal(done, 4);
    assert_int_equal(w->bursts, opened + 1);
    assert_int_equal(count_messages(w, before, 'S'), 1); /* Sync */
    assert_int_equal(count_messages(w, before, 'E'), 4); /* Execute */
    assert_true(db_exec(db, "SELECT 1", NULL, &r->err));
    assert_int_equal(w->bursts, opened + 2);
    assert_int_equal(count_messages(w, before, 'Q'),
                     0); /* never the protocol that takes many statements */
    db_close(db);
    wire_stop(w);
}

/* Parse messages of a transaction around one call, and its answer. */
static size_t parses_of(struct rig *r, struct wire *w, struct db *db, const char *first,
                        const char *sql, const char *expected)
{
    const struct db_call calls[] = {{"BEGIN", DB_NO_PARAMS},
                                    {first, DB_NO_PARAMS},
                                    {sql, DB_PARAMS("40"), true},
                                    {"COMMIT", DB_NO_PARAMS}};
    struct db_rows rows[4];
    size_t before = w->n_said;
    int done = 0;

    assert_true(db_pipeline(db, &r->a, calls, 4, rows, &done, &r->err));
    assert_int_equal(done, 4);
    assert_string_equal(db_cell(&rows[2], 0, 0), expected);
    return count_messages(w, before, 'P');
}

/* What repeats is parsed once a session, and whatever becomes of that, the answer is the same. */
static void test_repeating_calls(void **state)
{
    struct rig *r = *state;
    struct wire *w = wire_start(r);
    struct db *db = open_through(r, w);
    const struct db_call failing[] = {
        {"BEGIN", DB_NO_PARAMS}, {"SELECT 1 / 0", DB_NO_PARAMS}, {add_two, DB_PARAMS("1"), true}};

    assert_int_equal(parses_of(r, w, db, "SELECT 1", add_one, "41"), 4);
    assert_int_equal(parses_of(r, w, db, "SELECT 1", add_one, "41"), 3);
    assert_false(db_pipeline(db, NULL, failing, 3, NULL, NULL, &r->err));
    assert_string_equal(r->err.sqlstate, "22012");
    err_clear(&r->err);
    assert_true(db_exec(db, "ROLLBACK", NULL, &r->err));
    assert_int_equal(parses_of(r, w, db, "SELECT 1", add_two, "42"), 4); /* it never got there */
    assert_int_equal(parses_of(r, w, db, "SELECT 1", add_two, "42"), 3);
    assert_int_equal(parses_of(r, w, db, "SELECT 1", add_one, "41"), 3);
    /* Sent again as a whole, unprepared: 3 that fail, the ROLLBACK, 4. */
    assert_int_equal(parses_of(r, w, db, "DEALLOCATE ALL", add_one, "41"), 3 + 1 + 4);
    assert_int_equal(parses_of(r, w, db, "SELECT 1", add_one, "41"), 4);
    db_close(db);
    /* A new session has nothing prepared: two in one, where it isn't known beforehand either. */
    for (int session = 0; session < 2; session++) {
        const struct db_call twice[] = {{add_two, DB_PARAMS("1"), true},
                                        {add_two, DB_PARAMS("2"), true}};
        struct db_rows rows[2];
        assert_true(db_pipeline(r->db, &r->a, twice, 2, rows, NULL, &r->err));
        assert_string_equal(db_cell(&rows[0], 0, 0), "3");
        assert_string_equal(db_cell(&rows[1], 0, 0), "4");
        assert_true(db_reconnect(r->db, &r->err));
    }
    wire_stop(w);
}

static void test_network_goes_silent(void **state)
{
    struct rig *r = *state;
    struct wire *w = wire_start(r);
    struct db *db = open_through(r, w);
    int64_t start;

    assert_true(db_exec(db, "SELECT 1", NULL, &r->err));
    w->is_frozen = true;
    db_set_deadline_ms(db, 300);
    start = clock_mono_ms(r->clock);
    assert_false(db_exec(db, "SELECT 2", NULL, &r->err));
    assert_int_equal(r->err.kind, ERR_CONNECTION_LOST);
    has(&r->err.message, "may still be running");
    assert_in_range(clock_mono_ms(r->clock) - start, 9000, 13000);
    assert_false(db_is_usable(db));
    assert_false(db_exec(db, "SELECT 3", NULL, &r->err));
    assert_int_equal(r->err.kind, ERR_CONNECTION_LOST);
    db_close(db);
    wire_stop(w);
}

static long sleepers(struct rig *r)
{
    return pgtest_count(r->conninfo, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                                     "AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid() "
                                     "AND datname = current_database()");
}

/* kill -9: the server notices and rolls back. */
static void test_killed_client(void **state)
{
    struct rig *r = *state;
    pid_t pid = fork();
    int64_t end;

    if (pid == 0) {
        struct db_options o = options(r);
        struct db *db = open_with(r, &o);

        (void) !db_exec(db, "SELECT pg_catalog.pg_sleep(60)", NULL, &r->err);
        _exit(0);
    }
    end = clock_mono_ms(r->clock) + 10000;
    while (sleepers(r) == 0 && clock_mono_ms(r->clock) < end)
        usleep(50 * 1000);
    assert_int_equal(sleepers(r), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    end = clock_mono_ms(r->clock) + 5000;
    while (sleepers(r) > 0 && clock_mono_ms(r->clock) < end)
        usleep(50 * 1000);
    assert_int_equal(sleepers(r), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pipeline),
        TEST(test_pipeline_fails_in_the_middle),
        TEST(test_pipeline_fails_at_its_commit),
        TEST(test_pipeline_of_large_values),
        TEST(test_round_trips),
        TEST(test_repeating_calls),
        TEST(test_network_goes_silent),
        TEST(test_killed_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
