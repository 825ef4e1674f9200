/* Rows that the new release writes into a child table of a plan's, and whose foreign key then keeps an old release from
 * deleting the parent, or from giving it another key: each of the two works by itself.
 */
#include "check/ops.h"
#include "check/synced.h"
#include "check/words.h"

#include <strings.h>

#define KEYS_MAX 4

struct child {
    const struct cat_relation *r, *parent;
    const struct cat_constraint *k;
    const struct cat_column *from, *to;
};

/* ---- who meets whom ----------------------------------------------------------------------------------------- */

static bool is_new(const struct proof *p, const struct cat_relation *r,
                   const struct cat_constraint *k)
{
    const struct cat_relation *was = cat_by_oid(&p->baseline, r->oid);

    for (int i = 0; was && i < was->n_constraints; i++)
        if (strcmp(was->constraints[i].name, k->name) == 0)
            return false;
    return !k->is_inherited;
}

static const struct cat_relation *target_of(const struct proof *p, const struct app_statement *a,
                                            const struct fact_write *w)
{
    return written_table(
        p, cat_find(&p->now, p->sessions[a->q->session].search_path, w->schema, w->table));
}

static bool has_check(const struct cat_relation *r)
{
    for (int i = 0; i < r->n_constraints; i++)
        if (r->constraints[i].type == 'c')
            return true;
    return false;
}

/* Does the foreign key see to the children, however the parent goes? What it sets the column to, the child table may not
 * take; whether a default has its parent hangs on rows that nobody here knows. on: "ON DELETE " or "ON UPDATE ". */
static bool sees_to_it(const struct child *c, const char *on)
{
    const char *does = strstr(c->k->definition, on);

    does = does ? does + strlen(on) : "";
    if (strncmp(does, "SET ", 4) == 0)
        return (strncmp(does, "SET DEFAULT", 11) == 0 && c->from->fallback) ||
               (!c->from->not_null && !has_check(c->r));
    return strncmp(does, "CASCADE", 7) == 0;
}

/* Takes the parent's key away, and the foreign key may let it down. */
static bool takes_parent(const struct proof *p, const struct app_statement *a,
                         const struct child *c)
{
    for (int i = 0; i < a->q->facts.n_writes; i++) {
        const struct fact_write *w = &a->q->facts.writes[i];
        bool deletes = w->verb == VERB_DELETE && !sees_to_it(c, "ON DELETE ");
        bool moves = w->verb == VERB_UPDATE && text_list_has(&w->columns, c->to->name) &&
                     !sees_to_it(c, "ON UPDATE ");

        if ((deletes || moves) && target_of(p, a, w) == c->parent)
            return true;
    }
    return false;
}

static bool inserts_child(const struct proof *p, const struct app_statement *a,
                          const struct child *c)
{
    for (int i = 0; i < a->q->facts.n_writes; i++)
        if (a->q->facts.writes[i].verb == VERB_INSERT &&
            target_of(p, a, &a->q->facts.writes[i]) == c->r)
            return true;
    return false;
}

/* Whose code names the child table sees to its rows itself. */
static bool knows_child(const struct proof *p, int release, const struct child *c)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        for (int k = 0; a->release == release && a->q && k < a->q->facts.n_rels; k++)
            if (strcmp(a->q->facts.rels[k].name, c->r->name) == 0)
                return true;
    }
    return false;
}

static bool can_run(const struct proof *p, const struct app_statement *a)
{
    return a->q->runs && a->q->n_sets > 0 && !a->q->is_stand_in &&
           !p->t.releases[a->release].is_projected;
}

/* The first world of the state in which both are live; NULL: none. */
static const struct timeline_world *met_in(const struct proof *p, int state,
                                           const struct app_statement *a,
                                           const struct app_statement *b)
{
    for (int i = 0; i < p->t.n_worlds; i++) {
        const struct timeline_world *w = &p->t.worlds[i];

        if (w->state == state && world_has_release(&p->t, w, a->release) &&
            world_has_release(&p->t, w, b->release) && app_is_possible(p, w, a->s) &&
            app_is_possible(p, w, b->s))
            return w;
    }
    return NULL;
}

/* ---- trying -------------------------------------------------------------------------------------------------- */

