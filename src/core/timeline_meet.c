/* Plans that meet: every way to be in the middle of several of them at once. */
#include "timeline_int.h"

#include <string.h>

#define MAX_PRODUCT 256 /* places of plans that meet, for each stretch and group of plans */

/* ---- who meets whom ------------------------------------------------------------------------------------- */

struct tables {
    const char **names;
    int n;
    bool unknown;
};

static void add_table(struct arena *a, struct tables *t, const char *name)
{
    if (!name)
        return;
    t->names = arena_grow(a, t->names, sizeof *t->names * (size_t) t->n,
                          sizeof *t->names * (size_t) (t->n + 1));
    t->names[t->n++] = name;
}

static void add_tables(struct arena *a, struct tables *t, const struct text_list *names)
{
    for (int i = 0; i < names->n; i++)
        add_table(a, t, names->items[i].s);
}

static void tables_of_steps(struct arena *a, const struct step_list *l, struct tables *t)
{
    for (int i = 0; i < l->n; i++) {
        if (l->items[i].command.n > 0)
            t->unknown = true;
        for (int k = 0; k < l->items[i].n_stmts; k++) {
            const struct sql_stmt *s = &l->items[i].stmts[k];

            add_table(a, t, s->table);
            add_tables(a, t, &s->relations);
            if (!s->table || s->class == SQL_UNKNOWN)
                t->unknown = true;
        }
    }
}

static void tables_of(struct arena *a, const struct plan *p, struct tables *t)
{
    add_table(a, t, p->sync.table.s);
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
        const struct phase_plan *f = &p->phases[ph];

        tables_of_steps(a, &f->steps, t);
        tables_of_steps(a, &f->finish, t);
        for (int i = 0; i < f->backfill.n; i++) {
            add_table(a, t, f->backfill.items[i].table.s);
            add_table(a, t, f->backfill.items[i].insert_into.s);
            add_tables(a, t, &f->backfill.items[i].relations);
        }
    }
}

bool plans_interfere(const struct plan *p, const struct plan *q)
{
    AUTO(arena) a = {0};
    struct tables x = {0}, y = {0};

    tables_of(&a, p, &x);
    tables_of(&a, q, &y);
    if (x.unknown || y.unknown)
        return true;
    for (int i = 0; i < x.n; i++)
        for (int k = 0; k < y.n; k++)
            if (strcmp(x.names[i], y.names[k]) == 0)
                return true;
    return false;
}

/* May the plan take its next task with the others where they stand? */
static bool deps_allow(struct builder *b, int plan)
{
    const struct plan *p = b->t->plans[plan];

    for (int i = 0; i < p->n_depends_on; i++) {
        const struct plan_dep *d = &p->depends_on[i];

        for (int k = 0; k < b->t->n_plans; k++) {
            const struct life *l = &b->lives[k];

            if (strcmp(b->t->plans[k]->id.s, d->plan.s) == 0 && b->done[k] < l->n &&
                !l->tasks[b->done[k]].is_purge && l->tasks[b->done[k]].phase <= d->phase)
                return false;
        }
    }
    return true;
}

/* ---- the places of a group of plans -------------------------------------------------------------------------- */

/* Depth first over what each plan may take next, from where the stretch begins. */
struct product {
    struct builder *b;
    const struct stretch *stretch;
    const bool *group; /* [n_plans]: who is of it */
    int start;         /* the state in which it began */
    const int **seen;
    int n_seen;
};

/* Which state has the database when the plans are there? A flag that moved changes nothing of it. */
static bool is_state_of(const struct builder *b, int state, const int *done)
{
    for (int i = 0; i < b->t->n_plans; i++) {
        int from = b->t->states[state].done[i], to = done[i];

        for (int k = from < to ? from : to; k < (from < to ? to : from); k++)
            if (task_changes_database(b->lives[i].tasks[k].task))
                return false;
    }
    return true;
}

