/* unleash_shape: strategies are OR-ed, so one percentage means something only when it stands
 * alone. */
#include "unleash_shape.h"
#include <string.h>

static bool has_items(const json_t *list) { return json_array_size(list) > 0; }

/* What besides its percentage decides in this strategy? NULL: nothing. */
static const char *strategy_foreign(struct arena *a, const json_t *s)
{
    const char *name = json_string_value(json_object_get(s, "name"));

    if (!name || strcmp(name, "flexibleRollout") != 0)
        return arena_printf(a, "it has a strategy \"%s\"", name ? name : "?");
    if (has_items(json_object_get(s, "constraints")))
        return "its strategy has constraints";
    if (has_items(json_object_get(s, "segments")))
        return "its strategy has segments";
    if (json_is_string(json_object_get(s, "milestoneId")))
        return "its strategy belongs to a release plan";
    return NULL;
}

static void read_strategy(struct arena *a, const json_t *s, struct unleash_shape *out)
{
    const json_t *parameters = json_object_get(s, "parameters");

    out->foreign = strategy_foreign(a, s);
    out->id = arena_strdup(a, json_string_value(json_object_get(s, "id")));
    out->stickiness = arena_strdup(a, json_string_value(json_object_get(parameters, "stickiness")));
    out->rollout = provider_percent(json_string_value(json_object_get(parameters, "rollout")));
    out->disabled = json_is_true(json_object_get(s, "disabled"));
    if (!out->foreign && out->rollout < 0)
        out->foreign = "its rollout isn't a whole number from 0 to 100";
}

/* What users get, once the environment is on. */
static void read_effect(const json_t *only, struct unleash_shape *out)
{
    const char *name = json_string_value(json_object_get(only, "name"));
    bool everybody = name && strcmp(name, "default") == 0 &&
                     !has_items(json_object_get(only, "constraints")) &&
                     !has_items(json_object_get(only, "segments"));

    if (out->n_active == 1 && !out->foreign) {
        struct flag_value v = flag_value_percent(out->rollout);

        out->state = v.state;
        out->percent = v.percent;
    } else if (out->n_active == 1 && everybody) {
        out->state = FLAG_ON;
        out->percent = 100;
    }
}

void unleash_shape_read(struct arena *a, bool enabled, const json_t *strategies,
                        const json_t *dependencies, const json_t *release_plans,
                        struct unleash_shape *out)
{
    struct unleash_shape s = {.state = FLAG_COMPLEX, .rollout = -1, .enabled = enabled};
    const json_t *only = NULL;
    json_t *strategy;
    size_t i;

    json_array_foreach((json_t *) strategies, i, strategy)
    {
        bool active = !json_is_true(json_object_get(strategy, "disabled"));

        s.n_strategies++;
        s.n_active += active;
        if (active || !only)
            only = strategy;
    }
    if (s.n_active == 1 || s.n_strategies == 1)
        read_strategy(a, only, &s);
    if (s.n_active > 1 || (s.n_active == 0 && s.n_strategies > 1))
        s.foreign = arena_printf(a, "it has %d strategies", s.n_strategies);
    if (has_items(dependencies))
        s.foreign = "it depends on another flag";
    if (has_items(release_plans))
        s.foreign = "a release plan of the service works on it";

    if (!enabled) {
        s.state = FLAG_OFF;
    } else if (s.n_active == 0) {
        s.foreign = s.foreign ? s.foreign : "it is on without an active strategy";
    } else {
        read_effect(only, &s);
    }
    s.fingerprint = flag_digest(
        a, arena_printf(a, "%d%s%s%s", enabled, provider_dump(a, strategies),
                        provider_dump(a, dependencies), provider_dump(a, release_plans)));
    *out = s;
}
