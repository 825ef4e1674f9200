/* statements_params: parameters of every style to $1, $2, ..., and places in the result back to places in the file. */
#include "load/statements_sql.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* libpq takes a ParameterDescription of more than 30,000 bytes for a broken connection (fe-protocol3.c,
 * VALID_LONG_MESSAGE_TYPE): 6 bytes, and 4 for each. */
#define PARAMS_MAX 7498

struct rewrite {
    struct arena *arena;
    struct statement *statement;
    struct str out;
    enum param_style style;
    bool numbered, named; /* $1, @x: which of them were met */
    const char *why;
};

static int param_named(struct rewrite *w, const char *name, size_t n)
{
    struct statement *s = w->statement;
    int count = s->n_params;

    for (int i = 0; name && i < count; i++)
        if (s->param_names[i] && strlen(s->param_names[i]) == n &&
            memcmp(s->param_names[i], name, n) == 0)
            return i + 1;
    if (s->n_params == PARAMS_MAX) {
        w->why = "it has more than 7498 parameters";
        return 0;
    }
    if ((count & (count - 1)) == 0)
        s->param_names = arena_grow(w->arena, s->param_names, sizeof(char *) * (size_t) count,
                                    sizeof(char *) * (size_t) (count ? 2 * count : 1));
    s->param_names[s->n_params] = name ? arena_strndup(w->arena, name, n) : NULL;
    return ++s->n_params;
}

/* What was put out so far ends where `from` stands in the file's SQL. */
static void note_shift(struct rewrite *w, const char *from)
{
    struct statement *s = w->statement;
    int n = s->n_shifts;

    if ((n & (n - 1)) == 0)
        s->shifts = arena_grow(w->arena, s->shifts, sizeof *s->shifts * (size_t) n,
                               sizeof *s->shifts * (size_t) (n ? 2 * n : 1));
    s->shifts[s->n_shifts++] = (struct statement_shift) {(int) w->out.len, (int) (from - s->sql)};
}

static const char *put_param(struct rewrite *w, const char *name, size_t n, const char *past)
{
    str_addf(&w->out, "$%d", param_named(w, name, n));
    note_shift(w, past);
    return past;
}

static const char *put_char(struct rewrite *w, char c, const char *past)
{
    str_addc(&w->out, c);
    note_shift(w, past);
    return past;
}

static size_t word_length(const char *p)
{
    size_t n = 0;

    while (sql_is_word(p[n]))
        n++;
    return n;
}

static bool is_word_start(char c) { return sql_is_word(c) && !isdigit((unsigned char) c); }

/* a$3 and a1$3 are names. */
static bool follows_word(const char *start, const char *p)
{
    while (p > start && isdigit((unsigned char) p[-1]))
        p--;
    return p > start && sql_is_word(p[-1]);
}

/* $3: the number counts; names stay empty. */
static const char *read_number(struct rewrite *w, const char *p)
{
    char *end = NULL;

    long number = strtol(p + 1, &end, 10);
    if (number < 1 || number > PARAMS_MAX) {
        w->why = "a parameter's number is not between 1 and 7498";
        return NULL;
    }
    w->numbered = true;
    while (!w->named && w->statement->n_params < number && param_named(w, NULL, 0) > 0)
        ;
    str_addn(&w->out, p, (size_t) (end - p));
    return end;
}

