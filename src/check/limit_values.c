/* Values at the limits of what a statement may be given. */
#include "check/changed.h"
#include "check/limits.h"
#include "check/types.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>

#define SHORT_TEXT 300
#define MANY 1000 /* items of an array */
#define KEYS 8    /* of a document */
#define LABELS 12
#define CHECKED 24 /* values that checks of the other side name */
#define OWN 16
#define NAMED 6 /* of those that a text names */

/* Those that are tried, each once. */
struct values {
    const char **items; /* [LIMIT_VALUES]; NULL entries are SQL NULL */
    int n;
};

static void put(struct values *out, const char *value)
{
    for (int i = 0; i < out->n; i++)
        if (out->items[i] == value || (value && out->items[i] && strcmp(out->items[i], value) == 0))
            return;
    if (out->n < LIMIT_VALUES)
        out->items[out->n++] = value;
}

/* As many digits as the column has room for; without a limit more than any other number has. */
static const char *numeric_limit(struct proof *p, int typmod)
{
    int digits = typmod < 4 ? 40 : ((typmod - 4) >> 16) & 0xffff,
        scale = typmod < 4 ? 0 : (typmod - 4) & 0x7ff;
    char *text = arena_alloc(p->scratch, (size_t) digits + 3);

    if (scale > digits)
        return "0";
    memset(text, '9', (size_t) (digits - scale));
    if (scale == 0)
        return text;
    text[digits - scale] = '.';
    memset(text + (digits - scale) + 1, '9', (size_t) scale);
    return text;
}

/* All of them end alike: a shorter one is the end of the longest. */
const char *limit_text(struct proof *p, int length)
{
    if (!p->longest || length > p->n_longest) {
        char *text = arena_alloc(p->a, (size_t) length + 1);

        memset(text, 'y', (size_t) length);
        p->longest = text;
        p->n_longest = length;
    }
    return p->longest + (p->n_longest - length);
}

/* ---- whatever is restricted ------------------------------------------------------------------------------ */

static void put_usual(struct proof *p, const struct limits *l, const struct cat_relation *r,
                      const struct cat_column *c, struct values *out)
{
    static const char *const numbers[] = {"0",          "-1",     "32767",  "-32768",
                                          "2147483647", "987654", "-98765", NULL};
    const struct seed *s = seed_of(p, r->oid);
    const struct cat_enum *e = cat_enum_of(&p->now, c->base);

    put(out, NULL);
    if (s && seed_value(s, c->name))
        put(out, seed_value(s, c->name));
    for (int i = 0; e && i < e->n_labels && i < LABELS; i++)
        put(out, e->labels[i]);
    if (c->category == 'S') {
        put(out, "");
        put(out, limit_text(p, c->typmod > 4 ? c->typmod - 4 : l->longest));
    }
    for (int i = 0; c->category == 'N' && numbers[i]; i++)
        put(out, numbers[i]);
    if (c->base == T_INT8)
        put(out, "9223372036854775807");
    if (c->base == T_NUMERIC)
        put(out, numeric_limit(p, c->typmod));
    if (c->base == T_DATE || c->base == T_TIMESTAMP || c->base == T_TIMESTAMPTZ) {
        put(out, "1900-01-01");
        put(out, "9999-12-31");
    }
    if (c->category == 'B') {
        put(out, "true");
        put(out, "false");
    }
}

/* Of a trigger: what the checks of the other side say no to, which the column itself knows nothing of. */
static void put_through(struct proof *p, const struct plan *sync, const struct cat_relation *r,
                        struct values *out)
{
    for (int i = 0; sync && i < sync->sync.forward.n; i++) {
        const struct cat_column *c = cat_column(r, sync->sync.forward.items[i].key.s);
        const char *v = NULL;

        for (int k = 0; c && k < CHECKED && (v = value_from_checks(p->scratch, r, c, k)); k++)
            put(out, v);
    }
}

/* What the column's own checks let in, or name: a narrower one may not. */
static void put_own(struct proof *p, const struct cat_relation *r, const struct cat_column *c,
                    struct values *out)
{
    const char *v = NULL;

    for (int k = 0; k < OWN && (v = value_from_checks(p->scratch, r, c, k)); k++)
        put(out, v);
}

/* ---- where it goes by what a value is -------------------------------------------------------------------- */

