/* What a schema is made of besides relations, of states that an earlier run came to in the same way. Asking for it takes
 * the server longer than a step does. */
#include "check/cache.h"

#include "phasegate/json_out.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- keys --------------------------------------------------------------------------------------------------- */

/* What a task makes of the schema hangs on nothing but the schema and its own text. */
static bool says_all(const struct proof *p, int state)
{
    const struct timeline_state *s = &p->t.states[state];

    if (p->broken[state] || p->endless[state] || p->forgot[state] || p->in_place[state])
        return false;
    if (s->by != STATE_TASK)
        return state == 0;
    switch (s->task->kind) {
    case TASK_STEP: break;
    case TASK_SYNC_INSTALL:
    case TASK_SYNC_REMOVE:
    case TASK_BACKFILL:
    case TASK_VERIFY:
    case TASK_COMPARE:
    case TASK_RUNG:
    case TASK_GATES: return true;
    case TASK_SOFT_DROP:
    case TASK_PURGE_DROP: return false;
    }
    for (int i = 0; i < s->task->step->n_stmts; i++)
        if (limits_is_opaque(&s->task->step->stmts[i]))
            return false;
    return s->task->step->command.n == 0;
}

/* The whole way from the baseline, and where it led as far as the catalogue says it. 0: nothing is kept. */
static uint64_t key_of(const struct proof *p, int state)
{
    uint64_t h = p->cache ? print_number(p->cache->salt, schema_surface(p)) : 0;

    if (!p->cache || p->o->next)
        return 0;
    for (int s = state; s >= 0; s = p->t.states[s].from) {
        if (!says_all(p, s))
            return 0;
        h = print_text(h, p->t.states[s].task ? p->t.states[s].task->checksum : NULL);
        h = print_number(h, s > 0 ? (uint64_t) p->t.states[s].task->kind : 0);
    }
    for (int i = 0; i < p->n_sessions; i++)
        h = print_text(h, p->sessions[i].role);
    h = print_text(h, shadow_owner(p->shadow));
    return h ? h : 1;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static bool read_one(struct arena *a, const json_t *j, struct schema_object *out)
{
    const char *name = json_string_value(json_array_get(j, 0));
    const char *sum = json_string_value(json_array_get(j, 1));

    *out = (struct schema_object) {.name = arena_strdup(a, name),
                                   .sum = sum ? strtoull(sum, NULL, 16) : 0,
                                   .is_idle = json_is_true(json_array_get(j, 2))};
    return name && sum;
}

static bool read_parts(struct arena *a, const json_t *line, struct parts *out)
{
    const json_t *list = json_object_get(line, "parts");
    struct parts parts = {arena_array(a, struct schema_object, json_array_size(list) + 1), 0};

    for (size_t i = 0; i < json_array_size(list); i++)
        if (!read_one(a, json_array_get(list, i), &parts.items[parts.n++]))
            return false;
    if (json_is_array(list))
        *out = parts;
    return json_is_array(list);
}

/* ---- keeping ------------------------------------------------------------------------------------------------ */

static void keep(struct proof *p, uint64_t key, const char *text, size_t n)
{
    struct cache *c = p->cache;

    for (int i = 0; i < c->n_parts; i++)
        if (c->parts[i].key == key)
            return;
    c->parts = arena_grow(p->a, c->parts, sizeof *c->parts * (size_t) c->n_parts,
                          sizeof *c->parts * (size_t) (c->n_parts + 1));
    c->parts[c->n_parts++] = (struct parts_line) {key, text, n};
}

void cache_keep_parts(struct proof *p, int state)
{
    uint64_t key = key_of(p, state);
    const struct cache_line *l = key ? cache_line_at(p->cache, key) : NULL;

    if (l && l->text)
        keep(p, key, l->text, l->n);
}

bool cache_parts(struct proof *p, int state, struct arena *a, struct parts *out)
{
    uint64_t key = key_of(p, state);
    struct cache_line *l = key ? cache_line_at(p->cache, key) : NULL;

    if (!l || !l->text)
        return false;
    json_t *line = cache_line_json(l);
    bool ok = read_parts(a, line, out);
    l->read_ahead = NULL;
    json_decref(line);
    return ok;
}

void cache_note_parts(struct proof *p, int state, const struct parts *parts)
{
    uint64_t key = key_of(p, state);
    AUTO(str) text = {0};
    struct json_out j;

    if (!key)
        return;
    json_begin(&j, &text, false);
    json_object_begin(&j, NULL);
    json_str(&j, "k", print_hex(p->scratch, key));
    json_array_begin(&j, "parts");
    for (int i = 0; i < parts->n; i++) {
        json_array_begin(&j, NULL);
        json_str(&j, NULL, parts->items[i].name);
        json_str(&j, NULL, print_hex(p->scratch, parts->items[i].sum));
        json_bool(&j, NULL, parts->items[i].is_idle);
        json_array_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
    keep(p, key, arena_strdup(p->a, str_text(&text)), text.len);
}
