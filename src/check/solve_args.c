/* Arguments that checks take: the row that a statement writes, with what the statement says itself pinned, is put to the
 * same solver as the rows that are made.
 */
#include "check/seed.h"

/* What a column has that the statement says nothing of: its default, or what it had. False: not known. */
static bool left_alone(struct proof *p, const struct cat_relation *r, const struct cat_column *c,
                       bool by_insert, const char **out)
{
    const struct seed *s = seed_of(p, r->oid);
    struct wire_result result = {0};
    AUTO(err) ignored = {0};

    *out = NULL;
    if (!by_insert) {
        *out = s && cat_column(s->shape, c->name) ? seed_value(s, c->name) : NULL;
        return s != NULL;
    }
    if (!c->fallback || c->is_identity)
        return !c->is_identity;
    if (strstr(c->fallback, "nextval("))
        return false;
    struct wire_op op = {.kind = WIRE_RUN,
                         .sql =
                             arena_printf(p->scratch, "SELECT (%s)::pg_catalog.text", c->fallback),
                         .keep_rows = true,
                         .sync = true};
    if (!wire_run(p->owner, p->scratch, &op, 1, &result, &ignored) || !result.ok)
        return false;
    *out = result.n_rows == 1 ? result.cell[0][0] : NULL;
    return true;
}

static int place_in(const struct fact_write *w, const char *column)
{
    for (int i = 0; i < w->columns.n; i++)
        if (strcmp(w->columns.items[i].s, column) == 0)
            return i;
    return -1;
}

static bool is_checked(const struct cat_relation *r, const struct cat_column *c)
{
    for (int i = 0; i < r->n_checks; i++)
        for (int k = 0; r->constraints[i].type == 'c' && k < r->constraints[i].n_columns; k++)
            if (r->constraints[i].columns[k] == c->number)
                return true;
    return c->domain_checks != NULL;
}

/* The parameter that goes into a column; 0: none. Without a list of columns they go by place. */
static int param_of(const struct query *q, const struct fact_write *w, const struct cat_relation *r,
                    int column)
{
    int at = place_in(w, r->columns[column].name);

    if (w->positional && w->columns.n == 0)
        return q->facts.n_rels == 1 && column < q->sets[0].n ? column + 1 : 0;
    return at >= 0 && w->params ? w->params[at] : 0;
}

static void start_column(struct proof *p, const struct query *q, const struct fact_write *w,
                         const struct arg_set *set, struct row *row, bool *pinned, int i)
{
    const struct cat_column *c = &row->r->columns[i];
    int at = place_in(w, c->name), param = param_of(q, w, row->r, i);

    row->values[i] = param > 0 && param <= set->n ? set->values[param - 1] : NULL;
    if (param > 0 || c->is_generated || !is_checked(row->r, c))
        return;
    if (at >= 0 && at < w->literals.n && w->literals.items[at].s) {
        row->values[i] = w->literals.items[at].s;
        pinned[i] = true;
    } else if (at < 0) {
        pinned[i] = left_alone(p, row->r, c, w->verb == VERB_INSERT, &row->values[i]);
    }
}

bool solve_write(struct proof *p, const struct query *q, const struct fact_write *w,
                 const struct cat_relation *r, struct arg_set *set)
{
    struct row row = row_start(p, r, 7);
    bool *pinned = arena_array(p->scratch, bool, r->n_columns + 1), any = false;
    AUTO(err) ignored = {0};

    row.is_pinned = pinned;
    row.by = p->owner;
    for (int i = 0; i < r->n_columns; i++)
        start_column(p, q, w, set, &row, pinned, i);
    if (!solve_row(p, &row, &ignored))
        return false;
    for (int i = 0; i < r->n_columns; i++) {
        int param = param_of(q, w, r, i);

        if (param < 1 || param > set->n || !row.is_fixed[i])
            continue;
        set->values[param - 1] = arena_strdup(p->a, row.values[i]);
        any = true;
    }
    return any;
}

bool solve_args(struct proof *p, const struct query *q, struct arg_set *set)
{
    bool any = false;

    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);

        if (r && (r->kind == 'r' || r->kind == 'p') && w->verb != VERB_DELETE)
            any |= solve_write(p, q, w, r, set);
    }
    return any;
}
