/* Records of the cache as text, and back. */
#include "check/cache.h"

#include "phasegate/json_out.h"

#include <inttypes.h>
#include <stdlib.h>

#define FIRST_USER_OID 16384 /* FirstNormalObjectId of PostgreSQL's access/transam.h */

/* ---- reading -------------------------------------------------------------------------------------------------- */

static uint64_t hex_of(const json_t *j)
{
    const char *s = json_string_value(j);

    return s ? strtoull(s, NULL, 16) : 0;
}

static const char *copy_of(const struct proof *p, const json_t *o, const char *key)
{
    return arena_strdup(p->a, json_string_value(json_object_get(o, key)));
}

/* Digits, and each column's sum behind a colon: what put_outcome writes. */
static bool is_answer(const char *s)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = strspn(s, hex);

    for (s += n; n > 0 && *s == ':'; s += n) {
        size_t sum = strspn(++s, hex), digits;
        if (sum == 0 || s[sum] != '/' || (digits = strspn(s + sum + 1, "0123456789")) == 0)
            return false;
        n = sum + 1 + digits;
    }
    return n > 0 && *s == '\0';
}

/* "hex", then ":sum/n" for each column beside. */
static void read_beside(struct proof *p, const char *s, struct outcome *o)
{
    struct column_sum *sums;

    for (const char *c = s; c && *c; c++)
        o->n_beside += *c == ':';
    sums = arena_array(p->a, struct column_sum, o->n_beside + 1);
    for (int i = 0; i < o->n_beside; i++) {
        char *end = NULL;
        s = strchr(s, ':') + 1;
        sums[i].sum = strtoull(s, &end, 16);
        sums[i].n = *end == '/' ? (int) strtol(end + 1, NULL, 10) : 0;
    }
    o->beside = o->n_beside ? sums : NULL;
}

const struct outcome *record_answered(struct proof *p, const char *answer)
{
    struct outcome *o;

    if (answer && !is_answer(answer))
        return NULL;
    o = arena_new(p->a, struct outcome);
    *o = (struct outcome) {.ok = true, .probe = 'P', .is_kept = true};
    if (answer) {
        o->answer = strtoull(answer, NULL, 16);
        read_beside(p, answer, o);
    }
    return o;
}

/* 1: it worked; "hex": with this answer; an object: it failed; null: it wasn't reached. Anything else: *odd. */
static const struct outcome *read_outcome(struct proof *p, const json_t *j, bool *odd)
{
    if (!j || json_is_null(j))
        return NULL;
    if (!json_is_object(j)) {
        const struct outcome *worked = json_is_string(j) || json_integer_value(j) == 1
                                           ? record_answered(p, json_string_value(j))
                                           : NULL;
        *odd |= !worked;
        return worked;
    }
    struct outcome *o = arena_new(p->a, struct outcome);
    *o = (struct outcome) {.is_kept = true};
    const char *probe = json_string_value(json_object_get(j, "p"));
    o->probe = probe ? probe[0] : 'P';
    o->sqlstate = copy_of(p, j, "s");
    o->message = copy_of(p, j, "m");
    o->context = copy_of(p, j, "c");
    o->position = (int) json_integer_value(json_object_get(j, "o"));
    *odd |= !probe || !strchr("PEXH", *probe) || !*probe || probe[1] || !o->sqlstate || !o->message;
    return *odd ? NULL : o;
}

/* Types of the user's are kept by name: their numbers are the server's own. 0: not there. */
static unsigned read_type(const struct proof *p, const json_t *j)
{
    const char *name = json_string_value(j);

    if (!name)
        return (unsigned) json_integer_value(j);
    for (int i = 0; i < p->now.n_enums; i++) {
        const struct cat_enum *e = &p->now.enums[i];
        size_t n = strlen(e->schema);
        if (strncmp(name, e->schema, n) == 0 && name[n] == '.' &&
            strcmp(name + n + 1, e->name) == 0)
            return e->type;
    }
    return 0;
}

