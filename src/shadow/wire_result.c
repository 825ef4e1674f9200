/* A PGresult as a wire_result. */
#include "shadow/wire_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- COPY -------------------------------------------------------------------------------------- */

static const char *skip_block(const char *c)
{
    int depth = 0;

    do {
        if (c[0] == '/' && c[1] == '*') {
            depth++;
            c += 2;
        } else if (c[0] == '*' && c[1] == '/') {
            depth--;
            c += 2;
        } else {
            c++;
        }
    } while (*c && depth > 0);
    return c;
}

/* In the extended protocol a text is one statement, and only COPY itself answers with a COPY: its first word
 * tells. */
bool wire_is_copy(const char *sql)
{
    for (;;) {
        sql += strspn(sql, " \t\n\r\f\v;");
        if (sql[0] == '-' && sql[1] == '-')
            sql += strcspn(sql, "\r\n");
        else if (sql[0] == '/' && sql[1] == '*')
            sql = skip_block(sql);
        else
            break;
    }
    unsigned char next = strncasecmp(sql, "copy", 4) == 0 ? (unsigned char) sql[4] : 'x';
    return !isalnum(next) && next != '_' && next != '$' && next < 128;
}

/* A word, a quoted text, or one character. */
static const char *copy_token(const char *c, size_t *n)
{
    *n = 0;
    c += strspn(c, " \t\n\r\f\v");
    if (*c == '\'' || *c == '"') {
        const char *end = strchr(c + 1, *c);
        *n = end ? (size_t) (end - c) + 1 : strlen(c);
    } else {
        while (isalnum((unsigned char) c[*n]) || c[*n] == '_' || (unsigned char) c[*n] > 127)
            ++*n;
        *n += *n == 0 && *c;
    }
    return c;
}

static bool is_word(const char *c, size_t n, const char *word)
{
    return n == strlen(word) && strncasecmp(c, word, n) == 0;
}

const char *wire_copy_words(const char *sql)
{
    int depth = 0;
    bool after_way = false;
    size_t n;

    for (const char *c = copy_token(sql, &n); n > 0; c = copy_token(c + n, &n)) {
        if (after_way && (*c == '\'' || is_word(c, n, "program")))
            return "COPY from or to a file or a program of the server isn't run: what runs on the "
                   "shadow can't leave it (insufficient rights)";
        depth += (*c == '(') - (*c == ')');
        after_way = depth == 0 && (is_word(c, n, "to") || is_word(c, n, "from"));
    }
    return "COPY from or to the client isn't run";
}

void wire_refuse(struct wire_result *r, const char *sqlstate, const char *message)
{
    *r = (struct wire_result) {.message = message};
    memcpy(r->sqlstate, sqlstate, 5);
}

/* ---- errors ------------------------------------------------------------------------------------ */

const char *wire_words(struct arena *a, const char *text, size_t max)
{
    size_t n = text ? strnlen(text, max + 1) : 0;

    if (n <= max)
        return arena_strdup(a, text);
    for (n = max; n > 0 && ((unsigned char) text[n] & 0xc0) == 0x80;)
        n--; /* not within a character */
    return arena_printf(a, "%.*s…", (int) n, text);
}

static const char *field(struct wire_rows *rows, const PGresult *res, int code)
{
    return wire_words(rows->a, PQresultErrorField(res, code),
                      code == PG_DIAG_MESSAGE_DETAIL ? WIRE_MAX_DETAIL : WIRE_MAX_WORDS);
}

static void take_error(struct wire_rows *rows, const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
    struct wire_result *r = rows->out;

    *r = (struct wire_result) {.position = position ? (int) strtol(position, NULL, 10) : 0};
    /* Without one it's libpq that speaks, of a session that is lost. */
    memcpy(r->sqlstate, state && strlen(state) == 5 ? state : "08006", 5);
    r->message = field(rows, res, PG_DIAG_MESSAGE_PRIMARY);
    if (!r->message)
        r->message = wire_words(rows->a, PQresultErrorMessage(res), WIRE_MAX_WORDS);
    r->detail = field(rows, res, PG_DIAG_MESSAGE_DETAIL);
    r->hint = field(rows, res, PG_DIAG_MESSAGE_HINT);
    r->context = field(rows, res, PG_DIAG_CONTEXT);
}

