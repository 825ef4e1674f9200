/* The database port over libpq: statements, pipelines, label. Sessions: db_session.c. */
#include "db_libpq.h"
#include "fault.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct db_libpq *self(struct db *db) { return (struct db_libpq *) db; }

/* ---- one statement --------------------------------------------------------------------------- */

static void skip_copy_out(struct db_libpq *d, struct db_wait *w)
{
    for (;;) {
        char *row = NULL;
        int n = PQgetCopyData(d->conn, &row, 1);

        PQfreemem(row);
        if (n < 0 || (n == 0 && !db_wait_readable(d, w)))
            return;
    }
}

/* Ends a COPY that nobody asked this port for, so that the session stays usable. */
static void refuse_copy(struct db_libpq *d, ExecStatusType status, struct db_wait *w)
{
    if (PQpipelineStatus(d->conn) != PQ_PIPELINE_OFF || status == PGRES_COPY_BOTH) {
        db_session_close(d); /* libpq has no way out of these */
        return;
    }
    if (status == PGRES_COPY_OUT) {
        db_wait_cancel(d, w, DB_UNWANTED);
        skip_copy_out(d, w);
        return;
    }
    while (PQputCopyEnd(d->conn, "not possible here") == 0)
        if (!db_wait_readable(d, w))
            return;
}

PGresult *db_collect(struct db_libpq *d, struct db_wait *w, bool *out_copied)
{
    PGresult *kept = NULL;

    *out_copied = false;
    while (db_wait_result(d, w)) {
        PGresult *res = PQgetResult(d->conn);
        ExecStatusType status = PQresultStatus(res);

        if (!res)
            return kept;
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            *out_copied = true;
            PQclear(res);
            refuse_copy(d, status, w);
            continue;
        }
        /* The first error is the cause, those after it are its consequences. */
        if (!kept || (db_result_is_good(kept) && !db_result_is_good(res))) {
            PQclear(kept);
            kept = res;
        } else {
            PQclear(res);
        }
    }
    PQclear(kept); /* given up: the session is closed */
    return NULL;
}

static bool copy_error(struct err *err)
{
    err_set(err, ERR_SQL, "COPY from or to the client isn't possible here");
    db_result_sqlstate(err, "0A000");
    return err_hint(err, "Use INSERT or SELECT, or COPY with a file on the server.");
}

static bool starts_with_word(const char *sql, const char *word)
{
    size_t n = strlen(word);

    while (isspace((unsigned char) *sql))
        sql++;
    return strncasecmp(sql, word, n) == 0 && !isalnum((unsigned char) sql[n]) && sql[n] != '_';
}

/* In a failed transaction COMMIT succeeds and rolls back: only the command tag tells. */
static bool is_hidden_rollback(const char *sql, const PGresult *res)
{
    return strcmp(PQcmdStatus((PGresult *) res), "ROLLBACK") == 0 &&
           (starts_with_word(sql, "commit") || starts_with_word(sql, "end") ||
            starts_with_word(sql, "prepare"));
}

static bool check_result(struct db_libpq *d, const PGresult *res, const char *sql, bool copied,
                         const struct db_wait *w, struct err *err)
{
    if (copied && PQstatus(d->conn) == CONNECTION_OK)
        return copy_error(err);
    if (!res || !db_result_is_good(res))
        return db_result_error(d, res, sql, w, err);
    if (is_hidden_rollback(sql, res)) {
        err_set(err, ERR_SQL,
                "the transaction had failed before: the server rolled it back instead");
        db_result_sqlstate(err, "25P02");
        return false;
    }
    return true;
}

static bool send(struct db_libpq *d, const char *sql, const struct db_params *p)
{
    static const struct db_params none = {0};

    if (!p)
        p = &none;
    return PQsendQueryParams(d->conn, sql, p->n, NULL, p->n ? p->value : NULL, NULL, NULL, 0) == 1;
}

