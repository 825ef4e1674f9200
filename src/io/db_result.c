/* Results of libpq: rows into the caller's arena, errors into err. */
#include "db_libpq.h"

#include <stdlib.h>
#include <string.h>

enum {
    EXCERPT = 120, /* characters of the statement shown with an error */
    WORDS_MAX =
        4096, /* bytes of a message, hint or context: they are as long as a statement likes */
    DETAIL_MAX = 16384 /* of a detail: up to a hundred dependants */
};

bool db_result_is_good(const PGresult *res)
{
    switch (PQresultStatus(res)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY: return true;
    default: return false;
    }
}

/* ---- rows ------------------------------------------------------------------------------------ */

void db_result_rows(struct arena *a, const PGresult *res, struct db_rows *out)
{
    int n_rows = PQntuples(res), n_cols = PQnfields(res);
    struct db_rows rows = {.n_rows = n_rows, .n_cols = n_cols};

    rows.column = arena_array(a, const char *, n_cols + 1);
    for (int c = 0; c < n_cols; c++)
        rows.column[c] = arena_strdup(a, PQfname(res, c));
    rows.cell = arena_array(a, const char **, n_rows + 1);
    for (int r = 0; r < n_rows; r++) {
        rows.cell[r] = arena_array(a, const char *, n_cols + 1);
        for (int c = 0; c < n_cols; c++)
            if (!PQgetisnull(res, r, c))
                rows.cell[r][c] =
                    arena_strndup(a, PQgetvalue(res, r, c), (size_t) PQgetlength(res, r, c));
    }
    *out = rows;
}

int64_t db_result_affected(const PGresult *res)
{
    const char *n = PQcmdTuples((PGresult *) res);

    return *n ? strtoll(n, NULL, 10) : 0;
}

/* ---- errors ---------------------------------------------------------------------------------- */

static bool is_lost_state(const char *sqlstate)
{
    static const char *const states[] = {"57P01", "57P02", "57P03", "57P05", "25P03", NULL};

    if (strcmp(sqlstate, "08P01") ==
        0) /* what we sent is wrong; the session lives or PQstatus tells */
        return false;
    if (strncmp(sqlstate, "08", 2) == 0)
        return true;
    for (int i = 0; states[i]; i++)
        if (strcmp(sqlstate, states[i]) == 0)
            return true;
    return false;
}

static enum err_kind kind_of(const struct db_libpq *d, const char *sqlstate,
                             const struct db_wait *w)
{
    if (strcmp(sqlstate, "57014") == 0 && w->stop == DB_INTERRUPTED)
        return ERR_INTERRUPTED;
    if (PQstatus(d->conn) != CONNECTION_OK || is_lost_state(sqlstate))
        return ERR_CONNECTION_LOST;
    if (strcmp(sqlstate, "55P03") == 0 || strcmp(sqlstate, "40P01") == 0)
        return ERR_LOCK_TIMEOUT;
    return ERR_SQL;
}

static bool is_continuation(char c) { return ((unsigned char) c & 0xc0) == 0x80; }

/* Cut between two characters. */
static void add_words(struct str *to, const char *text, size_t n, size_t max)
{
    size_t shown = n < max ? n : max;

    while (shown < n && shown > 0 && is_continuation(text[shown]))
        shown--;
    str_addn(to, text, shown);
    if (shown < n)
        str_add(to, "…");
}

static void add_line(struct str *to, const char *before, const char *text, size_t max)
{
    if (!text || !*text)
        return;
    if (to->len > 0)
        str_addc(to, '\n');
    str_add(to, before);
    add_words(to, text, strnlen(text, max + 1), max);
}

/* The server counts characters from 1, over lines. */
static void add_place(struct str *to, const char *sql, const char *position)
{
    long left = position ? strtol(position, NULL, 10) : 0;
    const char *at = sql, *line_start = sql;
    int line = 1, column = 1;
    size_t n, shown;

    if (left <= 0 || !sql)
        return;
    for (; *at && left > 1; left--) {
        column++;
        if (*at == '\n') {
            line++;
            column = 1;
            line_start = at + 1;
        }
        at++;
        while (is_continuation(*at))
            at++;
    }
    n = strcspn(line_start, "\r\n");
    shown = n < EXCERPT ? n : EXCERPT;
    while (shown < n && is_continuation(line_start[shown]))
        shown++;
    if (to->len > 0)
        str_addc(to, '\n');
    str_addf(to, "at line %d, column %d of the statement: ", line, column);
    str_addn(to, line_start, shown);
    if (shown < n)
        str_add(to, " ...");
}

