/* The statements of a backfill. Pure: texts from what the plan says. */
#include "backfill_sql_int.h"

#include "phasegate/names.h"

/* ---- parts ----------------------------------------------------------------------------------------------- */

void walk_add_table(struct str *s, const struct walk *w)
{
    str_addf(s, "%s%s", w->has_parts ? "" : "ONLY ", w->table);
}

/* The table's name is not its alias: the author's expressions name it, and FROM may bring others. */
void walk_add_key(struct str *s, const struct walk *w, int i)
{
    sql_qualified(s, w->spec->table, w->keys[i]);
}

void walk_add_keys(struct str *s, const struct walk *w, const char *after)
{
    for (int i = 0; i < w->n_keys; i++) {
        str_add(s, i ? ", " : "");
        walk_add_key(s, w, i);
        str_add(s, after);
    }
}

/* k > $1, or (k1, k2) > ($1, $2): the same index walks both. */
void walk_add_comparison(struct str *s, const struct walk *w, const char *operator, int first)
{
    const char *open = w->n_keys > 1 ? "(" : "", *close = w->n_keys > 1 ? ")" : "";

    str_add(s, open);
    walk_add_keys(s, w, "");
    str_addf(s, "%s OPERATOR(pg_catalog.%s) %s", close, operator, open);
    for (int i = 0; i < w->n_keys; i++)
        str_addf(s, "%s$%d", i ? ", " : "", first + i);
    str_add(s, close);
}

void walk_add_range(struct str *s, const struct walk *w, const struct walk_params *p)
{
    if (p->cursor) {
        walk_add_comparison(s, w, ">", p->cursor);
        str_add(s, " AND ");
    }
    walk_add_comparison(s, w, "<=", p->bound);
}

struct walk_params walk_params(const struct walk *w, bool from_start)
{
    int n = from_start ? 0 : w->n_keys;

    return (struct walk_params) {from_start ? 0 : 1, n + 1, n + w->n_keys + 1};
}

const char *walk_done(struct arena *a, struct str *s)
{
    const char *text = arena_strdup(a, str_text(s));

    str_free(s);
    return text;
}

/* ---- looking --------------------------------------------------------------------------------------------- */

/* No look at the table: rows in order of their blocks would have to be sorted. */
static const char *next_block(struct arena *a, const struct walk *w, const struct walk_params *p)
{
    struct str s = {0};

    str_addf(
        &s,
        "SELECT x.b FROM (SELECT ('(' || (greatest(pg_catalog.ceil(($%d::pg_catalog.float8 + 1)"
        " / %.9g), 1)::pg_catalog.int8",
        p->next, w->rows_per_page);
    if (p->cursor)
        str_addf(&s,
                 " + pg_catalog.split_part(pg_catalog.ltrim($%d::pg_catalog.text, '('), ',', "
                 "1)::pg_catalog.int8",
                 p->cursor);
    else
        str_add(&s, " - 1");
    str_addf(&s,
             ")::pg_catalog.text || ',65535)')::pg_catalog.tid AS b) AS x"
             " WHERE x.b OPERATOR(pg_catalog.<) $%d",
             p->bound);
    return walk_done(a, &s);
}

const char *walk_next_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    if (w->by_blocks)
        return next_block(a, w, &p);
    str_add(&s, "SELECT ");
    walk_add_keys(&s, w, "");
    str_add(&s, " FROM ");
    walk_add_table(&s, w);
    str_add(&s, " WHERE ");
    walk_add_range(&s, w, &p);
    str_add(&s, " ORDER BY ");
    walk_add_keys(&s, w, "");
    str_addf(&s, " OFFSET $%d::pg_catalog.int8 LIMIT 1", p.next);
    return walk_done(a, &s);
}

const char *walk_count_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    str_add(&s, "SELECT pg_catalog.count(*) FROM ");
    walk_add_table(&s, w);
    str_add(&s, " WHERE ");
    walk_add_range(&s, w, &p);
    return walk_done(a, &s);
}

const char *walk_digest_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    str_add(&s, "SELECT pg_catalog.sum(pg_catalog.hashtextextended(ROW(");
    for (int i = 0; i < w->spec->set.n; i++) {
        str_add(&s, i ? ", " : "");
        sql_qualified(&s, w->spec->table, w->spec->set.items[i].key.s);
    }
    str_add(&s, ")::pg_catalog.text, 0)::pg_catalog.numeric) FROM ");
    walk_add_table(&s, w);
    str_add(&s, " WHERE ");
    walk_add_range(&s, w, &p);
    return walk_done(a, &s);
}

