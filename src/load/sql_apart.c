/* Expressions that are one column in another dress: other values of the column stay other values. */
#include "load/sql_work.h"

#include <string.h>

static bool add_cast(struct column_expr *out, const char *type, int64_t typmod)
{
    if (out->n_casts == COLUMN_EXPR_CASTS)
        return false;
    out->casts[out->n_casts++] = (struct column_cast) {type, typmod};
    return true;
}

static bool is_constant(const json_t *expr)
{
    return tree_get(expr, "A_Const") && !tree_is_null_const(expr);
}

static bool look(struct arena *a, const json_t *expr, struct column_expr *out);

/* c || 'x', 'x' || c, c + 1, 1000 - c */
static bool look_at_operator(struct arena *a, const json_t *fields, struct column_expr *out)
{
    const json_t *left = tree_get(fields, "lexpr"), *right = tree_get(fields, "rexpr");
    const json_t *inner = left && is_constant(left)     ? right
                          : right && is_constant(right) ? left
                                                        : NULL;
    const char *op = tree_last(tree_get(fields, "name"));
    int64_t n;

    if (tree_is(fields, "kind", "AEXPR_NULLIF")) {
        out->makes_null = true;
        return left && right && is_constant(right) && look(a, left, out);
    }
    if (!tree_is(fields, "kind", "AEXPR_OP") || !left || !inner || !op || !look(a, inner, out))
        return false;
    if (strcmp(op, "||") == 0)
        return add_cast(out, "text", -1);
    return (strcmp(op, "+") == 0 || strcmp(op, "-") == 0) &&
           tree_integer(inner == left ? right : left, &n);
}

/* CASE WHEN ... THEN c END: c or NULL. */
static bool look_at_case(struct arena *a, const json_t *fields, struct column_expr *out)
{
    const json_t *whens = tree_list(fields, "args"), *other = tree_get(fields, "defresult");

    out->makes_null = true;
    return tree_count(whens) == 1 && (!other || tree_is_null_const(other)) &&
           look(a, tree_get(tree_as(json_array_get(whens, 0), "CaseWhen"), "result"), out);
}

static bool look(struct arena *a, const json_t *expr, struct column_expr *out)
{
    const json_t *ref = tree_get(expr, "ColumnRef"), *cast = tree_get(expr, "TypeCast"),
                 *op = tree_get(expr, "A_Expr"), *branch = tree_get(expr, "CaseExpr"),
                 *collated = tree_get(expr, "CollateClause");
    struct sql_type type;

    if (branch)
        return look_at_case(a, branch, out);
    if (collated)
        return look(a, tree_get(collated, "arg"), out);

    if (ref) {
        const char *name = tree_last(tree_get(ref, "fields"));
        out->column = name ? arena_strdup(a, name) : NULL;
        return name != NULL;
    }
    if (op)
        return look_at_operator(a, op, out);
    return cast && tree_type(a, tree_get(cast, "typeName"), &type) && type.is_builtin &&
           !type.is_array && (type.typmod_known || !type.has_modifiers) &&
           look(a, tree_get(cast, "arg"), out) &&
           add_cast(out, type.name, type.has_modifiers ? type.typmod : -1);
}

bool expr_of_column(struct arena *a, const char *expr, struct column_expr *out)
{
    AUTO(sql_parts) parts = {0};
    AUTO(problem_list) ignored = {0};
    struct sql_text text = {.sql = arena_printf(a, "SELECT %s", expr)};

    *out = (struct column_expr) {0};
    if (!sql_split(a, &text, "this expression", &parts, &ignored) || parts.n != 1)
        return false;
    const json_t *query = tree_get(parts.items[0].node, "SelectStmt");
    const json_t *targets = tree_list(query, "targetList");
    return tree_count(targets) == 1 &&
           look(a, tree_get(tree_as(json_array_get(targets, 0), "ResTarget"), "val"), out);
}
