/* Opening a session: connection string, handshake with a deadline, hardening in one round trip. */
#include "db_libpq.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    OLDEST_SERVER = 140000,
    CONNECT_MS = 10000,
    SLICE_MS = 100,
    LABEL_MAX = 63, /* NAMEDATALEN - 1: the server cuts there */
    SECRET_MIN = 4  /* shorter passwords can't be taken out of a text without spoiling it */
};

const char *db_label_clean(struct arena *a, const char *label)
{
    char *clean = arena_strndup(a, label ? label : "", LABEL_MAX);

    for (char *c = clean; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return clean;
}

static void ignore_notice(void *arg, const char *message)
{
    (void) arg;
    (void) message;
}

void db_session_close(struct db_libpq *d)
{
    PQfinish(d->conn);
    d->conn = NULL;
    d->label_settled = NULL;
}

/* ---- the connection string ------------------------------------------------------------------- */

static bool is_uri(const char *url)
{
    return strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0;
}

/* libpq's own words quote the string, and with it perhaps the password: they are never shown. */
bool db_url_error(const char *url, struct err *err)
{
    err_set(err, ERR_CONFIG, "the database's connection string can't be read");
    if (is_uri(url))
        return err_hint(err, "In user and password percent-encode what has a meaning in a URI: "
                             "%%40 for @, %%3A for :, %%2F for /, %%23 for #, %%25 for %%.");
    return err_hint(
        err, "Expected postgresql://user@host:5432/database, or \"host=... dbname=... user=...\".");
}

static bool is_port_list(const char *text) { return strspn(text, "0123456789,") == strlen(text); }

/* A second @ before the parameters, or one behind a slash: of a password, the rest of which slides into the name of the
 * host or of the database or into the port, and those are shown. */
static bool has_bare_at(const char *url)
{
    if (!is_uri(url))
        return false;
    const char *host = strstr(url, "://") + 3, *end = url + strcspn(url, "?");
    const char *first = memchr(host, '@', (size_t) (end - host));

    return first && (memchr(host, '/', (size_t) (first - host)) ||
                     memchr(first + 1, '@', (size_t) (end - first - 1)));
}

/* A password with an @ or / in it slides into host or port; libpq would show it as part of
 * those. */
bool db_url_check(const char *url, int *out_hosts, struct err *err)
{
    PQconninfoOption *options = NULL;
    char *why = NULL;
    bool good = true;

    *out_hosts = 1;
    if (!*url)
        return true;
    if (has_bare_at(url))
        return db_url_error(url, err);
    options = PQconninfoParse(url, &why);
    PQfreemem(why);
    if (!options)
        return db_url_error(url, err);
    for (PQconninfoOption *o = options; o->keyword; o++) {
        if (!o->val)
            continue;
        if (strcmp(o->keyword, "port") == 0)
            good = good && is_port_list(o->val);
        if (strcmp(o->keyword, "host") == 0) {
            /* a socket folder may be called anything, an abstract one starts with @ */
            good = good && (o->val[0] == '/' || o->val[0] == '@' || !strchr(o->val, '@'));
            for (const char *c = o->val; *c; c++)
                *out_hosts += *c == ',';
        }
    }
    PQconninfoFree(options);
    return good ? true : db_url_error(url, err);
}

/* ---- what is shown --------------------------------------------------------------------------- */

static const char *known(const char *text) { return text && *text ? text : "?"; }

static void set_shown(struct db_libpq *d)
{
    const char *host = known(PQhost(d->conn));
    bool is_ipv6 = host[0] != '/' && strchr(host, ':');
    AUTO(str) shown = {0};

    str_addf(&shown, "%s%s%s:%s/%s as %s", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "",
             known(PQport(d->conn)), known(PQdb(d->conn)), known(PQuser(d->conn)));
    if (strcmp(str_text(&shown), d->base.shown) != 0)
        d->base.shown = arena_strdup(&d->kept, str_text(&shown));
}

/* ---- errors of the handshake ----------------------------------------------------------------- */

/* "FATAL:  28P01: text": in any language of the server. */
static const char *find_sqlstate(const char *text)
{
    const char *found = NULL;

    for (const char *c = strstr(text, ":  "); c; c = strstr(c + 1, ":  "))
        if (strspn(c + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && c[8] == ':' &&
            c[9] == ' ')
            found = c + 3;
    return found;
}

static void add_without(struct str *to, const char *text, size_t n, const char *secret)
{
    size_t skip = secret ? strlen(secret) : 0;
    size_t i = 0;

    while (i < n) {
        if (skip >= SECRET_MIN && n - i >= skip && memcmp(text + i, secret, skip) == 0) {
            str_add(to, "***");
            i += skip;
        } else {
            str_addc(to, text[i++]);
        }
    }
}

/* Lines of libpq without LOCATION, trailing newline and the password, should some layer have put
 * it there. */
static void clean_message(struct str *to, const char *text, const char *secret)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        if (n > 0 && strncmp(text, "LOCATION:", 9) != 0) {
            if (to->len > 0)
                str_addc(to, '\n');
            add_without(to, text, n, secret);
        }
        text += n + (text[n] == '\n');
    }
}

