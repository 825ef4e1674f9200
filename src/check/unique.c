/* Uniqueness that a step adds, against writers of its columns: whether two rows get the same values isn't for one run
 * to show. Catalogue and parse tree tell who may collide.
 */
#include "check/work.h"

#include <ctype.h>
#include <stdlib.h>

struct key { /* a new index that refuses rows */
    const struct cat_relation *r;
    const struct cat_index *index;
};

static bool is_exclusion(const struct cat_relation *r, const struct cat_index *index)
{
    for (int i = 0; i < r->n_constraints; i++)
        if (r->constraints[i].type == 'x' && strcmp(r->constraints[i].name, index->name) == 0)
            return true;
    return false;
}

/* An index that was there before and is at least as strict: over some of the columns, and over all rows. */
static bool was_unique(const struct cat_relation *before, const struct cat_index *index)
{
    for (int i = 0; i < before->n_indexes; i++) {
        const struct cat_index *b = &before->indexes[i];
        bool within = b->is_unique && !b->is_partial && b->is_valid && !index_has_column(b, 0);

        for (int c = 0; within && c < before->n_columns; c++)
            within = !index_has_column(b, before->columns[c].number) ||
                     index_has_column(index, before->columns[c].number);
        if (within || (b->is_unique && strcmp(b->definition, index->definition) == 0))
            return true;
    }
    return false;
}

static bool mentions(const char *text, const char *name)
{
    size_t n = strlen(name);

    for (const char *s = strstr(text, name); s; s = strstr(s + 1, name))
        if ((s == text || (!isalnum((unsigned char) s[-1]) && s[-1] != '_')) &&
            !isalnum((unsigned char) s[n]) && s[n] != '_')
            return true;
    return false;
}

/* The columns of the index, and what its expressions name: after the parenthesis, so not the table. */
static bool is_of_key(const struct key *k, const struct cat_column *c)
{
    const char *body = strchr(k->index->definition, '(');

    return index_has_column(k->index, c->number) ||
           (index_has_column(k->index, 0) && body && mentions(body, c->name));
}

static bool names(const struct text_list *l, const char *name)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->items[i].s, name) == 0)
            return true;
    return false;
}

/* gen_random_uuid(), nextval(): never the same twice. */
static bool is_fresh(const struct query *q, const struct fact_write *w, const struct cat_column *c)
{
    bool makes = false, is_expression = false;

    for (int i = 0; i < q->facts.functions.n; i++)
        makes |= strstr(q->facts.functions.items[i].s, "uuid") != NULL ||
                 strstr(q->facts.functions.items[i].s, "nextval") != NULL;
    for (int i = 0; i < w->columns.n; i++)
        if (strcmp(w->columns.items[i].s, c->name) == 0)
            is_expression = w->params && w->params[i] == 0 && w->literals.n > i &&
                            w->literals.items[i].s == NULL;
    return makes && is_expression;
}

static bool writes(const struct fact_write *w, const struct cat_column *c)
{
    return w->positional || (names(&w->columns, c->name) && !names(&w->defaulted, c->name));
}

/* A column of the key that the statement writes; NULL: none, or one of the others keeps its rows apart. A column that
 * the plans made is filled by what they made beside it, from columns that were apart before. */
static const struct cat_column *written_of(const struct proof *p, const struct query *q,
                                           const struct key *k, const struct fact_write *w)
{
    const struct cat_relation *first = cat_by_oid(&p->baseline, k->r->oid);
    const struct cat_column *found = NULL;

    for (int i = 0; i < k->r->n_columns; i++) {
        const struct cat_column *c = &k->r->columns[i];

        if (!is_of_key(k, c))
            continue;
        if (writes(w, c) && is_fresh(q, w, c))
            return NULL;
        if (writes(w, c)) {
            found = c;
            continue;
        }
        bool is_new = !first || !cat_column(first, c->name);
        bool is_null = w->verb == VERB_INSERT && !c->fallback && !c->is_identity;
        if (is_new || (is_null && index_has_column(k->index, c->number)) || c->is_identity)
            return NULL;
    }
    return found;
}

/* The writer says itself what is to happen then. */
static bool yields(const struct fact_write *w)
{
    return w->verb == VERB_DELETE || (w->on_conflict && !w->conflict_has_target);
}

static bool was_limited(const struct proof *p, const struct app_statement *a, int state)
{
    for (int i = 0; i < p->n_limited; i++)
        if (p->limited[i].a == a && p->limited[i].state == state)
            return true;
    return false;
}

