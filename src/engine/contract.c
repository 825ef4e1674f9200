/* Soft drop, restore and purge of what contract steps want gone. */
#include "internal.h"

#include "sql_embedded.h"

#include <stdlib.h>

struct drop_ctx {
    const struct task *task;
    struct soft_drop row;
    struct sql_list drop, restore, purge, sync;
    bool not_null; /* a column that is NOT NULL as yet */
    int64_t started_ms;
};

static const char *joined(struct arena *a, const struct sql_list *l)
{
    AUTO(str) s = {0};

    for (int i = 0; i < l->n; i++)
        str_addf(&s, "%s%s", i ? "\n;\n" : "", l->items[i]);
    return arena_strdup(a, str_text(&s));
}

/* Stored scripts are statements separated by a line with a lone semicolon. */
void script_split(struct arena *a, const char *text, struct sql_list *out)
{
    memset(out, 0, sizeof *out);
    while (text && *text) {
        const char *end = strstr(text, "\n;\n");
        const char *item = end ? arena_strndup(a, text, (size_t) (end - text)) : text;
        out->items = arena_grow(a, out->items, sizeof *out->items * (size_t) out->n,
                                sizeof *out->items * (size_t) (out->n + 1));
        out->items[out->n++] = item;
        text = end ? end + 3 : NULL;
    }
}

/* The schema in which an unqualified table or view is found, by the user's search_path. */
static bool real_table(struct work *w, const struct sql_stmt *s, const char **schema, bool *found,
                       struct err *err)
{
    AUTO(str) name = {0}, sql = {0};

    sql_qualified(&name, s->schema, s->drop == DROP_VIEW && s->object ? s->object : s->table);
    str_add(&sql, "SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON "
                  "n.oid = c.relnamespace "
                  "WHERE c.oid = pg_catalog.to_regclass(");
    sql_literal(&sql, str_text(&name));
    str_add(&sql, ")");
    if (!ask_value(w->e, w->a, str_text(&sql), w->e->policy.statement_timeout_ms, schema, err))
        return false;
    *found = *schema != NULL;
    return true;
}

static bool sync_fills(const struct work *w, const struct column_facts *c)
{
    const struct sync *sync = &w->p->sync;
    bool fills = false;

    if (sync->by == SYNC_TRIGGER && strcmp(sync->table.s, c->table) == 0)
        for (int i = 0; i < sync->reverse.n; i++)
            fills |= strcmp(sync->reverse.items[i].key.s, c->column) == 0;
    return fills;
}

/* Hidden, a column gets no value from the releases that don't know it any more. NOT NULL can be taken off it; a
 * primary key's or a domain's can't. The sync trigger comes in time for a primary key, for a domain it doesn't. */
static bool can_be_left_out(struct work *w, const struct column_facts *c, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(
            w->e->db, w->a,
            "WITH RECURSIVE col AS (SELECT a.* FROM pg_catalog.pg_attribute a WHERE a.attrelid = "
            "pg_catalog.to_regclass(pg_catalog.format('%I.%I', $1::pg_catalog.text, "
            "$2::pg_catalog.text)) AND a.attname = $3 AND NOT a.atthasdef AND a.attidentity = ''), "
            "typ AS (SELECT t.typbasetype, t.typnotnull FROM col JOIN pg_catalog.pg_type t ON "
            "t.oid "
            "= col.atttypid UNION ALL SELECT t.typbasetype, t.typnotnull FROM typ JOIN "
            "pg_catalog.pg_type t ON t.oid = typ.typbasetype) "
            "SELECT 'is of a domain that is NOT NULL' FROM typ WHERE typ.typnotnull UNION ALL "
            "SELECT 'belongs to primary key ' || pg_catalog.quote_ident(k.conname) FROM col JOIN "
            "pg_catalog.pg_constraint k ON k.conrelid = col.attrelid AND k.contype = 'p' AND "
            "col.attnum = ANY (k.conkey) WHERE NOT $4::pg_catalog.bool",
            &DB_PARAMS(c->schema, c->table, c->column, sync_fills(w, c) ? "true" : "false"), &rows,
            err))
        return false;
    if (rows.n_rows == 0)
        return true;
    err_set(err, ERR_REFUSED, "column %s.%s can't be hidden: it %s, so every INSERT has to give it",
            c->table, c->column, db_cell(&rows, 0, 0));
    err_hint(err, "in a step before this one drop that constraint, or give the column a default");
    return err_reason(err, "not_hideable");
}

