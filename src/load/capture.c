/* What was seen -> what is new, known, vanished; and the file with it. */
#include "phasegate/capture.h"
#include "load/capture_text.h"
#include "load/utf8.h"
#include "phasegate/statement_facts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 3

const char *capture_skip_word(enum capture_skip s)
{
    static const char *const words[] = {
#define X(id, word, text) word,
        CAPTURE_SKIPS(X)
#undef X
    };
    return words[s];
}

const char *capture_skip_text(enum capture_skip s)
{
    static const char *const texts[] = {
#define X(id, word, text) text,
        CAPTURE_SKIPS(X)
#undef X
    };
    return texts[s];
}

/* ---- text -> number ---------------------------------------------------------------------------------- */

struct slot {
    const char *key; /* NULL: free */
    int value;
};

struct capture_table {
    struct slot *slots;
    size_t cap, n;
};

static size_t hash_of(const char *s)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */

    for (; *s; s++)
        h = (h ^ (unsigned char) *s) * 1099511628211u;
    return (size_t) (h ^ (h >> 32));
}

static struct slot *slot_of(const struct capture_table *t, const char *key)
{
    size_t i = hash_of(key) & (t->cap - 1);

    while (t->slots[i].key && strcmp(t->slots[i].key, key) != 0)
        i = (i + 1) & (t->cap - 1);
    return &t->slots[i];
}

static const int *table_get(const struct capture_table *t, const char *key)
{
    const struct slot *s = t->cap ? slot_of(t, key) : NULL;

    return s && s->key ? &s->value : NULL;
}

/* key lives in the arena. */
static void table_put(struct capture *c, struct capture_table *t, const char *key, int value)
{
    if (2 * (t->n + 1) > t->cap) {
        struct capture_table grown = {.cap = t->cap ? 2 * t->cap : 64, .n = t->n};

        grown.slots = arena_array(c->arena, struct slot, grown.cap);
        for (size_t i = 0; i < t->cap; i++)
            if (t->slots[i].key)
                *slot_of(&grown, t->slots[i].key) = t->slots[i];
        *t = grown;
    }
    *slot_of(t, key) = (struct slot) {key, value};
    t->n++;
}

/* ---- what was seen --------------------------------------------------------------------------------------- */

void capture_begin(struct capture *c, struct arena *a, enum param_style style, const char *source,
                   bool with_values)
{
    *c = (struct capture) {.arena = a,
                           .style = style,
                           .source = source,
                           .with_values = with_values,
                           .by_text = arena_new(a, struct capture_table),
                           .by_raw = arena_new(a, struct capture_table)};
}

void capture_role(struct capture *c, const char *role, const char *wanted)
{
    if (!role || !*role)
        return;
    c->role_seen |= !wanted || strcmp(role, wanted) == 0;
    for (int i = 0; i < c->roles.n; i++)
        if (strcmp(c->roles.items[i].s, role) == 0)
            return;
    if (c->roles.n == CAPTURE_ROLES_MOST)
        return;
    c->roles.items = arena_more(c->arena, c->roles.items, sizeof *c->roles.items, c->roles.n);
    c->roles.items[c->roles.n++] = (struct text) {.s = arena_strdup(c->arena, role)};
}

void capture_count(struct capture *c, enum capture_skip why)
{
    c->seen++;
    c->skipped[why]++;
}

static int add_item(struct capture *c, struct captured item, const char *identity)
{
    size_t n = (size_t) c->n;

    if ((n & (n - 1)) == 0)
        c->items = arena_grow(c->arena, c->items, sizeof item * n, sizeof item * (n ? 2 * n : 1));
    c->items[c->n] = item;
    table_put(c, c->by_text, identity, c->n);
    return c->n++;
}

void capture_existing(struct capture *c, const struct statements *s)
{
    c->known = s;
    for (int i = 0; i < s->n; i++) {
        const struct statement *st = &s->items[i];
        const char *bare = st->dollar_sql ? text_bare(c->arena, st->dollar_sql) : NULL;
        const char *identity = bare ? text_identity(c->arena, bare) : NULL;

        if (identity && !table_get(c->by_text, identity))
            add_item(c,
                     (struct captured) {.name = st->name,
                                        .sql = bare,
                                        .text = st->sql,
                                        .n_params = st->n_params,
                                        .existing = st},
                     identity);
    }
}

