/* A domain that gets a check also refuses what is only cast to it, and goes to no column of it. */
#include "check/limits.h"
#include "check/types.h"
#include "check/writes.h"

#include "sql_embedded.h"

#include <stdlib.h>

struct limit_domain {
    unsigned oid, base;
    const char *name;
};

bool limits_read_domains(struct proof *p, int state, struct limits *l, struct err *err)
{
    const struct step *s = p->t.states[state].task->step;
    bool any = false;
    const char *arg = limits_named(p, &l->said);
    struct wire_result r = {0};
    struct wire_op op = {.kind = WIRE_RUN,
                         .sql = sql_select_domains,
                         .args = &arg,
                         .n_args = 1,
                         .keep_rows = true,
                         .sync = true};

    for (int i = 0; s && i < s->n_stmts; i++)
        any |= strncmp(s->stmts[i].kind, "ALTER DOMAIN", 12) == 0;
    if (!any)
        return true;
    if (!wire_run(p->root, p->scratch, &op, 1, &r, err))
        return false;
    l->domains = arena_array(p->scratch, struct limit_domain, r.n_rows + 1);
    for (int i = 0; r.ok && r.cell && i < r.n_rows; i++)
        l->domains[l->n_domains++] =
            (struct limit_domain) {(unsigned) strtoul(r.cell[i][0], NULL, 10),
                                   (unsigned) strtoul(r.cell[i][2], NULL, 10), r.cell[i][1]};
    return true;
}

static bool is_named(const struct query *q, const char *domain)
{
    for (int i = 0; i < q->facts.types.n; i++) {
        const char *name = q->facts.types.items[i].s, *dot = strrchr(name, '.');

        if (strcmp(dot ? dot + 1 : name, domain) == 0)
            return true;
    }
    return false;
}

/* Of the domain itself, or of what is cast to it; what a column of the domain takes is tried for the column. */
static bool is_cast(const struct proof *p, const struct query *q, int param, unsigned type,
                    const struct limit_domain *domain)
{
    const struct cat_relation *r = NULL;
    bool is_written = false, by_insert = false;
    const struct cat_column *c = args_column(p, q, param, &r, &is_written, &by_insert);

    if (c && is_written && c->type == domain->oid)
        return false;
    return type == domain->oid ||
           (is_named(q, domain->name) && (type == domain->base || type == T_TEXT));
}

void limits_add_casts(struct proof *p, const struct app_statement *a, int state, struct limits *l)
{
    const struct query *q = a->q;
    const struct description *d = q->shape[p->t.states[state].from];
    const struct cat_relation nowhere = {0};

    for (int i = 0; d && i < l->n_domains; i++)
        for (int n = 1; n <= d->n_params && n <= q->sets[0].n; n++) {
            const char *values[LIMIT_VALUES];

            if (!is_cast(p, q, n, d->params[n - 1], &l->domains[i]))
                continue;
            int most = limit_values_of_type(p, l, &nowhere, l->domains[i].base, values);
            for (int v = 0; v < most; v++)
                if (values[v] || q->facts.n_writes > 0)
                    limits_add_try(p, a, n, l->domains[i].name, values[v], l);
        }
}
