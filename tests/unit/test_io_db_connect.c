/* Opening a database session: connection strings that can't be read, servers that refuse, hang
 * or are too old, a network that goes silent. The password is in no message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "phasegate/io.h"

/* ---- a server that speaks just enough of the protocol ---------------------------------------- */

struct fake {
    const char *version;            /* NULL: no ParameterStatus */
    const char *sqlstate, *message; /* of an error instead of a session */
    bool wants_password, is_silent;
    int fd, port;
    pthread_t thread;
};

static void put_message(int fd, char type, const char *body, size_t n)
{
    uint32_t length = htonl((uint32_t) n + 4);

    if (type)
        (void) !send(fd, &type, 1, MSG_NOSIGNAL);
    (void) !send(fd, &length, 4, MSG_NOSIGNAL);
    (void) !send(fd, body, n, MSG_NOSIGNAL);
}

static void put_error(int fd, const char *sqlstate, const char *message)
{
    char body[512];
    int n = snprintf(body, sizeof body, "SFATAL%cVFATAL%cC%s%cM%s%cFauth.c%cL1%cRauth%c%c", 0, 0,
                     sqlstate, 0, message, 0, 0, 0, 0, 0);

    put_message(fd, 'E', body, (size_t) n);
}

static void put_ready(int fd, const char *version)
{
    char body[128];
    int n = snprintf(body, sizeof body, "server_version%c%s%c", 0, version, 0);

    put_message(fd, 'R', "\0\0\0\0", 4);
    put_message(fd, 'S', body, (size_t) n);
    put_message(fd, 'K', "\0\0\0\1\0\0\0\2", 8);
    put_message(fd, 'Z', "I", 1);
}

static void *fake_serve(void *arg)
{
    struct fake *f = arg;
    int fd = accept(f->fd, NULL, NULL);
    char request[4096];

    if (fd < 0)
        return NULL;
    (void) !recv(fd, request, sizeof request, 0);
    if (f->wants_password) {
        put_message(fd, 'R', "\0\0\0\3", 4);
        (void) !recv(fd, request, sizeof request, 0);
    }
    if (f->sqlstate)
        put_error(fd, f->sqlstate, f->message);
    else if (f->version)
        put_ready(fd, f->version);
    if (f->is_silent)
        while (recv(fd, request, sizeof request, 0) > 0)
            continue; /* until the client goes */
    else
        usleep(20 * 1000);
    close(fd);
    return NULL;
}

static void fake_start(struct fake *f)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;

    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *) &at, n), 0);
    assert_int_equal(listen(f->fd, 5), 0);
    getsockname(f->fd, (struct sockaddr *) &at, &n);
    f->port = ntohs(at.sin_port);
    pthread_create(&f->thread, NULL, fake_serve, f);
}

static void fake_stop(struct fake *f)
{
    shutdown(f->fd, SHUT_RDWR);
    close(f->fd);
    pthread_join(f->thread, NULL);
}

/* ---- the rig --------------------------------------------------------------------------------- */

struct rig {
    struct interrupt interrupt;
    struct clock *clock;
    struct arena a;
    struct err err;
    int64_t ms;
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    r->clock = clock_system(&r->interrupt);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    clock_system_free(r->clock);
    arena_free(&r->a);
    err_clear(&r->err);
    free(r);
    return 0;
}

static bool in_any(const struct err *e, const char *part)
{
    return strstr(str_text(&e->message), part) || strstr(str_text(&e->detail), part) ||
           strstr(str_text(&e->hint), part) || strstr(str_text(&e->notes), part);
}

static void refused(struct rig *r, const char *url, int64_t connect_ms, enum err_kind kind,
                    const char *part)
{
    struct db_options o = db_options_default();
    struct db *db = NULL;
    int64_t start = clock_mono_ms(r->clock);

    o.url = url;
    o.clock = r->clock;
    o.interrupt = &r->interrupt;
    o.connect_ms = connect_ms;
    err_clear(&r->err);
    assert_false(db_connect(&o, &db, &r->err));
    r->ms = clock_mono_ms(r->clock) - start;
    assert_null(db);
    if (r->err.kind != kind || !in_any(&r->err, part))
        fail_msg("%s\nDETAIL: %s\nHINT: %s\nkind %s, expected %s and \"%s\"",
                 str_text(&r->err.message), str_text(&r->err.detail), str_text(&r->err.hint),
                 err_kind_word(r->err.kind), err_kind_word(kind), part);
    if (in_any(&r->err, "hush"))
        fail_msg("the password shows: %s\nDETAIL: %s", str_text(&r->err.message),
                 str_text(&r->err.detail));
    assert_true(r->err.hint.len > 0 || kind == ERR_INTERRUPTED);
}