static bool check_session(struct db_libpq *d, struct err *err)
{
    if (PQstatus(d->conn) != CONNECTION_OK)
        return db_result_lost(d, NULL, err);
    if (PQtransactionStatus(d->conn) == PQTRANS_ACTIVE)
        return err_set(err, ERR_BUG,
                       "a statement was sent while another one runs on the same session");
    return true;
}

static bool run(struct db_libpq *d, struct arena *a, const char *sql, const struct db_params *p,
                struct db_rows *rows, int64_t *affected, struct err *err)
{
    struct db_wait w = db_wait_begin(d);
    PGresult *res = NULL;
    bool copied = false, good;

    if (!send(d, sql, p)) {
        good = db_result_error(d, NULL, sql, &w, err);
    } else {
        res = db_collect(d, &w, &copied);
        good = check_result(d, res, sql, copied, &w, err);
    }
    if (good && rows)
        db_result_rows(a, res, rows);
    if (good && affected)
        *affected = db_result_affected(res);
    PQclear(res);
    db_wait_end(d, &w);
    return good;
}

/* ---- the label ------------------------------------------------------------------------------- */

/* SET and not set_config: a SELECT would take a snapshot, and SET TRANSACTION must come before
 * that. A label set in a transaction goes away with its rollback; the server reports every
 * change, so it is seen here. */
static bool apply_label(struct db_libpq *d, struct err *err)
{
    PGTransactionStatusType state = PQtransactionStatus(d->conn);
    const char *reported = PQparameterStatus(d->conn, "application_name");
    char *quoted;
    AUTO(str) sql = {0};
    AUTO(err) refused = {0};

    if (!reported)
        reported = "";
    if (d->label_settled && strcmp(reported, d->label_settled) == 0)
        return true;
    if (state != PQTRANS_IDLE && state != PQTRANS_INTRANS)
        return true; /* with a later statement: a failed transaction takes only its end */
    quoted = PQescapeLiteral(d->conn, d->label, strlen(d->label));
    if (!quoted)
        return true;
    str_addf(&sql, "SET application_name = %s", quoted);
    PQfreemem(quoted);
    if (!run(d, NULL, str_text(&sql), NULL, NULL, NULL, &refused) &&
        PQstatus(d->conn) != CONNECTION_OK) {
        err_move(err, &refused);
        return false;
    }
    reported = PQparameterStatus(d->conn, "application_name");
    d->label_settled = arena_strdup(&d->kept, reported ? reported : "");
    return true;
}

bool db_ready(struct db_libpq *d, struct err *err)
{
    return check_session(d, err) && apply_label(d, err);
}

static void libpq_set_label(struct db *db, const char *application_name)
{
    struct db_libpq *d = self(db);
    const char *label = db_label_clean(&d->kept, application_name);

    if (strcmp(label, d->label) == 0)
        return;
    d->label = label;
    d->label_settled = NULL;
}

/* ---- the port -------------------------------------------------------------------------------- */

static bool libpq_exec(struct db *db, struct arena *a, const char *sql, const struct db_params *p,
                       struct db_rows *rows, int64_t *affected, struct err *err)
{
    struct db_libpq *d = self(db);

    if (rows && !a)
        return err_set(err, ERR_BUG, "rows were asked for without an arena");
    return db_ready(d, err) && run(d, a, sql, p, rows, affected, err);
}

/* ---- pipelines ------------------------------------------------------------------------------- */

/* How one call of a pipeline is sent. */
enum sent { SENT_PLAIN, SENT_PREPARING, SENT_PREPARED };

static const char *prepared_name(struct arena *a, int number)
{
    return arena_printf(a, "phasegate_%d", number);
}

/* Its place among those that are prepared or, from n_prepared on, sent to be. */
static int prepared_place(const struct db_libpq *d, const char *sql, int n)
{
    int i = 0;

    while (i < n && d->prepared[i] != sql)
        i++;
    return i;
}

