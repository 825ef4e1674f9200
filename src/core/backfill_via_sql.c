/* The statements of a backfill through a program: what it is told, and how what it said is written. Pure.
 *
 * Between the two the row is nobody's: it may change. So it is written only where it is still what the program was
 * told of, compared as text (some types have no equality), and still to do. Our names are long, for the author's
 * expressions stand beside them.
 */
#include "backfill_sql_int.h"

#include "phasegate/names.h"

#include <string.h>

/* ---- reading --------------------------------------------------------------------------------------------- */

static bool is_key(const struct walk *w, const char *column)
{
    for (int i = 0; i < w->n_keys; i++)
        if (strcmp(w->keys[i], column) == 0)
            return true;
    return false;
}

/* The key and what the plan says; all columns where it says nothing. */
static void add_columns(struct str *s, const struct walk *w)
{
    if (w->spec->read->n == 0) {
        sql_ident(s, w->spec->table);
        str_add(s, ".*");
        return;
    }
    walk_add_keys(s, w, "");
    for (int i = 0; i < w->spec->read->n; i++)
        if (!is_key(w, w->spec->read->items[i].s)) {
            str_add(s, ", ");
            sql_qualified(s, w->spec->table, w->spec->read->items[i].s);
        }
}

static void add_row(struct str *s, const struct walk *w)
{
    str_add(s, "ROW(");
    add_columns(s, w);
    str_add(s, ")::pg_catalog.text");
}

/* A value of type json may have line ends of its own, between its parts. */
static void add_read(struct str *s, const struct walk *w)
{
    str_add(s, "SELECT ");
    walk_add_keys(s, w, "");
    str_add(s, ", ");
    add_row(s, w);
    str_add(
        s, ", (SELECT pg_catalog.translate(pg_catalog.row_to_json(phasegate_r.*)::pg_catalog.text, "
           "E'\\n\\r', '  ') FROM (SELECT ");
    add_columns(s, w);
    str_add(s, ") AS phasegate_r) FROM ");
    walk_add_table(s, w);
    str_add(s, " WHERE ");
}

const char *walk_via_read_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    add_read(&s, w);
    walk_add_range(&s, w, &p);
    walk_add_todo(&s, w);
    str_add(&s, " ORDER BY ");
    walk_add_keys(&s, w, "");
    return walk_done(a, &s);
}

const char *walk_via_read_row_sql(struct arena *a, const struct walk *w)
{
    struct str s = {0};

    add_read(&s, w);
    walk_add_comparison(&s, w, "=", 1);
    walk_add_todo(&s, w);
    return walk_done(a, &s);
}

/* ---- writing --------------------------------------------------------------------------------------------- */

/* Values become what their columns are here, before any of them is used: by the types' own ways in. */
static void add_said(struct str *s, const struct walk *w, int said)
{
    const struct pair_list *set = &w->spec->set;
    int n = 0;

    str_add(s, "phasegate_said AS MATERIALIZED (SELECT a.*");
    for (int i = 0; i < set->n; i++)
        if (backfill_is_via(&set->items[i])) {
            str_add(s, ", ");
            sql_qualified(s, "v", set->items[i].key.s);
            str_addf(s, " AS phasegate_v%d", i + 1);
        }
    str_addf(s, " FROM pg_catalog.json_to_recordset($%d::pg_catalog.json) AS a (", said);
    for (int i = 0; i < w->n_keys; i++)
        str_addf(s, "phasegate_k%d %s, ", i + 1, w->key_types[i]);
    str_add(
        s, "phasegate_row pg_catalog.text, phasegate_bad pg_catalog.bool, phasegate_said "
           "pg_catalog.json) LEFT JOIN LATERAL pg_catalog.json_to_record(a.phasegate_said) AS v (");
    for (int i = 0; i < set->n; i++)
        if (backfill_is_via(&set->items[i])) {
            str_add(s, n++ ? ", " : "");
            sql_ident(s, set->items[i].key.s);
            str_addf(s, " %s", w->set_types[i]);
        }
    str_add(s, ") ON true)");
}

static void add_same_key(struct str *s, const struct walk *w, const char *other)
{
    for (int i = 0; i < w->n_keys; i++) {
        str_add(s, i ? " AND " : "");
        walk_add_key(s, w, i);
        str_addf(s, " OPERATOR(pg_catalog.=) %s.phasegate_k%d", other, i + 1);
    }
}

/* Where the rows are: a range or one key. */
struct where {
    const struct walk_params *range; /* NULL: the key $1.. */
};

static void add_where(struct str *s, const struct walk *w, const struct where *at)
{
    if (at->range)
        walk_add_range(s, w, at->range);
    else
        walk_add_comparison(s, w, "=", 1);
}

