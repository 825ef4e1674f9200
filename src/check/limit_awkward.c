/* What a trigger, a function or an expression fails for without naming it: texts that are too long together, nothing to divide
 * by, no first item, a number that is none, and what stands in the tables that a function reads.
 */
#include "check/changed.h"
#include "check/limits.h"
#include "check/types.h"

#include <stdlib.h>

#define ELSEWHERE 60 /* values in other tables, for each write */
#define COUNTS 4     /* numbers up to which rows may be counted */
#define MANY_ROWS 64
#define FIRST_OTHER 20 /* variant of a key that none of the rows has that there are */

int limit_values_awkward(struct proof *p, const struct limits *l, const struct cat_column *c,
                         const char **out)
{
    int n = 0;

    if (c->category == 'N') {
        out[n++] = "0";
        out[n++] = "1";
        out[n++] = "-1";
    }
    if (c->category == 'S') {
        out[n++] = "";
        out[n++] = "y";
    }
    if (c->category == 'S' && l->acts && c->typmod <= 4)
        out[n++] = limit_text(p, AWKWARD_TEXT);
    if (c->category == 'A')
        out[n++] = "{}";
    return n;
}

/* ---- long together ---------------------------------------------------------------------------------------- */

static const char *longest(struct proof *p, const struct cat_column *c)
{
    return limit_text(p, c->typmod > 4 ? c->typmod - 4 : AWKWARD_TEXT);
}

static void add_long_params(struct proof *p, const struct app_statement *a,
                            const struct fact_write *w, const struct cat_relation *r,
                            struct limits *l)
{
    int most = w->columns.n > 0 ? w->columns.n : a->q->sets[0].n, n = 0, param = 0;
    const char **args = arena_array(p->scratch, const char *, a->q->sets[0].n + 1);

    memcpy(args, a->q->sets[0].values, sizeof *args * (size_t) a->q->sets[0].n);
    for (int k = 0; k < most; k++) {
        const struct cat_column *c = limits_written_by(a->q, w, r, k, &param);

        if (!c || c->category != 'S')
            continue;
        args[param - 1] = longest(p, c);
        n++;
    }
    if (n > 1)
        limits_add(l, (struct limit_try) {.a = a,
                                          .args = args,
                                          .words = "texts of full length in all its parameters"});
}

static bool is_checked(const struct cat_relation *r, const struct cat_column *c)
{
    for (int i = 0; i < r->n_checks; i++)
        for (int k = 0; r->constraints[i].type == 'c' && k < r->constraints[i].n_columns; k++)
            if (r->constraints[i].columns[k] == c->number)
                return true;
    return false;
}

/* In every row, and nothing is known to be against it. */
static bool may_be_long(const struct cat_relation *r, const struct cat_column *c)
{
    bool is_free = c->category == 'S' && !c->is_generated && !c->domain_checks &&
                   !cat_is_in_key(r, c) && !is_checked(r, c);

    for (int i = 0; is_free && i < r->n_indexes; i++)
        is_free = !r->indexes[i].is_unique || !index_has_column(&r->indexes[i], c->number);
    return is_free;
}

static void add_long_row(struct proof *p, const struct app_statement *a,
                         const struct cat_relation *r, struct limits *l)
{
    AUTO(str) sql = {0};

    for (int i = 0; i < r->n_columns; i++) {
        const struct cat_column *c = &r->columns[i];

        if (!may_be_long(r, c))
            continue;
        cat_add_set(&sql, r, c->name);
        sql_literal(&sql, longest(p, c));
    }
    if (sql.len)
        limits_add(l, (struct limit_try) {.a = a,
                                          .prelude = arena_strdup(p->scratch, str_text(&sql)),
                                          .of = r,
                                          .words = "texts of full length in its row"});
}

/* ---- an array that gets empty ----------------------------------------------------------------------------- */

static bool is_item(const struct cat_column *c, unsigned type)
{
    return type == c->element || (type == T_TEXT && c->element == T_VARCHAR) ||
           (type == T_VARCHAR && c->element == T_TEXT);
}

static void add_single(struct proof *p, const struct app_statement *a, const struct cat_relation *r,
                       const struct cat_column *c, const char *item, struct limits *l)
{
    if (!item)
        return;
    limits_add(l, (struct limit_try) {
                      .a = a,
                      .prelude = limits_change_sql(p, r, c->name, limit_array_of(p, item)),
                      .of = r,
                      .words = arena_printf(
                          p->scratch, "%s alone in \"%s\" of its row",
                          strlen(item) > 40 ? "one item" : arena_printf(p->scratch, "'%s'", item),
                          c->name)});
}

/* What it takes out of the array is all that there is. */
static void add_singles(struct proof *p, const struct app_statement *a, int state,
                        const struct fact_write *w, const struct cat_relation *r, struct limits *l)
{
    const struct query *q = a->q;
    const struct description *d = q->shape[p->t.states[state].from];

    for (int k = 0; k < w->columns.n; k++) {
        const struct cat_column *c = cat_column(r, w->columns.items[k].s);

        if (!c || c->category != 'A' || !limits_is_made(w, k) || !limits_hold(p, state, r, c->name))
            continue;
        for (int n = 0; d && n < d->n_params && n < q->sets[0].n; n++)
            if (is_item(c, d->params[n]))
                add_single(p, a, r, c, q->sets[0].values[n], l);
        for (int n = 0; n < q->facts.literals.n; n++)
            add_single(p, a, r, c, q->facts.literals.items[n].s, l);
    }
}

