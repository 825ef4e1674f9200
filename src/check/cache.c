/* What an earlier run found out, so that only what a change touches is put to the shadow again.
 *
 * A record belongs to a query and to its chain: everything that its outcomes depend on, from the baseline to the state
 * in which it was probed (text, session, arguments; what it touched each time that it was probed; the data that steps
 * changed). The same chain has the same outcomes. What isn't in a record is asked for as if there were none.
 *
 * As text: a line of JSON each, the first of which names the salt. A line is only parsed when its key is asked for,
 * and goes into the next text as it is. What records share, they name by the key of a line of its own.
 */
#include "check/cache.h"
#include "check/met.h"

#include "phasegate/json_out.h"

#include <stdlib.h>

#define FORMAT 4

/* ---- keys --------------------------------------------------------------------------------------------------- */

uint64_t print_number(uint64_t h, uint64_t v)
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
    return met_print(p, q, h);
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
    uint64_t before = from >= 0 ? p->rows_print[from] : foreseen_print(p);
    uint64_t own = rows_of(p, state);

    p->rows_print[state] = own || p->forgot[state]
                               ? print_number(print_number(before, own), p->forgot[state])
                               : before;
    cache_keep_parts(p, state);
}

/* ---- what will change --------------------------------------------------------------------------------------- */

static bool was_there(const struct cache *c, const char *checksum)
{
    const json_t *one;
    size_t i;

    json_array_foreach(c->tasks, i, one)
    {
        if (strcmp(json_string_value(one) ? json_string_value(one) : "", checksum) == 0)
            return true;
    }
    return false;
}

/* Which tables tasks change that the run before didn't have, as far as it is in their words. */
static void foresee(struct proof *p)
{
    struct cache *c = p->cache;
    int room = 0;

    for (int i = 0; i < p->t.n_states; i++)
        room += p->t.states[i].task && p->t.states[i].task->step
                    ? p->t.states[i].task->step->n_stmts
                    : 0;
    c->tables = arena_array(p->a, const char *, room + 1);
    for (int i = 0; i < p->t.n_states; i++) {
        const struct task *t = p->t.states[i].task;

        if (!t || was_there(c, t->checksum))
            continue;
        c->any_table |= !t->step || t->step->n_stmts == 0;
        for (int k = 0; t->step && k < t->step->n_stmts; k++) {
            c->any_table |= !t->step->stmts[k].table;
            c->tables[c->n_tables++] = t->step->stmts[k].table;
        }
    }
}

bool cache_foresees(const struct proof *p, const struct query *q)
{
    const struct cache *c = p->cache;

    if (!c || !c->tasks || c->any_table || !q->record || !q->record->is_whole || !q->facts.parsed)
        return false;
    for (int i = 0; i < q->facts.n_rels; i++)
        for (int k = 0; k < c->n_tables; k++)
            if (strcmp(q->facts.rels[i].name, c->tables[k]) == 0)
                return false;
    return true;
}

/* ---- lines -------------------------------------------------------------------------------------------------- */

struct cache_line *cache_line_at(const struct cache *c, uint64_t key)
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
            *cache_line_at(c, old[i].key) = old[i];
    free(old);
}

json_t *cache_line_json(struct cache_line *l)
{
    json_error_t where;

    return l->read_ahead ? l->read_ahead : json_loadb(l->text, l->n, 0, &where);
}

struct cache_line *cache_line_add(struct cache *c, uint64_t key)
{
    if (2 * (c->n + 1) > c->room)
        grow(c);
    struct cache_line *l = cache_line_at(c, key);
    c->n += !l->key;
    l->key = key;
    return l;
}

static uint64_t text_key(const char *line, size_t n)
{
    size_t start = strlen(CACHE_KEY_START);
    char digits[CACHE_KEY_DIGITS + 1] = "", *end;

    if (n < start + CACHE_KEY_DIGITS + 2 || memcmp(line, CACHE_KEY_START, start) != 0)
        return 0;
    memcpy(digits, line + start, CACHE_KEY_DIGITS);
    uint64_t key = strtoull(digits, &end, 16);
    return *end ? 0 : key;
}