static bool column_facts(struct work *w, struct column_facts *c, bool *found, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(
            w->e->db, w->a,
            "SELECT a.attnotnull AND a.attidentity = '' AND NOT EXISTS (SELECT 1 FROM "
            "pg_catalog.pg_index i "
            "WHERE i.indrelid = t.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)), "
            "CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(x.grantee) END, "
            "x.privilege_type || CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END "
            "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class t ON t.oid = a.attrelid "
            "JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace "
            "LEFT JOIN LATERAL pg_catalog.aclexplode(a.attacl) x ON true "
            "WHERE n.nspname = $1 AND t.relname = $2 AND a.attname = $3 AND NOT a.attisdropped "
            "ORDER BY 2, 3",
            &DB_PARAMS(c->schema, c->table, c->column), &rows, err))
        return false;
    *found = rows.n_rows > 0;
    if (!*found)
        return true;
    c->not_null = db_cell(&rows, 0, 0)[0] == 't';
    c->grants.items = arena_array(w->a, struct pair, rows.n_rows);
    for (int i = 0; i < rows.n_rows; i++)
        if (db_cell(&rows, i, 1) && db_cell(&rows, i, 2)) {
            c->grants.items[c->grants.n].key.s = db_cell(&rows, i, 1);
            c->grants.items[c->grants.n++].value.s = db_cell(&rows, i, 2);
        }
    return true;
}

/* The object's and its table's oid under the user's search_path; NULL: not there. */
static bool resolve(struct work *w, const struct sql_stmt *s, const char **object_oid,
                    const char **table_oid, struct err *err)
{
    AUTO(str) object = {0}, table = {0};
    AUTO(err) ignored = {0};
    struct db_rows rows = {0};

    sql_qualified(&object, s->schema, s->object ? s->object : s->table);
    if (s->table)
        sql_qualified(&table, s->schema, s->table);
    bool ok =
        session_user_path(w, true, err) &&
        db_query(w->e->db, w->a,
                 "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid, "
                 "pg_catalog.to_regclass($2)::pg_catalog.oid",
                 &DB_PARAMS(str_text(&object), table.len ? str_text(&table) : NULL), &rows, err);
    if (db_is_usable(w->e->db))
        (void) !session_user_path(w, false, &ignored);
    if (!ok)
        return false;
    *object_oid = db_cell(&rows, 0, 0);
    *table_oid = db_cell(&rows, 0, 1);
    return true;
}

/* An index, constraint or trigger can't be hidden: it is dropped now, and made again from what the server
 * itself says about it, read with an empty search_path so that every name in it is qualified. An index is made
 * again without standing in anyone's way. */
static bool by_definition(struct work *w, const struct sql_stmt *s, struct drop_ctx *c, bool *found,
                          struct err *err)
{
    static const char *const queries[] = {
        [DROP_INDEX] =
            "SELECT CASE WHEN c.relkind = 'I' THEN pg_catalog.pg_get_indexdef(c.oid) ELSE "
            "pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(c.oid), '^(CREATE (UNIQUE "
            ")?INDEX) ', "
            "'\\1 CONCURRENTLY IF NOT EXISTS ') END, n.nspname, "
            "i.indrelid::pg_catalog.regclass::pg_catalog.text "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid WHERE c.oid = $1::pg_catalog.oid",
        [DROP_CONSTRAINT] =
            "SELECT pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s', "
            "c.conrelid::pg_catalog.regclass, c.conname, pg_catalog.pg_get_constraintdef(c.oid)) "
            "FROM pg_catalog.pg_constraint c WHERE c.conrelid = $1::pg_catalog.oid AND c.conname = "
            "$2",
        [DROP_TRIGGER] = "SELECT pg_catalog.pg_get_triggerdef(t.oid) FROM pg_catalog.pg_trigger t "
                         "WHERE t.tgrelid = $1::pg_catalog.oid AND t.tgname = $2",
    };
    const char *object_oid = NULL, *table_oid = NULL;
    struct db_rows rows = {0};
    bool by_table = s->drop == DROP_CONSTRAINT || s->drop == DROP_TRIGGER;

