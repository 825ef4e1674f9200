/* The flag server under kill -9, a full disk, hostile clients, a damaged file and SIGTERM under load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "flag_client.h"
#include "phasegate/names.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char *folder;
static struct str state_path;

static int set_up(void **state)
{
    (void) state;
    folder = test_folder();
    str_clear(&state_path);
    str_addf(&state_path, "%s/flags.json", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    test_folder_remove(folder);
    str_free(&state_path);
    return 0;
}

static int64_t mono_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec) {ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/* ---- kill -9 ------------------------------------------------------------------------------------------ */

/* A writer owns one flag; each write is 1 higher, modulo 101. acknowledged: writes answered with 200. */
struct writer {
    const char *url;
    int number;
    atomic_long acknowledged;
    atomic_bool in_flight; /* a write was sent and not answered when the server went */
    atomic_bool stop;
    int bad_status;
    pthread_t thread;
};

static void *write_on(void *arg)
{
    struct writer *w = arg;
    AUTO(reply) r = {0};
    AUTO(str) path = {0};

    str_addf(&path, "/admin/v1/flags/w%d", w->number);
    while (!atomic_load(&w->stop)) {
        AUTO(str) body = {0};
        long n = atomic_load(&w->acknowledged) + 1;

        str_addf(&body, "{\"percent\": %ld, \"opId\": \"%ld\"}", n % 101, n);
        atomic_store(&w->in_flight, true);
        admin_call("PUT", w->url, str_text(&path), "If-Match: *", str_text(&body), &r);
        if (r.status == 0)
            break;
        atomic_store(&w->in_flight, false);
        if (r.status != 200) {
            w->bad_status = r.status;
            break;
        }
        atomic_store(&w->acknowledged, n);
    }
    return NULL;
}

