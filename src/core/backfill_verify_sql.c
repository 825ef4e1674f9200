/* The statements of a backfill's verification. Pure, as backfill_sql.c. */
#include "backfill_sql_int.h"

#include "phasegate/names.h"

/* By the types' own binary form: the same whatever a session says about dates, zones and floats. */
static void add_hash(struct str *s)
{
    str_add(s, "pg_catalog.hashtextextended(pg_catalog.encode(pg_catalog.record_send(ROW(");
}

static void end_hash(struct str *s) { str_add(s, ")), 'hex'), 0)::pg_catalog.numeric"); }

static void add_new(struct str *s, const struct walk *w, int i)
{
    sql_qualified(s, w->spec->table, w->spec->set.items[i].key.s);
}

/* Of rows that are joined: none of those that match gives what the row holds. */
const char *walk_differs_sql(struct arena *a, const struct walk *w)
{
    const struct backfill_spec *b = w->spec;
    struct str s = {0};

    if (b->set.n == 0)
        return NULL;
    if (b->from)
        str_addf(&s, "EXISTS (SELECT FROM %s WHERE (%s)) AND NOT EXISTS (SELECT FROM %s WHERE (%s)",
                 b->from, b->match, b->from, b->match);
    for (int i = 0; i < b->set.n; i++) {
        str_add(&s, b->from ? " AND " : i ? " OR " : "");
        add_new(&s, w, i);
        str_addf(&s, " IS %sDISTINCT FROM (%s)", b->from ? "NOT " : "", b->set.items[i].value.s);
    }
    str_add(&s, b->from ? ")" : "");
    return walk_done(a, &s);
}

#define SOME_ROWS 20

const char *walk_some_sql(struct arena *a, const struct walk *w)
{
    struct str s = {0};

    str_add(&s, "SELECT pg_catalog.array_agg(x.k) FROM (SELECT ");
    walk_add_key(&s, w, 0);
    str_add(&s, " AS k FROM ");
    walk_add_table(&s, w);
    str_addf(&s, " LIMIT %d) AS x", SOME_ROWS);
    return walk_done(a, &s);
}

const char *walk_values_sql(struct arena *a, const struct walk *w, const char *differs)
{
    const struct backfill_spec *b = w->spec;
    struct str s = {0};

    str_add(&s, "SELECT pg_catalog.sum(x.h), pg_catalog.bool_or(x.d) FROM (SELECT ");
    add_hash(&s);
    for (int i = 0; i < b->set.n; i++)
        str_addf(&s, "%s(%s)", i ? ", " : "", b->set.items[i].value.s);
    end_hash(&s);
    str_addf(&s, " AS h, (%s) AS d FROM ", differs);
    walk_add_table(&s, w);
    if (b->from)
        str_addf(&s, ", %s", b->from);
    str_addf(&s, " WHERE (%s)", b->from ? b->match : "true");
    if (w->by_blocks) {
        str_add(&s, " AND ");
        walk_add_key(&s, w, 0);
        str_add(&s, " OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.tid[])");
    } else {
        str_add(&s, " ORDER BY ");
        walk_add_keys(&s, w, "");
        str_addf(&s, " LIMIT %d", SOME_ROWS);
    }
    str_add(&s, ") AS x");
    return walk_done(a, &s);
}

/* One row each: what is asked of it, its hash, its key. OFFSET 0: each is evaluated once. */
static void add_looked(struct str *s, const struct walk *w, const struct walk_params *p,
                       const char *differs, enum walk_trust trust)
{
    const struct backfill_spec *b = w->spec;

    str_add(s, "SELECT ");
    if (trust == WALK_BLIND)
        str_add(s, "true");
    else if (b->from)
        str_addf(s, "EXISTS (SELECT FROM %s WHERE (%s) AND (%s))", b->from, b->match, b->todo);
    else
        str_addf(s, "(%s)", b->tells_left ? b->todo : "false");
    str_addf(s, " AS l, (%s) AS d, ", differs && trust == WALK_EVALUATES ? differs : "false");
    add_hash(s);
    if (!w->by_blocks) /* where a row lies is nothing of its contents */
        walk_add_keys(s, w, "");
    for (int i = 0; i < b->set.n; i++) {
        str_add(s, i || !w->by_blocks ? ", " : "");
        add_new(s, w, i);
    }
    end_hash(s);
    str_add(s, " AS h");
    for (int i = 0; i < w->n_keys; i++) {
        str_add(s, ", ");
        walk_add_key(s, w, i);
        str_addf(s, " AS k%d", i + 1);
    }
    str_add(s, " FROM ");
    walk_add_table(s, w);
    str_add(s, " WHERE ");
    walk_add_range(s, w, p);
    str_add(s, " OFFSET 0");
}

