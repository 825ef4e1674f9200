/* The stars that sqlc writes out as columns when it makes code: where they stand, and of which relations they are. */
#include "load/parse_deep.h"
#include "load/sql_tree.h"
#include "phasegate/statement_facts.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 200

struct find {
    struct arena *a;
    const char *sql;
    const char **ctes;
    int n_ctes;
    struct fact_star *stars;
    int n;
};

struct from {
    struct fact_star_rel *rels;
    int n;
    bool is_plain; /* nothing but relations in it, whose columns stand one after the other */
};

static bool note_cte(void *ctx, const char *kind, const json_t *fields)
{
    struct find *f = ctx;

    if (strcmp(kind, "CommonTableExpr") == 0) {
        f->ctes = arena_grow(f->a, f->ctes, sizeof *f->ctes * (size_t) f->n_ctes,
                             sizeof *f->ctes * (size_t) (f->n_ctes + 1));
        f->ctes[f->n_ctes++] = arena_strdup(f->a, tree_text(fields, "ctename"));
    }
    return true;
}

static bool is_cte(const struct find *f, struct sql_rel rel)
{
    for (int i = 0; !rel.schema && i < f->n_ctes; i++)
        if (f->ctes[i] && strcmp(f->ctes[i], rel.name) == 0)
            return true;
    return false;
}

static void add_range(struct find *f, struct from *from, const json_t *fields)
{
    struct sql_rel rel = tree_rel(fields);
    const json_t *alias = tree_as(tree_get(fields, "alias"), "Alias");
    const char *name = tree_text(alias, "aliasname");

    if (!rel.name || is_cte(f, rel) || tree_list(alias, "colnames")) {
        from->is_plain = false;
        return;
    }
    from->rels = arena_grow(f->a, from->rels, sizeof *from->rels * (size_t) from->n,
                            sizeof *from->rels * (size_t) (from->n + 1));
    from->rels[from->n++] =
        (struct fact_star_rel) {arena_strdup(f->a, rel.schema), arena_strdup(f->a, rel.name),
                                arena_strdup(f->a, name ? name : rel.name)};
}

static void add_item(struct find *f, struct from *from, const json_t *item, int depth)
{
    const char *kind = tree_kind(item);
    const json_t *fields = tree_fields(item);

    if (kind && strcmp(kind, "RangeVar") == 0) {
        add_range(f, from, fields);
    } else if (kind && strcmp(kind, "JoinExpr") == 0 && depth < DEPTH_MAX &&
               !tree_flag(fields, "isNatural") && !tree_list(fields, "usingClause") &&
               !tree_get(fields, "alias")) {
        add_item(f, from, tree_get(fields, "larg"), depth + 1);
        add_item(f, from, tree_get(fields, "rarg"), depth + 1);
    } else {
        from->is_plain = false;
    }
}

/* Past the star of a reference that begins at s. */
static const char *star_end(const char *s)
{
    for (bool quoted = false; *s; s++) {
        if (*s == '"')
            quoted = !quoted;
        else if (*s == '*' && !quoted)
            return s + 1;
    }
    return NULL;
}

static void add_star(struct find *f, const struct from *from, const json_t *ref)
{
    const json_t *fields = tree_list(ref, "fields");
    const char *name = NULL;
    int n = tree_count(fields), at = (int) json_integer_value(tree_get(ref, "location"));
    const char *end = at > 0 && (size_t) at < strlen(f->sql) ? star_end(f->sql + at) : NULL;
    struct fact_star star = {.at = at};

    if (n == 0 || !tree_get(json_array_get(fields, (size_t) n - 1), "A_Star") || !end)
        return;
    star.end = (int) (end - f->sql);
    star.is_qualified = n > 1;
    star.is_known = n == 1 && from->is_plain && from->n > 0;
    star.rels = from->rels;
    star.n_rels = from->n;
    name = n == 2 ? tree_string(json_array_get(fields, 0)) : NULL;
    for (int i = 0; name && i < from->n; i++)
        if (strcmp(from->rels[i].alias, name) == 0) {
            star.rels = &from->rels[i];
            star.n_rels = 1;
            star.is_known = true;
        }
    f->stars =
        arena_grow(f->a, f->stars, sizeof star * (size_t) f->n, sizeof star * (size_t) (f->n + 1));
    f->stars[f->n++] = star;
}

static void add_outputs(struct find *f, const struct from *from, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach((json_t *) list, i, item)
    {
        const json_t *ref = tree_get(tree_get(tree_as(item, "ResTarget"), "val"), "ColumnRef");

        if (ref)
            add_star(f, from, ref);
    }
}

static bool note_query(void *ctx, const char *kind, const json_t *fields)
{
    bool selects = strcmp(kind, "SelectStmt") == 0;
    bool changes = strcmp(kind, "InsertStmt") == 0 || strcmp(kind, "UpdateStmt") == 0 ||
                   strcmp(kind, "DeleteStmt") == 0;
    const json_t *list =
                     tree_list(fields, changes && tree_get(fields, "usingClause") ? "usingClause"
                                                                                  : "fromClause"),
                 *item;
    struct from from = {.is_plain = true};
    size_t i;

    if (!selects && !changes)
        return true;
    if (changes)
        add_range(ctx, &from, tree_as(tree_get(fields, "relation"), "RangeVar"));
    json_array_foreach((json_t *) list, i, item) add_item(ctx, &from, item, 0);
    add_outputs(ctx, &from, tree_list(fields, changes ? "returningList" : "targetList"));
    return true;
}

static int by_place(const void *a, const void *b)
{
    return ((const struct fact_star *) a)->at - ((const struct fact_star *) b)->at;
}

void statement_stars(struct arena *a, const char *sql, struct fact_star **out, int *n)
{
    PgQueryParseResult result = parse_deep(sql);
    struct find f = {.a = a, .sql = sql};
    json_error_t error;
    json_t *tree = result.error ? NULL : json_loads(result.parse_tree, 0, &error);

    if (tree) {
        tree_walk(tree, note_cte, &f);
        tree_walk(tree, note_query, &f);
    }
    if (f.n > 1)
        qsort(f.stars, (size_t) f.n, sizeof *f.stars, by_place);
    /* An INSERT's arms of a set operation come once each; what comes twice is one. */
    *n = 0;
    for (int i = 0; i < f.n; i++)
        if (*n == 0 || f.stars[i].at != f.stars[*n - 1].at)
            f.stars[(*n)++] = f.stars[i];
    *out = f.stars;
    json_decref(tree);
    pg_query_free_parse_result(result);
}