/* The program took its time: rows that others hold are theirs, as in walk_batch_free_sql. */
static void add_free(struct str *s, const struct walk *w, const struct where *at, bool only_free)
{
    str_add(s, ", phasegate_free AS MATERIALIZED (SELECT ");
    for (int i = 0; i < w->n_keys; i++) {
        str_add(s, i ? ", " : "");
        walk_add_key(s, w, i);
        str_addf(s, " AS phasegate_k%d", i + 1);
    }
    walk_add_old(s, w);
    str_add(s, " FROM ");
    walk_add_table(s, w);
    str_add(s, " WHERE ");
    add_where(s, w, at);
    walk_add_todo(s, w);
    str_add(s, " FOR NO KEY UPDATE OF ");
    sql_ident(s, w->spec->table);
    str_add(s, only_free ? " SKIP LOCKED)" : ")");
}

static void add_filled(struct str *s, const struct walk *w, const struct where *at, bool only_free)
{
    bool holds = only_free || w->keeps_for;

    if (holds)
        add_free(s, w, at, only_free);
    str_add(s, ", filled AS (UPDATE ");
    walk_add_table(s, w);
    for (int i = 0; i < w->spec->set.n; i++) {
        const struct pair *set = &w->spec->set.items[i];

        str_add(s, i ? ", " : " SET ");
        sql_ident(s, set->key.s);
        if (backfill_is_via(set))
            str_addf(s, " = phasegate_said.phasegate_v%d", i + 1);
        else
            str_addf(s, " = (%s)", set->value.s);
    }
    str_addf(s, " FROM phasegate_said%s WHERE ", holds ? ", phasegate_free" : "");
    add_same_key(s, w, "phasegate_said");
    str_add(s, " AND ");
    if (holds) {
        add_same_key(s, w, "phasegate_free");
        str_add(s, " AND ");
    }
    add_where(s, w, at);
    str_add(s, " AND phasegate_said.phasegate_bad IS NOT TRUE AND ");
    add_row(s, w);
    str_add(s, " OPERATOR(pg_catalog.=) phasegate_said.phasegate_row");
    walk_add_todo(s, w);
    walk_add_kept(s, w, "phasegate_free");
}

/* Still to do afterwards, and not for want of an answer: changed since it was read, new, or held by others. */
static void add_behind(struct str *s, const struct walk *w, const struct where *at)
{
    str_add(s, ", n AS (SELECT pg_catalog.count(*) AS changed, greatest((SELECT "
               "pg_catalog.count(*) FROM ");
    walk_add_table(s, w);
    str_add(s, " WHERE ");
    add_where(s, w, at);
    walk_add_todo(s, w);
    str_add(s,
            " AND NOT EXISTS (SELECT FROM phasegate_said WHERE phasegate_said.phasegate_bad AND ");
    add_same_key(s, w, "phasegate_said");
    str_add(s, ")) - pg_catalog.count(*), 0) AS behind FROM filled)");
}

static void add_all(struct str *s, const struct walk *w, const struct where *at, bool only_free,
                    int said)
{
    str_add(s, "WITH ");
    add_said(s, w, said);
    add_filled(s, w, at, only_free);
    add_behind(s, w, at);
}

const char *walk_via_batch_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    add_all(&s, w, &(struct where) {&p}, true, p.next + 8);
    walk_add_moved(&s, p.next);
    walk_add_later(&s, p.next);
    walk_add_answer(&s);
    return walk_done(a, &s);
}

const char *walk_via_fill_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    add_all(&s, w, &(struct where) {&p}, true, p.next);
    str_add(&s, " SELECT changed FROM n");
    return walk_done(a, &s);
}

const char *walk_via_residual_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    add_all(&s, w, &(struct where) {&p}, false, p.next + 3);
    str_addf(&s,
             ", marked AS (UPDATE phasegate.backfill_residual AS r"
             " SET done_at = CASE WHEN n.behind = 0 THEN pg_catalog.clock_timestamp() END,"
             " rows_changed = r.rows_changed + n.changed FROM n"
             " WHERE r.job_id = $%d::pg_catalog.int8 AND r.lo = $%d::pg_catalog.jsonb"
             " AND r.hi = $%d::pg_catalog.jsonb)"
             " SELECT changed, behind FROM n",
             p.next, p.next + 1, p.next + 2);
    return walk_done(a, &s);
}

const char *walk_via_row_sql(struct arena *a, const struct walk *w)
{
    struct str s = {0};

    add_all(&s, w, &(struct where) {NULL}, false, w->n_keys + 1);
    str_add(&s, " SELECT changed, behind FROM n");
    return walk_done(a, &s);
}
