/* Values at the limits of what a statement may be given. */
#include "check/limits.h"
#include "check/types.h"

#include <ctype.h>
#include <stdlib.h>

#define VALUES_MAX 14
#define THROUGH_MAX (LIMIT_VALUES - VALUES_MAX - 8)
#define LONG_TEXT 300
#define LONGEST_TEXT 20000

/* As many digits as the column has room for; without a limit more than any other number has. */
static const char *numeric_limit(struct proof *p, int typmod)
{
    int digits = typmod < 4 ? 40 : ((typmod - 4) >> 16) & 0xffff,
        scale = typmod < 4 ? 0 : (typmod - 4) & 0x7ff;
    char *text = arena_alloc(p->a, (size_t) digits + 3);

    if (scale > digits)
        return "0";
    memset(text, '9', (size_t) (digits - scale));
    if (scale == 0)
        return text;
    text[digits - scale] = '.';
    memset(text + (digits - scale) + 1, '9', (size_t) scale);
    return text;
}

const char *limit_text(struct proof *p, int length)
{
    char *text = arena_alloc(p->a, (size_t) length + 1);

    memset(text, 'y', (size_t) length);
    return text;
}

/* A text that is longer than any number that is mentioned, as lengths are. */
static int longest_in(const char *text, int longest)
{
    for (const char *s = text; s && *s;) {
        char *end;

        if (!isdigit((unsigned char) *s)) {
            s++;
            continue;
        }
        long n = strtol(s, &end, 10);
        if (n >= longest && n <= LONGEST_TEXT)
            longest = (int) n + 1;
        s = end;
    }
    return longest;
}

/* Longer than what the step takes, or the other side of the trigger. */
int limit_longest(const struct proof *p, int state)
{
    const struct task *t = p->t.states[state].task;
    const struct plan *sync = sync_begins(p, state);
    int longest = LONG_TEXT;

    for (int i = 0; t->step && i < t->step->n_stmts; i++)
        longest = longest_in(t->step->stmts[i].sql, longest);
    for (int i = 0; sync && i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        for (int c = 0; sync_is_of(sync, r) && c < r->n_columns; c++)
            if (sync_target(sync, r->columns[c].name))
                longest = longest_in(r->columns[c].type_text, longest);
        for (int k = 0; sync_is_of(sync, r) && k < r->n_constraints; k++)
            longest = longest_in(r->constraints[k].definition, longest);
    }
    return longest;
}

static int values_for(struct proof *p, const struct cat_relation *r, const struct cat_column *c,
                      int longest, const char **out)
{
    static const char *const numbers[] = {"0",          "-1",     "32767",  "-32768",
                                          "2147483647", "987654", "-98765", NULL};
    const struct seed *s = seed_of(p, r->oid);
    const struct cat_enum *e = cat_enum_of(&p->now, c->base);
    int n = 0;

    out[n++] = NULL;
    if (s && seed_value(s, c->name))
        out[n++] = seed_value(s, c->name);
    for (int i = 0; e && i < e->n_labels && n < VALUES_MAX; i++)
        out[n++] = e->labels[i];
    if (c->category == 'S') {
        out[n++] = "";
        out[n++] = limit_text(p, c->typmod > 4 ? c->typmod - 4 : longest);
    }
    for (int i = 0; c->category == 'N' && numbers[i]; i++)
        out[n++] = numbers[i];
    if (c->base == T_INT8)
        out[n++] = "9223372036854775807";
    if (c->base == T_NUMERIC)
        out[n++] = numeric_limit(p, c->typmod);
    if (c->base == T_DATE || c->base == T_TIMESTAMP || c->base == T_TIMESTAMPTZ) {
        out[n++] = "1900-01-01";
        out[n++] = "9999-12-31";
    }
    if (c->category == 'B') {
        out[n++] = "true";
        out[n++] = "false";
    }
    return n;
}

