/* Lints of rows: written many at once, destroyed, or of a shape that one regrets. */
#include "load/lint_int.h"

#include <string.h>

/* ---- WHERE ---------------------------------------------------------------------------------------------------- */

static bool is_constant(const json_t *expr)
{
    if (tree_get(expr, "TypeCast"))
        return is_constant(tree_get(tree_get(expr, "TypeCast"), "arg"));
    if (tree_get(expr, "List") || json_is_array(expr)) {
        const json_t *items =
            json_is_array(expr) ? expr : tree_list(tree_get(expr, "List"), "items");
        json_t *item;
        size_t i;

        json_array_foreach((json_t *) items, i, item) if (!is_constant(item)) return false;
        return true;
    }
    return tree_get(expr, "A_Const") || tree_get(expr, "ParamRef");
}

static bool is_column(const json_t *expr) { return tree_get(expr, "ColumnRef") != NULL; }

static bool is_equality(const json_t *op)
{
    const json_t *left = tree_get(op, "lexpr"), *right = tree_get(op, "rexpr");
    const char *name = tree_last(tree_get(op, "name"));

    if (!name || strcmp(name, "=") != 0 ||
        (!tree_is(op, "kind", "AEXPR_OP") && !tree_is(op, "kind", "AEXPR_IN")))
        return false;
    return (is_column(left) && is_constant(right)) || (is_constant(left) && is_column(right));
}

static bool is_true(const json_t *expr)
{
    const json_t *c = tree_get(expr, "A_Const");

    return c && (tree_get(c, "boolval") || tree_get(tree_get(c, "val"), "Boolean")) &&
           (tree_flag(tree_get(c, "boolval"), "boolval") || tree_flag(c, "boolval"));
}

enum picks where_picks(const json_t *where)
{
    const json_t *all = tree_get(where, "BoolExpr"), *op = tree_get(where, "A_Expr");
    json_t *item;
    size_t i;

    if (!where || is_true(where))
        return PICKS_ALL;
    if (op)
        return is_equality(op) ? PICKS_FEW : PICKS_UNKNOWN;
    if (all && tree_is(all, "boolop", "AND_EXPR")) {
        bool any = false, every_all = true;

        json_array_foreach(tree_list(all, "args"), i, item)
        {
            any = any || where_picks(item) == PICKS_FEW;
            every_all = every_all && where_picks(item) == PICKS_ALL;
        }
        return any ? PICKS_FEW : every_all ? PICKS_ALL : PICKS_UNKNOWN;
    }
    if (all && tree_is(all, "boolop", "OR_EXPR")) {
        enum picks picks = PICKS_FEW;

        json_array_foreach(tree_list(all, "args"), i, item)
        {
            enum picks p = where_picks(item);

            if (p == PICKS_ALL)
                return PICKS_ALL;
            if (p == PICKS_UNKNOWN)
                picks = PICKS_UNKNOWN;
        }
        return picks;
    }
    return PICKS_UNKNOWN;
}

/* A column that the same change has added is NULL in every row. */
static bool picks_new_nulls(const struct lint *l, const json_t *where)
{
    const json_t *test = tree_get(where, "NullTest");
    const json_t *ref = tree_get(tree_get(test, "arg"), "ColumnRef");
    const struct known_column *c = known_column(l->own, tree_last(tree_get(ref, "fields")));

    return test && tree_is(test, "nulltesttype", "IS_NULL") && c && c->unit == l->unit &&
           l->unit != 0 && !c->is_filled;
}

#define BATCHES "a backfill: of the plan, which goes in batches and can be stopped"

void lint_update(struct lint *l)
{
    const json_t *where = tree_get(l->tree, "whereClause");
    enum picks picks = where_picks(where);

    if (picks == PICKS_ALL)
        lint_say(l, "dml-without-where", BATCHES,
                 "UPDATE of every row of %s in one transaction keeps them all locked to its end",
                 lint_rel_text(l, l->rel));
    else if (picks_new_nulls(l, where))
        lint_say(
            l, "unbatched-backfill", BATCHES,
            "the column was added just now: this UPDATE is of every row of %s, in one transaction",
            lint_rel_text(l, l->rel));
    else if (picks == PICKS_UNKNOWN)
        lint_unsure(l, "unbatched-backfill", BATCHES,
                    "UPDATE of %s locks as many rows as its WHERE picks until the end of the "
                    "transaction",
                    lint_rel_text(l, l->rel));
}

