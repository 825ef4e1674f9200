/* The generated sync trigger, and what derives from sync. Pure. */
#include "generate_int.h"

#include "phasegate/names.h"

#include <string.h>

/* Fires after other BEFORE triggers of the table (they fire by name), so that it sees what they made. */
#define TRIGGER_PREFIX "zz_phasegate_"

static const char *take(struct arena *a, struct str *s)
{
    const char *t = arena_strdup(a, str_text(s));
    str_free(s);
    return t;
}

static const char *name_now(const char *name, const struct renamed *r, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(r[i].name, name) == 0)
            return r[i].now;
    return name;
}

struct gen {
    const struct plan *p;
    const struct renamed *renamed;
    int n_renamed;
    struct str *out;
};

static void col(struct gen *g, const char *row, const char *name)
{
    str_addf(g->out, "%s.", row);
    sql_ident(g->out, name_now(name, g->renamed, g->n_renamed));
}

/* (expr), and a line's end, for an expression may end in a comment. */
static void embed(struct str *out, const char *expr) { str_addf(out, "(%s\n)", expr); }

/* SELECT INTO NEW."a", NEW."b" (expr), (expr) FROM (SELECT NEW.*, NEW."hidden" AS "name") AS "table": the
 * expressions see the row as a table of its own name, renamed columns under both names, and all see it as the
 * statement left it, as in an UPDATE. One SELECT for all: each costs more than what it computes. */
static void assign_all(struct gen *g, const struct pair_list *l, const char *indent)
{
    str_addf(g->out, "%sSELECT INTO ", indent);
    for (int i = 0; i < l->n; i++) {
        str_add(g->out, i ? ", " : "");
        col(g, "NEW", l->items[i].key.s);
    }
    for (int i = 0; i < l->n; i++) {
        str_add(g->out, i ? ", " : " ");
        embed(g->out, l->items[i].value.s);
    }
    str_add(g->out, " FROM (SELECT NEW.*");
    for (int i = 0; i < g->n_renamed; i++) {
        str_add(g->out, ", NEW.");
        sql_ident(g->out, g->renamed[i].now);
        str_add(g->out, " AS ");
        sql_ident(g->out, g->renamed[i].name);
    }
    str_add(g->out, ") AS ");
    sql_ident(g->out, g->p->sync.table.s);
    str_add(g->out, ";\n");
}

/* Changed means: other bytes. IS DISTINCT FROM would take 1.0 for 1.00 and citext 'a' for 'A', which the other
 * side may well tell apart; and json has no equality at all. */
static void changed(struct gen *g, const struct text *names, int n)
{
    static const char *const rows[] = {"NEW", "OLD"};

    str_add(g->out, "pg_catalog.record_image_ne(");
    for (int r = 0; r < 2; r++) {
        str_add(g->out, r ? ", ROW(" : "ROW(");
        for (int i = 0; i < n; i++) {
            str_add(g->out, i ? ", " : "");
            col(g, rows[r], names[i].s);
        }
        str_add(g->out, ")");
    }
    str_add(g->out, ")");
}

static const struct text *keys_of(struct arena *a, const struct pair_list *l)
{
    struct text *keys = arena_array(a, struct text, l->n + 1);

    for (int i = 0; i < l->n; i++)
        keys[i] = l->items[i].key;
    return keys;
}

static void table_name(struct str *out, const struct sync *s)
{
    sql_qualified(out, s->schema.s, s->table.s);
}

static const char *function_name(struct arena *a, const struct plan *p)
{
    AUTO(str) s = {0};
    sql_qualified(&s, "phasegate", generate_name(a, "sync_", p->id.s));
    return arena_strdup(a, str_text(&s));
}

static const char *quote_tag(struct arena *a, const char *body)
{
    const char *tag = "$phasegate$";
    for (int i = 0; strstr(body, tag); i++)
        tag = arena_printf(a, "$phasegate%d$", i);
    return tag;
}

