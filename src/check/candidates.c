/* Values that a check might take: of the column's own kind, what the checks mention, and what their patterns match. */
#include "check/candidates.h"

#include <ctype.h>
#include <stdlib.h>

#define LENGTH_MAX 300
#define CANDIDATES_MAX 400

static void add(struct arena *a, struct candidates *l, const char *value)
{
    for (int i = 0; value && i < l->n; i++)
        if (l->items[i] && strcmp(l->items[i], value) == 0)
            return;
    if (!value || l->n == CANDIDATES_MAX)
        return;
    l->items = arena_grow(a, l->items, sizeof *l->items * (size_t) l->n,
                          sizeof *l->items * (size_t) (l->n + 1));
    l->items[l->n++] = value;
}

static void add_null(struct arena *a, struct candidates *l)
{
    l->items = arena_grow(a, l->items, sizeof *l->items * (size_t) l->n,
                          sizeof *l->items * (size_t) (l->n + 1));
    l->items[l->n++] = NULL;
}

/* ---- by kind ----------------------------------------------------------------------------------------------- */

static void add_all(struct arena *a, struct candidates *l, const char *const *all)
{
    for (; *all; all++)
        add(a, l, *all);
}

static void add_of_kind(struct arena *a, const struct cat_column *c, struct candidates *l)
{
    static const char *const texts[] = {"a@example.com",
                                        "b@example.com",
                                        "https://example.com/a",
                                        "ABC",
                                        "abc",
                                        "A",
                                        "a",
                                        "1",
                                        "12",
                                        "123",
                                        "12345",
                                        "+15550100001",
                                        "555-0100",
                                        "a-b",
                                        "a_b",
                                        "a.b",
                                        "a/b",
                                        "/a",
                                        "a b",
                                        "A1",
                                        "a:b",
                                        "Abc",
                                        "AB",
                                        "ab",
                                        "en_US",
                                        "en-US",
                                        "#aabbcc",
                                        "example.com",
                                        "10.0.0.1",
                                        "1.2.3",
                                        "00000000-0000-4000-8000-000000000001",
                                        "2026-01-02",
                                        "2026-01-02T12:00:00Z",
                                        "12:00",
                                        "2026-01",
                                        "2026",
                                        "{}",
                                        "[]",
                                        "true",
                                        "Europe/Berlin",
                                        "",
                                        NULL},
                             *const numbers[] = {"0",   "1",    "2",    "3",     "5",   "-1", "10",
                                                 "100", "1000", "2026", "50000", "0.5", NULL},
                             *const days[] = {"1999-12-31", "2000-01-01", "2020-02-29",
                                              "2026-01-31", "2026-12-31", "2030-06-15",
                                              "2099-12-31", "00:00",      "12:00",
                                              "23:59",      NULL},
                             *const spans[] = {"0",      "1 second", "1 minute", "1 hour",
                                               "1 week", "1 month",  "1 year",   NULL},
                             *const arrays[] = {"{}",    "{1}",     "{a}", "{1,2}",
                                                "{a,b}", "{1,2,3}", NULL},
                             *const ranges[] = {"[1,10)", "[2026-01-01,2026-02-01)", "empty",
                                                "[1,)",   "[2026-01-01,)",           NULL},
                             *const others[] = {"{}", "[]",   "{\"a\": 1}", "[1]", "[{}]", "\"a\"",
                                                "1",  "true", "null",       "\\x", NULL},
                             *const truths[] = {"true", "false", NULL};

    switch (c->category) {
    case 'S': add_all(a, l, texts); break;
    case 'N': add_all(a, l, numbers); break;
    case 'D': add_all(a, l, days); break;
    case 'T': add_all(a, l, spans); break;
    case 'A': add_all(a, l, arrays); break;
    case 'R': add_all(a, l, ranges); break;
    case 'B': add_all(a, l, truths); break;
    default: add_all(a, l, others); break;
    }
}

/* ---- from what is written ------------------------------------------------------------------------------------- */

static const char *repeated(struct arena *a, char c, long n)
{
    char *text = arena_alloc(a, (size_t) n + 1);

    memset(text, c, (size_t) n);
    return text;
}

