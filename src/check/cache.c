/* What an earlier run found out, so that only what a change touches is put to the shadow again.
 *
 * A record belongs to a query and to its chain: everything that its outcomes depend on, from the baseline to the state
 * in which it was probed (text, session, arguments; what it touched each time that it was probed; the data that steps
 * changed). The same chain has the same outcomes. What isn't in a record is asked for as if there were none.
 *
 * As text: a line of JSON each, the first of which names the salt. A line is only parsed when its key is asked for,
 * and goes into the next text as it is.
 */
#include "check/work.h"

#include "phasegate/json_out.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#define FORMAT 2
#define KEY_START "{\"k\":\""
#define KEY_DIGITS 16
#define FIRST_USER_OID 16384 /* FirstNormalObjectId of PostgreSQL's access/transam.h */

struct cache_line {
    uint64_t key;
    const char *text; /* without the end of line */
    size_t n;
    struct record *record; /* NULL: not asked for in this run */
};

struct cache {
    uint64_t salt;
    struct cache_line *lines; /* by key, open addressing */
    size_t room, n;
    struct record **used; /* in the order in which they were asked for */
    int n_used, cap_used;
};

/* ---- keys --------------------------------------------------------------------------------------------------- */

static uint64_t print_number(uint64_t h, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        h = (h ^ (v >> (8 * i) & 0xff)) * UINT64_C(1099511628211);
    return h;
}

static uint64_t query_start(const struct proof *p, const struct query *q)
{
    const struct app_session *session = &p->sessions[q->session];
    uint64_t h = print_number(PRINT_START, p->cache->salt);

    h = print_text(print_text(print_text(h, session->role), session->search_path),
                   session->time_zone);
    h = print_text(print_number(print_number(h, q->is_stand_in), q->goes_on), q->sql);
    for (int i = 0; i < q->s->n_args; i++) {
        h = print_number(h, (uint64_t) q->s->args[i].n);
        for (int k = 0; k < q->s->args[i].n; k++)
            h = print_text(h, q->s->args[i].items[k].sql);
    }
    for (int i = 0; i < q->s->types.n; i++)
        h = print_text(h, q->s->types.items[i].s);
    return h;
}

/* Data that the task changes, by what it says; 0: it changes none. A new type makes new values of old ones. */
static uint64_t rows_of(const struct proof *p, int state)
{
    const struct timeline_state *s = &p->t.states[state];
    uint64_t h = PRINT_START;
    /* A backfill, a program: nobody knows what. */
    bool any = changes_rows(p, state);

    for (int i = 0; s->task && s->task->step && i < s->task->step->n_stmts; i++) {
        const struct sql_stmt *stmt = &s->task->step->stmts[i];
        if (!changes_rows(p, state) && !strstr(stmt->kind, "TYPE"))
            continue;
        h = print_text(h, stmt->sql);
        any = true;
    }
    if (!any)
        return 0;
    return print_text(print_text(h, s->task->id), p->t.plans[s->plan]->phase_checksum[s->phase]);
}

void cache_state(struct proof *p, int state)
{
    int from = p->t.states[state].from;
    uint64_t before = from >= 0 ? p->rows_print[from] : PRINT_START;
    uint64_t own = rows_of(p, state);

    p->rows_print[state] = own || p->forgot[state]
                               ? print_number(print_number(before, own), p->forgot[state])
                               : before;
}

/* ---- lines -------------------------------------------------------------------------------------------------- */

static struct cache_line *line_at(const struct cache *c, uint64_t key)
{
    size_t at = (size_t) (key % c->room);

    while (c->lines[at].key && c->lines[at].key != key)
        at = (at + 1) % c->room;
    return &c->lines[at];
}

static void grow(struct cache *c)
{
    struct cache_line *old = c->lines;
    size_t n = c->room;

    c->room = c->room ? 2 * c->room : 1024;
    c->lines = calloc(c->room, sizeof *c->lines);
    if (!c->lines)
        abort();
    for (size_t i = 0; i < n; i++)
        if (old[i].key)
            *line_at(c, old[i].key) = old[i];
    free(old);
}

static struct cache_line *line_add(struct cache *c, uint64_t key)
{
    if (2 * (c->n + 1) > c->room)
        grow(c);
    struct cache_line *l = line_at(c, key);
    c->n += !l->key;
    l->key = key;
    return l;
}

static uint64_t text_key(const char *line, size_t n)
{
    size_t start = strlen(KEY_START);
    char digits[KEY_DIGITS + 1] = "", *end;

    if (n < start + KEY_DIGITS + 2 || memcmp(line, KEY_START, start) != 0)
        return 0;
    memcpy(digits, line + start, KEY_DIGITS);
    uint64_t key = strtoull(digits, &end, 16);
    return *end ? 0 : key;
}

