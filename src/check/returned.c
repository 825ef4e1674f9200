/* What RETURNING gives once a table is a view: an INSTEAD OF trigger returns the row as it was handed in, without the key
 * that the table below gave it, unless its author thought of that.
 */
#include "check/jobs.h"

/* The table that the statement inserted into, where a view has its name now; NULL: none. */
static const struct cat_relation *table_before(const struct proof *p, const struct query *q)
{
    const char *path = p->sessions[q->session].search_path;
    const struct fact_write *w = q->facts.n_writes > 0 ? &q->facts.writes[0] : NULL;
    const struct cat_relation *was = w ? cat_find(&p->before, path, w->schema, w->table) : NULL,
                              *is = w ? cat_find(&p->now, path, w->schema, w->table) : NULL;

    return was && is && q->facts.verb == VERB_INSERT && w->verb == VERB_INSERT &&
                   cat_is_table(was) && is->kind == 'v' && is->n_triggers > 0
               ? was
               : NULL;
}

/* Its rows, which are kept of no other statement that writes. */
static bool ask(struct proof *p, const struct query *q, struct wire_result *out, struct err *err)
{
    struct query asked = *q;
    struct jobs j = {0};
    int n = job_n_ops(q);

    *out = (struct wire_result) {.skipped = true};
    asked.keeps_rows = true;
    asked.leaves = asked.leaves_beside = NULL;
    if (!job_may_run(p, &asked))
        return true;
    job_run(p, &j, &asked, NULL, 0, NULL);
    if (!jobs_run(p, &j, q->session, err))
        return false;
    *out = j.results[n - 2];
    return true;
}

/* A column that never was NULL, and is; NULL: none. */
static const char *missing_of(const struct cat_relation *was, const struct description *shape,
                              const struct wire_result *r)
{
    for (int i = 0; r->ok && r->cell && i < r->n_rows; i++)
        for (int k = 0; k < r->n_columns && k < shape->n_columns; k++) {
            const struct cat_column *c = cat_column(was, shape->columns[k].name);
            if (c && c->not_null && !r->cell[i][k])
                return c->name;
        }
    return NULL;
}

bool returned_state(struct proof *p, int state, struct err *err)
{
    if (state == 0 || p->t.states[state].by != STATE_TASK)
        return true;
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const struct query *q = a->q;
        const struct timeline_world *w = q ? world_met(p, a, state) : NULL;
        const struct cat_relation *was = w ? table_before(p, q) : NULL;
        struct wire_result r = {0};

        if (!was || !q->runs || q->n_sets == 0 || !q->shape[state] ||
            q->shape[state]->n_columns == 0 || !q->run[state] || !q->run[state]->ok ||
            p->t.releases[a->release].is_projected)
            continue;
        if (!ask(p, q, &r, err))
            return false;
        const char *column = missing_of(was, q->shape[state], &r);
        if (!column)
            continue;
        struct finding *f = finding_of_state(
            p, a, w, state, "old-path-trigger-effect",
            arena_printf(p->a,
                         "RETURNING gives NULL for \"%s\", which the table \"%s\" gave a value",
                         column, was->name),
            "let the trigger put what the table below gives into NEW (INSERT ... RETURNING ... "
            "INTO) "
            "before it returns it");
        f->severity = SEVERITY_ERROR;
        f->probe = "X";
    }
    return true;
}
