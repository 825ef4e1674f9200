/* What a try gives a statement, the statements before it in its transaction get as well: an application hands them one
 * value by one name, and the row that the one points at may be the row that the other makes.
 */
#include "check/limits.h"

static const char *name_of(const struct query *q, int n)
{
    return q->s->param_names && n < q->s->n_params ? q->s->param_names[n] : NULL;
}

/* NULL: it has none of what the try gives otherwise. */
static struct query *with_shared(struct proof *p, const struct query *b, const struct query *q,
                                 const char *const *args)
{
    const struct arg_set *own = &q->sets[0];
    struct query *out = NULL;

    for (int i = 0; i < own->n; i++)
        for (int k = 0; b->n_sets > 0 && k < b->sets[0].n; k++) {
            const char *name = name_of(q, i), *other = name_of(b, k);

            if (same_text(args[i], own->values[i]) || !name || !other || strcmp(name, other) != 0)
                continue;
            if (!out) {
                out = arena_new(p->scratch, struct query);
                *out = *b;
                out->sets = arena_new(p->scratch, struct arg_set);
                *out->sets = b->sets[0];
                out->sets->values = arena_array(p->scratch, const char *, b->sets[0].n);
                memcpy(out->sets->values, b->sets[0].values,
                       sizeof *b->sets[0].values * (size_t) b->sets[0].n);
            }
            out->sets->values[k] = args[i];
        }
    return out;
}

void limits_share(struct proof *p, struct query *q, const char *const *args)
{
    struct query **before =
        q->n_before > 0 ? arena_array(p->scratch, struct query *, q->n_before) : NULL;

    for (int i = 0; i < q->n_before; i++) {
        struct query *other = with_shared(p, q->before[i], q, args);

        before[i] = other ? other : q->before[i];
    }
    q->before = before;
}

/* ---- keys that waited ----------------------------------------------------------------------------------------- */

/* The table that a foreign key points at, whose check waited for the end before the step; NULL: it's none of that. */
static const struct cat_relation *parent_waited_for(const struct proof *p,
                                                    const struct wire_result *refused)
{
    const char *name = strcmp(refused->sqlstate, "23503") == 0
                           ? quoted_name(p->scratch, refused->message, "foreign key constraint")
                           : NULL;

    for (int i = 0; name && i < p->before.n_relations; i++) {
        const struct cat_relation *r = &p->before.relations[i];

        for (int k = 0; k < r->n_constraints; k++)
            if (r->constraints[k].type == 'f' && strcmp(r->constraints[k].name, name) == 0 &&
                strstr(r->constraints[k].definition, "INITIALLY DEFERRED"))
                return cat_by_oid(&p->before, r->constraints[k].other);
    }
    return NULL;
}

static bool has_name_of(const struct query *q, const char *name)
{
    for (int i = 0; i < q->s->n_params; i++)
        if (name_of(q, i) && strcmp(name_of(q, i), name) == 0)
            return true;
    return false;
}

static bool inserts(const struct proof *p, const struct query *q, const struct cat_relation *r)
{
    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];
        const struct cat_relation *to =
            cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table);

        if (to && to->oid == r->oid && w->verb == VERB_INSERT)
            return true;
    }
    return false;
}

bool limits_never_met(const struct proof *p, const struct limit_try *t,
                      const struct wire_result *refused)
{
    const struct cat_relation *parent = parent_waited_for(p, refused);
    const struct query *q = t->a->q;
    const char *name = t->param > 0 ? name_of(q, t->param - 1) : NULL;

    if (!parent)
        return false;
    for (int i = 0; name && i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        for (int k = 0; a->release == t->a->release && k < a->q->n_before; k++)
            if (a->q->before[k] == q && has_name_of(a->q, name) && inserts(p, a->q, parent))
                return false;
    }
    return true;
}
