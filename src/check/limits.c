/* Restrictions against what live writers may hand in: NULL and the limits of each parameter that a restricted table
 * takes, and of each column of the rows that it's computed from. What worked before the step and fails after it isn't
 * proved to be safe.
 */
#include "check/work.h"

#define TRIES_MAX 4000
#define VALUES_MAX 12

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

/* ---- values ---------------------------------------------------------------------------------------------------- */

enum { T_INT8 = 20, T_NUMERIC = 1700 }; /* pg_type.dat */

/* As many digits as the column has room for; without a limit more than any other number has. */
static const char *numeric_limit(struct proof *p, int typmod)
{
    int digits = typmod < 4 ? 40 : ((typmod - 4) >> 16) & 0xffff,
        scale = typmod < 4 ? 0 : (typmod - 4) & 0x7ff;
    char *text = arena_alloc(p->a, (size_t) digits + 3);

    if (scale > digits)
        return "0";
    memset(text, '9', (size_t) (digits - scale));
    if (scale == 0)
        return text;
    text[digits - scale] = '.';
    memset(text + (digits - scale) + 1, '9', (size_t) scale);
    return text;
}

static const char *text_of(struct proof *p, int length)
{
    char *text = arena_alloc(p->a, (size_t) length + 1);

    memset(text, 'y', (size_t) length);
    return text;
}

static int values_for(struct proof *p, const struct cat_relation *r, const struct cat_column *c,
                      const char **out)
{
    static const char *const numbers[] = {"0", "-1", "32767", "2147483647", "987654", NULL};
    const struct seed *s = seed_of(p, r->oid);
    const struct cat_enum *e = cat_enum_of(&p->now, c->base);
    int n = 0;

    out[n++] = NULL;
    if (s && seed_value(s, c->name))
        out[n++] = seed_value(s, c->name);
    for (int i = 0; e && i < e->n_labels && n < VALUES_MAX; i++)
        out[n++] = e->labels[i];
    if (c->category == 'S') {
        out[n++] = "";
        out[n++] = text_of(p, c->typmod > 4 ? c->typmod - 4 : 300);
    }
    for (int i = 0; c->category == 'N' && numbers[i]; i++)
        out[n++] = numbers[i];
    if (c->base == T_INT8)
        out[n++] = "9223372036854775807";
    if (c->base == T_NUMERIC)
        out[n++] = numeric_limit(p, c->typmod);
    if (c->category == 'B') {
        out[n++] = "true";
        out[n++] = "false";
    }
    return n;
}

