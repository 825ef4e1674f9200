/* One session: opening, waiting, one statement by itself, what the server says by the way. */
#include "shadow/wire_int.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum { NOTICE_MS = 2000 };

/* ---- notices ----------------------------------------------------------------------------------- */

static void keep_notice(void *arg, const PGresult *res)
{
    struct wire *w = arg;
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (!severity || !text || w->n_notices == WIRE_MAX_NOTICES)
        return;
    if (w->n_notices == w->cap_notices) {
        int cap = w->cap_notices ? 2 * w->cap_notices : 64;

        w->notice = arena_grow(&w->notices, w->notice, sizeof *w->notice * (size_t) w->cap_notices,
                               sizeof *w->notice * (size_t) cap);
        w->cap_notices = cap;
    }
    w->notice[w->n_notices++].s = arena_printf(&w->notices, "%s: %s", severity,
                                               wire_words(&w->notices, text, WIRE_MAX_NOTICE));
}

static void ignore_notice(void *arg, const PGresult *res)
{
    (void) arg;
    (void) res;
}

void wire_notices(struct wire *w, struct arena *a, struct text_list *out)
{
    *out = (struct text_list) {.n = w->n_notices};
    out->items = w->n_notices ? arena_array(a, struct text, w->n_notices) : NULL;
    for (int i = 0; i < w->n_notices; i++)
        out->items[i].s = arena_strdup(a, w->notice[i].s);
    arena_reset(&w->notices);
    w->notice = NULL;
    w->n_notices = w->cap_notices = 0;
}

/* ---- opening ----------------------------------------------------------------------------------- */

/* Our server's folder is memory, as a rule, and others live there too. */
static bool is_nearly_full(struct shadow *s)
{
    struct statvfs space;

    if (statvfs(pg_local_folder(s->pg), &space) != 0)
        return false;
    int64_t left = (int64_t) space.f_bavail * (int64_t) space.f_frsize;
    if (s->room == 0)
        s->room = left / 2 < SHADOW_ROOM ? left / 2 + 1 : SHADOW_ROOM;
    return left < s->room;
}

static struct wire *make(struct shadow *s, const struct wire_options *o)
{
    struct wire *w = calloc(1, sizeof *w);

    if (!w)
        abort();
    w->clock = s->clock;
    w->interrupt = s->interrupt;
    w->limit_ms = 2 * o->statement_ms;
    w->is_local = s->pg != NULL;
    w->is_ours = o->superuser;
    w->keeps_notices = o->keep_notices;
    w->shadow = s;
    return w;
}

/* The handshake, begun or not. False: w is gone. */
static bool connect(struct wire *w, const struct connect_spec *c, struct err *err)
{
    struct shadow *s = w->shadow;
    PGconn *begun = w->conn;

    w->conn = NULL;
    if (!shadow_connect(s, c, begun, &w->conn, err)) {
        wire_close(w);
        return false;
    }
    w->pid = PQbackendPID(w->conn);
    if (w->is_local && s->room == 0)
        (void) is_nearly_full(s);
    PQsetNoticeReceiver(w->conn, w->keeps_notices ? keep_notice : ignore_notice, w);
    return true;
}

bool wire_connect(struct shadow *s, const struct connect_spec *c, const struct wire_options *o,
                  struct wire **out, struct err *err)
{
    struct wire *w = make(s, o);

    if (!connect(w, c, err))
        return false;
    *out = w;
    return true;
}

/* Startup settings are the session's defaults: RESET and DISCARD ALL come back to them. */
static void add_options(struct str *to, const struct wire_options *o)
{
    AUTO(str) limit = {0};

    str_addf(&limit, "%lld", (long long) o->statement_ms);
    shadow_option(to, "search_path", o->search_path ? o->search_path : "public");
    shadow_option(to, "TimeZone", o->time_zone ? o->time_zone : "UTC");
    shadow_option(to, "statement_timeout", str_text(&limit));
    shadow_option(to, "client_min_messages", o->keep_notices ? "debug1" : "error");
    shadow_option(to, "DateStyle", "ISO");
    /* On a server of the user's: compiling what looks at the catalogue takes longer than looking. */
    shadow_option(to, "jit", "off");
    /* A session that waits for its turn isn't to be missed. */
    shadow_option(to, "idle_session_timeout", "0");
    shadow_option(to, "idle_in_transaction_session_timeout", "0");
}