/* The statement behind those of its transaction that come before it. */
static int add_statement(struct proof *p, struct ops *o, const struct app_statement *a,
                         const struct arg_set *set)
{
    const char *path = p->sessions[a->q->session].search_path;

    ops_add(o, arena_printf(p->scratch, "SET LOCAL search_path = %s", path ? path : "public"), NULL,
            false, false);
    for (int i = 0; i < a->q->n_before; i++)
        if (a->q->before[i]->runs && a->q->before[i]->n_sets > 0)
            ops_add(o, a->q->before[i]->sql, &a->q->before[i]->sets[0], false, false);
    return ops_add(o, a->q->sql, set, false, false);
}

/* The server's answer to the one that takes the parent; by: what writes a child before, NULL: nothing. reached: that
 * did. */
static bool run_pair(struct proof *p, const struct app_statement *by, const struct arg_set *set,
                     const struct app_statement *a, struct wire_result *out, bool *reached,
                     struct err *err)
{
    int room = 13 + a->q->n_before + (by ? by->q->n_before : 0), own;
    struct ops o = {arena_array(p->scratch, struct wire_op, room), 0};
    struct wire_result *r = arena_array(p->scratch, struct wire_result, room);

    ops_add(&o, "BEGIN", NULL, false, false);
    if (by)
        add_statement(p, &o, by, set);
    int ready = ops_add(&o, "SAVEPOINT phasegate_q", NULL, false, true);
    if (a->q->clears)
        ops_add(&o, a->q->clears, NULL, false, false);
    own = add_statement(p, &o, a, &a->q->sets[0]);
    ops_add(&o, "SET CONSTRAINTS ALL IMMEDIATE", NULL, false, true);
    ops_add(&o, "ROLLBACK", NULL, false, true);
    if (!wire_run(p->owner, p->scratch, o.op, o.n, r, err))
        return lost_note(p, o.op, o.n, r);
    *reached = r[ready].ok && !r[ready].skipped;
    *out = r[own].ok ? r[own + 1] : r[own];
    out->affected = r[own].affected;
    return true;
}

static void add_key(const char **keys, int *n, const char *value)
{
    for (int i = 0; i < *n; i++)
        if (strcmp(keys[i], value) == 0)
            return;
    if (*n < KEYS_MAX)
        keys[(*n)++] = value;
}

/* Which parent it takes: what it says itself, or one of ours. */
static int keys_of(const struct proof *p, const struct app_statement *a, const struct child *c,
                   const char **keys)
{
    int n = 0;

    for (int i = 1; i <= a->q->sets[0].n; i++) {
        const struct cat_relation *r = NULL;
        const struct cat_column *of = args_compared(p, a->q, i, &r);
        const char *value = a->q->sets[0].values[i - 1];

        if (of && value && strcmp(of->name, c->to->name) == 0)
            add_key(keys, &n, value);
    }
    for (int i = 0; i < p->n_seeds; i++) {
        const char *value =
            p->seeds[i].relation == c->parent->oid ? seed_value(&p->seeds[i], c->to->name) : NULL;
        if (value)
            add_key(keys, &n, value);
    }
    return n;
}

/* The writer's arguments with a child of that parent. False: its foreign key isn't one of them. */
static bool with_parent(struct proof *p, const struct app_statement *by, const struct child *c,
                        const char *key, struct arg_set *set)
{
    const struct arg_set *own = &by->q->sets[0];

    *set =
        (struct arg_set) {.values = arena_array(p->scratch, const char *, own->n + 1), .n = own->n};
    memcpy(set->values, own->values, sizeof *set->values * (size_t) own->n);
    for (int i = 0; i < by->q->facts.n_writes; i++) {
        const struct fact_write *w = &by->q->facts.writes[i];

        for (int k = 0; target_of(p, by, w) == c->r && k < w->columns.n; k++)
            if (w->params && w->params[k] > 0 && w->params[k] <= own->n &&
                strcmp(w->columns.items[k].s, c->from->name) == 0) {
                set->values[w->params[k] - 1] = key;
                return true;
            }
    }
    return false;
}

/* By the foreign key, or by what the child table says to the value that it sets. */
static bool is_kept_out(const struct wire_result *r, const struct child *c)
{
    static const char *const states[] = {"23503", "23001", "23502", "23514"};
    bool is = false;

    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        is |= !r->ok && !r->skipped && strcmp(r->sqlstate, states[i]) == 0;
    return is && r->message && has_name(r->message, c->r->name);
}

/* ---- findings ---------------------------------------------------------------------------------------------------- */

