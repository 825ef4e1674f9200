/* plan_build: plans for tests of what is generated from them, written as rows of text. */
#ifndef PHASEGATE_PLAN_BUILD_H
#define PHASEGATE_PLAN_BUILD_H

#include "phasegate/model.h"

#define BUILD_PAIRS 4

struct build_pair {
    const char *key, *value;
};

/* Ends of lists are NULL. */
struct build_sync {
    const char *plan, *schema, *table;
    struct build_pair forward[BUILD_PAIRS], reverse[BUILD_PAIRS];
    const char
        *reads[BUILD_PAIRS]; /* columns that forward reads; reverse reads what forward writes */
};

static inline struct pair_list build_pairs(struct arena *a, const struct build_pair *from)
{
    struct pair_list out = {arena_array(a, struct pair, BUILD_PAIRS), 0};

    for (; out.n < BUILD_PAIRS && from[out.n].key; out.n++)
        out.items[out.n] = (struct pair) {{.s = from[out.n].key}, {.s = from[out.n].value}};
    return out;
}

static inline struct plan build_plan(struct arena *a, const struct build_sync *from)
{
    struct plan p = {.id.s = from->plan ? from->plan : "widen"};
    struct sync *s = &p.sync;

    s->by = SYNC_TRIGGER;
    s->schema.s = from->schema;
    s->table.s = from->table;
    s->forward = build_pairs(a, from->forward);
    s->reverse = build_pairs(a, from->reverse);
    s->forward_columns.items = arena_array(a, struct text, BUILD_PAIRS);
    for (int *n = &s->forward_columns.n; *n < BUILD_PAIRS && from->reads[*n]; ++*n)
        s->forward_columns.items[*n].s = from->reads[*n];
    s->reverse_columns.items = arena_array(a, struct text, BUILD_PAIRS);
    for (int *n = &s->reverse_columns.n; *n < s->forward.n; ++*n)
        s->reverse_columns.items[*n] = s->forward.items[*n].key;
    return p;
}

#endif
