/* Values for a second call, that differ from those of the first. */
#include "check/seed.h"
#include "check/unique.h"
#include "check/writes.h"

#define TRIED 4

/* For a column, or where none is known for a parameter of a type. */
static const char *nth_value(struct proof *p, const struct cat_column *c, unsigned type,
                             int variant)
{
    return c ? column_value(p, &p->now, c, variant)
             : value_of(p->scratch, &p->now, type, 0, -1, variant);
}

/* variant 0: what the other one of our rows has; NULL: the value is of neither. */
static const char *another(struct proof *p, const struct cat_column *c, unsigned type,
                           const char *value, int variant)
{
    if (variant > 0)
        return nth_value(p, c, type, variant);
    for (int own = 1; own <= 2; own++) {
        const char *v = nth_value(p, c, type, own);

        if (v && strcmp(v, value) == 0)
            return nth_value(p, c, type, 3 - own);
    }
    return NULL;
}

const char *unique_other_value(struct proof *p, const struct query *q, int param, const char *value,
                               int variant)
{
    const struct cat_relation *r = NULL;
    bool is_written = false, by_insert = false;
    const struct cat_column *c = args_column(p, q, param, &r, &is_written, &by_insert);
    const struct description *d = q->shape[p->state];

    for (int n = 0; value && n < TRIED; n++) {
        const char *v = NULL;
        if (!c)
            v = d && param <= d->n_params
                    ? another(p, NULL, d->params[param - 1], value, variant ? variant + n : 0)
                    : NULL;
        else if (seed_parents_value(p, r, c, 1))
            v = seed_parents_value(p, r, c, 1 + n);
        else if (is_written)
            v = another(p, c, 0, value, variant ? variant + n : 0);
        for (int i = 0, nth = 0; c && !is_written && i < p->n_seeds; i++)
            if (p->seeds[i].relation == r->oid && nth++ == n)
                v = seed_value(&p->seeds[i], c->name);
        if (v && strcmp(v, value) != 0)
            return v;
    }
    return NULL;
}

struct arg_set unique_copy(struct proof *p, const struct arg_set *set)
{
    struct arg_set copy = {arena_array(p->scratch, const char *, set->n + 1), set->n, false, true};

    memcpy(copy.values, set->values, sizeof *set->values * (size_t) set->n);
    return copy;
}
