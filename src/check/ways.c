/* What is to be done about a statement that a step breaks, where another release isn't the only way out. */
#include "check/blame.h"
#include "check/synced.h"
#include "check/verdict.h"

#include <stdlib.h>

/* "PL/pgSQL function public.f(integer) line 3 at RETURN", "SQL function "f" statement 1": its name, and what of the
 * context tells where. */
static const char *routine_of(struct proof *p, const char *context, const char **shown)
{
    const char *at = context ? strstr(context, "function ") : NULL;
    size_t n, name;

    if (!at)
        return NULL;
    at += strlen("function ");
    n = strcspn(at, "\n");
    *shown = arena_strndup(p->a, at, n);
    if (strstr(*shown, " line "))
        n = (size_t) (strstr(*shown, " line ") - *shown);
    else if (strstr(*shown, " statement "))
        n = (size_t) (strstr(*shown, " statement ") - *shown);
    else if (strstr(*shown, " during "))
        n = (size_t) (strstr(*shown, " during ") - *shown);
    at += *at == '"';
    name = strcspn(at, "(\"\n ");
    for (size_t i = name; i > 0; i--)
        if (at[i - 1] == '.') {
            at += i;
            name -= i;
            break;
        }
    *shown = arena_strndup(p->a, *shown, n);
    return arena_strndup(p->a, at, name);
}

static const char *way_of_routine(struct proof *p, const struct outcome *o, int culprit)
{
    const char *shown = NULL, *name = routine_of(p, o->context, &shown), *line;
    struct made_by made;

    if (!name)
        return NULL;
    line = strstr(o->context, " line ");
    int at = line ? (int) strtol(line + strlen(" line "), NULL, 10) : 0;
    bool is_known = texts_find(p, name, shown, p->t.states[culprit].from, &made);
    /* INSERT has more expressions than target columns; a SETOF of another structure. */
    bool is_whole = strcmp(o->sqlstate, "42601") == 0 && strstr(o->message, "more expressions");
    bool is_returned = strcmp(o->sqlstate, "42804") == 0;
    bool is_ambiguous = strcmp(o->sqlstate, "42702") == 0;
    return arena_printf(
        p->a, "function %s%s%s still %s: make it anew (CREATE OR REPLACE) in a step before this %s",
        shown, is_known ? arena_printf(p->a, " (%s:%d)", made.at.file, made.at.line) : "",
        at > 0 ? arena_printf(p->a, ", line %d of its body,", at) : "",
        is_whole || is_returned ? "takes the row whole"
        : is_ambiguous          ? "says a name that a column has as well"
                                : "names it",
        is_whole ? "one, with the columns by name, or give the other table the column first; a "
                   "session that has called it before goes on, a new one fails"
        : is_returned  ? "one, with the columns by name"
        : is_ambiguous ? "one, with the table or its alias in front of columns, and the function's "
                         "name in front of what is its own"
                       : "one, so that it works before and after");
}

static const char *way_of_required(struct proof *p, const struct outcome *o)
{
    const char *column = quoted_name(p->a, o->message, "column");

    return arena_printf(p->a,
                        "let the INSERT give \"%s\" a value in a release before this one, or give "
                        "the column a DEFAULT in this step, or leave NOT NULL for later",
                        column ? column : "the column");
}

static const char *way_of_restriction(struct proof *p, const struct app_statement *a,
                                      const struct outcome *o)
{
    const char *constraint = quoted_name(p->a, o->message, "constraint");
    bool is_made_up = a->q->n_sets > 0 && !a->q->sets[0].is_given && a->q->sets[0].n > 0;

    return arena_printf(
        p->a,
        "let %s write what %s takes (COALESCE, a cast) in a release before this one, or relax "
        "it%s%s",
        a->s->name, constraint ? arena_printf(p->a, "\"%s\"", constraint) : "the step",
        is_made_up ? "; where the application keeps to it, give an example row: " : "",
        is_made_up ? example_row(p, a->q) : "");
}

/* "code_check", or whatever the server names: what refused the value. */
static const char *refusing(struct proof *p, const char *message)
{
    const char *name = quoted_name(p->a, message, "constraint");

    if (!name)
        name = quoted_name(p->a, message, "column");
    return name ? arena_printf(p->a, "\"%s\"", name) : "that side";
}

const char *way_of_sync(struct proof *p, const struct app_statement *a, int state,
                        const struct plan *plan, const struct outcome *o)
{
    bool is_value = o && (strncmp(o->sqlstate, "23", 2) == 0 || strncmp(o->sqlstate, "22", 2) == 0);
    bool writes = false, old_side = false;

    if (!is_value || !sync_is_on(p, state, plan))
        return NULL;
    for (int i = 0; i < a->q->facts.n_writes; i++) {
        const struct fact_write *w = &a->q->facts.writes[i];

        writes |= strcmp(w->table, plan->sync.table.s) == 0;
        for (int k = 0; k < w->columns.n; k++)
            old_side |= sync_reads(plan, w->columns.items[k].s);
    }
    if (!writes)
        return NULL;
    if (!old_side && !plan->sync.reverse.n)
        return arena_printf(p->a,
                            "the sync has no reverse:, so its trigger makes nothing of what %s "
                            "writes to the new side, and the old one has no value: give it one",
                            a->s->name);
    return arena_printf(p->a,
                        "the sync's trigger writes the other side as well, which refuses the "
                        "value: let the expression in %s make something of it that %s takes, or "
                        "let %s write such values only once the trigger is gone, with contract",
                        old_side || !plan->sync.reverse.n ? "forward" : "reverse",
                        refusing(p, o->message), a->s->name);
}

