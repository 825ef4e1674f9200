/* What still hangs on a hidden thing: found before the purge begins, for one that stops halfway can't be taken back. */
#include "internal.h"

/* $1 schema, $2 relation, $3 column or NULL: the whole relation, $4 the schema of what is hidden, $5 and $6 plan and
 * number of its soft drop. Left out is what goes with it: its own constraints and triggers, our sync (the purge removes
 * it first), what is itself hidden, and constraints over a hidden column that this plan destroys before. */
static const char dependants_sql[] =
    "SELECT DISTINCT CASE WHEN v.oid IS NULL THEN pg_catalog.pg_describe_object(d.classid, "
    "d.objid, "
    "d.objsubid) ELSE pg_catalog.format('view %I.%I', vn.nspname, v.relname) END "
    "FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace "
    "JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND "
    "d.refobjid = t.oid "
    "LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid "
    "LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass "
    "AND r.oid = d.objid LEFT JOIN pg_catalog.pg_class v ON v.oid = r.ev_class "
    "LEFT JOIN pg_catalog.pg_namespace vn ON vn.oid = v.relnamespace "
    "LEFT JOIN pg_catalog.pg_constraint k ON d.classid = "
    "'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid "
    "LEFT JOIN pg_catalog.pg_class kt ON kt.oid = k.conrelid "
    "LEFT JOIN pg_catalog.pg_namespace kn ON kn.oid = kt.relnamespace "
    "LEFT JOIN pg_catalog.pg_trigger g ON d.classid = "
    "'pg_catalog.pg_trigger'::pg_catalog.regclass AND g.oid = d.objid "
    "LEFT JOIN pg_catalog.pg_proc gf ON gf.oid = g.tgfoid "
    "LEFT JOIN pg_catalog.pg_namespace gn ON gn.oid = gf.pronamespace "
    "WHERE tn.nspname = $1 AND t.relname = $2 AND ($3::pg_catalog.text IS NULL OR a.attname = $3) "
    /* Generated columns would go without a word. */
    "AND (d.deptype = 'n' OR (d.classid = d.refclassid AND d.objid = t.oid AND d.objsubid > 0)) "
    "AND (v.oid IS NULL OR (v.oid <> t.oid AND vn.nspname <> $4)) "
    "AND (k.oid IS NULL OR NOT (kn.nspname = $4 OR (k.conrelid = t.oid AND ($3 IS NULL OR "
    "d.refobjsubid = ANY (k.conkey))))) "
    "AND (k.oid IS NULL OR NOT EXISTS (SELECT FROM phasegate.soft_drop s "
    "JOIN pg_catalog.pg_attribute ka ON ka.attrelid = k.conrelid AND ka.attname = s.hidden_name "
    "WHERE s.plan = $5 AND s.soft_drop_id < $6::pg_catalog.int8 AND s.restored_at IS NULL "
    "AND s.purged_at IS NULL AND s.object_kind = 'column' AND s.schema_name = kn.nspname "
    "AND s.table_name = kt.relname AND ka.attnum = ANY (k.conkey))) "
    "AND (g.oid IS NULL OR NOT (gn.nspname = 'phasegate' OR (g.tgrelid = t.oid AND $3 IS NULL))) "
    "ORDER BY 1";

static bool is_relation(const struct soft_drop *d)
{
    return strcmp(d->object_kind, "table") == 0 || strcmp(d->object_kind, "view") == 0;
}

bool dependants_look(struct work *w, struct fact *f, struct err *err)
{
    struct soft_drop *d = NULL;
    int n = 0;

    fact_yes(f);
    if (!w->e->has_ledger || !ledger_soft_drops(w->e->db, w->a, w->p->id.s, &d, &n, err))
        return !w->e->has_ledger;
    for (int i = 0; i < n && f->holds; i++) {
        struct db_rows rows = {0};
        bool whole = is_relation(&d[i]);
        if (d[i].restored_at_ms || d[i].purged_at_ms ||
            (!whole && strcmp(d[i].object_kind, "column") != 0))
            continue;
        if (!db_query(w->e->db, w->a, dependants_sql,
                      &DB_PARAMS(whole ? HOLD_SCHEMA : d[i].schema,
                                 whole ? d[i].hidden_name : d[i].table,
                                 whole ? NULL : d[i].hidden_name, HOLD_SCHEMA, w->p->id.s,
                                 arena_printf(w->a, "%lld", (long long) d[i].id)),
                      &rows, err))
            return false;
        if (rows.n_rows > 0)
            fact_no(f,
                    arena_printf(w->a, "%s still depends on %s%s%s", db_cell(&rows, 0, 0),
                                 d[i].table, whole ? "" : ".", whole ? "" : d[i].original_name),
                    "change or drop it first");
    }
    return true;
}
