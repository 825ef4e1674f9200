/* What CASCADE took along. */
#include "check/work.h"

static struct finding *cascade(struct proof *p, int state, const struct sql_stmt *s,
                               const char *message)
{
    const struct timeline_state *t = &p->t.states[state];
    struct finding *f = report_add(p->report, "dependents-cascaded", s->at, "%s", message);

    f->plan = p->t.plans[t->plan]->id.s;
    f->phase = phase_word(t->phase);
    f->step = t->task->step->id.s;
    f->help = "drop or change what depends on it in steps of their own, so that each is seen";
    return f;
}

/* A foreign key to a table that is dropped itself forbids nothing any more, and nobody can use it. */
static bool leads_to_dropped(const struct proof *p, const struct sql_stmt *s,
                             const struct cat_constraint *k)
{
    const struct cat_relation *other =
        s->drop == DROP_TABLE && s->table ? cat_by_oid(&p->before, k->other) : NULL;

    return other && strcmp(other->name, s->table) == 0 &&
           (!s->schema || strcmp(other->schema, s->schema) == 0);
}

void cascade_state(struct proof *p, int state)
{
    const struct task *t = p->t.states[state].task;
    const struct sql_stmt *s = t && t->step && t->step->n_stmts > 0 ? &t->step->stmts[0] : NULL;

    /* What was hidden is destroyed without: its foreign keys went when it was hidden. */
    if (!s || t->kind == TASK_PURGE_DROP || !strcasestr(s->sql, "cascade"))
        return;
    for (int i = 0; i < p->before.n_relations; i++) {
        const struct cat_relation *b = &p->before.relations[i], *n = cat_by_oid(&p->now, b->oid);
        bool meant = s->table && strcmp(b->name, s->table) == 0;

        if (!n && !meant && b->kind != 'S')
            cascade(
                p, state, s,
                arena_printf(p->a, "CASCADE drops \"%s\" as well, which depends on it", b->name));
        for (int k = 0; n && !meant && k < b->n_constraints; k++) {
            bool there =
                b->constraints[k].type != 'f' || leads_to_dropped(p, s, &b->constraints[k]);
            for (int m = 0; m < n->n_constraints; m++)
                there |= strcmp(n->constraints[m].name, b->constraints[k].name) == 0;
            if (!there)
                cascade(p, state, s,
                        arena_printf(p->a, "CASCADE drops foreign key \"%s\" of \"%s\" as well",
                                     b->constraints[k].name, b->name));
        }
    }
}
