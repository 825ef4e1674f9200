/* Whom may a constraint hurt? Nobody, when the table is new; and nobody, when it can't say no to a row
 * in which the plan's new columns hold what a writer leaves there that doesn't know them. */
#include "load/sql_work.h"

#include <string.h>

/* ---- what a CHECK says to a row of an old writer -------------------------------------------------- */

/* NULL and TRUE let a row pass. PASSES: NULL or TRUE. UNKNOWN: may be FALSE. */
enum verdict { VERDICT_NULL, VERDICT_TRUE, VERDICT_FALSE, VERDICT_PASSES, VERDICT_UNKNOWN };

struct old_row {
    const struct job *j;
    struct sql_rel table;
};

/* Functions that give NULL for a NULL. */
static const char *const strict_functions[] = {"length",       "char_length",  "octet_length",
                                               "lower",        "upper",        "btrim",
                                               "ltrim",        "rtrim",        "abs",
                                               "round",        "floor",        "ceil",
                                               "trunc",        "jsonb_typeof", "json_typeof",
                                               "array_length", "cardinality",  "isfinite",
                                               "date_trunc",   "date_part",    "timezone",
                                               "left",         "right",        "md5",
                                               "regexp_like",  "like_escape",  "similar_to_escape",
                                               "substring",    "extract",      NULL};

static bool is_strict_null(const struct old_row *c, const json_t *expr);

static bool any_strict_null(const struct old_row *c, const json_t *list)
{
    size_t i;
    json_t *item;

    json_array_foreach((json_t *) list, i, item) if (is_strict_null(c, item)) return true;
    return false;
}

/* Comparisons are; IS DISTINCT FROM isn't, and neither is ANY over an empty array. */
static bool is_strict_operator(const json_t *fields)
{
    static const char *const kinds[] = {"AEXPR_OP",
                                        "AEXPR_IN",
                                        "AEXPR_LIKE",
                                        "AEXPR_ILIKE",
                                        "AEXPR_SIMILAR",
                                        "AEXPR_BETWEEN",
                                        "AEXPR_BETWEEN_SYM",
                                        "AEXPR_NOT_BETWEEN",
                                        "AEXPR_NOT_BETWEEN_SYM",
                                        NULL};
    const char *name = tree_last(tree_get(fields, "name"));

    /* || of arrays isn't */
    return word_in(tree_text(fields, "kind"), kinds) && name && strcmp(name, "||") != 0;
}

/* Is it NULL in every row that an old writer makes? */
static bool is_strict_null(const struct old_row *c, const json_t *expr)
{
    const char *kind = tree_kind(expr);
    const json_t *fields = tree_fields(expr);
    const struct made *made;

    if (!kind)
        return false;
    if (strcmp(kind, "ColumnRef") == 0) {
        made = new_column(c->j, c->table, tree_last(tree_get(fields, "fields")));
        return made && made->fills == FILLS_NULL;
    }
    if (strcmp(kind, "TypeCast") == 0 || strcmp(kind, "CollateClause") == 0)
        return is_strict_null(c, tree_get(fields, "arg"));
    if (strcmp(kind, "A_Expr") == 0 && is_strict_operator(fields))
        return is_strict_null(c, tree_get(fields, "lexpr")) ||
               (tree_is(fields, "kind", "AEXPR_OP") &&
                is_strict_null(c, tree_get(fields, "rexpr")));
    if (strcmp(kind, "FuncCall") == 0)
        return word_in(tree_last(tree_get(fields, "funcname")), strict_functions) &&
               any_strict_null(c, tree_get(fields, "args"));
    return false;
}

static enum verdict verdict_not(enum verdict v)
{
    switch (v) {
    case VERDICT_NULL: return VERDICT_NULL;
    case VERDICT_TRUE: return VERDICT_FALSE;
    case VERDICT_FALSE: return VERDICT_TRUE;
    case VERDICT_PASSES:
    case VERDICT_UNKNOWN: break;
    }
    return VERDICT_UNKNOWN;
}

