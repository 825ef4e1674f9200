/* A step of expand that restricts is taken only when somebody has shown that live writers keep to it. */
#include "cli.h"

static const struct sql_stmt *restriction(const struct step_list *l, const struct step **of)
{
    for (int i = 0; i < l->n; i++)
        for (int k = 0; k < l->items[i].n_stmts; k++)
            if (l->items[i].stmts[k].class == SQL_RESTRICTIVE) {
                *of = &l->items[i];
                return &l->items[i].stmts[k];
            }
    return NULL;
}

/* What can't be read restricts nothing: the engine says so itself. */
static const struct sql_stmt *of_expand(struct context *c, struct plan *p, const struct step **step)
{
    AUTO(problem_list) problems = {0};
    AUTO(err) ignored = {0};
    const struct phase_plan *e = &p->phases[PHASE_EXPAND];
    const struct sql_stmt *s;

    if (!p->has_facts && !plan_sql_facts(&c->set, p, &problems, &ignored))
        return NULL;
    s = restriction(&e->steps, step);
    return s ? s : restriction(&e->finish, step);
}

bool expand_restricts(struct context *c, struct plan *p)
{
    const struct step *step = NULL;

    return of_expand(c, p, &step) != NULL;
}

bool refuse_unproven(struct context *c, struct plan *p, enum phase phase, struct err *err)
{
    const struct step *step = NULL;
    const struct sql_stmt *s = phase == PHASE_EXPAND ? of_expand(c, p, &step) : NULL;

    if (!s)
        return true;
    err_set(err, ERR_REFUSED,
            "expand of plan %s is refused: step %s restricts what live releases may write, and no "
            "proof says that they keep to it",
            p->id.s, step->id.s);
    err_detail(err, "%s:%d:%d: %s: %s", s->at.file, s->at.line, s->at.col, s->kind,
               s->class_why ? s->class_why : "");
    err_hint(err, "list the statements of the releases, so that it can be proved; or move the step "
                  "to finish: of a later phase, or to contract");
    return err_reason(err, "proof");
}