/* Another program, another baseline, another day: nothing of it holds. */
static bool has_salt(const char *text, size_t n, const char *salt)
{
    json_error_t where;
    json_t *doc = json_loadb(text, n, 0, &where);
    const char *own = json_string_value(json_object_get(doc, "salt"));
    bool is = json_integer_value(json_object_get(doc, "phasegate_cache")) == FORMAT && own &&
              strcmp(own, salt) == 0;

    json_decref(doc);
    return is;
}

static void read_lines(struct cache *c, const struct check_cache *from)
{
    const char *at = from->text, *end = from->text + from->n;
    bool is_first = true;

    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t) (end - at));
        size_t n = (size_t) ((stop ? stop : end) - at);
        uint64_t key = is_first ? 0 : text_key(at, n);

        /* A file that was cut off has a last line without an end. */
        if ((is_first && !has_salt(at, n, from->salt)) || !stop)
            return;
        is_first = false;
        if (key) {
            struct cache_line *l = line_add(c, key);
            l->text = at;
            l->n = n;
        }
        at = stop + 1;
    }
}

void cache_begin(struct proof *p)
{
    const struct check_cache *from = p->o->cache;

    /* What a program did to the rows, its name doesn't say. */
    if (!from || !from->salt || p->o->allow_commands)
        return;
    p->cache = calloc(1, sizeof *p->cache);
    if (!p->cache)
        abort();
    grow(p->cache);
    p->cache->salt = print_text(print_number(PRINT_START, FORMAT), from->salt);
    p->cache->salt = print_number(p->cache->salt, (uint64_t) shadow_server_version(p->shadow));
    read_lines(p->cache, from);
}

void cache_end(struct proof *p)
{
    if (!p->cache)
        return;
    free(p->cache->lines);
    free(p->cache->used);
    free(p->cache);
    p->cache = NULL;
}

/* ---- reading a record ----------------------------------------------------------------------------------------- */

static uint64_t hex_of(const json_t *j)
{
    const char *s = json_string_value(j);

    return s ? strtoull(s, NULL, 16) : 0;
}

