/* Rows over which a view that is made anew is tried, beside those that it names values of: a table without any, a column
 * without a value, texts in capitals or with blanks around them, and every row once more under another key. An inner join, a filter, DISTINCT
 * and what a text is trimmed to show themselves only there.
 */
#include "check/changed.h"
#include "check/seed.h"
#include "check/synced.h"
#include "check/words.h"

#define BELOW_MAX 24  /* tables that are emptied before one is */
#define TWICE_MAX 100 /* rows that are there once more */

struct worlds {
    struct trial *t;
    const struct cat_relation **tables;
    int n_tables;
    bool has_new; /* a table of the plans is beside them, which has no row for one that we make */
    struct turn *out;
    int n, most;
};

/* ---- of which tables ------------------------------------------------------------------------------------------ */

/* What a sync keeps alike in two columns isn't to be changed in one. */
static bool is_synced(const struct proof *p, const struct cat_relation *r)
{
    bool any = false;

    for (int i = 0; i < p->t.n_plans && !any; i++)
        any = p->t.plans[i]->sync.forward.n > 0 && sync_is_of(p->t.plans[i], r);
    return any;
}

static void add_tables(struct worlds *w, const struct cat_relation *r, int depth)
{
    const struct proof *p = w->t->p;
    bool known = !cat_is_table(r);

    for (int i = 0; i < w->n_tables && !known; i++)
        known = w->tables[i] == r;
    if (!known && cat_by_oid(&p->baseline, r->oid))
        w->tables[w->n_tables++] = r;
    else if (!known)
        w->has_new = true;
    for (int i = 0; r->kind == 'v' && depth < 8 && i < r->n_uses; i++) {
        const struct cat_relation *next = cat_by_oid(&p->now, r->uses[i]);
        if (next)
            add_tables(w, next, depth + 1);
    }
}

/* Those below the views that statements read, and those that the step names. */
static void find_tables(struct worlds *w)
{
    const struct proof *p = w->t->p;
    const struct step *s = p->t.states[w->t->state].task->step;

    w->tables = arena_array(p->scratch, const struct cat_relation *, p->now.n_relations + 1);
    for (int i = 0; i < w->t->n_looks; i++)
        add_tables(w, w->t->looks[i].r, 0);
    for (int i = 0; i < p->now.n_relations; i++)
        for (int k = 0; k < s->n_stmts; k++)
            if (text_list_has(&s->stmts[k].relations, p->now.relations[i].name))
                add_tables(w, &p->now.relations[i], 0);
    for (int k = 0; k < s->n_stmts; k++)
        w->has_new |= strstr(s->stmts[k].kind, "TABLE") != NULL;
}

/* ---- worlds --------------------------------------------------------------------------------------------------- */

static void add_world(struct worlds *w, struct turn turn)
{
    if (w->n < w->most)
        w->out[w->n++] = turn;
}

static struct turn one_of(struct proof *p, const struct cat_relation *r, const char *sql,
                          const char *words)
{
    struct turn turn = {.r = r, .sql = arena_array(p->scratch, const char *, 1), .n_sql = 1};

    turn.sql[0] = sql;
    turn.words = words;
    return turn;
}

static bool is_in(const struct cat_relation *const *all, int n, const struct cat_relation *r)
{
    for (int i = 0; i < n; i++)
        if (all[i] == r)
            return true;
    return false;
}

/* Whoever points at it comes before it. */
static void gather_below(const struct proof *p, const struct cat_relation *r,
                         const struct cat_relation **seen, int *n_seen, struct turn *turn)
{
    AUTO(str) sql = {0};

    if (*n_seen == BELOW_MAX)
        return;
    seen[(*n_seen)++] = r;
    for (int i = 0; i < p->now.n_relations; i++) {
        const struct cat_relation *child = &p->now.relations[i];
        bool points = false;

        for (int k = 0; k < child->n_constraints; k++)
            points |= child->constraints[k].type == 'f' && child->constraints[k].other == r->oid;
        if (points && !is_in(seen, *n_seen, child))
            gather_below(p, child, seen, n_seen, turn);
    }
    str_add(&sql, "DELETE FROM ");
    sql_qualified(&sql, r->schema, r->name);
    turn->sql[turn->n_sql++] = arena_strdup(p->scratch, str_text(&sql));
}

static void add_empty(struct worlds *w, const struct cat_relation *r)
{
    struct proof *p = w->t->p;
    const struct cat_relation *seen[BELOW_MAX];
    int n = 0;
    struct turn turn = {.r = r, .sql = arena_array(p->scratch, const char *, BELOW_MAX)};

    turn.words = arena_printf(p->a, "where \"%s\" has no row", r->name);
    gather_below(p, r, seen, &n, &turn);
    add_world(w, turn);
}

static bool can_change(const struct worlds *w, const struct cat_relation *r,
                       const struct cat_column *c)
{
    return !c->is_generated && !trial_is_the_plans(w->t, r, c);
}

static const char *update_of(struct proof *p, const struct cat_relation *r, const char *column,
                             const char *to)
{
    AUTO(str) sql = {0};

    cat_add_update(&sql, r, column);
    str_add(&sql, to);
    return arena_strdup(p->scratch, str_text(&sql));
}

