/* What a text names: by such values a restriction tells rows apart. */
#include "load/sql_scan.h"
#include "phasegate/load.h"

#include <ctype.h>
#include <string.h>

enum { DEPTH_MAX = 4 }; /* a body in a DO block in a function: deeper ones say nothing new */

static void add(struct arena *a, struct text_list *l, const char *s)
{
    if (!*s || text_list_has(l, s))
        return;
    l->items = arena_grow(a, l->items, sizeof *l->items * (size_t) l->n,
                          sizeof *l->items * (size_t) (l->n + 1));
    l->items[l->n++] = (struct text) {.s = s};
}

/* A literal without its quotes. */
static const char *unquoted(struct arena *a, const char *s, size_t n)
{
    char *out;
    size_t len = 0;

    if (*s == '$') {
        size_t tag = (size_t) ((const char *) memchr(s + 1, '$', n - 1) + 1 - s);
        return n >= 2 * tag ? arena_strndup(a, s + tag, n - 2 * tag) : "";
    }
    bool escapes = *s != '\'';
    out = arena_alloc(a, n + 1);
    for (size_t i = escapes ? 2 : 1; i + 1 < n; i++) {
        if (s[i] == '\'' || (escapes && s[i] == '\\'))
            i++;
        out[len++] = s[i];
    }
    out[len] = '\0';
    return out;
}

static const char *folded(struct arena *a, const char *s, size_t n)
{
    char *name;

    if (*s == '"')
        return n > 2 ? arena_strndup(a, s + 1, n - 2) : "";
    name = arena_strndup(a, s, n);
    for (char *c = name; *c; c++)
        *c = (char) tolower((unsigned char) *c);
    return name;
}

static void add_words(struct arena *a, const char *s, struct text_list *out)
{
    for (const char *end; *s; s = end) {
        for (end = s; isalnum((unsigned char) *end) || *end == '_';)
            end++;
        if (end > s && !isdigit((unsigned char) *s))
            add(a, out, arena_strndup(a, s, (size_t) (end - s)));
        end += end == s;
    }
}

static void read(struct arena *a, const char *sql, int depth, struct sql_mentions *out)
{
    struct sql_scanner s = {sql, 0};
    enum sql_token token;
    size_t from, to;

    while ((token = sql_scan(&s, &from, &to)) != SQL_TOKEN_END) {
        const char *at = sql + from;

        if (token == SQL_TOKEN_NAME) {
            add(a, &out->names, folded(a, at, to - from));
        } else if (token == SQL_TOKEN_STRING) {
            const char *text = unquoted(a, at, to - from);
            if (strlen(text) <= MENTION_LONGEST && !strchr(text, '\n')) {
                add(a, &out->strings, text);
                add_words(a, text, &out->words);
            }
            if (depth < DEPTH_MAX)
                read(a, text, depth + 1, out);
        } else if (token == SQL_TOKEN_OTHER && isdigit((unsigned char) *at)) {
            add(a, &out->numbers, arena_strndup(a, at, to - from));
        }
    }
}

void sql_mentions_add(struct arena *a, const char *sql, struct sql_mentions *out)
{
    read(a, sql, 0, out);
}
