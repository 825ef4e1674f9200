/* What still hangs on a hidden thing: found before the purge begins, for one that stops halfway can't be taken back. */
#include "internal.h"

/* $1 schema, $2 relation, $3 column or NULL: the whole relation, $4 the schema of what is hidden, $5 and $6 plan and
 * number of its soft drop. Left out is what goes with it: its own constraints and triggers, our sync (the purge removes
 * it first), and what this plan has hidden and destroys before. Second is the name by which a statement would take it
 * away: of the view, the table or the function. */
static const char dependants_sql[] =
    "SELECT DISTINCT CASE WHEN v.oid IS NULL THEN pg_catalog.pg_describe_object(d.classid, "
    "d.objid, "
    "d.objsubid) ELSE pg_catalog.format('view %I.%I', vn.nspname, v.relname) END, "
    "COALESCE(v.relname, kt.relname, gt.relname, pt.relname, f.proname, "
    "CASE WHEN d.objid = t.oid THEN t.relname END) "
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
    "LEFT JOIN pg_catalog.pg_class gt ON gt.oid = g.tgrelid "
    "LEFT JOIN pg_catalog.pg_proc gf ON gf.oid = g.tgfoid "
    "LEFT JOIN pg_catalog.pg_namespace gn ON gn.oid = gf.pronamespace "
    "LEFT JOIN pg_catalog.pg_policy p ON d.classid = "
    "'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = d.objid "
    "LEFT JOIN pg_catalog.pg_class pt ON pt.oid = p.polrelid "
    "LEFT JOIN pg_catalog.pg_proc f ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND "
    "f.oid = d.objid "
    "LEFT JOIN pg_catalog.pg_attrdef e ON d.classid = "
    "'pg_catalog.pg_attrdef'::pg_catalog.regclass AND e.oid = d.objid "
    "WHERE tn.nspname = $1 AND t.relname = $2 AND ($3::pg_catalog.text IS NULL OR a.attname = $3) "
    /* Generated columns would go without a word. */
    "AND (d.deptype = 'n' OR (d.classid = d.refclassid AND d.objid = t.oid AND d.objsubid > 0)) "
    "AND (v.oid IS NULL OR v.oid <> t.oid) "
    /* A whole table takes along what its own columns are computed or parted by, and its policies. */
    "AND ($3 IS NOT NULL OR NOT ((d.classid = d.refclassid AND d.objid = t.oid) OR "
    "COALESCE(e.adrelid = t.oid, false) OR COALESCE(p.polrelid = t.oid, false))) "
    "AND (k.oid IS NULL OR NOT (k.conrelid = t.oid AND ($3 IS NULL OR "
    "d.refobjsubid = ANY (k.conkey)))) "
    "AND NOT EXISTS (SELECT FROM phasegate.soft_drop s "
    "WHERE s.plan = $5 AND s.soft_drop_id < $6::pg_catalog.int8 AND s.restored_at IS NULL "
    "AND s.purged_at IS NULL AND ((s.object_kind IN ('table', 'view') AND "
    "((vn.nspname = $4 AND s.hidden_name = v.relname) OR "
    "(kn.nspname = $4 AND s.hidden_name = kt.relname))) OR "
    "(s.object_kind = 'column' AND s.schema_name = kn.nspname "
    "AND s.table_name = kt.relname AND EXISTS (SELECT FROM pg_catalog.pg_attribute ka WHERE "
    "ka.attrelid = k.conrelid AND ka.attname = s.hidden_name AND ka.attnum = ANY (k.conkey))))) "
    "AND (g.oid IS NULL OR NOT (gn.nspname = 'phasegate' OR (g.tgrelid = t.oid AND $3 IS NULL))) "
    "ORDER BY 1";

#define NAMED_MAX 5 /* of many dependants */