static void add_nulls(struct worlds *w, const struct cat_relation *r)
{
    struct proof *p = w->t->p;

    for (int i = 0; i < r->n_columns; i++) {
        const struct cat_column *c = &r->columns[i];

        if (!c->not_null && can_change(w, r, c))
            add_world(
                w, one_of(p, r, update_of(p, r, c->name, "NULL"),
                          arena_printf(p->a, "where \"%s\" of \"%s\" is NULL", c->name, r->name)));
    }
}

/* A key may be one of those that statements ask for. */
static void add_letters(struct worlds *w, const struct cat_relation *r)
{
    static const struct {
        const char *before, *behind, *words;
    } ways[] = {{"pg_catalog.concat(' ', ", ", ' ')", "has blanks around it"},
                {"pg_catalog.upper(", ")", "is in capitals"}};
    struct proof *p = w->t->p;

    for (size_t n = 0; n < sizeof ways / sizeof *ways; n++)
        for (int i = 0; i < r->n_columns; i++) {
            const struct cat_column *c = &r->columns[i];
            AUTO(str) to = {0};

            if (c->category != 'S' || cat_is_in_key(r, c) || !can_change(w, r, c))
                continue;
            str_add(&to, ways[n].before);
            sql_ident(&to, c->name);
            str_add(&to, ways[n].behind);
            add_world(w, one_of(p, r, update_of(p, r, c->name, str_text(&to)),
                                arena_printf(p->a, "where \"%s\" of \"%s\" %s", c->name, r->name,
                                             ways[n].words)));
        }
}

/* ---- twice ------------------------------------------------------------------------------------------------------ */

static bool points_out(const struct cat_relation *r, const struct cat_column *c)
{
    for (int i = 0; i < r->n_constraints; i++)
        for (int k = 0; r->constraints[i].type == 'f' && k < r->constraints[i].n_columns; k++)
            if (r->constraints[i].columns[k] == c->number)
                return true;
    return false;
}

static bool is_of_index(const struct cat_index *x, const struct cat_column *c)
{
    return index_has_column(x, c->number) ||
           (index_has_column(x, 0) && has_name(x->definition, c->name));
}

/* Another value of the column than any row has; false: nobody knows one. */
static bool add_other(struct str *sql, const struct cat_relation *r, const struct cat_column *c)
{
    AUTO(str) name = {0};

    sql_ident(&name, c->name);
    if (c->category == 'N') {
        str_addf(sql, "%s + 1 + (SELECT pg_catalog.max(%s) - pg_catalog.min(%s) FROM ",
                 str_text(&name), str_text(&name), str_text(&name));
        sql_qualified(sql, r->schema, r->name);
        str_add(sql, ")");
    } else if (c->category == 'S') {
        str_addf(sql, "pg_catalog.concat(%s, 'y')", str_text(&name));
    } else if (c->category == 'D') {
        str_addf(sql, "%s + pg_catalog.make_interval(years => 40)", str_text(&name));
    } else if (strcmp(c->type_text, "uuid") == 0) {
        str_add(sql, "pg_catalog.gen_random_uuid()");
    } else {
        return false;
    }
    return true;
}

const bool *trial_columns_to_vary(struct proof *p, const struct cat_relation *r)
{
    bool *vary = arena_array(p->scratch, bool, r->n_columns + 1);

    for (int i = 0; i < r->n_indexes; i++) {
        int last = -1;

        for (int c = 0; r->indexes[i].is_unique && c < r->n_columns; c++)
            if (is_of_index(&r->indexes[i], &r->columns[c]))
                last = vary[c] || last < 0 || !points_out(r, &r->columns[c]) ? c : last;
        if (last >= 0)
            vary[last] = true;
    }
    return vary;
}

static void add_twice(struct worlds *w, const struct cat_relation *r)
{
    struct proof *p = w->t->p;
    const bool *vary = trial_columns_to_vary(p, r);
    AUTO(str) names = {0};
    AUTO(str) values = {0};
    AUTO(str) sql = {0};

    for (int i = 0; i < r->n_columns; i++) {
        const struct cat_column *c = &r->columns[i];

        if (c->is_generated)
            continue;
        str_add(&names, names.len ? ", " : "");
        str_add(&values, values.len ? ", " : "");
        sql_ident(&names, c->name);
        if (!vary[i])
            sql_ident(&values, c->name);
        else if (!add_other(&values, r, c))
            return;
    }
    if (names.len == 0)
        return;
    str_add(&sql, "INSERT INTO ");
    sql_qualified(&sql, r->schema, r->name);
    str_addf(&sql, " (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM ", str_text(&names),
             str_text(&values));
    sql_qualified(&sql, r->schema, r->name);
    str_addf(&sql, " LIMIT %d", TWICE_MAX);
    struct turn turn = one_of(
        p, r, arena_strdup(p->scratch, str_text(&sql)),
        arena_printf(p->a, "where a row of \"%s\" is there once more, but for its key", r->name));
    turn.is_twice = true;
    add_world(w, turn);
}

int trial_worlds(struct trial *t, struct turn *turns, int most)
{
    struct worlds w = {.t = t, .out = turns, .most = most};

    find_tables(&w);
    for (int i = 0; i < w.n_tables; i++)
        add_empty(&w, w.tables[i]);
    for (int i = 0; i < w.n_tables; i++) {
        if (is_synced(t->p, w.tables[i]))
            continue;
        if (!w.has_new)
            add_twice(&w, w.tables[i]);
        add_nulls(&w, w.tables[i]);
        add_letters(&w, w.tables[i]);
    }
    return w.n;
}
