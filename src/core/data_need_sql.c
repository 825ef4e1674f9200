/* Queries that ask rows what a statement will ask of them.
 *
 * They run under the user's search_path, for the plan's own expressions stand in them. Whatever else they call is named
 * with its schema, operators too: a function of somebody's that fits better would be run otherwise.
 */
#include "phasegate/data_needs.h"
#include "phasegate/names.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

const char *data_need_word(enum data_need_kind k)
{
    switch (k) {
    case NEED_NOT_NULL: return "NULLs";
    case NEED_CHECK: return "rows that violate the CHECK";
    case NEED_FOREIGN_KEY: return "rows without a parent";
    case NEED_UNIQUE: return "duplicates";
    case NEED_CAST: return "values that can't be cast";
    case NEED_FILLED: return "rows that would get NULL";
    case NEED_VALIDATED: return "rows that violate the constraint";
    case NEED_NO_ROWS: return "rows that would have NULL";
    case NEED_EXCLUDE: return "rows that exclude each other";
    case NEED_BOUND: return "rows outside of its bounds";
    case NEED_TAKEN: return "rows with a key that would come again";
    }
    return "?";
}

/* Names of ours in these queries; a table's own columns may have any name but these. */
#define ROW DATA_NEED_ROW
#define PARENT "phasegate_parent"

static void add_table(struct str *sql, const struct data_need *n)
{
    sql_qualified(sql, n->schema, n->table);
    str_add(sql, " AS " ROW);
}

static void add_column(struct str *sql, const char *of, const char *column)
{
    str_addf(sql, "%s.", of);
    sql_ident(sql, column);
}

/* MATCH SIMPLE: a row with a NULL in its key has no parent to look for. MATCH FULL: unless all of it is NULL it is one
 * without a parent. */
static void add_orphans(struct str *sql, const struct data_need *n)
{
    if (n->match_full) {
        str_add(sql, "pg_catalog.num_nulls(");
        for (int i = 0; i < n->n_columns; i++) {
            str_add(sql, i ? ", " : "");
            add_column(sql, ROW, n->columns[i]);
        }
        str_addf(sql, ") OPERATOR(pg_catalog.<>) ALL (ARRAY[%d, 0]) OR (", n->n_columns);
    }
    for (int i = 0; i < n->n_columns; i++) {
        add_column(sql, ROW, n->columns[i]);
        str_add(sql, " IS NOT NULL AND ");
    }
    str_add(sql, "NOT EXISTS (SELECT FROM ");
    sql_qualified(sql, n->ref_schema, n->ref_table);
    str_add(sql, " AS " PARENT " WHERE ");
    for (int i = 0; i < n->n_columns && i < n->n_ref_columns; i++) {
        str_add(sql, i ? " AND " : "");
        add_column(sql, PARENT, n->ref_columns[i]);
        str_add(sql, " OPERATOR(pg_catalog.=) ");
        add_column(sql, ROW, n->columns[i]);
    }
    str_add(sql, n->match_full ? "))" : ")");
}

/* One side of the pairs: what the expressions of the constraint give in a row, under the table's own name. */
static void add_side(struct str *sql, const struct data_need *n)
{
    str_add(sql, "(SELECT tableoid AS of, ctid AS at");
    for (int i = 0; i < n->n_exprs; i++)
        str_addf(sql, ", (%s\n) AS e%d", n->exprs[i], i);
    str_add(sql, " FROM ");
    sql_qualified(sql, n->schema, n->table);
    if (n->condition)
        str_addf(sql, " WHERE (%s\n)", n->condition);
    str_addc(sql, ')');
}

static void add_excluded(struct str *sql, const struct data_need *n)
{
    str_add(sql, "(" ROW ".tableoid, " ROW ".ctid) OPERATOR(pg_catalog.=) ANY (SELECT x.of, x.at "
                 "FROM ");
    add_side(sql, n);
    str_add(sql, " AS x JOIN ");
    add_side(sql, n);
    str_add(sql, " AS y ON ");
    for (int i = 0; i < n->n_exprs; i++)
        str_addf(sql, "x.e%d %s y.e%d AND ", i, n->ops[i], i);
    str_add(sql, "(x.of, x.at) OPERATOR(pg_catalog.<>) (y.of, y.at))");
}

/* ---- bounds ------------------------------------------------------------------------------------------ */

static bool is_end(const char *value, const char *word) { return strcasecmp(value, word) == 0; }

/* The key from a bound on (">="), or up to it ("<"). What stands behind MINVALUE and MAXVALUE doesn't matter; behind other
 * values these decide about what is equal so far. */