void lint_delete(struct lint *l)
{
    enum picks picks = where_picks(tree_get(l->tree, "whereClause"));

    if (picks == PICKS_ALL)
        lint_say(l, "dml-without-where",
                 "say which rows; TRUNCATE, in contract, when all are meant",
                 "DELETE of every row of %s in one transaction", lint_rel_text(l, l->rel));
    else if (picks == PICKS_UNKNOWN)
        lint_unsure(l, "unbatched-backfill", "in batches, each a transaction",
                    "DELETE from %s locks as many rows as its WHERE picks until the end of the "
                    "transaction",
                    lint_rel_text(l, l->rel));
}

struct reads {
    const struct lint *l;
    struct sql_rel existing; /* the first; name NULL: none */
};

static bool note_existing(void *ctx, const char *kind, const json_t *fields)
{
    struct reads *r = ctx;
    struct sql_rel rel;

    if (strcmp(kind, "RangeVar") != 0)
        return true;
    rel = tree_rel(fields);
    if (rel.schema &&
        (strcmp(rel.schema, "pg_catalog") == 0 || strcmp(rel.schema, "information_schema") == 0))
        return true;
    if (!rel.schema && rel.name && strncmp(rel.name, "pg_", 3) == 0)
        return true;
    if (!lint_is_new(r->l, rel))
        r->existing = rel;
    return !r->existing.name;
}

struct sql_rel lint_reads_existing(const struct lint *l, const json_t *query)
{
    struct reads r = {.l = l};
    const json_t *with = tree_get(query, "withClause");

    if (with) /* its names look like tables */
        tree_walk(with, note_existing, &r);
    else
        tree_walk(tree_get(query, "fromClause"), note_existing, &r);
    return r.existing;
}

void lint_insert(struct lint *l)
{
    const json_t *query = tree_fields(tree_get(l->tree, "selectStmt"));
    struct sql_rel from;

    if (!query || tree_get(query, "whereClause") || tree_get(query, "limitCount") ||
        tree_get(query, "withClause"))
        return;
    from = lint_reads_existing(l, query);
    if (from.name)
        lint_warn(l, "unbatched-backfill", BATCHES,
                  "INSERT of every row of %s into %s in one transaction", lint_rel_text(l, from),
                  lint_rel_text(l, l->rel));
}

/* ---- destroying -------------------------------------------------------------------------------------------------- */

static void say_gone(struct lint *l, const char *what)
{
    if (l->in == PHASE_NONE)
        lint_unsure(l, "destructive-without-precheck",
                    "a plan's contract: hidden first, kept for a while, then gone",
                    "%s is gone for whoever still uses it", what);
}

/* The release that runs while the file is applied may well name it. */
static void say_dropped(struct lint *l, const char *what)
{
    if (l->in == PHASE_NONE)
        lint_warn(l, "destructive-without-precheck",
                  "drop it one release after the last code that names it is out everywhere; as a "
                  "plan's contract, phasegate proves that, and hides it before it is gone",
                  "%s is gone for whoever still uses it", what);
}

/* Plans are told by the class of the statement. */
void lint_rename(struct lint *l)
{
    const char *type = tree_text(l->tree, "renameType"), *column = tree_text(l->tree, "subname");
    bool is_column = type && strcmp(type, "OBJECT_COLUMN") == 0;
    bool is_relation =
        type && (strcmp(type, "OBJECT_TABLE") == 0 || strcmp(type, "OBJECT_VIEW") == 0 ||
                 strcmp(type, "OBJECT_MATVIEW") == 0);
    const struct known_column *known =
        is_column && l->own && column ? known_column(l->own, column) : NULL;

    if (l->in != PHASE_NONE || !(is_column || is_relation) || !l->rel.name ||
        (known && known->unit == l->unit && l->unit != 0))
        return;
    if (is_column) {
        lint_warn(l, "destructive-outside-contract",
                  "a second column, kept equal by a trigger and filled, and the old one dropped "
                  "releases later: docs/worked-plans.md, rename-column",
                  "RENAME of column %s.%s breaks every release that is running and names it",
                  lint_rel_text(l, l->rel), column ? column : "");
        return;
    }
    l->renames = arena_grow(l->a, l->renames, sizeof *l->renames * (size_t) l->n_renames,
                            sizeof *l->renames * (size_t) (l->n_renames + 1));
    l->renames[l->n_renames].rel = l->rel;
    l->renames[l->n_renames++].finding = l->r->n;
    lint_warn(l, "destructive-outside-contract",
              "a view of the old name in the same transaction, or a second table beside it, and "
              "the old name dropped releases later",
              "RENAME of %s breaks every release that is running and names it",
              lint_rel_text(l, l->rel));
}