/* sqlc.arg(x), sqlc.narg('x'), sqlc.slice(x); sqlc.embed(t) is what it stands for: t.* */
static const char *read_sqlc_macro(struct rewrite *w, const char *p)
{
    static const char *const macros[] = {"arg", "narg", "slice", "embed"};
    const char *q = p + strlen("sqlc.");
    size_t verb = word_length(q), n;
    bool known = false;

    for (size_t i = 0; i < sizeof macros / sizeof *macros; i++)
        known = known || (strlen(macros[i]) == verb && strncmp(q, macros[i], verb) == 0);
    const char *name = q + verb + strspn(q + verb, " \t\r\n");
    if (!known || *name != '(')
        return p;
    name += 1 + strspn(name + 1, " \t\r\n");
    char quote = *name == '\'' || *name == '"' ? *name++ : '\0';
    n = word_length(name);
    const char *end = name + n;
    if (n > 0 && quote && *end == quote)
        end++;
    else if (quote)
        n = 0;
    end += strspn(end, " \t\r\n");
    if (n == 0 || *end != ')') {
        w->why = "one of sqlc's macros doesn't hold a plain name: sqlc.arg(name)";
        return NULL;
    }
    if (*q == 'e') {
        str_addn(&w->out, name, n);
        str_add(&w->out, ".*");
        note_shift(w, end + 1);
        return end + 1;
    }
    w->named = true;
    return put_param(w, name, n, end + 1);
}

/* @x, where @ isn't part of an operator such as @> or <@ */
static const char *read_sqlc_at(struct rewrite *w, const char *start, const char *p)
{
    if (!is_word_start(p[1]) || (p > start && strchr("+-*/<>=~!@#%^&|`?", p[-1])))
        return p;
    w->named = true;
    return put_param(w, p + 1, word_length(p + 1), p + 1 + word_length(p + 1));
}

static const char *read_dollar(struct rewrite *w, const char *start, const char *p)
{
    bool after_word = p > start && (sql_is_word(p[-1]) || p[-1] == '.');

    if (*p == '$' && isdigit((unsigned char) p[1]) && !follows_word(start, p))
        p = read_number(w, p);
    else if (*p == 's' && !after_word && strncmp(p, "sqlc.", 5) == 0)
        p = read_sqlc_macro(w, p);
    else if (*p == '@' && w->statement->result)
        p = read_sqlc_at(w, start, p);
    if (p && w->named && w->numbered) {
        w->why = "numbered parameters ($1) and named ones (@name, sqlc.arg) in one statement";
        return NULL;
    }
    return p;
}

/* :name, but not ::type, := or an array slice [1:2] */
static const char *read_colon(struct rewrite *w, const char *start, const char *p)
{
    if (*p != ':' || (p > start && (p[-1] == ':' || sql_is_word(p[-1]))) || !is_word_start(p[1]))
        return p;
    return put_param(w, p + 1, word_length(p + 1), p + 1 + word_length(p + 1));
}

/* ?, and ?? for the operator itself */
static const char *read_question(struct rewrite *w, const char *p)
{
    if (*p != '?')
        return p;
    if (p[1] == '?')
        return put_char(w, '?', p + 2);
    if (p[1] == '|' || p[1] == '&') {
        w->why = "write the operators ? ?| ?& as ?? ??| ??& where ? is a parameter";
        return NULL;
    }
    return put_param(w, NULL, 0, p + 1);
}

/* %s, %(name)s, also with b or t for the format; and %% for the operator itself */
static const char *read_percent(struct rewrite *w, const char *p)
{
    if (*p != '%')
        return p;
    if (p[1] == '%')
        return put_char(w, '%', p + 2);
    if (p[1] && strchr("sbt", p[1]) && !sql_is_word(p[2]))
        return put_param(w, NULL, 0, p + 2);
    size_t n = p[1] == '(' ? word_length(p + 2) : 0;
    if (n == 0 || p[2 + n] != ')' || !p[3 + n] || !strchr("sbt", p[3 + n])) {
        w->why = "a single % is neither %s nor %(name)s; the operator is written %%";
        return NULL;
    }
    return put_param(w, p + 2, n, p + 4 + n);
}

static const char *read_param(struct rewrite *w, const char *start, const char *p)
{
    switch (w->style) {
    case PARAMS_COLON: return read_colon(w, start, p);
    case PARAMS_QUESTION: return read_question(w, p);
    case PARAMS_PERCENT: return read_percent(w, p);
    case PARAMS_DOLLAR: break;
    }
    return read_dollar(w, start, p);
}