static const char *last_block(struct arena *a, const struct walk *w)
{
    struct str s = {0};

    str_add(&s, "SELECT ('(' || (x.pages - 1)::pg_catalog.text || ',65535)')::pg_catalog.tid FROM "
                "(SELECT pg_catalog.max(pg_catalog.pg_relation_size(t.relid)) / "
                "pg_catalog.current_setting('block_size')::pg_catalog.int8 AS pages FROM "
                "(SELECT pg_catalog.to_regclass(");
    sql_literal(&s, w->table);
    str_add(&s, ") AS relid UNION ALL SELECT p.relid FROM pg_catalog.pg_partition_tree("
                "pg_catalog.to_regclass(");
    sql_literal(&s, w->table);
    str_add(&s, ")) AS p) AS t) AS x WHERE x.pages > 0");
    return walk_done(a, &s);
}

const char *walk_end_sql(struct arena *a, const struct walk *w)
{
    struct str s = {0};

    if (w->by_blocks)
        return last_block(a, w);
    str_add(&s, "SELECT ");
    walk_add_keys(&s, w, "");
    str_add(&s, " FROM ");
    walk_add_table(&s, w);
    str_add(&s, " ORDER BY ");
    walk_add_keys(&s, w, " DESC");
    str_add(&s, " LIMIT 1");
    return walk_done(a, &s);
}

/* Rows of the range that are still to do; FROM and match belong to the author's condition. */
void walk_add_todo(struct str *s, const struct walk *w)
{
    if (w->spec->match)
        str_addf(s, " AND (%s)", w->spec->match);
    str_addf(s, " AND (%s)", w->spec->todo);
}

static void add_left(struct str *s, const struct walk *w)
{
    str_add(s, "SELECT ");
    walk_add_keys(s, w, "");
    str_add(s, " FROM ");
    walk_add_table(s, w);
    if (w->spec->from)
        str_addf(s, ", %s", w->spec->from);
    str_add(s, " WHERE ");
}

const char *walk_left_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    add_left(&s, w);
    walk_add_range(&s, w, &p);
    walk_add_todo(&s, w);
    str_add(&s, " ORDER BY ");
    walk_add_keys(&s, w, "");
    str_addf(&s, " LIMIT $%d::pg_catalog.int8", p.next);
    return walk_done(a, &s);
}

/* ---- filling --------------------------------------------------------------------------------------------- */

static void add_update(struct str *s, const struct walk *w)
{
    str_add(s, "UPDATE ");
    walk_add_table(s, w);
    for (int i = 0; i < w->spec->set.n; i++) {
        str_add(s, i ? ", " : " SET ");
        sql_ident(s, w->spec->set.items[i].key.s);
        str_addf(s, " = (%s)", w->spec->set.items[i].value.s);
    }
}

/* The author's SELECT goes through the table by its bare name, which stands for the rows of the range here. */
static void begin_insert(struct str *s, const struct walk *w)
{
    sql_ident(s, w->spec->table);
    str_add(s, " AS (SELECT * FROM ");
    walk_add_table(s, w);
    str_add(s, " WHERE ");
}

static void end_insert(struct str *s, const struct walk *w)
{
    str_addf(s, " AND (%s)), filled AS (%s RETURNING 1)", w->spec->todo, w->spec->insert);
}

static void add_where(struct str *s, const struct walk *w, const struct walk_params *range_or_null)
{
    if (range_or_null)
        walk_add_range(s, w, range_or_null);
    else
        walk_add_comparison(s, w, "=", 1);
    walk_add_todo(s, w);
}

/* FOR NO KEY UPDATE: checks of foreign keys go on. MATERIALIZED: a join must not look for other rows than these. The
 * condition once more: a row may have changed while its lock was waited for. */
static void add_filled_held(struct str *s, const struct walk *w,
                            const struct walk_params *range_or_null, bool only_free)
{
    str_add(s, "free AS MATERIALIZED (SELECT ");
    for (int i = 0; i < w->n_keys; i++) {
        str_add(s, i ? ", " : "");
        walk_add_key(s, w, i);
        str_addf(s, " AS k%d", i + 1);
    }
    walk_add_old(s, w);
    str_add(s, " FROM ");
    walk_add_table(s, w);
    if (w->spec->from)
        str_addf(s, ", %s", w->spec->from);
    str_add(s, " WHERE ");
    add_where(s, w, range_or_null);
    str_add(s, " FOR NO KEY UPDATE OF ");
    sql_ident(s, w->spec->table);
    str_add(s, only_free ? " SKIP LOCKED), filled AS (" : "), filled AS (");
    add_update(s, w);
    str_add(s, " FROM free");
    if (w->spec->from)
        str_addf(s, ", %s", w->spec->from);
    str_add(s, " WHERE ");
    for (int i = 0; i < w->n_keys; i++) {
        walk_add_key(s, w, i);
        str_addf(s, " OPERATOR(pg_catalog.=) free.k%d AND ", i + 1);
    }
    add_where(s, w, range_or_null);
    walk_add_kept(s, w, "free");
}

