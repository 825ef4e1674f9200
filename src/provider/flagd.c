/* flagd: one flag of a flagd definition, as a percentage and back.
 *
 * Understood: boolean variants, a default, and a targeting rule that is one `fractional` over
 * the two variants, bare or behind "the context has the value at all". Everything else is
 * COMPLEX. */
#include "provider.h"
#include <string.h>

static void read_variants(struct arena *a, const json_t *variants, struct flagd_shape *s)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *) variants, name, value)
    {
        if (json_is_true(value) && !s->on)
            s->on = arena_strdup(a, name);
        else if (json_is_false(value) && !s->off)
            s->off = arena_strdup(a, name);
        else
            s->why = "its variants aren't one true and one false";
    }
    if (!s->why && (!s->on || !s->off))
        s->why = "its variants aren't one true and one false";
}

/* {"var": name}, or {"cat": [{"var": "$flagd.flagKey"}, {"var": name}]} */
static const char *bucket_of(const json_t *j)
{
    const json_t *cat = json_object_get(j, "cat");

    if (cat)
        j = json_array_get(cat, json_array_size(cat) - 1);
    j = json_object_get(j, "var");
    return json_string_value(json_is_array(j) ? json_array_get(j, 0) : j);
}

static bool read_share(const json_t *pair, const char *variant, double *out)
{
    const json_t *weight = json_array_get(pair, 1);
    const char *name = json_string_value(json_array_get(pair, 0));

    if (!name || strcmp(name, variant) != 0 || json_array_size(pair) > 2)
        return false;
    *out = weight ? json_number_value(weight) : 1; /* flagd: no weight is weight 1 */
    return !weight || json_is_number(weight);
}

static bool read_fractional(struct arena *a, const json_t *rule, struct flagd_shape *s)
{
    size_t n = json_array_size(rule), first = json_is_object(json_array_get(rule, 0)) ? 1 : 0;
    double on, off, percent;

    if (n != first + 2)
        return false;
    if (!(read_share(json_array_get(rule, first), s->on, &on) &&
          read_share(json_array_get(rule, first + 1), s->off, &off)) &&
        !(read_share(json_array_get(rule, first), s->off, &off) &&
          read_share(json_array_get(rule, first + 1), s->on, &on)))
        return false;
    if (on < 0 || off < 0 || on + off <= 0)
        return false;
    percent = on * 100 / (on + off);
    if (percent != (int) percent)
        return false;
    s->percent = (int) percent;
    s->bucket_by = first ? arena_strdup(a, bucket_of(json_array_get(rule, 0))) : "targetingKey";
    return true;
}

static bool read_targeting(struct arena *a, const json_t *targeting, struct flagd_shape *s)
{
    const json_t *branch = json_object_get(targeting, "if");
    const char *otherwise = json_string_value(json_array_get(branch, 2));

    if (json_object_size(targeting) != 1)
        return false;
    if (branch) {
        const json_t *guard = json_array_get(branch, 0), *sides = json_object_get(guard, "!=");

        if (json_array_size(branch) != 3 || !otherwise || strcmp(otherwise, s->off) != 0 ||
            json_object_size(guard) != 1 || json_array_size(sides) != 2 ||
            !json_object_get(json_array_get(sides, 0), "var") ||
            !json_is_null(json_array_get(sides, 1)))
            return false;
        targeting = json_array_get(branch, 1);
        if (json_object_size(targeting) != 1)
            return false;
    }
    return read_fractional(a, json_object_get(targeting, "fractional"), s);
}

void flagd_read(struct arena *a, const json_t *flag, struct flagd_shape *out)
{
    const json_t *targeting = json_object_get(flag, "targeting");
    const char *state = json_string_value(json_object_get(flag, "state"));
    const char *preset = json_string_value(json_object_get(flag, "defaultVariant"));
    struct flagd_shape s = {.state = FLAG_COMPLEX};

    s.fingerprint = flag_digest(a, provider_dump(a, flag));
    read_variants(a, json_object_get(flag, "variants"), &s);
    if (s.why) {
        *out = s;
        return;
    }
    if (state && strcmp(state, "ENABLED") != 0) {
        s.why = "it is DISABLED, so applications use the default in their code";
    } else if (!preset || (strcmp(preset, s.on) != 0 && strcmp(preset, s.off) != 0)) {
        s.why = "its defaultVariant is none of its variants";
    } else if (!targeting || json_is_null(targeting) || json_object_size(targeting) == 0) {
        s.state = strcmp(preset, s.on) == 0 ? FLAG_ON : FLAG_OFF;
        s.percent = s.state == FLAG_ON ? 100 : 0;
    } else if (!read_targeting(a, targeting, &s)) {
        s.why = "its targeting is more than a percentage of two variants";
    } else {
        s.state = flag_value_percent(s.percent).state;
    }
    *out = s;
}

void flagd_write(json_t *flag, const struct flagd_shape *shape, int percent, const char *bucket_by,
                 const char *op_id)
{
    const char *on = shape->on ? shape->on : "on", *off = shape->off ? shape->off : "off";
    json_t *variants = json_object_get(flag, "variants"),
           *metadata = json_object_get(flag, "metadata");

    if (!json_is_object(variants)) {
        variants = json_object();
        json_object_set_new(flag, "variants", variants);
    }
    json_object_set_new(variants, on, json_true());
    json_object_set_new(variants, off, json_false());
    /* Never DISABLED: then an application would fall back to the default in its code. */
    json_object_set_new(flag, "state", json_string("ENABLED"));
    json_object_set_new(flag, "defaultVariant", json_string(percent >= 100 ? on : off));
    if (percent <= 0 || percent >= 100)
        json_object_del(flag, "targeting");
    else /* A context without the value is off; else all of them would share one bucket. */
        json_object_set_new(flag, "targeting",
                            json_pack("{s:[{s:[{s:s},n]},{s:[{s:[{s:s},{s:s}]},[s,i],[s,i]]},s]}",
                                      "if", "!=", "var", bucket_by, "fractional", "cat", "var",
                                      "$flagd.flagKey", "var", bucket_by, on, percent, off,
                                      100 - percent, off));
    if (!op_id)
        return;
    if (!json_is_object(metadata)) {
        metadata = json_object();
        json_object_set_new(flag, "metadata", metadata);
    }
    json_object_set_new(metadata, "phasegate", json_string(op_id));
}
