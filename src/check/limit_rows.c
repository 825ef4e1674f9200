/* Values at the limits in the rows that a statement goes by, instead of in its parameters. */
#include "check/limits.h"
#include "check/ops.h"

#define BESIDE 6 /* values of another column */

/* A new foreign key restricts those who delete what it points at, too. */
static bool restricts_parent(const struct task *t, const char *table)
{
    for (int i = 0; i < t->step->n_stmts; i++) {
        const struct sql_stmt *s = &t->step->stmts[i];

        for (int k = 0; s->table && strcasestr(s->sql, "references") && k < s->relations.n; k++)
            if (strcmp(s->relations.items[k].s, table) == 0 && strcmp(s->table, table) != 0)
                return true;
    }
    return false;
}

static void add_row_tries(struct proof *p, const struct app_statement *a,
                          const struct cat_relation *from, const struct cat_relation *into,
                          bool whole, struct limits *l)
{
    for (int i = 0; i < from->n_columns; i++) {
        const struct cat_column *c = &from->columns[i];
        const char *values[LIMIT_VALUES];
        int n = 0;

        if (c->is_generated || c->is_identity || cat_is_in_key(from, c) ||
            (!whole && !text_list_has(&a->q->facts.columns, c->name)))
            continue;
        n = limit_values(p, l, from, c, values);
        /* As long as what it goes to takes. */
        for (int k = 0; into && c->category == 'S' && k < into->n_columns && n < LIMIT_VALUES; k++)
            if (into->columns[k].category == 'S' && into->columns[k].typmod > 4)
                values[n++] = limit_text(p, into->columns[k].typmod - 4);
        for (int v = 0; v < n; v++)
            limits_add(
                l, (struct limit_try) {
                       .a = a, .column = c->name, .value = values[v], .from = from, .into = into});
    }
}

/* By what was in a row a trigger or a rule may go, whatever is written to it. */
static void add_row_as_named(struct proof *p, const struct app_statement *a,
                             const struct cat_relation *r, struct limits *l)
{
    for (int i = 0; i < r->n_columns; i++) {
        const struct cat_column *c = &r->columns[i];
        const char *values[LIMIT_VALUES];

        if (c->is_generated || c->is_identity || cat_is_in_key(r, c) ||
            !text_list_has(&l->said.names, c->name))
            continue;
        int n = limit_values_named(p, l, r, c, values);
        if (n > LIMIT_VALUES - AWKWARD_VALUES)
            n = LIMIT_VALUES - AWKWARD_VALUES;
        n += limit_values_awkward(p, l, c, values + n);
        for (int v = 0; v < n; v++)
            limits_add(
                l, (struct limit_try) {.a = a, .column = c->name, .value = values[v], .from = r});
    }
}

/* Something that is computed goes into the table: it hangs on the rows that it's computed from. */
static bool computes(const struct fact_write *w)
{
    if (w->verb == VERB_INSERT && w->positional)
        return true;
    for (int i = 0; i < w->columns.n && w->verb != VERB_DELETE; i++)
        if ((!w->params || w->params[i] == 0) &&
            (i >= w->literals.n || w->literals.items[i].s == NULL))
            return true;
    return false;
}

static bool computes_restricted(const struct proof *p, int state, const struct cat_relation *r,
                                const struct fact_write *w)
{
    bool any = w->columns.n == 0;

    for (int i = 0; i < w->columns.n; i++)
        any |= limits_hold(p, state, r, w->columns.items[i].s);
    return any && limits_hold(p, state, r, NULL) && computes(w);
}

/* Rows that the trigger lets point at what is deleted: the old side says so, and did before. */
static void add_pointed_at(struct proof *p, const struct app_statement *a,
                           const struct cat_relation *parent, struct limits *l)
{
    const struct seed *s = seed_of(p, parent->oid);

    for (int i = 0; l->sync && s && i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        for (int k = 0; sync_is_of(l->sync, r) && k < r->n_constraints; k++) {
            const struct cat_constraint *c = &r->constraints[k];
            const struct cat_column *from = cat_column_number(r, c->columns[0]);
            const struct cat_column *to = cat_column_number(parent, c->other_columns[0]);
            const struct pair *target = from ? sync_target(l->sync, from->name) : NULL;

            if (c->type != 'f' || c->other != parent->oid || c->n_columns != 1 || !target || !to)
                continue;
            for (int n = 0; n < l->sync->sync.forward_columns.n; n++)
                limits_add(l,
                           (struct limit_try) {.a = a,
                                               .column = l->sync->sync.forward_columns.items[n].s,
                                               .value = seed_value(s, to->name),
                                               .from = r});
        }
    }
}

