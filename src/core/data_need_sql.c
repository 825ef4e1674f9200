/* Queries that ask rows what a statement will ask of them.
 *
 * They run under the user's search_path, for the plan's own expressions stand in them. Whatever else they call is named
 * with its schema, operators too: a function of somebody's that fits better would be run otherwise.
 */
#include "phasegate/data_needs.h"
#include "phasegate/names.h"

#include <inttypes.h>

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

/* MATCH SIMPLE: a row with a NULL in its key has no parent to look for. */
static void add_orphans(struct str *sql, const struct data_need *n)
{
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
    str_addc(sql, ')');
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
