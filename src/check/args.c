/* With what a statement is run: the author's example rows, else values that fit the columns they go to. */
#include "check/limits.h"
#include "check/met.h"
#include "check/words.h"
#include "check/writes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define NEW_ROW 7 /* variant of what an INSERT gives, so that it isn't one of the seeds' */

/* ---- what a parameter is for -------------------------------------------------------------------------- */

struct param {
    const struct cat_relation *relation; /* of the column it meets; NULL: unknown */
    const struct cat_column *column;
    bool is_written, by_insert;
};

static bool is_name(char c)
{
    return isalnum((unsigned char) c) || c == '_' || c == '"' || c == '$';
}

/* The name that stands before "$n" with an operator between: "o.id = $1", "lower(name) LIKE $2". */
static const char *compared_name(struct arena *a, const char *sql, int n)
{
    char mark[16];
    int len = snprintf(mark, sizeof mark, "$%d", n);

    for (const char *s = strstr(sql, mark); s; s = strstr(s + 1, mark)) {
        const char *e = s;
        if (isdigit((unsigned char) s[len]))
            continue;
        while (e > sql && (isspace((unsigned char) e[-1]) || strchr("=<>!(~%", e[-1])))
            e--;
        for (const char *const *w = (const char *const[]) {"ANY", "any", "IN", "in", "LIKE", "like",
                                                           "ILIKE", "ilike", NULL};
             *w; w++) {
            size_t k = strlen(*w);
            if ((size_t) (e - sql) > k && memcmp(e - k, *w, k) == 0 && !is_name(e[-(long) k - 1]))
                e -= k;
        }
        while (e > sql && (isspace((unsigned char) e[-1]) || strchr("=<>!(~", e[-1])))
            e--;
        const char *end = e;
        while (e > sql && is_name(e[-1]))
            e--;
        if (e == end)
            continue;
        return *e == '"' ? arena_strndup(a, e + 1, (size_t) (end - e) - 2)
                         : arena_strndup(a, e, (size_t) (end - e));
    }
    return NULL;
}

static const char *path_of(const struct proof *p, const struct query *q)
{
    return p->sessions[q->session].search_path;
}

static void find_written(const struct proof *p, const struct query *q, int n, struct param *out)
{
    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r = cat_find(&p->now, path_of(p, q), w->schema, w->table);

        for (int k = 0; r && k < w->columns.n; k++)
            if (w->params && w->params[k] == n) {
                out->relation = r;
                out->column = cat_column(r, w->columns.items[k].s);
                out->is_written = true;
                out->by_insert = w->verb == VERB_INSERT;
            }
        /* Without a column list the parameters of VALUES go by place. */
        if (r && w->positional && q->facts.writes[i].columns.n == 0 && n <= r->n_columns &&
            q->facts.n_rels == 1) {
            out->relation = r;
            out->column = &r->columns[n - 1];
            out->is_written = out->by_insert = true;
        }
    }
}

static void find_compared(const struct proof *p, const struct query *q, int n, struct param *out)
{
    const char *name = compared_name(p->scratch, q->sql, n);

    for (int i = 0; name && !out->column && i < q->facts.n_rels; i++) {
        const struct cat_relation *r =
            cat_find(&p->now, path_of(p, q), q->facts.rels[i].schema, q->facts.rels[i].name);
        const struct cat_column *c = r ? cat_column(r, name) : NULL;
        if (c) {
            out->relation = r;
            out->column = c;
        }
    }
}

static struct param param_of(const struct proof *p, const struct query *q, int n)
{
    struct param out = {0};

    find_written(p, q, n, &out);
    if (!out.column)
        find_compared(p, q, n, &out);
    return out;
}

const struct cat_column *args_compared(const struct proof *p, const struct query *q, int param,
                                       const struct cat_relation **r)
{
    struct param out = {0};

    find_compared(p, q, param, &out);
    *r = out.relation;
    return out.column;
}

const struct cat_column *args_column(const struct proof *p, const struct query *q, int param,
                                     const struct cat_relation **r, bool *is_written,
                                     bool *by_insert)
{
    struct param out = param_of(p, q, param);

    *r = out.relation;
    *is_written = out.is_written;
    *by_insert = out.by_insert;
    return out.column;
}

/* ---- values ------------------------------------------------------------------------------------------- */

static bool is_key(const struct proof *p, const struct cat_relation *r, const struct cat_column *c)
{
    /* A view's rows are those of the table below it. */
    for (int i = 0; r->kind == 'v' && i < r->n_uses; i++) {
        const struct cat_relation *below = cat_by_oid(&p->now, r->uses[i]);
        const struct cat_column *same = below ? cat_column(below, c->name) : NULL;
        if (same && is_key(p, below, same))
            return true;
    }
    for (int i = 0; i < r->n_constraints; i++)
        for (int k = 0; k < r->constraints[i].n_columns; k++)
            if ((r->constraints[i].type == 'p' || r->constraints[i].type == 'u') &&
                r->constraints[i].columns[k] == c->number)
                return true;
    return false;
}

