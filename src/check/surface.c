/* What a query touches: it is asked again when that changes, and only then. */
#include "check/words.h"
#include "check/work.h"

#include <stdlib.h>

struct surface {
    const struct proof *p;
    uint64_t h;
    unsigned char *seen; /* of each relation: 0: not yet, 1: read, 2: written */
    bool runs_code;      /* a trigger, or a function that its relations call */
};

/* Views, triggers, defaults, checks and policies call functions that the statement doesn't name. Our own come and
 * go with the trigger that calls them. */
static uint64_t routines(const struct catalogue *c)
{
    uint64_t h = PRINT_START;

    for (int i = 0; i < c->n_functions; i++)
        if (!cat_is_phasegates(c->functions[i].schema))
            h = h * 31 + c->functions[i].fingerprint;
    return h;
}

static uint64_t everything(const struct catalogue *c)
{
    uint64_t h = c->others;

    for (int i = 0; i < c->n_relations; i++)
        h = h * 31 + c->relations[i].fingerprint;
    for (int i = 0; i < c->n_functions; i++)
        h = h * 31 + c->functions[i].fingerprint;
    return h;
}

static uint64_t labels(const struct catalogue *c)
{
    uint64_t h = PRINT_START;

    for (int i = 0; i < c->n_enums; i++)
        for (int k = 0; k < c->enums[i].n_labels; k++)
            h = print_text(h, c->enums[i].labels[k]);
    return h;
}

/* Once for a catalogue: thousands of queries ask for them. */
static const struct cat_sums *sums_of(const struct catalogue *c)
{
    if (!c->sums->is_set)
        *c->sums = (struct cat_sums) {everything(c), routines(c), labels(c), true};
    return c->sums;
}

/* A row that goes, or gets another key, takes others with it: then they are written too. */
static bool acts_on_children(const struct cat_constraint *k)
{
    return strstr(k->definition, " CASCADE") || strstr(k->definition, " SET NULL") ||
           strstr(k->definition, " SET DEFAULT");
}

static void add_relation(struct surface *s, const struct cat_relation *r, bool written);

/* Prints know types by their names: another one of the same name is another one for whoever holds a statement. */
static bool has_swapped_type(const struct proof *p, const struct cat_relation *r)
{
    const struct cat_relation *was = cat_by_oid(&p->baseline, r->oid);

    for (int i = 0; was && i < r->n_columns; i++) {
        const struct cat_column *c = &r->columns[i], *b = cat_column_number(was, c->number);

        if (b && b->type != c->type && strcmp(b->type_text, c->type_text) == 0)
            return true;
    }
    return false;
}

/* A row that is written meets its parents and its children; a trigger may meet anything. */
static void add_written(struct surface *s, const struct cat_relation *r)
{
    const struct catalogue *now = &s->p->now;

    for (int i = 0; i < now->n_relations; i++)
        if (now->relations[i].kind == 'S')
            s->h = s->h * 31 + now->relations[i].fingerprint;
    for (int i = 0; i < r->n_constraints; i++)
        if (r->constraints[i].type == 'f')
            add_relation(s, cat_by_oid(now, r->constraints[i].other), false);
    for (int i = 0; i < now->n_relations; i++)
        for (int k = 0; k < now->relations[i].n_constraints; k++)
            if (now->relations[i].constraints[k].other == r->oid)
                add_relation(s, &now->relations[i],
                             acts_on_children(&now->relations[i].constraints[k]));
    s->runs_code |= r->n_triggers > 0;
    if (r->n_triggers > 0 || r->n_policies > 0)
        s->h = s->h * 31 + sums_of(now)->everything;
}

static void add_relation(struct surface *s, const struct cat_relation *r, bool written)
{
    unsigned char as = written ? 2 : 1;

    if (!r || s->seen[r - s->p->now.relations] >= as)
        return;
    s->seen[r - s->p->now.relations] = as;
    s->h = s->h * 31 + r->fingerprint + (r->kind == 'm' && r->is_populated);
    s->h += has_swapped_type(s->p, r);
    s->runs_code |= r->calls;
    if (r->calls)
        s->h = s->h * 31 + sums_of(&s->p->now)->everything;
    for (int i = 0; i < r->n_uses; i++)
        add_relation(s, cat_by_oid(&s->p->now, r->uses[i]), written);
    for (int i = 0; i < r->n_reaches; i++)
        add_relation(s, cat_by_oid(&s->p->now, r->reaches[i]), written);
    if (written)
        add_written(s, r);
}