/* kept_for_all: no type of it is the user's, so that it is the same in every state. */
static bool read_shape(struct proof *p, const json_t *j, const struct description **out,
                       bool *kept_for_all)
{
    const json_t *params = json_object_get(j, "p"), *columns = json_object_get(j, "c");
    int n_params = (int) json_array_size(params), n_columns = (int) json_array_size(columns);
    unsigned *types = arena_array(p->a, unsigned, n_params + 1);
    struct wire_column *c = arena_array(p->a, struct wire_column, n_columns + 1);
    struct description *d = arena_new(p->a, struct description);

    *kept_for_all = true;
    for (int i = 0; i < n_params; i++) {
        *kept_for_all &= json_is_integer(json_array_get(params, (size_t) i));
        if (!(types[i] = read_type(p, json_array_get(params, (size_t) i))))
            return false;
    }
    for (int i = 0; i < n_columns; i++) {
        const json_t *one = json_array_get(columns, (size_t) i);
        c[i].name = arena_strdup(p->a, json_string_value(json_array_get(one, 0)));
        c[i].type = read_type(p, json_array_get(one, 1));
        *kept_for_all &= json_is_integer(json_array_get(one, 1));
        c[i].typmod = (int) json_integer_value(json_array_get(one, 2));
        if (!c[i].name || !c[i].type)
            return false;
    }
    *d = (struct description) {n_params, n_columns, types, c};
    *out = d;
    return true;
}

static bool is_text_or_null(const json_t *j) { return json_is_string(j) || json_is_null(j); }

/* NULL: it isn't what put_first writes. */
static const struct record *read_first(struct proof *p, const json_t *j)
{
    const json_t *sets = json_object_get(j, "sets");
    struct record *r = arena_new(p->a, struct record);

    if (!json_is_array(sets))
        return NULL;
    r->n_sets = (int) json_array_size(sets);
    r->sets = arena_array(p->a, struct arg_set, r->n_sets + 1);
    for (int i = 0; i < r->n_sets; i++) {
        const json_t *one = json_array_get(sets, (size_t) i), *v = json_object_get(one, "v");
        struct arg_set *s = &r->sets[i];

        *s = (struct arg_set) {.n = (int) json_array_size(v),
                               .is_given = json_is_true(json_object_get(one, "given")),
                               .runs = json_is_true(json_object_get(one, "runs")),
                               .misses = json_is_true(json_object_get(one, "misses"))};
        s->values = arena_array(p->a, const char *, s->n + 1);
        if (!json_is_array(v))
            return NULL;
        for (int k = 0; k < s->n; k++) {
            if (!is_text_or_null(json_array_get(v, (size_t) k)))
                return NULL;
            s->values[k] = arena_strdup(p->a, json_string_value(json_array_get(v, (size_t) k)));
        }
    }
    if (!is_text_or_null(json_object_get(j, "leaves")) ||
        !is_text_or_null(json_object_get(j, "clears")))
        return NULL;
    r->runs = json_is_true(json_object_get(j, "runs"));
    r->keeps_rows = json_is_true(json_object_get(j, "keeps"));
    r->needs_session = json_is_true(json_object_get(j, "session"));
    r->leaves = copy_of(p, j, "leaves");
    r->clears = copy_of(p, j, "clears");
    return r;
}

/* Each query has its own: they are changed until it runs. */
static struct arg_set *copy_sets(struct proof *p, const struct record *first)
{
    struct arg_set *sets = arena_array(p->a, struct arg_set, first->n_sets + 2);

    for (int i = 0; i < first->n_sets; i++) {
        sets[i] = first->sets[i];
        sets[i].values = arena_array(p->a, const char *, sets[i].n + 1);
        memcpy(sets[i].values, first->sets[i].values, sizeof(char *) * (size_t) sets[i].n);
    }
    return sets;
}

/* ---- bodies ---------------------------------------------------------------------------------------------------- */

static struct body *body_find(struct proof *p, uint64_t key)
{
    struct cache_line *l = cache_line_at(p->cache, key);

    if (!key || !l->key || (!l->text && !l->body))
        return NULL;
    if (!l->body) {
        l->body = arena_new(p->a, struct body);
        *l->body = (struct body) {.text = l->text, .n = l->n};
    }
    return l->body;
}

/* The same text is the same body. */
static uint64_t body_add(struct proof *p, const char *kind, const char *text)
{
    uint64_t key = print_text(print_text(PRINT_START, kind), text);

    key = key ? key : 1;
    if (body_find(p, key))
        return key;
    struct cache_line *l = cache_line_add(p->cache, key);
    l->body = arena_new(p->a, struct body);
    l->body->text = arena_printf(p->a, "{\"k\":\"%016" PRIx64 "\",\"%s\":%s}", key, kind, text);
    l->body->n = strlen(l->body->text);
    return key;
}

static json_t *body_load(const struct body *b)
{
    json_error_t where;

    return b ? json_loadb(b->text, b->n, 0, &where) : NULL;
}

static bool body_shape(struct proof *p, struct body *b, const struct description **out)
{
    bool kept_for_all = false;

    *out = b ? b->shape : NULL;
    if (*out)
        return true;
    json_t *doc = body_load(b);
    bool good = doc && read_shape(p, json_object_get(doc, "d"), out, &kept_for_all);
    if (good && kept_for_all)
        b->shape = *out;
    json_decref(doc);
    return good;
}