/* Clients of the style percent halve %% in texts and comments too. */
static void put_opaque(struct rewrite *w, const char *p, const char *past)
{
    while (p < past) {
        if (w->style == PARAMS_PERCENT && p[0] == '%' && p[1] == '%' && p + 1 < past) {
            p = put_char(w, '%', p + 2);
        } else {
            str_addc(&w->out, *p++);
        }
    }
}

/* Cuts the semicolon that ends the statement. */
static bool cut_end(char *sql, const char **why, size_t *where)
{
    char *semicolon = NULL;

    for (char *p = sql; *p;) {
        const char *past = sql_skip_opaque(sql, p);

        *where = (size_t) (p - sql);
        if (!past) {
            *why = "a text, a quoted name or a comment isn't closed";
            return false;
        }
        if (past != p) {
            p = sql + (past - sql);
            continue;
        }
        if (*p == ';' && !semicolon)
            semicolon = p;
        else if (*p != ';' && !isspace((unsigned char) *p) && semicolon) {
            *why = "more than one statement under one name";
            return false;
        }
        p++;
    }
    while (semicolon && semicolon > sql && isspace((unsigned char) semicolon[-1]))
        semicolon--;
    if (semicolon)
        *semicolon = '\0';
    return true;
}

static bool is_empty(const char *sql)
{
    for (const char *p = sql; *p; p++) {
        if ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*')) {
            p = sql_skip_opaque(sql, p) - 1;
            continue;
        }
        if (!isspace((unsigned char) *p))
            return false;
    }
    return true;
}

bool sql_prepare(struct arena *a, struct statement *s, char *sql, enum param_style style,
                 const char **why, size_t *where)
{
    struct rewrite w = {.arena = a, .statement = s, .style = style};
    const char *p = sql;

    *where = 0;
    s->sql = s->dollar_sql = sql;
    if (!cut_end(sql, why, where))
        return false;
    if (is_empty(sql)) {
        *where = 0;
        *why = "it has no SQL";
        return false;
    }
    w.out.ceiling = STATEMENTS_FILE_MAX * 2;
    while (!w.why && *p) {
        const char *past = sql_skip_opaque(sql, p); /* not NULL: cut_end has seen it all */

        *where = (size_t) (p - sql);
        if (past != p) {
            put_opaque(&w, p, past);
            p = past;
            continue;
        }
        past = read_param(&w, sql, p);
        if (past == p)
            str_addc(&w.out, *p++);
        else
            p = past;
    }
    if (s->n_shifts > 0)
        s->dollar_sql = arena_strdup(a, str_text(&w.out));
    str_free(&w.out);
    *why = w.why;
    return !w.why;
}

/* ---- places ------------------------------------------------------------------------------------------------ */

struct pos statement_pos_at(const struct statement *s, size_t offset)
{
    struct pos at = s->sql_at.line ? s->sql_at : s->at;

    for (size_t i = 0; i < offset && s->sql && s->sql[i]; i++) {
        if (s->sql[i] == '\n') {
            at.line++;
            at.col = 1;
        } else if (((unsigned char) s->sql[i + 1] & 0xc0) != 0x80) {
            at.col++;
        }
    }
    return at;
}

struct pos statement_pos_of(const struct statement *s, int position)
{
    size_t at = 0, from = 0;
    int i = 0;

    if (position < 1)
        return statement_pos_at(s, 0);
    for (int seen = 0; s->dollar_sql[at]; at++)
        if (((unsigned char) s->dollar_sql[at] & 0xc0) != 0x80 && ++seen == position)
            break;
    while (i < s->n_shifts && (size_t) s->shifts[i].dollar <= at)
        i++;
    if (i > 0) {
        from = (size_t) s->shifts[i - 1].sql;
        at -= (size_t) s->shifts[i - 1].dollar;
    }
    return statement_pos_at(s, from + at);
}