static const char *function_body(struct arena *a, struct gen *g)
{
    const struct sync *s = &g->p->sync;
    struct str body = {0};

    g->out = &body;
    str_add(&body, "\n#variable_conflict use_column\nBEGIN\n  IF TG_OP = 'INSERT' THEN\n    IF ");
    for (int i = 0; i < s->forward.n; i++) {
        str_add(&body, i ? " AND " : "");
        col(g, "NEW", s->forward.items[i].key.s);
        str_add(&body, " IS NULL");
    }
    str_add(&body, " THEN\n");
    assign_all(g, &s->forward, "      ");
    if (s->reverse.n > 0) {
        str_add(&body, "    ELSE\n");
        assign_all(g, &s->reverse, "      ");
    }
    str_add(&body, "    END IF;\n  ELSIF ");
    changed(g, keys_of(a, &s->forward), s->forward.n);
    str_add(&body, " THEN\n");
    if (s->reverse.n > 0)
        assign_all(g, &s->reverse, "    ");
    else
        str_add(&body, "    NULL;\n");
    str_add(&body, "  ELSE\n");
    assign_all(g, &s->forward, "    ");
    str_add(&body, "  END IF;\n  RETURN NEW;\nEND\n");
    return take(a, &body);
}

/* The search_path is the one under which the expressions were tried, whatever the writing session's is. */
static const char *function_sql(struct arena *a, struct gen *g)
{
    const char *body = function_body(a, g), *tag = quote_tag(a, body);

    return arena_printf(a,
                        "CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql "
                        "SET search_path FROM CURRENT AS %s%s%s",
                        function_name(a, g->p), tag, body, tag);
}

/* The columns whose change matters: what the expressions read, as far as that is known, and what they write. */
static void watched(struct arena *a, const struct sync *s, struct text_list *out)
{
    const struct text_list *known[] = {&s->forward_columns, &s->reverse_columns};
    const struct pair_list *written[] = {&s->forward, &s->reverse};
    int cap = s->forward_columns.n + s->reverse_columns.n + s->forward.n + s->reverse.n;

    out->items = arena_array(a, struct text, cap + 1);
    out->n = 0;
    for (int pass = 0; pass < 4; pass++) {
        int n = pass < 2 ? known[pass]->n : written[pass - 2]->n;
        for (int i = 0; i < n; i++) {
            struct text t = pass < 2 ? known[pass]->items[i] : written[pass - 2]->items[i].key;
            bool seen = false;
            for (int j = 0; j < out->n && !seen; j++)
                seen = strcmp(out->items[j].s, t.s) == 0;
            if (!seen)
                out->items[out->n++] = t;
        }
    }
}

/* No UPDATE OF: that goes by what the statement names, and another trigger may change a column that it
 * doesn't name. WHEN sees what really changed. */
static const char *trigger_sql(struct arena *a, struct gen *g, bool insert)
{
    const struct sync *s = &g->p->sync;
    struct str sql = {0};
    struct text_list cols;

    g->out = &sql;
    str_add(&sql, "CREATE OR REPLACE TRIGGER ");
    sql_ident(&sql,
              generate_name(a, insert ? TRIGGER_PREFIX "i_" : TRIGGER_PREFIX "u_", g->p->id.s));
    str_add(&sql, insert ? " BEFORE INSERT ON " : " BEFORE UPDATE ON ");
    table_name(&sql, s);
    str_add(&sql, " FOR EACH ROW ");
    if (!insert) {
        watched(a, s, &cols);
        str_add(&sql, "WHEN (pg_catalog.current_setting('phasegate.backfill', true) IS DISTINCT "
                      "FROM 'on' AND ");
        changed(g, cols.items, cols.n);
        str_add(&sql, ") ");
    }
    str_addf(&sql, "EXECUTE FUNCTION %s()", function_name(a, g->p));
    return take(a, &sql);
}

void sync_install_sql(struct arena *a, const struct plan *p, const struct renamed *renamed,
                      int n_renamed, struct sql_list *out)
{
    struct gen g = {.p = p, .renamed = renamed, .n_renamed = n_renamed};

    memset(out, 0, sizeof *out);
    sql_list_add(a, out, function_sql(a, &g));
    sql_list_add(a, out, trigger_sql(a, &g, true));
    sql_list_add(a, out, trigger_sql(a, &g, false));
}

