/* Tables that stay without rows, as their checks refuse those that were made: what a statement does to rows of them wasn't
 * tried, though it ran.
 */
#include "check/work.h"

static const struct cat_relation *named(const struct proof *p, const struct query *q,
                                        const char *schema, const char *name)
{
    return cat_find(&p->baseline, p->sessions[q->session].search_path, schema, name);
}

/* Or what a view reads. */
static bool is_on(const struct proof *p, const struct cat_relation *r, unsigned table, int depth)
{
    if (!r || depth > 8)
        return false;
    if (r->oid == table)
        return true;
    for (int i = 0; i < r->n_uses; i++)
        if (is_on(p, cat_by_oid(&p->baseline, r->uses[i]), table, depth + 1))
            return true;
    return false;
}

/* An INSERT brings its row along; where it may meet another, it needs one. */
static bool changes(const struct proof *p, const struct query *q, unsigned table)
{
    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        if ((w->verb != VERB_INSERT || w->on_conflict) &&
            is_on(p, named(p, q, w->schema, w->table), table, 0))
            return true;
    }
    return false;
}

static bool needs_rows(const struct proof *p, const struct query *q, unsigned table)
{
    for (int i = 0; i < q->facts.n_rels; i++)
        if (!q->facts.rels[i].is_target &&
            is_on(p, named(p, q, q->facts.rels[i].schema, q->facts.rels[i].name), table, 0))
            return true;
    return changes(p, q, table);
}

/* How bad it is that a statement was tried without rows: a step that restricts isn't proved against who writes. With
 * the schema of a live database nobody can give rows. */
static enum severity severity_of(const struct proof *p, const struct app_statement *a,
                                 const struct cat_relation *r)
{
    enum severity worst = SEVERITY_NOTE;

    for (int s = 1; s < p->t.n_states; s++) {
        const struct task *t = p->t.states[s].by == STATE_TASK ? p->t.states[s].task : NULL;

        for (int i = 0; t && t->step && i < t->step->n_stmts; i++)
            if (t->step->stmts[i].table && strcmp(t->step->stmts[i].table, r->name) == 0 &&
                (!t->step->stmts[i].schema || strcmp(t->step->stmts[i].schema, r->schema) == 0))
                worst = SEVERITY_WARNING;
        if (t && limits_restricts(p, t, r) && changes(p, a->q, r->oid) && !p->o->next &&
            !p->t.releases[a->release].is_projected && world_met(p, a, s))
            return SEVERITY_ERROR;
    }
    return worst;
}

static const char *words_of(struct proof *p, const struct empty_table *e)
{
    return arena_printf(p->a,
                        "table \"%s\" has no rows: %s%s%s refused those that were made for it",
                        e->relation->name, e->constraint ? "\"" : "the server",
                        e->constraint ? e->constraint : "", e->constraint ? "\"" : "");
}

static const char *way_of(struct proof *p, const struct empty_table *e)
{
    return arena_printf(p->a,
                        p->o->next ? "the schema of a database comes without its rows: phasegate "
                                     "check proves it with an INSERT INTO %s.%s in the project's "
                                     "baseline, and --proof takes what it found"
                                   : "write a row for it into the baseline: INSERT INTO %s.%s ...",
                        e->relation->schema, e->relation->name);
}

/* One finding a table, at the statement for which it matters most. */
static void report(struct proof *p, const struct empty_table *e)
{
    const struct app_statement *first = NULL;
    enum severity worst = SEVERITY_OFF;

    for (int i = 0; i < p->n_app && worst < SEVERITY_ERROR; i++) {
        const struct app_statement *a = &p->app[i];
        enum severity own = a->first_world >= 0 && needs_rows(p, a->q, e->relation->oid)
                                ? severity_of(p, a, e->relation)
                                : SEVERITY_OFF;
        if (own > worst) {
            worst = own;
            first = a;
        }
    }
    if (!first)
        return;
    struct finding *f =
        finding_of_statement(p, first, &p->t.worlds[first->first_world], "cell-untested",
                             first->s->sql_at, NULL, words_of(p, e));
    f->severity = worst;
    f->help = way_of(p, e);
    for (int i = 0; i < p->n_app; i++)
        if (&p->app[i] != first && p->app[i].first_world >= 0 &&
            needs_rows(p, p->app[i].q, e->relation->oid))
            place_add(p, f, &p->app[i]);
}