static bool body_first(struct proof *p, struct body *b, struct record *r)
{
    if (b && !b->is_read) {
        json_t *doc = body_load(b);
        b->is_read = true;
        b->first = doc ? read_first(p, json_object_get(doc, "a")) : NULL;
        json_decref(doc);
    }
    if (!b || !b->first)
        return false;
    r->sets = copy_sets(p, b->first);
    r->n_sets = b->first->n_sets;
    r->runs = b->first->runs;
    r->keeps_rows = b->first->keeps_rows;
    r->needs_session = b->first->needs_session;
    r->leaves = b->first->leaves;
    r->clears = b->first->clears;
    return true;
}

static void use_body(struct proof *p, uint64_t key)
{
    struct cache *c = p->cache;
    struct body *b = body_find(p, key);

    if (!b || b->is_used)
        return;
    b->is_used = true;
    if (c->n_bodies == c->cap_bodies) {
        c->cap_bodies = c->cap_bodies ? 2 * c->cap_bodies : 256;
        c->bodies = realloc(c->bodies, sizeof(struct body *) * (size_t) c->cap_bodies);
        if (!c->bodies)
            abort();
    }
    c->bodies[c->n_bodies++] = b;
}

void record_use_bodies(struct proof *p, const struct record *r)
{
    use_body(p, r->shape_body);
    use_body(p, r->first_body);
}

/* ---- a record -------------------------------------------------------------------------------------------------- */

static void read_holds(struct proof *p, const json_t *j, struct record *r, bool *odd)
{
    *odd |= !json_is_array(j);
    r->n_holds = (int) json_array_size(j);
    r->holds = arena_array(p->a, struct record_hold, r->n_holds + 1);
    for (int i = 0; i < r->n_holds; i++) {
        const json_t *one = json_array_get(j, (size_t) i);
        r->holds[i].since = hex_of(json_array_get(one, 0));
        r->holds[i].outcome = read_outcome(p, json_array_get(one, 1), odd);
        *odd |= json_array_size(one) != 2 || !r->holds[i].since;
    }
}

/* All that stands in the line itself. */
static void read_line(struct proof *p, const struct cache_line *l, const json_t *doc,
                      struct record *r)
{
    bool odd = false;

    *r = (struct record) {.shape_body = hex_of(json_object_get(doc, "d")),
                          .first_body = hex_of(json_object_get(doc, "a")),
                          .plan = read_outcome(p, json_object_get(doc, "p"), &odd),
                          .run = read_outcome(p, json_object_get(doc, "r"), &odd),
                          .first = read_outcome(p, json_object_get(doc, "f"), &odd),
                          .text = l->text,
                          .n_text = l->n};
    r->has_first = r->first_body != 0;
    read_holds(p, json_object_get(doc, "h"), r, &odd);
    /* Half of it would be half of what the query answered. */
    r->is_whole = r->plan && !odd;
}

void record_read_ahead(struct proof *p, struct cache_line *l)
{
    struct record scanned;

    if (l->ahead)
        return;
    if (!l->read_ahead && record_scan(p, l->text, l->n, &scanned)) {
        l->ahead = arena_new(p->a, struct record);
        *l->ahead = scanned;
        return;
    }
    json_t *doc = cache_line_json(l);
    l->read_ahead = doc;
    if (json_object_get(doc, "p")) {
        l->ahead = arena_new(p->a, struct record);
        read_line(p, l, doc, l->ahead);
        json_decref(doc);
        l->read_ahead = NULL;
    }
}

/* Answers are those of the rows that are there now. */
static const struct outcome *answered_now(struct proof *p, const struct outcome *kept)
{
    struct outcome *o;

    if (!kept || !kept->answer)
        return kept;
    o = arena_new(p->a, struct outcome);
    *o = *kept;
    o->rows = p->n_rows;
    return o;
}