/* What is there may not be seen without USAGE on its schema. */
static const char *way_of_schema(struct proof *p, const struct app_statement *a,
                                 const struct outcome *o, int culprit)
{
    const struct task *t = p->t.states[culprit].task;
    const char *name = quoted_name(p->a, o->message, "relation"),
               *role = p->sessions[a->q->session].role;
    const char *dot = name ? strrchr(name, '.') : NULL;
    const struct cat_relation *r =
        name ? cat_find(&p->now, NULL, NULL, dot ? dot + 1 : name) : NULL;
    bool revokes = false;

    for (int i = 0; t && t->step && i < t->step->n_stmts; i++)
        revokes |= strcmp(t->step->stmts[i].kind, "REVOKE") == 0;
    if (!revokes || !r || !role || strcmp(o->sqlstate, "42P01") != 0)
        return NULL;
    return arena_printf(p->a,
                        "\"%s\" is there, and %s may not look into its schema: GRANT USAGE ON "
                        "SCHEMA %s TO %s, in this step",
                        r->name, role, r->schema, role);
}

/* A star is as many columns as there are. */
static const char *way_of_star(struct proof *p, const struct app_statement *a)
{
    bool any = false;

    for (int i = 0; i < a->q->facts.n_rels; i++)
        any |= a->q->facts.rels[i].star;
    return any ? arena_printf(
                     p->a,
                     "name the columns in %s in a release before this one; or give the "
                     "tables that it puts together the same columns in one step (the one that an "
                     "INSERT writes may have them before)",
                     a->s->name)
               : NULL;
}

/* The row is there already: a trigger, or what the step itself has written. */
static const char *way_of_twice(struct proof *p, const struct app_statement *a)
{
    for (int i = 0; i < a->q->facts.n_writes; i++)
        if (a->q->facts.writes[i].verb == VERB_INSERT)
            return arena_printf(p->a,
                                "let %s take a row that is there (ON CONFLICT ... DO UPDATE) in a "
                                "release before this one, or leave that row to it until no live "
                                "release runs it",
                                a->s->name);
    return NULL;
}

/* A release that came after the step and names what is gone is to blame, and not the step. */
static const char *way_of_late(struct proof *p, const struct app_statement *a, int culprit)
{
    const struct timeline_state *s = &p->t.states[culprit];
    const char *version = p->t.plans[s->plan]->phases[s->phase].release.s;
    int bound = timeline_release_index(&p->t, version);

    if (p->t.releases[a->release].is_consumer || bound < 0 || a->release <= bound)
        return NULL;
    for (int i = 0; i < p->n_app; i++)
        if (p->app[i].q == a->q && p->app[i].release <= bound)
            return NULL;
    return arena_printf(p->a,
                        "%s of release %s is newer than this step, which is bound to %s, and names "
                        "what it takes away: mend the statement, or bind this to a release after "
                        "the last that needs it",
                        a->s->name, p->t.releases[a->release].version, version);
}

const char *way_of_rule(struct proof *p, const struct app_statement *a, const struct finding *f,
                        const struct outcome *o, int culprit)
{
    const char *rule = f->rule->id, *way = NULL;

    if (!o)
        return NULL;
    if (sync_begins(p, culprit) && (way = way_of_sync(p, a, culprit, sync_begins(p, culprit), o)))
        return way;
    if (strcmp(rule, "routine-body-broken") == 0)
        way = way_of_routine(p, o, culprit);
    else if (strcmp(rule, "insert-omits-required-column") == 0)
        way = way_of_required(p, o);
    else if (strcmp(rule, "unproven-write") == 0 ||
             (strcmp(rule, "restriction-breaks-old-writes") == 0 &&
              (strcmp(o->sqlstate, "23514") == 0 || strcmp(o->sqlstate, "23502") == 0)))
        way = way_of_restriction(p, a, o);
    else if (strcmp(rule, "old-path-trigger-effect") == 0 && strcmp(o->sqlstate, "P0001") == 0)
        way =
            arena_printf(p->a,
                         "let the trigger pass what %s writes (its WHEN, or a condition before it "
                         "raises), and refuse that only once no live release writes it",
                         a->s->name);
    else if (strcmp(rule, "restriction-breaks-old-writes") == 0 &&
             strcmp(o->sqlstate, "23505") == 0)
        way = way_of_twice(p, a);
    else if (strcmp(rule, "star-arity-broken") == 0)
        way = way_of_star(p, a);
    else if (strcmp(rule, "old-query-fails") == 0 && way_of_schema(p, a, o, culprit))
        way = way_of_schema(p, a, o, culprit);
    else if (strcmp(rule, "old-query-fails") == 0)
        way = way_of_late(p, a, culprit);
    else if (strcmp(rule, "function-signature-changed") == 0) {
        const char *change = texts_change(p, culprit);
        way = change ? arena_printf(p->a,
                                    "%s: keep the old one beside it until no live release calls it",
                                    change)
                     : NULL;
    }
    return way;
}
