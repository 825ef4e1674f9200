/* Arguments that are tried against a restriction: each parameter at its limits, and two that it names together. */
#include "check/limits.h"

#define PAIRED 4      /* parameters */
#define PAIR_VALUES 8 /* of one of them */

const struct cat_column *limits_written_by(const struct query *q, const struct fact_write *w,
                                           const struct cat_relation *r, int n, int *param)
{
    if (w->columns.n > 0) {
        *param = w->params ? w->params[n] : 0;
        return *param > 0 && *param <= q->sets[0].n ? cat_column(r, w->columns.items[n].s) : NULL;
    }
    *param = n + 1;
    return w->positional && q->facts.n_rels == 1 && n < q->sets[0].n && n < r->n_columns
               ? &r->columns[n]
               : NULL;
}

bool limits_add(struct limits *l, struct limit_try t)
{
    if (l->n == LIMIT_TRIES) {
        l->cut = l->cut ? l->cut : t.a;
        return false;
    }
    t.fires = l->sync != NULL;
    l->tries[l->n++] = t;
    return true;
}

bool limits_add_try(struct proof *p, const struct app_statement *a, int param, const char *what,
                    const char *value, struct limits *l)
{
    const struct arg_set *base = &a->q->sets[0];
    struct limit_try t = {.a = a,
                          .param = param,
                          .column = what,
                          .value = value,
                          .args = arena_array(p->scratch, const char *, base->n + 1)};

    memcpy(t.args, base->values, sizeof *base->values * (size_t) base->n);
    t.args[param - 1] = value;
    return limits_add(l, t);
}

void limits_report_cut(struct proof *p, int state, const struct app_statement *cut, int most)
{
    const char *message = arena_printf(
        p->a,
        "live statements take more values than are tried in one step (%d): those of %s of %s, and "
        "of the statements after it, aren't all tried",
        most, cut->s->name, release_words(p, cut->release));
    struct finding *f = step_finding(p, state, "cell-untested", state_place(p, state), message);

    f->severity = SEVERITY_WARNING;
    f->help = "make several steps of it, a table or a restriction each, or look at what these "
              "statements may be given yourself";
}

static bool goes_in_as_it_is(const struct query *q, int param)
{
    for (int i = 0; i < q->facts.n_writes; i++)
        for (int k = 0; q->facts.writes[i].params && k < q->facts.writes[i].columns.n; k++)
            if (q->facts.writes[i].params[k] == param)
                return true;
    return false;
}

/* Arrays that are unnested beside each other are as long as each other: "{a}" in front of what {7,8} has behind its first
 * is {a,8}. */
static const char *as_long_as(struct proof *p, const char *own, const char *value)
{
    const char *rest = own && *own == '{' && !strpbrk(own + 1, "\"{") ? strchr(own, ',') : NULL;
    size_t n = value ? strlen(value) : 0;

    return rest && n > 1 && value[n - 1] == '}'
               ? arena_printf(p->scratch, "%.*s%s", (int) n - 1, value, rest)
               : value;
}

/* What is written is made of parameters, and nobody but the server knows how: lower($1), n + $2. */
static void add_made(struct proof *p, const struct app_statement *a, int state,
                     const struct cat_relation *r, const char *column, struct limits *l)
{
    const struct query *q = a->q;
    const struct description *d = q->shape[p->t.states[state].from];
    const struct cat_relation *with;

    for (int n = 1; d && n <= d->n_params && n <= q->sets[0].n; n++) {
        const char *values[LIMIT_VALUES];

        if (goes_in_as_it_is(q, n) || args_compared(p, q, n, &with))
            continue;
        int count = limit_values_of_type(p, l, r, d->params[n - 1], values);
        bool is_array = element_of_type(d->params[n - 1]) != 0;
        for (int v = 0; v < count; v++)
            limits_add_try(
                p, a, n, column,
                is_array ? as_long_as(p, q->sets[0].values[n - 1], values[v]) : values[v], l);
    }
}

bool limits_is_made(const struct fact_write *w, int n)
{
    return n < w->columns.n && (!w->params || w->params[n] == 0) &&
           (n >= w->literals.n || !w->literals.items[n].s);
}

void limits_add_tries(struct proof *p, const struct app_statement *a, int state, struct limits *l)
{
    const struct query *q = a->q;

    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);
        int most = w->columns.n > 0 ? w->columns.n : q->sets[0].n, param = 0;

        for (int k = 0; r && limits_hold(p, state, r, NULL) && k < most; k++) {
            const struct cat_column *c = limits_written_by(q, w, r, k, &param);
            const char *values[LIMIT_VALUES];

            if (limits_is_made(w, k) && limits_hold(p, state, r, w->columns.items[k].s))
                add_made(p, a, state, r, w->columns.items[k].s, l);
            if (!c || !limits_hold(p, state, r, w->columns.n > 0 ? c->name : NULL))
                continue;
            int n = limit_values(p, l, r, c, values);
            for (int v = 0; v < n; v++)
                limits_add_try(p, a, param, c->name, values[v], l);
        }
    }
}

void limits_add_own(struct proof *p, const struct app_statement *a, int state, struct limits *l)
{
    const struct query *q = a->q;

    for (int i = 0; i < q->facts.n_writes && (l->drops || l->hides); i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);

        if (!r || !limits_hold(p, state, r, NULL))
            continue;
        limits_add(l, (struct limit_try) {.a = a, .args = q->sets[0].values});
        return;
    }
}

/* The parameters that go into columns that the restriction names. */
static int named_params(const struct app_statement *a, const struct fact_write *w,
                        const struct cat_relation *r, const struct limits *l,
                        const struct cat_column **columns, int *params)
{
    int most = w->columns.n > 0 ? w->columns.n : a->q->sets[0].n, n = 0;

    for (int k = 0; k < most && n < PAIRED; k++) {
        int param = 0;
        const struct cat_column *c = limits_written_by(a->q, w, r, k, &param);

        if (!c || !text_list_has(&l->said.names, c->name))
            continue;
        columns[n] = c;
        params[n++] = param;
    }
    return n;
}

void limits_add_pairs(struct proof *p, const struct app_statement *a, int state, struct limits *l)
{
    const struct query *q = a->q;

    for (int i = 0; i < q->facts.n_writes && l->judges && !l->sync; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);
        const struct cat_column *columns[PAIRED];
        int params[PAIRED];
        int n = r && limits_hold(p, state, r, NULL) ? named_params(a, w, r, l, columns, params) : 0;

        for (int x = 0; x < n * n; x++) {
            const char *one[LIMIT_VALUES], *other[LIMIT_VALUES];
            int i1 = x / n, i2 = x % n;

            if (i1 == i2)
                continue;
            int n1 = limit_values_named(p, l, r, columns[i1], one);
            int n2 = limit_values_named(p, l, r, columns[i2], other);
            for (int v = 0; v < n1 && v < PAIR_VALUES; v++)
                for (int u = 0; u < n2 && u < (v ? 1 : 2); u++)
                    if (limits_add_try(p, a, params[i1], columns[i1]->name, one[v], l))
                        l->tries[l->n - 1].args[params[i2] - 1] = other[u];
        }
    }
}
