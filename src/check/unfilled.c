/* A column that the plans have made, and that a step forbids to be NULL, though nothing has filled it: the rows from before
 * it came have nothing there, in production as well. Other refusals are about what rows of ours happen to hold.
 */
#include "check/synced.h"
#include "check/words.h"

static const struct cat_relation *refused_table(const struct proof *p, const struct wire_result *r)
{
    const char *name = quoted_name(p->scratch, r->message, "relation");

    return name ? cat_find(&p->now, NULL, NULL, name) : NULL;
}

/* Of the one column that the step wants a value in; NULL: it is about more. */
static const struct cat_column *refused_column(struct proof *p, const struct cat_relation *r,
                                               const struct wire_result *refused)
{
    const char *column = quoted_name(p->scratch, refused->message, "column"),
               *check = quoted_name(p->scratch, refused->message, "check constraint");

    if (column && strcmp(refused->sqlstate, "23502") == 0)
        return cat_column(r, column);
    for (int i = 0; check && i < r->n_constraints; i++)
        if (strcmp(r->constraints[i].name, check) == 0 && r->constraints[i].n_columns == 1)
            return cat_column_number(r, r->constraints[i].columns[0]);
    return NULL;
}

/* Whatever may have given it to rows that were there: a backfill, a step, a sync, a statement of the application. */
static bool may_be_filled(struct proof *p, int state, const struct cat_relation *r,
                          const struct cat_column *c)
{
    const struct plan *plan = NULL;

    if (sync_writes(p, state, r, c->name, &plan))
        return true;
    for (int s = p->t.states[state].from; s > 0; s = p->t.states[s].from) {
        const struct task *t = p->t.states[s].task;
        bool has = changes_rows(p, s) && t->kind == TASK_BACKFILL;

        for (int i = 0; changes_rows(p, s) && t->step && i < t->step->n_stmts; i++)
            has |= has_name(t->step->stmts[i].sql, r->name) || limits_is_opaque(&t->step->stmts[i]);
        if (has || (t && t->step && t->step->command.n > 0))
            return true;
    }
    for (int i = 0; i < p->n_app; i++)
        for (int k = 0; k < p->app[i].q->facts.n_writes; k++) {
            const struct fact_write *w = &p->app[i].q->facts.writes[k];

            if (w->verb != VERB_INSERT && strcmp(w->table, r->name) == 0 &&
                text_list_has(&w->columns, c->name))
                return true;
        }
    return false;
}

bool unfilled_is(struct proof *p, int state, struct wire_result *refused, bool *out,
                 struct err *err)
{
    const struct cat_relation *r = refused_table(p, refused),
                              *first = r ? cat_by_oid(&p->baseline, r->oid) : NULL;
    const struct cat_column *c = first ? refused_column(p, r, refused) : NULL;
    AUTO(str) sql = {0};

    *out = false;
    if (!c || cat_column_number(first, c->number) || may_be_filled(p, state, r, c))
        return true;
    str_add(&sql, "SELECT pg_catalog.count(*) > 0 AND pg_catalog.count(");
    sql_ident(&sql, c->name);
    str_add(&sql, ") = 0 FROM ");
    sql_qualified(&sql, r->schema, r->name);
    if (!steps_ask(p, str_text(&sql), out, NULL, err))
        return false;
    if (*out)
        refused->hint = arena_printf(
            p->a,
            "\"%s\" came without a default, and nothing fills it: rows of \"%s\" from before have "
            "NULL there; fill them in a phase before this one (backfill:)",
            c->name, r->name);
    return true;
}
