#include "load/decode.h"

#include "phasegate/names.h"

#include <stdlib.h>
#include <string.h>

static void decode_row(struct decoder *d, const struct node *n, const struct field *f, char *base);

struct pos node_pos(const struct decoder *d, const struct node *n)
{
    return (struct pos) {d->file, n->line, n->col};
}

void decode_say(struct decoder *d, const struct node *n, const char *expected, const char *hint,
                const char *fmt, ...)
{
    AUTO(str) message = {0};
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&message, fmt, ap);
    va_end(ap);
    problem_add(d->problems, node_pos(d, n), expected, hint, "%s", str_text(&message));
    d->failed = true;
}

/* ---- mappings by table ---------------------------------------------------------------------------- */

static const struct field *find_row(const struct table *t, const struct node *key)
{
    for (int i = 0; i < t->n; i++)
        if (t->rows[i].key && t->rows[i].len == key->n &&
            memcmp(t->rows[i].key, key->s, key->n) == 0)
            return &t->rows[i];
    return NULL;
}

static void say_unknown_key(struct decoder *d, const struct node *key, const struct table *t,
                            const char *what)
{
    AUTO(str) expected = {0};
    AUTO(str) hint = {0};
    const char *words[DECODE_ROWS + 1];
    int n = 0;

    for (int i = 0; i < t->n; i++)
        if (t->rows[i].key)
            words[n++] = t->rows[i].key;
    words[n] = NULL;
    str_add(&expected, n == 1 ? "" : "one of: ");
    for (int i = 0; i < n; i++)
        str_addf(&expected, "%s%s", i ? ", " : "", words[i]);
    const char *nearest = name_nearest(key->s, words);
    if (nearest)
        str_addf(&hint, "did you mean \"%s\"?", nearest);
    decode_say(d, key, str_text(&expected), nearest ? str_text(&hint) : NULL,
               "unknown key \"%.80s\" in %s", key->s, what);
}

void decode_defaults(const struct table *t, void *base)
{
    for (int i = 0; i < t->n; i++) {
        const struct field *f = &t->rows[i];
        char *at = (char *) base + f->offset;

        switch (f->stored) {
        case FT_BOOL64:
        case FT_INT:
        case FT_MS:
        case FT_MS_OR_0:
        case FT_BYTES: *(int64_t *) at = f->dflt; break;
        case FT_INT32: *(int *) at = (int) f->dflt; break;
        case FT_MAP: decode_defaults(f->arg, at); break;
        default: /* zero is absent, and the first word the default */ break;
        }
    }
}

static void say_missing(struct decoder *d, const struct node *map, const struct table *t,
                        uint64_t seen, const char *what)
{
    for (int i = 0; i < t->n; i++)
        if (t->rows[i].required && !(seen & (uint64_t) 1 << i))
            decode_say(d, map, NULL, NULL, "%s has no \"%s\"", what, t->rows[i].key);
}

void decode_map(struct decoder *d, const struct node *n, const struct table *t, void *base)
{
    decode_defaults(t, base);
    decode_part(d, n, t, base);
}

void decode_part(struct decoder *d, const struct node *n, const struct table *t, void *base)
{
    const char *what = t->what;
    int first_line[DECODE_ROWS];
    uint64_t seen = 0;

    if (t->at_offset >= 0)
        *(struct pos *) ((char *) base + t->at_offset) = node_pos(d, n);
    if (!decode_is(d, n, NODE_MAP, what, "a mapping of keys"))
        return;
    for (const struct node *key = n->first; key; key = key->next->next) {
        const struct field *f = find_row(t, key);
        if (!f) {
            say_unknown_key(d, key, t, what);
            continue;
        }
        int i = (int) (f - t->rows);
        if (seen & (uint64_t) 1 << i) {
            decode_say(d, key, NULL, NULL, "key \"%s\" appears twice; the first is in line %d",
                       f->key, first_line[i]);
            continue;
        }
        seen |= (uint64_t) 1 << i;
        first_line[i] = key->line;
        decode_row(d, key->next, f, base);
    }
    say_missing(d, n, t, seen, what);
    if (t->check)
        t->check(d, n, base);
}

/* ---- lists ---------------------------------------------------------------------------------------- */

static void *place_array(struct decoder *d, const struct field *f, char *base, int n, size_t size)
{
    void *items = arena_alloc(d->arena, (size_t) n * size);

    memcpy(base + f->offset, &items, sizeof items);
    *(int *) (void *) (base + f->offset2) = n;
    return items;
}

static void decode_items(struct decoder *d, const struct node *n, const struct field *f, char *base)
{
    const struct table *t = f->arg;

    if (!decode_is(d, n, NODE_LIST, f->key, "a list") || n->n == 0)
        return;
    char *item = place_array(d, f, base, (int) n->n, t->size);
    for (const struct node *child = n->first; child; child = child->next, item += t->size)
        decode_map(d, child, t, item);
}

/* Is this key among those before it? Bounded by DECODE_NAMES, so looking at each is cheap enough. */
static bool key_is_repeated(struct decoder *d, const struct node *map, const struct node *key)
{
    for (const struct node *k = map->first; k != key; k = k->next->next)
        if (k->n == key->n && memcmp(k->s, key->s, k->n) == 0) {
            decode_say(d, key, NULL, NULL, "key \"%.80s\" appears twice; the first is in line %d",
                       key->s, k->line);
            return true;
        }
    return false;
}

