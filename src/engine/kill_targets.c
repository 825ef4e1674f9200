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

static bool is_among(const char *plan, const char *const *plans, int n)
{
    for (int i = 0; plan && i < n; i++)
        if (strcmp(plans[i], plan) == 0)
            return true;
    return false;
}

static int role_of(const char *word)
{
    for (int role = 0; word && role < FLAG_ROLES; role++)
        if (strcmp(flag_role_word((enum flag_role) role), word) == 0)
            return role;
    return -1;
}

void flag_kill_add_known(struct arena *a, const struct flag_ops *ops,
                         const struct known_flag *known, int n_known, const char *const *plans,
                         int n_plans, struct flag_kill_target **list, int *n)
{
    AUTO(arena) scratch = {0};
    struct keys seen;

    keys_begin(&seen, &scratch, *n + n_known + 1);
    for (int i = 0; i < *n; i++)
        keys_add(&seen, (*list)[i].ref.key);
    *list = arena_grow(a, *list, sizeof **list * (size_t) *n,
                       sizeof **list * (size_t) (*n + n_known + 1));
    for (int i = 0; i < n_known; i++) {
        const struct known_flag *k = &known[i];

        if ((plans && !is_among(k->plan, plans, n_plans)) ||
            (k->stage && strcmp(k->stage, stage_word(STAGE_PURGED)) == 0) ||
            !keys_add(&seen, k->key))
            continue;
        (*list)[(*n)++] = (struct flag_kill_target) {
            .ref = {.service = ops->service, .key = k->key},
            .plan = k->plan,
            .role = k->plan ? role_of(k->role) : -1,
            .remembered = true,
        };
    }
}

/* May this change, made by hand and for no plan, have left the flag on? */
static bool may_be_on(const struct flag_entry *e)
{
    return e->desired > 0 && (!e->answered || e->answer == FLAG_OK || e->answer == FLAG_NOCHANGE ||
                              e->answer == FLAG_IN_DOUBT);
}

bool flag_journal_known(const struct flag_ops *ops, struct arena *a, struct known_flag **out,
                        int *out_n, struct err *err)
{
    AUTO(arena) scratch = {0};
    struct flag_entry *e = NULL;
    struct keys seen;
    int n = 0;

    *out_n = 0;
    if (!flag_journal_load(ops, a, &e, &n, err))
        return false;
    *out = arena_array(a, struct known_flag, n + 1);
    keys_begin(&seen, &scratch, n + 1);
    for (int pass = 0; pass < 2; pass++)
        for (int i = n - 1; i >= 0; i--)
            if ((pass ? !e[i].plan && may_be_on(&e[i]) : e[i].plan != NULL) &&
                keys_add(&seen, e[i].key))
                (*out)[(*out_n)++] =
                    (struct known_flag) {.key = e[i].key, .plan = e[i].plan, .role = e[i].role};
    return true;
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
