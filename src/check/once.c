/* One cause, one finding: where the shadow has seen what a statement does, what its parse tree made one suspect is
 * taken back.
 */
#include "check/work.h"

static bool is_at(const struct finding *f, struct pos at)
{
    return f->at.line == at.line && f->at.col == at.col && f->at.file && at.file &&
           strcmp(f->at.file, at.file) == 0;
}

static void take_back(struct proof *p, const char *rule, struct pos at)
{
    for (int i = 0; i < p->report->n; i++)
        if (strcmp(p->report->findings[i].rule->id, rule) == 0 &&
            is_at(&p->report->findings[i], at))
            p->report->findings[i].severity = SEVERITY_OFF;
}

/* The file of the table is as it was: no value was rounded or cut. */
void once_state(struct proof *p, int state)
{
    const struct task *t = p->t.states[state].task;

    if (state == 0 || !t || t->kind != TASK_STEP || p->broken[state])
        return;
    for (int i = 0; i < t->step->n_stmts; i++) {
        const struct sql_stmt *s = &t->step->stmts[i];
        const struct cat_relation *before =
            s->table ? cat_find(&p->before, NULL, s->schema, s->table) : NULL;
        const struct cat_relation *now = before ? cat_by_oid(&p->now, before->oid) : NULL;

        if (now && strcmp(s->kind, "ALTER TABLE ALTER COLUMN TYPE") == 0 && before->filenode &&
            before->filenode == now->filenode) {
            take_back(p, "destructive-outside-contract", s->at);
            take_back(p, "destructive-without-precheck", s->at);
        }
    }
}