static void add_filled(struct str *s, const struct walk *w, const struct walk_params *range_or_null)
{
    if (w->spec->insert) {
        begin_insert(s, w);
        if (range_or_null)
            walk_add_range(s, w, range_or_null);
        else
            walk_add_comparison(s, w, "=", 1);
        end_insert(s, w);
        return;
    }
    if (w->keeps_for) { /* what was there can only be read before */
        add_filled_held(s, w, range_or_null, false);
        return;
    }
    str_add(s, "filled AS (");
    add_update(s, w);
    if (w->spec->from)
        str_addf(s, " FROM %s", w->spec->from);
    str_add(s, " WHERE ");
    add_where(s, w, range_or_null);
    str_add(s, " RETURNING 1)");
}

/* Rows that were still to do before this statement, and are after it: others hold them. */
static void add_behind(struct str *s, const struct walk *w, const struct walk_params *p)
{
    str_add(s, ", n AS (SELECT pg_catalog.count(*) AS changed, greatest((SELECT "
               "pg_catalog.count(*) FROM ");
    walk_add_table(s, w);
    if (w->spec->from)
        str_addf(s, ", %s", w->spec->from);
    str_add(s, " WHERE ");
    walk_add_range(s, w, p);
    walk_add_todo(s, w);
    str_add(s, ") - pg_catalog.count(*), 0) AS behind FROM filled)");
}

static void add_changed(struct str *s)
{
    str_add(s, ", n AS (SELECT pg_catalog.count(*) AS changed, 0 AS behind FROM filled)");
}

/* The cursor moves with the rows; it can't where it isn't, or for somebody who no longer has the slice. */
void walk_add_moved(struct str *s, int n)
{
    str_addf(s,
             ", moved AS (UPDATE phasegate.backfill_slice AS s SET cursor = $%d::pg_catalog.jsonb,"
             " rows_done = s.rows_done + coalesce($%d::pg_catalog.int8, $%d::pg_catalog.int8) - "
             "n.behind,"
             " rows_changed = s.rows_changed + n.changed, batches = s.batches + 1,"
             " status = CASE WHEN s.hi = $%d::pg_catalog.jsonb THEN 'done' ELSE 'running' END,"
             " lease_until = pg_catalog.clock_timestamp() + s.lease,"
             " updated_at = pg_catalog.clock_timestamp() FROM n"
             " WHERE s.slice_id = $%d::pg_catalog.int8 AND s.epoch = $%d::pg_catalog.int8"
             " AND s.status = 'running' AND s.cursor IS NOT DISTINCT FROM $%d::pg_catalog.jsonb"
             " RETURNING s.slice_id, s.batches, n.changed, n.behind)",
             n + 3, n + 5, n + 4, n + 3, n, n + 1, n + 2);
    str_addf(
        s,
        ", noted AS (INSERT INTO phasegate.backfill_batch AS b"
        " (slice_id, number, cursor, rows_asked, rows_done, rows_changed, rest_ms, rest_reason)"
        " SELECT m.slice_id, m.batches, $%d::pg_catalog.jsonb, $%d::pg_catalog.int8,"
        " coalesce($%d::pg_catalog.int8, $%d::pg_catalog.int8) - m.behind, m.changed,"
        " $%d::pg_catalog.int8, $%d::pg_catalog.text FROM moved AS m RETURNING b.rows_changed)",
        n + 3, n + 4, n + 5, n + 4, n + 6, n + 7);
}

/* An error and no empty answer: then the rows go back too. */
void walk_add_answer(struct str *s)
{
    str_add(s, " SELECT CASE WHEN pg_catalog.count(*) = 1 THEN pg_catalog.max(rows_changed)"
               " ELSE ('" WALK_TAKEN "; batches of this run that count: '"
               " || pg_catalog.count(*)::pg_catalog.text)::pg_catalog.int8 END FROM noted");
}

