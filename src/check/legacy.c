/* A CHECK that is NOT VALID, and that no plan ever validates, is one that rows from before it may break. Whoever changes
 * such a row, in whatever column, is refused. Tried before the step: such a row, the step, the statement, all in one
 * transaction that is taken back.
 */
#include "check/synced.h"
#include "check/words.h"

#include <ctype.h>

#define STMTS_MAX 40

/* Somebody may have put such rows right. */
static bool changed_rows_before(const struct proof *p, int state)
{
    for (int s = p->t.states[state].from; s > 0; s = p->t.states[s].from)
        if (changes_rows(p, s))
            return true;
    return false;
}

static bool binds_only_new(const struct proof *p, const struct sql_stmt *s)
{
    return s->table && s->object && has_word(s->sql, "check") && strcasestr(s->sql, "not valid") &&
           !foreseen_is_validated(p, s->object);
}

/* A column that the plans made and that nobody has written yet: its rows have what the step that made it gave them. */
static bool is_untouched(const struct proof *p, int state, const struct cat_relation *r,
                         const struct cat_column *c)
{
    const struct cat_relation *first = cat_by_oid(&p->baseline, r->oid);
    const struct plan *plan = NULL;

    if (!first || cat_column(first, c->name) || sync_writes(p, state, r, c->name, &plan))
        return false;
    for (int s = p->t.states[state].from; s >= 0; s = p->t.states[s].from)
        for (int i = 0; i < p->n_app; i++) {
            const struct statement_facts *f = &p->app[i].q->facts;

            for (int k = 0; k < f->n_writes; k++)
                if (strcmp(f->writes[k].table, r->name) == 0 &&
                    (f->writes[k].positional || text_list_has(&f->writes[k].columns, c->name)) &&
                    world_met(p, &p->app[i], s))
                    return false;
        }
    return true;
}

struct legacy {
    const struct app_statement *a;
    const struct step *step;
    const struct cat_relation *r;
    const struct cat_column *c; /* NULL: rows as they are */
    const char *value;
};

/* with: the step comes between the row and the statement. */
static bool run(struct proof *p, const struct legacy *l, bool with, struct wire_result *out,
                struct err *err)
{
    const struct query *q = l->a->q;
    const char *path = p->sessions[q->session].search_path;
    const char *const value[] = {l->value};
    struct wire_op ops[STMTS_MAX + 6] = {{.kind = WIRE_RUN, .sql = "BEGIN"}};
    struct wire_result r[STMTS_MAX + 6] = {0};
    AUTO(str) change = {0};
    int n = 1;

    if (l->c) {
        str_add(&change, "UPDATE ");
        sql_qualified(&change, l->r->schema, l->r->name);
        str_add(&change, " SET ");
        sql_ident(&change, l->c->name);
        str_add(&change, " = $1");
        ops[n++] = (struct wire_op) {
            .kind = WIRE_RUN, .sql = str_text(&change), .args = value, .n_args = 1};
    }
    for (int i = 0; with && i < l->step->n_stmts; i++)
        ops[n++] = (struct wire_op) {.kind = WIRE_RUN, .sql = l->step->stmts[i].sql};
    ops[n++] = (struct wire_op) {
        .kind = WIRE_RUN,
        .sql = arena_printf(p->scratch, "SET LOCAL search_path = %s", path ? path : "public")};
    int own = n;
    ops[n++] = (struct wire_op) {
        .kind = WIRE_RUN, .sql = q->sql, .args = q->sets[0].values, .n_args = q->sets[0].n};
    ops[n++] =
        (struct wire_op) {.kind = WIRE_RUN, .sql = "SET CONSTRAINTS ALL IMMEDIATE", .sync = true};
    ops[n++] = (struct wire_op) {.kind = WIRE_RUN, .sql = "ROLLBACK", .sync = true};
    if (!wire_run(p->owner, p->scratch, ops, n, r, err))
        return false;
    *out = r[own];
    out->ok = r[own].ok && r[own + 1].ok && r[own].affected > 0;
    return true;
}

