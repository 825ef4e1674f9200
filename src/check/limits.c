/* Restrictions against what live writers may hand in: NULL and the limits of each parameter that a restricted table
 * takes, and of each column of the rows that it's computed from. What worked before the step and fails after it isn't
 * proved to be safe.
 */
#include "check/limits.h"

#define TRIES_MAX 4000

struct limit_try {
    const struct app_statement *a;
    int param; /* 1-based */
    const char *column, *value;
    const char **args;
    const struct cat_relation
        *from; /* its column has the value in every row; NULL: it's a parameter's */
    const struct cat_relation
        *into;       /* emptied before: what is copied there has its keys; NULL: it isn't */
    bool worked;     /* before the step */
    bool is_endless; /* with it, or one before, the statement doesn't end: no more are tried */
};

struct limits {
    const struct plan *sync; /* whose trigger comes with the state; NULL: a step restricts */
    int longest;             /* text that is tried where the column itself has no limit */
    struct limit_try *tries;
    int n;
};

/* ---- whom a step may restrict ---------------------------------------------------------------------------- */

static bool may_restrict(const struct sql_stmt *s)
{
    return s->table && (s->class == SQL_RESTRICTIVE || s->class == SQL_DESTRUCTIVE ||
                        strstr(s->kind, "UNIQUE") || strstr(s->kind, "ADD CONSTRAINT") ||
                        strstr(s->kind, "TYPE"));
}

bool limits_restricts(const struct task *t, const char *table)
{
    if (t->kind != TASK_STEP || !t->step)
        return false;
    for (int i = 0; i < t->step->n_stmts; i++)
        if (may_restrict(&t->step->stmts[i]) && strcmp(t->step->stmts[i].table, table) == 0)
            return true;
    return false;
}

/* A partition has the trigger of the whole. By its columns: what is tried shows whether it is one. */
static bool may_be_part(const struct proof *p, const struct plan *sync,
                        const struct cat_relation *r)
{
    bool has_all = true, is_split = false;

    for (int i = 0; i < p->now.n_relations && !is_split; i++)
        is_split = p->now.relations[i].kind == 'p' && sync_is_of(sync, &p->now.relations[i]);
    for (int i = 0; is_split && i < sync->sync.forward.n; i++)
        has_all = has_all && cat_column(r, sync->sync.forward.items[i].key.s);
    return is_split && has_all;
}

/* A trigger restricts whoever writes what it reads, to what the other side takes. */
static bool restricts(const struct proof *p, int state, const struct cat_relation *written,
                      const char *column)
{
    const struct plan *sync = sync_begins(p, state);
    const struct cat_relation *r = written_table(p, written);

    if (!r || !sync)
        return r && limits_restricts(p->t.states[state].task, r->name);
    return (sync_is_of(sync, r) || may_be_part(p, sync, r)) &&
           (!column || sync_reads(sync, column) || sync_target(sync, column));
}

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

/* The nth parameter that a write takes as it is: the column that it goes to. NULL: no more, or none there. */
static const struct cat_column *written_by(const struct query *q, const struct fact_write *w,
                                           const struct cat_relation *r, int n, int *param)
{
    if (w->columns.n > 0) {
        *param = w->params ? w->params[n] : 0;
        return *param > 0 && *param <= q->sets[0].n ? cat_column(r, w->columns.items[n].s) : NULL;
    }
    *param = n + 1;
    return w->positional && q->facts.n_rels == 1 && n < q->sets[0].n && n < r->n_columns
               ? &r->columns[n]
               : NULL;
}

static void add_try(struct proof *p, const struct app_statement *a, int param, const char *what,
                    const char *value, struct limits *l)
{
    const struct arg_set *base = &a->q->sets[0];

    if (l->n == TRIES_MAX)
        return;
    struct limit_try *try = &l->tries[l->n++];
    *try = (struct limit_try) {.a = a,
                               .param = param,
                               .column = what,
                               .value = value,
                               .args = arena_array(p->scratch, const char *, base->n + 1)};
    memcpy(try->args, base->values, sizeof *base->values * (size_t) base->n);
    try->args[param - 1] = value;
}

static bool goes_in_as_it_is(const struct query *q, int param)
{
    for (int i = 0; i < q->facts.n_writes; i++)
        for (int k = 0; q->facts.writes[i].params && k < q->facts.writes[i].columns.n; k++)
            if (q->facts.writes[i].params[k] == param)
                return true;
    return false;
}

