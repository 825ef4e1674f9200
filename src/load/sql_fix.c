/* The fix of a data check: one statement that changes rows, and where it may be cut into batches, as a backfill is. */
#include "load/loader.h"
#include "load/sql_scan.h"
#include "load/sql_work.h"

#include <string.h>

/* One column and an expression. Its own text: a tree has none. */
static bool take_target(struct arena *a, const char *text, const json_t *target, size_t end,
                        struct pair *out)
{
    const json_t *value = tree_get(target, "val");
    const char *name = tree_text(target, "name");
    size_t from = (size_t) json_integer_value(tree_get(target, "location")), before = 0;
    size_t expr = sql_scan_past(text, from, "=", false, &before);

    if (!name || !value || tree_get(target, "indirection") || tree_get(value, "MultiAssignRef") ||
        tree_get(value, "SetToDefault") || from == 0 || !expr || expr >= end)
        return false;
    out->key.s = arena_strdup(a, name);
    out->value.s = sql_scan_trimmed(a, text, expr, end);
    return out->value.s != NULL;
}

static size_t place_of_target(json_t *targets, size_t i)
{
    const json_t *t = tree_as(json_array_get(targets, i), "ResTarget");

    return (size_t) json_integer_value(tree_get(t, "location"));
}

/* What stands behind a comma belongs to the next one. */
static size_t end_of_target(const char *text, json_t *targets, size_t i, size_t where)
{
    size_t before = 0;

    return i + 1 < json_array_size(targets) &&
                   sql_scan_past(text, place_of_target(targets, i), ",", false, &before)
               ? before
               : where;
}

/* A row that looks at others of its table sees another table in each batch. */
static bool looks_at_others(struct arena *a, const json_t *update, const char *table)
{
    struct text_list names = {0};

    sql_relations(a, tree_get(update, "targetList"), &names);
    sql_relations(a, tree_get(update, "whereClause"), &names);
    for (int i = 0; i < names.n; i++)
        if (strcmp(names.items[i].s, table) == 0)
            return true;
    return false;
}

static bool can_be_cut(struct arena *a, const json_t *update)
{
    const json_t *rel = tree_get(update, "relation");
    struct sql_rel name = tree_rel(rel);

    return name.name && tree_flag(rel, "inh") && !tree_get(rel, "alias") &&
           !tree_get(update, "withClause") && tree_count(tree_list(update, "fromClause")) == 0 &&
           tree_get(update, "whereClause") && !looks_at_others(a, update, name.name);
}

static const struct backfill *in_batches(struct arena *a, const struct check *k, const char *text,
                                         const json_t *update)
{
    json_t *targets = tree_list(update, "targetList");
    struct sql_rel rel = tree_rel(tree_get(update, "relation"));
    size_t n = json_array_size(targets), before = 0;

    if (!can_be_cut(a, update) || n == 0)
        return NULL;
    size_t cond = sql_scan_past(text, place_of_target(targets, n - 1), "where", false, &before);
    size_t where = before;
    struct backfill *b = arena_new(a, struct backfill);
    *b = (struct backfill) {.batch_rows = MODEL_UNSET,
                            .batch_min = MODEL_UNSET,
                            .batch_max = MODEL_UNSET,
                            .batch_target_ms = MODEL_UNSET,
                            .workers = MODEL_UNSET,
                            .max_bad_rows = MODEL_UNSET,
                            .at = k->fix.at};
    b->id.s = arena_printf(a, "fix/%s", k->id.s);
    b->schema.s = arena_strdup(a, rel.schema);
    b->table.s = arena_strdup(a, rel.name);
    b->where.s = cond ? sql_scan_trimmed(a, text, cond, strlen(text)) : NULL;
    b->set.items = arena_array(a, struct pair, (int) n);
    b->set.n = (int) n;
    for (size_t i = 0; i < n; i++)
        if (!take_target(a, text, tree_as(json_array_get(targets, i), "ResTarget"),
                         end_of_target(text, targets, i, where), &b->set.items[i]))
            return NULL;
    return b->where.s ? b : NULL;
}

static bool refuse(struct problem_list *problems, const struct check *k, const char *what)
{
    problem_add(problems, k->fix.at, "one INSERT, UPDATE or DELETE, without RETURNING",
                "what else is to be done is a step, or a backfill", "the fix of %s %s", k->id.s,
                what);
    return false;
}

bool sql_fix(struct arena *a, struct check *k, struct problem_list *problems)
{
    struct sql_text text = {k->fix.s, k->fix.at, strchr(k->fix.s, '\n') != NULL};
    AUTO(sql_parts) parts = {0};

    k->fix_fill = NULL;
    if (!sql_split(a, &text, "this fix", &parts, problems))
        return false;
    const char *kind = parts.n == 1 ? tree_kind(parts.items[0].node) : NULL;
    if (!kind)
        return refuse(problems, k, "isn't one statement");
    if (strcmp(kind, "UpdateStmt") != 0 && strcmp(kind, "DeleteStmt") != 0 &&
        strcmp(kind, "InsertStmt") != 0)
        return refuse(problems, k, "is none that changes rows: expected INSERT, UPDATE or DELETE");
    const json_t *tree = tree_fields(parts.items[0].node);
    if (tree_count(tree_list(tree, "returningList")) > 0)
        return refuse(problems, k, "has RETURNING");
    const char *table = tree_rel(tree_get(tree, "relation")).name;
    k->fix_sql =
        arena_strndup(a, k->fix.s + parts.items[0].from, parts.items[0].to - parts.items[0].from);
    k->fix_table = table ? arena_strdup(a, table) : NULL;
    k->fix_fill = strcmp(kind, "UpdateStmt") == 0
                      ? in_batches(a, k, arena_strndup(a, k->fix.s, parts.items[0].to), tree)
                      : NULL;
    return true;
}
