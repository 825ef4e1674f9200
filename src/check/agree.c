/* Values of one transaction that were made up, each statement for itself: where an application would hand the same one to
 * two of its statements, they get the same one here.
 */
#include "check/writes.h"

struct meeting { /* what a parameter is for */
    const struct query *q;
    const struct cat_relation *r;
    const struct cat_column *c; /* NULL: not known */
    const char *name;           /* NULL: the style has none */
    bool is_written, by_insert;
};

static struct meeting meeting_of(const struct proof *p, const struct query *q, int n)
{
    struct meeting m = {
        .q = q, .name = q->s->param_names && n <= q->s->n_params ? q->s->param_names[n - 1] : NULL};

    m.c = args_column(p, q, n, &m.r, &m.is_written, &m.by_insert);
    return m;
}

/* a points at the column that b is for. */
static bool points_at(const struct meeting *a, const struct meeting *b)
{
    const struct cat_constraint *k = cat_key_to(a->r, a->c, b->r, b->c);

    return k && k->n_columns == 1;
}

static bool is_key(const struct meeting *m)
{
    for (int i = 0; i < m->r->n_constraints; i++)
        for (int k = 0; k < m->r->constraints[i].n_columns; k++)
            if (m->r->constraints[i].type == 'p' && m->r->constraints[i].columns[k] == m->c->number)
                return true;
    return false;
}

/* Old and new side of a plan. */
static bool are_sides(const struct proof *p, const char *a, const char *b)
{
    for (int i = 0; i < p->t.n_plans; i++)
        for (int k = 0; k < p->t.plans[i]->sync.forward.n; k++) {
            const struct pair *pair = &p->t.plans[i]->sync.forward.items[k];
            if ((strcmp(pair->key.s, a) == 0 && strcmp(pair->value.s, b) == 0) ||
                (strcmp(pair->key.s, b) == 0 && strcmp(pair->value.s, a) == 0))
                return true;
        }
    return false;
}

static bool has_param(const struct query *q, const char *name)
{
    for (int i = 0; q->s->param_names && i < q->s->n_params; i++)
        if (q->s->param_names[i] && strcmp(q->s->param_names[i], name) == 0)
            return true;
    return false;
}

/* By its name; by the column, unless that is the key of another table; as a key and what points at it. */
static bool are_one(const struct proof *p, const struct meeting *a, const struct meeting *b)
{
    if (a->name && b->name && strcmp(a->name, b->name) == 0)
        return true;
    if ((a->name && has_param(b->q, a->name)) || (b->name && has_param(a->q, b->name)))
        return false; /* another one is */
    if (!a->c || !b->c)
        return false;
    if (points_at(a, b) || points_at(b, a) || are_sides(p, a->c->name, b->c->name))
        return true;
    return strcmp(a->c->name, b->c->name) == 0 &&
           (a->r == b->r || (!is_key(a) && !is_key(b)) || (!a->by_insert && !b->by_insert));
}

/* Whose value it is that the others take: the author's own, then that of an UPDATE, which isn't the row's as it was. */
static int weight_of(const struct query *q, const struct meeting *m)
{
    return q->sets[0].is_given ? 2 : m->is_written && !m->by_insert ? 1 : 0;
}

static bool same_value(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

struct arg_set *args_agreed(struct proof *p, const struct app_statement *const *items, int n,
                            bool *differ)
{
    struct arg_set *out = arena_array(p->scratch, struct arg_set, n + 1);

    for (int i = 0; i < n; i++) {
        out[i] = items[i]->q->sets[0];
        out[i].values = arena_array(p->scratch, const char *, out[i].n + 1);
        if (out[i].n > 0)
            memcpy(out[i].values, items[i]->q->sets[0].values,
                   sizeof *out[i].values * (size_t) out[i].n);
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            for (int x = 0; x < out[i].n && i != k && !out[i].is_given; x++)
                for (int y = 0; y < out[k].n; y++) {
                    struct meeting to = meeting_of(p, items[i]->q, x + 1),
                                   from = meeting_of(p, items[k]->q, y + 1);
                    int w = weight_of(items[k]->q, &from) - weight_of(items[i]->q, &to);

                    if ((w < 0 || (w == 0 && k > i)) || !are_one(p, &to, &from) ||
                        same_value(out[i].values[x], out[k].values[y]))
                        continue;
                    out[i].values[x] = out[k].values[y];
                    *differ = true;
                }
    return out;
}