/* Of a trigger: what the checks of the other side say no to, which the column itself knows nothing of. */
static int values_through(struct proof *p, const struct plan *sync, const struct cat_relation *r,
                          const char **out, int n)
{
    for (int i = 0; sync && i < sync->sync.forward.n; i++) {
        const struct cat_column *c = cat_column(r, sync->sync.forward.items[i].key.s);
        const char *v = NULL;

        for (int k = 0; c && n < THROUGH_MAX && (v = value_from_checks(p->a, r, c, k)); k++)
            out[n++] = v;
    }
    return n;
}

/* A document with each word that an expression has between quotes as a key. */
static const char *document_of(struct proof *p, const char *expr, const char *value)
{
    AUTO(str) s = {0};

    for (const char *open = strchr(expr, '\''); open;) {
        const char *close = strchr(open + 1, '\'');
        if (!close)
            break;
        if (!memchr(open, '"', (size_t) (close - open)) &&
            !memchr(open, '\\', (size_t) (close - open)))
            str_addf(&s, "%s\"%.*s\": %s", s.len ? ", " : "{", (int) (close - open - 1), open + 1,
                     value);
        open = strchr(close + 1, '\'');
    }
    if (!s.len)
        return "{}";
    str_add(&s, "}");
    return arena_strdup(p->a, str_text(&s));
}

/* What the expressions of a trigger take out of a document may be of any kind, and missing. */
static int documents_through(struct proof *p, const struct plan *sync, const char **out, int n)
{
    static const char *const values[] = {"\"y\"", "\"\"", "-1", "9876543210", "null", "[]"};

    for (int i = 0; i < sync->sync.forward.n; i++)
        for (size_t k = 0; k < sizeof values / sizeof *values && n < THROUGH_MAX; k++)
            out[n++] = document_of(p, sync->sync.forward.items[i].value.s, values[k]);
    if (n < THROUGH_MAX)
        out[n++] = "{}";
    return n;
}

int limit_values(struct proof *p, const struct plan *sync, const struct cat_relation *r,
                 const struct cat_column *c, int longest, const char **out)
{
    int n = values_for(p, r, c, longest, out);

    if (sync && (c->base == T_JSON || c->base == T_JSONB))
        n = documents_through(p, sync, out, n);
    return values_through(p, sync, r, out, n);
}

static char category_of(unsigned type)
{
    static const unsigned numbers[] = {T_INT2, T_INT4, T_INT8, T_NUMERIC, T_FLOAT4, T_FLOAT8};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i] == type)
            return 'N';
    return type == T_TEXT || type == T_VARCHAR ? 'S' : type == T_BOOL ? 'B' : 'U';
}

/* Of an array its elements; 0: it isn't one that is known. */
static unsigned element_of(unsigned type)
{
    static const unsigned known[][2] = {{T_INT2S, T_INT2},       {T_INT4S, T_INT4},
                                        {T_INT8S, T_INT8},       {T_TEXTS, T_TEXT},
                                        {T_VARCHARS, T_VARCHAR}, {T_NUMERICS, T_NUMERIC}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i][0] == type)
            return known[i][1];
    return 0;
}

/* unnest($1): an array of one. */
static const char *array_of(struct proof *p, const char *value)
{
    AUTO(str) s = {0};

    if (!value)
        return "{NULL}";
    str_addc(&s, '{');
    sql_element(&s, value);
    str_addc(&s, '}');
    return arena_strdup(p->a, str_text(&s));
}

int limit_values_of_type(struct proof *p, const struct plan *sync, const struct cat_relation *r,
                         unsigned type, int longest, const char **out)
{
    unsigned element = element_of(type), base = element ? element : type;
    struct cat_column c = {
        .name = "", .type = base, .base = base, .typmod = -1, .category = category_of(base)};
    int n = limit_values(p, sync, r, &c, longest, out);

    for (int i = 0; element && i < n; i++)
        out[i] = array_of(p, out[i]);
    return n;
}