static void refused_by(struct rig *r, struct fake *f, enum err_kind kind, const char *part)
{
    fake_start(f);
    refused(r,
            arena_printf(
                &r->a,
                "postgresql://app:hush-word@127.0.0.1:%d/shop?sslmode=disable&gssencmode=disable",
                f->port),
            2000, kind, part);
    fake_stop(f);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_strings_that_cannot_be_read(void **state)
{
    static const char *const urls[] = {
        "postgresql://app:hush%zz@h/db", /* no such escape */
        "postgresql://app:hu/sh@h/db",   /* "app" would be the host and "hush" its port */
        "postgresql://app:hush/word@h/db",
        "postgresql://app:x@hush-word@h/db", /* "hush-word@h" would be the host */
        "postgresql://app:hush#word@h:x/db",
        "postgresql://h/db?password=hush&nosuch=1",
        "host=h password=hush nosuch=1",
        "host=h password='hush",
        "hush",
        "mysql://app:hush@h/db",
    };
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        refused(r, urls[i], 1000, ERR_CONFIG, "can't be read");
    refused(r, urls[0], 1000, ERR_CONFIG, "%40 for @");
}

static void test_out_of_reach(void **state)
{
    struct fake f = {.is_silent = true};
    struct rig *r = *state;

    refused(r, "host=/no/such/folder dbname=shop user=app password=hush-word", 1000,
            ERR_UNREACHABLE, "can't connect to /no/such/folder:5432/shop as app");
    refused(r, "postgresql://app:hush-word@no-such-host.invalid:5433/shop", 1000, ERR_UNREACHABLE,
            "can't connect to no-such-host.invalid:5433/shop as app");
    refused(r, "service=phasegate-no-such-service password=hush-word", 1000, ERR_UNREACHABLE,
            "service");
    fake_start(&f);
    refused(r,
            arena_printf(&r->a, "host=127.0.0.1 port=%d dbname=shop user=app password=hush-word",
                         f.port),
            400, ERR_UNREACHABLE, "no answer within 0.4 s");
    assert_in_range(r->ms, 350, 1500);
    fake_stop(&f);
}

/* Whatever language the server speaks. */
static void test_refused(void **state)
{
    static const struct {
        const char *sqlstate, *message, *hint;
        bool wants_password;
    } cases[] = {
        {"28P01", "password authentication failed for user \"app\"", "~/.pgpass", true},
        {"28P01", "Passwort-Authentifizierung f\xc3\xbcr hush-word fehlgeschlagen", "~/.pgpass",
         true},
        {"28000", "no pg_hba.conf entry for host", "pg_hba.conf", false},
        {"3D000", "database \"shop\" does not exist", "createdb", false},
        {"53300", "sorry, too many clients already", "max_connections", false},
        {"57P03", "the database system is starting up", "wait a moment", false},
        {"08P01", "unsupported startup parameter: options", "session mode", false},
        {"XX000", "something else", "pg_isready", false},
    };
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake f = {.sqlstate = cases[i].sqlstate,
                         .message = cases[i].message,
                         .wants_password = cases[i].wants_password};

        refused_by(r, &f, ERR_UNREACHABLE, cases[i].hint);
        assert_string_equal(r->err.sqlstate, cases[i].sqlstate);
        assert_false(in_any(&r->err, "LOCATION"));
        assert_true(in_any(&r->err, "/shop as app"));
    }
}

static void test_too_old(void **state)
{
    struct fake f = {.version = "13.14"}, pooler = {.version = "1.18.0/bouncer"};
    struct rig *r = *state;

    refused_by(r, &f, ERR_REFUSED, "13.14");
    assert_string_equal(r->err.reason, "server_too_old");
    refused_by(r, &pooler, ERR_REFUSED, "too old"); /* its console, not a server */
}

/* The handshake is done and then nothing comes any more. */
static void test_silent_after_the_handshake(void **state)
{
    struct fake ends = {.version = "15.4"}, hangs = {.version = "15.4", .is_silent = true};
    struct rig *r = *state;

    refused_by(r, &ends, ERR_UNREACHABLE, "no answer to the settings");
    refused_by(r, &hangs, ERR_UNREACHABLE, "no answer to the settings");
    assert_in_range(r->ms, 1900, 3500);
}

static void *signal_soon(void *arg)
{
    struct rig *r = arg;

    usleep(200 * 1000);
    r->interrupt.count++;
    return NULL;
}

static void test_connecting_is_interrupted(void **state)
{
    struct fake f = {.is_silent = true};
    struct rig *r = *state;
    pthread_t thread;

    pthread_create(&thread, NULL, signal_soon, r);
    fake_start(&f);
    refused(r, arena_printf(&r->a, "host=127.0.0.1 port=%d dbname=shop password=hush-word", f.port),
            5000, ERR_INTERRUPTED, "interrupted");
    assert_true(r->ms < 1500);
    fake_stop(&f);
    pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_strings_that_cannot_be_read),
        TEST(test_out_of_reach),
        TEST(test_refused),
        TEST(test_too_old),
        TEST(test_silent_after_the_handshake),
        TEST(test_connecting_is_interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
