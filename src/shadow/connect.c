/* Sessions with the shadow's server. */
#include "phasegate/io.h"
#include "shadow/program.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

enum { CONNECT_MS = 15000, COME_BACK_MS = 10000 };

void shadow_option(struct str *to, const char *name, const char *value)
{
    str_addf(to, "%s-c %s=", to->len > 0 ? " " : "", name);
    for (; *value; value++) {
        if (*value == ' ' || *value == '\\')
            str_addc(to, '\\');
        str_addc(to, *value);
    }
}

/* ---- errors of the handshake ------------------------------------------------------------------- */

/* "FATAL:  28P01: text" */
static const char *find_sqlstate(const char *text)
{
    for (const char *c = strstr(text, ":  "); c; c = strstr(c + 1, ":  "))
        if (strspn(c + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && c[8] == ':')
            return c + 3;
    return NULL;
}

/* libpq's words without the password, should some layer have put it there. */
static void add_detail(const struct shadow *s, PGconn *conn, struct err *err)
{
    const char *text = PQerrorMessage(conn);
    const char *pass = PQpass(conn);

    if (s->url && pass && *pass && strstr(text, pass))
        return;
    const char *end = strstr(text, "\nLOCATION:");
    size_t n = end ? (size_t) (end - text) : strlen(text);
    while (n > 0 && text[n - 1] == '\n')
        n--;
    err_detail(err, "%.*s", (int) n, text);
}

static bool connect_error(const struct shadow *s, const struct connect_spec *c, PGconn *conn,
                          struct err *err)
{
    const char *state = find_sqlstate(PQerrorMessage(conn));
    /* What a statements file asks of its session: search_path, time zone. */
    bool is_refused = state && (strncmp(state, "22023", 5) == 0 || strncmp(state, "42602", 5) == 0);

    if (is_refused)
        err_set(err, ERR_INPUT, "the server refuses a setting of this session");
    else if (!s->url)
        err_set(err, ERR_UNREACHABLE, "can't connect to the shadow");
    else if (c->user)
        err_set(err, ERR_UNREACHABLE,
                "the server of --shadow doesn't admit a role that was made for this run");
    else
        err_set(err, ERR_UNREACHABLE, "can't connect to the server of --shadow");
    add_detail(s, conn, err);
    if (s->url && c->user && !is_refused)
        err_hint(err, "Its pg_hba.conf has to admit roles by password (scram-sha-256) from here: "
                      "neither peer nor a list of names.");
    else if (s->url && !is_refused)
        err_hint(err, "Are host, port, user and password right? psql with the same URL says. "
                      "Without --shadow phasegate starts a server of its own.");
    if (state)
        memcpy(err->sqlstate, state, 5);
    return false;
}

/* ---- surroundings ------------------------------------------------------------------------------ */

static bool is_setting(const char *entry)
{
    static const char *const names[] = {"PGTZ=", "PGDATESTYLE=", "PGGEQO="};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* Another list instead of changes in the one that there is: threads may be reading it. */
void shadow_hide_settings(struct shadow *s)
{
    PQconninfoOption *libpq = PQconninfoParse("", NULL);
    int n = 0, m = 0, quiet = 0;

    while (environ && environ[n])
        n++;
    s->environ_without = arena_array(&s->arena, char *, n + 1);
    s->environ_quiet = arena_array(&s->arena, char *, n + 1);
    for (int i = 0; i < n; i++) {
        if (is_setting(environ[i]))
            continue;
        s->environ_without[m++] = environ[i];
        if (!pg_program_is_libpqs(libpq, environ[i]))
            s->environ_quiet[quiet++] = environ[i];
    }
    s->environ_without[m] = s->environ_quiet[quiet] = NULL;
    PQconninfoFree(libpq);
    if (m == n)
        return;
    s->environ_before = environ;
    environ = s->environ_without;
}

void shadow_show_settings(struct shadow *s)
{
    if (s->environ_before && environ == s->environ_without)
        environ = s->environ_before;
    s->environ_before = NULL;
}

/* ---- the handshake ----------------------------------------------------------------------------- */

/* Our own server is asked as if nobody had set anything. Empty values count only in a string. With a password no file
 * of passwords is read. */
static const char *own_server(struct shadow *s)
{
    static const char quiet[] =
        " hostaddr='' password=none options='' requirepeer='' "
        "replication='' target_session_attrs=any sslmode=disable gssencmode=disable "
        "channel_binding=disable connect_timeout=10 sslcert='' sslkey='' sslrootcert='' sslcrl=''";

    return arena_printf(&s->arena, "%s%s", pg_local_conninfo(s->pg, SHADOW_FIRST), quiet);
}

static PGconn *start(struct shadow *s, const struct connect_spec *c)
{
    const char *key[16], *value[16];
    AUTO(str) options = {0};
    int n = 0;

#define OPTION(k, v) (key[n] = (k), value[n] = (v), n++)
    OPTION("tcp_user_timeout", "10000"); /* of cancels too */
    OPTION("dbname", s->url ? s->url : own_server(s));
    /* After the string: not to be changed by it. */
    if (c->database)
        OPTION("dbname", c->database);
    if (c->user)
        OPTION("user", c->user);
    if (c->user && s->secret)
        OPTION("password", s->secret);
    OPTION("client_encoding", "UTF8");
    OPTION("application_name", c->label ? c->label : "phasegate/check");
    str_addf(&options, "%s %s", c->options ? c->options : "", shadow_mortal(s));
    if (c->options || s->url)
        OPTION("options", str_text(&options));
    key[n] = value[n] = NULL;
#undef OPTION
    surroundings_begin(s->url ? NULL : s->environ_quiet);
    PGconn *conn = PQconnectStartParams(key, value, 1);
    surroundings_end();
    return conn;
}

static bool wait_connected(struct shadow *s, const struct connect_spec *c, PGconn *conn,
                           struct err *err)
{
    int64_t end = clock_mono_ms(s->clock) + CONNECT_MS;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    while (next != PGRES_POLLING_OK) {
        struct pollfd fd = {.fd = PQsocket(conn),
                            .events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT};

        if (next == PGRES_POLLING_FAILED || fd.fd < 0)
            return connect_error(s, c, conn, err);
        if (shadow_is_interrupted(s))
            return shadow_interrupted(s, err);
        if (clock_mono_ms(s->clock) >= end)
            return err_set(err, ERR_UNREACHABLE, "%s doesn't answer within %d s",
                           s->url ? "the server of --shadow" : "the shadow", CONNECT_MS / 1000);
        if (poll(&fd, 1, SHADOW_SLICE_MS) > 0)
            next = PQconnectPoll(conn);
    }
    return true;
}

static void ignore_notice(void *arg, const char *message)
{
    (void) arg;
    (void) message;
}

PGconn *shadow_connect_begin(struct shadow *s, const struct connect_spec *c)
{
    PGconn *conn = start(s, c);

    if (!conn)
        abort();                                 /* out of memory */
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE); /* for the SQLSTATE of a refused connection */
    PQsetNoticeProcessor(conn, ignore_notice, NULL);
    /* Once connected it says who it is: what comes then is the server's turn. */
    struct pollfd fd = {.fd = PQsocket(conn), .events = POLLOUT};
    if (fd.fd >= 0 && poll(&fd, 1, 0) > 0)
        (void) PQconnectPoll(conn);
    return conn;
}

static bool finish_connect(struct shadow *s, const struct connect_spec *c, PGconn *conn,
                           PGconn **out, struct err *err)
{
    if (!wait_connected(s, c, conn, err)) {
        PQfinish(conn);
        return false;
    }
    PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
    PQsetnonblocking(conn, 1);
    *out = conn;
    return true;
}

/* A server that crashed on a statement takes a moment to come back; until it has noticed, it breaks off. */
static bool comes_back(const struct shadow *s, const struct err *err)
{
    return strncmp(err->sqlstate, "57P0", 4) == 0 ||
           (s->pg && err_is(err, ERR_UNREACHABLE) && !*err->sqlstate);
}

bool shadow_connect(struct shadow *s, const struct connect_spec *c, PGconn *begun, PGconn **out,
                    struct err *err)
{
    int64_t end = clock_mono_ms(s->clock) + COME_BACK_MS;
    PGconn *conn = begun ? begun : shadow_connect_begin(s, c);

    while (!finish_connect(s, c, conn, out, err)) {
        if (!comes_back(s, err) || clock_mono_ms(s->clock) >= end)
            return false;
        err_clear(err);
        poll(NULL, 0, 20);
        conn = shadow_connect_begin(s, c);
    }
    return true;
}
