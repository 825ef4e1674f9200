/* kill_targets: which flags a kill is about. */
#include "kill.h"

#include <stdlib.h>
#include <string.h>

/* Keys that are in the list already: a kill of everything may be of tens of thousands. */
struct keys {
    const char **slots; /* open addressing */
    size_t mask;
};

static void keys_begin(struct keys *s, struct arena *a, int n)
{
    size_t size = 16;

    while (size < 2 * (size_t) n)
        size *= 2;
    s->slots = arena_array(a, const char *, size);
    s->mask = size - 1;
}

static bool keys_add(struct keys *s, const char *key)
{
    uint32_t hash = 2166136261u;

    for (const char *p = key; *p; p++)
        hash = (uint32_t) (((uint64_t) hash ^ (unsigned char) *p) * 16777619u);
    for (size_t i = hash & s->mask;; i = (i + 1) & s->mask) {
        if (!s->slots[i]) {
            s->slots[i] = key;
            return true;
        }
        if (strcmp(s->slots[i], key) == 0)
            return false;
    }
}

void flag_kill_targets(struct arena *a, const struct flag_ops *ops, const struct plan *const *plans,
                       int n_plans, const char *const *keys, int n_keys,
                       struct flag_kill_target **out, int *out_n)
{
    struct flag_kill_target *list =
        arena_array(a, struct flag_kill_target, n_plans * FLAG_ROLES + n_keys + 1);
    AUTO(arena) scratch = {0};
    struct keys known;
    int n = 0;

    keys_begin(&known, &scratch, n_plans * FLAG_ROLES + n_keys + 1);
    for (int i = 0; i < n_plans; i++) {
        for (int role = 0; role < FLAG_ROLES; role++) {
            const struct flag_decl *d = &plans[i]->flags[role];

            if (!d->key.s || !keys_add(&known, d->key.s))
                continue;
            list[n++] = (struct flag_kill_target) {
                .ref = {.service = ops->service, .key = d->key.s, .bucket_by = d->bucket_by.s},
                .plan = plans[i]->id.s,
                .role = role,
            };
        }
    }
    for (int i = 0; i < n_keys; i++) {
        if (!keys_add(&known, keys[i]))
            continue;
        list[n++] = (struct flag_kill_target) {.ref = {.service = ops->service, .key = keys[i]},
                                               .role = -1};
    }
    *out = list;
    *out_n = n;
}

static int by_plan(const void *a, const void *b)
{
    const struct kill_job *x = *(struct kill_job *const *) a, *y = *(struct kill_job *const *) b;

    return strcmp(x->r->plan, y->r->plan);
}

void kill_chain_plans(struct kill *k)
{
    AUTO(arena) scratch = {0};
    struct kill_job **sorted = arena_array(&scratch, struct kill_job *, k->n + 1);
    int n = 0;

    for (int i = 0; i < k->n; i++)
        if (k->jobs[i].r->plan)
            sorted[n++] = &k->jobs[i];
    if (n > 0)
        qsort(sorted, (size_t) n, sizeof *sorted, by_plan);
    for (int i = 0; i < n; i++) {
        bool same = i > 0 && by_plan(&sorted[i - 1], &sorted[i]) == 0;

        sorted[i]->plan_first = same ? sorted[i - 1]->plan_first : sorted[i];
        if (same)
            sorted[i - 1]->plan_next = sorted[i];
    }
}