static void check_after_kill(const char *url, const struct writer *w)
{
    AUTO(reply) r = {0};
    AUTO(str) path = {0};

    str_addf(&path, "/admin/v1/flags/w%d", w->number);
    admin_call("GET", url, str_text(&path), NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    long stored = strtol(reply_text(&r, "opId"), NULL, 10);
    long known = atomic_load(&w->acknowledged);
    assert_int_equal(reply_int(&r, "percent"), stored % 101);
    /* The write under way when the server went may be in or not; nothing else may differ. */
    if (stored != known && !(atomic_load(&w->in_flight) && stored == known + 1))
        fail_msg("flag w%d: %ld was acknowledged, %ld is stored", w->number, known, stored);
}

static void test_kill_9_keeps_every_acknowledged_write(void **state)
{
    enum { WRITERS = 4, ROUNDS = 8 };
    static struct writer writers[WRITERS];
    long total = 0;
    (void) state;

    srand(20261114);
    for (int round = 0; round < ROUNDS; round++) {
        struct server_process server = server_process_start(str_text(&state_path), 0);

        for (int i = 0; i < WRITERS; i++) {
            struct writer *w = &writers[i];
            AUTO(str) key = {0};

            str_addf(&key, "w%d", i);
            if (round == 0)
                flag_create(server.url, str_text(&key), 0, NULL);
            else
                check_after_kill(server.url, w);
            long known = atomic_load(&w->acknowledged);
            if (round > 0 && atomic_load(&w->in_flight)) {
                AUTO(reply) r = {0};
                AUTO(str) path = {0};

                str_addf(&path, "/admin/v1/flags/w%d", i);
                admin_call("GET", server.url, str_text(&path), NULL, NULL, &r);
                known = strtol(reply_text(&r, "opId"), NULL, 10);
            }
            *w = (struct writer) {.url = server.url, .number = i};
            atomic_store(&w->acknowledged, known);
        }
        for (int i = 0; i < WRITERS; i++)
            pthread_create(&writers[i].thread, NULL, write_on, &writers[i]);
        pause_ms(30 + rand() % 120);
        server_process_kill(&server, SIGKILL);
        for (int i = 0; i < WRITERS; i++) {
            atomic_store(&writers[i].stop, true);
            pthread_join(writers[i].thread, NULL);
            assert_int_equal(writers[i].bad_status, 0);
        }
    }
    struct server_process server = server_process_start(str_text(&state_path), 0);
    for (int i = 0; i < WRITERS; i++) {
        check_after_kill(server.url, &writers[i]);
        total += atomic_load(&writers[i].acknowledged);
    }
    assert_true(total > ROUNDS * WRITERS); /* the test did something */
    server_process_kill(&server, SIGTERM);
}

static void test_etags_survive_a_restart_and_not_a_new_file(void **state)
{
    AUTO(reply) r = {0};
    AUTO(str) match = {0};
    (void) state;

    struct server_process server = server_process_start(str_text(&state_path), 0);
    flag_create(server.url, "w", 10, NULL);
    admin_call("GET", server.url, "/admin/v1/flags/w", NULL, NULL, &r);
    str_addf(&match, "If-Match: %s", str_text(&r.etag));
    server_process_kill(&server, SIGKILL);
    server = server_process_start(str_text(&state_path), 0);
    admin_call("PUT", server.url, "/admin/v1/flags/w", str_text(&match), "{\"percent\":20}", &r);
    assert_int_equal(r.status, 200);
    server_process_kill(&server, SIGTERM);

    unlink(str_text(&state_path));
    server = server_process_start(str_text(&state_path), 0);
    flag_create(server.url, "w", 10, NULL);
    admin_call("PUT", server.url, "/admin/v1/flags/w", str_text(&match), "{\"percent\":20}", &r);
    assert_int_equal(r.status, 412);
    server_process_kill(&server, SIGTERM);
}

/* ---- disk full ------------------------------------------------------------------------------------------ */

static void test_full_disk_changes_nothing(void **state)
{
    AUTO(reply) r = {0};
    AUTO(str) path = {0};
    AUTO(str) etag = {0};
    struct stat st;
    int made = 0;
    (void) state;

    struct server_process server = server_process_start(str_text(&state_path), 4096);
    flag_create(server.url, "killme", 100, NULL);
    for (;; made++) {
        str_clear(&path);
        str_addf(&path, "/admin/v1/flags/f%d", made);
        admin_call("PUT", server.url, str_text(&path), "If-None-Match: *", "{\"percent\":50}", &r);
        if (r.status != 200)
            break;
        assert_true(made < 1000);
    }
    assert_int_equal(r.status, 507);
    assert_string_equal(reply_text(&r, "error"), "not_stored");
    admin_call("GET", server.url, str_text(&path), NULL, NULL, &r);
    assert_int_equal(r.status, 404);
    assert_int_equal(ofrep_value(server.url, "killme", "targetingKey", "u"), 1);
    AUTO(str) health = {0};
    str_addf(&health, "%s/healthz", server.url);
    http_call("GET", str_text(&health), NULL, NULL, &r);
    assert_false(reply_bool(&r, "writable"));
    /* Not even the temporary file is left to fill the disk. */
    str_clear(&path);
    str_addf(&path, "%s.tmp", str_text(&state_path));
    assert_int_equal(stat(str_text(&path), &st), -1);

    admin_call("GET", server.url, "/admin/v1/flags", NULL, NULL, &r);
    assert_int_equal(json_array_size(json_object_get(r.json, "flags")), made + 1);
    server_process_kill(&server, SIGKILL);
    server = server_process_start(str_text(&state_path), 0);
    admin_call("GET", server.url, "/admin/v1/flags", NULL, NULL, &r);
    assert_int_equal(json_array_size(json_object_get(r.json, "flags")), made + 1);
    admin_call("POST", server.url, "/admin/v1/flags/killme/off", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    server_process_kill(&server, SIGTERM);
}

static void test_writes_go_on_when_there_is_room_again(void **state)
{
    AUTO(reply) r = {0};
    (void) state;

    struct server_process server = server_process_start(str_text(&state_path), 0);
    flag_create(server.url, "w", 100, NULL);
    assert_int_equal(prlimit(server.pid, RLIMIT_FSIZE, &(struct rlimit) {64, RLIM_INFINITY}, NULL),
                     0);
    admin_call("POST", server.url, "/admin/v1/flags/w/off", NULL, NULL, &r);
    assert_int_equal(r.status, 507);
    assert_int_equal(ofrep_value(server.url, "w", "targetingKey", "u"), 1);
    prlimit(server.pid, RLIMIT_FSIZE, &(struct rlimit) {RLIM_INFINITY, RLIM_INFINITY}, NULL);
    admin_call("POST", server.url, "/admin/v1/flags/w/off", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(ofrep_value(server.url, "w", "targetingKey", "u"), 0);
    server_process_kill(&server, SIGTERM);
}

/* ---- a damaged file ---------------------------------------------------------------------------------------- */

static void spoil(const char *bytes, size_t n)
{
    FILE *f = fopen(str_text(&state_path), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void check_refused(void)
{
    struct flag_server_options o = {.state_path = str_text(&state_path)};
    struct flag_server *server = NULL;
    AUTO(err) err = {0};

    assert_false(flag_server_start(&o, &server, &err));
    assert_null(server);
    assert_true(err_is(&err, ERR_CONFIG));
    assert_non_null(strstr(str_text(&err.message), str_text(&state_path)));
    assert_non_null(strstr(str_text(&err.hint), "mv "));
}

static void test_damaged_state_is_refused(void **state)
{
    static char bytes[65536];
    (void) state;

    struct server_process server = server_process_start(str_text(&state_path), 0);
    flag_create(server.url, "w", 25, "accountId");
    server_process_kill(&server, SIGTERM);
    FILE *f = fopen(str_text(&state_path), "rb");
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_true(n > 100);

    spoil("", 0);
    check_refused();
    spoil("garbage\n", 8);
    check_refused();
    spoil(bytes, n / 2);
    check_refused();
    /* 25 % that became 95 % would be a rollout that nobody ordered. */
    char *digit = strstr(bytes, "\"percent\":25");
    assert_non_null(digit);
    digit[10] = '9';
    spoil(bytes, n);
    check_refused();
    digit[10] = '2';
    for (size_t i = 0; i < n - 1; i += 7) {
        bytes[i] ^= 1;
        spoil(bytes, n);
        check_refused();
        bytes[i] ^= 1;
    }
    spoil(bytes, n);
    server = server_process_start(str_text(&state_path), 0);
    AUTO(reply) r = {0};
    admin_call("GET", server.url, "/admin/v1/flags/w", NULL, NULL, &r);
    assert_int_equal(reply_int(&r, "percent"), 25);
    server_process_kill(&server, SIGTERM);
}

/* ---- limits ---------------------------------------------------------------------------------------------------- */

static int connect_to(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t) port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval) {10, 0}, sizeof(struct timeval));
    assert_int_equal(connect(fd, (struct sockaddr *) &to, sizeof to), 0);
    return fd;
}

/* What the server says until it closes or is silent for 10 s. */
static void read_all(int fd, struct str *out)
{
    char chunk[4096];
    ssize_t got;

    while ((got = recv(fd, chunk, sizeof chunk, 0)) > 0)
        str_addn(out, chunk, (size_t) got);
}

static struct flag_server *start_here(struct flag_server_options o)
{
    struct flag_server *server = NULL;
    AUTO(err) err = {0};

    o.state_path = str_text(&state_path);
    o.admin_token = ADMIN_TOKEN;
    if (!flag_server_start(&o, &server, &err))
        fail_msg("%s", str_text(&err.message));
    return server;
}

static void test_body_limit(void **state)
{
    struct flag_server *server = start_here((struct flag_server_options) {0});
    AUTO(reply) r = {0};
    AUTO(str) body = {0};
    AUTO(str) answer = {0};
    (void) state;

    flag_create(flag_server_url(server), "w", 50, NULL);
    str_add(&body, "{\"context\":{\"targetingKey\":\"");
    while (body.len < FLAG_SERVER_BODY_MAX - 3)
        str_addc(&body, 'x');
    str_add(&body, "\"}}");
    AUTO(str) url = {0};
    str_addf(&url, "%s/ofrep/v1/evaluate/flags/w", flag_server_url(server));
    http_call("POST", str_text(&url), "Expect:", str_text(&body), &r);
    assert_int_equal(r.status, 200);
    str_addc(&body, ' ');
    http_call("POST", str_text(&url), "Expect:", str_text(&body), &r);
    assert_int_equal(r.status, 413);
    assert_string_equal(reply_text(&r, "error"), "too_large");
    http_call("POST", str_text(&url), "Expect:\nTransfer-Encoding: chunked", str_text(&body), &r);
    assert_int_equal(r.status, 413);

    /* Announced as more than is worth reading: answered at once. */
    int fd = connect_to(flag_server_port(server));
    const char *head =
        "POST /ofrep/v1/evaluate/flags/w HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n";
    assert_int_equal(send(fd, head, strlen(head), 0), (ssize_t) strlen(head));
    read_all(fd, &answer);
    assert_non_null(strstr(str_text(&answer), " 413 "));
    close(fd);
    flag_server_stop(server);
}

static void test_header_limit(void **state)
{
    struct flag_server *server = start_here((struct flag_server_options) {0});
    int fd = connect_to(flag_server_port(server));
    AUTO(str) request = {0};
    AUTO(str) answer = {0};
    (void) state;

    str_add(&request, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ");
    while (request.len < (size_t) 200 << 10)
        str_add(&request, "0123456789");
    for (size_t sent = 0; sent < request.len;) {
        ssize_t n = send(fd, request.text + sent, request.len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break; /* closed on us: as good */
        sent += (size_t) n;
    }
    read_all(fd, &answer);
    assert_null(strstr(str_text(&answer), " 200 "));
    close(fd);
    flag_server_stop(server);
}

static void test_silent_connections_are_closed(void **state)
{
    struct flag_server *server = start_here((struct flag_server_options) {.idle_s = 1});
    int fd = connect_to(flag_server_port(server));
    const char *half =
        "POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{";
    AUTO(str) answer = {0};
    (void) state;

    assert_true(send(fd, half, strlen(half), 0) > 0);
    int64_t before = mono_ms();
    read_all(fd, &answer);
    assert_true(mono_ms() - before < 8000);
    close(fd);
    flag_server_stop(server);
}

static void test_connection_limit(void **state)
{
    struct flag_server *server = start_here((struct flag_server_options) {.max_connections = 4});
    AUTO(reply) r = {0};
    AUTO(str) url = {0};
    int held[4];
    (void) state;

    str_addf(&url, "%s/healthz", flag_server_url(server));
    for (int i = 0; i < 4; i++) {
        held[i] = connect_to(flag_server_port(server));
        assert_true(send(held[i], "GET ", 4, 0) == 4);
    }
    pause_ms(200);
    int extra = connect_to(flag_server_port(server));
    char c;
    setsockopt(extra, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval) {1, 0}, sizeof(struct timeval));
    const char *get = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    send(extra, get, strlen(get), MSG_NOSIGNAL);
    assert_true(recv(extra, &c, 1, 0) <= 0);
    for (int i = 0; i < 4; i++)
        close(held[i]);
    close(extra);
    for (int i = 0; i < 50 && r.status != 200; i++) {
        pause_ms(50);
        http_call("GET", str_text(&url), NULL, NULL, &r);
    }
    assert_int_equal(r.status, 200);
    flag_server_stop(server);
}

static void test_flag_limit(void **state)
{
    struct flag_server *server = start_here((struct flag_server_options) {0});
    AUTO(reply) r = {0};
    AUTO(str) path = {0};
    (void) state;

    for (int i = 0; i <= FLAG_SERVER_MAX_FLAGS; i++) {
        str_clear(&path);
        str_addf(&path, "/admin/v1/flags/f%d", i);
        admin_call("PUT", flag_server_url(server), str_text(&path), "If-None-Match: *",
                   "{\"percent\":50}", &r);
        if (r.status != (i < FLAG_SERVER_MAX_FLAGS ? 200 : 409))
            fail_msg("flag %d: %d", i, r.status);
    }
    assert_string_equal(reply_text(&r, "error"), "too_many_flags");
    flag_server_stop(server);
    server = start_here((struct flag_server_options) {0});
    admin_call("POST", flag_server_url(server), "/admin/v1/flags/f999/off", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    flag_server_stop(server);
}

/* ---- SIGTERM under load ------------------------------------------------------------------------------------------ */

static void test_graceful_stop_under_load(void **state)
{
    enum { WRITERS = 8 };
    static struct writer writers[WRITERS];
    (void) state;

    struct server_process server = server_process_start(str_text(&state_path), 0);
    for (int i = 0; i < WRITERS; i++) {
        AUTO(str) key = {0};

        str_addf(&key, "w%d", i);
        flag_create(server.url, str_text(&key), 0, NULL);
        writers[i] = (struct writer) {.url = server.url, .number = i};
        pthread_create(&writers[i].thread, NULL, write_on, &writers[i]);
    }
    pause_ms(200);
    int64_t before = mono_ms();
    server_process_kill(&server, SIGTERM); /* checks exit code 0 */
    assert_true(mono_ms() - before < 4000);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].bad_status, 0);
        assert_true(atomic_load(&writers[i].acknowledged) > 0);
    }
    server = server_process_start(str_text(&state_path), 0);
    for (int i = 0; i < WRITERS; i++)
        check_after_kill(server.url, &writers[i]);
    server_process_kill(&server, SIGTERM);
}

/* A body that arrives in pieces while the server is asked to stop still gets its answer. */
static void test_stop_waits_for_a_running_request(void **state)
{
    struct server_process server = server_process_start(str_text(&state_path), 0);
    AUTO(str) answer = {0};
    AUTO(str) head = {0};
    (void) state;

    flag_create(server.url, "w", 100, NULL);
    int fd = connect_to(atoi(strrchr(server.url, ':') + 1));
    str_add(&head,
            "POST /admin/v1/flags/w/off HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " ADMIN_TOKEN
            "\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"opId\"");
    assert_true(send(fd, head.text, head.len, 0) == (ssize_t) head.len);
    pause_ms(200);
    kill(server.pid, SIGTERM);
    pause_ms(300);
    assert_int_equal(send(fd, ":\"late\"}", 8, 0), 8);
    read_all(fd, &answer);
    assert_non_null(strstr(str_text(&answer), " 200 "));
    assert_non_null(strstr(str_text(&answer), "\"late\""));
    assert_non_null(strcasestr(str_text(&answer), "connection: close"));
    close(fd);
    server_process_kill(&server, SIGTERM);
    server = server_process_start(str_text(&state_path), 0);
    assert_int_equal(ofrep_value(server.url, "w", "targetingKey", "u"), 0);
    server_process_kill(&server, SIGTERM);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_kill_9_keeps_every_acknowledged_write),
        T(test_etags_survive_a_restart_and_not_a_new_file),
        T(test_full_disk_changes_nothing),
        T(test_writes_go_on_when_there_is_room_again),
        T(test_damaged_state_is_refused),
        T(test_body_limit),
        T(test_header_limit),
        T(test_silent_connections_are_closed),
        T(test_connection_limit),
        T(test_flag_limit),
        T(test_graceful_stop_under_load),
        T(test_stop_waits_for_a_running_request),
    };
    int failed;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