static enum verdict verdict_and(enum verdict a, enum verdict b)
{
    if (a == VERDICT_FALSE || b == VERDICT_FALSE)
        return VERDICT_FALSE;
    if (a == VERDICT_UNKNOWN || b == VERDICT_UNKNOWN)
        return VERDICT_UNKNOWN;
    if (a == VERDICT_TRUE && b == VERDICT_TRUE)
        return VERDICT_TRUE;
    return a == VERDICT_NULL || b == VERDICT_NULL ? VERDICT_NULL : VERDICT_PASSES;
}

static enum verdict verdict_or(enum verdict a, enum verdict b)
{
    if (a == VERDICT_TRUE || b == VERDICT_TRUE)
        return VERDICT_TRUE;
    if (a == VERDICT_FALSE)
        return b;
    if (b == VERDICT_FALSE)
        return a;
    if (a == VERDICT_NULL && b == VERDICT_NULL)
        return VERDICT_NULL;
    return a == VERDICT_UNKNOWN && b == VERDICT_UNKNOWN ? VERDICT_UNKNOWN : VERDICT_PASSES;
}

static enum verdict verdict_of(const struct old_row *c, const json_t *expr);

static enum verdict verdict_of_bool(const struct old_row *c, const json_t *fields)
{
    json_t *args = tree_list(fields, "args"), *item;
    bool is_and = tree_is(fields, "boolop", "AND_EXPR");
    enum verdict v = is_and ? VERDICT_TRUE : VERDICT_FALSE;
    size_t i;

    if (tree_is(fields, "boolop", "NOT_EXPR"))
        return verdict_not(verdict_of(c, json_array_get(args, 0)));
    json_array_foreach(args, i, item) v =
        is_and ? verdict_and(v, verdict_of(c, item)) : verdict_or(v, verdict_of(c, item));
    return v;
}

static enum verdict verdict_of(const struct old_row *c, const json_t *expr)
{
    const char *kind = tree_kind(expr);
    const json_t *fields = tree_fields(expr);

    if (kind && strcmp(kind, "BoolExpr") == 0)
        return verdict_of_bool(c, fields);
    if (kind && strcmp(kind, "NullTest") == 0 && is_strict_null(c, tree_get(fields, "arg")))
        return tree_is(fields, "nulltesttype", "IS_NULL") ? VERDICT_TRUE : VERDICT_FALSE;
    return is_strict_null(c, expr) ? VERDICT_NULL : VERDICT_UNKNOWN;
}

/* A default is the author's own value, and PostgreSQL tries it on every row that there is. */
static bool is_no_column_or_filled(void *ctx, const char *kind, const json_t *fields)
{
    const struct old_row *c = ctx;
    const struct made *made;

    if (strcmp(kind, "ColumnRef") != 0)
        return true;
    made = new_column(c->j, c->table, tree_last(tree_get(fields, "fields")));
    return made && (made->fills == FILLS_SAME || made->fills == FILLS_UNIQUE);
}

static void classify_check(struct job *j, struct sql_rel table, const json_t *expr)
{
    struct old_row c = {j, table};
    enum verdict v = verdict_of(&c, expr);

    if (v != VERDICT_UNKNOWN && v != VERDICT_FALSE)
        return;
    if (v == VERDICT_UNKNOWN && tree_has(expr, "ColumnRef") &&
        tree_walk(expr, is_no_column_or_filled, &c))
        return;
    job_class(j, SQL_RESTRICTIVE,
              "CHECK refuses rows that live releases may write, NOT VALID or not");
}

/* ---- keys ------------------------------------------------------------------------------------- */

static const struct made *made_key(const struct job *j, struct sql_rel table, const json_t *key)
{
    const json_t *elem = tree_as(key, "IndexElem"), *expr = tree_get(elem, "expr");
    struct old_row c = {j, table};
    static const struct made null_key = {.fills = FILLS_NULL};

    if (expr)
        return is_strict_null(&c, expr) ? &null_key : NULL;
    return new_column(j, table,
                      tree_text(elem, "name") ? tree_text(elem, "name") : tree_string(key));
}

