/* Outcomes that were carried over too far. A query is asked again where the schema of what it touches has changed, not where
 * rows have: what a backfill's rows refuse is seen by the next step that has it asked again, and may have nothing to do
 * with that. Then it holds from where the rows came.
 */
#include "check/verdict.h"

static bool names_table(const struct query *q, const char *table)
{
    for (int i = 0; table && i < q->facts.n_rels; i++)
        if (strcmp(q->facts.rels[i].name, table) == 0)
            return true;
    return false;
}

/* Is what made the state about a table that the query names, as far as its words say? */
static bool is_about(const struct proof *p, const struct query *q, int state)
{
    const struct timeline_state *s = &p->t.states[state];
    const struct task *t = s->task;

    if (t && t->kind == TASK_BACKFILL)
        return names_table(q, t->backfill->table.s ? t->backfill->table.s
                                                   : p->t.plans[s->plan]->sync.table.s);
    if (!t || !t->step || t->step->n_stmts == 0)
        return true;
    for (int i = 0; i < t->step->n_stmts; i++)
        for (int k = 0; k < t->step->stmts[i].relations.n; k++)
            if (names_table(q, t->step->stmts[i].relations.items[k].s))
                return true;
    return false;
}

static bool is_by_rows(const struct outcome *o)
{
    return o && !o->ok && o->probe == 'X' && strncmp(o->sqlstate, "23", 2) == 0;
}

/* The first of the states that it was carried over into, up to this one, in which rows of its tables changed; -1: none. */
static int first_of_rows(const struct proof *p, const struct query *q, int state)
{
    int first = -1;

    for (int s = state; s > 0 && !q->fresh[s]; s = p->t.states[s].from)
        if (changes_rows(p, s) && is_about(p, q, s))
            first = s;
    return first;
}

static void carry_back(struct proof *p, struct query *q, int state)
{
    int from = p->t.states[state].from,
        first = from > 0 && !q->fresh[from] ? first_of_rows(p, q, from) : -1;

    if (first < 0 || !q->run[from] || !q->run[from]->ok || is_about(p, q, state))
        return;
    for (int s = from; s >= first; s = p->t.states[s].from)
        q->run[s] = q->run[state];
}

void carried_settle(struct proof *p)
{
    for (int i = 0; i < p->n_queries; i++)
        for (int s = 1; s < p->t.n_states; s++)
            if (p->queries[i].fresh[s] && is_by_rows(p->queries[i].run[s]))
                carry_back(p, &p->queries[i], s);
}
