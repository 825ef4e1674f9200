/* A partition that is detached, or hidden, takes its rows along. There may be none of ours in it: one is moved there, before
 * the step. One that is attached brings rows: they are asked for by what they hold.
 */
#include "check/changed.h"
#include "check/seed.h"
#include "check/words.h"

#include <strings.h>

static const struct cat_relation *of_list(const struct proof *p, const struct text_list *names,
                                          const char *but)
{
    for (int i = 0; i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        if (cat_is_table(r) && text_list_has(names, r->name) && (!but || strcmp(r->name, but) != 0))
            return r;
    }
    return NULL;
}

static bool detaches(const struct sql_stmt *s)
{
    return s->table && strstr(s->kind, "DETACH PARTITION") && !strstr(s->kind, "FINALIZE");
}

/* The partition's bound comes behind its constraints. */
static bool is_bounded(const struct cat_relation *r) { return r->n_checks > r->n_constraints; }

static const struct cat_relation *parent_of(const struct proof *p, const struct cat_relation *r)
{
    for (int i = 0; i < p->now.n_relations; i++)
        for (int k = 0; p->now.relations[i].kind == 'p' && k < p->now.relations[i].n_reaches; k++)
            if (p->now.relations[i].reaches[k] == r->oid)
                return &p->now.relations[i];
    return NULL;
}

/* The one statement of the step, where it may be such; hides: a soft drop. */
static const struct sql_stmt *statement_of(const struct proof *p, int state, bool *hides)
{
    const struct timeline_state *s = &p->t.states[state];
    const struct sql_stmt *only =
        s->by == STATE_TASK && s->task->step && s->task->step->n_stmts == 1
            ? &s->task->step->stmts[0]
            : NULL;

    *hides = only && s->task->kind == TASK_SOFT_DROP && only->drop == DROP_TABLE && only->table;
    return *hides || (only && s->task->kind == TASK_STEP && detaches(only)) ? only : NULL;
}

const struct cat_relation *trial_detached(const struct proof *p, int state)
{
    bool hides = false;
    const struct sql_stmt *s = statement_of(p, state, &hides);
    const struct cat_relation *r = !s      ? NULL
                                   : hides ? cat_find(&p->now, NULL, s->schema, s->table)
                                           : of_list(p, &s->relations, s->table);

    return r && is_bounded(r) && cat_by_oid(&p->baseline, r->oid) && parent_of(p, r) ? r : NULL;
}

const struct cat_relation *trial_detached_from(const struct proof *p, int state)
{
    const struct cat_relation *r = trial_detached(p, state);

    return r ? parent_of(p, r) : NULL;
}

const char *const *trial_detach_sql(struct proof *p, int state)
{
    const struct cat_relation *r = trial_detached(p, state), *whole = parent_of(p, r);
    const struct sql_stmt *s = &p->t.states[state].task->step->stmts[0];
    const char **out = arena_array(p->scratch, const char *, 1);
    AUTO(str) sql = {0};

    if (p->t.states[state].task->kind == TASK_SOFT_DROP) {
        str_add(&sql, "ALTER TABLE ");
        sql_qualified(&sql, whole->schema, whole->name);
        str_add(&sql, " DETACH PARTITION ");
        sql_qualified(&sql, r->schema, r->name);
        out[0] = arena_strdup(p->scratch, str_text(&sql));
        return out;
    }
    /* CONCURRENTLY would want a transaction of its own. */
    const char *last = strcasestr(s->sql, "concurrently");

    out[0] = last ? arena_strndup(p->scratch, s->sql, (size_t) (last - s->sql)) : s->sql;
    return out;
}

const char *trial_bound_value(struct proof *p, const struct cat_relation *r,
                              const struct cat_column *c)
{
    struct cat_constraint own = r->constraints[r->n_constraints];
    const struct cat_relation of = {.constraints = &own, .n_constraints = 1, .n_checks = 1};
    struct cat_column plain = *c;
    int n = 0;

    if (!has_name(own.definition, c->name))
        return NULL;
    const char *v =
        trial_compared_with(p, c, arena_printf(p->scratch, "where %s", own.definition), 0, false);
    for (int i = 0; i < r->n_columns; i++)
        n += has_name(own.definition, r->columns[i].name);
    plain.domain_checks = NULL;
    own.columns[0] = c->number;
    own.n_columns = 1;
    return v || n > 1 ? v : value_from_checks(p->scratch, &of, &plain, 0);
}