static const char *parents_value(const struct proof *p, const struct param *m)
{
    for (int i = 0; i < m->relation->n_constraints; i++) {
        const struct cat_constraint *k = &m->relation->constraints[i];
        const struct seed *s = k->type == 'f' ? seed_of(p, k->other) : NULL;

        for (int c = 0; s && c < k->n_columns; c++) {
            const struct cat_column *other = cat_column_number(s->shape, k->other_columns[c]);
            if (k->columns[c] == m->column->number && other)
                return seed_value(s, other->name);
        }
    }
    return NULL;
}

static const char *rows_value(const struct proof *p, const struct param *m)
{
    const struct seed *s = seed_of(p, m->relation->oid);

    return s && cat_column(s->shape, m->column->name) ? seed_value(s, m->column->name) : NULL;
}

/* The one that the row has shows nothing: another's, as long as that isn't refused. */
static const char *parent_given(const struct proof *p, const struct param *m, int attempt)
{
    const char *v = parents_value(p, m), *old = rows_value(p, m), *other = NULL;

    if (!m->by_insert && attempt == 0 && v && old && strcmp(v, old) == 0)
        other = seed_other_parents_value(p, m->relation, m->column);
    return other ? other : v;
}

/* An UPDATE that leaves the row as it is would show nothing: another value than the row's. */
static const char *updated_value(struct proof *p, const struct param *m)
{
    const struct cat_column *c = m->column;
    const char *old = rows_value(p, m), *v = NULL;

    for (int variant = NEW_ROW; variant < NEW_ROW + 3; variant++) {
        v = column_value(p, &p->now, c, variant);
        if (!v || !old || strcmp(v, old) != 0)
            break;
    }
    return v;
}

/* Of a domain some column has: by its checks, where the first value isn't taken. */
static const char *domain_value(struct proof *p, unsigned type, int attempt)
{
    for (int i = 0; type >= 16384 && i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        for (int k = 0; k < r->n_columns; k++) {
            const struct cat_column *c = &r->columns[k];

            if (c->kind != 'd' || c->type != type)
                continue;
            const char *v = attempt > 0 ? value_from_checks(p->a, r, c, attempt - 1) : NULL;
            return v ? v : column_value(p, &p->now, c, 1 + attempt);
        }
    }
    return NULL;
}

/* Of a type that no column tells more of. What is unnested makes a row of each element: of one, as all of its kind are. */
static const char *value_of_type(struct proof *p, const struct query *q, unsigned type, int attempt)
{
    unsigned element = has_word(q->sql, "unnest") ? element_of_type(type) : 0;
    const char *v = value_of(p->a, &p->now, element ? element : type, 0, -1, 1 + attempt);

    if (v && element)
        return arena_strdup(p->a, limit_array_of(p, v));
    return v ? v : domain_value(p, type, attempt);
}

/* What a statement before it in its transaction puts into the parent, under the same name: an application hands one value
 * to both, and a child whose own key that is could be had from no other row of ours. */
static const char *parent_before(const struct proof *p, const struct query *q, int n,
                                 const struct param *m)
{
    const char *name = q->s->param_names && n <= q->s->n_params ? q->s->param_names[n - 1] : NULL;

    for (int i = 0; name && i < q->n_before; i++) {
        const struct query *b = q->before[i];

        for (int k = 0; b->runs && b->s->param_names && b->n_sets > 0 && k < b->sets[0].n; k++) {
            struct param to = {0};

            if (k >= b->s->n_params || strcmp(b->s->param_names[k], name) != 0)
                continue;
            find_written(p, b, k + 1, &to);
            if (to.column && to.by_insert &&
                cat_key_to(m->relation, m->column, to.relation, to.column))
                return b->sets[0].values[k];
        }
    }
    return NULL;
}

static const char *value_for(struct proof *p, struct query *q, const struct description *d, int n,
                             int attempt)
{
    struct param m = param_of(p, q, n);
    const struct cat_column *c = m.column;
    const char *v = NULL;

    if (!c) {
        v = attempt == 0 ? expression_value(p, q, n) : NULL;
        return v ? v : value_of_type(p, q, d->params[n - 1], attempt);
    }
    if (m.is_written) {
        v = m.by_insert ? parent_before(p, q, n, &m) : NULL;
        if (!v)
            v = parent_given(p, &m, attempt);
        if (!v && attempt > 0)
            v = value_from_checks(p->a, m.relation, c, attempt - 1);
        if (v)
            return v;
        if (!m.by_insert && attempt == 0)
            return updated_value(p, &m);
        int variant = !m.by_insert               ? attempt
                      : is_key(p, m.relation, c) ? NEW_ROW + attempt
                                                 : 1 + attempt;
        return column_value(p, &p->now, c, variant);
    }
    const struct seed *s = seed_of(p, m.relation->oid);
    if (s && cat_column(s->shape, c->name))
        v = seed_value(s, c->name);
    /* An array where a list is asked for: = ANY ($1). What isn't one of PostgreSQL's own may be a domain as well. */
    if (v && d->params[n - 1] != c->type && d->params[n - 1] != c->base) {
        const char *own = value_of(p->a, &p->now, d->params[n - 1], 0, -1, 1);
        bool may_be_domain = d->params[n - 1] >= 16384 && attempt % 2 == 1;

        return own || may_be_domain ? v : arena_printf(p->a, "{%s}", v);
    }
    return v ? v : value_of(p->a, &p->now, d->params[n - 1], c->base, c->typmod, 1 + attempt);
}