void db_result_sqlstate(struct err *err, const char *five)
{
    if (strlen(five) == sizeof err->sqlstate - 1)
        memcpy(err->sqlstate, five, sizeof err->sqlstate);
}

/* Of libpq's own words the first line says it; the others guess at reasons. */
static void add_primary(struct str *to, const char *server, const char *libpq)
{
    if (server)
        add_words(to, server, strnlen(server, WORDS_MAX + 1), WORDS_MAX);
    else
        add_words(to, libpq, strcspn(libpq, "\n"), WORDS_MAX);
    if (to->len == 0)
        str_add(to, "no answer to a cancel; the statement may still be running there");
}

bool db_result_lost(struct db_libpq *d, const char *detail, struct err *err)
{
    err_set(err, ERR_CONNECTION_LOST, "the session with %s ended", d->base.shown);
    if (detail && *detail)
        err_detail(err, "%s", detail);
    return err_hint(err,
                    "Run the same command again: it looks at what was done before it goes on.");
}

static void set_message(struct db_libpq *d, enum err_kind kind, const char *primary,
                        const struct db_wait *w, bool is_cancel, struct str *detail,
                        struct err *err)
{
    double seconds = (double) (clock_mono_ms(d->o.clock) - w->started) / 1000;

    if (kind == ERR_CONNECTION_LOST) {
        err_set(err, kind, "the session with %s ended: %s", d->base.shown, primary);
    } else if (kind == ERR_INTERRUPTED) {
        err_set(err, kind, "the statement was cancelled after %.1f s, as asked by a second signal",
                seconds);
        add_line(detail, "", primary, WORDS_MAX);
        if (d->o.interrupt->signal == SIGTERM)
            err->exit_code = 128 + SIGTERM;
    } else if (is_cancel && w->stop == DB_LATE) {
        err_set(err, kind, "the statement took longer than %.1f s and was cancelled",
                (double) d->deadline_ms / 1000);
        add_line(detail, "", primary, WORDS_MAX);
    } else {
        err_set(err, kind, "%s", primary);
    }
}

bool db_result_error(struct db_libpq *d, const PGresult *res, const char *sql,
                     const struct db_wait *w, struct err *err)
{
    const char *sqlstate = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *message = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *hint = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_HINT) : NULL;
    AUTO(str) detail = {0};
    AUTO(str) primary = {0};
    AUTO(str) way = {0};
    enum err_kind kind;

    /* Without fields it is libpq that speaks, not the server. */
    if (res)
        add_primary(&primary, message, PQresultErrorMessage(res));
    else
        add_primary(&primary, NULL, d->conn ? PQerrorMessage(d->conn) : "");
    kind = kind_of(d, sqlstate ? sqlstate : "", w);
    set_message(d, kind, str_text(&primary), w, sqlstate && strcmp(sqlstate, "57014") == 0, &detail,
                err);
    if (res) {
        add_line(&detail, "", PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL), DETAIL_MAX);
        add_place(&detail, sql, PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION));
        add_line(&detail, "in the query: ", PQresultErrorField(res, PG_DIAG_INTERNAL_QUERY),
                 WORDS_MAX);
        add_line(&detail, "CONTEXT: ", PQresultErrorField(res, PG_DIAG_CONTEXT), WORDS_MAX);
    }
    if (detail.len > 0)
        err_detail(err, "%s", str_text(&detail));
    add_line(&way, "", hint, WORDS_MAX);
    if (hint)
        err_hint(err, "%s", str_text(&way));
    else if (kind == ERR_CONNECTION_LOST)
        err_hint(err, "Run the same command again: it looks at what was done before it goes on.");
    if (sqlstate)
        db_result_sqlstate(err, sqlstate);
    return false;
}
