/* The statements of a snapshot: out, in, compare, and back by key. Pure. */
#include "phasegate/snapshot_sql.h"
#include "phasegate/names.h"

#include <string.h>

static const char *done(struct arena *a, struct str *s) { return arena_strdup(a, str_text(s)); }

/* "k", "c": from at to the end, each behind its prefix. */
static void names(struct str *s, const struct snapshot_part *p, int from, const char *prefix)
{
    for (int i = from; i < p->n_columns; i++) {
        str_addf(s, "%s%s", i > from ? ", " : "", prefix);
        sql_ident(s, p->columns[i].name);
    }
}

static void select_now(struct str *s, const struct snapshot_part *p)
{
    str_add(s, "SELECT ");
    for (int i = 0; i < p->n_columns; i++) {
        str_add(s, i ? ", " : "");
        sql_ident(s, p->columns[i].now);
        str_add(s, " AS ");
        sql_ident(s, p->columns[i].name);
    }
    str_add(s, " FROM ");
    sql_qualified(s, p->now_schema, p->now_table);
}

const char *snapshot_copy_out_sql(struct arena *a, const struct snapshot_part *p)
{
    AUTO(str) s = {0};

    str_add(&s, "COPY (");
    select_now(&s, p);
    str_add(&s, ") TO STDOUT");
    return done(a, &s);
}

/* A sum, so that the order of rows doesn't matter; of numeric, so that it can't overflow. */
static void measure(struct str *s)
{
    str_add(s, "SELECT pg_catalog.count(*), coalesce(pg_catalog.sum(pg_catalog.hashtextextended("
               "CAST(ROW(s.*) AS pg_catalog.text), 0)), 0)::pg_catalog.text FROM (");
}

const char *snapshot_measure_sql(struct arena *a, const struct snapshot_part *p)
{
    AUTO(str) s = {0};

    measure(&s);
    select_now(&s, p);
    str_add(&s, ") AS s");
    return done(a, &s);
}

const char *snapshot_measure_copy_sql(struct arena *a, const struct snapshot_part *p,
                                      const char *copy)
{
    AUTO(str) s = {0};

    measure(&s);
    str_add(&s, "SELECT ");
    names(&s, p, 0, "");
    str_addf(&s, " FROM %s) AS s", copy);
    return done(a, &s);
}

const char *snapshot_create_sql(struct arena *a, const struct snapshot_part *p, const char *before,
                                const char *copy, const char *more)
{
    AUTO(str) s = {0};

    str_addf(&s, "%s %s (", before, copy);
    for (int i = 0; i < p->n_columns; i++) {
        str_add(&s, i ? ", " : "");
        sql_ident(&s, p->columns[i].name);
        str_addf(&s, " %s", p->columns[i].type);
    }
    str_addf(&s, "%s)", more);
    return done(a, &s);
}

const char *snapshot_copy_in_sql(struct arena *a, const struct snapshot_part *p, const char *copy)
{
    AUTO(str) s = {0};

    str_addf(&s, "COPY %s (", copy);
    names(&s, p, 0, "");
    str_add(&s, ") FROM STDIN");
    return done(a, &s);
}

/* ---- back by key ------------------------------------------------------------------------------- */

static void target(struct str *s, const struct snapshot_part *p)
{
    sql_qualified(s, p->schema, p->table);
}

/* x.k1 = y.k1 AND x.k2 = y.k2; without a key nothing is the same row. */
static void same_key(struct str *s, const struct snapshot_part *p, const char *x, const char *y)
{
    for (int i = 0; i < p->n_key; i++) {
        str_addf(s, "%s%s.", i ? " AND " : "", x);
        sql_ident(s, p->columns[i].name);
        str_addf(s, " = %s.", y);
        sql_ident(s, p->columns[i].name);
    }
    if (p->n_key == 0)
        str_add(s, "false");
}

/* As text: not every type has an equality. */
static void same_values(struct str *s, const struct snapshot_part *p)
{
    str_add(s, "CAST(ROW(");
    names(s, p, p->n_key, "t.");
    str_add(s, ") AS pg_catalog.text) = CAST(ROW(");
    names(s, p, p->n_key, "r.");
    str_add(s, ") AS pg_catalog.text)");
}

static void is_empty(struct str *s, const struct snapshot_part *p, const char *of)
{
    for (int i = p->n_key; i < p->n_columns; i++) {
        str_addf(s, "%s%s.", i > p->n_key ? " AND " : "", of);
        sql_ident(s, p->columns[i].name);
        str_add(s, " IS NULL");
    }
}