/* What is written is made of parameters, and nobody but the server knows how: lower($1), n + $2. */
static void add_made(struct proof *p, const struct app_statement *a, int state,
                     const struct cat_relation *r, const char *column, struct limits *l)
{
    const struct query *q = a->q;
    const struct description *d = q->shape[p->t.states[state].from];
    const struct cat_relation *with;

    for (int n = 1; d && n <= d->n_params && n <= q->sets[0].n; n++) {
        const char *values[LIMIT_VALUES];

        if (goes_in_as_it_is(q, n) || args_compared(p, q, n, &with))
            continue;
        int count = limit_values_of_type(p, l->sync, r, d->params[n - 1], l->longest, values);
        for (int v = 0; v < count; v++)
            add_try(p, a, n, column, values[v], l);
    }
}

static bool is_made(const struct fact_write *w, int n)
{
    return n < w->columns.n && (!w->params || w->params[n] == 0) &&
           (n >= w->literals.n || !w->literals.items[n].s);
}

static void add_tries(struct proof *p, const struct app_statement *a, int state, struct limits *l)
{
    const struct query *q = a->q;

    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);
        int most = w->columns.n > 0 ? w->columns.n : q->sets[0].n, param = 0;

        for (int k = 0; r && restricts(p, state, r, NULL) && k < most; k++) {
            const struct cat_column *c = written_by(q, w, r, k, &param);
            const char *values[LIMIT_VALUES];

            if (is_made(w, k) && restricts(p, state, r, w->columns.items[k].s))
                add_made(p, a, state, r, w->columns.items[k].s, l);
            if (!c || !restricts(p, state, r, w->columns.n > 0 ? c->name : NULL))
                continue;
            int n = limit_values(p, l->sync, r, c, l->longest, values);
            for (int v = 0; v < n; v++)
                add_try(p, a, param, c->name, values[v], l);
        }
    }
}

/* ---- values in rows --------------------------------------------------------------------------------------------- */

static bool mentions(const struct query *q, const char *column)
{
    for (int i = 0; i < q->facts.columns.n; i++)
        if (strcmp(q->facts.columns.items[i].s, column) == 0)
            return true;
    return false;
}

static bool is_in_constraint(const struct cat_relation *r, const struct cat_column *c)
{
    for (int i = 0; i < r->n_constraints; i++)
        for (int k = 0; k < r->constraints[i].n_columns; k++)
            if (strchr("pufx", r->constraints[i].type) && r->constraints[i].columns[k] == c->number)
                return true;
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

        if (c->is_generated || c->is_identity || is_in_constraint(from, c) ||
            (!whole && !mentions(a->q, c->name)))
            continue;
        n = limit_values(p, NULL, from, c, l->longest, values);
        /* As long as what it goes to takes. */
        for (int k = 0; into && c->category == 'S' && k < into->n_columns && n < LIMIT_VALUES; k++)
            if (into->columns[k].category == 'S' && into->columns[k].typmod > 4)
                values[n++] = limit_text(p, into->columns[k].typmod - 4);
        for (int v = 0; v < n && l->n < TRIES_MAX; v++)
            l->tries[l->n++] = (struct limit_try) {
                .a = a, .column = c->name, .value = values[v], .from = from, .into = into};
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
        any |= restricts(p, state, r, w->columns.items[i].s);
    return any && restricts(p, state, r, NULL) && computes(w);
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
            for (int n = 0; n < l->sync->sync.forward_columns.n && l->n < TRIES_MAX; n++)
                l->tries[l->n++] =
                    (struct limit_try) {.a = a,
                                        .column = l->sync->sync.forward_columns.items[n].s,
                                        .value = seed_value(s, to->name),
                                        .from = r};
        }
    }
}

static void add_from_rows(struct proof *p, const struct app_statement *a, int state,
                          struct limits *l)
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

/* As the owner: whoever runs it may not be allowed to change the rows that it reads. */
static bool run_with_rows(struct proof *p, const struct limit_try *t, struct wire_result *out,
                          struct err *err)
{
    const struct query *q = t->a->q;
    const char *path = p->sessions[q->session].search_path;
    const char *const value[] = {t->value};
    struct wire_op ops[7] = {{.kind = WIRE_RUN, .sql = "BEGIN"}};
    struct wire_result r[7] = {0};
    AUTO(str) empty = {0}, change = {0};
    int n = 1;

