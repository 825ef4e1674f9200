/* unleash_shape: what one environment of an Unleash flag amounts to. */
#ifndef PHASEGATE_PROVIDER_UNLEASH_SHAPE_H
#define PHASEGATE_PROVIDER_UNLEASH_SHAPE_H

#include "provider.h"

struct unleash_shape {
    enum flag_state state; /* OFF, ON, PERCENT, COMPLEX, ARCHIVED */
    int percent;
    const char *foreign; /* why it isn't ours to write to; NULL: it is */
    const char *fingerprint;
    bool enabled; /* the environment's switch */
    int n_strategies, n_active;
    /* The one strategy that a percentage would be written to; id NULL: there is none. */
    const char *id, *stickiness;
    int rollout; /* -1: no whole number */
    bool disabled;
};

/* strategies and dependencies may be NULL. enabled: the environment's switch. */
void unleash_shape_read(struct arena *a, bool enabled, const json_t *strategies,
                        const json_t *dependencies, const json_t *release_plans,
                        struct unleash_shape *out);

/* The last answer of a call: /api/client/features (OBSERVE delivered, PREFLIGHT), search/events
 * (HISTORY). */
enum flag_next unleash_after_client(struct flag_call *call, const struct http_res *res);
enum flag_next unleash_after_history(struct flag_call *call, const struct http_res *res);

#endif