static bool is_kept(const struct snapshot_part *p, const char *column)
{
    for (int i = p->n_key; i < p->n_columns; i++)
        if (strcmp(p->columns[i].name, column) == 0)
            return true;
    return false;
}

/* The row as it would be with the copy's values in it, under the table's own name. */
static void fits(struct str *s, const struct snapshot_back *b)
{
    if (!b->agrees) {
        str_add(s, "true");
        return;
    }
    str_add(s, "EXISTS (SELECT 1 FROM (SELECT ");
    for (int i = 0; i < b->n_columns; i++) {
        str_addf(s, "%s%s.", i ? ", " : "", is_kept(b->part, b->columns[i]) ? "r" : "t");
        sql_ident(s, b->columns[i]);
        str_add(s, " AS ");
        sql_ident(s, b->columns[i]);
    }
    str_add(s, ") AS ");
    sql_ident(s, b->part->table);
    str_addf(s, " WHERE (%s))", b->agrees);
}

/* Does the row hold what sync's expressions say of it? */
static void is_current(struct str *s, const struct snapshot_back *b)
{
    str_add(s, "EXISTS (SELECT 1 FROM (SELECT t.*) AS ");
    sql_ident(s, b->part->table);
    str_add(s, " WHERE ");
    for (int i = 0; i < b->reverse.n; i++) {
        str_add(s, i ? " AND " : "");
        sql_ident(s, b->part->table);
        str_addc(s, '.');
        sql_ident(s, b->reverse.items[i].key.s);
        str_addf(s, " IS NOT DISTINCT FROM (%s)", b->reverse.items[i].value.s);
    }
    str_addc(s, ')');
}

static void kind_of_column(struct str *s, const struct snapshot_back *b)
{
    str_add(s, "CASE WHEN t.");
    sql_ident(s, b->part->columns[0].name);
    str_add(s, " IS NULL THEN 'gone' WHEN ");
    same_values(s, b->part);
    str_add(s, " THEN 'same' WHEN ");
    is_empty(s, b->part, "t");
    str_add(s, " THEN CASE WHEN ");
    fits(s, b);
    str_addf(s, " THEN 'restore' ELSE '%s' END ", b->reverse.n ? "recompute" : "changed");
    if (b->reverse.n) {
        str_add(s, "WHEN NOT (");
        fits(s, b);
        str_add(s, ") AND ");
        is_current(s, b);
        str_add(s, " THEN 'current' ");
    }
    str_add(s, "ELSE 'changed' END");
}

static void kind_of_row(struct str *s, const struct snapshot_part *p)
{
    str_add(s, "CASE WHEN t.");
    sql_ident(s, p->columns[0].name);
    str_add(s, " IS NULL THEN 'missing' WHEN ");
    if (p->n_key == p->n_columns)
        str_add(s, "true");
    else
        same_values(s, p);
    str_add(s, " THEN 'same' ELSE 'changed' END");
}

static void key_of(struct str *s, const struct snapshot_part *p, const char *of)
{
    for (int i = 0; i < p->n_key; i++) {
        str_addf(s, "%s.", of);
        sql_ident(s, p->columns[i].name);
        str_add(s, ", ");
    }
}

const char *snapshot_sort_sql(struct arena *a, const struct snapshot_back *b)
{
    const struct snapshot_part *p = b->part;
    AUTO(str) s = {0};

    str_add(&s, "CREATE TEMPORARY TABLE phasegate_todo AS SELECT d.*, pg_catalog.row_number() OVER "
                "() AS phasegate_m FROM (SELECT ");
    key_of(&s, p, "r");
    str_add(&s, "r.phasegate_n, ");
    if (p->whole)
        kind_of_row(&s, p);
    else
        kind_of_column(&s, b);
    str_addf(&s, " AS phasegate_kind FROM %s AS r LEFT JOIN ", SNAPSHOT_COPY);
    target(&s, p);
    str_add(&s, " AS t ON ");
    same_key(&s, p, "t", "r");
    if (p->n_key) {
        str_add(&s, " UNION ALL SELECT ");
        key_of(&s, p, "t");
        str_add(&s, "NULL, ");
        if (!p->whole && b->reverse.n) {
            str_add(&s, "CASE WHEN ");
            is_empty(&s, p, "t");
            str_add(&s, " THEN 'newer_recompute' ELSE 'newer' END");
        } else {
            str_add(&s, "'newer'");
        }
        str_add(&s, " FROM ");
        target(&s, p);
        str_addf(&s, " AS t WHERE NOT EXISTS (SELECT 1 FROM %s AS r WHERE ", SNAPSHOT_COPY);
        same_key(&s, p, "t", "r");
        str_addc(&s, ')');
    }
    str_add(&s, ") AS d");
    return done(a, &s);
}