    *found = false;
    if (!resolve(w, s, &object_oid, &table_oid, err))
        return false;
    const char *oid = by_table ? table_oid : object_oid;
    if (!oid)
        return true;
    struct db_params p = {.n = by_table ? 2 : 1, .value = {oid, s->object}};
    if (!db_query(w->e->db, w->a, queries[s->drop], &p, &rows, err))
        return false;
    if (rows.n_rows == 0)
        return true;
    *found = true;
    c->drop = (struct sql_list) {arena_array(w->a, const char *, 1), 1};
    c->drop.items[0] = s->sql;
    c->restore = (struct sql_list) {arena_array(w->a, const char *, 1), 1};
    c->restore.items[0] = db_cell(&rows, 0, 0);
    if (s->drop == DROP_INDEX)
        c->row.schema = db_cell(&rows, 0, 1);
    return true;
}

static bool add_keys(struct work *w, struct drop_ctx *c, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(
            w->e->db, w->a,
            "SELECT n.nspname, t.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid) FROM "
            "pg_catalog.pg_constraint k JOIN pg_catalog.pg_class t ON t.oid = k.conrelid JOIN "
            "pg_catalog.pg_namespace n ON n.oid = t.relnamespace WHERE k.contype = 'f' AND "
            "k.conparentid = 0 AND k.conrelid <> k.confrelid AND k.confrelid = "
            "pg_catalog.to_regclass(pg_catalog.format('%I.%I', $1::pg_catalog.text, "
            "$2::pg_catalog.text)) ORDER BY 1, 2, 3",
            &DB_PARAMS(c->row.schema, c->row.table), &rows, err))
        return false;
    struct foreign_key *keys = arena_array(w->a, struct foreign_key, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++)
        keys[i] = (struct foreign_key) {db_cell(&rows, i, 0), db_cell(&rows, i, 1),
                                        db_cell(&rows, i, 2), db_cell(&rows, i, 3)};
    soft_drop_keys_sql(w->a, keys, rows.n_rows, &c->drop, &c->restore);
    return true;
}

/* Of the schema's table: as the catalogue has it now. */
static bool add_parents(struct work *w, struct drop_ctx *c, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(w->e->db, w->a, sql_select_parents, &DB_PARAMS(c->row.schema, c->row.table),
                  &rows, err))
        return false;
    struct table_parent *parents = arena_array(w->a, struct table_parent, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++)
        parents[i] = (struct table_parent) {db_cell(&rows, i, 0), db_cell(&rows, i, 1),
                                            db_cell(&rows, i, 2)};
    soft_drop_parents_sql(w->a, c->row.schema, c->row.table, parents, rows.n_rows, &c->drop,
                          &c->restore);
    return true;
}

static const char *relation_word(const struct sql_stmt *s)
{
    if (s->drop == DROP_TABLE)
        return "TABLE";
    return strstr(s->kind, "MATERIALIZED") ? "MATERIALIZED VIEW" : "VIEW";
}

static bool prepare_relation(struct work *w, const struct sql_stmt *s, struct drop_ctx *c,
                             struct err *err)
{
    soft_drop_relation_sql(w->a, relation_word(s), c->row.schema, c->row.table, c->row.hidden_name,
                           &c->drop, &c->restore, &c->purge);
    return (s->drop != DROP_TABLE || add_parents(w, c, err)) &&
           (s->drop != DROP_TABLE || !s->cascades || add_keys(w, c, err)) &&
           trap_add(w, c->task->id, &c->row, &c->drop, &c->restore, &c->purge, err);
}