bool wire_begin(struct shadow *s, const struct wire_options *o, struct wire **out, struct err *err)
{
    struct wire_options with = *o;
    struct connect_spec c = {0};
    AUTO(str) options = {0};

    if (!shadow_ready(s, err))
        return false;
    s->was_used = true;
    if (with.statement_ms <= 0)
        with.statement_ms = SHADOW_STATEMENT_MS;
    if (!shadow_has_database(s, o->database))
        return err_set(err, ERR_BUG, "the shadow has no database %s", o->database);
    if (o->seeds
            ? !shadow_role_seeds(s, &c.user, err)
            : !o->superuser && !shadow_role_login(s, o->role ? o->role : s->owner, &c.user, err))
        return false;
    add_options(&options, &with);
    struct wire *w = make(s, &with);
    c.label = arena_strdup(&w->opening, o->label);
    c.database = shadow_database_name(s, &w->opening, o->database);
    c.options = arena_strdup(&w->opening, str_text(&options));
    w->spec = c;
    w->conn = shadow_connect_begin(s, &w->spec);
    w->is_opening = true;
    *out = w;
    return true;
}

bool wire_settle(struct wire **w, struct err *err)
{
    struct wire *one = *w;

    if (!one->is_opening)
        return true;
    one->is_opening = false;
    if (!connect(one, &one->spec, err)) {
        *w = NULL;
        return false;
    }
    arena_free(&one->opening);
    return true;
}

bool wire_open(struct shadow *s, const struct wire_options *o, struct wire **out, struct err *err)
{
    struct wire *w;

    if (!wire_begin(s, o, &w, err) || !wire_settle(&w, err))
        return false;
    *out = w;
    return true;
}

void wire_close(struct wire *w)
{
    if (!w)
        return;
    PQfinish(w->conn);
    arena_free(&w->notices);
    arena_free(&w->opening);
    free(w);
}

int wire_pid(const struct wire *w) { return w->pid; }

/* ---- waiting ----------------------------------------------------------------------------------- */

void wire_lose(struct wire *w)
{
    PQfinish(w->conn);
    w->conn = NULL;
    w->is_busy = false;
}

bool wire_is_alive(struct wire *w)
{
    if (!w || !w->conn)
        return false;
    /* The server's last words may be waiting in the socket, and behind them its end. */
    if (PQconsumeInput(w->conn))
        (void) !PQconsumeInput(w->conn);
    return PQstatus(w->conn) == CONNECTION_OK;
}

/* A backend that crashed ends all the others as soon as its server has noticed: a session that is opened earlier would
 * be one of them. */
static void wait_for_end(const struct wire *w)
{
    int64_t end = clock_mono_ms(w->clock) + NOTICE_MS;

    while (w->is_local && kill(w->pid, 0) == 0 && clock_mono_ms(w->clock) < end)
        poll(NULL, 0, 5);
}

bool wire_failed(struct wire *w, enum wire_wait why, struct err *err)
{
    AUTO(str) text = {0};
    AUTO(arena) a = {0};

    if (why == WIRE_STOP) {
        wire_lose(w);
        err_set(err, ERR_INTERRUPTED, "stopped by a signal");
        if (w->interrupt->signal == SIGTERM)
            err->exit_code = 128 + SIGTERM;
        return false;
    }
    if (w->is_full)
        str_add(&text, WIRE_FULL);
    else
        str_add(&text, w->conn ? wire_words(&a, PQerrorMessage(w->conn), WIRE_MAX_WORDS)
                               : "it was lost before");
    while (text.len > 0 && text.text[text.len - 1] == '\n')
        text.text[--text.len] = '\0';
    if (w->conn)
        wait_for_end(w);
    wire_lose(w);
    err_set(err, ERR_CONNECTION_LOST, "a session with the shadow was lost");
    return err_detail(err, "%s", str_text(&text));
}