/* ---- rows elsewhere ---------------------------------------------------------------------------------------- */

static int add_elsewhere(struct proof *p, const struct app_statement *a,
                         const struct cat_relation *r, const struct cat_column *c, int room,
                         struct limits *l)
{
    const char *values[LIMIT_VALUES + 2];
    int n = limit_values_named(p, l, r, c, values), added = 0;

    if (c->category == 'N') {
        n = n < LIMIT_VALUES ? n : LIMIT_VALUES;
        values[n++] = "0";
        values[n++] = "-1";
    }
    for (int v = 0; v < n && added < room; v++) {
        /* By a text rows are looked for, and one is there. */
        if ((!values[v] && (c->not_null || c->category == 'S')))
            continue;
        limits_add(l, (struct limit_try) {
                          .a = a,
                          .prelude = limits_change_sql(p, r, c->name, values[v]),
                          .of = r,
                          .words = arena_printf(
                              p->scratch, "%s in \"%s\" of the rows of \"%s\"",
                              values[v] ? arena_printf(p->scratch, "'%.40s'", values[v]) : "NULL",
                              c->name, r->name)});
        added++;
    }
    return added;
}

/* Of the tables that a trigger's function may read. */
static void add_others(struct proof *p, const struct app_statement *a, const struct fact_write *w,
                       const struct cat_relation *written, struct limits *l)
{
    int room = ELSEWHERE;

    for (int i = 0; i < p->now.n_relations && room > 0; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        if (!cat_is_table(r) || (r == written && w->verb != VERB_INSERT) ||
            !text_list_has(&l->said.names, r->name))
            continue;
        for (int k = 0; k < r->n_columns && room > 0; k++) {
            const struct cat_column *c = &r->columns[k];

            if (strchr("NBSE", c->category) && !c->is_generated && !c->is_identity &&
                !cat_is_in_key(r, c) && text_list_has(&l->said.names, c->name))
                room -= add_elsewhere(p, a, r, c, room, l);
        }
    }
}

/* ---- many rows ------------------------------------------------------------------------------------------------- */

/* The same row under n other keys. NULL: nobody knows keys for it. */
static const struct arg_set *others_of(struct proof *p, const struct app_statement *a,
                                       const struct fact_write *w, const struct cat_relation *r,
                                       int n)
{
    const struct arg_set *own = &a->q->sets[0];
    const bool *vary = trial_columns_to_vary(p, r);
    struct arg_set *sets = arena_array(p->scratch, struct arg_set, n);

    for (int i = 0; i < n; i++) {
        sets[i] = (struct arg_set) {.values = arena_array(p->scratch, const char *, own->n + 1),
                                    .n = own->n};
        memcpy(sets[i].values, own->values, sizeof *own->values * (size_t) own->n);
        for (int k = 0; k < (w->columns.n > 0 ? w->columns.n : own->n); k++) {
            int param = 0;
            const struct cat_column *c = limits_written_by(a->q, w, r, k, &param);

            if (!c || !vary[c - r->columns])
                continue;
            sets[i].values[param - 1] = column_value(p, &p->now, c, FIRST_OTHER + i);
            if (!sets[i].values[param - 1])
                return NULL;
        }
    }
    return sets;
}

/* What counts rows may refuse one more of them: as many go in before as it says. */
static void add_many(struct proof *p, const struct app_statement *a, const struct fact_write *w,
                     const struct cat_relation *r, struct limits *l)
{
    const struct sql_mentions *said = &l->said;

    if (!text_list_has(&said->names, "count"))
        return;
    for (int i = 0, n = 0; i < said->numbers.n && n < COUNTS; i++) {
        char *end;
        long many = strtol(said->numbers.items[i].s, &end, 10);
        const struct arg_set *others =
            many > 0 && many <= MANY_ROWS && !*end ? others_of(p, a, w, r, (int) many) : NULL;

        if (!others)
            continue;
        limits_add(l, (struct limit_try) {
                          .a = a,
                          .beside = others,
                          .n_beside = (int) many,
                          .words = arena_printf(p->scratch,
                                                "the same values, after %ld more row%s like that",
                                                many, many == 1 ? "" : "s")});
        n++;
    }
}

void limits_add_awkward(struct proof *p, const struct app_statement *a, int state, struct limits *l)
{
    const struct query *q = a->q;

    for (int i = 0; i < q->facts.n_writes && l->judges && !l->sync && q->n_before == 0; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);

        if (!cat_is_table(r) || !limits_hold(p, state, r, NULL))
            continue;
        if (w->verb == VERB_UPDATE)
            add_singles(p, a, state, w, r, l);
        if (w->verb == VERB_INSERT && a->q->facts.n_writes == 1)
            add_many(p, a, w, r, l);
        if (!l->acts)
            continue;
        if (w->verb != VERB_DELETE)
            add_long_params(p, a, w, r, l);
        if (w->verb != VERB_INSERT)
            add_long_row(p, a, r, l);
        add_others(p, a, w, r, l);
    }
}