static void add_tries(struct proof *p, const struct app_statement *a, const struct task *t,
                      struct limits *l)
{
    const struct query *q = a->q;
    const struct arg_set *base = &q->sets[0];

    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);

        for (int k = 0; r && limits_restricts(t, r->name) && w->params && k < w->columns.n; k++) {
            const struct cat_column *c = cat_column(r, w->columns.items[k].s);
            const char *values[VALUES_MAX + 8];
            int n =
                c && w->params[k] > 0 && w->params[k] <= base->n ? values_for(p, r, c, values) : 0;

            for (int v = 0; v < n && l->n < TRIES_MAX; v++) {
                struct limit_try *try = &l->tries[l->n++];
                *try =
                    (struct limit_try) {.a = a,
                                        .param = w->params[k],
                                        .column = c->name,
                                        .value = values[v],
                                        .args = arena_array(p->scratch, const char *, base->n + 1)};
                memcpy(try->args, base->values, sizeof *base->values * (size_t) base->n);
                try->args[w->params[k] - 1] = values[v];
            }
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
        const char *values[VALUES_MAX + 8];
        int n = 0;

        if (c->is_generated || c->is_identity || is_in_constraint(from, c) ||
            (!whole && !mentions(a->q, c->name)))
            continue;
        n = values_for(p, from, c, values);
        /* As long as what it goes to takes. */
        for (int k = 0; into && c->category == 'S' && k < into->n_columns && n < VALUES_MAX; k++)
            if (into->columns[k].category == 'S' && into->columns[k].typmod > 4)
                values[n++] = text_of(p, into->columns[k].typmod - 4);
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

static void add_from_rows(struct proof *p, const struct app_statement *a, const struct task *t,
                          struct limits *l)
{
    const struct query *q = a->q;
    const char *path = p->sessions[q->session].search_path;

    for (int i = 0; i < q->facts.n_writes && q->n_before == 0; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r = cat_find(&p->now, path, w->schema, w->table);

        bool deletes = r && w->verb == VERB_DELETE && restricts_parent(t, r->name);
        if (!r || !(deletes || (limits_restricts(t, r->name) && computes(w))))
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

static void report_try(struct proof *p, const struct limit_try *t, int state,
                       const struct wire_result *r)
{
    const struct timeline_world *w = NULL;

    for (int i = 0; i < p->t.n_worlds && !w; i++)
        if (p->t.worlds[i].state >= state &&
            world_has_release(&p->t, &p->t.worlds[i], t->a->release) &&
            app_is_possible(p, &p->t.worlds[i], t->a->s))
            w = &p->t.worlds[i];
    const char *value = !t->value               ? "NULL"
                        : strlen(t->value) > 40 ? "a text of full length"
                                                : arena_printf(p->a, "'%s'", t->value);
    const char *what =
        t->from ? arena_printf(p->a, "\"%s\" of the rows of \"%s\"", t->column, t->from->name)
                : arena_printf(p->a, "$%d (\"%s\")", t->param, t->column);
    /* Rows that the statement itself asks for are deleted, whatever the application hands in. */
    bool deletes = t->from && strcmp(r->sqlstate, "23503") == 0;
    struct finding *f = finding_of_state(
        p, t->a, w, state, deletes ? "restriction-breaks-old-writes" : "unproven-write",
        arena_printf(p->a, "with %s = %s it worked before this step and fails after it: %s", what,
                     value, r->message),
        deletes ? "delete what points at them first, in a release before this one, or let the "
                  "foreign key do so (ON DELETE)"
        : strcmp(r->sqlstate, "23505") == 0
            ? "let the statement say what is to happen when the value is taken (ON CONFLICT), in a "
              "release before this one, or give -- args: rows that differ in the column"
            : "keep such values out in the statement (COALESCE, a cast) in a release before this "
              "one; a check in the application can't be seen from here");
    f->sqlstate = arena_strdup(p->a, r->sqlstate);
    f->probe = "X";
    limited_add(p, t->a, state, f);
}

bool limits_before(struct proof *p, int state, struct limits **out, struct err *err)
{
    const struct timeline_state *s = &p->t.states[state];
    struct limits *l = NULL;
    bool any = false;

    *out = NULL;
    if (s->by != STATE_TASK || !s->task->step || s->task->kind != TASK_STEP || p->told[state])
        return true;
    for (int i = 0; i < s->task->step->n_stmts; i++)
        any |= may_restrict(&s->task->step->stmts[i]);
    if (!any || !sessions_open(p, err))
        return any ? false : true;
    l = arena_new(p->scratch, struct limits);
    l->tries = arena_array(p->scratch, struct limit_try, TRIES_MAX);
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        if (a->q->runs && a->q->n_sets > 0 && app_is_live_from(p, a, state) &&
            !p->t.releases[a->release].is_projected)
            add_tries(p, a, s->task, l);
        /* With the rows that there are it may not run: two tables have the same keys. */
        if (a->q->n_sets > 0 && a->q->shape[s->from] && app_is_live_from(p, a, state) &&
            !p->t.releases[a->release].is_projected)
            add_from_rows(p, a, s->task, l);
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

static bool writes_restricted(const struct proof *p, const struct app_statement *a,
                              const struct task *t)
{
    const struct query *q = a->q;

    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *r =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);
        if (r && limits_restricts(t, r->name))
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
            p->t.releases[a->release].is_projected || !writes_restricted(p, a, s->task))
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
        report_try(p, &l->tries[i], state, &r);
        /* One finding a statement: the first value tells enough. */
        l->tries[i].worked = false;
        l->tries[i].value = (const char *) l;
    }
    return true;
}