static void add_end(struct str *sql, const struct bound *b, const char *const *values, int n_values,
                    bool is_lower)
{
    int n = 0;

    while (n < n_values && n < b->n_keys && !is_end(values[n], "minvalue") &&
           !is_end(values[n], "maxvalue"))
        n++;
    bool ends = n < n_values, at_min = ends && is_end(values[n], "minvalue");
    if (n == 0) { /* of no end: nothing is asked, or nothing fits */
        str_add(sql, at_min == is_lower ? "true" : "false");
        return;
    }
    bool with_equal = ends ? at_min == is_lower : is_lower;
    str_add(sql, "ROW(");
    for (int i = 0; i < n; i++) {
        str_add(sql, i ? ", " : "");
        add_column(sql, ROW, b->keys[i]);
    }
    str_addf(sql, ") OPERATOR(pg_catalog.%s%s) ROW(", is_lower ? ">" : "<", with_equal ? "=" : "");
    for (int i = 0; i < n; i++)
        str_addf(sql, "%s%s", i ? ", " : "", values[i]);
    str_addc(sql, ')');
}

static void add_in_list(struct str *sql, const struct bound *b)
{
    for (int i = 0; i < b->n_from; i++) {
        str_add(sql, i ? " OR " : "");
        add_column(sql, ROW, b->keys[0]);
        if (is_end(b->from[i], "null"))
            str_add(sql, " IS NULL");
        else
            str_addf(sql, " OPERATOR(pg_catalog.=) %s", b->from[i]);
    }
}

static void add_in_range(struct str *sql, const struct bound *b)
{
    for (int i = 0; i < b->n_keys; i++) {
        add_column(sql, ROW, b->keys[i]);
        str_add(sql, " IS NOT NULL AND ");
    }
    add_end(sql, b, b->from, b->n_from, true);
    str_add(sql, " AND ");
    add_end(sql, b, b->to, b->n_to, false);
}

static void add_in_hash(struct str *sql, const struct data_need *n)
{
    AUTO(str) parent = {0};

    sql_qualified(&parent, n->ref_schema, n->ref_table);
    str_add(sql, "pg_catalog.satisfies_hash_partition(pg_catalog.to_regclass(");
    sql_literal(sql, str_text(&parent));
    str_addf(sql, ")::pg_catalog.oid, %s, %s", n->bound.from[0], n->bound.from[1]);
    for (int i = 0; i < n->bound.n_keys; i++) {
        str_add(sql, ", ");
        add_column(sql, ROW, n->bound.keys[i]);
    }
    str_addc(sql, ')');
}

/* False: the key isn't known, or other partitions decide. */
static bool add_outside(struct str *sql, const struct data_need *n)
{
    const struct bound *b = &n->bound;

    if (b->n_keys == 0 || b->by == 'd' || b->n_from == 0 || (b->by == 'r' && b->n_to == 0) ||
        (b->by == 'h' && b->n_from != 2))
        return false;
    str_add(sql, "NOT COALESCE(");
    if (b->by == 'l')
        add_in_list(sql, b);
    else if (b->by == 'r')
        add_in_range(sql, b);
    else
        add_in_hash(sql, n);
    str_add(sql, ", false)");
    return true;
}

/* A backfill's expressions know the table by its own name. */
static void add_unfilled(struct str *sql, const struct data_need *n)
{
    str_add(sql, "(" ROW ".tableoid, " ROW ".ctid) OPERATOR(pg_catalog.=) ANY (SELECT ");
    sql_ident(sql, n->table);
    str_add(sql, ".tableoid, ");
    sql_ident(sql, n->table);
    str_add(sql, ".ctid FROM ");
    sql_qualified(sql, n->schema, n->table);
    if (n->from)
        str_addf(sql, ", %s\n", n->from);
    str_addf(sql, " WHERE (%s\n) AND (%s\n) IS NULL)", n->condition, n->cast);
}

/* The SELECT goes through its table by the bare name, as in the backfill itself. */
static void add_taken(struct str *sql, const struct data_need *n)
{
    str_addf(sql, "(%s) IN (WITH ", n->keys);
    sql_ident(sql, n->ref_table);
    str_add(sql, " AS (SELECT * FROM ");
    sql_qualified(sql, n->ref_schema, n->ref_table);
    str_addf(sql, " WHERE (%s\n)) SELECT %s FROM (%s\n) AS phasegate_new (%s))", n->condition,
             n->keys, n->select, n->columns_sql);
}

/* Every row, as long as the column isn't there yet. */
static void add_absent(struct str *sql, const struct data_need *n)
{
    AUTO(str) table = {0};

    sql_qualified(&table, n->schema, n->table);
    str_add(sql, "NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = "
                 "pg_catalog.to_regclass(");
    sql_literal(sql, str_text(&table));
    str_add(sql, ") AND a.attname = ");
    sql_literal(sql, n->columns[0]);
    str_add(sql, " AND NOT a.attisdropped)");
}

