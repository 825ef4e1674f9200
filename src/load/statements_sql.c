/* statements_sql: the little of SQL's surface that parameters need. Statements in the styles colon,
 * question and percent can't be parsed by a server's grammar before they are rewritten, so texts,
 * quoted names and comments are stepped over here; what the rest means isn't asked. */
#include "load/statements_sql.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define PARAMS_MAX 1000

static bool is_word(char c)
{
    return isalnum((unsigned char) c) || c == '_' || (unsigned char) c >= 0x80;
}

static const char *skip_quoted(const char *p, char quote, bool backslashes)
{
    for (p++; *p; p++) {
        if (backslashes && *p == '\\' && p[1])
            p++;
        else if (*p == quote && p[1] == quote)
            p++;
        else if (*p == quote)
            return p + 1;
    }
    return NULL;
}

static const char *skip_dollar_quoted(const char *p)
{
    const char *tag_end = p + 1;

    while (is_word(*tag_end))
        tag_end++;
    if (*tag_end != '$' || isdigit((unsigned char) p[1]))
        return p; /* a parameter, not a quote */
    size_t n = (size_t) (tag_end + 1 - p);
    for (const char *q = tag_end + 1; *q; q++)
        if (strncmp(q, p, n) == 0)
            return q + n;
    return NULL;
}

static const char *skip_comment(const char *p)
{
    int depth = 0;

    do {
        if (p[0] == '/' && p[1] == '*') {
            depth++;
            p += 2;
        } else if (p[0] == '*' && p[1] == '/') {
            depth--;
            p += 2;
        } else if (*p++ == '\0') {
            return NULL;
        }
    } while (depth > 0);
    return p;
}

/* Past a text, a quoted name or a comment that starts at p; p itself when none does; NULL: it never ends.
 * start: of the whole, to see what stands before p. */
static const char *skip_opaque(const char *start, const char *p)
{
    bool after_word = p > start && is_word(p[-1]);

    if (*p == '\'') {
        bool escapes =
            p > start && (p[-1] == 'e' || p[-1] == 'E') && (p - 1 == start || !is_word(p[-2]));
        return skip_quoted(p, '\'', escapes);
    }
    if (*p == '"')
        return skip_quoted(p, '"', false);
    if (*p == '$' && !after_word)
        return skip_dollar_quoted(p);
    if (p[0] == '-' && p[1] == '-')
        return p + strcspn(p, "\n");
    if (p[0] == '/' && p[1] == '*')
        return skip_comment(p);
    return p;
}

/* ---- arguments --------------------------------------------------------------------------------------- */

static bool is_number(const char *s)
{
    char *end = NULL;

    if (!isdigit((unsigned char) s[strspn(s, "+-.")]))
        return false;
    strtod(s, &end);
    return *end == '\0' && strpbrk(s, "xXnN") == NULL;
}

/* 'it''s' -> it's, when that is all of it */
static bool unquote(struct arena *a, const char *s, const char **out)
{
    size_t n = strlen(s);
    char *text = arena_strdup(a, s), *to = text;

    if (n < 2 || s[0] != '\'' || skip_quoted(s, '\'', false) != s + n)
        return false;
    for (size_t i = 1; i + 1 < n; i++) {
        *to++ = s[i];
        if (s[i] == '\'')
            i++;
    }
    *to = '\0';
    *out = text;
    return true;
}

static void read_literal(struct arena *a, struct statement_arg *arg)
{
    arg->is_literal = true;
    if (strcasecmp(arg->sql, "null") == 0)
        arg->value = NULL;
    else if (is_number(arg->sql) || strcasecmp(arg->sql, "true") == 0 ||
             strcasecmp(arg->sql, "false") == 0)
        arg->value = arg->sql;
    else
        arg->is_literal = unquote(a, arg->sql, &arg->value);
}

static bool add_arg(struct arena *a, struct statement_args *row, const char *from, const char *to)
{
    struct statement_arg arg = {0};

    while (from < to && isspace((unsigned char) *from))
        from++;
    while (to > from && isspace((unsigned char) to[-1]))
        to--;
    if (from == to)
        return false;
    arg.sql = arena_strndup(a, from, (size_t) (to - from));
    read_literal(a, &arg);
    row->items =
        arena_grow(a, row->items, sizeof arg * (size_t) row->n, sizeof arg * (size_t) (row->n + 1));
    row->items[row->n++] = arg;
    return true;
}

const char *args_parse(struct arena *a, const char *p, struct statement_args *out, const char **why)
{
    const char *start = p, *from;
    int depth = 0;

    out->items = NULL;
    out->n = 0;
    p += strspn(p, " \t");
    if (*p != '(') {
        *why = "arguments don't start with a parenthesis";
        return NULL;
    }
    for (from = ++p; *p;) {
        const char *past = skip_opaque(start, p);

        if (!past)
            break;
        if (past != p) {
            p = past;
            continue;
        }
        if (depth == 0 && (*p == ')' || *p == ',')) {
            bool empty_row = *p == ')' && out->n == 0 && from + strspn(from, " \t") == p;
            if (!empty_row && !add_arg(a, out, from, p)) {
                *why = "an argument is empty";
                return NULL;
            }
            from = p + 1;
            if (*p++ == ',')
                continue;
            p += strspn(p, " \t");
            if (*p == '\0')
                return p;
            if (*p == ',' && p[1 + strspn(p + 1, " \t")] == '(')
                return p + 1 + strspn(p + 1, " \t");
            *why = "something follows the closing parenthesis";
            return NULL;
        }
        depth += (*p == '(' || *p == '[') - (*p == ')' || *p == ']');
        p++;
    }
    *why = "the parenthesis, or a text in it, isn't closed";
    return NULL;
}