static const char *hint_for(const struct db_libpq *d, const char *sqlstate)
{
    static const struct {
        const char *sqlstate, *hint;
    } hints[] = {
        {"28P01", "Check the password: connection string, PGPASSWORD, or ~/.pgpass (mode 0600)."},
        {"28000",
         "The server doesn't admit this user from here: see its pg_hba.conf, and the role's name."},
        {"3D000", "Correct the database's name, or create it: createdb."},
        {"53300", "All connections are taken: end idle sessions, or raise max_connections."},
        {"57P03",
         "The server is starting or stopping: wait a moment and run the same command again."},
        {"42501", "The role has no right to connect: GRANT CONNECT ON DATABASE."},
        {"08P01",
         "A pooler in between refused a setting: connect to the server directly, in session mode."},
    };

    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (strncmp(sqlstate, hints[i].sqlstate, 5) == 0)
            return hints[i].hint;
    if (PQconnectionNeedsPassword(d->conn))
        return "The server wants a password: PGPASSWORD, or ~/.pgpass (mode 0600).";
    return "Is the server running, and are host and port right? pg_isready -h HOST -p PORT says.";
}

static bool connect_error(struct db_libpq *d, struct err *err)
{
    const char *text = PQerrorMessage(d->conn);
    const char *sqlstate = find_sqlstate(text);
    AUTO(str) detail = {0};

    set_shown(d);
    clean_message(&detail, text, PQpass(d->conn));
    err_set(err, ERR_UNREACHABLE, "can't connect to %s", d->base.shown);
    err_detail(err, "%s", str_text(&detail));
    err_hint(err, "%s", hint_for(d, sqlstate ? sqlstate : "     "));
    if (sqlstate)
        memcpy(err->sqlstate, sqlstate, 5);
    return false;
}

/* ---- the handshake --------------------------------------------------------------------------- */

static PGconn *start(const struct db_libpq *d, int n_hosts, int64_t connect_ms)
{
    AUTO(str) user_timeout = {0};
    const char *key[16], *value[16];
    int n = 0;

#define OPTION(k, v) (key[n] = (k), value[n] = (v), n++)
    /* Before the string: it may say otherwise. */
    OPTION("keepalives", "1");
    OPTION("keepalives_idle", "30");
    OPTION("keepalives_interval", "10");
    OPTION("keepalives_count", "3");
    /* Also bounds the first packet, so that the next host of a list gets its turn. */
    str_addf(&user_timeout, "%lld", (long long) (n_hosts > 1 ? connect_ms : 30000));
    OPTION("tcp_user_timeout", str_text(&user_timeout));
    if (n_hosts > 1)
        OPTION("target_session_attrs", "primary");
    if (*d->o.url)
        OPTION("dbname", d->o.url);
    /* After the string: not to be changed by it. Poolers know both. */
    OPTION("client_encoding", "UTF8");
    OPTION("application_name", d->label);
    key[n] = value[n] = NULL;
#undef OPTION
    surroundings_begin(NULL);
    PGconn *conn = PQconnectStartParams(key, value, 1);
    surroundings_end();
    return conn;
}

