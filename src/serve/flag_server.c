/* flag_server: the daemon, routing, authorisation. See flag_server_int.h for the other files.
 *
 * A thread a connection: a change blocks in fsync, and the changes of all connections that wait
 * together share it. Readers are never behind them.
 */
#include "flag_server_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A body up to here is read and thrown away, so that the client sees the 413 instead of a reset. */
#define DRAIN_MAX ((size_t) 1 << 20)
#define HEADER_MAX ((size_t) 32 << 10)
#define STACK_SIZE ((size_t) 2 << 20) /* jansson recurses into nested arrays */

/* ---- answers ---------------------------------------------------------------------------------------- */

const char *flag_request_header(const struct flag_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

bool flag_request_is_read(const struct flag_request *r)
{
    return strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0;
}

static enum MHD_Result answer(struct flag_request *r, unsigned status, const char *etag,
                              const char *allow, const struct str *json)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        json ? json->len : 0, (void *) (json ? str_text(json) : ""), MHD_RESPMEM_MUST_COPY);

    if (!response)
        return MHD_NO;
    if (json)
        MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (etag)
        MHD_add_response_header(response, "ETag", etag);
    if (allow)
        MHD_add_response_header(response, "Allow", allow);
    if (status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (atomic_load(&r->server->stopping) || r->received > FLAG_SERVER_BODY_MAX)
        MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result sent = MHD_queue_response(r->connection, status, response);
    MHD_destroy_response(response);
    r->answered = true;
    return sent;
}

enum MHD_Result flag_answer_json(struct flag_request *r, unsigned status, const char *etag,
                                 const struct str *json)
{
    return answer(r, status, etag, NULL, json);
}

enum MHD_Result flag_answer_not_modified(struct flag_request *r, const char *etag)
{
    return answer(r, MHD_HTTP_NOT_MODIFIED, etag, NULL, NULL);
}

static void error_json(struct str *out, const char *word, const char *message)
{
    struct json_out j;

    json_begin(&j, out, false);
    json_object_begin(&j, NULL);
    json_str(&j, "error", word);
    json_str(&j, "message", message);
    json_object_end(&j);
}

enum MHD_Result flag_answer_error(struct flag_request *r, unsigned status, const char *word,
                                  const char *fmt, ...)
{
    AUTO(str) message = {0};
    AUTO(str) json = {0};
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&message, fmt, ap);
    va_end(ap);
    error_json(&json, word, str_text(&message));
    return answer(r, status, NULL, NULL, &json);
}

enum MHD_Result flag_answer_method(struct flag_request *r, const char *allow)
{
    AUTO(str) json = {0};

    error_json(&json, "method_not_allowed", allow);
    return answer(r, MHD_HTTP_METHOD_NOT_ALLOWED, NULL, allow, &json);
}

/* ---- authorisation ------------------------------------------------------------------------------------ */

/* Digests are compared, in constant time: neither content nor length of the token shows in the time. */
static bool token_is(const char *given, const unsigned char digest[SHA256_DIGEST_LENGTH])
{
    unsigned char theirs[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *) given, strlen(given), theirs);
    return CRYPTO_memcmp(theirs, digest, sizeof theirs) == 0;
}

static const char *bearer_token(const struct flag_request *r)
{
    const char *value = flag_request_header(r, "Authorization");

    if (!value || strncasecmp(value, "Bearer ", 7) != 0)
        return NULL;
    return value + 7 + strspn(value + 7, " ");
}

static bool is_admin(const struct flag_request *r)
{
    const char *token = bearer_token(r);

    return r->server->has_admin && token && token_is(token, r->server->admin_digest);
}

static bool may_read(const struct flag_request *r)
{
    const char *token = bearer_token(r);

    if (!r->server->has_read || is_admin(r))
        return true;
    if (!token)
        token = flag_request_header(r, "X-API-Key");
    return token && token_is(token, r->server->read_digest);
}

/* ---- routing ------------------------------------------------------------------------------------------ */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int) (at - digits) : -1;
}

/* In place. False: not an encoding, or a NUL in it. */
static bool percent_decode(char *s)
{
    char *to = s;

    for (; *s; s++) {
        if (*s != '%') {
            *to++ = *s;
            continue;
        }
        int high = hex_digit(s[1]);
        int low = high < 0 ? -1 : hex_digit(s[2]);
        if (low < 0 || high + low == 0)
            return false;
        *to++ = (char) (high << 4 | low);
        s += 2;
    }
    *to = '\0';
    return true;
}

/* Split before decoding, so that %2F in a key is part of the key. */
static bool split_path(struct flag_request *r)
{
    char *rest = arena_strdup(&r->arena, *r->path == '/' ? r->path + 1 : r->path);

    for (char *part = strsep(&rest, "/"); part; part = strsep(&rest, "/")) {
        if (r->n_parts == FLAG_PATH_PARTS || *part == '\0' || !percent_decode(part))
            return false;
        r->parts[r->n_parts++] = part;
    }
    return true;
}