    ops[n++] = (struct wire_op) {
        .kind = WIRE_RUN,
        .sql = arena_printf(p->scratch, "SET LOCAL search_path = %s", path ? path : "public")};
    str_add(&empty, "DELETE FROM ");
    if (t->into)
        sql_qualified(&empty, t->into->schema, t->into->name);
    if (t->into)
        ops[n++] = (struct wire_op) {.kind = WIRE_RUN, .sql = str_text(&empty)};
    str_add(&change, "UPDATE ");
    sql_qualified(&change, t->from->schema, t->from->name);
    str_add(&change, " SET ");
    sql_ident(&change, t->column);
    str_add(&change, " = $1");
    ops[n++] =
        (struct wire_op) {.kind = WIRE_RUN, .sql = str_text(&change), .args = value, .n_args = 1};
    int own = n;
    ops[n++] = (struct wire_op) {
        .kind = WIRE_RUN, .sql = q->sql, .args = q->sets[0].values, .n_args = q->sets[0].n};
    ops[n++] =
        (struct wire_op) {.kind = WIRE_RUN, .sql = "SET CONSTRAINTS ALL IMMEDIATE", .sync = true};
    ops[n++] = (struct wire_op) {.kind = WIRE_RUN, .sql = "ROLLBACK", .sync = true};
    if (!wire_run(p->owner, p->scratch, ops, n, r, err))
        return false;
    *out = r[own].ok ? r[own + 1] : r[own];
    out->skipped = r[own].skipped;
    out->ok = out->ok && (t->worked || r[own].affected > 0);
    return true;
}

/* ---- running ------------------------------------------------------------------------------------------------------- */

/* Alone in its transaction: what comes before it in the application's is run as well. */
static bool run_try(struct proof *p, const struct limit_try *t, struct wire_result *out,
                    struct err *err)
{
    if (t->from)
        return run_with_rows(p, t, out, err);
    struct query copy = *t->a->q;
    struct arg_set set = {t->args, copy.sets[0].n, false};
    bool reached = false;

    copy.sets = &set;
    if (!probe_run(p, &copy, out, &reached, err))
        return false;
    out->ok = out->ok && reached;
    out->skipped = !reached;
    return true;
}

static bool was_told(const struct limits *l, int upto)
{
    for (int i = 0; i < upto; i++)
        if (l->tries[i].a == l->tries[upto].a && !l->tries[i].worked &&
            l->tries[i].value == (const char *) l)
            return true;
    return false;
}

void limited_add(struct proof *p, const struct app_statement *a, int state, const struct finding *f)
{
    p->limited = arena_grow(p->a, p->limited, sizeof *p->limited * (size_t) p->n_limited,
                            sizeof *p->limited * (size_t) (p->n_limited + 1));
    p->limited[p->n_limited++] = (struct limited) {a, state, (int) (f - p->report->findings)};
}

static const char *value_words(struct proof *p, const struct limit_try *t)
{
    return !t->value               ? "NULL"
           : strlen(t->value) > 40 ? "a text of full length"
                                   : arena_printf(p->a, "'%s'", t->value);
}

static const char *what_words(struct proof *p, const struct limit_try *t)
{
    return t->from ? arena_printf(p->a, "\"%s\" of the rows of \"%s\"", t->column, t->from->name)
                   : arena_printf(p->a, "$%d (\"%s\")", t->param, t->column);
}

/* The step that restricts what the trigger writes. */
static int culprit_of(struct proof *p, int state, const struct plan *sync,
                      const struct wire_result *r)
{
    const char *thing = quoted_name(p->scratch, r->message, "constraint");

    if (!thing && strcmp(r->sqlstate, "23502") == 0)
        thing = quoted_name(p->scratch, r->message, "column");
    for (int i = 0; i < p->now.n_relations; i++)
        if (sync_is_of(sync, &p->now.relations[i]))
            return sync_culprit(p, state, &p->now.relations[i], sync, thing);
    return state;
}

/* Does it write what no release before the plan knows? */
static bool is_of_new_side(const struct limit_try *t, const struct plan *sync)
{
    return sync_target(sync, t->column) && !sync_reads(sync, t->column);
}

static const char *way_of_sync(const struct limit_try *t, const struct plan *sync)
{
    return is_of_new_side(t, sync)
               ? "the old side goes on restricting as long as the trigger is there: let the "
                 "expression in reverse make something of such values that the old side takes, or "
                 "write them from contract on only"
               : "let the expression in forward make something of such values that the new side "
                 "takes, restrict the old side in the same way before, or restrict the new one "
                 "when no live release writes the old one any more";
}

