/* What a batch changes is kept as it was: values as texts, which every type can be read back from. Pure. */
#include "backfill_sql_int.h"

#include "phasegate/names.h"

/* {"column": "text", ...} of the row as it is where this stands. */
static void add_values(struct str *s, const struct walk *w)
{
    const struct pair_list *set = &w->spec->set;

    str_add(s, "pg_catalog.jsonb_object(ARRAY[");
    for (int i = 0; i < set->n; i++) {
        str_add(s, i ? ", " : "");
        sql_literal(s, set->items[i].key.s);
    }
    str_add(s, "]::pg_catalog.text[], ARRAY[");
    for (int i = 0; i < set->n; i++) {
        str_add(s, i ? ", " : "");
        sql_qualified(s, w->spec->table, set->items[i].key.s);
        str_add(s, "::pg_catalog.text");
    }
    str_add(s, "])");
}

void walk_add_old(struct str *s, const struct walk *w)
{
    if (!w->keeps_for)
        return;
    str_add(s, ", ");
    add_values(s, w);
    str_add(s, " AS phasegate_old");
}

/* A value that stays what it was is nothing to bring back. The oldest is the one to keep, until it was restored. */
void walk_add_kept(struct str *s, const struct walk *w, const char *held)
{
    if (!w->keeps_for) {
        str_add(s, " RETURNING 1)");
        return;
    }
    str_add(s, " RETURNING pg_catalog.jsonb_build_array(");
    walk_add_keys(s, w, "::pg_catalog.text");
    str_addf(s, ") AS phasegate_key, %s.phasegate_old, ", held);
    add_values(s, w);
    str_addf(s,
             " AS phasegate_new), kept AS (INSERT INTO phasegate.backfill_before AS b"
             " (job_id, key, old, new) SELECT %lld, f.phasegate_key, f.phasegate_old,"
             " f.phasegate_new FROM filled AS f WHERE f.phasegate_old IS DISTINCT FROM"
             " f.phasegate_new ON CONFLICT (job_id, key) DO UPDATE SET"
             " old = CASE WHEN b.fate = 'restored' THEN excluded.old ELSE b.old END,"
             " new = excluded.new, fate = 'kept', at = pg_catalog.clock_timestamp())",
             (long long) w->keeps_for);
}

/* The author's expressions aren't here; but the table may have any name. */
const char *walk_restore_sql(struct arena *a, const struct walk *w)
{
    const struct pair_list *set = &w->spec->set;
    struct str s = {0};

    str_addf(&s,
             "WITH phasegate_b AS MATERIALIZED (SELECT b.key, b.old, b.new FROM"
             " phasegate.backfill_before AS b WHERE b.job_id = %lld AND b.fate = 'kept'"
             " LIMIT $1::pg_catalog.int8 FOR UPDATE), phasegate_back AS (UPDATE ",
             (long long) w->keeps_for);
    walk_add_table(&s, w);
    for (int i = 0; i < set->n; i++) {
        str_add(&s, i ? ", " : " SET ");
        sql_ident(&s, set->items[i].key.s);
        str_add(&s, " = (phasegate_b.old OPERATOR(pg_catalog.->>) ");
        sql_literal(&s, set->items[i].key.s);
        str_addf(&s, ")::%s", w->set_types[i]);
    }
    str_add(&s, " FROM phasegate_b WHERE ");
    for (int i = 0; i < w->n_keys; i++) {
        walk_add_key(&s, w, i);
        str_addf(&s,
                 " OPERATOR(pg_catalog.=) (phasegate_b.key OPERATOR(pg_catalog.->>) %d)::%s AND ",
                 i, w->key_types[i]);
    }
    add_values(&s, w);
    str_addf(&s,
             " OPERATOR(pg_catalog.=) phasegate_b.new RETURNING phasegate_b.key), fated AS (UPDATE"
             " phasegate.backfill_before AS x SET fate = CASE WHEN r.key IS NULL THEN 'newer' ELSE"
             " 'restored' END, at = pg_catalog.clock_timestamp() FROM phasegate_b AS p LEFT JOIN"
             " phasegate_back AS r ON r.key = p.key WHERE x.job_id = %lld AND x.key = p.key)"
             " SELECT (SELECT pg_catalog.count(*) FROM phasegate_b), (SELECT pg_catalog.count(*)"
             " FROM phasegate_back)",
             (long long) w->keeps_for);
    return walk_done(a, &s);
}
