/* What a query touches: it is asked again when that changes, and only then. */
#include "check/work.h"

struct surface {
    const struct proof *p;
    uint64_t h;
    unsigned
        seen[64]; /* relations that are in it already; more than these are counted twice, no harm */
    int n_seen;
};

static void add_relation(struct surface *s, const struct cat_relation *r, bool written, int depth)
{
    if (!r || depth > 8)
        return;
    for (int i = 0; i < s->n_seen; i++)
        if (s->seen[i] == r->oid)
            return;
    if (s->n_seen < 64)
        s->seen[s->n_seen++] = r->oid;
    s->h = s->h * 31 + r->fingerprint;
    for (int i = 0; i < r->n_uses; i++)
        add_relation(s, cat_by_oid(&s->p->now, r->uses[i]), written, depth + 1);
    if (!written)
        return;
    for (int i = 0; i < s->p->now.n_relations; i++)
        if (s->p->now.relations[i].kind == 'S')
            s->h = s->h * 31 + s->p->now.relations[i].fingerprint;
    /* A row that is written meets its parents and its children; a trigger may meet anything. */
    for (int i = 0; i < r->n_constraints; i++)
        if (r->constraints[i].type == 'f')
            add_relation(s, cat_by_oid(&s->p->now, r->constraints[i].other), false, depth + 1);
    for (int i = 0; i < s->p->now.n_relations; i++)
        for (int k = 0; k < s->p->now.relations[i].n_constraints; k++)
            if (s->p->now.relations[i].constraints[k].other == r->oid)
                add_relation(s, &s->p->now.relations[i], false, depth + 1);
    if (r->n_triggers > 0 || r->n_policies > 0)
        for (int i = 0; i < s->p->now.n_relations; i++)
            s->h = s->h * 31 + s->p->now.relations[i].fingerprint;
}

static uint64_t everything(const struct proof *p)
{
    uint64_t h = p->now.others;

    for (int i = 0; i < p->now.n_relations; i++)
        h = h * 31 + p->now.relations[i].fingerprint;
    for (int i = 0; i < p->now.n_functions; i++)
        h = h * 31 + p->now.functions[i].fingerprint;
    return h;
}

/* Views, triggers, defaults, checks and policies call functions that the statement doesn't name. Our own come and
 * go with the trigger that calls them. */
static uint64_t routines(const struct proof *p)
{
    uint64_t h = PRINT_START;

    for (int i = 0; i < p->now.n_functions; i++)
        if (strncmp(p->now.functions[i].schema, "phasegate", strlen("phasegate")) != 0)
            h = h * 31 + p->now.functions[i].fingerprint;
    return h;
}

/* "name" or "schema.name", as a text; NULL: there is no such relation. */
static const struct cat_relation *named_by(const struct proof *p, const char *path,
                                           const char *text)
{
    const char *dot = strchr(text, '.');

    if (!dot)
        return cat_find(&p->now, path, NULL, text);
    return cat_find(&p->now, path, arena_strndup(p->scratch, text, (size_t) (dot - text)), dot + 1);
}

uint64_t query_surface(const struct proof *p, const struct query *q)
{
    struct surface s = {.p = p, .h = p->now.others * 31 + routines(p)};
    const char *path = p->sessions[q->session].search_path;

    if (!q->facts.parsed || q->is_run_alone)
        return everything(p);
    for (int i = 0; i < q->facts.n_rels; i++) {
        const struct fact_rel *f = &q->facts.rels[i];
        const struct cat_relation *r = cat_find(&p->now, path, f->schema, f->name);

        if (r)
            add_relation(&s, r, f->is_target, 0);
        else
            s.h = print_text(s.h, f->name);
    }
    for (int i = 0; i < q->facts.functions.n; i++) {
        uint64_t h = cat_function_print(&p->now, q->facts.functions.items[i].s);
        /* A user's function may read anything. */
        s.h = s.h * 31 + h;
        if (h)
            s.h = s.h * 31 + everything(p);
    }
    /* A constant may be meant for a regclass: nextval('orders_id_seq'). */
    for (int i = 0; i < q->facts.literals.n; i++)
        add_relation(&s, named_by(p, path, q->facts.literals.items[i].s), false, 0);
    for (int i = 0; i < p->now.n_enums; i++)
        for (int k = 0; k < p->now.enums[i].n_labels; k++)
            s.h = print_text(s.h, p->now.enums[i].labels[k]);
    return s.h;
}