static const char *param_in(const struct arg_set *set, const struct fact_write *w,
                            const char *column)
{
    for (int i = 0; i < w->columns.n; i++)
        if (w->params && w->params[i] > 0 && w->params[i] <= set->n &&
            strcmp(w->columns.items[i].s, column) == 0)
            return set->values[w->params[i] - 1];
    return NULL;
}

/* Do the author's own rows differ in the column? They are what is known of the values that are written. */
static bool rows_differ(const struct query *q, const struct fact_write *w, const struct key *k,
                        const struct cat_column *c)
{
    bool is_plain = k->index->is_unique && !index_has_column(k->index, 0);

    for (int i = 0; is_plain && i < q->n_sets; i++) {
        const char *value = param_in(&q->sets[i], w, c->name);

        if (!q->sets[i].is_given || !value)
            return false;
        for (int n = 0; n < i; n++)
            if (strcmp(param_in(&q->sets[n], w, c->name), value) == 0)
                return false;
    }
    return is_plain && q->n_sets > 1;
}

/* INSERT ... WHERE NOT EXISTS: twice in one transaction, with the same values. That it put a row there at all shows in
 * the first run. */
static bool tolerates(struct proof *p, const struct app_statement *a, bool *out, struct err *err)
{
    struct query twice = *a->q;
    struct wire_result r = {0};
    bool reached = false;

    *out = false;
    if (!a->q->runs || a->q->facts.verb != VERB_INSERT)
        return true;
    if (!probe_run(p, &twice, &r, &reached, err))
        return false;
    if (!r.ok || !reached || r.affected == 0)
        return true;
    twice.before = arena_array(p->scratch, struct query *, a->q->n_before + 1);
    if (a->q->n_before > 0)
        memcpy(twice.before, a->q->before, sizeof *twice.before * (size_t) a->q->n_before);
    twice.before[twice.n_before++] = a->q;
    if (!probe_run(p, &twice, &r, &reached, err))
        return false;
    *out = r.ok && reached && r.affected == 0;
    return true;
}

static bool look_at(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                    int state, const struct key *k, struct err *err)
{
    const char *path = p->sessions[a->q->session].search_path;
    const struct query *q = a->q;
    bool fails = (q->plan[state] && !q->plan[state]->ok) || (q->run[state] && !q->run[state]->ok);

    for (int i = 0; !fails && i < q->facts.n_writes && !was_limited(p, a, state); i++) {
        const struct fact_write *f = &q->facts.writes[i];
        const struct cat_column *c = NULL;

        if (!yields(f) && cat_find(&p->now, path, f->schema, f->table) == k->r)
            c = written_of(p, q, k, f);
        bool is_fine = false;
        if (c && !tolerates(p, a, &is_fine, err))
            return false;
        if (!c || is_fine)
            continue;
        struct finding *found = finding_of_state(
            p, a, w, state, "unproven-write",
            arena_printf(p->a,
                         "it writes \"%s\", and from this step on \"%s\" refuses a second row "
                         "with the same values",
                         c->name, k->index->name),
            "let the statement say what is to happen then (ON CONFLICT DO NOTHING), in a release "
            "before this one; that the application never writes a value twice can't be seen from "
            "here: -- args: rows that differ in the column say so");
        if (rows_differ(q, f, k, c)) {
            found->severity = SEVERITY_WARNING;
            found->help =
                "the -- args: rows differ in it, and no more is known: make sure that the "
                "application never writes a value twice, or let the statement say what is "
                "to happen then (ON CONFLICT DO NOTHING)";
        }
        limited_add(p, a, state, found);
    }
    return true;
}

bool unique_state(struct proof *p, int state, struct err *err)
{
    if (state == 0 || p->t.states[state].by != STATE_TASK || p->told_unique[state])
        return true;
    p->told_unique[state] = true;
    for (int r = 0; r < p->now.n_relations; r++) {
        struct key k = {&p->now.relations[r], NULL};
        const struct cat_relation *before = cat_by_oid(&p->before, k.r->oid);

        for (int i = 0; before && i < k.r->n_indexes; i++) {
            k.index = &k.r->indexes[i];
            if (!(k.index->is_unique || is_exclusion(k.r, k.index)) || was_unique(before, k.index))
                continue;
            for (int n = 0; n < p->n_app; n++) {
                const struct timeline_world *w = world_met(p, &p->app[n], state);
                if (w && !p->t.releases[p->app[n].release].is_projected &&
                    !look_at(p, &p->app[n], w, state, &k, err))
                    return false;
            }
        }
    }
    return true;
}