static void cancel(struct wire *w, int64_t now)
{
    PGcancel *handle = PQgetCancel(w->conn);
    char why[256];

    if (!w->cancelled)
        w->cancelled = now;
    w->cancelled_last = now;
    /* Whether it arrived shows in the statement's own answer. */
    if (handle)
        (void) !PQcancel(handle, why, sizeof why);
    PQfreeCancel(handle);
}

/* False: it doesn't even answer a cancel. */
static bool check_limit(struct wire *w)
{
    int64_t now = clock_mono_ms(w->clock);
    bool is_late = w->is_running && !w->is_ours && shadow_is_late(w->shadow);

    w->is_full = w->is_full ||
                 (w->is_local && now - w->since > SHADOW_SLICE_MS && is_nearly_full(w->shadow));
    if (now - w->since < (is_late ? WIRE_LATE_MS : w->limit_ms) && !w->is_full)
        return true;
    if (w->cancelled && now - w->cancelled > WIRE_GIVE_UP_MS)
        return false;
    if (!w->cancelled || now - w->cancelled_last > WIRE_CANCEL_AGAIN_MS)
        cancel(w, now);
    return true;
}

bool wire_answered(struct wire *w, const struct wire_result *r)
{
    /* Answers come with a job's end, or an error: those before it have no time of their own. */
    int64_t took = w->waits_from ? clock_mono_ms(w->clock) - w->waits_from : 0;
    bool is_slow = w->is_running && !w->is_ours && r && strcmp(r->sqlstate, "57014") == 0 &&
                   !(r->message && strstr(r->message, "user request"));
    bool only_late = is_slow && shadow_is_late(w->shadow) && w->cancelled && took < w->limit_ms / 2;

    if (is_slow) {
        w->shadow->slow_ms += took;
        w->waits_from = 0;
    }
    w->since = 0;
    w->cancelled = 0;
    return only_late;
}

void wire_own_cancel(const struct wire *w, struct wire_result *r)
{
    /* A cancel that comes too late hits the next one. */
    bool is_ours =
        w->cancelled_last && clock_mono_ms(w->clock) - w->cancelled_last < WIRE_CANCEL_AGAIN_MS;

    if (strcmp(r->sqlstate, "57014") == 0 && (w->cancelled || is_ours))
        r->message = "canceling statement due to statement timeout";
}

static enum wire_wait before_wait(struct wire *w, struct pollfd *fd)
{
    int unsent = PQflush(w->conn);

    *fd = (struct pollfd) {.fd = PQsocket(w->conn), .events = POLLIN};
    if (w->interrupt && w->interrupt->count > 0)
        return WIRE_STOP;
    if (unsent < 0 || fd->fd < 0 || PQstatus(w->conn) != CONNECTION_OK)
        return WIRE_GONE;
    if (unsent > 0)
        fd->events |= POLLOUT;
    return WIRE_LOOK;
}

static enum wire_wait after_wait(struct wire *w, const struct pollfd *fd)
{
    if ((fd->revents & ~POLLOUT) && !PQconsumeInput(w->conn))
        return WIRE_GONE;
    if (w->since == 0)
        w->since = w->waits_from = clock_mono_ms(w->clock);
    return check_limit(w) ? WIRE_LOOK : WIRE_GONE;
}

enum wire_wait wire_wait_any(struct wire *const *w, int n, int64_t wait_ms, int *out_at)
{
    struct pollfd fd[WIRES_MAX];
    enum wire_wait how = WIRE_LOOK;

    for (int i = 0; i < n && how == WIRE_LOOK; i++)
        how = before_wait(w[ *out_at = i], &fd[i]);
    if (how != WIRE_LOOK)
        return how;
    int got = poll(fd, (nfds_t) n, (int) (wait_ms < SHADOW_SLICE_MS ? wait_ms : SHADOW_SLICE_MS));
    for (int i = 0; i < n && how == WIRE_LOOK; i++) {
        if (got <= 0)
            fd[i].revents = 0;
        how = after_wait(w[ *out_at = i], &fd[i]);
    }
    return how;
}