void sync_remove_sql(struct arena *a, const struct plan *p, struct sql_list *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < 2; i++) {
        struct str sql = {0};
        str_add(&sql, "DROP TRIGGER IF EXISTS ");
        sql_ident(&sql, generate_name(a, i ? TRIGGER_PREFIX "u_" : TRIGGER_PREFIX "i_", p->id.s));
        str_add(&sql, " ON ");
        table_name(&sql, &p->sync);
        sql_list_add(a, out, take(a, &sql));
    }
    sql_list_add(a, out, arena_printf(a, "DROP FUNCTION IF EXISTS %s()", function_name(a, p)));
}

static void regclass(struct str *out, const struct sync *s)
{
    AUTO(str) name = {0};
    table_name(&name, s);
    str_add(out, "pg_catalog.to_regclass(");
    sql_literal(out, str_text(&name));
    str_add(out, ")");
}

/* FROM the plan's own triggers (t) with their functions (f) WHERE ... */
static void own_triggers(struct arena *a, struct str *sql, const struct plan *p)
{
    str_add(sql,
            " FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc f ON f.oid = t.tgfoid"
            " JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace AND n.nspname = 'phasegate'"
            " WHERE t.tgrelid = ");
    regclass(sql, &p->sync);
    str_add(sql, " AND t.tgname IN (");
    sql_literal(sql, generate_name(a, TRIGGER_PREFIX "i_", p->id.s));
    str_add(sql, ", ");
    sql_literal(sql, generate_name(a, TRIGGER_PREFIX "u_", p->id.s));
    str_add(sql, ") AND f.proname = ");
    sql_literal(sql, generate_name(a, "sync_", p->id.s));
}

const char *sync_applied_sql(struct arena *a, const struct plan *p)
{
    struct str sql = {0};

    str_add(&sql, "SELECT count(*) = 2");
    own_triggers(a, &sql, p);
    str_add(&sql, " AND t.tgenabled IN ('O', 'A')");
    return take(a, &sql);
}

const char *sync_broken_sql(struct arena *a, const struct plan *p, const struct renamed *renamed,
                            int n_renamed)
{
    struct gen g = {.p = p, .renamed = renamed, .n_renamed = n_renamed};
    struct str sql = {0};

    str_add(&sql, "SELECT CASE WHEN count(*) <> 2 THEN 'isn''t there' WHEN pg_catalog.bool_or("
                  "t.tgenabled NOT IN ('O', 'A')) THEN 'is disabled' WHEN pg_catalog.bool_or("
                  "f.prosrc <> ");
    sql_literal(&sql, function_body(a, &g));
    str_add(&sql, ") THEN 'does something else than the plan says now' END");
    own_triggers(a, &sql, p);
    return take(a, &sql);
}

/* BEFORE triggers on rows of INSERT or UPDATE. The table's own, or of its partitions. */
static void other_triggers(struct str *sql, const struct sync *s)
{
    /* tgtype: 1 row, 2 before, 4 insert, 16 update, 64 instead */
    str_add(sql,
            " FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc f ON f.oid = t.tgfoid"
            " JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace"
            " WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 67 = 3 AND t.tgtype & "
            "20 <> 0 AND (t.tgrelid = ");
    regclass(sql, s);
    str_add(sql, " OR t.tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(");
    regclass(sql, s);
    str_add(sql, "))) AND ");
}

