/* What a write sets off in other tables: rows that triggers and rules write there, before and after a step that takes
 * one of these away or makes another of it. Somebody who is live reads them.
 */
#include "check/work.h"

#include "sql_embedded.h"

#include <stdlib.h>

enum { VERBS = 3 }; /* inserted, updated, deleted */

struct effect {
    const struct app_statement *a;
    struct wire_result
        looks[2]; /* as sql_select_rows_written has them: before the statement, and after it */
};

struct effects {
    struct effect *items;
    int n;
};

/* ---- which steps ------------------------------------------------------------------------------------------ */

static bool may_take_away(struct proof *p, int state)
{
    static const char *const words[] = {"TRIGGER", "RULE", "FUNCTION", "PROCEDURE", "ROUTINE"};
    const struct timeline_state *s = &p->t.states[state];

    if (s->by != STATE_TASK || p->told[state] || lost_skips(p, state) ||
        (s->task->kind != TASK_STEP && s->task->kind != TASK_SOFT_DROP))
        return false;
    for (int i = 0; i < s->task->step->n_stmts; i++)
        if (limits_is_opaque(&s->task->step->stmts[i]))
            return true;
    for (int i = 0; i < s->task->step->n_stmts; i++)
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (strstr(s->task->step->stmts[i].kind, words[k]))
                return true;
    return false;
}

/* ---- running ---------------------------------------------------------------------------------------------- */

static bool is_asked(const struct proof *p, const struct app_statement *a, int state)
{
    return a->q->runs && a->q->n_sets > 0 && a->q->facts.n_writes > 0 &&
           !p->t.releases[a->release].is_projected && app_is_live_from(p, a, state);
}

bool effects_before(struct proof *p, int state, struct effects **out, struct err *err)
{
    *out = NULL;
    if (!may_take_away(p, state))
        return true;
    struct effects *l = arena_new(p->scratch, struct effects);
    l->items = arena_array(p->scratch, struct effect, p->n_app + 1);
    for (int i = 0; i < p->n_app; i++) {
        struct effect *e = &l->items[l->n];

        e->a = &p->app[i];
        if (!is_asked(p, e->a, state))
            continue;
        if (!probe_around(p, e->a->q, sql_select_rows_written, e->looks, err))
            return false;
        l->n += e->looks[1].ok && e->looks[1].n_rows > 0;
    }
    *out = l;
    return true;
}

/* ---- comparing -------------------------------------------------------------------------------------------- */

static int64_t counted(const struct wire_result *r, const char *relation, int verb)
{
    for (int i = 0; i < r->n_rows; i++)
        if (strcmp(r->cell[i][0], relation) == 0)
            return strtoll(r->cell[i][1 + verb], NULL, 10);
    return 0;
}

/* The server counts on from transaction to transaction, until it finds the time to hand its counts in. */
static int64_t rows_of(const struct wire_result looks[2], const char *relation, int verb)
{
    return counted(&looks[1], relation, verb) - counted(&looks[0], relation, verb);
}

static bool reads(const struct app_statement *a, const struct fact_rel *rel, const char *column)
{
    const struct statement_facts *f = &a->q->facts;

    if (rel->verb == VERB_INSERT && !column)
        return false;
    if (!column || f->selects_star || rel->star || rel->whole_row)
        return true;
    for (int i = 0; i < f->n_writes; i++)
        if (text_list_has(&f->writes[i].columns, column))
            return false; /* named for that */
    return text_list_has(&f->columns, column);
}

bool effects_are_read(const struct proof *p, const struct cat_relation *r, const char *column,
                      int state)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const char *path = p->sessions[a->q->session].search_path;

        if (!app_is_live_from(p, a, state) || p->t.releases[a->release].is_projected)
            continue;
        for (int k = 0; k < a->q->facts.n_rels; k++) {
            const struct fact_rel *rel = &a->q->facts.rels[k];

            if (cat_find(&p->before, path, rel->schema, rel->name) == r && reads(a, rel, column))
                return true;
        }
    }
    return false;
}

static void report(struct proof *p, const struct effect *e, int state, const struct cat_relation *r,
                   int verb)
{
    static const char *const words[VERBS] = {"written to", "changed in", "deleted from"};
    const char *message = arena_printf(
        p->a,
        "the same statement sets off less than before: no row, or fewer, is %s \"%s\" with it, "
        "which a live release reads",
        words[verb], r->name);
    const char *help = arena_printf(
        p->a, "let it go once no live release writes here by the old path, or reads \"%s\"",
        r->name);

    finding_of_state(p, e->a, world_met(p, e->a, state), state, "old-path-trigger-effect", message,
                     help)
        ->probe = "X";
}

static void compare(struct proof *p, const struct effect *e, const struct wire_result now[2],
                    int state)
{
    for (int i = 0; i < e->looks[1].n_rows; i++) {
        const char *relation = e->looks[1].cell[i][0];
        const struct cat_relation *r =
            cat_by_oid(&p->before, (unsigned) strtoul(relation, NULL, 10));

        for (int v = 0; r && v < VERBS; v++)
            if (rows_of(now, relation, v) < rows_of(e->looks, relation, v) &&
                effects_are_read(p, r, NULL, state)) {
                report(p, e, state, r, v);
                return;
            }
    }
}

bool effects_after(struct proof *p, int state, const struct effects *l, struct err *err)
{
    for (int i = 0; l && i < l->n; i++) {
        struct wire_result now[2] = {0};

        if (!world_met(p, l->items[i].a, state))
            continue;
        if (!probe_around(p, l->items[i].a->q, sql_select_rows_written, now, err))
            return false;
        /* What fails is told of by itself. */
        if (now[1].ok)
            compare(p, &l->items[i], now, state);
    }
    return true;
}
