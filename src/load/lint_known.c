/* What the texts have made so far. Names without a schema match those with one: a search_path isn't known here,
 * and one name in two schemas is rarer than one table written both ways. */
#include "load/lint_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- finding ------------------------------------------------------------------------------------------ */

struct lint_known *lint_known_new(struct arena *a)
{
    struct lint_known *k = arena_new(a, struct lint_known);

    k->a = a;
    return k;
}

static unsigned hash_of(const char *name)
{
    unsigned h = 2166136261u;

    for (; *name; name++)
        h = (h ^ (unsigned char) *name) * 16777619u;
    return h;
}

static bool is_same(struct sql_rel a, struct sql_rel b)
{
    return a.name && b.name && strcmp(a.name, b.name) == 0 &&
           (!a.schema || !b.schema || strcmp(a.schema, b.schema) == 0);
}

static bool is_exact(struct sql_rel a, struct sql_rel b)
{
    return a.schema && b.schema ? strcmp(a.schema, b.schema) == 0 : a.schema == b.schema;
}

struct known_rel *known_find(const struct lint_known *k, struct sql_rel rel)
{
    struct known_rel *found = NULL;

    if (!rel.name)
        return NULL;
    for (int i = k->n_slots ? k->slots[hash_of(rel.name) % (unsigned) k->n_slots] : 0; i > 0;
         i = k->next[i - 1]) {
        struct known_rel *r = k->rels[i - 1];

        if (r->is_dropped || !is_same(r->rel, rel))
            continue;
        if (is_exact(r->rel, rel))
            return r;
        if (!found)
            found = r;
    }
    return found;
}

struct known_column *known_column(const struct known_rel *rel, const char *name)
{
    for (int i = 0; rel && name && i < rel->n_columns; i++)
        if (strcmp(rel->columns[i].name, name) == 0)
            return &rel->columns[i];
    return NULL;
}

const struct known_type *known_type_find(const struct lint_known *k, struct sql_rel rel)
{
    for (int i = k->n_types - 1; i >= 0; i--)
        if (!k->types[i].is_dropped && is_same(k->types[i].rel, rel))
            return &k->types[i];
    return NULL;
}

bool known_is_constrained(const struct lint_known *k, const struct known_type *t)
{
    if (!t || !t->is_domain)
        return false;
    if (t->n_checks > 0)
        return true;
    return t->base.text && !t->base.is_builtin && !t->base.is_array &&
           known_is_constrained(k, known_type_find(k, (struct sql_rel) {NULL, t->base.name}));
}

const struct known_function *known_function_find(const struct lint_known *k, struct sql_rel rel)
{
    for (int i = k->n_functions - 1; i >= 0; i--)
        if (is_same(k->functions[i].rel, rel))
            return &k->functions[i];
    return NULL;
}

/* ---- adding --------------------------------------------------------------------------------------------- */

static void hash_again(struct lint_known *k)
{
    k->n_slots = k->cap_rels;
    k->slots = arena_array(k->a, int, k->n_slots);
    for (int i = 0; i < k->n_rels; i++) {
        int *slot = &k->slots[hash_of(k->rels[i]->rel.name) % (unsigned) k->n_slots];

        k->next[i] = *slot;
        *slot = i + 1;
    }
}

struct known_rel *known_add_rel(struct lint_known *k, enum known_kind kind, struct sql_rel rel,
                                int unit)
{
    struct known_rel *r = arena_new(k->a, struct known_rel);

    *r = (struct known_rel) {
        .kind = kind,
        .rel = {arena_strdup(k->a, rel.schema), arena_strdup(k->a, rel.name ? rel.name : "")},
        .unit = unit};
    if (k->n_rels == k->cap_rels) {
        int cap = k->cap_rels ? 2 * k->cap_rels : 32;

        k->rels = arena_grow(k->a, k->rels, sizeof *k->rels * (size_t) k->cap_rels,
                             sizeof *k->rels * (size_t) cap);
        k->next = arena_grow(k->a, k->next, sizeof *k->next * (size_t) k->cap_rels,
                             sizeof *k->next * (size_t) cap);
        k->cap_rels = cap;
        k->rels[k->n_rels++] = r;
        hash_again(k);
        return r;
    }
    k->rels[k->n_rels++] = r;

    int *slot = &k->slots[hash_of(r->rel.name) % (unsigned) k->n_slots];
    k->next[k->n_rels - 1] = *slot;
    *slot = k->n_rels;
    return r;
}