const char *sync_conflict_sql(struct arena *a, const struct plan *p)
{
    struct str sql = {0};
    struct text_list cols;

    str_add(&sql, "SELECT pg_catalog.min(x.what) FROM (SELECT 'trigger ' || "
                  "pg_catalog.quote_ident(t.tgname) || ' fires after it, and may change again what "
                  "was kept equal' AS what");
    other_triggers(&sql, &p->sync);
    str_add(&sql, "n.nspname <> 'phasegate' AND t.tgname > ");
    sql_literal(&sql, generate_name(a, TRIGGER_PREFIX "i_", p->id.s));
    str_add(&sql,
            " UNION ALL SELECT 'column ' || pg_catalog.quote_ident(c.attname) || ' belongs to "
            "another sync already, with trigger ' || pg_catalog.quote_ident(t.tgname)");
    str_add(&sql,
            " FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_trigger t ON t.oid = d.objid JOIN "
            "pg_catalog.pg_attribute c ON c.attrelid = d.refobjid AND c.attnum = d.refobjsubid"
            " JOIN pg_catalog.pg_proc f ON f.oid = t.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid"
            " = f.pronamespace AND n.nspname = 'phasegate'"
            " WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND d.refclassid = "
            "'pg_catalog.pg_class'::pg_catalog.regclass AND t.tgrelid = ");
    regclass(&sql, &p->sync);
    str_add(&sql, " AND d.refobjid = t.tgrelid AND f.proname <> ");
    sql_literal(&sql, generate_name(a, "sync_", p->id.s));
    str_add(&sql, " AND c.attname IN (");
    watched(a, &p->sync, &cols);
    for (int i = 0; i < cols.n; i++) {
        str_add(&sql, i ? ", " : "");
        sql_literal(&sql, cols.items[i].s);
    }
    str_add(&sql, ")) AS x");
    return take(a, &sql);
}

/* The expressions as the trigger will evaluate them, over no rows: a wrong name or type in one shows now, and
 * not in the application's first write. Columns that are missing are NULL here, for they get a row each. */
static void try_expressions(struct arena *a, struct str *out, const struct sync *s)
{
    const struct pair_list *lists[] = {&s->forward, &s->reverse};
    struct text_list names;
    struct sync written = {.forward = s->forward, .reverse = s->reverse};

    str_add(out, "WITH tried AS (SELECT ");
    for (int l = 0, n = 0; l < 2; l++)
        for (int i = 0; i < lists[l]->n; i++) {
            str_add(out, n++ ? ", (SELECT " : "(SELECT ");
            embed(out, lists[l]->items[i].value.s);
            str_add(out, " FROM (SELECT * FROM ");
            table_name(out, s);
            str_add(out, ") AS ");
            sql_ident(out, s->table.s);
            /* In WHERE as well, as the backfill has them: no aggregate, window or set can stand there. */
            str_add(out, " WHERE false AND ");
            embed(out, lists[l]->items[i].value.s);
            str_add(out, " IS NULL)");
        }
    watched(a, &written, &names);
    str_add(out, " FROM (SELECT ");
    for (int i = 0; i < names.n; i++) {
        str_add(out, i ? ", NULL AS " : "NULL AS ");
        sql_ident(out, names.items[i].s);
    }
    str_add(out, ") AS \"columns that are missing\") ");
}

const char *sync_check_sql(struct arena *a, const struct plan *p)
{
    const struct pair_list *lists[] = {&p->sync.forward, &p->sync.reverse};
    struct str sql = {0};

    try_expressions(a, &sql, &p->sync);
    str_add(
        &sql,
        "SELECT w.name, CASE WHEN a.attnum IS NULL THEN 'does not exist' WHEN a.attgenerated <> ''"
        " THEN 'is generated: nothing else can write it' ELSE"
        " 'has a default: an insert that leaves it out can''t be told from one that sets it' END"
        " FROM (VALUES ");
    for (int l = 0, n = 0; l < 2; l++)
        for (int i = 0; i < lists[l]->n; i++) {
            str_add(&sql, n++ ? ", (" : "(");
            sql_literal(&sql, lists[l]->items[i].key.s);
            str_add(&sql, l ? ", false)" : ", true)");
        }
    str_add(&sql, ") AS w(name, is_new) LEFT JOIN pg_catalog.pg_attribute a ON a.attname = w.name "
                  "AND NOT a.attisdropped"
                  " AND a.attrelid = ");
    regclass(&sql, &p->sync);
    /* An identity column and one of a domain with a default have one too, though not by themselves. */
    str_add(&sql, " LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid WHERE a.attnum IS NULL OR "
                  "a.attgenerated <> ''"
                  " OR (w.is_new AND (a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT "
                  "NULL)) ORDER BY 1");
    return take(a, &sql);
}