static void report(struct proof *p, const struct legacy *l, int state, const struct wire_result *r)
{
    const struct timeline_world *w = NULL;

    for (int i = 0; i < p->t.n_worlds && !w; i++)
        if (p->t.worlds[i].state >= state &&
            world_has_release(&p->t, &p->t.worlds[i], l->a->release) &&
            app_is_possible(p, &p->t.worlds[i], l->a->s))
            w = &p->t.worlds[i];
    if (!w)
        return;
    struct finding *f = finding_of_state(
        p, l->a, w, state, "unproven-write",
        arena_printf(p->a,
                     "a row from before this step that has \"%s\" = %s can't be changed any more: "
                     "%s",
                     l->c->name, l->value ? arena_printf(p->a, "'%s'", l->value) : "NULL",
                     r->message),
        "put such rows right in a step before this one, and VALIDATE CONSTRAINT after it, which "
        "says that there are none");
    f->sqlstate = arena_strdup(p->a, r->sqlstate);
    f->probe = "X";
    limited_add(p, l->a, state, f);
}

static bool try_values(struct proof *p, struct legacy *l, int state, bool *told, struct err *err)
{
    const struct seed *s = seed_of(p, l->r->oid);
    const char *const values[] = {NULL, s ? seed_value(s, l->c->name) : NULL, "0", "-1", ""};

    for (size_t v = 0; v < sizeof values / sizeof *values && !*told; v++) {
        struct wire_result r = {0};

        l->value = values[v];
        if ((v == 1 && !l->value) || (v > 1 && v < 4 && l->c->category != 'N') ||
            (v == 4 && l->c->category != 'S'))
            continue;
        if (!run(p, l, false, &r, err))
            return false;
        if (!r.ok)
            continue;
        if (!run(p, l, true, &r, err))
            return false;
        *told = !r.ok && !r.skipped && strcmp(r.sqlstate, "23514") == 0;
        if (*told)
            report(p, l, state, &r);
    }
    return true;
}

static bool try_statement(struct proof *p, const struct app_statement *a, int state,
                          const struct sql_stmt *s, struct err *err)
{
    const char *path = p->sessions[a->q->session].search_path;
    bool told = false;

    for (int i = 0; i < a->q->facts.n_writes && !told; i++) {
        const struct fact_write *w = &a->q->facts.writes[i];
        struct legacy l = {.a = a, .step = p->t.states[state].task->step};

        l.r = cat_find(&p->now, path, w->schema, w->table);
        if (!l.r || w->verb != VERB_UPDATE || strcmp(l.r->name, s->table) != 0)
            continue;
        /* What fails with the rows that there are is told of by itself. */
        struct wire_result r = {0};
        if (!run(p, &l, true, &r, err))
            return false;
        for (int k = 0; r.ok && k < l.r->n_columns && !told; k++) {
            l.c = &l.r->columns[k];
            if (has_word(s->sql, l.c->name) && !text_list_has(&w->columns, l.c->name) &&
                !l.c->is_generated && !l.c->is_identity && !cat_is_in_key(l.r, l.c) &&
                !is_untouched(p, state, l.r, l.c) && !try_values(p, &l, state, &told, err))
                return false;
        }
    }
    return true;
}

bool legacy_before(struct proof *p, int state, struct err *err)
{
    const struct timeline_state *t = &p->t.states[state];
    const struct step *step =
        t->by == STATE_TASK && t->task->kind == TASK_STEP ? t->task->step : NULL;

    if (!step || step->no_transaction || step->n_stmts > STMTS_MAX || p->told[state] ||
        lost_skips(p, state) || changed_rows_before(p, state))
        return true;
    for (int i = 0; i < step->n_stmts; i++) {
        if (!binds_only_new(p, &step->stmts[i]))
            continue;
        for (int k = 0; k < p->n_app; k++) {
            const struct app_statement *a = &p->app[k];

            if (a->q->runs && a->q->n_sets > 0 && a->q->n_before == 0 &&
                !p->t.releases[a->release].is_projected && app_is_live_from(p, a, state) &&
                !try_statement(p, a, state, &step->stmts[i], err))
                return false;
        }
    }
    return true;
}