/* A bound, a length, the key of a divisor. */
static void add_number(struct arena *a, const struct cat_column *c, long v, struct candidates *l)
{
    for (long k = v - 1; c->category == 'N' && k <= v + 1; k++)
        add(a, l, arena_printf(a, "%ld", k));
    if (c->category == 'N') {
        add(a, l, arena_printf(a, "%ld", 2 * v));
        add(a, l, arena_printf(a, "%ld", v / 2));
    }
    for (long k = v - 1; c->category == 'S' && k <= v + 1; k++)
        for (const char *s = "aA1"; k >= 0 && k <= LENGTH_MAX && *s; s++)
            add(a, l, repeated(a, *s, k));
}

static void add_quoted(struct arena *a, const struct cat_column *c, const char *value, int variant,
                       struct candidates *l)
{
    add(a, l, value);
    if (c->category == 'A') {
        add(a, l, arena_printf(a, "{%s}", value));
    } else if (c->category == 'U') {
        add(a, l, arena_printf(a, "{\"%s\": \"a\"}", value));
        add(a, l, arena_printf(a, "{\"%s\": 1}", value));
        add(a, l, arena_printf(a, "[\"%s\"]", value));
    }
    for (int v = variant; c->category == 'S' && v < variant + 2; v++)
        for (int more = 0; more < 4; more++) {
            add(a, l, pattern_match(a, value, v, more));
            add(a, l, like_match(a, value, v, more));
        }
    if (c->category == 'S') { /* a text that has it in it: position('@' in c) */
        add(a, l, arena_printf(a, "a%sb%d", value, variant));
        add(a, l, arena_printf(a, "%sa%d", value, variant));
        add(a, l, arena_printf(a, "a%d%s", variant, value));
    }
}

/* Past the constant or the name that begins at s. */
static const char *add_constant(struct arena *a, const struct cat_column *c, const char *s,
                                int variant, struct candidates *l, struct str *keys)
{
    if (*s == '"') {
        for (s++; *s && *s != '"'; s++)
            continue;
        return *s ? s + 1 : s;
    }
    if (*s == '\'') {
        AUTO(str) value = {0};
        for (s++; *s && (*s != '\'' || s[1] == '\''); s++) {
            s += *s == '\'';
            str_addc(&value, *s);
        }
        add_quoted(a, c, arena_strdup(a, str_text(&value)), variant, l);
        str_addf(keys, "%s\"%s\": 1", keys->len ? ", " : "", str_text(&value));
        return *s ? s + 1 : s;
    }
    if (isdigit((unsigned char) *s)) {
        char *end;
        long v = strtol(s, &end, 10);
        if (v < 1000000000000)
            add_number(a, c, v, l);
        if (*end == '.') {
            double d = strtod(s, &end);
            add(a, l, arena_printf(a, "%.10g", d));
        }
        return end;
    }
    while (isalnum((unsigned char) *s) || *s == '_')
        s++;
    return s;
}

static void add_from(struct arena *a, const struct cat_column *c, const char *text, int variant,
                     struct candidates *l)
{
    AUTO(str) keys = {0};

    for (const char *s = text; s && *s;)
        s = *s == '\'' || *s == '"' || *s == '_' || isalnum((unsigned char) *s)
                ? add_constant(a, c, s, variant, l, &keys)
                : s + 1;
    if (c->category == 'U' && keys.len)
        add(a, l, arena_printf(a, "{%s}", str_text(&keys)));
}

/* ---- all of them --------------------------------------------------------------------------------------------------- */

void candidates_of(struct arena *a, const struct catalogue *catalogue, const struct cat_relation *r,
                   const struct cat_column *c, const char *own, int variant, struct candidates *out)
{
    const struct cat_enum *e = cat_enum_of(catalogue, c->base);

    if (!own && !c->not_null)
        add_null(a, out);
    add(a, out, own);
    for (int v = 0; v < 3; v++)
        add(a, out, value_of(a, catalogue, c->type, c->base, c->typmod, variant + v));
    if (own && !c->not_null)
        add_null(a, out);
    for (int i = 0; e && i < e->n_labels; i++)
        add(a, out, arena_strdup(a, e->labels[i]));
    add_from(a, c, c->domain_checks, variant, out);
    for (int i = 0; i < r->n_checks; i++)
        for (int k = 0; k < r->constraints[i].n_columns; k++)
            if (r->constraints[i].type == 'c' && r->constraints[i].columns[k] == c->number)
                add_from(a, c, r->constraints[i].definition, variant, out);
    add_from(a, c, c->fallback, variant, out);
    add_of_kind(a, c, out);
}