static void add_verified(struct str *s, int n)
{
    str_addf(s,
             ", bad AS MATERIALIZED (SELECT e.row -> 'k' AS key, (e.row ->> 'l')::pg_catalog.bool "
             "AS is_left, e.n, EXISTS (SELECT FROM phasegate.backfill_quarantine AS q"
             " WHERE q.job_id = $%d::pg_catalog.int8 AND q.key = e.row -> 'k'"
             " AND q.resolution IS NULL) AS is_known FROM r,"
             " pg_catalog.jsonb_array_elements(r.bad) WITH ORDINALITY AS e (row, n))",
             n + 4);
    str_addf(s,
             ", moved AS (UPDATE phasegate.backfill_verified_slice AS s"
             " SET cursor = $%d::pg_catalog.jsonb, rows = s.rows + r.n,"
             " rows_left = s.rows_left + r.l, rows_differing = s.rows_differing + r.d,"
             " rows_known = s.rows_known + b.known, rows_bad = s.rows_bad + b.unknown,"
             " digest = s.digest + r.h, ranges = s.ranges + 1,"
             " status = CASE WHEN s.hi = $%d::pg_catalog.jsonb THEN 'done' ELSE 'running' END,"
             " lease_until = pg_catalog.clock_timestamp() + s.lease,"
             " updated_at = pg_catalog.clock_timestamp()"
             " FROM r, (SELECT pg_catalog.count(*) FILTER (WHERE bad.is_known) AS known,"
             " pg_catalog.count(*) FILTER (WHERE NOT bad.is_known) AS unknown FROM bad) AS b"
             " WHERE s.verified_slice_id = $%d::pg_catalog.int8 AND s.epoch = $%d::pg_catalog.int8"
             " AND s.status = 'running' AND s.cursor IS NOT DISTINCT FROM $%d::pg_catalog.jsonb"
             " RETURNING s.verified_slice_id)",
             n + 3, n + 3, n, n + 1, n + 2);
    str_addf(
        s,
        ", noted AS (INSERT INTO phasegate.backfill_differing (verified_slice_id, key, is_left)"
        " SELECT moved.verified_slice_id, bad.key, bad.is_left FROM moved, bad"
        " WHERE NOT bad.is_known ORDER BY bad.n LIMIT greatest(0, %d - (SELECT"
        " pg_catalog.count(*) FROM phasegate.backfill_differing AS d"
        " WHERE d.verified_slice_id = $%d::pg_catalog.int8)))",
        WALK_WRONG_KEPT, n);
}

/* format: as the server shows a key everywhere else; a cast to text cuts the blanks of char(n). */
const char *walk_verify_sql(struct arena *a, const struct walk *w, bool from_start,
                            const char *differs, enum walk_trust trust)
{
    struct walk_params p = walk_params(w, from_start);
    struct str s = {0};

    str_add(&s, "WITH r AS MATERIALIZED (SELECT pg_catalog.count(*) AS n,"
                " pg_catalog.count(*) FILTER (WHERE x.l) AS l,"
                " pg_catalog.count(*) FILTER (WHERE x.d) AS d,"
                " coalesce(pg_catalog.sum(x.h), 0) AS h, pg_catalog.jsonb_agg("
                "pg_catalog.jsonb_build_object('k', pg_catalog.jsonb_build_array(");
    for (int i = 0; i < w->n_keys; i++)
        str_addf(&s, "%spg_catalog.format('%%s', x.k%d)", i ? ", " : "", i + 1);
    str_add(&s, "), 'l', coalesce(x.l, false))) FILTER (WHERE x.l OR x.d) AS bad FROM (");
    add_looked(&s, w, &p, differs, trust);
    str_add(&s, ") AS x)");
    add_verified(&s, p.next);
    str_add(&s, " SELECT CASE WHEN pg_catalog.count(*) = 1 THEN (SELECT r.n FROM r)"
                " ELSE ('" WALK_TAKEN "; ranges of this run that count: '"
                " || pg_catalog.count(*)::pg_catalog.text)::pg_catalog.int8 END FROM moved");
    return walk_done(a, &s);
}