void classify_unique(struct job *j, struct sql_rel table, const json_t *keys,
                     bool nulls_not_distinct)
{
    size_t i;
    json_t *key;

    if (is_new_table(j, table))
        return;
    json_array_foreach((json_t *) keys, i, key)
    {
        const struct made *made;

        /* EXCLUDE: [element, operator] */
        if (tree_get(key, "List"))
            key = json_array_get(tree_get(tree_get(key, "List"), "items"), 0);
        made = made_key(j, table, key);
        if (made &&
            (made->fills == FILLS_UNIQUE || (made->fills == FILLS_NULL && !nulls_not_distinct)))
            return;
    }
    job_class(j, SQL_RESTRICTIVE, "refuses duplicates that live releases may write");
}

static void classify_foreign(struct job *j, struct sql_rel table, const json_t *fk,
                             const char *own_column)
{
    json_t *keys = tree_list(fk, "fk_attrs"), *key;
    bool is_full = tree_is(fk, "fk_matchtype", "f");
    int n = tree_count(keys), n_null = 0;
    size_t i;

    if (own_column) {
        const struct made *made = new_column(j, table, own_column);

        n = 1;
        n_null = made && made->fills == FILLS_NULL;
    }
    json_array_foreach(keys, i, key)
    {
        const struct made *made = new_column(j, table, tree_string(key));

        n_null += made && made->fills == FILLS_NULL;
    }
    if (n_null == 0 || (is_full && n_null < n))
        job_class(j, SQL_RESTRICTIVE,
                  "FOREIGN KEY refuses rows without a parent, which live releases may write, and "
                  "binds deletes of parents");
}

static void classify_primary(struct job *j, struct sql_rel table, const json_t *pk,
                             const char *own_column)
{
    json_t *keys = tree_list(pk, "keys");
    const char *column = own_column              ? own_column
                         : tree_count(keys) == 1 ? tree_string(json_array_get(keys, 0))
                                                 : NULL;
    const struct made *made = column ? new_column(j, table, column) : NULL;

    if (!made || made->fills != FILLS_UNIQUE)
        job_class(j, SQL_RESTRICTIVE,
                  "PRIMARY KEY refuses NULLs and duplicates that live releases may write");
}

static void classify_not_null(struct job *j, struct sql_rel table, const json_t *constraint,
                              const char *own_column)
{
    json_t *keys = tree_list(constraint, "keys"); /* as a table constraint: 18 */
    const char *column = own_column ? own_column : tree_string(json_array_get(keys, 0));
    const struct made *made = column ? new_column(j, table, column) : NULL;

    if (!made || made->fills == FILLS_NULL || made->fills == FILLS_COMPUTED)
        job_class(j, SQL_RESTRICTIVE,
                  "NOT NULL refuses rows of live releases, which leave the column out or empty");
}

void classify_constraint(struct job *j, struct sql_rel table, const json_t *constraint,
                         const char *own_column)
{
    const char *type = tree_text(constraint, "contype");
    const json_t *keys = tree_list(constraint, "keys");

    if (!type || is_new_table(j, table))
        return;
    if (strcmp(type, "CONSTR_CHECK") == 0) {
        classify_check(j, table, tree_get(constraint, "raw_expr"));
    } else if (strcmp(type, "CONSTR_NOTNULL") == 0) {
        classify_not_null(j, table, constraint, own_column);
    } else if (strcmp(type, "CONSTR_PRIMARY") == 0) {
        classify_primary(j, table, constraint, own_column);
    } else if (strcmp(type, "CONSTR_FOREIGN") == 0) {
        classify_foreign(j, table, constraint, own_column);
    } else if (strcmp(type, "CONSTR_EXCLUSION") == 0) {
        classify_unique(j, table, tree_list(constraint, "exclusions"), false);
    } else if (strcmp(type, "CONSTR_UNIQUE") == 0 && !tree_get(constraint, "indexname")) {
        /* With USING INDEX the index refuses already. */
        json_t *own = own_column ? json_pack("[{s:{s:s}}]", "IndexElem", "name", own_column) : NULL;

        classify_unique(j, table, own ? own : keys, tree_flag(constraint, "nulls_not_distinct"));
        json_decref(own);
    }
}
