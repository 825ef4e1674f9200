#include "demo/shop.h"

#include "phasegate/names.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 100

/* ---- where it is ----------------------------------------------------------------------------------- */

static bool is_shop(const char *folder)
{
    AUTO(str) file = {0};

    str_addf(&file, "%s/phasegate.yaml", folder);
    return access(str_text(&file), R_OK) == 0;
}

/* plans/demo in the folder or one above it. */
static bool find_above(const char *from, struct str *out)
{
    AUTO(str) folder = {0};

    str_set(&folder, from);
    for (;;) {
        str_clear(out);
        str_addf(out, "%s/plans/demo", str_text(&folder));
        if (is_shop(str_text(out)))
            return true;
        char *slash = strrchr(folder.text, '/');
        if (!slash)
            return false;
        *slash = '\0';
        folder.len = (size_t) (slash - folder.text);
    }
}

bool shop_folder(struct str *out, struct err *err)
{
    char *cwd = getcwd(NULL, 0);
    char *exe = realpath("/proc/self/exe", NULL);
    bool found = cwd && find_above(cwd, out);

    if (!found && exe) {
        const char *bin = dirname(exe);

        str_clear(out);
        str_addf(out, "%s/../share/doc/phasegate/examples/demo", bin);
        found = is_shop(str_text(out)) || find_above(bin, out);
    }
    free(cwd);
    free(exe);
    if (found)
        return true;
    err_set(err, ERR_CONFIG, "the example project plans/demo isn't here");
    return err_hint(err, "run it in the source folder, or install phasegate with its examples");
}

/* ---- what is in it ---------------------------------------------------------------------------------- */

/* Until the server has answered, or a signal came: then the statement is cancelled. */
static bool wait_answer(PGconn *conn, const struct interrupt *interrupt, struct err *err)
{
    while (PQisBusy(conn)) {
        struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};

        if (interrupt && interrupt->count > 0) {
            PGcancel *cancel = PQgetCancel(conn);
            char why[256];

            if (cancel)
                PQcancel(cancel, why, sizeof why);
            PQfreeCancel(cancel);
            return err_set(err, ERR_INTERRUPTED, "stopped by a signal");
        }
        if (poll(&fd, 1, TICK_MS) > 0 && !PQconsumeInput(conn))
            return err_set(err, ERR_UNREACHABLE, "%s", PQerrorMessage(conn));
    }
    return true;
}

static bool is_good(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* One or several statements, one transaction if none is open. */
static bool run(PGconn *conn, const char *sql, const char *what, const struct interrupt *interrupt,
                struct err *err)
{
    bool good = PQsendQuery(conn, sql) == 1;

    if (!good)
        err_set(err, ERR_UNREACHABLE, "%s: %s", what, PQerrorMessage(conn));
    while (good && wait_answer(conn, interrupt, err)) {
        PGresult *res = PQgetResult(conn);

        if (!res)
            return true;
        good = is_good(res);
        if (!good) {
            const char *said = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

            err_set(err, ERR_SQL, "%s: %s", what, said ? said : PQerrorMessage(conn));
        }
        PQclear(res);
    }
    return false;
}

static bool connect_to(const char *conninfo, PGconn **out, struct err *err)
{
    PGconn *conn = PQconnectdb(conninfo);

    if (PQstatus(conn) != CONNECTION_OK) {
        err_set(err, ERR_UNREACHABLE, "%s", PQerrorMessage(conn));
        PQfinish(conn);
        return false;
    }
    /* Notices would go to stderr; only cli and out print. */
    PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
    *out = conn;
    return true;
}

bool shop_create_database(const char *conninfo, const char *name, struct err *err)
{
    PGconn *conn = NULL;
    AUTO(str) sql = {0};

    if (!connect_to(conninfo, &conn, err))
        return false;
    str_add(&sql, "CREATE DATABASE ");
    sql_ident(&sql, name);
    bool good = run(conn, str_text(&sql), "create database", NULL, err);
    PQfinish(conn);
    return good;
}

static bool read_file(const char *path, struct str *out, struct err *err)
{
    char chunk[8192];
    ssize_t got = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && got > 0) {
        got = read(fd, chunk, sizeof chunk);
        if (got > 0)
            str_addn(out, chunk, (size_t) got);
    }
    if (fd >= 0)
        close(fd);
    if (fd < 0 || got < 0 || out->full)
        return err_set(err, ERR_INPUT, "%s: %s", path, out->full ? "too large" : strerror(errno));
    return true;
}

/* No random numbers: the same rows every time. */
static void fill_sql(const struct shop_size *size, struct str *out)
{
    str_addf(
        out,
        "INSERT INTO customers (id, name, email)"
        " SELECT i, 'Customer ' || i, 'customer' || i || '@example.com' FROM generate_series(1, "
        "%d) i;"
        "INSERT INTO accounts (id, customer_id, balance)"
        " SELECT i, (i - 1) %% %d + 1, 10000 + i * 7919 %% 90000 FROM generate_series(1, %d) i;",
        size->customers, size->customers, size->accounts);
    str_addf(out,
             "INSERT INTO orders (id, customer_id, account_id, total, placed_at)"
             " SELECT i, (a.id - 1) %% %d + 1, a.id, 200 + i %% 5000,"
             " timestamptz '2026-01-01 00:00:00Z' + i * interval '1 minute'"
             " FROM (SELECT i, i %% %d + 1 AS id FROM generate_series(1, %d) i) a;",
             size->customers, size->accounts, size->orders);
    str_addf(
        out,
        "INSERT INTO order_items (order_id, line, product, quantity, price)"
        " SELECT i, line, CASE line WHEN 1 THEN 'tea' ELSE 'cup' END, 1 + i %% 3, 100 + i %% 900"
        " FROM generate_series(1, %d) i, generate_series(1, 2) line;"
        "SELECT setval(pg_get_serial_sequence(t, 'id'), n) FROM"
        " (VALUES ('customers', %d), ('accounts', %d), ('orders', %d)) s (t, n);",
        size->orders, size->customers, size->accounts, size->orders);
}

bool shop_fill(const char *conninfo, const char *folder, const struct shop_size *size,
               const struct interrupt *interrupt, struct err *err)
{
    PGconn *conn = NULL;
    AUTO(str) path = {0};
    AUTO(str) baseline = {0};
    AUTO(str) rows = {0};

    str_addf(&path, "%s/schema/baseline.sql", folder);
    fill_sql(size, &rows);
    if (!read_file(str_text(&path), &baseline, err) || !connect_to(conninfo, &conn, err))
        return false;
    bool good = run(conn, "BEGIN", "begin", interrupt, err) &&
                run(conn, str_text(&baseline), str_text(&path), interrupt, err) &&
                run(conn, str_text(&rows), "rows of the shop", interrupt, err) &&
                run(conn, "COMMIT", "commit", interrupt, err) &&
                run(conn, "VACUUM ANALYZE", "vacuum", interrupt, err);
    PQfinish(conn);
    return good;
}