void record_read(struct proof *p, struct cache_line *l, struct record *r)
{
    record_read_ahead(p, l);
    if (l->ahead)
        *r = *l->ahead;
    if (!r->is_whole || (r->shape_body && !body_shape(p, body_find(p, r->shape_body), &r->shape)) ||
        (r->has_first && !body_first(p, body_find(p, r->first_body), r))) {
        *r = (struct record) {0};
        return;
    }
    r->plan = answered_now(p, r->plan);
    r->run = answered_now(p, r->run);
    r->first = answered_now(p, r->first);
    for (int i = 0; i < r->n_holds; i++)
        r->holds[i].outcome = answered_now(p, r->holds[i].outcome);
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static void put_outcome(struct json_out *j, const char *key, const struct outcome *o)
{
    AUTO(str) hex = {0};

    if (!o) {
        json_put_null(j, key);
    } else if (o->ok && o->answer) {
        str_addf(&hex, "%" PRIx64, o->answer);
        for (int i = 0; o->beside && i < o->n_beside; i++)
            str_addf(&hex, ":%" PRIx64 "/%d", o->beside[i].sum, o->beside[i].n);
        json_str(j, key, str_text(&hex));
    } else if (o->ok) {
        json_int(j, key, 1);
    } else {
        char probe[2] = {o->probe, '\0'};
        json_object_begin(j, key);
        json_str(j, "p", probe);
        json_str(j, "s", o->sqlstate);
        json_str(j, "m", o->message);
        json_str(j, "c", o->context);
        json_int(j, "o", o->position);
        json_object_end(j);
    }
}

/* False: a type that has no name of its own here. */
static bool put_type(const struct proof *p, struct json_out *j, unsigned type)
{
    AUTO(str) name = {0};

    if (type < FIRST_USER_OID) {
        json_int(j, NULL, (int64_t) type);
        return true;
    }
    const struct cat_enum *e = cat_enum_of(&p->now, type);
    if (!e)
        return false;
    str_addf(&name, "%s.%s", e->schema, e->name);
    json_str(j, NULL, str_text(&name));
    return true;
}

static bool put_shape(const struct proof *p, struct str *to, const struct description *d)
{
    struct json_out j;
    bool good = true;

    json_begin(&j, to, false);
    json_object_begin(&j, NULL);
    json_array_begin(&j, "p");
    for (int i = 0; good && i < d->n_params; i++)
        good = put_type(p, &j, d->params[i]);
    json_array_end(&j);
    json_array_begin(&j, "c");
    for (int i = 0; good && i < d->n_columns; i++) {
        json_array_begin(&j, NULL);
        json_str(&j, NULL, d->columns[i].name);
        good = put_type(p, &j, d->columns[i].type);
        json_int(&j, NULL, d->columns[i].typmod);
        json_array_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
    return good;
}

bool record_shape_body(struct proof *p, const struct description *d, uint64_t *out_key)
{
    AUTO(str) text = {0};

    *out_key = 0;
    if (!d)
        return true;
    if (!put_shape(p, &text, d))
        return false;
    *out_key = body_add(p, "d", str_text(&text));
    return true;
}

static void put_first(struct json_out *j, const struct record *r)
{
    json_object_begin(j, NULL);
    json_array_begin(j, "sets");
    for (int i = 0; i < r->n_sets; i++) {
        json_object_begin(j, NULL);
        json_bool(j, "given", r->sets[i].is_given);
        json_bool(j, "runs", r->sets[i].runs);
        json_bool(j, "misses", r->sets[i].misses);
        json_array_begin(j, "v");
        for (int k = 0; k < r->sets[i].n; k++)
            json_str(j, NULL, r->sets[i].values[k]);
        json_array_end(j);
        json_object_end(j);
    }
    json_array_end(j);
    json_bool(j, "runs", r->runs);
    json_bool(j, "keeps", r->keeps_rows);
    json_bool(j, "session", r->needs_session);
    json_str(j, "leaves", r->leaves);
    json_str(j, "clears", r->clears);
    json_object_end(j);
}

static void put_key(struct json_out *j, const char *name_or_null, uint64_t key)
{
    char hex[CACHE_KEY_DIGITS + 1];

    snprintf(hex, sizeof hex, "%016" PRIx64, key);
    json_str(j, name_or_null, hex);
}

static uint64_t first_body(struct proof *p, const struct record *r)
{
    AUTO(str) text = {0};
    struct json_out j;

    json_begin(&j, &text, false);
    put_first(&j, r);
    return body_add(p, "a", str_text(&text));
}

void record_put(struct proof *p, struct str *to, struct record *r)
{
    struct json_out j;

    if (r->has_first && !r->first_body)
        r->first_body = first_body(p, r);
    json_begin(&j, to, false);
    json_object_begin(&j, NULL);
    put_key(&j, "k", r->key);
    put_outcome(&j, "p", r->plan);
    put_outcome(&j, "r", r->run);
    if (r->shape_body)
        put_key(&j, "d", r->shape_body);
    if (r->has_first) {
        put_key(&j, "a", r->first_body);
        put_outcome(&j, "f", r->first);
    }
    json_array_begin(&j, "h");
    for (int i = 0; i < r->n_holds; i++) {
        json_array_begin(&j, NULL);
        put_key(&j, NULL, r->holds[i].since);
        put_outcome(&j, NULL, r->holds[i].outcome);
        json_array_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
}