/* Around each number that is named, on both sides of zero. */
static void put_numbers(struct proof *p, const struct limits *l, struct values *out)
{
    for (int i = 0; i < l->said.numbers.n && i < NAMED; i++) {
        char *end;
        long long n = strtoll(l->said.numbers.items[i].s, &end, 10);

        if (*end == '.')
            put(out, l->said.numbers.items[i].s);
        else if (*end)
            continue;
        if (n > LLONG_MAX / 2)
            continue;
        for (long long k = n - 1; k <= n + 1; k++)
            put(out, arena_printf(p->scratch, "%lld", k));
        put(out, arena_printf(p->scratch, "-%lld", n + 1));
    }
}

static void put_strings(const struct limits *l, struct values *out)
{
    for (int i = 0; i < l->said.strings.n && i < NAMED; i++)
        put(out, l->said.strings.items[i].s);
}

/* What the column takes already, in other letters, with blanks, longer, with what is named: it may meet its checks still. */
static void put_like(struct proof *p, const struct limits *l, const char *value, struct values *out)
{
    char *upper = arena_strdup(p->scratch, value);

    for (char *c = upper; *c; c++)
        *c = (char) toupper((unsigned char) *c);
    put(out, upper);
    put(out, arena_printf(p->scratch, "%sY", value));
    put(out, arena_printf(p->scratch, "Y%s", value));
    put(out, arena_printf(p->scratch, " %s ", value));
    put(out, arena_printf(p->scratch, "%s%s", value, limit_text(p, l->longest)));
    for (int i = 0; i < l->said.strings.n && i < NAMED; i++) {
        const char *part = l->said.strings.items[i].s + strspn(l->said.strings.items[i].s, "%_");
        put(out, arena_printf(p->scratch, "%s%.*s", value, (int) strcspn(part, "%_"), part));
    }
}

/* As long as each number that is named, and a little off; what functions of text make something else of. */
static void put_texts(struct proof *p, const struct limits *l, const struct cat_relation *r,
                      const struct cat_column *c, struct values *out)
{
    static const char *const odd[] = {" y ", "Y", "y y", "y\n", "\xc3\xa9", "0", "y@y.yy", NULL};
    const struct seed *s = seed_of(p, r->oid);
    const char *had = s ? seed_value(s, c->name) : NULL,
               *taken = value_from_checks(p->scratch, r, c, 0);

    put_strings(l, out);
    if (had)
        put_like(p, l, had, out);
    if (taken)
        put_like(p, l, taken, out);
    for (int i = 0; odd[i]; i++)
        put(out, odd[i]);
    for (int i = 0; i < l->said.numbers.n && i < NAMED; i++) {
        long n = strtol(l->said.numbers.items[i].s, NULL, 10);
        for (long k = n - 1; n > 0 && n < SHORT_TEXT && k <= n + 1; k++)
            put(out, limit_text(p, (int) k));
    }
}

/* So many different items of the type, or as many as are known. */
static const char *array_with(struct proof *p, unsigned element, int n)
{
    AUTO(str) s = {0};

    str_addc(&s, '{');
    for (int i = 0; i < n; i++) {
        const char *v = value_of(p->scratch, &p->now, element, element, -1, i + 1);
        if (!v)
            break;
        str_add(&s, i ? "," : "");
        sql_element(&s, v);
    }
    str_addc(&s, '}');
    return arena_strdup(p->scratch, str_text(&s));
}

const char *limit_array_of(struct proof *p, const char *value)
{
    AUTO(str) s = {0};

    if (!value)
        return "{NULL}";
    str_addc(&s, '{');
    sql_element(&s, value);
    str_addc(&s, '}');
    return arena_strdup(p->scratch, str_text(&s));
}

static void put_arrays(struct proof *p, const struct limits *l, const struct cat_column *c,
                       struct values *out)
{
    put(out, "{}");
    put(out, "{NULL}");
    put(out, array_with(p, c->element, 20));
    for (int i = 0; i < l->said.strings.n && i < NAMED; i++)
        put(out, limit_array_of(p, l->said.strings.items[i].s));
    for (int i = 0; i < l->said.numbers.n && i < NAMED; i++) {
        long n = strtol(l->said.numbers.items[i].s, NULL, 10);
        for (long k = n - 1; n > 0 && n < MANY && k <= n + 1; k++) {
            put(out, array_with(p, c->element, (int) k));
            put(out, limit_array_of(p, arena_printf(p->scratch, "%ld", k)));
        }
    }
}

