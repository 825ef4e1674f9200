/* A table gives its name to another one, and views and foreign keys stay with it under the name that it has now: what live
 * releases write by the name goes to the other; who reads the views never sees it, and no row may point at it.
 */
#include "check/synced.h"

#include "sql_embedded.h"

struct swap {
    /* That had the name, and that has it; both as they are. */
    const struct cat_relation *left, *now;
};

static bool swap_of(const struct proof *p, const struct cat_relation *before, struct swap *out)
{
    *out = (struct swap) {cat_by_oid(&p->now, before->oid),
                          cat_find(&p->now, NULL, before->schema, before->name)};
    return cat_is_table(before) && cat_is_table(out->left) && cat_is_table(out->now) &&
           out->left != out->now;
}

static bool view_reads(const struct catalogue *c, const struct cat_relation *r, unsigned table,
                       int depth)
{
    for (int i = 0; r && strchr("vm", r->kind) && depth < 8 && i < r->n_uses; i++)
        if (r->uses[i] == table || view_reads(c, cat_by_oid(c, r->uses[i]), table, depth + 1))
            return true;
    return false;
}

/* A view that it reads, now as before, and that has stayed with the table; NULL: none. */
static const struct cat_relation *view_left(const struct proof *p, const struct app_statement *a,
                                            const struct swap *s)
{
    const char *path = p->sessions[a->q->session].search_path;

    for (int i = 0; i < a->q->facts.n_rels; i++) {
        const struct fact_rel *f = &a->q->facts.rels[i];
        const struct cat_relation *is = cat_find(&p->now, path, f->schema, f->name),
                                  *was = cat_find(&p->before, path, f->schema, f->name);

        if (was && view_reads(&p->before, was, s->left->oid, 0) &&
            view_reads(&p->now, is, s->left->oid, 0) && !view_reads(&p->now, is, s->now->oid, 0))
            return is;
    }
    return NULL;
}

static bool names(const struct proof *p, const struct app_statement *a, const struct swap *s)
{
    const char *path = p->sessions[a->q->session].search_path;

    for (int i = 0; i < a->q->facts.n_writes; i++) {
        const struct fact_write *w = &a->q->facts.writes[i];

        if (cat_find(&p->now, path, w->schema, w->table) == s->now &&
            cat_find(&p->before, path, w->schema, w->table) == cat_by_oid(&p->before, s->left->oid))
            return true;
    }
    return false;
}

/* Triggers may carry on what is written to the other, and one may be a part of the other. */
static bool writes_past(struct proof *p, const struct app_statement *a, const struct swap *s,
                        bool *out, struct err *err)
{
    struct wire_result looks[2] = {0};

    if (!probe_around(p, a->q, sql_select_rows_written, looks, err))
        return false;
    *out = looks[1].ok && looks[1].n_rows > 0;
    for (int v = 0; v < EFFECT_VERBS; v++)
        *out = *out && effects_rows(looks, s->left->oid, (enum effect_verb) v) == 0;
    return true;
}

static void report(struct proof *p, const struct app_statement *a, const struct app_statement *by,
                   const struct timeline_world *w, int state, const struct swap *s,
                   const struct cat_relation *view)
{
    const char *name = view->name;

    finding_of_state(
        p, a, w, state, "row-visibility-changed",
        arena_printf(p->a,
                     "\"%s\" stays with the table that is called \"%s\" now, and what %s of %s "
                     "writes to \"%s\" goes to another one: it is never seen here",
                     name, s->left->name, by->s->name, release_words(p, by->release), s->now->name),
        arena_printf(p->a,
                     "make \"%s\" anew in this step, behind the renames (%s): a view keeps to its "
                     "table, whatever that is called",
                     name,
                     view->kind == 'v' ? "CREATE OR REPLACE VIEW with the query that it has"
                                       : "DROP and CREATE MATERIALIZED VIEW, with its indexes"))
        ->probe = "X";
}

/* A foreign key of what it writes that has stayed with the table; NULL: none. */
static const struct cat_constraint *key_left(const struct proof *p, const struct app_statement *a,
                                             const struct swap *s)
{
    const char *path = p->sessions[a->q->session].search_path;

    for (int i = 0; i < a->q->facts.n_writes; i++) {
        const struct fact_write *w = &a->q->facts.writes[i];
        const struct cat_relation *r = cat_find(&p->now, path, w->schema, w->table);
        const struct cat_relation *was = r ? cat_by_oid(&p->before, r->oid) : NULL;

        /* A copy of a table that points at itself has none. */
        for (int k = 0; was && w->verb == VERB_INSERT && k < r->n_constraints; k++)
            if (r->constraints[k].type == 'f' && r->constraints[k].other == s->left->oid &&
                r != s->left && r != s->now)
                return &r->constraints[k];
    }
    return NULL;
}

static void report_key(struct proof *p, const struct app_statement *a,
                       const struct app_statement *by, const struct timeline_world *w, int state,
                       const struct swap *s, const struct cat_constraint *k)
{
    finding_of_state(
        p, a, w, state, "restriction-breaks-old-writes",
        arena_printf(p->a,
                     "\"%s\" stays with the table that is called \"%s\" now, and what %s of %s "
                     "writes to \"%s\" goes to another one: a row that points at it is refused",
                     k->name, s->left->name, by->s->name, release_words(p, by->release),
                     s->now->name),
        arena_printf(p->a,
                     "in this step, behind the renames: DROP CONSTRAINT %s and ADD it anew (NOT "
                     "VALID), and VALIDATE CONSTRAINT in the next one",
                     k->name))
        ->probe = "X";
}

static bool inserts(const struct app_statement *a)
{
    for (int i = 0; i < a->q->facts.n_writes; i++)
        if (a->q->facts.writes[i].verb == VERB_INSERT)
            return true;
    return false;
}

/* NULL: nobody who is live writes past what has stayed. */
static bool find_writer(struct proof *p, int state, const struct swap *s, bool inserting,
                        const struct app_statement **out, struct err *err)
{
    *out = NULL;
    for (int i = 0; !*out && i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        bool past = false;

        if (a->q->runs && a->q->n_sets > 0 && world_met(p, a, state) &&
            !p->t.releases[a->release].is_projected && names(p, a, s) &&
            (!inserting || inserts(a)) && !writes_past(p, a, s, &past, err))
            return false;
        *out = past ? a : NULL;
    }
    return true;
}

static bool look_at_swap(struct proof *p, int state, const struct swap *s, struct err *err)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i], *by = NULL;
        const struct timeline_world *w =
            p->t.releases[a->release].is_projected ? NULL : world_met(p, a, state);
        const struct cat_relation *view = w ? view_left(p, a, s) : NULL;
        const struct cat_constraint *key = w ? key_left(p, a, s) : NULL;

        if (view && !find_writer(p, state, s, false, &by, err))
            return false;
        if (view && by)
            report(p, a, by, w, state, s, view);
        if (key && !find_writer(p, state, s, true, &by, err))
            return false;
        if (key && by)
            report_key(p, a, by, w, state, s, key);
    }
    return true;
}

bool left_reading_state(struct proof *p, int state, struct err *err)
{
    struct swap s;

    if (state == 0 || p->t.states[state].by == STATE_RESTORE || p->broken[state])
        return true;
    for (int i = 0; i < p->before.n_relations; i++)
        if (swap_of(p, &p->before.relations[i], &s) && !look_at_swap(p, state, &s, err))
            return false;
    return true;
}