static const char *copy_of(const struct proof *p, const json_t *o, const char *key)
{
    return arena_strdup(p->a, json_string_value(json_object_get(o, key)));
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

/* 1: it worked; "hex": with this answer; an object: it failed; null: it wasn't reached. */
static const struct outcome *read_outcome(struct proof *p, const json_t *j)
{
    struct outcome *o;

    if (!j || json_is_null(j))
        return NULL;
    o = arena_new(p->a, struct outcome);
    *o = (struct outcome) {.ok = !json_is_object(j), .probe = 'P', .is_kept = true};
    if (json_is_string(j)) {
        o->answer = hex_of(j);
        read_beside(p, json_string_value(j), o);
        o->rows = p->n_rows;
    }
    if (o->ok)
        return o;
    const char *probe = json_string_value(json_object_get(j, "p"));
    o->probe = probe ? probe[0] : 'P';
    o->sqlstate = copy_of(p, j, "s");
    o->message = copy_of(p, j, "m");
    o->context = copy_of(p, j, "c");
    o->position = (int) json_integer_value(json_object_get(j, "o"));
    return o->sqlstate && o->message ? o : NULL;
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

static bool read_shape(struct proof *p, const json_t *j, const struct description **out)
{
    const json_t *params = json_object_get(j, "p"), *columns = json_object_get(j, "c");
    int n_params = (int) json_array_size(params), n_columns = (int) json_array_size(columns);
    unsigned *types = arena_array(p->a, unsigned, n_params + 1);
    struct wire_column *c = arena_array(p->a, struct wire_column, n_columns + 1);
    struct description *d = arena_new(p->a, struct description);

    *out = NULL;
    if (!json_is_object(j))
        return true;
    for (int i = 0; i < n_params; i++)
        if (!(types[i] = read_type(p, json_array_get(params, (size_t) i))))
            return false;
    for (int i = 0; i < n_columns; i++) {
        const json_t *one = json_array_get(columns, (size_t) i);
        c[i].name = arena_strdup(p->a, json_string_value(json_array_get(one, 0)));
        c[i].type = read_type(p, json_array_get(one, 1));
        c[i].typmod = (int) json_integer_value(json_array_get(one, 2));
        if (!c[i].name || !c[i].type)
            return false;
    }
    *d = (struct description) {n_params, n_columns, types, c};
    *out = d;
    return true;
}

static void read_first(struct proof *p, const json_t *j, struct record *r)
{
    const json_t *sets = json_object_get(j, "sets");

    if (!json_is_array(sets))
        return;
    r->n_sets = (int) json_array_size(sets);
    r->sets = arena_array(p->a, struct arg_set, r->n_sets + 2);
    for (int i = 0; i < r->n_sets; i++) {
        const json_t *one = json_array_get(sets, (size_t) i), *v = json_object_get(one, "v");
        struct arg_set *s = &r->sets[i];

        *s = (struct arg_set) {.n = (int) json_array_size(v),
                               .is_given = json_is_true(json_object_get(one, "given")),
                               .runs = json_is_true(json_object_get(one, "runs"))};
        s->values = arena_array(p->a, const char *, s->n + 1);
        for (int k = 0; k < s->n; k++)
            s->values[k] = arena_strdup(p->a, json_string_value(json_array_get(v, (size_t) k)));
    }
    r->runs = json_is_true(json_object_get(j, "runs"));
    r->keeps_rows = json_is_true(json_object_get(j, "keeps"));
    r->leaves = copy_of(p, j, "leaves");
    r->clears = copy_of(p, j, "clears");
    r->first = read_outcome(p, json_object_get(j, "run"));
    r->has_first = true;
}

static void read_holds(struct proof *p, const json_t *j, struct record *r)
{
    r->n_holds = (int) json_array_size(j);
    r->holds = arena_array(p->a, struct record_hold, r->n_holds + 1);
    for (int i = 0; i < r->n_holds; i++) {
        const json_t *one = json_array_get(j, (size_t) i);
        r->holds[i].since = hex_of(json_array_get(one, 0));
        r->holds[i].outcome = read_outcome(p, json_array_get(one, 1));
    }
}

static void read_record(struct proof *p, const struct cache_line *l, struct record *r)
{
    json_error_t where;
    json_t *doc = json_loadb(l->text, l->n, 0, &where);

    if (doc && read_shape(p, json_object_get(doc, "d"), &r->shape)) {
        r->plan = read_outcome(p, json_object_get(doc, "p"));
        r->run = read_outcome(p, json_object_get(doc, "r"));
        r->is_whole = r->plan != NULL;
        read_first(p, json_object_get(doc, "a"), r);
        read_holds(p, json_object_get(doc, "h"), r);
        r->text = l->text;
        r->n_text = l->n;
    }
    if (!r->is_whole)
        *r = (struct record) {0};
    json_decref(doc);
}

/* ---- asking --------------------------------------------------------------------------------------------------- */

static void use(struct cache *c, struct record *r)
{
    if (c->n_used == c->cap_used) {
        c->cap_used = c->cap_used ? 2 * c->cap_used : 1024;
        c->used = realloc(c->used, sizeof(struct record *) * (size_t) c->cap_used);
        if (!c->used)
            abort();
    }
    c->used[c->n_used++] = r;
}

static uint64_t chain_next(const struct proof *p, const struct query *q, int state)
{
    uint64_t h = q->chain ? q->chain : query_start(p, q);

    h = print_number(print_number(h, q->surface), p->rows_print[state]);
    for (int i = 0; i < q->n_before; i++) {
        const struct query *b = q->before[i];
        h = print_number(print_number(h, query_start(p, b)), b->chain);
        h = print_number(h, query_surface(p, b));
    }
    return h ? h : 1;
}

void cache_enter(struct proof *p, struct query *q, int state)
{
    if (!p->cache)
        return;
    q->chain = chain_next(p, q, state);
    struct cache_line *l = line_add(p->cache, q->chain);
    if (!l->record) {
        l->record = arena_new(p->a, struct record);
        if (l->text)
            read_record(p, l, l->record);
        l->record->key = q->chain;
        use(p->cache, l->record);
    }
    q->record = l->record;
}

bool cache_plan(struct query *q, int state)
{
    const struct record *r = q->record;

    if (!r || !r->is_whole)
        return false;
    q->plan[state] = r->plan;
    q->shape[state] = r->shape;
    return true;
}

bool cache_first(struct proof *p, struct query *q, int state)
{
    const struct record *r = q->record;

    if (!r || !r->is_whole || !r->has_first)
        return false;
    q->sets = r->sets;
    q->n_sets = r->n_sets;
    q->has_args = true;
    q->runs = r->runs;
    q->keeps_rows = r->keeps_rows;
    q->leaves = r->leaves;
    q->clears = r->clears;
    answer_look_beside(p, q);
    q->run[state] = r->first;
    return true;
}

bool cache_hold(const struct query *q, const struct hold *h, const struct outcome **out)
{
    const struct record *r = q->record;

    for (int i = 0; r && i < r->n_holds; i++)
        if (r->holds[i].since == h->chain) {
            *out = r->holds[i].outcome;
            return true;
        }
    return false;
}

bool cache_run(struct query *q, int state)
{
    const struct record *r = q->record;

    if (!r || !r->is_whole)
        return false;
    q->run[state] = r->run;
    return true;
}

/* ---- noting --------------------------------------------------------------------------------------------------- */

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

void cache_note_first(struct query *q, int state)
{
    struct record *r = q->record;

    if (!r || r->is_whole)
        return;
    r->sets = q->sets;
    r->n_sets = q->n_sets;
    r->runs = q->runs;
    r->keeps_rows = q->keeps_rows;
    r->leaves = q->leaves;
    r->clears = q->clears;
    r->first = q->run[state];
    r->has_first = true;
}

void cache_note_hold(struct proof *p, struct query *q, const struct hold *h,
                     const struct outcome *o)
{
    struct record *r = q->record;
    const struct outcome *known;

    if (!r || cache_hold(q, h, &known))
        return;
    if (r->is_whole && r->shape && !r->shape_text) {
        AUTO(str) shape = {0};
        r->is_unkept = !put_shape(p, &shape, r->shape);
        r->shape_text = arena_strdup(p->a, str_text(&shape));
    }
    r->holds = arena_grow(p->a, r->holds, sizeof *r->holds * (size_t) r->n_holds,
                          sizeof *r->holds * (size_t) (r->n_holds + 1));
    r->holds[r->n_holds++] = (struct record_hold) {h->chain, o};
    r->is_new = true;
}

/* What was probed in this state and isn't from the cache. */
void cache_note(struct proof *p, struct query *q, int state)
{
    struct record *r = q->record;
    AUTO(str) shape = {0};

    if (!r || r->is_whole)
        return;
    if (q->shape[state] && !put_shape(p, &shape, q->shape[state])) {
        r->is_unkept = true;
        return;
    }
    r->plan = q->plan[state];
    r->shape = q->shape[state];
    r->run = q->run[state];
    r->shape_text = q->shape[state] ? arena_strdup(p->a, str_text(&shape)) : NULL;
    r->is_noted = r->is_new = true;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static void put_first(struct json_out *j, const struct record *r)
{
    json_object_begin(j, "a");
    json_array_begin(j, "sets");
    for (int i = 0; i < r->n_sets; i++) {
        json_object_begin(j, NULL);
        json_bool(j, "given", r->sets[i].is_given);
        json_bool(j, "runs", r->sets[i].runs);
        json_array_begin(j, "v");
        for (int k = 0; k < r->sets[i].n; k++)
            json_str(j, NULL, r->sets[i].values[k]);
        json_array_end(j);
        json_object_end(j);
    }
    json_array_end(j);
    json_bool(j, "runs", r->runs);
    json_bool(j, "keeps", r->keeps_rows);
    json_str(j, "leaves", r->leaves);
    json_str(j, "clears", r->clears);
    put_outcome(j, "run", r->first);
    json_object_end(j);
}

static void put_record(struct str *to, const struct record *r)
{
    struct json_out j;
    char hex[KEY_DIGITS + 1];

    json_begin(&j, to, false);
    json_object_begin(&j, NULL);
    snprintf(hex, sizeof hex, "%016" PRIx64, r->key);
    json_str(&j, "k", hex);
    put_outcome(&j, "p", r->plan);
    put_outcome(&j, "r", r->run);
    if (r->shape_text)
        json_raw(&j, "d", r->shape_text);
    if (r->has_first)
        put_first(&j, r);
    json_array_begin(&j, "h");
    for (int i = 0; i < r->n_holds; i++) {
        snprintf(hex, sizeof hex, "%" PRIx64, r->holds[i].since);
        json_array_begin(&j, NULL);
        json_str(&j, NULL, hex);
        put_outcome(&j, NULL, r->holds[i].outcome);
        json_array_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
}

void cache_write(struct proof *p)
{
    struct str *to = p->o->cache ? p->o->cache->out : NULL;
    struct json_out j;

    if (!p->cache || !to)
        return;
    json_begin(&j, to, false);
    json_object_begin(&j, NULL);
    json_int(&j, "phasegate_cache", FORMAT);
    json_str(&j, "salt", p->o->cache->salt);
    json_object_end(&j);
    str_add(to, "\n");
    for (int i = 0; i < p->cache->n_used; i++) {
        const struct record *r = p->cache->used[i];
        if (r->is_unkept || (!r->is_whole && !r->is_noted))
            continue;
        if (r->is_new)
            put_record(to, r);
        else
            str_addn(to, r->text, r->n_text);
        str_add(to, "\n");
    }
}