/* Another program, another baseline, another day: nothing of it holds. */
static bool has_salt(struct cache *c, const char *text, size_t n, const char *salt)
{
    json_error_t where;
    json_t *doc = json_loadb(text, n, 0, &where);
    const char *own = json_string_value(json_object_get(doc, "salt"));
    bool is = json_integer_value(json_object_get(doc, "phasegate_cache")) == FORMAT && own &&
              strcmp(own, salt) == 0;

    if (is) {
        c->tasks = json_incref(json_object_get(doc, "tasks"));
        c->undone = json_incref(json_object_get(doc, "undone"));
    }
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
        if ((is_first && !has_salt(c, at, n, from->salt)) || !stop)
            return;
        is_first = false;
        if (key) {
            struct cache_line *l = cache_line_add(c, key);
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
    /* Room for its lines, which are longer. */
    while (p->cache->room < from->n / 64)
        grow(p->cache);
    p->cache->salt = print_text(print_number(PRINT_START, FORMAT), from->salt);
    read_lines(p->cache, from);
    foresee(p);
}

/* What will be asked for first was written first. Only while nobody waits for it: each has its price in memory. */
void cache_read_ahead(struct proof *p)
{
    const struct check_cache *from = p->o->cache;
    const char *at = p->cache ? from->text : NULL, *stop;

    while (at && shadow_is_starting(p->shadow) &&
           (stop = memchr(at, '\n', (size_t) (from->text + from->n - at)))) {
        uint64_t key = text_key(at, (size_t) (stop - at));
        struct cache_line *l = key ? cache_line_at(p->cache, key) : NULL;

        if (l && l->text == at && !cache_line_has_facts(l))
            record_read_ahead(p, l);
        at = stop + 1;
    }
}

void cache_of_server(struct proof *p)
{
    if (p->cache)
        p->cache->salt = print_number(p->cache->salt, (uint64_t) shadow_server_version(p->shadow));
}

void cache_end(struct proof *p)
{
    if (!p->cache)
        return;
    for (size_t i = 0; i < p->cache->room; i++)
        json_decref(p->cache->lines[i].read_ahead);
    free(p->cache->lines);
    free(p->cache->used);
    free(p->cache->bodies);
    json_decref(p->cache->tasks);
    json_decref(p->cache->undone);
    json_decref(p->cache->undone_now);
    free(p->cache);
    p->cache = NULL;
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
    struct cache_line *l = cache_line_add(p->cache, q->chain);
    if (!l->record) {
        l->record = arena_new(p->a, struct record);
        if (l->text)
            record_read(p, l, l->record);
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

    if (!r || !r->is_whole || !r->has_first || ((r->leaves || r->clears) && q->facts.n_writes == 0))
        return false;
    q->sets = r->sets;
    q->n_sets = r->n_sets;
    q->has_args = true;
    q->runs = r->runs;
    q->keeps_rows = r->keeps_rows;
    q->needs_session = r->needs_session;
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
    r->holds = arena_grow(p->a, r->holds, sizeof *r->holds * (size_t) r->n_holds,
                          sizeof *r->holds * (size_t) (r->n_holds + 1));
    r->holds[r->n_holds++] = (struct record_hold) {h->chain, o};
    r->is_new = true;
}

/* What was probed in this state and isn't from the cache. */
void cache_note(struct proof *p, struct query *q, int state)
{
    struct record *r = q->record;

    if (!r || r->is_whole)
        return;
    if (!record_shape_body(p, q->shape[state], &r->shape_body)) {
        r->is_unkept = true;
        return;
    }
    r->plan = q->plan[state];
    r->shape = q->shape[state];
    r->run = q->run[state];
    r->needs_session = q->needs_session;
    r->is_noted = r->is_new = true;
}

/* ---- undos --------------------------------------------------------------------------------------------------- */

uint64_t cache_undo_key(const struct proof *p, uint64_t surface, const struct sql_list *undo,
                        const struct sql_list *step)
{
    if (!p->cache)
        return 0;
    uint64_t h = print_number(p->cache->salt, surface);

    for (int i = 0; i < step->n; i++)
        h = print_text(h, step->items[i]);
    h = print_text(h, NULL);
    for (int i = 0; i < undo->n; i++)
        h = print_text(h, undo->items[i]);
    return h;
}

bool cache_undo_is_right(struct proof *p, uint64_t key)
{
    const char *hex = print_hex(p->a, key);
    size_t i;
    json_t *known;

    if (!p->cache || !key)
        return false;
    json_array_foreach(p->cache->undone, i, known)
    {
        const char *text = json_string_value(known);
        if (text && strcmp(text, hex) == 0)
            return true;
    }
    return false;
}

void cache_note_undo(struct proof *p, uint64_t key)
{
    if (!p->cache || !key)
        return;
    if (!p->cache->undone_now)
        p->cache->undone_now = json_array();
    json_array_append_new(p->cache->undone_now, json_string(print_hex(p->a, key)));
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

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
    json_array_begin(&j, "tasks");
    for (int i = 0; i < p->t.n_states; i++)
        if (p->t.states[i].task)
            json_str(&j, NULL, p->t.states[i].task->checksum);
    json_array_end(&j);
    json_array_begin(&j, "undone");
    for (size_t i = 0; i < json_array_size(p->cache->undone_now); i++)
        json_str(&j, NULL, json_string_value(json_array_get(p->cache->undone_now, i)));
    json_array_end(&j);
    json_object_end(&j);
    str_add(to, "\n");
    for (int i = 0; i < p->cache->n_used; i++) {
        struct record *r = p->cache->used[i];
        if (r->is_unkept || (!r->is_whole && !r->is_noted))
            continue;
        if (r->is_new)
            record_put(p, to, r);
        else
            str_addn(to, r->text, r->n_text);
        str_add(to, "\n");
        record_use_bodies(p, r);
    }
    for (int i = 0; i < p->cache->n_parts; i++) {
        str_addn(to, p->cache->parts[i].text, p->cache->parts[i].n);
        str_add(to, "\n");
    }
    for (int i = 0; i < p->cache->n_bodies; i++) {
        str_addn(to, p->cache->bodies[i]->text, p->cache->bodies[i]->n);
        str_add(to, "\n");
    }
    cache_put_facts(p, to);
}