static void batch(struct str *s, const char *kinds)
{
    str_addf(s,
             "d.phasegate_m > $1::pg_catalog.int8 AND d.phasegate_m <= $2::pg_catalog.int8 AND "
             "d.phasegate_kind IN (%s)",
             kinds);
}

/* A key that is computed comes by itself, with the columns that it is computed from. */
static void writable(struct str *s, const struct snapshot_back *b, const char *prefix)
{
    const struct snapshot_part *p = b->part;
    const char *gap = "";

    for (int i = 0; i < p->n_columns; i++) {
        bool computed = false;

        for (int k = 0; i < p->n_key && k < b->n_columns; k++)
            computed |= b->computed[k] && strcmp(b->columns[k], p->columns[i].name) == 0;
        if (computed)
            continue;
        str_addf(s, "%s%s", gap, prefix);
        sql_ident(s, p->columns[i].name);
        gap = ", ";
    }
}

/* What was written between the sorting and now stays: the row is looked at again. */
const char *snapshot_fill_sql(struct arena *a, const struct snapshot_back *b)
{
    const struct snapshot_part *p = b->part;
    AUTO(str) s = {0};

    if (p->whole) {
        str_add(&s, "INSERT INTO ");
        target(&s, p);
        str_add(&s, " (");
        writable(&s, b, "");
        str_add(&s, ") OVERRIDING SYSTEM VALUE SELECT ");
        writable(&s, b, "r.");
    } else {
        str_add(&s, "UPDATE ");
        target(&s, p);
        str_add(&s, " AS t SET ");
        for (int i = p->n_key; i < p->n_columns; i++) {
            str_add(&s, i > p->n_key ? ", " : "");
            sql_ident(&s, p->columns[i].name);
            str_add(&s, " = r.");
            sql_ident(&s, p->columns[i].name);
        }
    }
    str_addf(&s, " FROM %s AS r JOIN %s AS d ON d.phasegate_n = r.phasegate_n WHERE ",
             SNAPSHOT_COPY, SNAPSHOT_TODO);
    batch(&s, "'restore', 'missing'");
    if (p->whole) {
        str_add(&s, " ON CONFLICT DO NOTHING");
    } else {
        str_add(&s, " AND ");
        same_key(&s, p, "t", "r");
        str_add(&s, " AND ");
        is_empty(&s, p, "t");
        str_add(&s, " AND ");
        fits(&s, b);
    }
    return done(a, &s);
}

/* The table keeps its name, and nothing is joined: the author's expressions see its columns alone. */
const char *snapshot_recompute_sql(struct arena *a, const struct snapshot_back *b)
{
    const struct snapshot_part *p = b->part;
    AUTO(str) s = {0}, table = {0};

    sql_ident(&table, p->table);
    str_add(&s, "UPDATE ");
    target(&s, p);
    str_add(&s, " SET ");
    for (int i = 0; i < b->reverse.n; i++) {
        str_add(&s, i ? ", " : "");
        sql_ident(&s, b->reverse.items[i].key.s);
        str_addf(&s, " = (%s)", b->reverse.items[i].value.s);
    }
    str_addf(&s, " WHERE EXISTS (SELECT 1 FROM %s AS d WHERE ", SNAPSHOT_TODO);
    batch(&s, "'recompute', 'newer_recompute'");
    str_add(&s, " AND ");
    same_key(&s, p, "d", str_text(&table));
    str_add(&s, ") AND ");
    is_empty(&s, p, str_text(&table));
    return done(a, &s);
}

const char *snapshot_keys_sql(struct arena *a, const struct snapshot_back *b)
{
    const struct snapshot_part *p = b->part;
    AUTO(str) s = {0};

    str_add(&s, "SELECT pg_catalog.concat_ws(', '");
    for (int i = 0; i < p->n_key; i++) {
        str_add(&s, ", d.");
        sql_ident(&s, p->columns[i].name);
    }
    str_addf(&s,
             ") FROM %s AS d WHERE d.phasegate_kind = $1::pg_catalog.text ORDER BY d.phasegate_m "
             "LIMIT $2::pg_catalog.int8",
             SNAPSHOT_TODO);
    return done(a, &s);
}