const char *sync_try_sql(struct arena *a, const struct plan *p, const struct made_column *extra,
                         int n_extra, const char *expr)
{
    AUTO(str) sql = {0};

    str_add(&sql, "SELECT ");
    embed(&sql, expr);
    str_add(&sql, " FROM (SELECT \"table of the sync\".*");
    for (int i = 0; i < n_extra; i++) {
        str_addf(&sql, ", NULL::%s AS ", extra[i].type);
        sql_ident(&sql, extra[i].name);
    }
    str_add(&sql, " FROM ");
    table_name(&sql, &p->sync);
    str_add(&sql, " AS \"table of the sync\") AS ");
    sql_ident(&sql, p->sync.table.s);
    str_add(&sql, " WHERE false AND ");
    embed(&sql, expr);
    str_add(&sql, " IS NULL");
    return arena_strdup(a, str_text(&sql));
}

const char *sync_columns_sql(struct arena *a, const struct plan *p)
{
    AUTO(str) sql = {0};

    str_add(&sql, "SELECT a.attname, CASE WHEN a.attgenerated <> '' THEN 'is generated: nothing "
                  "else can write it' WHEN a.atthasdef OR a.attidentity <> '' OR t.typdefault IS "
                  "NOT NULL THEN 'has a default: an insert that leaves it out can''t be told from "
                  "one that sets it' END, a.attgenerated <> '' FROM pg_catalog.pg_attribute a JOIN "
                  "pg_catalog.pg_type t ON t.oid = a.atttypid WHERE a.attnum > 0 AND NOT "
                  "a.attisdropped AND a.attrelid = ");
    regclass(&sql, &p->sync);
    str_add(&sql, " ORDER BY a.attnum");
    return arena_strdup(a, str_text(&sql));
}

const char *sync_children_sql(struct arena *a, const struct plan *p)
{
    AUTO(str) sql = {0};

    str_add(&sql, "SELECT pg_catalog.string_agg(i.inhrelid::pg_catalog.regclass::pg_catalog.text, "
                  "', ' ORDER BY i.inhrelid::pg_catalog.regclass::pg_catalog.text) FROM "
                  "pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhparent AND "
                  "c.relkind <> 'p' WHERE i.inhparent = ");
    regclass(&sql, &p->sync);
    return arena_strdup(a, str_text(&sql));
}

const char *sync_differs_sql(struct arena *a, const struct plan *p, const struct renamed *renamed,
                             int n_renamed)
{
    struct str sql = {0};

    str_add(&sql, "SELECT pg_catalog.count(*) FROM (SELECT 1 FROM (SELECT x.*");
    for (int i = 0; i < n_renamed; i++) {
        str_add(&sql, ", x.");
        sql_ident(&sql, renamed[i].now);
        str_add(&sql, " AS ");
        sql_ident(&sql, renamed[i].name);
    }
    str_add(&sql, " FROM ");
    table_name(&sql, &p->sync);
    str_add(&sql, " AS x) AS ");
    sql_ident(&sql, p->sync.table.s);
    str_addf(&sql, " WHERE NOT (%s) LIMIT 1000) AS d", sync_agrees_sql(a, p));
    return take(a, &sql);
}

const char *sync_agrees_sql(struct arena *a, const struct plan *p)
{
    struct str sql = {0};

    for (int i = 0; i < p->sync.forward.n; i++) {
        str_add(&sql, i ? " AND " : "");
        sql_ident(&sql, p->sync.forward.items[i].key.s);
        str_add(&sql, " IS NOT DISTINCT FROM ");
        embed(&sql, p->sync.forward.items[i].value.s);
    }
    return take(a, &sql);
}

const char *sync_unwritten_sql(struct arena *a, const struct plan *p)
{
    struct str sql = {0};

    for (int i = 0; i < p->sync.forward.n; i++) {
        str_add(&sql, i ? " AND " : "");
        sql_qualified(&sql, p->sync.table.s, p->sync.forward.items[i].key.s);
        str_add(&sql, " IS NULL");
    }
    return take(a, &sql);
}