void empty_report(struct proof *p)
{
    for (int i = 0; i < p->n_empty; i++)
        report(p, &p->empty[i]);
}

static bool is_key(const struct cat_relation *r, const struct cat_column *c)
{
    for (int i = 0; i < r->n_constraints; i++)
        for (int k = 0; k < r->constraints[i].n_columns; k++)
            if (strchr("pu", r->constraints[i].type) && r->constraints[i].columns[k] == c->number)
                return true;
    return false;
}

/* By its key, which none of the rows has that were made: what else it asks of a row may be meant to miss. */
static bool misses_by_key(const struct proof *p, const struct query *q, const struct arg_set *set,
                          unsigned table)
{
    for (int n = 1; n <= set->n; n++) {
        const struct cat_relation *r = NULL;
        const struct cat_column *c = args_compared(p, q, n, &r);
        bool is_there = !c || r->oid != table || !is_key(r, c) || !set->values[n - 1];

        for (int i = 0; !is_there && i < p->n_seeds; i++) {
            const char *own =
                p->seeds[i].relation == table ? seed_value(&p->seeds[i], c->name) : NULL;
            is_there = p->seeds[i].relation == table &&
                       (p->seeds[i].is_found || !own || strcmp(own, set->values[n - 1]) == 0);
        }
        if (!is_there)
            return true;
    }
    return false;
}

/* Is it an UPDATE or a DELETE of one table, and the author's rows of arguments are all for rows that aren't there? */
static bool misses_all(const struct proof *p, const struct query *q)
{
    const struct fact_write *w = q->facts.n_writes == 1 ? &q->facts.writes[0] : NULL;
    const struct cat_relation *r = w ? named(p, q, w->schema, w->table) : NULL;

    if (!r || (w->verb != VERB_UPDATE && w->verb != VERB_DELETE) || !seed_of(p, r->oid) ||
        !q->runs || q->n_sets == 0 || q->n_before > 0 || q->is_stand_in)
        return false;
    for (int i = 0; i < q->n_sets; i++)
        if (!q->sets[i].is_given || !q->sets[i].misses || !misses_by_key(p, q, &q->sets[i], r->oid))
            return false;
    return true;
}

/* One finding for all releases that run it alike. */
static bool is_told(const struct proof *p, int upto)
{
    for (int i = 0; i < upto; i++)
        if (p->app[i].q == p->app[upto].q && p->app[i].first_world >= 0)
            return true;
    return false;
}

void empty_report_misses(struct proof *p)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        if (a->first_world < 0 || !misses_all(p, a->q) || !account_is_touched(p, a->q) ||
            is_told(p, i))
            continue;
        struct finding *f = finding_of_statement(
            p, a, &p->t.worlds[a->first_world], "cell-untested", a->s->sql_at, NULL,
            arena_printf(p->a, "its own -- args: meet no row of \"%s\", and so show little",
                         a->q->facts.writes[0].table));
        f->severity = SEVERITY_WARNING;
        f->help =
            "give the key of a row that is there: those that are made have 1 and 2; or write an "
            "INSERT for it into the baseline";
        for (int k = i + 1; k < p->n_app; k++)
            if (p->app[k].q == a->q && p->app[k].first_world >= 0)
                place_add(p, f, &p->app[k]);
    }
}

const char *empty_parent(struct proof *p, const struct query *q, const struct outcome *o)
{
    const char *key = strcmp(o->sqlstate, "23503") == 0
                          ? quoted_name(p->scratch, o->message, "constraint")
                          : NULL;

    for (int i = 0; key && i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r = named(p, q, w->schema, w->table);
        for (int k = 0; r && k < r->n_constraints; k++)
            for (int e = 0; e < p->n_empty; e++)
                if (r->constraints[k].type == 'f' && strcmp(r->constraints[k].name, key) == 0 &&
                    r->constraints[k].other == p->empty[e].relation->oid)
                    return arena_printf(p->a, "no example row can help: %s; %s",
                                        words_of(p, &p->empty[e]), way_of(p, &p->empty[e]));
    }
    return NULL;
}