static struct finding *report_try(struct proof *p, const struct limit_try *t, int state,
                                  const struct wire_result *r)
{
    const struct timeline_world *w = NULL;

    for (int i = 0; i < p->t.n_worlds && !w; i++)
        if (p->t.worlds[i].state >= state &&
            world_has_release(&p->t, &p->t.worlds[i], t->a->release) &&
            app_is_possible(p, &p->t.worlds[i], t->a->s))
            w = &p->t.worlds[i];
    const struct plan *sync = sync_begins(p, state);
    int culprit = sync ? culprit_of(p, state, sync, r) : state;
    /* Rows that the statement itself asks for are deleted, whatever the application hands in. */
    bool deletes = t->from && strcmp(r->sqlstate, "23503") == 0 && !sync;
    struct finding *f = finding_of_state(
        p, t->a, w, culprit, deletes ? "restriction-breaks-old-writes" : "unproven-write",
        sync ? arena_printf(p->a,
                            "with %s = %s it works without the sync's trigger, which writes the "
                            "other side as well, and fails with it: %s",
                            what_words(p, t), value_words(p, t), r->message)
             : arena_printf(p->a, "with %s = %s it worked before this step and fails after it: %s",
                            what_words(p, t), value_words(p, t), r->message),
        sync      ? way_of_sync(t, sync)
        : deletes ? "delete what points at them first, in a release before this one, or let the "
                    "foreign key do so (ON DELETE)"
        : strcmp(r->sqlstate, "23505") == 0
            ? "let the statement say what is to happen when the value is taken (ON CONFLICT), in a "
              "release before this one, or give -- args: rows that differ in the column"
            : "keep such values out in the statement (COALESCE, a cast) in a release before this "
              "one; a check in the application can't be seen from here");
    f->sqlstate = arena_strdup(p->a, r->sqlstate);
    f->probe = "X";
    limited_add(p, t->a, culprit, f);
    return f;
}

bool limits_before(struct proof *p, int state, struct limits **out, struct err *err)
{
    const struct timeline_state *s = &p->t.states[state];
    struct limits *l = NULL;
    bool any = false;

    *out = NULL;
    if (s->by != STATE_TASK || p->told[state])
        return true;
    for (int i = 0; s->task->kind == TASK_STEP && s->task->step && i < s->task->step->n_stmts; i++)
        any |= may_restrict(&s->task->step->stmts[i]);
    any |= sync_begins(p, state) != NULL;
    if (!any || !sessions_open(p, err))
        return any ? false : true;
    l = arena_new(p->scratch, struct limits);
    l->sync = sync_begins(p, state);
    l->longest = limit_longest(p, state);
    l->tries = arena_array(p->scratch, struct limit_try, TRIES_MAX);
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        if (a->q->runs && a->q->n_sets > 0 && app_is_live_from(p, a, state) &&
            !p->t.releases[a->release].is_projected)
            add_tries(p, a, state, l);
        /* With the rows that there are it may not run: two tables have the same keys. */
        if (a->q->n_sets > 0 && a->q->shape[s->from] && app_is_live_from(p, a, state) &&
            !p->t.releases[a->release].is_projected)
            add_from_rows(p, a, state, l);
    }
    for (int i = 0; i < l->n; i++) {
        struct wire_result r = {0};
        bool is_endless = i > 0 && l->tries[i].a == l->tries[i - 1].a && l->tries[i - 1].is_endless;
        if (!is_endless && !run_try(p, &l->tries[i], &r, err))
            return false;
        l->tries[i].worked = r.ok;
        l->tries[i].is_endless = is_endless || is_too_long(r.sqlstate, r.message);
    }
    *out = l;
    return true;
}

/* What fails with its own values as well isn't about values, and is told of by itself. */
static bool runs_still(struct proof *p, const struct app_statement *a, bool *out, struct err *err)
{
    *out = true;
    for (int set = 0; *out && set < a->q->n_sets; set++) {
        struct query copy = *a->q;
        struct wire_result r = {0};
        bool reached = false;

        if (set > 0 && !a->q->sets[set].runs)
            continue;
        copy.sets = &a->q->sets[set];
        if (!probe_run(p, &copy, &r, &reached, err))
            return false;
        *out = r.ok && reached;
    }
    return true;
}

/* Of a value that is taken, unique.c tells, and by the author's own rows. */
static bool is_of_unique(const struct query *q, const struct wire_result *r)
{
    return strcmp(r->sqlstate, "23505") == 0 && q->sets[0].is_given;
}

