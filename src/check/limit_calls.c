/* What a function refuses from a step on that makes it anew: its parameters are tried with what its text names. */
#include "check/limits.h"
#include "check/words.h"

static const char *plain_name(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? dot + 1 : name;
}

/* By the step, with one that says when it refuses. */
static bool refuses_now(const struct proof *p, int state, const char *function)
{
    const struct step *s = p->t.states[state].task->step;

    for (int i = 0; s && i < s->n_stmts; i++)
        if (limits_replaces_function(&p->now, &s->stmts[i]) &&
            has_name(s->stmts[i].sql, function) && has_word(s->stmts[i].sql, "raise"))
            return true;
    return false;
}

void limits_add_calls(struct proof *p, const struct app_statement *a, int state, struct limits *l)
{
    const struct query *q = a->q;
    const struct description *d = q->shape[p->t.states[state].from];
    const struct cat_relation *with = NULL, nowhere = {0};

    if (!d || l->sync || q->facts.n_writes > 0)
        return;
    for (int i = 0; i < q->facts.functions.n; i++) {
        const char *name = q->facts.functions.items[i].s, *function = plain_name(name);

        if (!cat_function_print(&p->now, name) || !refuses_now(p, state, function))
            continue;
        for (int n = 1; n <= d->n_params && n <= q->sets[0].n; n++) {
            const char *values[LIMIT_VALUES];
            int most = args_compared(p, q, n, &with)
                           ? 0
                           : limit_values_of_type(p, l, &nowhere, d->params[n - 1], values);
            for (int v = 0; v < most; v++)
                limits_add_try(p, a, n, function, values[v], l);
        }
        return;
    }
}