static bool is_catalogue(const struct fact_rel *r)
{
    if (r->schema)
        return strcmp(r->schema, "pg_catalog") == 0 || strcmp(r->schema, "information_schema") == 0;
    return strncmp(r->name, "pg_", 3) == 0;
}

/* Applications don't spell pg_catalog out; programs that must not be led astray by a search_path do. */
static bool is_of_a_tool(const char *sql, const struct statement_facts *f)
{
    for (int i = 0; i < f->n_rels; i++)
        if (f->rels[i].schema && strcmp(f->rels[i].schema, "phasegate") == 0)
            return true;
    for (const char *p = sql; (p = strstr(p, "pg_catalog.")); p++) {
        const char *q = p + strlen("pg_catalog.");

        while (isalnum((unsigned char) *q) || *q == '_')
            q++;
        if (*q == '(')
            return true;
    }
    return strstr(sql, "OPERATOR(pg_catalog.") != NULL;
}

/* SELECT 1, pg_advisory_lock(...), set_config(...): nothing that a change of schema could break. */
static bool touches_nothing(const struct statement_facts *f)
{
    for (int i = 0; i < f->functions.n; i++)
        if (strncmp(f->functions.items[i].s, "pg_", 3) != 0 &&
            strcmp(f->functions.items[i].s, "set_config") != 0 && !f->reads_only)
            return false;
    return f->n_rels == 0;
}

/* CAPTURE_SKIP_COUNT: it is wanted. */
static enum capture_skip judge(const char *sql, const struct statement_facts *f, bool is_call,
                               bool is_normalised)
{
    int catalogues = 0;

    /* A server that knows more than the parser has put parameters in; else constants would be shown. */
    if (!f->parsed)
        return is_normalised && !strstr(f->why, "at end of input") ? CAPTURE_SKIP_COUNT
                                                                   : CAPTURE_SKIP_UNREADABLE;
    if (!f->is_one_statement)
        return CAPTURE_SKIP_SEVERAL;
    for (int i = 0; i < f->n_rels; i++)
        catalogues += is_catalogue(&f->rels[i]);
    if (catalogues > 0 && catalogues == f->n_rels)
        return CAPTURE_SKIP_CATALOGUE;
    if (is_of_a_tool(sql, f))
        return CAPTURE_SKIP_OWN;
    if (f->is_utility && !is_call)
        return CAPTURE_SKIP_UTILITY;
    return touches_nothing(f) ? CAPTURE_SKIP_NO_TABLE : CAPTURE_SKIP_COUNT;
}

static void add_args(struct capture *c, struct captured *item, const char *const *values, int n)
{
    AUTO(str) row = {0};

    if (!c->with_values || n != item->n_params || n == 0 || item->existing ||
        item->args.n == ARGS_MAX)
        return;
    str_addc(&row, '(');
    for (int i = 0; i < n; i++) {
        const char *value = text_one_line(c->arena, values[i]);

        if (!value)
            return;
        str_addf(&row, "%s%s", i ? ", " : "", value);
    }
    str_addc(&row, ')');
    for (int i = 0; i < item->args.n; i++)
        if (strcmp(item->args.items[i].s, str_text(&row)) == 0)
            return;
    item->args.items =
        arena_grow(c->arena, item->args.items, sizeof *item->args.items * (size_t) item->args.n,
                   sizeof *item->args.items * (size_t) (item->args.n + 1));
    item->args.items[item->args.n++] = (struct text) {.s = arena_strdup(c->arena, str_text(&row))};
}

/* A text that is met for the first time: where it belongs, -1 - reason where it doesn't. scratch is thrown away. */
static int place_text(struct capture *c, struct arena *scratch, const struct capture_seen *seen,
                      struct text_list *constants)
{
    struct statement_facts facts;
    const char *bare = text_bare(scratch, seen->sql), *text;

