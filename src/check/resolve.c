/* S by experiment: a bare name in a subquery means the nearest column of that name. A column that a step adds there takes
 * the name away from the query around it, and no error says so. Which column it means is for the server to tell: a
 * function with the statement as its body depends on it.
 */
#include "check/work.h"

#include "sql_embedded.h"

/* The types of the parameters, as CREATE FUNCTION takes them. */
static bool parameters(struct proof *p, const struct description *d, const char **out,
                       struct err *err)
{
    AUTO(str) sql = {0};
    struct wire_result r = {0};

    *out = "";
    if (d->n_params == 0)
        return true;
    str_add(&sql, "SELECT pg_catalog.string_agg(pg_catalog.format_type(x.t, NULL), ', ' ORDER BY "
                  "x.n) FROM (VALUES ");
    for (int i = 0; i < d->n_params; i++)
        str_addf(&sql, "%s(%d, %u::pg_catalog.oid)", i ? ", " : "", i, d->params[i]);
    str_add(&sql, ") x(n, t)");
    struct wire_op op = {.kind = WIRE_RUN, .sql = str_text(&sql), .keep_rows = true, .sync = true};
    if (!wire_run(p->root, p->scratch, &op, 1, &r, err))
        return false;
    *out = r.ok && r.n_rows == 1 ? r.cell[0][0] : NULL;
    return true;
}

/* head: the parameters, and what it returns. Does a function of that body mean the column? */
static bool body_means(struct proof *p, const char *path, const char *head, const char *body,
                       const struct cat_relation *r, const struct cat_column *c, bool *out,
                       struct err *err)
{
    struct wire_op ops[5] = {{.kind = WIRE_RUN, .sql = "BEGIN"}};
    struct wire_result results[5] = {0};
    const char *args[] = {arena_printf(p->scratch, "%u", r->oid),
                          arena_printf(p->scratch, "%d", c->number)};

    ops[1] = (struct wire_op) {
        .kind = WIRE_RUN,
        .sql = arena_printf(p->scratch, "SET LOCAL search_path = %s", path ? path : "public")};
    ops[2] = (struct wire_op) {
        .kind = WIRE_RUN,
        .sql = arena_printf(p->scratch,
                            "CREATE FUNCTION pg_temp.phasegate_means%s LANGUAGE sql BEGIN ATOMIC "
                            "%s\n; END",
                            head, body)};
    ops[3] = (struct wire_op) {.kind = WIRE_RUN,
                               .sql = sql_select_function_uses,
                               .args = args,
                               .n_args = 2,
                               .keep_rows = true,
                               .sync = true};
    ops[4] = (struct wire_op) {.kind = WIRE_RUN, .sql = "ROLLBACK", .sync = true};
    if (!wire_run(p->owner, p->scratch, ops, 5, results, err))
        return false;
    *out = results[3].ok && results[3].n_rows > 0;
    return true;
}

/* What ON CONFLICT DO UPDATE calls EXCLUDED has all columns of the target, named or not. No query is around it, from which
 * a new one could take a name. */
static const char *body_of(struct proof *p, const struct query *q, const struct cat_relation *r)
{
    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];

        if (w->on_conflict &&
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table) == r)
            return statement_without_conflicts(p->scratch, q->sql);
    }
    return q->sql;
}

static bool depends(struct proof *p, const struct query *q, int state, const struct cat_relation *r,
                    const struct cat_column *c, bool *out, struct err *err)
{
    const char *types = NULL;

    *out = false;
    if (!parameters(p, q->shape[state], &types, err))
        return false;
    return !types || body_means(p, p->sessions[q->session].search_path,
                                arena_printf(p->scratch, "(%s) RETURNS void", types),
                                body_of(p, q, r), r, c, out, err);
}