static bool prepare(struct work *w, const struct sql_stmt *s, struct drop_ctx *c, bool *found,
                    struct err *err)
{
    static const char *const kinds[] = {
        [DROP_COLUMN] = "column",         [DROP_TABLE] = "table", [DROP_INDEX] = "index",
        [DROP_CONSTRAINT] = "constraint", [DROP_VIEW] = "view",   [DROP_TRIGGER] = "trigger"};
    const char *schema = NULL;

    *found = false;
    c->row.object_kind = kinds[s->drop];
    if (s->drop != DROP_COLUMN && s->drop != DROP_TABLE && s->drop != DROP_VIEW) {
        c->row.schema = s->schema ? s->schema : "";
        c->row.table = s->table ? s->table : "";
        c->row.original_name = s->object ? s->object : s->table;
        return by_definition(w, s, c, found, err);
    }
    if (!real_table(w, s, &schema, found, err))
        return false;
    if (!*found)
        return true;
    c->row.schema = schema;
    c->row.table = s->drop == DROP_VIEW && s->object ? s->object : s->table;
    c->row.original_name = s->drop == DROP_COLUMN ? s->object : c->row.table;
    c->row.hidden_name = soft_drop_name(w->a, c->row.original_name, server_now_ms(w->e));
    if (s->drop != DROP_COLUMN)
        return prepare_relation(w, s, c, err);
    struct column_facts f = {.schema = schema, .table = s->table, .column = s->object};
    if (!column_facts(w, &f, found, err))
        return false;
    if (!*found)
        return true;
    if (!can_be_left_out(w, &f, err))
        return false;
    c->not_null = f.not_null;
    soft_drop_column_sql(w->a, &f, c->row.hidden_name, &c->drop, &c->restore, &c->purge);
    if (!trap_add(w, c->task->id, &c->row, &c->drop, &c->restore, &c->purge, err))
        return false;
    /* The sync function follows in the same transaction: the hidden column stays current. */
    if (w->p->sync.by == SYNC_TRIGGER && strcmp(w->p->sync.table.s, s->table) == 0)
        return sync_current_sql(w, &c->row, &c->sync, err);
    return true;
}

bool soft_drop_sql(struct work *w, const struct task *t, struct sql_list *drop,
                   struct sql_list *restore, bool *found, const char **lost, struct err *err)
{
    const struct sql_stmt *s = &t->step->stmts[0];
    struct drop_ctx c = {.task = t};

    *lost = NULL;
    if (!prepare(w, s, &c, found, err))
        return false;
    if (*found && c.not_null && !not_null_lost(w, s, lost, err))
        return false;
    *drop = c.drop;
    drop->items = arena_array(w->a, const char *, c.drop.n + c.sync.n + 1);
    for (int i = 0; i < c.drop.n; i++)
        drop->items[i] = c.drop.items[i];
    for (int i = 0; i < c.sync.n; i++)
        drop->items[drop->n++] = c.sync.items[i];
    *restore = c.restore;
    return true;
}

static bool build_drop(struct work *w, struct txn *t, int64_t lock_ms, void *ctx, struct err *err)
{
    struct drop_ctx *c = ctx;

    (void) err;
    txn_begin(w, t, lock_ms, w->e->policy.statement_timeout_ms);
    txn_user_path(w, t);
    for (int i = 0; i < c->drop.n; i++)
        txn_add(t, c->drop.items[i], NULL);
    for (int i = 0; i < c->sync.n; i++)
        txn_add(t, c->sync.items[i], NULL);
    txn_own_path(t);
    ledger_soft_drop_untouched_call(c->row.plan, c->row.step, txn_slot(t));
    ledger_soft_drop_call(w->a, &c->row, txn_slot(t));
    record_task(w, t, c->task, "done", clock_mono_ms(w->e->ports->clock) - c->started_ms,
                joined(w->a, &c->drop), c->row.restore_sql, NULL);
    return true;
}