/* *n: of places taken, with those that this pipeline takes. */
static bool send_call(struct db_libpq *d, const struct db_call *c, int *n, enum sent *how)
{
    AUTO(arena) a = {0};
    int place = prepared_place(d, c->sql, *n);

    *how = SENT_PLAIN;
    if (!c->repeats || d->unprepared || place == DB_MAX_PREPARED)
        return send(d, c->sql, &c->params);
    const char *name = prepared_name(&a, place);
    *how = place < *n ? SENT_PREPARED : SENT_PREPARING;
    if (*how == SENT_PREPARING) {
        d->prepared[(*n)++] = c->sql;
        if (!PQsendPrepare(d->conn, name, c->sql, 0, NULL))
            return false;
    }
    return PQsendQueryPrepared(d->conn, name, c->params.n, c->params.n ? c->params.value : NULL,
                               NULL, NULL, 0) == 1;
}

/* libpq gathers what is sent up to 64 kB: one packet, one wake-up of the server. */
static bool send_all(struct db_libpq *d, const struct db_call *calls, int n, enum sent *how)
{
    int places = d->n_prepared;

    if (!PQenterPipelineMode(d->conn))
        return false;
    for (int i = 0; i < n; i++)
        if (!send_call(d, &calls[i], &places, &how[i]))
            return false;
    return PQpipelineSync(d->conn) == 1;
}

/* What is left up to the Sync. An error that comes only there is the implicit transaction's
 * commit. */
static bool finish_pipeline(struct db_libpq *d, struct db_wait *w, bool good, struct err *err)
{
    bool is_synced = false;

    while (!is_synced && PQstatus(d->conn) == CONNECTION_OK && db_wait_result(d, w)) {
        PGresult *res = PQgetResult(d->conn);
        ExecStatusType status = PQresultStatus(res);

        is_synced = status == PGRES_PIPELINE_SYNC;
        if (res && good && status == PGRES_FATAL_ERROR)
            good = db_result_error(d, res, NULL, w, err);
        PQclear(res);
    }
    if (is_synced && PQexitPipelineMode(d->conn))
        return good;
    /* Lost, or out of step with the server: this session is of no use any more. */
    db_session_close(d);
    return good ? db_result_lost(d, "before the end of a batch was confirmed", err) : false;
}

static bool one_result(struct db_libpq *d, struct db_wait *w, struct arena *a, const char *sql,
                       struct db_rows *rows, struct err *err)
{
    bool copied = false;
    PGresult *res = db_collect(d, w, &copied);
    bool good = check_result(d, res, sql, copied, w, err);

    if (good && rows)
        db_result_rows(a, res, rows);
    PQclear(res);
    return good;
}

static bool pipeline_results(struct db_libpq *d, struct db_wait *w, struct arena *a,
                             const struct db_call *calls, const enum sent *how, int n,
                             struct db_rows *rows, int *done, struct err *err)
{
    bool good = true;

    for (int i = 0; i < n && good; i++) {
        const char *sql = calls[i].sql;

        if (how[i] == SENT_PREPARING) {
            good = one_result(d, w, NULL, sql, NULL, err);
            d->n_prepared += good; /* in the order in which they were sent */
        }
        good = good && one_result(d, w, a, sql, rows ? &rows[i] : NULL, err);
        *done += good;
        if (!good && n > 1)
            err_note(err, "statement %d of %d", i + 1, n);
    }
    return good;
}

static bool send_and_wait(struct db_libpq *d, struct arena *a, const struct db_call *calls, int n,
                          struct db_rows *rows, int *done, struct err *err)
{
    AUTO(arena) own = {0};
    enum sent *how = arena_array(&own, enum sent, n);
    struct db_wait w = db_wait_begin(d);
    bool good;

    *done = 0;
    if (send_all(d, calls, n, how)) {
        good = pipeline_results(d, &w, a, calls, how, n, rows, done, err);
        good = finish_pipeline(d, &w, good, err);
    } else {
        good = db_result_error(d, NULL, NULL, &w, err);
        db_session_close(d);
    }
    db_wait_end(d, &w);
    return good;
}

/* An author's statement may have thrown away what the session had prepared (DEALLOCATE ALL). */
static bool names_are_lost(struct db_libpq *d, const struct err *err)
{
    if (strcmp(err->sqlstate, "26000") != 0 || d->unprepared)
        return false;
    d->unprepared = true;
    return true;
}