static enum MHD_Result answer_health(struct flag_request *r)
{
    AUTO(str) text = {0};
    struct json_out j;

    if (!flag_request_is_read(r))
        return flag_answer_method(r, "GET, HEAD");
    bool writable = flag_store_is_writable(r->server->store);
    json_begin(&j, &text, false);
    json_object_begin(&j, NULL);
    json_str(&j, "status", writable ? "ok" : "the last change could not be stored");
    json_bool(&j, "writable", writable);
    json_object_end(&j);
    return flag_answer_json(r, MHD_HTTP_OK, NULL, &text);
}

static enum MHD_Result answer_admin(struct flag_request *r)
{
    if (!r->server->has_admin)
        return flag_answer_error(r, MHD_HTTP_FORBIDDEN, "admin_disabled",
                                 "the server was started without an admin token");
    if (!is_admin(r))
        return flag_answer_error(r, MHD_HTTP_UNAUTHORIZED, "unauthorized",
                                 "send Authorization: Bearer with the admin token");
    return flag_admin_handle(r);
}

static const struct route {
    const char *first;
    enum MHD_Result (*handle)(struct flag_request *r);
    bool reads;
} routes[] = {
    {"admin", answer_admin, false},
    {"ofrep", flag_ofrep_handle, true},
    {"flagd", flag_sync_handle, true},
};

static enum MHD_Result dispatch(struct flag_request *r)
{
    if (r->too_large)
        return flag_answer_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "too_large",
                                 "a body has at most %zu bytes", FLAG_SERVER_BODY_MAX);
    if (!split_path(r))
        return flag_answer_error(r, MHD_HTTP_NOT_FOUND, "not_found", "no such endpoint");
    if (r->n_parts == 1 && strcmp(r->parts[0], "healthz") == 0)
        return answer_health(r);
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (r->n_parts < 2 || strcmp(r->parts[0], routes[i].first) != 0 ||
            strcmp(r->parts[1], "v1") != 0)
            continue;
        if (routes[i].reads && !may_read(r))
            return flag_answer_error(r, MHD_HTTP_UNAUTHORIZED, "unauthorized",
                                     "send the read token as Authorization: Bearer or X-API-Key");
        return routes[i].handle(r);
    }
    return flag_answer_error(r, MHD_HTTP_NOT_FOUND, "not_found", "no such endpoint");
}

/* ---- requests as libmicrohttpd brings them -------------------------------------------------------------- */

