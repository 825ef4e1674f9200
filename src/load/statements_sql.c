/* statements_sql: the little of SQL's surface that headers and parameters need. Statements in the styles colon,
 * question and percent can't be parsed by a server's grammar before they are rewritten, so texts,
 * quoted names and comments are stepped over here; what the rest means isn't asked. */
#include "load/statements_sql.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool sql_is_word(char c)
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

    while (sql_is_word(*tag_end))
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

const char *sql_skip_opaque(const char *start, const char *p)
{
    bool after_word = p > start && sql_is_word(p[-1]);

    if (*p == '\'') {
        bool escapes =
            p > start && (p[-1] == 'e' || p[-1] == 'E') && (p - 1 == start || !sql_is_word(p[-2]));
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
        const char *past = sql_skip_opaque(start, p);

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

/* ---- lists of types ---------------------------------------------------------------------------------- */

bool types_parse(struct arena *a, const char *p, struct text_list *out)
{
    const char *start = p, *from = p;
    int depth = 0;

    for (;; p++) {
        const char *past = *p ? sql_skip_opaque(start, p) : p;

        if (!past)
            return false;
        if (past != p) {
            p = past - 1;
            continue;
        }
        depth += (*p == '(' || *p == '[') - (*p == ')' || *p == ']');
        if (depth < 0 || (*p == '\0' && depth > 0))
            return false;
        if (*p && (*p != ',' || depth > 0))
            continue;
        const char *to = p;
        while (from < to && isspace((unsigned char) *from))
            from++;
        while (to > from && isspace((unsigned char) to[-1]))
            to--;
        if (from == to)
            return false;
        out->items = arena_grow(a, out->items, sizeof *out->items * (size_t) out->n,
                                sizeof *out->items * (size_t) (out->n + 1));
        out->items[out->n++] = (struct text) {.s = arena_strndup(a, from, (size_t) (to - from))};
        if (!*p)
            return true;
        from = p + 1;
    }
}