/* What an earlier run recorded of this step and may have dropped before it died. */
static bool find_mine(struct work *w, const struct task *t, struct soft_drop **out, struct err *err)
{
    struct soft_drop *d = NULL;
    int n = 0;

    *out = NULL;
    if (!ledger_soft_drops(w->e->db, w->a, w->p->id.s, &d, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (strcmp(d[i].step, t->id) == 0 && !d[i].restored_at_ms && !d[i].purged_at_ms)
            *out = &d[i];
    return true;
}

/* What can't run in a transaction: its definition is recorded before it is dropped, or it would be lost. */
static bool drop_alone(struct work *w, const struct sql_stmt *s, struct drop_ctx *c,
                       struct err *err)
{
    struct txn t;

    txn_begin(w, &t, w->e->policy.lock_timeout_ms, w->e->policy.statement_timeout_ms);
    if (!c->row.id)
        ledger_soft_drop_call(w->a, &c->row, txn_slot(&t));
    record_task(w, &t, c->task, "started", 0, s->sql, c->row.restore_sql, NULL);
    return txn_commit(w, &t, err) &&
           step_statement_standalone(w, s, w->e->policy.lock_timeout_ms, err) &&
           record_task_now(w, c->task, "done", clock_mono_ms(w->e->ports->clock) - c->started_ms,
                           s->sql, c->row.restore_sql, NULL, err);
}

static bool nothing_to_drop(struct work *w, const struct task *t, const struct soft_drop *mine,
                            struct err *err)
{
    const char *sql = t->step->stmts[0].sql;

    if (mine) {
        report_task(w, t, "done", 0, "done before, recorded now");
        return record_task_now(w, t, "done", 0, sql, mine->restore_sql, NULL, err);
    }
    emit(w, EVENT_SKIPPED, t->id, "already in place: there's nothing to drop");
    report_task(w, t, "skipped", 0, "already gone");
    return record_task_now(w, t, "skipped", 0, sql, NULL, NULL, err);
}

static void fill_row(struct work *w, const struct task *t, const struct soft_drop *mine,
                     struct drop_ctx *c)
{
    int64_t hold = w->p->phases[PHASE_CONTRACT].hold_ms;

    c->row.id = mine ? mine->id : 0;
    c->row.plan = w->p->id.s;
    c->row.step = t->id;
    c->row.owner = w->e->actor;
    c->row.restore_sql = joined(w->a, &c->restore);
    c->row.purge_sql = joined(w->a, &c->purge);
    c->row.dropped_at_ms = server_now_ms(w->e);
    c->row.expires_at_ms =
        c->row.dropped_at_ms + (hold != MODEL_UNSET ? hold : w->e->policy.hold_ms);
}

bool soft_drop_run(struct work *w, const struct task *t, struct err *err)
{
    const struct sql_stmt *s = &t->step->stmts[0];
    struct drop_ctx c = {.task = t, .started_ms = clock_mono_ms(w->e->ports->clock)};
    struct soft_drop *mine;
    bool found = false;
    const char *lost = NULL;

    if (!find_mine(w, t, &mine, err) || !prepare(w, s, &c, &found, err))
        return false;
    if (!found)
        return nothing_to_drop(w, t, mine, err);
    if (c.not_null && !not_null_lost(w, s, &lost, err))
        return false;
    if (lost)
        emit(w, EVENT_WARNING, t->id, "%s", lost);
    fill_row(w, t, mine, &c);
    bool ok = s->standalone ? drop_alone(w, s, &c, err)
                            : txn_retry(w, table_text(w, s->schema, s->table),
                                        w->e->policy.lock_timeout_ms, build_drop, &c, err);
    if (!ok)
        return false;
    if (c.row.hidden_name)
        trap_watch(w, t->id);
    report_task(w, t, "done", clock_mono_ms(w->e->ports->clock) - c.started_ms,
                c.row.hidden_name ? arena_printf(w->a, "hidden as %s", c.row.hidden_name)
                                  : "definition kept");
    return true;
}

/* For messages and lock holders; NULL where the ledger has no table of it. */
static const char *table_of(struct work *w, const struct soft_drop *d)
{
    return *d->table ? table_text(w, *d->schema ? d->schema : NULL, d->table) : NULL;
}

/* ---- restore ---------------------------------------------------------------------------------------------- */

static bool build_restore(struct work *w, struct txn *t, int64_t lock_ms, void *ctx,
                          struct err *err)
{
    struct drop_ctx *c = ctx;

    (void) err;
    txn_begin(w, t, lock_ms, w->e->policy.statement_timeout_ms);
    txn_user_path(w, t);
    for (int i = 0; i < c->restore.n; i++)
        txn_add(t, c->restore.items[i], NULL);
    for (int i = 0; i < c->sync.n; i++)
        txn_add(t, c->sync.items[i], NULL);
    txn_own_path(t);
    ledger_soft_drop_restored_call(w->a, c->row.id, txn_slot(t));
    record_task(w, t, c->task, "undone", clock_mono_ms(w->e->ports->clock) - c->started_ms,
                c->row.restore_sql, NULL, NULL);
    return true;
}

/* Built without blocking writers; what an interrupted build or drop left is removed first. */
static bool restore_index(struct work *w, const struct soft_drop *d, struct drop_ctx *c,
                          struct err *err)
{
    AUTO(str) name = {0}, half = {0};
    struct txn t;

    sql_qualified(&name, d->schema, d->original_name);
    str_add(&half, "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_index WHERE NOT indisvalid AND "
                   "indexrelid = pg_catalog.to_regclass(");
    sql_literal(&half, str_text(&name));
    str_add(&half, "))");
    struct sql_stmt s = {.sql = d->restore_sql,
                         .kind = "CREATE INDEX CONCURRENTLY",
                         .object = d->original_name,
                         .half_made_when = arena_strdup(w->a, str_text(&half)),
                         .clean_up =
                             arena_printf(w->a, "DROP INDEX CONCURRENTLY %s", str_text(&name))};
    if (!step_statement_standalone(w, &s, w->e->policy.lock_timeout_ms, err))
        return false;
    txn_begin(w, &t, w->e->policy.lock_timeout_ms, w->e->policy.statement_timeout_ms);
    ledger_soft_drop_restored_call(w->a, d->id, txn_slot(&t));
    record_task(w, &t, c->task, "undone", clock_mono_ms(w->e->ports->clock) - c->started_ms,
                d->restore_sql, NULL, NULL);
    return txn_commit(w, &t, err);
}

const char *soft_drop_shown(struct arena *a, const struct soft_drop *d)
{
    return strcmp(d->object_kind, "column") == 0
               ? arena_printf(a, "%s.%s", d->table, d->original_name)
               : d->original_name;
}

/* What was made or written since it was hidden is in its way: that has to go first. */
static bool say_what_is_in_the_way(struct work *w, const struct soft_drop *d, struct err *err)
{
    static const struct {
        const char *sqlstate, *what;
    } ways[] = {
        {"23514", "rows came in its place: move them elsewhere"},
        {"23503", "rows came that refer to nothing: take them away, or give them a parent"},
        {"23505", "rows came that are alike by its key: leave one of them"},
        {"42P07", "something else has its name: rename it, or drop it"},
        {"42701", "another column has its name: rename it, or drop it"},
        {"42710", "something else has its name: rename it, or drop it"},
    };

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(err->sqlstate, ways[i].sqlstate) == 0 && err->hint.len == 0)
            err_hint(err, "%s, then: phasegate restore %s", ways[i].what, w->p->id.s);
    return err_note(err, "restoring %s %s", d->object_kind, soft_drop_shown(w->a, d));
}

static bool restore_one(struct work *w, const struct soft_drop *d, struct err *err)
{
    struct task task = {.kind = TASK_SOFT_DROP,
                        .id = d->step,
                        .title =
                            arena_printf(w->a, "restore %s %s", d->object_kind, d->original_name)};
    struct drop_ctx c = {.task = &task, .row = *d, .started_ms = clock_mono_ms(w->e->ports->clock)};

    script_split(w->a, d->restore_sql, &c.restore);
    if (w->p->sync.by == SYNC_TRIGGER && strcmp(d->object_kind, "column") == 0 &&
        strcmp(d->table, w->p->sync.table.s) == 0) {
        struct soft_drop gone = *d;
        gone.hidden_name = NULL;
        if (!sync_current_sql(w, &gone, &c.sync, err))
            return false;
    }
    emit(w, EVENT_START, d->step, "%s", task.title);
    bool alone = strcmp(d->object_kind, "index") == 0 && strstr(d->restore_sql, " CONCURRENTLY ");
    if (!(alone
              ? restore_index(w, d, &c, err)
              : txn_retry(w, table_of(w, d), w->e->policy.lock_timeout_ms, build_restore, &c, err)))
        return say_what_is_in_the_way(w, d, err);
    report_task(w, &task, "undone", clock_mono_ms(w->e->ports->clock) - c.started_ms, NULL);
    return true;
}

/* Newest first: the reverse of the order in which things were hidden; then the other steps of contract. */
bool restore_run(struct work *w, struct err *err)
{
    struct soft_drop *d = NULL;
    int n = 0;

    w->phase = PHASE_CONTRACT;
    if (!ledger_soft_drops(w->e->db, w->a, w->p->id.s, &d, &n, err))
        return false;
    for (int i = n - 1; i >= 0; i--) {
        if (d[i].restored_at_ms || d[i].purged_at_ms)
            continue;
        if (!restore_one(w, &d[i], err))
            return false;
    }
    return undo_phase(w, err);
}

/* ---- purge ------------------------------------------------------------------------------------------------- */

static bool build_purge(struct work *w, struct txn *t, int64_t lock_ms, void *ctx, struct err *err)
{
    struct drop_ctx *c = ctx;

    (void) err;
    txn_begin(w, t, lock_ms, w->e->policy.statement_timeout_ms);
    txn_user_path(w, t);
    for (int i = 0; i < c->purge.n; i++)
        txn_add(t, c->purge.items[i], NULL);
    txn_own_path(t);
    ledger_soft_drop_purged_call(w->a, c->row.id, txn_slot(t));
    record_task(w, t, c->task, "done", clock_mono_ms(w->e->ports->clock) - c->started_ms,
                c->row.purge_sql, NULL, NULL);
    return true;
}

bool purge_drop_run(struct work *w, const struct task *t, struct err *err)
{
    struct soft_drop *d = NULL;
    int n = 0;
    struct drop_ctx c = {.task = t, .started_ms = clock_mono_ms(w->e->ports->clock)};

    if (!ledger_soft_drops(w->e->db, w->a, w->p->id.s, &d, &n, err))
        return false;
    for (int i = n - 1; i >= 0; i--) {
        if (strcmp(d[i].step, t->id + strlen("purge/")) != 0 || d[i].restored_at_ms ||
            d[i].purged_at_ms)
            continue;
        c.row = d[i];
        script_split(w->a, d[i].purge_sql, &c.purge);
        if (!txn_retry(w, table_of(w, &d[i]), w->e->policy.lock_timeout_ms, build_purge, &c, err))
            return dependants_told(w, &d[i], err);
        report_task(w, t, "done", clock_mono_ms(w->e->ports->clock) - c.started_ms,
                    d[i].hidden_name);
        return true;
    }
    report_task(w, t, "skipped", 0, "nothing was hidden");
    return record_task_now(w, t, "skipped", 0, NULL, NULL, NULL, err);
}
