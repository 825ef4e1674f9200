#include "load/canon.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Checksums of thousands of plans are made of these few bytes at a time: no format, no call where the
 * room is there. The text isn't NUL-terminated. */
static inline void put(struct str *out, const char *s, size_t n)
{
    if (out->cap - out->len <= n) {
        str_addn(out, s, n);
        return;
    }
    memcpy(out->text + out->len, s, n);
    out->len += n;
}

static inline void put_char(struct str *out, char c) { put(out, &c, 1); }

static void add_number(struct str *out, char type, int64_t v, char end)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = v < 0 ? 0 - (uint64_t) v : (uint64_t) v;

    digits[--at] = end;
    do
        digits[--at] = (char) ('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        digits[--at] = '-';
    if (type)
        digits[--at] = type;
    put(out, digits + at, sizeof digits - at);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* White space around a text is a matter of how it was written: `|` ends with a newline, quotes don't. */
static void add_bytes(struct str *out, const char *s)
{
    while (is_blank(*s))
        s++;
    size_t n = strlen(s);
    while (n > 0 && is_blank(s[n - 1]))
        n--;
    add_number(out, 0, (int64_t) n, ':');
    put(out, s, n);
}

void canon_add_text(struct str *out, const char *key, const char *text)
{
    add_bytes(out, key);
    put_char(out, 't');
    add_bytes(out, text ? text : "");
}

static const char *name_of(const void *item)
{
    const struct text *name = item;
    return name->s ? name->s : "";
}

static int by_name(const void *a, const void *b)
{
    return strcmp(name_of(*(void *const *) a), name_of(*(void *const *) b));
}

#define FEW 16
struct order {
    const void *few[FEW], **items; /* items points at few, or into memory of its own */
    struct arena arena;
};
static void order_auto(struct order *o) { arena_free(&o->arena); }

/* Elements that start with a struct text, in the order of it. */
static void order_by_name(struct order *o, const void *items, int n, size_t size)
{
    o->items = n <= FEW ? o->few : arena_array(&o->arena, const void *, n);
    for (int i = 0; i < n; i++)
        o->items[i] = (const char *) items + (size_t) i * size;
    if (n > 1)
        qsort(o->items, (size_t) n, sizeof *o->items, by_name);
}

static void add_texts(struct str *out, const struct text_list *l, bool sorted)
{
    AUTO(order) order = {.arena = {0}};

    if (sorted)
        order_by_name(&order, l->items, l->n, sizeof *l->items);

    add_number(out, 'l', l->n, ':');
    for (int i = 0; i < l->n; i++) {
        const struct text *text = sorted ? order.items[i] : &l->items[i];
        add_bytes(out, text->s ? text->s : "");
    }
}

static void add_pairs(struct str *out, const struct pair_list *l)
{
    AUTO(order) order = {.arena = {0}};

    order_by_name(&order, l->items, l->n, sizeof *l->items);

    add_number(out, 'p', l->n, ':');
    for (int i = 0; i < l->n; i++) {
        const struct pair *pair = order.items[i];
        add_bytes(out, pair->key.s ? pair->key.s : "");
        add_bytes(out, pair->value.s ? pair->value.s : "");
    }
}

static void add_items(struct str *out, const struct field *f, const char *base, bool only_runs)
{
    AUTO(order) order = {.arena = {0}};
    const struct table *t = f->arg;
    const char *items = *(const char *const *) (const void *) (base + f->offset);
    int n = *(const int *) (const void *) (base + f->offset2);
    bool sorted = f->stored == FT_NAMED;

    if (sorted)
        order_by_name(&order, items, n, t->size);
    add_number(out, 'a', n, ':');
    for (int i = 0; i < n; i++) {
        put_char(out, '{');
        canon_add(out, t, sorted ? order.items[i] : items + (size_t) i * t->size, only_runs);
        put_char(out, '}');
    }
}

static bool is_stated(const struct field *f, const char *base)
{
    const void *at = base + f->offset;

    switch (f->stored) {
    case FT_TEXT:
    case FT_TABLEREF: return ((const struct text *) at)->s != NULL;
    case FT_BOOL:
    case FT_BOOLWORD: return *(const bool *) at;
    case FT_BOOL64:
    case FT_INT:
    case FT_MS:
    case FT_MS_OR_0:
    case FT_BYTES: return *(const int64_t *) at != f->dflt;
    case FT_INT32: return *(const int *) at != (int) f->dflt;
    case FT_PERCENT: return *(const double *) at > 0;
    case FT_COND: return ((const struct cond *) at)->op != COND_NONE;
    case FT_ENUM: return *(const unsigned *) at != 0;
    case FT_TEXTS:
    case FT_TEXTS1: return ((const struct text_list *) at)->n > 0;
    case FT_PAIRS:
    case FT_RAWPAIRS: return ((const struct pair_list *) at)->n > 0;
    case FT_ITEMS:
    case FT_NAMED: return *(const int *) (const void *) (base + f->offset2) > 0;
    case FT_MAP: return true;
    default: return false;
    }
}

static void add_value(struct str *out, const struct field *f, const char *base, bool only_runs)
{
    const void *at = base + f->offset;

    switch (f->stored) {
    case FT_TEXT:
        put_char(out, 't');
        add_bytes(out, ((const struct text *) at)->s);
        break;
    case FT_TABLEREF: {
        const struct text *schema = (const void *) (base + f->offset2);
        put_char(out, 'n');
        add_bytes(out, schema->s ? schema->s : "");
        add_bytes(out, ((const struct text *) at)->s);
        break;
    }
    case FT_BOOL:
    case FT_BOOLWORD: put(out, "b1", 2); break;
    case FT_INT32: add_number(out, 'i', *(const int *) at, ';'); break;
    case FT_PERCENT:
        add_number(out, 'd', (int64_t) (*(const double *) at * 1e9 + 0.5),
                   ';'); /* it has nine decimals at most */
        break;
    case FT_COND:
        add_number(out, 'c', (int64_t) ((const struct cond *) at)->op, ';');
        add_bytes(out, ((const struct cond *) at)->value ? ((const struct cond *) at)->value : "");
        break;
    case FT_ENUM: add_number(out, 'i', *(const unsigned *) at, ';'); break;
    case FT_TEXTS:
    case FT_TEXTS1:
        add_texts(out, at, f->type == FT_WITH); /* from a mapping, whose order says nothing */
        break;
    case FT_PAIRS:
    case FT_RAWPAIRS: add_pairs(out, at); break;
    case FT_ITEMS:
    case FT_NAMED: add_items(out, f, base, only_runs); break;
    default: add_number(out, 'i', *(const int64_t *) at, ';'); break;
    }
}

void canon_add(struct str *out, const struct table *t, const void *base, bool only_runs)
{
    for (int i = 0; i < t->n; i++) {
        const struct field *f = &t->rows[i];

        if ((only_runs && !f->runs) || f->signed_apart || !is_stated(f, base))
            continue;
        size_t before = out->len;
        if (f->key) {
            put(out, f->key, f->len);
            put_char(out, '=');
        } else {
            add_number(out, '#', i, '=');
        }
        if (f->stored != FT_MAP) {
            add_value(out, f, base, only_runs);
            continue;
        }
        put_char(out, '{');
        size_t empty = out->len;
        canon_add(out, f->arg, (const char *) base + f->offset, only_runs);
        put_char(out, '}');
        if (out->len == empty + 1) /* says nothing: as if it weren't there */
            out->len = before;
    }
}
