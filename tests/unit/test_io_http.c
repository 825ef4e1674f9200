/* The HTTP port against a server that misbehaves in every way that matters: what was certainly
 * not sent is told from what may have arrived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "phasegate/io.h"

/* ---- the server ------------------------------------------------------------------------------ */

static int server_fd, server_port;
static atomic_int n_connections, n_requests;
static char last_request[1 << 16];

static void say(int fd, const char *text)
{
    size_t n = strlen(text);

    while (n > 0) {
        ssize_t done = send(fd, text, n, MSG_NOSIGNAL);

        if (done <= 0)
            return;
        text += done;
        n -= (size_t) done;
    }
}

static void reset(int fd)
{
    struct linger none = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

static void say_bytes(int fd, size_t n)
{
    char block[4097];

    memset(block, 'x', 4096);
    for (; n > 0; n -= n < 4096 ? n : 4096) {
        block[n < 4096 ? n : 4096] = '\0';
        say(fd, block);
    }
}

static void say_drop_by_drop(int fd)
{
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    for (int i = 0; i < 50; i++) {
        usleep(100 * 1000);
        say(fd, "x");
    }
}

/* False: the connection ends. */
static bool answer(int fd, const char *path)
{
    static const struct {
        const char *path, *text;
        bool stays;
    } fixed[] = {
        {"/ok",
         "HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\nETag: \"v7\"\r\n"
         "Content-Length: 2\r\n\r\n{}",
         true},
        {"/limited",
         "HTTP/1.1 429 Too Many\r\nretry-after:  7 \r\nX-RateLimit-Reset: "
         "1700000000\r\nContent-Length: 0\r\n\r\n",
         true},
        {"/limited2",
         "HTTP/1.1 429 Too Many\r\nX-Rate-Limit-Reset: 1700000001\r\nContent-Length: 0\r\n\r\n",
         true},
        {"/redirect", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", true},
        {"/html", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>login</html>", false},
        {"/down", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", true},
        {"/continue",
         "HTTP/1.1 103 Early Hints\r\nETag: \"early\"\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
         true},
        {"/no-http", "hello, this is not HTTP at all\r\n", false},
        {"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", false},
        {"/cut-headers", "HTTP/1.1 200 OK\r\nContent-Le", false},
        {"/close", "", false},
    };

    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        if (strcmp(path, fixed[i].path) != 0)
            continue;
        say(fd, fixed[i].text);
        return fixed[i].stays;
    }
    if (strcmp(path, "/hang") == 0) {
        sleep(4);
    } else if (strcmp(path, "/reset") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
        usleep(50 * 1000);
        reset(fd);
    } else if (strcmp(path, "/slow") == 0) {
        say_drop_by_drop(fd);
    } else if (strcmp(path, "/limit") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
        say_bytes(fd, 1048576);
    } else if (strcmp(path, "/huge") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\n\r\n");
        say_bytes(fd, 1048577);
    } else if (strcmp(path, "/headers") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 100; i++) {
            say(fd, "X-Filler: ");
            say_bytes(fd, 8192);
            say(fd, "\r\n");
        }
    }
    return false;
}

/* Reads one request with its body; its path, or NULL at the end. */
static char *read_request(int fd)
{
    static const size_t max = sizeof last_request - 1;
    char *text = calloc(1, max + 1);
    size_t n = 0, whole = max;
    char *path, *end;

    while (n < whole) {
        ssize_t got = recv(fd, text + n, max - n, 0);

        if (got <= 0)
            break;
        n += (size_t) got;
        end = strstr(text, "\r\n\r\n");
        if (end) {
            char *length = strcasestr(text, "content-length:");

            whole = (size_t) (end + 4 - text) + (length ? strtoul(length + 15, NULL, 10) : 0);
        }
    }
    if (n < whole) {
        free(text);
        return NULL;
    }
    memcpy(last_request, text, max + 1);
    n_requests++;
    path = strchr(text, ' ') + 1;
    path[strcspn(path, " ?")] = '\0';
    path = strdup(path);
    free(text);
    return path;
}

static void *serve_one(void *arg)
{
    int fd = (int) (intptr_t) arg;
    char *path = read_request(fd);

    while (path && answer(fd, path)) {
        free(path);
        path = read_request(fd);
    }
    free(path);
    close(fd);
    return NULL;
}

static void *serve(void *arg)
{
    (void) arg;
    for (;;) {
        int fd = accept(server_fd, NULL, NULL);
        pthread_t thread;

        if (fd < 0)
            return NULL;
        n_connections++;
        pthread_create(&thread, NULL, serve_one, (void *) (intptr_t) fd);
        pthread_detach(thread);
    }
}

static int listen_somewhere(int backlog, int *out_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;

    assert_int_equal(bind(fd, (struct sockaddr *) &at, n), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    getsockname(fd, (struct sockaddr *) &at, &n);
    *out_port = ntohs(at.sin_port);
    return fd;
}

/* ---- the rig --------------------------------------------------------------------------------- */

struct rig {
    struct interrupt interrupt;
    struct clock *clock;
    struct http *http;
    struct arena a;
    struct err err;
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    r->clock = clock_system(&r->interrupt);
    assert_true(http_curl(r->clock, &r->interrupt, &r->http, &r->err));
    n_connections = n_requests = 0;
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    http_close(r->http);
    clock_system_free(r->clock);
    arena_free(&r->a);
    err_clear(&r->err);
    free(r);
    return 0;
}

static const char *url_of(struct rig *r, const char *path)
{
    return arena_printf(&r->a, "http://127.0.0.1:%d%s", server_port, path);
}

static struct http_res send_request(struct rig *r, const struct http_req *req)
{
    struct http_res res;
    void *tag = NULL;

    assert_true(r->http->ops->submit(r->http, req, r, &r->err));
    assert_true(r->http->ops->wait(r->http, &r->a, 8000, &tag, &res));
    assert_ptr_equal(tag, r);
    return res;
}

static struct http_res get(struct rig *r, const char *path)
{
    struct http_req req = {
        .method = "GET", .url = url_of(r, path), .connect_ms = 1000, .total_ms = 1500};

    return send_request(r, &req);
}

static struct http_res post(struct rig *r, const char *path)
{
    struct http_req req = {
        .method = "POST",
        .url = url_of(r, path),
        .headers = {"Authorization: hush-token", "Content-Type: application/json"},
        .body = "{\"on\":false}",
        .body_len = 12,
        .connect_ms = 1000,
        .total_ms = 1500,
        .is_write = true};

    return send_request(r, &req);
}

static void failed(const struct http_res *res, enum http_outcome outcome, const char *part)
{
    if (res->outcome != outcome || !res->why || !strcasestr(res->why, part))
        fail_msg("outcome %d, why \"%s\", expected %d, \"%s\"", res->outcome,
                 res->why ? res->why : "(none)", outcome, part);
    assert_int_equal(res->status, 0);
    assert_string_equal(res->body, "");
    assert_int_equal(res->body_len, 0);
    assert_string_equal(res->content_type, "");
}

/* ---- answered -------------------------------------------------------------------------------- */

static void test_answers(void **state)
{
    struct rig *r = *state;
    struct http_res res = get(r, "/ok");

    assert_int_equal(res.outcome, HTTP_ANSWERED);
    assert_int_equal(res.status, 200);
    assert_string_equal(res.content_type, "application/json");
    assert_string_equal(res.etag, "\"v7\"");
    assert_null(res.retry_after);
    assert_null(res.rate_reset);
    assert_null(res.why);
    assert_string_equal(res.body, "{}");
    assert_int_equal(res.body_len, 2);
    res = get(r, "/limited");
    assert_int_equal(res.status, 429);
    assert_string_equal(res.retry_after, "7");
    assert_string_equal(res.rate_reset, "1700000000");
    assert_string_equal(res.content_type, "");
    assert_string_equal(get(r, "/limited2").rate_reset, "1700000001");
    res = get(r, "/html");
    assert_int_equal(res.status, 200);
    assert_string_equal(res.content_type, "text/html");
    assert_int_equal(get(r, "/down").status, 503);
    res = get(r, "/continue"); /* what came before the answer isn't part of it */
    assert_int_equal(res.status, 204);
    assert_null(res.etag);
    res = get(r, "/limit");
    assert_int_equal(res.outcome, HTTP_ANSWERED);
    assert_int_equal(res.body_len, 1 << 20);
}

static void test_redirects_are_not_followed(void **state)
{
    struct rig *r = *state;

    assert_int_equal(get(r, "/redirect").status, 302);
    assert_int_equal(post(r, "/redirect").status, 302);
    assert_int_equal(n_requests, 2);
}

static void test_request(void **state)
{
    struct rig *r = *state;
    struct http_req req = {.method = "PUT", .url = url_of(r, "/ok"), .total_ms = 1500};

    assert_int_equal(post(r, "/ok").status, 200);
    assert_ptr_equal(strstr(last_request, "POST /ok HTTP/1.1\r\n"), last_request);
    assert_non_null(strstr(last_request, "\r\nAuthorization: hush-token\r\n"));
    assert_non_null(strstr(last_request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(last_request, "\r\nContent-Length: 12\r\n"));
    assert_non_null(strstr(last_request, "\r\n\r\n{\"on\":false}"));
    assert_null(strcasestr(last_request, "expect:"));
    assert_int_equal(send_request(r, &req).status, 200);
    assert_ptr_equal(strstr(last_request, "PUT /ok HTTP/1.1\r\n"), last_request);
    assert_non_null(strstr(last_request, "\r\nContent-Length: 0\r\n"));
    assert_null(strcasestr(last_request, "content-type:"));
    req.method = "DELETE";
    assert_int_equal(send_request(r, &req).status, 200);
    assert_ptr_equal(strstr(last_request, "DELETE /ok HTTP/1.1\r\n"), last_request);
    assert_null(strcasestr(last_request, "content-length:"));
    assert_null(strcasestr(last_request, "authorization:")); /* nothing stays from the one before */
}

static void test_connections(void **state)
{
    struct rig *r = *state;

    for (int i = 0; i < 3; i++)
        get(r, "/ok");
    assert_int_equal(n_connections, 1);
    for (int i = 0; i < 3; i++)
        post(r, "/ok");
    assert_int_equal(n_connections, 4);
    get(r, "/ok");
    assert_int_equal(n_connections, 4);
}

/* ---- certainly not sent ---------------------------------------------------------------------- */

static void test_not_sent(void **state)
{
    struct rig *r = *state;
    struct http_req req = {
        .method = "POST", .connect_ms = 1000, .total_ms = 1500, .is_write = true};
    struct http_res res;
    int port, fd = listen_somewhere(-1, &port); /* bound and not listening: refused */

    req.url =
        arena_printf(&r->a, "http://user:hush-word@127.0.0.1:%d/hush-path?token=hush-query", port);
    res = send_request(r, &req);
    failed(&res, HTTP_NOT_SENT, "refused");
    assert_null(strstr(res.why, "hush"));
    close(fd);
    req.url = "http://no-such-host.invalid/hush";
    res = send_request(r, &req);
    failed(&res, HTTP_NOT_SENT, "no-such-host.invalid:80: ");
    req.url = "file:///etc/hostname";
    res = send_request(r, &req);
    failed(&res, HTTP_NOT_SENT, "protocol");
    req.url = "ftp://127.0.0.1/x";
    res = send_request(r, &req);
    failed(&res, HTTP_NOT_SENT, "protocol");
    req.url = "http://[hush/";
    res = send_request(r, &req);
    failed(&res, HTTP_NOT_SENT, "URL");
    assert_null(strstr(res.why, "hush"));
    assert_int_equal(n_connections, 0);
}

/* Nobody takes the connection: its queue is full, so the handshake gets no answer. */
static void test_connect_time_out(void **state)
{
    struct rig *r = *state;
    int port, fd = listen_somewhere(0, &port), waiting[4];
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t) port)};
    struct http_req req = {.method = "POST", .connect_ms = 300, .total_ms = 3000, .is_write = true};
    struct http_res res;

    for (int i = 0; i < 4; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(waiting[i], (struct sockaddr *) &at, sizeof at);
    }
    usleep(50 * 1000);
    req.url = arena_printf(&r->a, "http://127.0.0.1:%d/", port);
    res = send_request(r, &req);
    failed(&res, HTTP_NOT_SENT, "before the request was sent");
    assert_in_range(res.ms, 250, 1500);
    for (int i = 0; i < 4; i++)
        close(waiting[i]);
    close(fd);
}

/* The handshake of TLS never ends: the connection is there, the request isn't. */
static void test_tls_that_hangs(void **state)
{
    struct rig *r = *state;
    int port, fd = listen_somewhere(5, &port);
    struct http_req req = {.method = "POST", .connect_ms = 400, .total_ms = 600, .is_write = true};
    struct http_res res;

    req.url = arena_printf(&r->a, "https://127.0.0.1:%d/", port);
    res = send_request(r, &req);
    failed(&res, HTTP_NOT_SENT, "before the request was sent");
    close(fd);
}

/* What went to the proxy itself is not yet the request. */
static void test_proxy(void **state)
{
    struct rig *r = *state;
    struct http_req req = {.method = "POST", .total_ms = 1500, .is_write = true};
    struct http_res res;

    setenv("https_proxy", url_of(r, ""), 1);
    setenv("http_proxy", url_of(r, ""), 1);
    req.url = "https://flags.invalid/x"; /* CONNECT is answered by hanging up */
    res = send_request(r, &req);
    failed(&res, HTTP_NOT_SENT, "flags.invalid:443");
    assert_int_equal(n_requests, 1);
    req.url = "http://flags.invalid/x"; /* the proxy has it, and may pass it on */
    res = send_request(r, &req);
    failed(&res, HTTP_IN_DOUBT, "flags.invalid:80");
    assert_int_equal(n_requests, 2);
    unsetenv("https_proxy");
    unsetenv("http_proxy");
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static pid_t start_tls_server(const char *key, const char *certificate, int port)
{
    pid_t pid = fork();

    if (pid == 0) {
        char text[16];

        snprintf(text, sizeof text, "%d", port);
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(1);
        execlp("openssl", "openssl", "s_server", "-accept", text, "-key", key, "-cert", certificate,
               "-www", "-quiet", NULL);
        _exit(127);
    }
    return pid;
}

static void test_tls_is_verified(void **state)
{
    struct rig *r = *state;
    char folder[] = "/tmp/phasegate-tls.XXXXXX";
    int port, fd = listen_somewhere(-1, &port), waited = 0;
    struct http_req req = {.method = "GET", .connect_ms = 3000, .total_ms = 5000, .is_write = true};
    struct http_res res;
    char *key, *certificate;
    pid_t pid;

    assert_non_null(mkdtemp(folder));
    key = arena_printf(&r->a, "%s/key.pem", folder);
    certificate = arena_printf(&r->a, "%s/cert.pem", folder);
    assert_int_equal(
        system(arena_printf(&r->a,
                            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 "
                            "-addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s 2>/dev/null",
                            key, certificate)),
        0);
    close(fd);
    pid = start_tls_server(key, certificate, port);
    req.url = arena_printf(&r->a, "https://127.0.0.1:%d/", port);
    do { /* until it listens */
        usleep(100 * 1000);
        res = send_request(r, &req);
    } while (strcasestr(res.why ? res.why : "", "refused") && ++waited < 50);
    failed(&res, HTTP_NOT_SENT, "certificate");
    req.ca_file = certificate;
    res = send_request(r, &req);
    assert_int_equal(res.outcome, HTTP_ANSWERED);
    req.url =
        arena_printf(&r->a, "https://127.0.0.2:%d/", port); /* not the name in the certificate */
    res = send_request(r, &req);
    failed(&res, HTTP_NOT_SENT, "127.0.0.2");
    req.ca_file = "/does/not/exist.pem";
    res = send_request(r, &req);
    failed(&res, HTTP_NOT_SENT, "/does/not/exist.pem");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(key);
    unlink(certificate);
    rmdir(folder);
}

/* ---- in doubt -------------------------------------------------------------------------------- */

static void test_in_doubt(void **state)
{
    static const struct {
        const char *path, *why;
    } cases[] = {
        {"/hang", "waiting for the answer"},
        {"/slow", "waiting for the answer"},
        {"/reset", ""},
        {"/cut", ""},
        {"/cut-headers", "cut within its headers"},
        {"/close", ""},
        {"/no-http", "the answer is not HTTP"},
        {"/huge", "larger than 1048576 bytes"},
        {"/headers", "larger than"},
    };
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int before = n_requests;
        struct http_res res = post(r, cases[i].path);

        print_message("%-10s %s\n", cases[i].path, res.why);
        failed(&res, HTTP_IN_DOUBT, cases[i].why);
        assert_null(strstr(res.why, "hush"));
        assert_int_equal(n_requests, before + 1); /* never sent a second time */
        assert_true(res.ms < 3000);
    }
}

/* A read on a kept connection that the server closes meanwhile may be repeated, a write may not. */
static void test_writes_are_not_repeated(void **state)
{
    struct rig *r = *state;
    struct http_res res;

    get(r, "/ok");
    res = post(r, "/close");
    failed(&res, HTTP_IN_DOUBT, "");
    assert_int_equal(n_requests, 2);
    assert_int_equal(n_connections, 2);
}

/* ---- several at once ------------------------------------------------------------------------- */

static void test_parallel(void **state)
{
    struct rig *r = *state;
    struct http_req hang = {
        .method = "POST", .url = url_of(r, "/hang"), .total_ms = 700, .is_write = true};
    struct http_req quick = {.method = "GET", .url = url_of(r, "/ok"), .total_ms = 2000};
    struct http_req slow = {.method = "GET", .url = url_of(r, "/slow"), .total_ms = 2000};
    struct http_res res;
    void *tag;
    int64_t start = clock_mono_ms(r->clock);

    assert_false(r->http->ops->wait(r->http, &r->a, 5000, &tag, &res)); /* nothing runs: at once */
    assert_true(r->http->ops->submit(r->http, &hang, &hang, &r->err));
    assert_true(r->http->ops->submit(r->http, &slow, &slow, &r->err));
    assert_true(r->http->ops->submit(r->http, &quick, &quick, &r->err));
    assert_true(r->http->ops->wait(r->http, &r->a, 2000, &tag, &res));
    assert_ptr_equal(tag, &quick);
    assert_int_equal(res.status, 200);
    assert_false(r->http->ops->wait(r->http, &r->a, 0, &tag, &res));
    assert_false(r->http->ops->wait(r->http, &r->a, 50, &tag, &res));
    r->http->ops->cancel(r->http, &slow);
    assert_true(r->http->ops->wait(r->http, &r->a, 2000, &tag, &res));
    assert_ptr_equal(tag, &hang);
    failed(&res, HTTP_IN_DOUBT, "waiting for the answer");
    assert_false(r->http->ops->wait(r->http, &r->a, 5000, &tag, &res));
    assert_true(clock_mono_ms(r->clock) - start < 2000);
}

static void *signal_later(void *arg)
{
    struct rig *r = arg;

    usleep(200 * 1000);
    r->interrupt.count++;
    return NULL;
}

static void test_wait_ends_with_a_signal(void **state)
{
    struct rig *r = *state;
    struct http_req hang = {.method = "GET", .url = url_of(r, "/hang"), .total_ms = 3000};
    struct http_res res;
    void *tag;
    int64_t start = clock_mono_ms(r->clock);
    pthread_t thread;

    assert_true(r->http->ops->submit(r->http, &hang, &hang, &r->err));
    pthread_create(&thread, NULL, signal_later, r);
    assert_false(r->http->ops->wait(r->http, &r->a, 3000, &tag, &res));
    assert_true(clock_mono_ms(r->clock) - start < 1500);
    pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const char *const proxies[] = {"http_proxy", "https_proxy", "all_proxy",
                                          "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"};
    const struct CMUnitTest tests[] = {
        TEST(test_answers),
        TEST(test_redirects_are_not_followed),
        TEST(test_request),
        TEST(test_connections),
        TEST(test_not_sent),
        TEST(test_connect_time_out),
        TEST(test_tls_that_hangs),
        TEST(test_tls_is_verified),
        TEST(test_proxy),
        TEST(test_in_doubt),
        TEST(test_writes_are_not_repeated),
        TEST(test_parallel),
        TEST(test_wait_ends_with_a_signal),
    };
    pthread_t thread;

    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++)
        unsetenv(proxies[i]);
    signal(SIGPIPE, SIG_IGN);
    server_fd = listen_somewhere(64, &server_port);
    pthread_create(&thread, NULL, serve, NULL);
    pthread_detach(thread);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