/* The state whose step makes the foreign key; else the one that we are in. */
static int made_in(const struct proof *p, int state, const struct child *c)
{
    for (int s = state; s > 0; s = p->t.states[s].from) {
        const struct task *t = p->t.states[s].by == STATE_TASK ? p->t.states[s].task : NULL;

        for (int i = 0; t && t->step && i < t->step->n_stmts; i++)
            if (t->step->stmts[i].table && strcmp(t->step->stmts[i].table, c->r->name) == 0 &&
                strcasestr(t->step->stmts[i].sql, "references"))
                return s;
    }
    return state;
}

static bool was_told(const struct proof *p, const struct app_statement *a, int state)
{
    for (int i = 0; i < p->n_silenced; i++)
        if (p->silenced[i].a->q == a->q && p->silenced[i].state == state)
            return true;
    return false;
}

static void report(struct proof *p, const struct app_statement *a, const struct app_statement *by,
                   const struct timeline_world *w, int state, const struct child *c,
                   const struct wire_result *r)
{
    bool by_key = strncmp(r->sqlstate, "2300", 4) == 0 || strcmp(r->sqlstate, "23503") == 0;
    const char *way =
        !by_key || c->from->not_null ? "ON DELETE CASCADE" : "ON DELETE CASCADE or SET NULL";
    struct finding *f = finding_of_state(
        p, a, w, state, "restriction-breaks-old-writes",
        arena_printf(p->a, "after %s of %s has written a row of \"%s\": %s", by->s->name,
                     release_words(p, by->release), c->r->name, r->message),
        arena_printf(p->a,
                     "give \"%s\" %s for as long as a release is live "
                     "that doesn't know \"%s\"; or let only releases write to it beside which none "
                     "deletes from \"%s\" alone",
                     c->k->name, way, c->r->name, c->parent->name));

    f->probe = "X";
    f->sqlstate = arena_strdup(p->a, r->sqlstate);
}

/* ---- the state -------------------------------------------------------------------------------------------------- */

static uint64_t print_of(const struct child *c, const struct app_statement *a,
                         const struct app_statement *by)
{
    uint64_t h = print_text(a->q->surface + 31 * by->q->surface, a->q->sql);

    return print_text(print_text(h, by->q->sql), c->k->name);
}

static bool ask_one(struct proof *p, int state, const struct child *c,
                    const struct app_statement *a, struct err *err)
{
    const char *keys[KEYS_MAX];
    int n = keys_of(p, a, c, keys), made = made_in(p, state, c);
    struct wire_result alone = {0};
    bool reached = false;

    if (was_told(p, a, made))
        return true;
    if (!run_pair(p, NULL, NULL, a, &alone, &reached, err))
        return false;
    for (int i = 0; alone.ok && alone.affected > 0 && i < p->n_app; i++) {
        const struct app_statement *by = &p->app[i];
        const struct timeline_world *w =
            by->q && by->release != a->release && can_run(p, by) && inserts_child(p, by, c)
                ? met_in(p, state, a, by)
                : NULL;

        if (!w || asked_before(p, print_of(c, a, by)))
            continue;
        for (int k = 0; k < n; k++) {
            struct arg_set set;
            struct wire_result r = {0};

            if (!with_parent(p, by, c, keys[k], &set))
                break;
            if (!run_pair(p, by, &set, a, &r, &reached, err))
                return false;
            if (reached && is_kept_out(&r, c)) {
                report(p, a, by, w, made, c, &r);
                return true;
            }
        }
    }
    return true;
}

static bool ask_all(struct proof *p, int state, const struct child *c, struct err *err)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        if (a->q && can_run(p, a) && takes_parent(p, a, c) && world_met(p, a, state) &&
            !knows_child(p, a->release, c) && !ask_one(p, state, c, a, err))
            return false;
    }
    return true;
}

bool children_state(struct proof *p, int state, struct err *err)
{
    for (int i = 0; state > 0 && i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        for (int k = 0; k < r->n_constraints; k++) {
            struct child c = {.r = r, .k = &r->constraints[k]};

            if (c.k->type != 'f' || c.k->n_columns != 1 || !is_new(p, r, c.k))
                continue;
            c.parent = cat_by_oid(&p->now, c.k->other);
            c.from = cat_column_number(r, c.k->columns[0]);
            c.to = c.parent ? cat_column_number(c.parent, c.k->other_columns[0]) : NULL;
            if (c.from && c.to && c.parent != r && !ask_all(p, state, &c, err))
                return false;
        }
    }
    return true;
}