/* 0: there is no such relation. */
static uint64_t surface_of(const struct proof *p, const struct cat_relation *r, bool written)
{
    if (!r)
        return 0;
    uint64_t *known = &p->now.relations[r - p->now.relations].surface[written];
    if (!*known) {
        struct surface s = {.p = p, .h = PRINT_START};

        s.seen = calloc((size_t) p->now.n_relations, 1);
        if (!s.seen)
            abort();
        add_relation(&s, r, written);
        free(s.seen);
        *known = s.h ? s.h : 1;
        p->now.relations[r - p->now.relations].runs_code[written] = s.runs_code;
    }
    return *known;
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

/* A function may take a query as a text: crosstab(), ts_stat(), query_to_xml(). Of one word is none. */
static uint64_t surface_in_text(const struct proof *p, const char *text)
{
    uint64_t h = 0;

    for (int i = 0; strpbrk(text, " \t\n") && i < p->now.n_relations; i++)
        if (has_name(text, p->now.relations[i].name))
            h = h * 31 + surface_of(p, &p->now.relations[i], false);
    return h;
}

uint64_t query_surface(const struct proof *p, const struct query *q)
{
    const struct cat_sums *sums = sums_of(&p->now);
    const char *path = p->sessions[q->session].search_path;
    uint64_t h = p->now.others * 31 + sums->routines;

    if (!q->facts.parsed || q->is_run_alone || p->now.calls)
        return sums->everything * 31 + sums->labels;
    for (int i = 0; i < q->facts.n_rels; i++) {
        const struct fact_rel *f = &q->facts.rels[i];
        const struct cat_relation *r = cat_find(&p->now, path, f->schema, f->name);

        h = r ? h * 31 + surface_of(p, r, f->is_target) : print_text(h, f->name);
    }
    for (int i = 0; i < q->facts.functions.n; i++) {
        uint64_t own = cat_function_print(&p->now, q->facts.functions.items[i].s);
        /* A user's function may read anything. */
        h = h * 31 + own;
        if (own)
            h = h * 31 + sums->everything;
    }
    /* A table's row is a type: NULL::t, t[]. */
    for (int i = 0; i < q->facts.types.n; i++)
        h = h * 31 + surface_of(p, named_by(p, path, q->facts.types.items[i].s), false);
    /* A constant may be meant for a regclass: nextval('orders_id_seq'). */
    for (int i = 0; i < q->facts.literals.n; i++)
        h = h * 31 + surface_of(p, named_by(p, path, q->facts.literals.items[i].s), false);
    for (int i = 0; q->facts.functions.n > 0 && i < q->facts.literals.n; i++)
        h = h * 31 + surface_in_text(p, q->facts.literals.items[i].s);
    return h * 31 + sums->labels;
}

static bool has_functions(const struct catalogue *c)
{
    for (int i = 0; i < c->n_functions; i++)
        if (!cat_is_phasegates(c->functions[i].schema))
            return true;
    return false;
}

bool query_runs_code(const struct proof *p, const struct query *q)
{
    const char *path = p->sessions[q->session].search_path;

    if (!has_functions(&p->now))
        return false;
    if (!q->facts.parsed || q->is_run_alone || p->now.calls)
        return true;
    for (int i = 0; i < q->facts.functions.n; i++)
        if (cat_function_print(&p->now, q->facts.functions.items[i].s))
            return true;
    for (int i = 0; i < q->facts.n_rels; i++) {
        const struct fact_rel *f = &q->facts.rels[i];
        const struct cat_relation *r = cat_find(&p->now, path, f->schema, f->name);

        if (r && surface_of(p, r, f->is_target) && r->runs_code[f->is_target])
            return true;
    }
    return false;
}

uint64_t schema_surface(const struct proof *p) { return p->now.others * 31 + cat_print(&p->now); }

/* What such a statement does to the schema hangs on the tables it names and on what views and functions make of them; IF
 * NOT EXISTS may be about an index of any table. */
static bool stays_with_its_tables(const struct sql_stmt *s)
{
    return strncmp(s->kind, "ALTER TABLE", strlen("ALTER TABLE")) == 0 ||
           (strncmp(s->kind, "CREATE INDEX", strlen("CREATE INDEX")) == 0 &&
            !strcasestr(s->sql, "exists"));
}

/* ALTER TABLE ALL IN TABLESPACE names none. */
static bool knows_its_tables(const struct proof *p, const struct sql_stmt *s)
{
    for (int i = 0; i < s->relations.n; i++) {
        bool found = false;

        for (int k = 0; k < p->now.n_relations && !found; k++)
            found = strcmp(p->now.relations[k].name, s->relations.items[i].s) == 0;
        if (!found)
            return false;
    }
    return s->relations.n > 0;
}

static bool is_table(const struct cat_relation *r)
{
    return r->kind == 'r' || r->kind == 'p' || r->kind == 'f';
}

static bool names_it(const struct sql_stmt *s, const struct cat_relation *r)
{
    for (int i = 0; i < s->relations.n; i++)
        if (strcmp(s->relations.items[i].s, r->name) == 0)
            return true;
    return false;
}

uint64_t ddl_surface(const struct proof *p, const struct sql_stmt *s, int n)
{
    uint64_t h = surface_calls(p) * 31 + sums_of(&p->now)->labels;

    for (int i = 0; i < n; i++)
        if (p->now.calls || !stays_with_its_tables(&s[i]) || !knows_its_tables(p, &s[i]))
            return schema_surface(p);
    for (int k = 0; k < p->now.n_relations; k++) {
        const struct cat_relation *r = &p->now.relations[k];

        if (!is_table(r))
            h = h * 31 + r->fingerprint;
        for (int i = 0; i < n && is_table(r); i++)
            if (names_it(&s[i], r))
                h = h * 31 + surface_of(p, r, true);
    }
    return h;
}

uint64_t surface_calls(const struct proof *p)
{
    return p->now.others * 31 + sums_of(&p->now)->routines;
}