void limits_add_rows(struct proof *p, const struct app_statement *a, int state, struct limits *l)
{
    const struct query *q = a->q;
    const char *path = p->sessions[q->session].search_path;

    for (int i = 0; i < q->facts.n_writes && q->n_before == 0; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r = cat_find(&p->now, path, w->schema, w->table);

        bool deletes = r && w->verb == VERB_DELETE && !l->sync &&
                       restricts_parent(p->t.states[state].task, r->name);
        if (r && w->verb == VERB_DELETE)
            add_pointed_at(p, a, r, l);
        bool looks =
            w->verb == VERB_UPDATE ? l->judges && !l->sync : l->acts && w->verb == VERB_DELETE;
        if (r && looks && limits_hold(p, state, r, NULL))
            add_row_as_named(p, a, r, l);
        if (!r || !(deletes || computes_restricted(p, state, r, w)))
            continue;
        for (int k = 0; k < q->facts.n_rels; k++) {
            const struct fact_rel *f = &q->facts.rels[k];
            const struct cat_relation *from = cat_find(&p->now, path, f->schema, f->name);

            if (from && (from->kind == 'r' || from->kind == 'p') &&
                (from != r || w->verb != VERB_INSERT))
                add_row_tries(p, a, from, w->verb == VERB_INSERT ? r : NULL, f->star, l);
        }
    }
}

/* ---- rows that a statement finds -------------------------------------------------------------------------------- */

const char *limits_change_sql(struct proof *p, const struct cat_relation *r, const char *column,
                              const char *value)
{
    AUTO(str) sql = {0};

    cat_add_update(&sql, r, column);
    if (value)
        sql_literal(&sql, value);
    else
        str_add(&sql, "NULL");
    return arena_strdup(p->scratch, str_text(&sql));
}

/* *out: rows that it writes after the prelude; 0 where it fails. */
static bool found_after(struct proof *p, const struct app_statement *a,
                        const struct cat_relation *of, const char *prelude, int64_t *out,
                        struct err *err)
{
    struct limit_try t = {.a = a, .prelude = prelude, .of = of};
    struct wire_result r = {0};

    if (!limits_run_rows(p, &t, &r, err))
        return false;
    *out = r.ok ? r.affected : 0;
    return true;
}

/* *out NULL: it finds one as it is, or none whatever is in it. */
static bool prelude_of(struct proof *p, const struct app_statement *a, const struct cat_relation *r,
                       const struct limits *l, const char **out, struct err *err)
{
    int64_t found = 0;

    if (!found_after(p, a, r, NULL, &found, err))
        return false;
    for (int i = 0; found == 0 && i < r->n_columns; i++) {
        const struct cat_column *c = &r->columns[i];
        const char *values[LIMIT_VALUES];
        int n = c->is_generated || c->is_identity || cat_is_in_key(r, c) ||
                        !text_list_has(&l->said.names, c->name)
                    ? 0
                    : limit_values_named(p, l, r, c, values);

        for (int v = 0; v < n; v++) {
            const char *sql = limits_change_sql(p, r, c->name, values[v]);
            if (!found_after(p, a, r, sql, &found, err))
                return false;
            if (found > 0) {
                *out = sql;
                return true;
            }
        }
    }
    return true;
}

bool limits_show(struct proof *p, const struct app_statement *a, int state, int first,
                 struct limits *l, struct err *err)
{
    const struct query *q = a->q;
    const char *path = p->sessions[q->session].search_path, *prelude = NULL;
    const struct cat_relation *of = NULL;

    if (first == l->n || !l->judges || l->sync || q->n_before > 0)
        return true;
    for (int i = 0; i < q->facts.n_writes && !prelude; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *written = cat_find(&p->now, path, w->schema, w->table),
                                  *r = written ? written_table(p, written) : NULL;

        of = r;
        if (cat_is_table(r) && w->verb == VERB_UPDATE && limits_hold(p, state, written, NULL) &&
            !prelude_of(p, a, r, l, &prelude, err))
            return false;
    }
    for (int i = first; i < l->n && prelude; i++)
        if (!l->tries[i].from) {
            l->tries[i].prelude = prelude;
            l->tries[i].of = of;
        }
    return true;
}

/* Named by the restriction. What the statement itself writes counts for a trigger only: it knows what was there before. */
static bool is_beside(const struct limits *l, const struct fact_write *w,
                      const struct cat_relation *r, const struct cat_column *c)
{
    return !c->is_generated && !c->is_identity && !cat_is_in_key(r, c) &&
           text_list_has(&l->said.names, c->name) &&
           (l->acts || !text_list_has(&w->columns, c->name));
}

/* own: the column that the prelude changes, where the statement writes it: then only what it gives this one; or NULL. */
static void copy_tries(struct limits *l, int first, int upto, const struct cat_relation *of,
                       const char *own, const char *prelude)
{
    for (int i = first; i < upto; i++) {
        struct limit_try t = l->tries[i];

        if (t.from || t.prelude || !text_list_has(&l->said.names, t.column) ||
            (own && strcmp(t.column, own) != 0))
            continue;
        t.prelude = prelude;
        t.of = of;
        limits_add(l, t);
    }
}

void limits_add_beside(struct proof *p, const struct app_statement *a, int state, int first,
                       struct limits *l)
{
    const struct query *q = a->q;
    const char *path = p->sessions[q->session].search_path;
    int upto = l->n;