/* FROM and WHERE of the rows that stand against it. False: no plain query tells. */
static bool add_rows(struct str *sql, const struct data_need *n)
{
    str_add(sql, " FROM ");
    add_table(sql, n);
    str_add(sql, " WHERE ");
    switch (n->kind) {
    case NEED_NOT_NULL:
        add_column(sql, ROW, n->columns[0]);
        str_add(sql, " IS NULL");
        return true;
    case NEED_CHECK: /* NULL passes */ str_addf(sql, "NOT (%s\n)", n->condition); return true;
    case NEED_FILLED: add_unfilled(sql, n); return true;
    case NEED_FOREIGN_KEY: add_orphans(sql, n); return n->n_ref_columns >= n->n_columns;
    case NEED_NO_ROWS: add_absent(sql, n); return true;
    case NEED_EXCLUDE: add_excluded(sql, n); return n->n_exprs > 0;
    case NEED_BOUND: return add_outside(sql, n);
    case NEED_TAKEN: add_taken(sql, n); return true;
    case NEED_UNIQUE:
    case NEED_CAST:
    case NEED_VALIDATED: break;
    }
    return false;
}

/* NULLs are different from each other unless the index says otherwise: a group with one has no duplicates. */
static void add_groups(struct str *sql, const struct data_need *n)
{
    str_add(sql, " FROM ");
    add_table(sql, n);
    if (n->condition)
        str_addf(sql, " WHERE (%s\n)", n->condition);
    str_addf(sql,
             " GROUP BY %s HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1::pg_catalog.int8",
             n->keys);
    if (!n->nulls_are_equal)
        str_addf(sql, " AND pg_catalog.num_nulls(%s) OPERATOR(pg_catalog.=) 0", n->keys);
}

const char *data_need_count(struct arena *a, const struct data_need *n, int64_t most)
{
    AUTO(str) sql = {0};

    str_add(&sql, "SELECT pg_catalog.count(*) FROM (SELECT");
    if (n->kind == NEED_UNIQUE)
        add_groups(&sql, n);
    else if (!add_rows(&sql, n))
        return NULL;
    str_addf(&sql, " LIMIT %" PRId64 ") AS phasegate_counted", most);
    return arena_strdup(a, str_text(&sql));
}

const char *data_need_examples(struct arena *a, const struct data_need *n, const char *key,
                               int most)
{
    AUTO(str) sql = {0};

    if (n->kind == NEED_UNIQUE) {
        str_addf(&sql,
                 "SELECT pg_catalog.format('%%s (%%s times)', pg_catalog.concat_ws(', ', %s), "
                 "pg_catalog.count(*))",
                 n->keys);
        add_groups(&sql, n);
        str_add(&sql, " ORDER BY pg_catalog.count(*) DESC");
    } else {
        str_addf(&sql, "SELECT pg_catalog.concat_ws(', ', %s)", key ? key : ROW ".ctid");
        if (!add_rows(&sql, n))
            return NULL;
    }
    str_addf(&sql, " LIMIT %d", most);
    return arena_strdup(a, str_text(&sql));
}

/* A statement would stop at the first one. Each value is given to a variable of the type, which takes it as the column
 * would, in a subtransaction of its own. */
const char *data_need_try(struct arena *a, const struct data_need *n, const char *key, int most)
{
    AUTO(str) body = {0};
    AUTO(str) sql = {0};

    if (n->kind != NEED_CAST || !n->cast || !n->type)
        return NULL;
    str_addf(&body,
             "#variable_conflict use_column\n"
             "DECLARE phasegate_at record; phasegate_value %s; phasegate_n bigint := 0; "
             "phasegate_seen pg_catalog.text := '';\nBEGIN\n  FOR phasegate_at IN SELECT " ROW
             ".tableoid AS of, " ROW ".ctid AS at, pg_catalog.concat_ws(', ', %s) AS key FROM ",
             n->type, key ? key : ROW ".ctid");
    add_table(&body, n);
    str_addf(&body, " LOOP\n    BEGIN\n      SELECT (%s\n) INTO phasegate_value FROM ", n->cast);
    add_table(&body, n);
    str_addf(
        &body,
        " WHERE " ROW ".tableoid OPERATOR(pg_catalog.=) phasegate_at.of AND " ROW
        ".ctid OPERATOR(pg_catalog.=) phasegate_at.at;\n"
        "    EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN\n"
        "      phasegate_n := phasegate_n OPERATOR(pg_catalog.+) 1::pg_catalog.int8;\n"
        "      IF phasegate_n OPERATOR(pg_catalog.<=) %d::pg_catalog.int8 THEN phasegate_seen := "
        "pg_catalog.concat(phasegate_seen, '|', pg_catalog.replace(phasegate_at.key, '|', '/'), "
        "': ', pg_catalog.replace(SQLERRM, '|', '/')); END IF;\n"
        "    END;\n  END LOOP;\n  PERFORM pg_catalog.set_config('phasegate.failed', "
        "pg_catalog.concat(phasegate_n, phasegate_seen), true);\nEND",
        most);
    str_add(&sql, "DO LANGUAGE plpgsql ");
    sql_literal(&sql, str_text(&body));
    return arena_strdup(a, str_text(&sql));
}