/* Whoever asks by the partition's key asks for what is in it. */
static void ask_for(struct trial *t, const struct cat_relation *whole, const char *column,
                    const char *value)
{
    int n = t->n_asked;

    for (int i = 0; i < n; i++) {
        const struct app_statement *a = t->asked[i].a;

        for (int k = 1; k <= a->q->sets[0].n; k++) {
            const struct cat_relation *r = NULL;
            const struct cat_column *c = args_compared(t->p, a->q, k, &r);

            if (c && trial_is_below(t->p, r, whole->oid) && strcmp(c->name, column) == 0 &&
                t->asked[i].set == 0)
                trial_add_call(t, a, k, value);
        }
    }
}

int trial_turns_taken(struct trial *t, struct turn *turns)
{
    struct proof *p = t->p;
    const struct cat_relation *r = t->taken, *whole = trial_detached_from(p, t->state);
    const struct cat_constraint *bound = &r->constraints[r->n_constraints];

    if (!whole)
        return 0;
    struct turn *turn = &turns[0];
    *turn = (struct turn) {.r = whole};
    for (int i = 0; i < whole->n_columns; i++) {
        const struct cat_column *same = &whole->columns[i];
        const char *v = trial_bound_value(p, r, same);

        if (!has_name(bound->definition, same->name))
            continue;
        if (!v || turn->n == TURN_COLUMNS)
            return 0;
        turn->columns[turn->n] = same->name;
        turn->values[turn->n++] = v;
    }
    turn->words = arena_printf(p->a, "where a row is in \"%s\"", r->name);
    for (int i = 0; i < turn->n; i++)
        ask_for(t, whole, turn->columns[i], turn->values[i]);
    if (turn->n == 0)
        return 0;
    turns[1] = *turn;
    turns[1].of_all = true;
    return 2;
}

/* ---- what is brought -------------------------------------------------------------------------- */

/* Is it the table that the step makes the rows those of? */
static bool is_named(const struct trial *t, const struct cat_relation *r)
{
    const struct step *s = t->p->t.states[t->state].task->step;

    for (int i = 0; i < s->n_stmts; i++)
        if (text_list_has(&s->stmts[i].relations, r->name))
            return true;
    return false;
}

/* What the row has in the column of that name; NULL: nothing. */
static const char *held_by(const struct seed *row, const char *column)
{
    for (int i = 0; i < row->shape->n_columns; i++)
        if (strcmp(row->shape->columns[i].name, column) == 0)
            return row->values[i];
    return NULL;
}

static void ask_for_row(struct trial *t, const struct app_statement *a, const struct seed *row,
                        bool first_only)
{
    const struct arg_set *own = &a->q->sets[0];
    struct arg_set *set = arena_new(t->p->scratch, struct arg_set);
    const struct cat_column *last = NULL;
    bool any = false;

    *set = (struct arg_set) {.values = arena_array(t->p->scratch, const char *, own->n + 1),
                             .n = own->n};
    for (int k = 1; k <= own->n; k++) {
        const struct cat_relation *r = NULL;
        const struct cat_column *c = args_compared(t->p, a->q, k, &r);
        bool is_asked = c && r != t->brought && is_named(t, r) && !(first_only && c == last);
        const char *value = is_asked ? held_by(row, c->name) : NULL;

        set->values[k - 1] = value ? value : own->values[k - 1];
        any |= value != NULL;
        last = c;
    }
    if (any)
        t->asked[t->n_asked++] = (struct asked) {.a = a, .call = set};
}

void trial_add_brought(struct trial *t, const struct app_statement *a)
{
    const struct seed *row = seed_of(t->p, t->brought->oid);

    if (!row || !row->values || a->q->n_sets == 0)
        return;
    /* "at >= $1 AND at < $2": from the row on, and up to what was asked for before. */
    ask_for_row(t, a, row, false);
    ask_for_row(t, a, row, true);
}