static bool names_are_few(struct decoder *d, const struct node *n, const char *what)
{
    if (n->n <= DECODE_NAMES)
        return true;
    decode_say(d, n, NULL, NULL, "\"%s\" has %u entries, more than %d", what, (unsigned) n->n,
               DECODE_NAMES);
    return false;
}

static void decode_named(struct decoder *d, const struct node *n, const struct field *f, char *base)
{
    const struct table *t = f->arg;

    if (!decode_is(d, n, NODE_MAP, f->key, "a mapping of names") || n->n == 0 ||
        !names_are_few(d, n, f->key))
        return;
    char *item = place_array(d, f, base, (int) n->n, t->size);
    for (const struct node *key = n->first; key; key = key->next->next, item += t->size) {
        decode_text(d, key, "a name", &rule_name, (struct text *) (void *) item);
        key_is_repeated(d, n, key);
        decode_map(d, key->next, t, item);
    }
}

bool decode_texts(struct decoder *d, const struct node *n, const char *what,
                  const struct text_rule *rule, bool one_may_stand_alone, struct text_list *out)
{
    if (one_may_stand_alone && n->kind == NODE_SCALAR) {
        out->items = arena_new(d->arena, struct text);
        out->n = decode_text(d, n, what, rule, out->items) ? 1 : 0;
        return out->n == 1;
    }
    if (!decode_is(d, n, NODE_LIST, what,
                   one_may_stand_alone ? "a text or a list of texts" : "a list of texts"))
        return false;
    if (n->n == 0) {
        decode_say(d, n, "at least one", NULL, "\"%s\" is empty", what);
        return false;
    }
    bool good = true;
    out->items = arena_array(d->arena, struct text, n->n);
    for (const struct node *child = n->first; child; child = child->next)
        good = decode_text(d, child, what, rule, &out->items[out->n++]) && good;
    return good;
}

static void decode_pairs(struct decoder *d, const struct node *n, const struct field *f,
                         struct pair_list *out)
{
    if (!decode_is(d, n, NODE_MAP, f->key, "a mapping of texts") || !names_are_few(d, n, f->key))
        return;
    if (n->n == 0) {
        decode_say(d, n, "at least one entry", NULL, "\"%s\" is empty", f->key);
        return;
    }
    out->items = arena_array(d->arena, struct pair, n->n);
    for (const struct node *key = n->first; key; key = key->next->next) {
        struct pair *pair = &out->items[out->n++];

        decode_text(d, key, "a key", f->arg, &pair->key);
        key_is_repeated(d, n, key);
        if (f->type == FT_RAWPAIRS)
            decode_raw(d, key->next, key->s, &pair->value);
        else
            decode_text(d, key->next, key->s, NULL, &pair->value);
    }
}

static void decode_row(struct decoder *d, const struct node *n, const struct field *f, char *base)
{
    void *at = base + f->offset;

    switch (f->type) {
    case FT_WITH: f->with(d, n, base, f); break;
    case FT_MAP: decode_part(d, n, f->arg, at); break;
    case FT_ITEMS: decode_items(d, n, f, base); break;
    case FT_NAMED: decode_named(d, n, f, base); break;
    case FT_TEXTS:
    case FT_TEXTS1: decode_texts(d, n, f->key, f->arg, f->type == FT_TEXTS1, at); break;
    case FT_PAIRS:
    case FT_RAWPAIRS: decode_pairs(d, n, f, at); break;
    default: decode_scalar(d, n, f, base); break;
    }
}

/* ---- which keys go together ------------------------------------------------------------------------ */

int decode_count(const struct node *map, const char *const *keys)
{
    int n = 0;

    for (; *keys; keys++)
        n += node_get(map, *keys) != NULL;
    return n;
}

const char *decode_one_of(struct decoder *d, const struct node *map, const char *what,
                          const char *const *keys)
{
    const char *found = NULL;
    int n = 0;

    for (int i = 0; keys[i]; i++)
        if (node_get(map, keys[i])) {
            found = keys[i];
            n++;
        }
    if (n == 1)
        return found;

    AUTO(str) expected = {0};
    str_add(&expected, "exactly one of: ");
    for (int i = 0; keys[i]; i++)
        str_addf(&expected, "%s%s", i ? ", " : "", keys[i]);
    decode_say(d, map, str_text(&expected), NULL, "%s has %s of its keys", what,
               n ? "several" : "none");
    return NULL;
}

void decode_needs(struct decoder *d, const struct node *map, const char *key, const char *needs)
{
    const struct node *value = node_get(map, key);

    if (value && !node_get(map, needs))
        decode_say(d, value, NULL, NULL, "\"%s\" needs \"%s\" beside it", key, needs);
}

void decode_excludes(struct decoder *d, const struct node *map, const char *key, const char *other)
{
    const struct node *value = node_get(map, other);

    if (value && node_get(map, key))
        decode_say(d, value, NULL, NULL, "\"%s\" and \"%s\" can't stand together", key, other);
}