    if (!bare || !*bare)
        return -1 - (bare ? CAPTURE_SKIP_UTILITY : CAPTURE_SKIP_UNREADABLE);
    /* Servers before 16 leave the constants in what they count as utilities. */
    const char *inner = text_inner(bare);
    bool is_normalised = seen->is_normalised && !inner;
    bare = inner ? inner : bare;
    statement_facts(scratch, &(struct statement) {.dollar_sql = bare}, &facts);
    bool is_call = facts.parsed && facts.is_utility && strncasecmp(bare, "call", 4) == 0;
    enum capture_skip why = judge(bare, &facts, is_call, is_normalised);
    if (why != CAPTURE_SKIP_COUNT)
        return -1 - (int) why;
    text = is_normalised && !is_call ? bare : text_normalised(scratch, bare, constants);
    if (!text)
        return -1 - CAPTURE_SKIP_UNREADABLE;
    text = text_mended(scratch, text);
    const char *identity = text_identity(scratch, text), *styled = text;
    const int *known = table_get(c->by_text, identity);
    if (known)
        return *known;
    if (!text_in_style(scratch, text, c->style, &styled))
        return -1 - CAPTURE_SKIP_STYLE;
    return add_item(c,
                    (struct captured) {.sql = arena_strdup(c->arena, text),
                                       .text = arena_strdup(c->arena, styled),
                                       .n_params = text_params(text)},
                    arena_strdup(c->arena, identity));
}

void capture_add(struct capture *c, const struct capture_seen *seen)
{
    AUTO(arena) scratch = {0};
    struct text_list constants = {0};
    const int *known = table_get(c->by_raw, seen->sql);
    size_t bad;
    int at;

    c->seen++;
    if (known)
        at = *known;
    else if (!utf8_is_good(seen->sql, strlen(seen->sql), &bad))
        at = -1 - CAPTURE_SKIP_NOT_TEXT;
    else
        at = place_text(c, &scratch, seen, &constants);
    /* Texts with constants hardly come again: remembering them would only cost memory. */
    if (!known && constants.n == 0)
        table_put(c, c->by_raw, arena_strdup(c->arena, seen->sql), at);
    if (at < 0) {
        c->skipped[-1 - at]++;
        return;
    }
    struct captured *item = &c->items[at];
    item->calls += seen->calls;
    if (!item->search_path && seen->search_path)
        item->search_path = arena_strdup(c->arena, seen->search_path);
    const char **values = arena_array(&scratch, const char *, seen->n_values + constants.n + 1);
    int n = 0;
    for (int i = 0; i < seen->n_values; i++)
        values[n++] = seen->values[i];
    for (int i = 0; i < constants.n; i++)
        values[n++] = constants.items[i].s;
    add_args(c, item, values, n);
}

/* ---- names -------------------------------------------------------------------------------------------------- */

/* order_lines -> OrderLines; letters and digits only. */
static void add_camel(struct str *out, const char *name)
{
    bool up = true;

    for (; *name; name++) {
        bool plain = (unsigned char) *name < 0x80 && isalnum((unsigned char) *name);

        if (plain)
            str_addc(out, (char) (up ? toupper((unsigned char) *name) : *name));
        up = !plain;
    }
}

static const char *verb_word(const struct statement_facts *f, const char *sql)
{
    static const char *const words[] = {"Select", "Insert", "Update", "Delete", "Merge"};

    if (f->parsed && f->verb != VERB_OTHER)
        return words[f->verb];
    return strncasecmp(sql, "call", 4) == 0 ? "Call" : "Statement";
}

static const char *name_of(struct arena *a, const char *sql, const char *hash, int digits)
{
    AUTO(arena) scratch = {0};
    AUTO(str) name = {0};
    struct statement_facts f;
    int n = 0;

    statement_facts(&scratch, &(struct statement) {.dollar_sql = sql}, &f);
    str_add(&name, verb_word(&f, sql));
    /* what is written first */
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < f.n_rels && n < 3; i++)
            if (f.rels[i].is_target == (pass == 0)) {
                add_camel(&name, f.rels[i].name);
                n++;
            }
    if (n == 0 && f.functions.n > 0) {
        const char *dot = strrchr(f.functions.items[0].s, '.');

        add_camel(&name, dot ? dot + 1 : f.functions.items[0].s);
    }
    if (name.len > 60)
        return arena_printf(a, "%.60s_%.*s", str_text(&name), digits, hash);
    return arena_printf(a, "%s_%.*s", str_text(&name), digits, hash);
}