enum wire_wait wire_wait(struct wire *w, int64_t wait_ms)
{
    int at;

    return wire_wait_any(&w, 1, wait_ms, &at);
}

/* ---- one statement ----------------------------------------------------------------------------- */

bool wire_send(struct wire *w, const char *sql, struct err *err)
{
    if (!w->conn)
        return wire_failed(w, WIRE_GONE, err);
    if (w->is_busy)
        return err_set(err, ERR_BUG, "a session was given a statement before the end of another");
    w->sent = (struct wire_rows) {.keep = true};
    w->partial = (struct wire_result) {0};
    w->is_copying = false;
    (void) !wire_answered(w, NULL);
    if (!PQsendQuery(w->conn, sql))
        return wire_failed(w, WIRE_GONE, err);
    PQsetSingleRowMode(w->conn);
    w->is_busy = true;
    return true;
}

/* Ends a COPY that a text of several statements came to. */
static void refuse_copy(struct wire *w, ExecStatusType status)
{
    if (status == PGRES_COPY_IN && PQputCopyEnd(w->conn, "COPY isn't run") < 0)
        wire_lose(w);
    if (status == PGRES_COPY_BOTH)
        wire_lose(w);
}

/* True: what comes from a COPY has been thrown away as far as it is here. */
static bool skip_copy_out(struct wire *w)
{
    char *row = NULL;
    int n;

    while ((n = PQgetCopyData(w->conn, &row, 1)) > 0)
        PQfreemem(row);
    return n == 0;
}

/* What is here. True: the statement has ended. */
static bool take_results(struct wire *w, struct wire_rows *rows, bool *is_copying)
{
    while (w->conn) {
        if (*is_copying && skip_copy_out(w))
            return false;
        *is_copying = false;
        if (PQisBusy(w->conn))
            return false;
        PGresult *res = PQgetResult(w->conn);
        ExecStatusType status = PQresultStatus(res);
        if (!res)
            return true;
        wire_take(rows, res);
        PQclear(res);
        *is_copying = status == PGRES_COPY_OUT;
        refuse_copy(w, status);
    }
    return false;
}

bool wire_poll(struct wire *w, struct arena *a, int64_t wait_ms, bool *out_done,
               struct wire_result *out, struct err *err)
{
    int64_t end = clock_mono_ms(w->clock) + wait_ms;

    if (!w->is_busy)
        return err_set(err, ERR_BUG, "a session was asked for the end of no statement");
    w->sent.a = a;
    w->sent.out = &w->partial;
    for (;;) {
        bool done = take_results(w, &w->sent, &w->is_copying);

        if (done && w->is_full)
            return wire_failed(w, WIRE_GONE, err);
        if (done && PQstatus(w->conn) == CONNECTION_OK) {
            w->is_busy = false;
            wire_own_cancel(w, &w->partial);
            *out = w->partial;
            *out_done = true;
            return true;
        }
        int64_t left = end - clock_mono_ms(w->clock);
        enum wire_wait how = w->conn && !done ? wire_wait(w, left > 0 ? left : 0) : WIRE_GONE;
        if (how != WIRE_LOOK)
            return wire_failed(w, how, err);
        if (left <= 0 && PQisBusy(w->conn))
            break;
    }
    *out_done = false;
    return true;
}

bool wire_exec(struct wire *w, struct arena *a, const char *sql, bool keep_rows,
               struct wire_result *out, struct err *err)
{
    bool done = false;

    if (wire_is_copy(sql)) {
        wire_refuse(out, "0A000", wire_copy_words(sql));
        return true;
    }
    if (!wire_send(w, sql, err))
        return false;
    w->sent.keep = keep_rows;
    while (!done)
        if (!wire_poll(w, a, SHADOW_SLICE_MS, &done, out, err))
            return false;
    return true;
}
