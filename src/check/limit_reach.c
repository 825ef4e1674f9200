/* Restrictions against what is written by a trigger, a rule or a function: nothing says which parameter goes where, so that
 * each is tried with what every restricted column may be given.
 */
#include "check/limits.h"
#include "check/types.h"
#include "check/unique.h"

#include "sql_embedded.h"

/* Rows came into it, or are others; of a partitioned one into a partition. */
static bool is_written(const struct cat_relation *r, const struct wire_result looks[2])
{
    bool any = false;

    for (int i = -1; i < (r->kind == 'p' ? r->n_reaches : 0); i++) {
        unsigned oid = i < 0 ? r->oid : r->reaches[i];

        any |= effects_rows(looks, oid, EFFECT_INSERTED) > 0 ||
               effects_rows(looks, oid, EFFECT_UPDATED) > 0;
    }
    return any;
}

static bool names_it(const struct proof *p, const struct query *q, const struct cat_relation *r)
{
    for (int i = 0; i < q->facts.n_writes; i++)
        if (cat_find(&p->now, p->sessions[q->session].search_path, q->facts.writes[i].schema,
                     q->facts.writes[i].table) == r)
            return true;
    return false;
}

/* It may come from a parameter of the type. */
static bool takes(const struct cat_column *c, unsigned type)
{
    bool is_text = type == T_TEXT || type == T_VARCHAR;

    return c->type == type || c->base == type || (is_text && c->category == 'S');
}

static bool is_tried(const struct limits *l, int first, int param, const char *value)
{
    for (int i = first; i < l->n; i++)
        if (l->tries[i].param == param &&
            (value && l->tries[i].value ? strcmp(l->tries[i].value, value) == 0
                                        : value == l->tries[i].value))
            return true;
    return false;
}

static void add_values(struct proof *p, const struct app_statement *a, int param,
                       const char *const *values, int n, int first, struct limits *l)
{
    for (int v = 0; v < n; v++)
        if (!is_tried(l, first, param, values[v]) && limits_add_try(p, a, param, "", values[v], l))
            l->tries[l->n - 1].is_reached = true;
}

/* By its type, and as each column of that type that the restriction may be about. */
static void add_param(struct proof *p, const struct app_statement *a, int param, unsigned type,
                      const struct cat_relation *r, int first, struct limits *l)
{
    const char *values[LIMIT_VALUES];

    add_values(p, a, param, values, limit_values_of_type(p, l, r, type, values), first, l);
    for (int i = 0; i < r->n_columns; i++) {
        const struct cat_column *c = &r->columns[i];

        if (takes(c, type) && text_list_has(&l->said.names, c->name))
            add_values(p, a, param, values, limit_values(p, l, r, c, values), first, l);
    }
}

bool limits_add_reached(struct proof *p, const struct app_statement *a, int state, struct limits *l,
                        struct err *err)
{
    const struct query *q = a->q;
    const struct description *d = q->shape[p->t.states[state].from];
    const struct task *t = p->t.states[state].task;
    struct wire_result looks[2] = {0};
    int first = l->n;

    if (l->sync || !d || d->n_params == 0 || !unique_sets_off(p, q))
        return true;
    if (!probe_around(p, q, sql_select_rows_written, looks, err))
        return false;
    for (int i = 0; i < p->now.n_relations && looks[1].ok; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        if (!cat_is_table(r) || !limits_restricts(p, t, r) || !is_written(r, looks) ||
            names_it(p, q, r))
            continue;
        for (int n = 1; n <= d->n_params && n <= q->sets[0].n; n++)
            add_param(p, a, n, d->params[n - 1], r, first, l);
    }
    return true;
}