bool backfill_is_of_sync(const struct plan *p, const struct backfill_spec *s)
{
    bool same = p->sync.by != SYNC_NONE && !s->insert && strcmp(s->table, p->sync.table.s) == 0;

    for (int i = 0; same && i < s->set.n; i++) {
        bool known = false;
        for (int k = 0; k < p->sync.forward.n; k++)
            known |= strcmp(s->set.items[i].key.s, p->sync.forward.items[k].key.s) == 0;
        same = known;
    }
    return same;
}

bool backfill_is_via(const struct pair *set)
{
    return set->value.s && strcmp(set->value.s, "via") == 0;
}

/* An expression may end in a comment, and what is put after it must not be a part of that. */
static const char *closed(struct arena *a, const char *sql)
{
    return sql && strstr(sql, "--") ? arena_printf(a, "%s\n", sql) : sql;
}

static struct pair_list all_closed(struct arena *a, const struct pair_list *l)
{
    struct pair_list out = *l;

    out.items = arena_array(a, struct pair, l->n + 1);
    for (int i = 0; i < l->n; i++) {
        out.items[i] = l->items[i];
        out.items[i].value.s = closed(a, l->items[i].value.s);
    }
    return out;
}

static const char *insert_of(struct arena *a, const struct backfill *b)
{
    struct str sql = {0};

    str_add(&sql, "INSERT INTO ");
    sql_qualified(&sql, NULL, b->insert_into.s);
    for (int i = 0; i < b->insert_columns.n; i++) {
        str_add(&sql, i ? ", " : " (");
        sql_ident(&sql, b->insert_columns.items[i].s);
    }
    str_addf(&sql, "%s %s", b->insert_columns.n ? ")" : "", closed(a, b->insert_select.s));
    return take(a, &sql);
}

const char *backfill_insert_all(struct arena *a, const struct backfill_spec *s)
{
    struct str sql = {0};

    str_add(&sql, "WITH ");
    sql_ident(&sql, s->table);
    str_add(&sql, " AS (SELECT * FROM ");
    sql_qualified(&sql, s->schema, s->table);
    str_addf(&sql, " WHERE (%s)) %s", s->todo, s->insert);
    return take(a, &sql);
}

bool backfill_spec_of(struct arena *a, const struct plan *p, const struct backfill *b,
                      struct backfill_spec *out, const char **why)
{
    bool other_schema =
        b->table.s && b->schema.s && p->sync.schema.s && strcmp(b->schema.s, p->sync.schema.s) != 0;
    bool from_sync = p->sync.by != SYNC_NONE && !other_schema &&
                     (!b->table.s || strcmp(b->table.s, p->sync.table.s) == 0);
    struct str todo = {0};

    memset(out, 0, sizeof *out);
    if (!b->table.s && p->sync.by == SYNC_NONE) {
        *why = "it names no table, and the plan has no sync to take one from";
        return false;
    }
    out->schema = b->table.s ? b->schema.s : p->sync.schema.s;
    out->table = b->table.s ? b->table.s : p->sync.table.s;
    out->set = all_closed(a, b->set.n == 0 && from_sync ? &p->sync.forward : &b->set);
    out->from = closed(a, b->from.s);
    out->match = closed(a, b->match.s);
    out->tells_left = true;
    out->via = b->via.n > 0 ? &b->via : NULL;
    out->read = &b->read;
    if (b->insert_into.s) {
        out->insert = insert_of(a, b);
        out->set.n = 0;
        out->tells_left = b->where.s != NULL;
        out->todo = b->where.s ? closed(a, b->where.s) : "true";
        return true;
    }
    if (out->set.n == 0) {
        *why = "it says nothing to set, and sync covers another table";
        return false;
    }
    if (b->where.s) {
        out->todo = closed(a, b->where.s);
        return true;
    }
    for (int i = 0; i < out->set.n; i++) {
        str_add(&todo, i ? " OR " : "");
        sql_qualified(&todo, out->table, out->set.items[i].key.s);
        str_add(&todo, " IS DISTINCT FROM ");
        embed(&todo, out->set.items[i].value.s);
    }
    out->todo = take(a, &todo);
    return true;
}