static bool look_at(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                    int state, const struct fact_rel *f, struct err *err)
{
    const char *path = p->sessions[a->q->session].search_path;
    const struct cat_relation *now = cat_find(&p->now, path, f->schema, f->name),
                              *before = now ? cat_by_oid(&p->before, now->oid) : NULL;

    for (int i = 0; before && i < now->n_columns; i++) {
        const struct cat_column *c = &now->columns[i];
        bool means = false;

        if (cat_column(before, c->name) || !text_list_has(&a->q->facts.columns, c->name))
            continue;
        if (!depends(p, a->q, state, now, c, &means, err))
            return false;
        if (!means)
            continue;
        finding_of_state(p, a, w, state, "name-shadowed",
                         arena_printf(p->a,
                                      "\"%s\" in it meant another column, and means the new one of "
                                      "\"%s\" from this step on",
                                      c->name, now->name),
                         "write the table or its alias in front of the column, in a release "
                         "before this one");
        return true;
    }
    return true;
}

/* ---- parameters of functions ---------------------------------------------------------------------------- */

/* A function in SQL whose body is a text that is read each time, with a parameter of the column's name. */
static bool named_alike(struct proof *p, const char *function, const struct cat_column *c,
                        struct wire_result *r, struct err *err)
{
    const char *dot = strrchr(function, '.');
    const char *args[] = {dot ? dot + 1 : function, c->name};
    struct wire_op op = {.kind = WIRE_RUN,
                         .sql = sql_select_functions_of_parameter,
                         .args = args,
                         .n_args = 2,
                         .keep_rows = true,
                         .sync = true};

    return wire_run(p->root, p->scratch, &op, 1, r, err);
}

static bool look_at_body(struct proof *p, const struct app_statement *a,
                         const struct timeline_world *w, int state, const char *function,
                         const struct cat_relation *r, const struct cat_column *c, struct err *err)
{
    struct wire_result found = {0};

    if (!named_alike(p, function, c, &found, err))
        return false;
    for (int i = 0; found.ok && i < found.n_rows; i++) {
        bool means = false;

        if (!body_means(p, p->sessions[a->q->session].search_path, found.cell[i][0],
                        found.cell[i][1], r, c, &means, err))
            return false;
        if (!means)
            continue;
        finding_of_state(p, a, w, state, "name-shadowed",
                         arena_printf(p->a,
                                      "\"%s\" in function %s was its parameter, and is the new "
                                      "column of \"%s\" from this step on",
                                      c->name, function, r->name),
                         arena_printf(p->a,
                                      "write the function's name in front of its parameter, "
                                      "%s.%s, in a step before this one",
                                      function, c->name));
        return true;
    }
    return true;
}

/* Of the functions that a statement calls: a column goes before a parameter. */
static bool look_at_parameters(struct proof *p, const struct app_statement *a,
                               const struct timeline_world *w, int state, struct err *err)
{
    for (int i = 0; i < a->q->facts.functions.n; i++) {
        const char *function = a->q->facts.functions.items[i].s;

        if (cat_function_print(&p->now, function) == 0)
            continue;
        for (int k = 0; k < p->now.n_relations; k++) {
            const struct cat_relation *now = &p->now.relations[k];
            const struct cat_relation *before = cat_by_oid(&p->before, now->oid);

            for (int m = 0; before && m < now->n_columns; m++)
                if (!cat_column(before, now->columns[m].name) &&
                    !look_at_body(p, a, w, state, function, now, &now->columns[m], err))
                    return false;
        }
    }
    return true;
}

bool resolve_state(struct proof *p, int state, struct err *err)
{
    int from = p->t.states[state].from;

    if (state == 0 || p->t.states[state].by != STATE_TASK)
        return true;
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const struct query *q = a->q;
        const struct timeline_world *w = world_met(p, a, state);
        /* Whoever comes with the step knows it. */
        bool is_asked = w && a->first_world >= 0 && p->t.worlds[a->first_world].state < state &&
                        q->facts.parsed && !q->facts.is_utility && q->facts.is_one_statement &&
                        q->fresh[state] && q->shape[state] && q->plan[from] && q->plan[from]->ok &&
                        q->plan[state]->ok && !p->t.releases[a->release].is_projected;

        if (is_asked && !look_at_parameters(p, a, w, state, err))
            return false;
        for (int k = 0; is_asked && k < q->facts.n_rels; k++) {
            const struct fact_rel *f = &q->facts.rels[k];
            /* These take a column whatever it is called, and are told of by themselves. */
            if (!f->star && !f->whole_row && !f->natural && !look_at(p, a, w, state, f, err))
                return false;
        }
    }
    return true;
}