static int find_state(const struct product *p)
{
    const struct timeline *t = p->b->t;

    for (int i = p->start; i < t->n_states; i++)
        if (t->states[i].by != STATE_RESTORE && is_state_of(p->b, i, p->b->done))
            return i;
    return -1;
}

static bool was_seen(struct product *p)
{
    size_t size = sizeof(int) * (size_t) p->b->t->n_plans;

    for (int i = 0; i < p->n_seen; i++)
        if (memcmp(p->seen[i], p->b->done, size) == 0)
            return true;
    if (p->n_seen == MAX_PRODUCT) {
        p->b->t->n_cut++;
        return true;
    }
    int *copy = arena_array(p->b->a, int, p->b->t->n_plans + 1);
    memcpy(copy, p->b->done, size);
    p->seen[p->n_seen++] = copy;
    return false;
}

static void product_walk(struct product *p)
{
    struct builder *b = p->b;

    for (int plan = 0; plan < b->t->n_plans; plan++) {
        int state = b->state;
        const struct life *l = &b->lives[plan];

        if (!p->group[plan] || b->done[plan] == l->n ||
            !is_in_stretch(&l->tasks[b->done[plan]], p->stretch) || !deps_allow(b, plan))
            continue;
        b->done[plan]++;
        if (!was_seen(p)) {
            int known = find_state(p);
            b->done[plan]--;
            timeline_take(b, plan, p->stretch, known);
            product_walk(p);
        }
        b->done[plan]--;
        b->state = state;
    }
}

/* ---- groups ---------------------------------------------------------------------------------------------------- */

bool takes_part(const struct builder *b, int plan, const struct stretch *s)
{
    const struct life *l = &b->lives[plan];

    for (int k = 0; k < l->n; k++)
        if (is_in_stretch(&l->tasks[k], s))
            return true;
    return false;
}

/* Does one wait for what the other does in this stretch? */
static bool waits_for(const struct builder *b, int plan, int other, const struct stretch *s)
{
    const struct plan *p = b->t->plans[plan];
    const struct life *l = &b->lives[other];

    for (int i = 0; i < p->n_depends_on; i++)
        if (strcmp(p->depends_on[i].plan.s, b->t->plans[other]->id.s) == 0)
            for (int k = 0; k < l->n; k++)
                if (is_in_stretch(&l->tasks[k], s) && !l->tasks[k].is_purge &&
                    l->tasks[k].phase <= p->depends_on[i].phase)
                    return true;
    return false;
}

/* The group has to go through the stretch together. */
static bool belong_together(const struct builder *b, int i, int k, const struct stretch *s)
{
    return plans_interfere(b->t->plans[i], b->t->plans[k]) || waits_for(b, i, k, s) ||
           waits_for(b, k, i, s);
}

void gather_group(struct builder *b, int plan, const struct stretch *s, bool *in)
{
    bool more = true;

    memset(in, 0, sizeof *in * (size_t) b->t->n_plans);
    in[plan] = true;
    while (more) {
        more = false;
        for (int i = 0; i < b->t->n_plans; i++)
            for (int k = 0; in[i] && k < b->t->n_plans; k++)
                if (!in[k] && takes_part(b, k, s) && belong_together(b, i, k, s))
                    in[k] = more = true;
    }
}

void walk_products(struct builder *b, const struct stretch *s, const bool *group, int state,
                   const int *done)
{
    size_t size = sizeof(int) * (size_t) b->t->n_plans;
    int *after = arena_array(b->a, int, b->t->n_plans + 1), end = b->state;
    struct product p = {.b = b, .stretch = s, .group = group, .start = state};

    p.seen = arena_array(b->a, const int *, MAX_PRODUCT + 1);
    memcpy(after, b->done, size);
    memcpy(b->done, done, size);
    b->state = state;
    product_walk(&p);
    memcpy(b->done, after, size);
    b->state = end;
}