/* ---- parameters ------------------------------------------------------------------------------------------ */

struct rewrite {
    struct arena *arena;
    struct statement *statement;
    struct str out;
    const char *why;
};

static int param_named(struct rewrite *w, const char *name, size_t n)
{
    struct statement *s = w->statement;

    for (int i = 0; i < s->n_params; i++)
        if (name && s->param_names[i] && strlen(s->param_names[i]) == n &&
            memcmp(s->param_names[i], name, n) == 0)
            return i + 1;
    if (s->n_params == PARAMS_MAX) {
        w->why = "too many parameters";
        return 0;
    }
    s->param_names = arena_grow(w->arena, s->param_names, sizeof(char *) * (size_t) s->n_params,
                                sizeof(char *) * (size_t) (s->n_params + 1));
    s->param_names[s->n_params] = name ? arena_strndup(w->arena, name, n) : NULL;
    return ++s->n_params;
}

static size_t word_length(const char *p)
{
    size_t n = 0;

    while (is_word(p[n]))
        n++;
    return n;
}

/* $3: the number counts; names stay empty. */
static const char *read_dollar(struct rewrite *w, const char *p)
{
    char *end = NULL;

    if (*p != '$' || !isdigit((unsigned char) p[1]))
        return p;
    long number = strtol(p + 1, &end, 10);
    if (number < 1 || number > PARAMS_MAX) {
        w->why = "a parameter's number is not between 1 and 1000";
        return NULL;
    }
    while (w->statement->n_params < number && param_named(w, NULL, 0) > 0)
        ;
    str_addn(&w->out, p, (size_t) (end - p));
    return end;
}

/* :name, but not ::type, := or an array slice [1:2] */
static const char *read_colon(struct rewrite *w, const char *start, const char *p)
{
    if (*p != ':' || (p > start && (p[-1] == ':' || is_word(p[-1]))) ||
        isdigit((unsigned char) p[1]) || !is_word(p[1]))
        return p;
    size_t n = word_length(p + 1);
    str_addf(&w->out, "$%d", param_named(w, p + 1, n));
    return p + 1 + n;
}

/* ?, and ?? for the operator itself */
static const char *read_question(struct rewrite *w, const char *p)
{
    if (*p != '?')
        return p;
    if (p[1] == '?') {
        str_addc(&w->out, '?');
        return p + 2;
    }
    if (p[1] == '|' || p[1] == '&') {
        w->why = "write the operators ? ?| ?& as ?? ??| ??& where ? is a parameter";
        return NULL;
    }
    str_addf(&w->out, "$%d", param_named(w, NULL, 0));
    return p + 1;
}

/* %s, %(name)s, and %% for the operator itself */
static const char *read_percent(struct rewrite *w, const char *p)
{
    if (*p != '%')
        return p;
    if (p[1] == '%') {
        str_addc(&w->out, '%');
        return p + 2;
    }
    if (p[1] == 's') {
        str_addf(&w->out, "$%d", param_named(w, NULL, 0));
        return p + 2;
    }
    size_t n = p[1] == '(' ? word_length(p + 2) : 0;
    if (n == 0 || p[2 + n] != ')' || p[3 + n] != 's') {
        w->why = "a single % is neither %s nor %(name)s; the operator is written %%";
        return NULL;
    }
    str_addf(&w->out, "$%d", param_named(w, p + 2, n));
    return p + 4 + n;
}

static const char *read_param(struct rewrite *w, enum param_style style, const char *start,
                              const char *p)
{
    switch (style) {
    case PARAMS_COLON: return read_colon(w, start, p);
    case PARAMS_QUESTION: return read_question(w, p);
    case PARAMS_PERCENT: return read_percent(w, p);
    case PARAMS_DOLLAR: break;
    }
    return read_dollar(w, p);
}

/* The place of the semicolon that ends the statement. */
static bool find_end(struct arena *a, struct statement *s, const char **why)
{
    const char *semicolon = NULL;

    for (const char *p = s->sql; *p;) {
        const char *past = skip_opaque(s->sql, p);

        if (!past) {
            *why = "a text, a quoted name or a comment isn't closed";
            return false;
        }
        if (past != p) {
            p = past;
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
    while (semicolon && semicolon > s->sql && isspace((unsigned char) semicolon[-1]))
        semicolon--;
    if (semicolon)
        s->sql = arena_strndup(a, s->sql, (size_t) (semicolon - s->sql));
    return true;
}

static bool is_empty(const char *sql)
{
    for (const char *p = sql; *p; p++) {
        if ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*')) {
            p = skip_opaque(sql, p) - 1;
            continue;
        }
        if (!isspace((unsigned char) *p))
            return false;
    }
    return true;
}

bool sql_prepare(struct arena *a, struct statement *s, enum param_style style, const char **why)
{
    struct rewrite w = {.arena = a, .statement = s};

    if (!find_end(a, s, why))
        return false;
    if (is_empty(s->sql)) {
        *why = "it has no SQL";
        return false;
    }
    for (const char *p = s->sql; !w.why && *p;) {
        const char *past = skip_opaque(s->sql, p); /* not NULL: find_end has seen it all */
        if (past != p) {
            str_addn(&w.out, p, (size_t) (past - p));
            p = past;
            continue;
        }
        past = read_param(&w, style, s->sql, p);
        if (past == p)
            str_addc(&w.out, *p++);
        else
            p = past;
    }
    s->dollar_sql = arena_strdup(a, str_text(&w.out));
    str_free(&w.out);
    *why = w.why;
    return !w.why;
}