/* All of it was one transaction, which failed: sending it once more does nothing twice. */
static bool is_one_failed_transaction(struct db_libpq *d, const struct db_call *calls, int done)
{
    for (int i = 1; i < done; i++)
        if (starts_with_word(calls[i].sql, "commit"))
            return false;
    return done > 0 && starts_with_word(calls[0].sql, "begin") &&
           PQtransactionStatus(d->conn) == PQTRANS_INERROR;
}

static bool libpq_pipeline(struct db *db, struct arena *a, const struct db_call *calls, int n,
                           struct db_rows *rows, int *out_done, struct err *err)
{
    struct db_libpq *d = self(db);
    int done = 0;

    if (out_done)
        *out_done = 0;
    if (rows && !a)
        return err_set(err, ERR_BUG, "rows were asked for without an arena");
    if (n <= 0)
        return true;
    if (!db_ready(d, err))
        return false;
    bool good = send_and_wait(d, a, calls, n, rows, &done, err);
    if (!good && names_are_lost(d, err) && is_one_failed_transaction(d, calls, done)) {
        err_clear(err);
        good = run(d, NULL, "ROLLBACK", NULL, NULL, NULL, err) &&
               send_and_wait(d, a, calls, n, rows, &done, err);
    }
    if (out_done)
        *out_done = done;
    return good;
}

static bool libpq_reconnect(struct db *db, struct err *err)
{
    struct db_libpq *d = self(db);

    db_session_close(d);
    d->n_prepared = 0;
    d->unprepared = false;
    return db_session_open(d, err);
}

static bool libpq_is_usable(struct db *db)
{
    PGconn *conn = self(db)->conn;

    /* The server's last words may be waiting in the socket, and behind them its end. */
    if (PQstatus(conn) == CONNECTION_OK && PQconsumeInput(conn))
        (void) !PQconsumeInput(conn);
    return PQstatus(conn) == CONNECTION_OK;
}

static int libpq_backend_pid(struct db *db) { return self(db)->backend_pid; }

static int libpq_handshake_pid(struct db *db) { return PQbackendPID(self(db)->conn); }

static int libpq_server_version(struct db *db) { return PQserverVersion(self(db)->conn); }

static void libpq_set_deadline_ms(struct db *db, int64_t ms) { self(db)->deadline_ms = ms; }

static void libpq_close(struct db *db)
{
    db_session_close(self(db));
    arena_free(&self(db)->kept);
    free(db);
}

static const struct db_ops ops = {
    .exec = libpq_exec,
    .pipeline = libpq_pipeline,
    .reconnect = libpq_reconnect,
    .is_usable = libpq_is_usable,
    .backend_pid = libpq_backend_pid,
    .handshake_pid = libpq_handshake_pid,
    .server_version = libpq_server_version,
    .set_label = libpq_set_label,
    .set_deadline_ms = libpq_set_deadline_ms,
    .close = libpq_close,
    .copy_out = db_libpq_copy_out,
    .copy_in = db_libpq_copy_in,
};

struct db_options db_options_default(void)
{
    return (struct db_options) {
        .search_path = "",
        .time_zone = "UTC",
        .lock_ms = 1000,
        .statement_ms = 60000,
        .idle_in_transaction_ms = 60000,
        .connect_ms = 10000,
    };
}

bool db_connect(const struct db_options *o, struct db **out, struct err *err)
{
    struct db_libpq *d = calloc(1, sizeof *d);

    if (!d)
        abort();
    d->base.ops = &ops;
    d->o = *o;
    d->o.url = arena_strdup(&d->kept, o->url ? o->url : "");
    d->o.search_path = arena_strdup(&d->kept, o->search_path);
    d->o.time_zone = arena_strdup(&d->kept, o->time_zone);
    d->label = db_label_clean(&d->kept, o->label ? o->label : "phasegate");
    d->base.shown = "the database";
    if (!db_session_open(d, err)) {
        libpq_close(&d->base);
        return false;
    }
    *out = fault_db(&d->base);
    return true;
}