/* ---- types and rows ------------------------------------------------------------------------------ */

static void take_columns(struct wire_rows *rows, const PGresult *res)
{
    struct wire_result *r = rows->out;
    int n = PQnfields(res);
    struct wire_column *columns = n > 0 ? arena_array(rows->a, struct wire_column, n) : NULL;

    for (int i = 0; i < n; i++) {
        columns[i].name = arena_strdup(rows->a, PQfname(res, i));
        columns[i].type = PQftype(res, i);
        columns[i].typmod = PQfmod(res, i);
    }
    r->n_columns = n;
    r->columns = columns;
    rows->has_columns = true;
}

static void take_params(struct wire_rows *rows, const PGresult *res)
{
    int n = PQnparams(res);
    unsigned *types = n > 0 ? arena_array(rows->a, unsigned, n) : NULL;

    for (int i = 0; i < n; i++)
        types[i] = PQparamtype(res, i);
    rows->out->n_params = n;
    rows->out->param_types = types;
}

static const char **take_row(struct wire_rows *rows, const PGresult *res, int row)
{
    int n = PQnfields(res);
    const char **cells = arena_array(rows->a, const char *, n + 1);

    for (int i = 0; i < n; i++) {
        size_t length = (size_t) PQgetlength(res, row, i);

        if (PQgetisnull(res, row, i))
            continue;
        cells[i] = arena_strndup(rows->a, PQgetvalue(res, row, i), length);
        rows->bytes += length + 1;
    }
    rows->bytes += sizeof *cells * (size_t) (n + 1);
    return cells;
}

static void take_rows(struct wire_rows *rows, const PGresult *res)
{
    struct wire_result *r = rows->out;

    for (int i = 0; i < PQntuples(res); i++, r->n_rows++) {
        if (!rows->keep || rows->bytes > WIRE_MAX_KEPT)
            continue;
        if (r->n_rows == rows->cap) {
            int cap = rows->cap ? 2 * rows->cap : 4;

            r->cell = arena_grow(rows->a, r->cell, sizeof *r->cell * (size_t) rows->cap,
                                 sizeof *r->cell * (size_t) cap);
            rows->cap = cap;
        }
        r->cell[r->n_rows] = take_row(rows, res, i);
    }
}

static void take_end(struct wire_rows *rows, const PGresult *res)
{
    struct wire_result *r = rows->out;
    const char *affected = PQcmdTuples((PGresult *) res);

    r->affected = affected && *affected ? strtoll(affected, NULL, 10) : 0;
    r->ok = true;
    if (rows->bytes > WIRE_MAX_KEPT)
        wire_refuse(r, "54000", "the result is larger than 64 MiB");
    else if (rows->is_copy)
        wire_refuse(r, "0A000", "COPY from or to the client isn't run");
}

void wire_take(struct wire_rows *rows, const PGresult *res)
{
    struct wire_result *r = rows->out;

    if (r->ok) { /* of several statements in one text the last one counts */
        *r = (struct wire_result) {0};
        rows->has_columns = false;
        rows->cap = 0;
    }
    switch (PQresultStatus(res)) {
    case PGRES_PIPELINE_ABORTED: *r = (struct wire_result) {.skipped = true}; return;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
    case PGRES_EMPTY_QUERY: break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH: rows->is_copy = true; return;
    default:
        take_error(rows, res);
        if (rows->is_copy)
            wire_refuse(r, "0A000", "COPY from or to the client isn't run");
        return;
    }
    if (!rows->has_columns) {
        take_columns(rows, res);
        take_params(rows, res);
    }
    take_rows(rows, res);
    if (PQresultStatus(res) != PGRES_SINGLE_TUPLE)
        take_end(rows, res);
}