void walk_add_later(struct str *s, int n)
{
    str_addf(
        s,
        ", later AS (INSERT INTO phasegate.backfill_residual (job_id, lo, hi, reason, rows)"
        " SELECT s.job_id, coalesce($%d::pg_catalog.jsonb, '[]'), $%d::pg_catalog.jsonb, 'locked',"
        " m.behind FROM moved AS m JOIN phasegate.backfill_slice AS s USING (slice_id)"
        " WHERE m.behind > 0 ON CONFLICT DO NOTHING)",
        n + 2, n + 3);
}

const char *walk_batch_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    str_add(&s, "WITH ");
    add_filled(&s, w, &p);
    add_changed(&s);
    walk_add_moved(&s, p.next);
    walk_add_answer(&s);
    return walk_done(a, &s);
}

const char *walk_batch_free_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    /* Rows that are only read are nobody's. */
    if (w->spec->insert)
        return walk_batch_sql(a, w, from_start);
    str_add(&s, "WITH ");
    add_filled_held(&s, w, &p, true);
    add_behind(&s, w, &p);
    walk_add_moved(&s, p.next);
    walk_add_later(&s, p.next);
    walk_add_answer(&s);
    return walk_done(a, &s);
}

const char *walk_move_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    /* The keys have to be parameters of some type, though nothing is looked for. */
    str_add(&s, "WITH here AS (SELECT 1 FROM ");
    walk_add_table(&s, w);
    str_add(&s, " WHERE false AND ");
    walk_add_range(&s, w, &p);
    str_addf(&s, "), filled AS (SELECT 1 FROM pg_catalog.generate_series(1, $%d::pg_catalog.int8)",
             p.next + 8);
    str_add(&s, " UNION ALL SELECT 1 FROM here)");
    add_changed(&s);
    walk_add_moved(&s, p.next);
    walk_add_answer(&s);
    return walk_done(a, &s);
}

const char *walk_fill_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    str_add(&s, "WITH ");
    add_filled(&s, w, &p);
    str_add(&s, " SELECT pg_catalog.count(*) FROM filled");
    return walk_done(a, &s);
}

const char *walk_residual_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    str_add(&s, "WITH ");
    add_filled(&s, w, &p);
    add_changed(&s);
    str_addf(&s,
             ", marked AS (UPDATE phasegate.backfill_residual AS r"
             " SET done_at = pg_catalog.clock_timestamp(),"
             " rows_changed = r.rows_changed + n.changed FROM n"
             " WHERE r.job_id = $%d::pg_catalog.int8 AND r.lo = $%d::pg_catalog.jsonb"
             " AND r.hi = $%d::pg_catalog.jsonb)"
             " SELECT changed FROM n",
             p.next, p.next + 1, p.next + 2);
    return walk_done(a, &s);
}

const char *walk_swept_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    str_add(&s, "WITH ");
    add_filled(&s, w, &p);
    add_changed(&s);
    str_addf(&s,
             ", marked AS (INSERT INTO phasegate.backfill_residual AS r"
             " (job_id, lo, hi, reason, rows_changed, done_at)"
             " SELECT $%d::pg_catalog.int8, $%d::pg_catalog.jsonb, $%d::pg_catalog.jsonb, 'moved',"
             " n.changed, pg_catalog.clock_timestamp() FROM n WHERE n.changed > 0"
             " ON CONFLICT (job_id, lo, hi) DO UPDATE SET done_at = excluded.done_at,"
             " rows_changed = r.rows_changed + excluded.rows_changed)"
             " SELECT changed FROM n",
             p.next, p.next + 1, p.next + 2);
    return walk_done(a, &s);
}

const char *walk_still_sql(struct arena *a, const struct walk *w, bool from_start)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    str_add(&s, "WITH filled AS (");
    add_update(&s, w);
    if (w->spec->from)
        str_addf(&s, " FROM %s", w->spec->from);
    str_add(&s, " WHERE ");
    walk_add_range(&s, w, &p);
    walk_add_todo(&s, w);
    str_addf(&s,
             " RETURNING (%s) AS still) SELECT pg_catalog.count(*),"
             " pg_catalog.count(*) FILTER (WHERE filled.still) FROM filled",
             w->spec->todo);
    return walk_done(a, &s);
}

const char *walk_row_sql(struct arena *a, const struct walk *w)
{
    struct str s = {0};

    str_add(&s, "WITH ");
    add_filled(&s, w, NULL);
    str_add(&s, " SELECT pg_catalog.count(*) FROM filled");
    return walk_done(a, &s);
}
