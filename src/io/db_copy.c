/* COPY through the database port: what flows is never held as a whole. */
#include "db_libpq.h"

#include <string.h>

/* The server's answer to the statement: it flows, or it failed. */
static bool begin(struct db_libpq *d, struct db_wait *w, const char *sql, ExecStatusType wanted,
                  struct err *err)
{
    bool copied = false;

    if (PQsendQueryParams(d->conn, sql, 0, NULL, NULL, NULL, NULL, 0) != 1 || !db_wait_result(d, w))
        return db_result_error(d, NULL, sql, w, err);
    PGresult *res = PQgetResult(d->conn);
    if (PQresultStatus(res) == wanted) {
        PQclear(res);
        return true;
    }
    bool good = res && db_result_is_good(res);
    if (!good)
        db_result_error(d, res, sql, w, err);
    PQclear(res);
    PQclear(db_collect(d, w, &copied));
    return good ? err_set(err, ERR_BUG, "a statement that is no COPY was sent as one") : false;
}

/* The last word: how many rows, or what was wrong after all. A failure that is in err already stays. */
static bool end(struct db_libpq *d, struct db_wait *w, const char *sql, bool good, int64_t *rows,
                struct err *err)
{
    bool copied = false;
    PGresult *res = db_collect(d, w, &copied);

    if (good && (!res || !db_result_is_good(res)))
        good = db_result_error(d, res, sql, w, err);
    if (good && rows)
        *rows = db_result_affected(res);
    PQclear(res);
    return good;
}

static bool drain(struct db_libpq *d, struct db_wait *w, const struct db_sink *to, struct err *err)
{
    bool good = true;

    for (;;) {
        char *row = NULL;
        int n = PQgetCopyData(d->conn, &row, 1);

        if (n > 0 && good && !to->take(to->ctx, row, (size_t) n, err)) {
            good = false;
            db_wait_cancel(d, w, DB_UNWANTED);
        }
        PQfreemem(row);
        if (n < 0)
            return good; /* -2: the result says what is wrong */
        if (n == 0 && !db_wait_readable(d, w))
            return good ? db_result_lost(d, NULL, err) : false;
    }
}

bool db_libpq_copy_out(struct db *db, const char *sql, const struct db_sink *to, int64_t *rows,
                       struct err *err)
{
    struct db_libpq *d = (struct db_libpq *) db;
    struct db_wait w;

    if (!db_ready(d, err))
        return false;
    w = db_wait_begin(d);
    bool good = begin(d, &w, sql, PGRES_COPY_OUT, err);
    if (good)
        good = end(d, &w, sql, drain(d, &w, to, err), rows, err);
    db_wait_end(d, &w);
    return good;
}

/* Nonblocking: 0 is "later". */
static bool put(struct db_libpq *d, struct db_wait *w, const char *bytes, size_t n, struct err *err)
{
    enum { AT_ONCE = 1 << 20 };

    for (size_t at = 0; at < n;) {
        int piece = n - at > AT_ONCE ? AT_ONCE : (int) (n - at);
        int sent = PQputCopyData(d->conn, bytes + at, piece);

        if (sent < 0)
            return db_result_lost(d, NULL, err);
        if (sent > 0)
            at += (size_t) piece;
        /* What the socket doesn't take is gathered by libpq: it isn't to become the whole file. */
        while (PQstatus(d->conn) == CONNECTION_OK && PQflush(d->conn) > 0)
            if (!db_wait_readable(d, w))
                return db_result_lost(d, NULL, err);
    }
    return true;
}

static bool pour(struct db_libpq *d, struct db_wait *w, const struct db_source *from,
                 struct err *err)
{
    bool good = true;

    for (;;) {
        const char *bytes = NULL;
        size_t n = 0;

        good = from->give(from->ctx, &bytes, &n, err);
        if (!good || n == 0)
            break;
        good = put(d, w, bytes, n, err);
        if (!good)
            return false;
    }
    int sent;
    while ((sent = PQputCopyEnd(d->conn, good ? NULL : "the client has stopped")) == 0)
        if (!db_wait_readable(d, w))
            break;
    return good && sent <= 0 ? db_result_lost(d, NULL, err) : good;
}

bool db_libpq_copy_in(struct db *db, const char *sql, const struct db_source *from, int64_t *rows,
                      struct err *err)
{
    struct db_libpq *d = (struct db_libpq *) db;
    struct db_wait w;

    if (!db_ready(d, err))
        return false;
    w = db_wait_begin(d);
    bool good = begin(d, &w, sql, PGRES_COPY_IN, err);
    if (good)
        good = end(d, &w, sql, pour(d, &w, from, err), rows, err);
    db_wait_end(d, &w);
    return good;
}