void lint_renamed(struct lint *l)
{
    for (int i = 0; i < l->n_renames; i++)
        if (known_find(l->k, l->renames[i].rel))
            l->r->findings[l->renames[i].finding].severity = SEVERITY_OFF;
}

void lint_truncate(struct lint *l)
{
    json_t *item;
    size_t i;

    json_array_foreach(tree_list(l->tree, "relations"), i, item)
    {
        struct sql_rel rel = tree_rel(item);

        if (lint_is_new(l, rel))
            continue;
        if (tree_is(l->tree, "behavior", "DROP_CASCADE"))
            lint_say(l, "truncate-cascade", "name the tables that are meant",
                     "TRUNCATE %s CASCADE empties every table that refers to it, now and later",
                     lint_rel_text(l, rel));
        else
            say_gone(l, arena_printf(l->a, "every row of %s", lint_rel_text(l, rel)));
        return;
    }
}

static void drop_schema(struct lint *l)
{
    json_t *object;
    size_t i;

    json_array_foreach(tree_list(l->tree, "objects"), i, object)
    {
        struct sql_rel schema = {NULL, tree_string(object)};

        if (!schema.name || seen_find(&l->seen, MADE_SCHEMA, schema, NULL))
            continue;
        lint_say(l, "drop-schema", "drop what is in it, thing by thing, in contract",
                 "DROP SCHEMA %s%s", schema.name,
                 tree_is(l->tree, "behavior", "DROP_CASCADE") ? " CASCADE takes all that is in it"
                                                              : "");
        return;
    }
}

void lint_drop(struct lint *l)
{
    const char *type = tree_text(l->tree, "removeType");
    json_t *object;
    size_t i;

    if (!type)
        return;
    if (strcmp(type, "OBJECT_INDEX") == 0)
        lint_drop_index(l);
    if (strcmp(type, "OBJECT_SCHEMA") == 0)
        drop_schema(l);
    if (strcmp(type, "OBJECT_TABLE") != 0)
        return;
    json_array_foreach(tree_list(l->tree, "objects"), i, object)
    {
        if (lint_is_new(l, tree_name(object, 0)))
            continue;
        say_dropped(l, arena_printf(l->a, "table %s", lint_rel_text(l, tree_name(object, 0))));
        return;
    }
}

void lint_drop_column(struct lint *l)
{
    const struct known_column *known = l->own && l->name ? known_column(l->own, l->name) : NULL;

    if (l->name && !(known && known->unit == l->unit && l->unit != 0))
        say_dropped(l, arena_printf(l->a, "column %s.%s", lint_rel_text(l, l->rel), l->name));
}

void lint_drop_database(struct lint *l)
{
    lint_say(l, "drop-database", "not by a step", "DROP DATABASE %s",
             tree_text(l->tree, "dbname") ? tree_text(l->tree, "dbname") : "");
}

/* ---- shapes --------------------------------------------------------------------------------------------------------- */

static bool is_type(struct lint *l, const json_t *def, const char *name, struct sql_type *out)
{
    return tree_type(l->a, tree_get(def, "typeName"), out) && out->is_builtin && !out->is_array &&
           strcmp(out->name, name) == 0;
}

static void look_json(struct lint *l, const json_t *def)
{
    struct sql_type type;

    if (is_type(l, def, "json", &type))
        lint_say(
            l, "json-type", "jsonb",
            "column %s is json: it has no equality, so DISTINCT, UNION and GROUP BY fail on it",
            tree_text(def, "colname"));
}

static bool is_own_key(const json_t *elements, const char *column)
{
    json_t *item;
    size_t i;

    json_array_foreach((json_t *) elements, i, item)
    {
        const json_t *c = tree_get(item, "Constraint");
        const json_t *keys = tree_list(c, "keys");

        if (c && tree_is(c, "contype", "CONSTR_PRIMARY") && tree_count(keys) == 1 &&
            strcmp(tree_string(json_array_get(keys, 0)), column) == 0)
            return true;
    }
    return false;
}

