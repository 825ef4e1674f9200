/* kill_targets: which flags a kill is about. */
#include "phasegate/flag_ops.h"

#include <string.h>

static bool is_listed(const struct flag_kill_target *list, int n, const char *key)
{
    for (int i = 0; i < n; i++)
        if (strcmp(list[i].ref.key, key) == 0)
            return true;
    return false;
}

void flag_kill_targets(struct arena *a, const struct flag_ops *ops, const struct plan *const *plans,
                       int n_plans, const char *const *keys, int n_keys,
                       struct flag_kill_target **out, int *out_n)
{
    struct flag_kill_target *list =
        arena_array(a, struct flag_kill_target, n_plans * FLAG_ROLES + n_keys + 1);
    int n = 0;

    for (int i = 0; i < n_plans; i++) {
        for (int role = 0; role < FLAG_ROLES; role++) {
            const struct flag_decl *d = &plans[i]->flags[role];

            if (!d->key.s || is_listed(list, n, d->key.s))
                continue;
            list[n++] = (struct flag_kill_target) {
                .ref = {.service = ops->service, .key = d->key.s, .bucket_by = d->bucket_by.s},
                .plan = plans[i]->id.s,
                .role = role,
            };
        }
    }
    for (int i = 0; i < n_keys; i++) {
        if (is_listed(list, n, keys[i]))
            continue;
        list[n++] = (struct flag_kill_target) {.ref = {.service = ops->service, .key = keys[i]},
                                               .role = -1};
    }
    *out = list;
    *out_n = n;
}