static bool wait_connected(struct db_libpq *d, int64_t limit_ms, struct err *err)
{
    const struct interrupt *in = d->o.interrupt;
    sig_atomic_t signals = in ? in->count : 0;
    int64_t end = clock_mono_ms(d->o.clock) + limit_ms;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    while (next != PGRES_POLLING_OK) {
        struct pollfd fd = {.fd = PQsocket(d->conn),
                            .events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT};

        if (next == PGRES_POLLING_FAILED || fd.fd < 0)
            return connect_error(d, err);
        if (in && in->count > signals)
            return err_set(err, ERR_INTERRUPTED, "interrupted while connecting to the database");
        if (clock_mono_ms(d->o.clock) >= end) {
            set_shown(d);
            err_set(err, ERR_UNREACHABLE, "can't connect to %s: no answer within %.1f s",
                    d->base.shown, (double) limit_ms / 1000);
            return err_hint(err,
                            "A firewall or a wrong host or port: pg_isready -h HOST -p PORT says.");
        }
        if (poll(&fd, 1, SLICE_MS) > 0)
            next = PQconnectPoll(d->conn);
    }
    return true;
}

/* ---- hardening ------------------------------------------------------------------------------- */

struct settings {
    struct str sql;
    struct db_params params;
};

static void add_setting(struct settings *s, const char *name, const char *value)
{
    s->params.value[s->params.n++] = value;
    str_addf(&s->sql, ", pg_catalog.set_config('%s', $%d, false)", name, s->params.n);
}

static void add_limit(struct settings *s, struct arena *a, const char *name, int64_t ms)
{
    if (ms >= 0)
        add_setting(s, name, arena_printf(a, "%lld", (long long) ms));
}

/* Two statements with a Sync each in one round trip: the second one may fail, because not every
 * platform of a server can watch its client. */
static bool send_settings(struct db_libpq *d, const struct settings *s)
{
    static const char watch[] = "SET client_connection_check_interval = 1000";

    return PQenterPipelineMode(d->conn) &&
           PQsendQueryParams(d->conn, str_text(&s->sql), s->params.n, NULL, s->params.value, NULL,
                             NULL, 0) &&
           PQpipelineSync(d->conn) &&
           PQsendQueryParams(d->conn, watch, 0, NULL, NULL, NULL, NULL, 0) &&
           PQpipelineSync(d->conn);
}

/* A session that ends before it was handed out is no lost one: nothing was done in it. */
static bool not_opened(struct db_libpq *d, struct err *err)
{
    char sqlstate[sizeof err->sqlstate];
    AUTO(str) why = {0};

    memcpy(sqlstate, err->sqlstate, sizeof sqlstate);
    str_add(&why, str_text(&err->message));
    err_set(err, ERR_UNREACHABLE, "can't connect to %s: no answer to the settings of the session",
            d->base.shown);
    err_detail(err, "%s", str_text(&why));
    memcpy(err->sqlstate, sqlstate, sizeof sqlstate);
    return err_hint(err,
                    "Is it a PostgreSQL server or a pooler in session mode? Its log says why.");
}

static bool apply_settings(struct db_libpq *d, const struct settings *s, int64_t limit_ms,
                           struct err *err)
{
    struct db_wait w = db_wait_begin(d);
    bool good = true;
    int n_syncs = 0;