    for (int i = 0; i < q->facts.n_writes && l->judges && !l->sync && q->n_before == 0; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r = cat_find(&p->now, path, w->schema, w->table);

        if (!cat_is_table(r) || w->verb != VERB_UPDATE || !limits_hold(p, state, r, NULL))
            continue;
        for (int c = 0; c < r->n_columns; c++) {
            const char *values[LIMIT_VALUES], *name = r->columns[c].name;
            const char *own = text_list_has(&w->columns, name) ? name : NULL;
            int n = is_beside(l, w, r, &r->columns[c])
                        ? limit_values_named(p, l, r, &r->columns[c], values)
                        : 0;
            for (int v = 0; v < n && v < BESIDE; v++)
                copy_tries(l, first, upto, r, own, limits_change_sql(p, r, name, values[v]));
        }
    }
}

/* ---- running -------------------------------------------------------------------------------------------------- */

/* The row was there before the trigger: it isn't asked. One that was there before lets it pass, or it wouldn't have been
 * tried any further. */
static bool is_new(const struct cat_relation *was, const struct cat_named *t)
{
    for (int i = 0; was && i < was->n_triggers; i++)
        if (strcmp(was->triggers[i].name, t->name) == 0)
            return strcmp(was->triggers[i].definition, t->definition) != 0 ||
                   strcmp(was->triggers[i].body, t->body) != 0;
    return true;
}

static void switch_triggers(struct proof *p, const struct cat_relation *of, bool on, struct ops *o)
{
    const struct cat_relation *r = cat_by_oid(&p->now, of->oid),
                              *was = cat_by_oid(&p->before, of->oid);

    for (int i = 0; r && i < r->n_triggers; i++) {
        const struct cat_named *t = &r->triggers[i];
        AUTO(str) sql = {0};

        if (!strchr("OA", t->enabled) || !is_new(was, t))
            continue;
        str_add(&sql, "ALTER TABLE ");
        sql_qualified(&sql, r->schema, r->name);
        str_add(&sql, !on                 ? " DISABLE TRIGGER "
                      : t->enabled == 'A' ? " ENABLE ALWAYS TRIGGER "
                                          : " ENABLE TRIGGER ");
        sql_ident(&sql, t->name);
        ops_add(o, arena_strdup(p->scratch, str_text(&sql)), NULL, false, false);
    }
}

static void add_change(struct proof *p, const struct limit_try *t, struct ops *o)
{
    const struct cat_relation *of = t->from ? t->from : t->of;
    const char *change = t->from ? limits_change_sql(p, t->from, t->column, t->value) : t->prelude;
    bool is_after = t->worked && of && !t->fires;

    if (!change)
        return;
    if (is_after)
        switch_triggers(p, of, false, o);
    ops_add(o, change, NULL, false, false);
    if (is_after) {
        ops_add(o, "SET CONSTRAINTS ALL IMMEDIATE", NULL, false, false);
        switch_triggers(p, of, true, o);
    }
}

bool limits_run_rows(struct proof *p, const struct limit_try *t, struct wire_result *out,
                     struct err *err)
{
    const struct query *q = t->a->q;
    const char *path = p->sessions[q->session].search_path;
    const struct cat_relation *of = t->from ? t->from : t->of,
                              *now = of ? cat_by_oid(&p->now, of->oid) : NULL;
    int room = 10 + 2 * (now ? now->n_triggers : 0) + t->n_beside;
    struct ops o = {arena_array(p->scratch, struct wire_op, room), 0};
    struct wire_result *r = arena_array(p->scratch, struct wire_result, room);
    struct arg_set set = {t->args ? t->args : q->sets[0].values, q->sets[0].n, false};
    AUTO(str) empty = {0};

    ops_add(&o, "BEGIN", NULL, false, false);
    ops_add(&o, arena_printf(p->scratch, "SET LOCAL search_path = %s", path ? path : "public"),
            NULL, false, false);
    str_add(&empty, "DELETE FROM ");
    if (t->into)
        sql_qualified(&empty, t->into->schema, t->into->name);
    if (t->into)
        ops_add(&o, str_text(&empty), NULL, false, false);
    if (q->clears)
        ops_add(&o, q->clears, NULL, false, false);
    add_change(p, t, &o);
    int first = o.n;
    for (int i = 0; i < t->n_beside; i++)
        ops_add(&o, q->sql, &t->beside[i], false, false);
    int own = ops_add(&o, q->sql, &set, false, false);
    ops_add(&o, "SET CONSTRAINTS ALL IMMEDIATE", NULL, false, true);
    ops_add(&o, "ROLLBACK", NULL, false, true);
    if (!wire_run(p->owner, p->scratch, o.op, o.n, r, err))
        return false;
    while (first < own && r[first].ok)
        first++;
    *out = r[own].ok ? r[own + 1] : r[first]; /* what comes behind one that fails is skipped */
    out->affected = r[own].affected;
    out->skipped = r[first].skipped;
    out->ok = out->ok && (t->worked || r[own].affected > 0);
    return true;
}
