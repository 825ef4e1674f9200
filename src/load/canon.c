#include "load/canon.h"

#include <stdlib.h>
#include <string.h>

/* White space around a text is a matter of how it was written: `|` ends with a newline, quotes don't. */
static void add_bytes(struct str *out, const char *s)
{
    s += strspn(s, " \t\r\n");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r\n", s[n - 1]))
        n--;
    str_addf(out, "%zu:", n);
    str_addn(out, s, n);
}

void canon_add_text(struct str *out, const char *key, const char *text)
{
    add_bytes(out, key);
    str_addc(out, 't');
    add_bytes(out, text ? text : "");
}

static int by_text(const void *a, const void *b)
{
    const struct text *const *x = a, *const *y = b;
    return strcmp((*x)->s ? (*x)->s : "", (*y)->s ? (*y)->s : "");
}

/* Elements that start with a struct text, in the order of it. */
static const void **sorted_by_name(struct arena *a, const void *items, int n, size_t size)
{
    const void **order = arena_array(a, const void *, n);

    for (int i = 0; i < n; i++)
        order[i] = (const char *) items + (size_t) i * size;
    qsort(order, (size_t) n, sizeof *order, by_text);
    return order;
}

static void add_texts(struct str *out, const struct text_list *l, bool sorted)
{
    AUTO(arena) scratch = {0};
    const void **order = sorted ? sorted_by_name(&scratch, l->items, l->n, sizeof *l->items) : NULL;

    str_addf(out, "l%d:", l->n);
    for (int i = 0; i < l->n; i++) {
        const struct text *text = order ? order[i] : &l->items[i];
        add_bytes(out, text->s ? text->s : "");
    }
}

static void add_pairs(struct str *out, const struct pair_list *l)
{
    AUTO(arena) scratch = {0};
    const void **order = sorted_by_name(&scratch, l->items, l->n, sizeof *l->items);

    str_addf(out, "p%d:", l->n);
    for (int i = 0; i < l->n; i++) {
        const struct pair *pair = order[i];
        add_bytes(out, pair->key.s ? pair->key.s : "");
        add_bytes(out, pair->value.s ? pair->value.s : "");
    }
}

static void add_items(struct str *out, const struct field *f, const char *base, bool only_runs)
{
    AUTO(arena) scratch = {0};
    const struct table *t = f->arg;
    const char *items = *(const char *const *) (const void *) (base + f->offset);
    int n = *(const int *) (const void *) (base + f->offset2);
    const void **order = f->stored == FT_NAMED ? sorted_by_name(&scratch, items, n, t->size) : NULL;

    str_addf(out, "a%d:", n);
    for (int i = 0; i < n; i++) {
        str_addc(out, '{');
        canon_add(out, t, order ? order[i] : items + (size_t) i * t->size, only_runs);
        str_addc(out, '}');
    }
}

static bool is_stated(const struct field *f, const char *base)
{
    const void *at = base + f->offset;

    switch (f->stored) {
    case FT_TEXT:
    case FT_TABLEREF:
        return ((const struct text *) at)->s != NULL;
    case FT_BOOL:
    case FT_BOOLWORD:
        return *(const bool *) at;
    case FT_BOOL64:
    case FT_INT:
    case FT_MS:
    case FT_MS_OR_0:
    case FT_BYTES:
        return *(const int64_t *) at != f->dflt;
    case FT_INT32:
        return *(const int *) at != (int) f->dflt;
    case FT_PERCENT:
        return *(const double *) at > 0;
    case FT_COND:
        return ((const struct cond *) at)->op != COND_NONE;
    case FT_ENUM:
        return *(const unsigned *) at != 0;
    case FT_TEXTS:
    case FT_TEXTS1:
        return ((const struct text_list *) at)->n > 0;
    case FT_PAIRS:
    case FT_RAWPAIRS:
        return ((const struct pair_list *) at)->n > 0;
    case FT_ITEMS:
    case FT_NAMED:
        return *(const int *) (const void *) (base + f->offset2) > 0;
    case FT_MAP:
        return true;
    default:
        return false;
    }
}

static void add_value(struct str *out, const struct field *f, const char *base, bool only_runs)
{
    const void *at = base + f->offset;

    switch (f->stored) {
    case FT_TEXT:
        str_addc(out, 't');
        add_bytes(out, ((const struct text *) at)->s);
        break;
    case FT_TABLEREF: {
        const struct text *schema = (const void *) (base + f->offset2);
        str_addc(out, 'n');
        add_bytes(out, schema->s ? schema->s : "");
        add_bytes(out, ((const struct text *) at)->s);
        break;
    }
    case FT_BOOL:
    case FT_BOOLWORD:
        str_add(out, "b1");
        break;
    case FT_INT32:
        str_addf(out, "i%d;", *(const int *) at);
        break;
    case FT_PERCENT:
        str_addf(out, "d%.17g;", *(const double *) at);
        break;
    case FT_COND:
        str_addf(out, "c%d;", (int) ((const struct cond *) at)->op);
        add_bytes(out, ((const struct cond *) at)->value ? ((const struct cond *) at)->value : "");
        break;
    case FT_ENUM:
        str_addf(out, "i%u;", *(const unsigned *) at);
        break;
    case FT_TEXTS:
    case FT_TEXTS1:
        add_texts(out, at, f->type == FT_WITH); /* from a mapping, whose order says nothing */
        break;
    case FT_PAIRS:
    case FT_RAWPAIRS:
        add_pairs(out, at);
        break;
    case FT_ITEMS:
    case FT_NAMED:
        add_items(out, f, base, only_runs);
        break;
    default:
        str_addf(out, "i%lld;", (long long) *(const int64_t *) at);
        break;
    }
}

void canon_add(struct str *out, const struct table *t, const void *base, bool only_runs)
{
    for (int i = 0; i < t->n; i++) {
        const struct field *f = &t->rows[i];

        if ((only_runs && !f->runs) || !is_stated(f, base))
            continue;
        size_t before = out->len;
        if (f->key)
            str_addf(out, "%s=", f->key);
        else
            str_addf(out, "#%d=", i);
        if (f->stored != FT_MAP) {
            add_value(out, f, base, only_runs);
            continue;
        }
        str_addc(out, '{');
        size_t empty = out->len;
        canon_add(out, f->arg, (const char *) base + f->offset, only_runs);
        str_addc(out, '}');
        if (out->len == empty + 1) { /* says nothing: as if it weren't there */
            out->len = before;
            out->text[before] = '\0';
        }
    }
}