    /* Already at the point of giving up: there is nothing to cancel, and no grace for it. */
    w.stop = DB_LATE;
    w.give_up = w.started + limit_ms;
    w.resend = INT64_MAX;
    if (!send_settings(d, s)) {
        db_result_error(d, NULL, NULL, &w, err);
        return not_opened(d, err);
    }
    while (n_syncs < 2 && PQstatus(d->conn) == CONNECTION_OK && db_wait_result(d, &w)) {
        PGresult *res = PQgetResult(d->conn);

        if (res && good && n_syncs == 0 && PQresultStatus(res) == PGRES_FATAL_ERROR)
            good = db_result_error(d, res, str_text(&s->sql), &w, err);
        if (n_syncs == 0 && PQresultStatus(res) == PGRES_TUPLES_OK)
            d->backend_pid = (int) strtol(PQgetvalue(res, 0, 0), NULL, 10);
        n_syncs += PQresultStatus(res) == PGRES_PIPELINE_SYNC;
        PQclear(res);
    }
    if (good && (n_syncs < 2 || !PQexitPipelineMode(d->conn)))
        good = db_result_lost(d, NULL, err);
    return good ? true : not_opened(d, err);
}

static bool harden(struct db_libpq *d, int64_t limit_ms, struct err *err)
{
    AUTO(arena) a = {0};
    struct settings s = {0};
    bool good;

    /* A pooler makes up the number that the handshake gives. */
    str_add(&s.sql, "SELECT pg_catalog.pg_backend_pid()");
    if (!d->o.writable)
        add_setting(&s, "default_transaction_read_only", "on");
    add_limit(&s, &a, "lock_timeout", d->o.lock_ms);
    add_limit(&s, &a, "statement_timeout", d->o.statement_ms);
    add_limit(&s, &a, "idle_in_transaction_session_timeout", d->o.idle_in_transaction_ms);
    add_setting(&s, "DateStyle", "ISO"); /* the order of day and month stays the database's */
    add_setting(&s, "IntervalStyle", "postgres");
    add_setting(&s, "standard_conforming_strings", "on");
    add_setting(&s, "bytea_output", "hex");
    add_setting(&s, "extra_float_digits", "1"); /* a rounded key is another row's, or nobody's */
    /* Each statement sees what is committed by then. Under the stricter levels a batch fails where a row was
     * written meanwhile, and makes the application's own transactions fail. */
    add_setting(&s, "default_transaction_isolation", "read committed");
    /* Rows that a policy hides from us would be neither filled nor missed: better an error. */
    add_setting(&s, "row_security", "off");
    if (d->o.search_path)
        add_setting(&s, "search_path", d->o.search_path);
    if (d->o.time_zone)
        add_setting(&s, "TimeZone", d->o.time_zone);
    good = apply_settings(d, &s, limit_ms, err);
    str_free(&s.sql);
    return good;
}

static bool check_version(struct db_libpq *d, struct err *err)
{
    int version = PQserverVersion(d->conn);

    if (version >= OLDEST_SERVER)
        return true;
    err_set(err, ERR_REFUSED, "the server at %s is too old: version %d.%d, expected 14 or newer",
            d->base.shown, version / 10000, version % 10000);
    err_reason(err, "server_too_old");
    return err_hint(
        err, "Upgrade the server, or name another one. SHOW server_version says what it is.");
}

bool db_session_open(struct db_libpq *d, struct err *err)
{
    int64_t connect_ms = d->o.connect_ms > 0 ? d->o.connect_ms : CONNECT_MS;
    const char *reported;
    int n_hosts;
    bool good;

    if (!db_url_check(d->o.url, &n_hosts, err))
        return false;
    d->conn = start(d, n_hosts, connect_ms);
    if (!d->conn)
        abort();                                    /* out of memory */
    PQsetErrorVerbosity(d->conn, PQERRORS_VERBOSE); /* for the SQLSTATE of a refused connection */
    PQsetNoticeProcessor(d->conn, ignore_notice, NULL);
    good = wait_connected(d, connect_ms * n_hosts + (n_hosts > 1 ? 1000 : 0), err);
    if (good) {
        PQsetErrorVerbosity(d->conn, PQERRORS_DEFAULT);
        PQsetnonblocking(d->conn, 1);
        set_shown(d);
        good = check_version(d, err) && harden(d, connect_ms, err);
    }
    if (!good) {
        db_session_close(d);
        return false;
    }
    reported = PQparameterStatus(d->conn, "application_name");
    d->label_settled = arena_strdup(&d->kept, reported ? reported : "");
    return true;
}