/* taken: name -> number of the statement in the files that has it, -1 for one of this capture. */
static void give_name(struct capture *c, struct captured *item, struct capture_table *taken)
{
    const char *identity = text_identity(c->arena, item->sql);
    char hash[65];

    sha256_hex(identity, strlen(identity), hash);
    for (int digits = 8; digits <= 64; digits += 8) {
        const int *at;

        item->name = name_of(c->arena, item->sql, hash, digits);
        at = table_get(taken, item->name);
        if (!at) {
            table_put(c, taken, item->name, -1);
            return;
        }
        /* The same hash: a captured statement whose SQL was edited by hand since. */
        if (*at >= 0 && c->known->items[*at].captured) {
            item->existing = &c->known->items[*at];
            return;
        }
    }
}

static void add_block(struct str *out, const struct capture *c, const struct captured *i)
{
    str_addf(out, "\n-- name: %s\n-- captured: %s\n", i->name, c->source);
    if (i->types)
        str_addf(out, "-- types: %s\n", i->types);
    for (int k = 0; k < i->args.n; k++)
        str_addf(out, "-- args: %s\n", i->args.items[k].s);
    str_addf(out, "%s;\n", i->text);
}

/* Does it come back from a file as what it is? */
static bool reads_back(const struct capture *c, const struct captured *i)
{
    AUTO(arena) a = {0};
    AUTO(problem_list) problems = {0};
    AUTO(str) block = {.ceiling = STATEMENTS_FILE_MAX};
    struct statements s = {0};

    add_block(&block, c, i);
    return statements_parse(&a, "", str_text(&block), block.len, c->style, &s, &problems) &&
           s.n == 1 &&
           strcmp(text_identity(&a, s.items[0].dollar_sql), text_identity(&a, i->sql)) == 0;
}

static void find_vanished(struct capture *c)
{
    for (int i = 0; i < c->n; i++) {
        const struct captured *item = &c->items[i];
        const struct statement *s = item->existing;
        bool again = item->calls > 0;

        if (!s || !s->captured || strcmp(s->captured, c->source) != 0)
            continue;
        for (int k = 0; k < c->n && !again; k++) /* found by its name, above */
            again = k != i && c->items[k].existing == s && c->items[k].calls > 0;
        if (again)
            continue;
        c->vanished = arena_grow(c->arena, c->vanished, sizeof s * (size_t) c->n_vanished,
                                 sizeof s * (size_t) (c->n_vanished + 1));
        c->vanished[c->n_vanished++] = s;
    }
}

void capture_end(struct capture *c)
{
    struct capture_table taken = {0};

    for (int i = 0; c->known && i < c->known->n; i++)
        if (!table_get(&taken, c->known->items[i].name))
            table_put(c, &taken, c->known->items[i].name, i);
    for (int i = 0; i < c->n; i++) {
        struct captured *item = &c->items[i];

        if (item->existing)
            continue;
        if (item->refused_because)
            c->skipped[CAPTURE_SKIP_REFUSED]++;
        give_name(c, item, &taken);
        if (item->existing || item->refused)
            continue;
        if (!reads_back(c, item)) { /* of its arguments or types, if it's not the text itself */
            item->args.n = 0;
            item->types = NULL;
        }
        if (!reads_back(c, item)) {
            c->skipped[CAPTURE_SKIP_STYLE]++;
            item->refused = true;
        }
    }
    find_vanished(c);
}

/* ---- the file ------------------------------------------------------------------------------------------------- */

static int by_name(const void *x, const void *y)
{
    const struct captured *const *a = x, *const *b = y;

    return strcmp((*a)->name, (*b)->name);
}

void capture_render(const struct capture *c, const char *release, const char *bytes,
                    struct str *out)
{
    const struct captured **sorted = arena_array(c->arena, const struct captured *, c->n + 1);
    int n = 0;

    if (out->ceiling < STATEMENTS_FILE_MAX)
        out->ceiling = STATEMENTS_FILE_MAX;
    if (bytes)
        str_add(out, bytes);
    else
        str_addf(out,
                 "-- What release %s runs. `phasegate capture` adds to it, and leaves what is here "
                 "as it is.\n",
                 release);
    if (out->len > 0 && out->text[out->len - 1] != '\n')
        str_addc(out, '\n');
    for (int i = 0; i < c->n; i++)
        if (captured_is_new(&c->items[i]))
            sorted[n++] = &c->items[i];
    qsort(sorted, (size_t) n, sizeof *sorted, by_name);
    for (int i = 0; i < n; i++)
        add_block(out, c, sorted[i]);
}
