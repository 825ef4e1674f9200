/* Statements that are written for what a release's expands make: before these they couldn't even be prepared. What else
 * the expands make of the same columns and tables, restrictions too, was there as long as they are.
 */
#include "check/limits.h"
#include "check/words.h"

static int release_of(const struct proof *p, int plan)
{
    const char *version = plan >= 0 ? p->t.plans[plan]->phases[PHASE_EXPAND].release.s : NULL;

    return version ? timeline_release_index(&p->t, version) : -1;
}

/* Of the expand that makes the state; -1: none does. A release isn't there before the last of its expands is through,
 * whichever plans they are of. */
static int expanded_for(const struct proof *p, int state)
{
    const struct timeline_state *s = &p->t.states[state];

    return state > 0 && s->phase == PHASE_EXPAND ? release_of(p, s->plan) : -1;
}

/* The state that the expands of this one's release begin with. */
static int before_expands(const struct proof *p, int state, int release)
{
    int before = p->t.states[state].from;

    for (int s = before; s > 0; s = p->t.states[s].from)
        if (expanded_for(p, s) == release)
            before = p->t.states[s].from;
    return before;
}

bool brought_by_phase(const struct proof *p, const struct query *q, int state)
{
    int release = expanded_for(p, state),
        before = release >= 0 ? before_expands(p, state, release) : -1;

    return before >= 0 && q->plan[before] && !q->plan[before]->ok && !q->shape[before];
}

/* An older release has it as well: then it wasn't written for what came later. */
static bool is_brought(const struct proof *p, const struct app_statement *a, int state)
{
    return a->release >= expanded_for(p, state) && a->release < p->t.n_releases &&
           brought_by_phase(p, a->q, state);
}

/* number 0: all of the table. The births of the state itself aren't noted yet when it's tried. */
static bool is_born(const struct proof *p, int state, const struct cat_relation *r, int number)
{
    const struct cat_relation *was = cat_by_oid(&p->before, r->oid);
    int release = expanded_for(p, state);

    for (int i = 0; i < p->n_born; i++)
        if (p->born[i].relation == r->oid &&
            (p->born[i].column == 0 || p->born[i].column == number) &&
            p->born[i].phase == PHASE_EXPAND && release_of(p, p->born[i].plan) == release)
            return true;
    return !was || (number > 0 && !cat_column_number(was, number));
}

static bool has_born(const struct proof *p, int state, const struct cat_relation *r,
                     const char *column)
{
    const struct cat_column *c = cat_column(r, column);

    return c && is_born(p, state, r, c->number);
}

bool brought_with_index(const struct proof *p, const struct app_statement *a, int state,
                        const struct cat_relation *r, const struct cat_index *index)
{
    const char *body = strchr(index->definition, '(');

    if (!is_brought(p, a, state))
        return false;
    for (int i = 0; i < r->n_columns; i++)
        if (is_born(p, state, r, r->columns[i].number) &&
            (index_has_column(index, r->columns[i].number) ||
             (body && has_name(body, r->columns[i].name))))
            return true;
    return is_born(p, state, r, 0);
}

static bool is_of_born(const struct proof *p, int state, const struct cat_relation *r,
                       const struct cat_constraint *k)
{
    for (int i = 0; i < k->n_columns; i++)
        if (is_born(p, state, r, k->columns[i]))
            return true;
    return is_born(p, state, r, 0);
}

/* What refuses it, by the server's message. *known: it is one thing of one table. */
static bool refused_by_born(const struct proof *p, const struct app_statement *a, int state,
                            const struct wire_result *refused, bool *known)
{
    const char *column = strcmp(refused->sqlstate, "23502") == 0
                             ? quoted_name(p->scratch, refused->message, "column")
                             : NULL,
               *name = column ? NULL : quoted_name(p->scratch, refused->message, "constraint");

    for (int i = 0; i < p->now.n_relations && (column || name); i++) {
        const struct cat_relation *r = &p->now.relations[i];

        if (!has_name(refused->message, r->name) && strcmp(refused->sqlstate, "23505") != 0)
            continue;
        if (column && cat_column(r, column)) {
            *known = true;
            return has_born(p, state, r, column);
        }
        for (int k = 0; name && k < r->n_constraints; k++)
            if (strcmp(r->constraints[k].name, name) == 0) {
                *known = true;
                return is_of_born(p, state, r, &r->constraints[k]);
            }
        for (int k = 0; name && k < r->n_indexes; k++)
            if (strcmp(r->indexes[k].name, name) == 0) {
                *known = true;
                return brought_with_index(p, a, state, r, &r->indexes[k]);
            }
    }
    return false;
}

static const struct cat_relation *written(const struct proof *p, const struct app_statement *a,
                                          int nth)
{
    const struct fact_write *w = &a->q->facts.writes[nth];

    return cat_find(&p->now, p->sessions[a->q->session].search_path, w->schema, w->table);
}

bool brought_spares(const struct proof *p, const struct limits *l, int state,
                    const struct limit_try *t, const struct wire_result *r)
{
    bool known = false, any = false;

    if (l->sync || !is_brought(p, t->a, state))
        return false;
    any = !r->ok && refused_by_born(p, t->a, state, r, &known);
    if (known)
        return any;
    /* A trigger, a domain, a policy: by what was tried. */
    if (t->from)
        return has_born(p, state, t->from, t->column);
    for (int i = 0; i < t->a->q->facts.n_writes; i++) {
        const struct cat_relation *w = written(p, t->a, i);

        for (int c = 0; w && c < w->n_columns; c++)
            any |= (t->column ? strcmp(w->columns[c].name, t->column) == 0
                              : text_list_has(&l->said.names, w->columns[c].name)) &&
                   is_born(p, state, w, w->columns[c].number);
        any |= w && is_born(p, state, w, 0);
    }
    return any;
}

bool brought_spares_unrun(const struct proof *p, const struct limits *l, int state,
                          const struct app_statement *a)
{
    if (l->sync || !is_brought(p, a, state))
        return false;
    for (int i = 0; i < a->q->facts.n_writes; i++) {
        const struct fact_write *w = &a->q->facts.writes[i];
        const struct cat_relation *r = written(p, a, i);

        for (int c = 0; r && c < r->n_columns; c++)
            if ((w->positional || text_list_has(&w->columns, r->columns[c].name)) &&
                text_list_has(&l->said.names, r->columns[c].name) &&
                !is_born(p, state, r, r->columns[c].number))
                return false;
    }
    return true;
}