static void add_key(struct str *s, const char *key, const char *value, int *n)
{
    if (*n == KEYS || strpbrk(key, "\"\\{}") || (unsigned char) *key < ' ')
        return;
    str_addf(s, "%s\"%s\": %s", (*n)++ ? ", " : "{", key, value);
}

/* A document with each word that is named as a key. */
static const char *document_of(struct proof *p, const struct limits *l, const char *value)
{
    AUTO(str) s = {0};
    int n = 0;

    for (int i = 0; i < l->said.strings.n; i++)
        add_key(&s, l->said.strings.items[i].s, value, &n);
    for (int i = 0; i < l->said.words.n; i++)
        if (!text_list_has(&l->said.strings, l->said.words.items[i].s))
            add_key(&s, l->said.words.items[i].s, value, &n);
    if (n == 0)
        return "{}";
    str_addc(&s, '}');
    return arena_strdup(p->scratch, str_text(&s));
}

/* What is taken out of a document may be of any kind, and missing, and one step deeper. */
static void put_documents(struct proof *p, const struct limits *l, struct values *out)
{
    static const char *const whole[] = {"{}", "[]", "\"y\"", "null", NULL};
    static const char *const values[] = {"\"y\"",      "\"\"", "-1", "0",
                                         "9876543210", "null", "[]", NULL};

    for (int i = 0; values[i]; i++) {
        const char *inner = document_of(p, l, values[i]);
        put(out, inner);
        put(out, document_of(p, l, inner));
    }
    for (int i = 0; i < l->said.numbers.n && i < 2; i++)
        put(out, document_of(p, l, l->said.numbers.items[i].s));
    for (int i = 0; whole[i]; i++)
        put(out, whole[i]);
}

static void put_named(struct proof *p, const struct limits *l, const struct cat_relation *r,
                      const struct cat_column *c, struct values *out)
{
    if (c->category == 'N')
        put_numbers(p, l, out);
    else if (c->category == 'S')
        put_texts(p, l, r, c, out);
    else if (c->category == 'A')
        put_arrays(p, l, c, out);
    else if (c->base == T_JSON || c->base == T_JSONB)
        put_documents(p, l, out);
    else
        put_strings(l, out);
}

int limit_values(struct proof *p, const struct limits *l, const struct cat_relation *r,
                 const struct cat_column *c, const char **out)
{
    struct values v = {out, 0};

    const char *awkward[AWKWARD_VALUES];
    int n = l->judges ? limit_values_awkward(p, l, c, awkward) : 0;

    if (l->detached && trial_bound_value(p, l->detached, c))
        put(&v, trial_bound_value(p, l->detached, c));
    put_usual(p, l, r, c, &v);
    for (int i = 0; i < n; i++)
        put(&v, awkward[i]);
    if (l->judges) {
        put_own(p, r, c, &v);
        put_named(p, l, r, c, &v);
    }
    put_through(p, l->sync, r, &v);
    return v.n;
}

int limit_values_named(struct proof *p, const struct limits *l, const struct cat_relation *r,
                       const struct cat_column *c, const char **out)
{
    struct values v = {out, 0};

    put(&v, NULL);
    put(&v, c->category == 'B' ? "true" : NULL);
    put(&v, c->category == 'B' ? "false" : NULL);
    if (c->category == 'S')
        put_strings(l, &v);
    else
        put_named(p, l, r, c, &v);
    return v.n;
}

static char category_of(unsigned type)
{
    static const unsigned numbers[] = {T_INT2, T_INT4, T_INT8, T_NUMERIC, T_FLOAT4, T_FLOAT8};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i] == type)
            return 'N';
    if (type == T_DATE || type == T_TIMESTAMP || type == T_TIMESTAMPTZ)
        return 'D';
    return type == T_TEXT || type == T_VARCHAR ? 'S' : type == T_BOOL ? 'B' : 'U';
}

int limit_values_of_type(struct proof *p, const struct limits *l, const struct cat_relation *r,
                         unsigned type, const char **out)
{
    unsigned element = element_of_type(type), base = element ? element : type;
    struct cat_column c = {
        .name = "", .type = base, .base = base, .typmod = -1, .category = category_of(base)};
    int n = limit_values(p, l, r, &c, out);

    for (int i = 0; element && i < n; i++)
        out[i] = limit_array_of(p, out[i]); /* unnest($1): an array of one */
    return n;
}
