/* What a DELETE does to rows that point at what it takes: foreign keys that come, go or do something else than before. */
#include "check/silent.h"

static void add(struct look *l, const char *message, const char *help)
{
    finding_of_state(l->p, l->a, l->w, l->state, "old-path-trigger-effect", message, help);
}

static bool acts(const struct cat_constraint *k)
{
    return k->type == 'f' &&
           (strstr(k->definition, "ON DELETE CASCADE") || strstr(k->definition, "ON DELETE SET"));
}

/* The word behind ON DELETE, and for SET the one after it tells NULL from DEFAULT. */
static bool acts_alike(const struct cat_constraint *a, const struct cat_constraint *b)
{
    const char *x = strstr(a->definition, "ON DELETE"), *y = strstr(b->definition, "ON DELETE");

    return x && y && strncmp(x, y, strlen("ON DELETE SET D")) == 0;
}

/* Of the same columns as one that kept what they point at from going. */
static const struct cat_constraint *took_over(const struct cat_relation *now,
                                              const struct cat_constraint *was, unsigned other)
{
    const struct cat_constraint *found = NULL;

    for (int i = 0; i < now->n_constraints; i++) {
        const struct cat_constraint *k = &now->constraints[i];

        if (k->type != 'f' || k->other != other || k->n_columns != was->n_columns ||
            memcmp(k->columns, was->columns, sizeof *k->columns * (size_t) k->n_columns) != 0)
            continue;
        if (!acts(k)) /* it keeps them still */
            return NULL;
        found = k;
    }
    return found;
}

static const struct cat_constraint *foreign_key_like(const struct cat_relation *r,
                                                     const struct cat_constraint *like,
                                                     unsigned other)
{
    const struct cat_constraint *found = NULL;

    for (int i = 0; i < r->n_constraints; i++) {
        const struct cat_constraint *k = &r->constraints[i];
        if (k->type == 'f' && k->other == other && (!found || acts_alike(k, like)))
            found = k;
    }
    return found;
}

/* Rows that a foreign key took along, or let go, stay as they are. With another key in its place it's for the run. */
static void look_at_old_actions(struct look *l, const struct fact_write *f)
{
    const struct cat_relation *r = cat_find(&l->p->now, l->path, f->schema, f->table),
                              *old = cat_find(&l->p->before, l->path, f->schema, f->table);

    for (int i = 0; r && old && f->verb == VERB_DELETE && i < l->p->before.n_relations; i++) {
        const struct cat_relation *b = &l->p->before.relations[i],
                                  *n = cat_by_oid(&l->p->now, b->oid);

        for (int k = 0; n && k < b->n_constraints; k++) {
            const struct cat_constraint *was = &b->constraints[k];
            bool acted = was->other == old->oid && acts(was);
            const struct cat_constraint *next = was->type == 'f' && was->other == old->oid && !acted
                                                    ? took_over(n, was, r->oid)
                                                    : NULL;
            const struct cat_constraint *is = acted ? foreign_key_like(n, was, r->oid) : NULL;

            if (next)
                add(l,
                    arena_printf(l->p->a,
                                 "what it deletes was refused as long as rows of \"%s\" point at "
                                 "it, and does something to them now: %s was %s",
                                 n->name, next->definition, was->definition),
                    "let the statement see to it that there are no such rows, in a release before "
                    "this one");
            if (is && acts(is) && !acts_alike(is, was))
                add(l,
                    arena_printf(l->p->a,
                                 "what it deletes does other things to rows of \"%s\" than before: "
                                 "%s was %s",
                                 n->name, is->definition, was->definition),
                    "do to them what is meant in the statement itself, in a release before this "
                    "one");
            if (acted && !is)
                add(l,
                    arena_printf(l->p->a,
                                 r == cat_by_oid(&l->p->now, old->oid)
                                     ? "foreign key \"%s\" is gone: rows of \"%s\" are left "
                                       "behind that point at what it deletes"
                                     : "foreign key \"%s\" points at the table that had the name "
                                       "before: rows of \"%s\" are left behind that point at what "
                                       "it deletes",
                                 b->constraints[k].name, n->name),
                    "delete them in the statement itself, in a release before this one");
        }
    }
}

/* The release deletes from it itself, or changes it where the foreign key would. */
static bool sees_to(const struct look *l, const struct cat_relation *child)
{
    for (int i = 0; i < l->p->n_app; i++) {
        const struct app_statement *a = &l->p->app[i];
        const char *path = a->q ? l->p->sessions[a->q->session].search_path : NULL;

        for (int k = 0; a->q && a->release == l->a->release && k < a->q->facts.n_writes; k++) {
            const struct fact_write *w = &a->q->facts.writes[k];

            if (w->verb != VERB_INSERT && cat_find(&l->p->now, path, w->schema, w->table) == child)
                return true;
        }
    }
    return false;
}

/* The first foreign key from there by which rows go along, or let go, with what they point at. */
static bool is_first_to_act(const struct look *l, const struct cat_relation *child,
                            const struct cat_constraint *k)
{
    const struct cat_relation *was = cat_by_oid(&l->p->before, child->oid);
    bool cascades = strstr(k->definition, "ON DELETE CASCADE") != NULL;

    for (int i = 0; was && i < was->n_constraints; i++)
        if (was->constraints[i].type == 'f' && was->constraints[i].other == k->other)
            return false;
    /* Of a column that the plans made, live releases know nothing. */
    for (int i = 0; was && i < k->n_columns; i++) {
        const struct cat_relation *first = cat_by_oid(&l->p->baseline, child->oid);

        if (!first || (!cascades && !cat_column_number(first, k->columns[i])))
            return false;
    }
    return was && acts(k) && !k->is_inherited;
}

/* Rows that stayed when what they point at went. */
static void look_at_new_actions(struct look *l, const struct fact_write *f)
{
    const struct cat_relation *r = cat_find(&l->p->now, l->path, f->schema, f->table);

    for (int i = 0; r && f->verb == VERB_DELETE && i < l->p->now.n_relations; i++) {
        const struct cat_relation *n = &l->p->now.relations[i];

        for (int k = 0; k < n->n_constraints; k++)
            if (n != r && n->constraints[k].type == 'f' && n->constraints[k].other == r->oid &&
                is_first_to_act(l, n, &n->constraints[k]) && !sees_to(l, n) &&
                effects_are_read(l->p, &l->p->now, n, NULL, l->state)) {
                add(l,
                    arena_printf(l->p->a,
                                 "what it deletes takes rows of \"%s\" along or changes them from "
                                 "now on, which a live release reads: %s",
                                 n->name, n->constraints[k].definition),
                    "a foreign key that refuses instead, for as long as a live release deletes "
                    "here and counts on their staying");
                return;
            }
    }
}

void silent_actions(struct look *l, const struct fact_write *f)
{
    look_at_old_actions(l, f);
    look_at_new_actions(l, f);
}