struct known_column *known_add_column(struct lint_known *k, struct known_rel *rel, const char *name)
{
    if (rel->n_columns == rel->cap_columns) {
        int cap = rel->cap_columns ? 2 * rel->cap_columns : 8;

        rel->columns =
            arena_grow(k->a, rel->columns, sizeof *rel->columns * (size_t) rel->cap_columns,
                       sizeof *rel->columns * (size_t) cap);
        rel->cap_columns = cap;
    }
    rel->columns[rel->n_columns] =
        (struct known_column) {.name = arena_strdup(k->a, name ? name : "")};
    return &rel->columns[rel->n_columns++];
}

struct known_constraint *known_add_constraint(struct lint_known *k, struct known_rel *rel,
                                              const char *name, const char *type)
{
    static const char *none[] = {NULL};

    if (rel->n_constraints == rel->cap_constraints) {
        int cap = rel->cap_constraints ? 2 * rel->cap_constraints : 4;

        rel->constraints = arena_grow(k->a, rel->constraints,
                                      sizeof *rel->constraints * (size_t) rel->cap_constraints,
                                      sizeof *rel->constraints * (size_t) cap);
        rel->cap_constraints = cap;
    }
    rel->constraints[rel->n_constraints] = (struct known_constraint) {
        .name = arena_strdup(k->a, name),
        .type = arena_strdup(k->a, type),
        .columns = none,
        .present = none,
    };
    return &rel->constraints[rel->n_constraints++];
}

/* A relation that is altered and hasn't been made by any text: some of it is known from now on. */
struct known_rel *known_rel_or_add(struct lint_known *k, struct sql_rel rel)
{
    struct known_rel *r = known_find(k, rel);

    return r || !rel.name ? r : known_add_rel(k, KNOWN_TABLE, rel, 0);
}

struct known_rel *known_add_index(struct lint_known *k, struct sql_rel name,
                                  struct known_rel *table, const char **keys, bool is_partial,
                                  int unit)
{
    static const char *none[] = {NULL};
    struct known_rel *index = known_add_rel(k, KNOWN_INDEX, name, unit);

    index->table = table;
    index->keys = keys;
    index->is_partial = is_partial;
    index->computed = none;
    return index;
}

/* ---- reading trees ---------------------------------------------------------------------------------------- */

const char **known_names(struct arena *a, const json_t *list)
{
    const char **names = arena_array(a, const char *, tree_count(list) + 1);
    json_t *item;
    size_t i;

    json_array_foreach((json_t *) list, i, item)
    {
        const char *name = tree_get(item, "IndexElem")
                               ? tree_text(tree_get(item, "IndexElem"), "name")
                               : tree_string(item);

        names[i] = arena_strdup(a, name ? name : "");
    }
    return names;
}

struct gather {
    struct arena *a;
    const char **names;
    int n, cap;
};

static void gather_add(struct gather *g, const char *name)
{
    if (g->n + 1 >= g->cap) {
        int cap = g->cap ? 2 * g->cap : 4;

        g->names = arena_grow(g->a, g->names, sizeof *g->names * (size_t) g->cap,
                              sizeof *g->names * (size_t) cap);
        g->cap = cap;
    }
    g->names[g->n++] = arena_strdup(g->a, name);
}

static bool gather_column(void *ctx, const char *kind, const json_t *fields)
{
    if (strcmp(kind, "ColumnRef") == 0 && tree_last(tree_get(fields, "fields")))
        gather_add(ctx, tree_last(tree_get(fields, "fields")));
    return true;
}

const char **known_columns(struct arena *a, const json_t *expr)
{
    static const char *none[] = {NULL};
    struct gather columns = {.a = a};

    tree_walk(expr, gather_column, &columns);
    return columns.names ? columns.names : none;
}

/* Columns that can't be NULL where the expression isn't false: those of IS NOT NULL, alone or joined by AND. */
static void gather_present(struct gather *g, const json_t *expr)
{
    const json_t *test = tree_get(expr, "NullTest"), *all = tree_get(expr, "BoolExpr");
    json_t *item;
    size_t i;

    if (test && tree_is(test, "nulltesttype", "IS_NOT_NULL"))
        tree_walk(tree_get(test, "arg"), gather_column, g);
    if (all && tree_is(all, "boolop", "AND_EXPR"))
        json_array_foreach(tree_list(all, "args"), i, item) gather_present(g, item);
    if (all && tree_is(all, "boolop", "NOT_EXPR"))
        test = tree_get(json_array_get(tree_list(all, "args"), 0), "NullTest");
    if (all && test && tree_is(test, "nulltesttype", "IS_NULL"))
        tree_walk(tree_get(test, "arg"), gather_column, g);
}

void known_read_check(struct lint_known *k, struct known_constraint *c, const json_t *expr)
{
    struct gather columns = {.a = k->a}, present = {.a = k->a};

    tree_walk(expr, gather_column, &columns);
    gather_present(&present, expr);
    if (columns.names)
        c->columns = columns.names;
    if (present.names)
        c->present = present.names;
}