static void generate(struct proof *p, struct query *q, const struct description *d, int attempt)
{
    struct arg_set *set = &q->sets[0];

    set->n = d->n_params;
    set->values = arena_array(p->a, const char *, d->n_params + 1);
    for (int i = 0; i < d->n_params; i++)
        set->values[i] = value_for(p, q, d, i + 1, attempt);
}

/* An expression is worth what the shadow makes of it. */
static const char *evaluate(struct proof *p, const struct statement_arg *arg)
{
    AUTO(err) ignored = {0};
    struct wire_result r = {0};
    struct wire_op op = {.kind = WIRE_RUN,
                         .sql = arena_printf(p->scratch, "SELECT (%s)::pg_catalog.text", arg->sql),
                         .keep_rows = true,
                         .sync = true};

    if (arg->is_literal)
        return arg->value;
    if (!wire_run(p->owner, p->scratch, &op, 1, &r, &ignored) || !r.ok || r.n_rows != 1)
        return NULL;
    return arena_strdup(p->a, r.cell[0][0]);
}

/* MERGE and ON CONFLICT DO UPDATE go one way where the row is there, and another where it isn't. */
static void add_other_way(struct proof *p, struct query *q, const struct description *d)
{
    struct arg_set *other = &q->sets[1];
    bool upsert = false, merge = q->facts.verb == VERB_MERGE;

    for (int i = 0; i < q->facts.n_writes; i++)
        upsert |= q->facts.writes[i].on_conflict;
    if (!upsert && !merge)
        return;
    *other = (struct arg_set) {arena_array(p->a, const char *, d->n_params + 1), d->n_params, false,
                               false};
    for (int i = 0; i < d->n_params; i++) {
        struct param m = param_of(p, q, i + 1);
        const struct seed *s = m.column ? seed_of(p, m.relation->oid) : NULL;
        const char *v = NULL;

        if (merge)
            v = value_of(p->a, &p->now, d->params[i], m.column ? m.column->base : 0,
                         m.column ? m.column->typmod : -1, NEW_ROW + 1);
        else if (s && m.by_insert && is_key(p, m.relation, m.column))
            v = seed_value(s, m.column->name);
        other->values[i] = v ? v : q->sets[0].values[i];
    }
    q->n_sets = 2;
}

void args_make(struct proof *p, struct query *q, const struct description *d)
{
    int n = q->s->n_args;

    q->has_args = true;
    q->sets = arena_array(p->a, struct arg_set, n + 2 + MET_MAX);
    for (int i = 0; i < n; i++) {
        struct arg_set *set = &q->sets[q->n_sets];
        if (q->s->args[i].n != d->n_params)
            continue;
        q->n_sets++;
        set->is_given = true;
        set->n = d->n_params;
        set->values = arena_array(p->a, const char *, set->n + 1);
        for (int k = 0; k < set->n; k++)
            set->values[k] = evaluate(p, &q->s->args[i].items[k]);
    }
    if (q->n_sets > 0)
        return;
    q->n_sets = 1;
    generate(p, q, d, 0);
    add_other_way(p, q, d);
    met_add(p, q);
}

/* The author's row is taken already, by one that was made here: the same with another key. */
static bool other_key(struct proof *p, struct query *q, const struct description *d,
                      struct arg_set *set, int attempt)
{
    bool any = false;

    for (int i = 0; i < d->n_params && i < set->n; i++) {
        struct param m = param_of(p, q, i + 1);
        const char *v;

        if (!m.column || !m.by_insert || !is_key(p, m.relation, m.column) ||
            (v = value_of(p->a, &p->now, m.column->type, m.column->base, m.column->typmod,
                          NEW_ROW + attempt)) == NULL)
            continue;
        set->values[i] = v;
        any = true;
    }
    return any;
}

bool args_mend(struct proof *p, struct query *q, const struct wire_result *why, int set,
               int attempt)
{
    const struct description *d = NULL;

    for (int i = 0; i < p->t.n_states && !d; i++)
        d = q->shape[i];
    if (!d || attempt > 8 || d->n_params == 0)
        return false;
    if (q->sets[set].is_given)
        return strcmp(why->sqlstate, "23505") == 0 && other_key(p, q, d, &q->sets[set], attempt);
    /* 22: what a check's cast or a domain says no to. */
    if (attempt == 1 && strncmp(why->sqlstate, "23505", 5) != 0 && solve_args(p, q, &q->sets[set]))
        return true;
    if (set > 0)
        return false;
    generate(p, q, d, attempt);
    return true;
}