static bool is_relation(const struct soft_drop *d)
{
    return strcmp(d->object_kind, "table") == 0 || strcmp(d->object_kind, "view") == 0;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What nobody can see into may do anything; and CASCADE takes what it meets. */
static bool statement_may_take(const struct sql_stmt *s, const char *name)
{
    bool drops = begins(s->kind, "DROP");

    if (s->class == SQL_UNKNOWN)
        return true;
    if (!drops && !begins(s->kind, "ALTER") && !begins(s->kind, "CREATE"))
        return false;
    if (strcasestr(s->sql, "cascade"))
        return true;
    for (int i = 0; drops && name && i < s->relations.n; i++)
        if (strcmp(s->relations.items[i].s, name) == 0)
            return true;
    return name && ((s->table && strcmp(s->table, name) == 0) ||
                    (s->object && begins(s->object + (s->object[0] == '"'), name)));
}

/* Steps of the purge that come before the destruction of what is hidden, and are still to run: what they may take away
 * is for PostgreSQL to judge when its turn comes. The proof has seen it. */
static bool is_taken_before(struct work *w, const struct script *purge, const char *step,
                            const char *name)
{
    for (int i = 0; i < purge->n; i++) {
        const struct task *t = &purge->tasks[i];
        if (t->kind == TASK_PURGE_DROP && strcmp(t->id + strlen("purge/"), step) == 0)
            return false;
        if (t->kind != TASK_STEP || task_is_done(w, t))
            continue;
        if (t->step->command.n > 0)
            return true;
        for (int k = 0; k < t->step->n_stmts; k++)
            if (statement_may_take(&t->step->stmts[k], name))
                return true;
    }
    return false;
}

/* "view public.a, view public.b"; NULL: nothing depends on it that isn't taken away before. */
static bool dependants_of(struct work *w, const struct soft_drop *d, const struct script *purge,
                          const char **names, int *n_names, struct err *err)
{
    bool whole = is_relation(d);
    AUTO(str) text = {0};
    struct db_rows rows = {0};

    *names = NULL;
    *n_names = 0;
    if (!whole && strcmp(d->object_kind, "column") != 0)
        return true;
    if (!db_query(w->e->db, w->a, dependants_sql,
                  &DB_PARAMS(whole ? HOLD_SCHEMA : d->schema, whole ? d->hidden_name : d->table,
                             whole ? NULL : d->hidden_name, HOLD_SCHEMA, w->p->id.s,
                             arena_printf(w->a, "%lld", (long long) d->id)),
                  &rows, err))
        return false;
    for (int i = 0; i < rows.n_rows; i++) {
        if (purge && is_taken_before(w, purge, d->step, db_cell(&rows, i, 1)))
            continue;
        if (++*n_names <= NAMED_MAX)
            str_addf(&text, "%s%s", text.len ? ", " : "", db_cell(&rows, i, 0));
    }
    if (*n_names > NAMED_MAX)
        str_addf(&text, " and %d more", *n_names - NAMED_MAX);
    if (*n_names > 0)
        *names = arena_strdup(w->a, str_text(&text));
    return true;
}

/* "tickets.subject", "legacy" */
static const char *way_out(struct work *w, const char *names)
{
    const char *id = w->p->id.s;

    return arena_printf(w->a,
                        "drop %s, or give it another definition, then: phasegate purge %s "
                        "--confirm %s%s%s",
                        names, id, id,
                        w->state.stage == STAGE_PURGING ? ""
                                                        : "; or take the contract back: phasegate "
                                                          "restore ",
                        w->state.stage == STAGE_PURGING ? "" : id);
}

bool dependants_look(struct work *w, struct fact *f, struct err *err)
{
    struct soft_drop *d = NULL;
    struct script purge;
    const char *names = NULL;
    int n = 0, n_names = 0;

    fact_yes(f);
    if (!w->e->has_ledger || !ledger_soft_drops(w->e->db, w->a, w->p->id.s, &d, &n, err))
        return !w->e->has_ledger;
    plan_script(w->a, w->p, PHASE_CONTRACT, true, &purge);
    for (int i = 0; i < n && f->holds; i++) {
        if (d[i].restored_at_ms || d[i].purged_at_ms)
            continue;
        if (!dependants_of(w, &d[i], &purge, &names, &n_names, err))
            return false;
        if (names)
            fact_no(f,
                    arena_printf(w->a, "%s still depend%s on %s", names, n_names == 1 ? "s" : "",
                                 soft_drop_shown(w->a, &d[i])),
                    way_out(w, names));
    }
    return true;
}

bool dependants_told(struct work *w, const struct soft_drop *d, struct err *err)
{
    AUTO(err) ignored = {0};
    const char *names = NULL;
    int n = 0;

    if (strcmp(err->sqlstate, "2BP01") != 0 || !db_is_usable(w->e->db) ||
        !dependants_of(w, d, NULL, &names, &n, &ignored) || !names)
        return false;
    err_detail(err, "%s still depend%s on %s. What came before it is done, and recorded.", names,
               n == 1 ? "s" : "", soft_drop_shown(w->a, d));
    return err_hint(err, "%s", way_out(w, names));
}