static bool writes_restricted(const struct proof *p, const struct app_statement *a, int state)
{
    const struct query *q = a->q;
    const struct plan *sync = sync_begins(p, state);

    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);
        bool reads = !sync || w->positional;
        for (int k = 0; sync && k < w->columns.n; k++)
            reads |= sync_reads(sync, w->columns.items[k].s);
        if (r && reads && restricts(p, state, r, NULL))
            return true;
    }
    return false;
}

/* It was never seen to run: then nothing shows that the step lets it through. */
static void report_unrun_writers(struct proof *p, int state)
{
    const struct timeline_state *s = &p->t.states[state];

    for (int i = 0; !p->broken[state] && i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const struct timeline_world *w = world_met(p, a, state);
        struct finding *f;

        if (!w || a->q->runs || !a->q->has_args || !a->q->shape[s->from] ||
            p->t.releases[a->release].is_projected || !writes_restricted(p, a, state))
            continue;
        const struct outcome *run = a->q->run[s->from];
        const char *why = run ? run->message : "",
                   *parent = run ? empty_parent(p, a->q, run) : NULL;
        f = finding_of_state(
            p, a, w, state, "unproven-write",
            arena_printf(p->a,
                         "nothing shows that it still works after this step: no arguments were "
                         "found with which it runs before it%s%s",
                         *why ? ": " : "", why),
            parent ? parent
                   : arena_printf(p->a, "give the statement an example row that is taken: %s",
                                  example_row(p, a->q)));
        f->probe = "X";
        limited_add(p, a, state, f);
    }
}

/* The parameter that a statement of the old side has for it; 0: none. like: of the other statement, where it is part of
 * what both make of it. */
static int param_of_old_side(const struct proof *p, const struct app_statement *a,
                             const struct plan *sync, int like)
{
    const struct query *q = a->q;

    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);
        int param = 0;

        for (int k = 0; r && sync_is_of(sync, r) && k < w->columns.n; k++)
            if (!sync_reads(sync, w->columns.items[k].s))
                continue;
            else if (written_by(q, w, r, k, &param))
                return param;
            else if (is_made(w, k) && like <= q->sets[0].n)
                return like;
    }
    return 0;
}

/* A call that writes the new side now wrote the old one before: refused as it was then, the value is nothing new. known:
 * there was such a call. */
static bool was_refused(struct proof *p, const struct limit_try *t, const struct plan *sync,
                        bool *known, bool *out, struct err *err)
{
    /* Rows with such a value are none that there can be beside the old side. */
    *out = t->from != NULL;
    for (int i = 0; i < p->n_app && !*out; i++) {
        const struct app_statement *a = &p->app[i];
        int param = a->q != t->a->q && a->q->runs && a->q->n_sets > 0 && !t->from &&
                            a->release <= t->a->release && strcmp(a->s->name, t->a->s->name) == 0
                        ? param_of_old_side(p, a, sync, t->param)
                        : 0;
        struct limits one = {.tries = arena_array(p->scratch, struct limit_try, 1)};
        struct wire_result r = {0};

        if (param == 0)
            continue;
        add_try(p, a, param, "", t->value, &one);
        if (!run_try(p, &one.tries[0], &r, err))
            return false;
        *out = !r.ok && !r.skipped;
        *known = true;
    }
    return true;
}

bool limits_after(struct proof *p, int state, struct limits *l, struct err *err)
{
    bool still = false;

    if (l)
        report_unrun_writers(p, state);

    for (int i = 0; l && i < l->n; i++) {
        struct wire_result r = {0};

        if ((i == 0 || l->tries[i].a != l->tries[i - 1].a) &&
            !(l->tries[i].a->q->runs ? runs_still(p, l->tries[i].a, &still, err) : (still = true)))
            return false;
        if (!still || !l->tries[i].worked || was_told(l, i) || shadow_is_late(p->shadow))
            continue;
        if (!run_try(p, &l->tries[i], &r, err))
            return false;
        if (r.ok || r.skipped || is_of_unique(l->tries[i].a->q, &r))
            continue;
        bool is_new_side = l->sync && is_of_new_side(&l->tries[i], l->sync);
        bool known = false, as_before = false;
        if (is_new_side && !was_refused(p, &l->tries[i], l->sync, &known, &as_before, err))
            return false;
        if (as_before)
            continue;
        struct finding *f = report_try(p, &l->tries[i], state, &r);
        if (is_new_side && !known)
            f->severity = SEVERITY_WARNING;
        /* One finding a statement: the first value tells enough. */
        l->tries[i].worked = false;
        l->tries[i].value = (const char *) l;
    }
    return true;
}