static bool has_constraint(const json_t *def, const char *type)
{
    json_t *item;
    size_t i;

    json_array_foreach(tree_list(def, "constraints"), i,
                       item) if (tree_is(tree_as(item, "Constraint"), "contype", type)) return true;
    return false;
}

static void look_key(struct lint *l, const json_t *def)
{
    const char *column = tree_text(def, "colname");
    bool is_key = has_constraint(def, "CONSTR_PRIMARY") ||
                  (column && is_own_key(tree_list(l->tree, "tableElts"), column));
    struct sql_type type;

    if (!is_key || !(is_type(l, def, "int4", &type) || is_type(l, def, "int2", &type)) ||
        !(type.is_serial || has_constraint(def, "CONSTR_IDENTITY")))
        return;
    lint_say(l, "small-int-key", "bigint", "generated key %s.%s ends at %s",
             lint_rel_text(l, l->rel), column ? column : "",
             strcmp(type.name, "int2") == 0 ? "32,767" : "2,147,483,647");
}

void lint_create_table(struct lint *l)
{
    const json_t *range = tree_as(tree_get(l->tree, "relation"), "RangeVar");
    json_t *item;
    size_t i;

    lint_create_partition(l);
    if (tree_is(range, "relpersistence", "t"))
        return;
    json_array_foreach(tree_list(l->tree, "tableElts"), i, item)
    {
        if (!tree_get(item, "ColumnDef"))
            continue;
        look_json(l, tree_get(item, "ColumnDef"));
        look_key(l, tree_get(item, "ColumnDef"));
    }
}

void lint_column_shape(struct lint *l) { look_json(l, l->def); }

/* ---- foreign keys ----------------------------------------------------------------------------------------------------- */

void known_add_fk(struct lint *l, struct sql_rel table, const char **columns)
{
    struct lint_known *k = l->k;

    if (!l->r)
        return;
    if (k->n_fks == k->cap_fks) {
        int cap = k->cap_fks ? 2 * k->cap_fks : 8;

        k->fks = arena_grow(k->a, k->fks, sizeof *k->fks * (size_t) k->cap_fks,
                            sizeof *k->fks * (size_t) cap);
        k->cap_fks = cap;
    }
    k->fks[k->n_fks++] = (struct known_fk) {.table = table,
                                            .columns = columns,
                                            .at = l->at,
                                            .plan = l->plan,
                                            .phase = l->phase,
                                            .step = l->step,
                                            .is_new = lint_is_new(l, table)};
}

/* Its first columns are those of the key, in any order. */
static bool serves(const struct known_rel *index, const char **columns)
{
    int n = 0;

    while (columns[n])
        n++;
    for (int i = 0; i < n; i++) {
        bool found = false;

        for (int c = 0; index->keys && index->keys[i] && c < n; c++)
            found = found || strcmp(columns[c], index->keys[i]) == 0;
        if (!found)
            return false;
    }
    return n > 0;
}

static bool has_serving_index(const struct lint_known *k, const struct known_rel *table,
                              const char **columns)
{
    for (int i = 0; i < k->n_rels; i++) {
        const struct known_rel *index = k->rels[i];

        if (index->kind == KNOWN_INDEX && !index->is_dropped && index->table == table &&
            !index->is_partial && serves(index, columns))
            return true;
    }
    return false;
}

void lint_fks(struct lint_known *k, struct report *r)
{
    for (int i = 0; i < k->n_fks; i++) {
        const struct known_fk *fk = &k->fks[i];
        const struct known_rel *table = known_find(k, fk->table);
        struct finding *f;

        if (!table || table->is_temp || !fk->columns[0] || !known_column(table, fk->columns[0]) ||
            has_serving_index(k, table, fk->columns))
            continue;
        f = report_add(
            r, "fk-without-index", fk->at,
            "foreign key of %s(%s) has no index: a DELETE of a parent reads the whole table",
            table->rel.name, fk->columns[0]);
        f->plan = arena_strdup(&r->arena, fk->plan);
        f->phase = fk->phase;
        f->step = arena_strdup(&r->arena, fk->step);
        f->help = "CREATE INDEX CONCURRENTLY on its columns";
        if (!fk->is_new && !fk->plan) /* a file that is still to come may make it */
            f->severity = SEVERITY_NOTE;
    }
    k->n_fks = 0;
}