static enum MHD_Result request_begin(struct flag_server *s, struct MHD_Connection *connection,
                                     const char *path, const char *method, void **state)
{
    struct flag_request *r = calloc(1, sizeof *r);
    const char *length;

    if (!r)
        abort();
    *state = r;
    atomic_fetch_add(&s->running, 1);
    r->server = s;
    r->connection = connection;
    r->body.ceiling = FLAG_SERVER_BODY_MAX + 1;
    r->method = arena_strdup(&r->arena, method);
    r->path = arena_strdup(&r->arena, path);
    length = flag_request_header(r, "Content-Length");
    if (length && strtoull(length, NULL, 10) > DRAIN_MAX) {
        r->too_large = true;
        r->received = DRAIN_MAX;
        return dispatch(r);
    }
    return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    struct flag_request *r = *state;

    (void) version;
    if (!r)
        return request_begin(arg, connection, path, method, state);
    if (*upload_size > 0) {
        r->received += *upload_size;
        if (r->received > DRAIN_MAX)
            return MHD_NO; /* chunked without end: close */
        if (r->received > FLAG_SERVER_BODY_MAX)
            r->too_large = true;
        else
            str_addn(&r->body, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    return r->answered ? MHD_YES : dispatch(r);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
    struct flag_server *s = arg;
    struct flag_request *r = *state;

    (void) connection;
    (void) why;
    if (!r)
        return;
    *state = NULL;
    str_free(&r->body);
    arena_free(&r->arena);
    free(r);
    atomic_fetch_sub(&s->running, 1);
}

/* Paths are decoded by us, after they were split. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *s)
{
    (void) arg;
    (void) connection;
    return strlen(s);
}

/* ---- start and stop --------------------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        uint32_t a = ntohl(((const struct sockaddr_in *) (const void *) address)->sin_addr.s_addr);
        return a >> 24 == 127;
    }
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) (const void *) address)->sin6_addr);
}

static bool bind_address(const struct addrinfo *info, const char *host, int port, int *out,
                         struct err *err)
{
    int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
        err_set(err, ERR_UNREACHABLE, "can't listen on %s port %d: %s", host, port,
                strerror(errno));
        if (errno == EADDRINUSE)
            err_hint(err, "take another --port, or 0 for any free one");
        if (fd >= 0)
            close(fd);
        return false;
    }
    *out = fd;
    return true;
}

static bool listen_on(const struct flag_server_options *o, int *out_fd, struct err *err)
{
    const char *host = o->listen && *o->listen ? o->listen : "127.0.0.1";
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    AUTO(str) service = {0};

    if (o->port < 0 || o->port > 65535)
        return err_set(err, ERR_CONFIG, "port %d is none: 0 to 65535", o->port);
    str_addf(&service, "%d", o->port);
    int failed = getaddrinfo(host, str_text(&service), &hints, &found);
    if (failed) {
        err_set(err, ERR_CONFIG, "address \"%s\": %s", host, gai_strerror(failed));
        return err_hint(err, "--listen takes an address of this machine: 127.0.0.1, 0.0.0.0, ::");
    }
    bool good = true;
    if (!is_loopback(found->ai_addr) && !o->read_token) {
        err_set(err, ERR_CONFIG, "refusing to listen on %s without a read token", host);
        err_hint(err, "give a read token (applications send it), or listen on 127.0.0.1");
        good = false;
    }
    good = good && bind_address(found, host, o->port, out_fd, err);
    freeaddrinfo(found);
    return good;
}

static void describe_address(struct flag_server *s, int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[NI_MAXHOST];

    getsockname(fd, (struct sockaddr *) &address, &size);
    getnameinfo((struct sockaddr *) &address, size, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    bool v6 = address.ss_family == AF_INET6;
    s->port = ntohs(v6 ? ((struct sockaddr_in6 *) &address)->sin6_port
                       : ((struct sockaddr_in *) &address)->sin_port);
    str_addf(&s->url, v6 ? "http://[%s]:%d" : "http://%s:%d", host, s->port);
}

/* Our threads take no signals: SIGTERM is the caller's, SIGPIPE and SIGXFSZ become error codes. Those
 * that a fault raises stay open. */
static void block_signals(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

static bool daemon_start(struct flag_server *s, const struct flag_server_options *o, int fd,
                         struct err *err)
{
    unsigned connections =
        o->max_connections > 0 ? (unsigned) o->max_connections : FLAG_SERVER_CONNECTIONS;
    unsigned idle_s = o->idle_s > 0 ? (unsigned) o->idle_s : 15;
    sigset_t before;

    block_signals(&before);
    s->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
            MHD_USE_ITC,
        0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        connections, MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        HEADER_MAX, MHD_OPTION_THREAD_STACK_SIZE, STACK_SIZE, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, s, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!s->daemon)
        return err_set(err, ERR_UNREACHABLE, "the HTTP server doesn't start: %s", strerror(errno));
    return true;
}

static bool digest_token(const char *token, const char *name, unsigned char out[32], bool *has,
                         struct err *err)
{
    if (!token)
        return true;
    if (strlen(token) < 8)
        return err_set(err, ERR_CONFIG, "the %s token is too short: 8 characters at least", name);
    SHA256((const unsigned char *) token, strlen(token), out);
    *has = true;
    return true;
}

static void server_free(struct flag_server *s)
{
    flag_store_close(s->store);
    str_free(&s->url);
    free(s);
}

bool flag_server_start(const struct flag_server_options *o, struct flag_server **out,
                       struct err *err)
{
    struct flag_server *s = calloc(1, sizeof *s);
    int fd = -1;

    if (!s)
        abort();
    s->grace_ms = o->grace_ms > 0 ? o->grace_ms : 5000;
    bool good = digest_token(o->admin_token, "admin", s->admin_digest, &s->has_admin, err) &&
                digest_token(o->read_token, "read", s->read_digest, &s->has_read, err) &&
                flag_store_open(o->state_path, &s->store, err) && listen_on(o, &fd, err);
    if (good) {
        describe_address(s, fd);
        good = daemon_start(s, o, fd, err);
        if (!good)
            close(fd);
    }
    if (!good) {
        server_free(s);
        return err_note(err, "flag server");
    }
    *out = s;
    return true;
}

int flag_server_port(const struct flag_server *s) { return s->port; }

const char *flag_server_url(const struct flag_server *s) { return str_text(&s->url); }

void flag_server_stop(struct flag_server *s)
{
    if (!s)
        return;
    atomic_store(&s->stopping, true);
    int fd = MHD_quiesce_daemon(s->daemon);
    for (int waited = 0; atomic_load(&s->running) > 0 && waited < s->grace_ms; waited += 5)
        nanosleep(&(struct timespec) {.tv_nsec = 5000000}, NULL);
    MHD_stop_daemon(s->daemon);
    if (fd >= 0)
        close(fd);
    server_free(s);
}
