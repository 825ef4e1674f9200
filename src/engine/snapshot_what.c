/* What a plan's purge will destroy: tables and columns, under the names that they have just now. */
#include "snapshot.h"

#include "sql_embedded.h"

#include <stdlib.h>

struct gathering {
    struct work *w;
    struct soft_drop *drops;
    int n_drops;
    struct snapshot_part *parts;
    int n, cap;
};

static bool is_hidden(const struct soft_drop *d) { return !d->restored_at_ms && !d->purged_at_ms; }

static const struct soft_drop *hidden_by(const struct gathering *g, const char *step)
{
    for (int i = g->n_drops - 1; i >= 0; i--)
        if (strcmp(g->drops[i].step, step) == 0 && is_hidden(&g->drops[i]))
            return &g->drops[i];
    return NULL;
}

/* The part of this table, a new one where there is none. */
static struct snapshot_part *part_of(struct gathering *g, const char *schema, const char *table)
{
    for (int i = 0; i < g->n; i++)
        if (strcmp(g->parts[i].schema, schema) == 0 && strcmp(g->parts[i].table, table) == 0)
            return &g->parts[i];
    g->parts = arena_more(g->w->a, g->parts, sizeof *g->parts, g->n);
    g->parts[g->n] = (struct snapshot_part) {
        .schema = schema, .table = table, .now_schema = schema, .now_table = table};
    return &g->parts[g->n++];
}

static void add_column(struct gathering *g, struct snapshot_part *p, const char *name,
                       const char *now)
{
    struct snapshot_column *known = arena_array(g->w->a, struct snapshot_column, p->n_known + 1);

    for (int i = 0; i < p->n_known; i++) {
        if (strcmp(p->known[i].name, name) == 0)
            return;
        known[i] = p->known[i];
    }
    known[p->n_known] = (struct snapshot_column) {name, now, NULL};
    p->known = known;
    p->n_known++;
}

static void add_hidden(struct gathering *g, const struct soft_drop *d)
{
    struct snapshot_part *p;

    if (strcmp(d->object_kind, "column") == 0) {
        p = part_of(g, d->schema, d->table);
        add_column(g, p, d->original_name, d->hidden_name);
    } else if (strcmp(d->object_kind, "table") == 0) {
        p = part_of(g, d->schema, d->original_name);
        p->now_schema = HOLD_SCHEMA;
        p->now_table = d->hidden_name;
        p->whole = true;
    }
}

/* Not hidden, or not to be: under its own name, if it's there. column NULL: all of the table. out_found NULL: it may be
 * missing. */
static bool add_live(struct gathering *g, const char *schema, const char *table, const char *column,
                     bool *out_found, struct err *err)
{
    AUTO(str) name = {0};
    struct db_rows rows = {0};

    sql_qualified(&name, schema, table);
    if (!ask_rows(g->w->e, g->w->a, NULL, sql_select_snapshot_table, &DB_PARAMS(str_text(&name)),
                  g->w->e->policy.statement_timeout_ms, &rows, err))
        return false;
    if (out_found)
        *out_found = rows.n_rows > 0;
    if (rows.n_rows == 0)
        return true;
    struct snapshot_part *p = part_of(g, db_cell(&rows, 0, 0), db_cell(&rows, 0, 1));
    if (column)
        add_column(g, p, column, column);
    else
        p->whole = true;
    return true;
}

/* A step that runs as it is written: what it touches. INSERT destroys nothing. */
static bool add_statement(struct gathering *g, const struct sql_stmt *s, struct err *err)
{
    bool is_type = strstr(s->kind, "COLUMN TYPE") && s->object;
    bool is_rows = strcmp(s->kind, "DELETE") == 0 || strcmp(s->kind, "UPDATE") == 0 ||
                   strcmp(s->kind, "TRUNCATE") == 0 || strcmp(s->kind, "MERGE") == 0;

    if (!s->table)
        return true;
    if (s->drop == DROP_COLUMN || is_type)
        return add_live(g, s->schema, s->table, s->object, NULL, err);
    return s->drop == DROP_TABLE || is_rows ? add_live(g, s->schema, s->table, NULL, NULL, err)
                                            : true;
}

static bool by_steps(struct gathering *g, struct err *err)
{
    struct script script;

    plan_script(g->w->a, g->w->p, PHASE_CONTRACT, true, &script);
    for (int i = 0; i < script.n; i++) {
        const struct task *t = &script.tasks[i];
        const struct soft_drop *d =
            t->kind == TASK_PURGE_DROP ? hidden_by(g, t->id + strlen("purge/")) : NULL;

        if (d)
            add_hidden(g, d);
        for (int k = 0; !d && t->step && k < t->step->n_stmts; k++)
            if (!task_is_done(g->w, t) && !add_statement(g, &t->step->stmts[k], err))
                return false;
    }
    return true;
}

/* "schema.table" or "table", as the plan's snapshot: has it. */
static void split(struct arena *a, const char *text, const char **schema, const char **name)
{
    const char *dot = strrchr(text, '.');

    *schema = dot ? arena_strndup(a, text, (size_t) (dot - text)) : NULL;
    *name = dot ? dot + 1 : text;
}

/* NULL: nothing of that name was ever hidden; it may have been purged since. */
static const struct soft_drop *dropped(const struct gathering *g, const char *schema,
                                       const char *table, const char *column)
{
    for (int i = g->n_drops - 1; i >= 0; i--) {
        const struct soft_drop *d = &g->drops[i];

        if (!d->restored_at_ms && (!schema || strcmp(d->schema, schema) == 0) &&
            strcmp(d->object_kind, column ? "column" : "table") == 0 &&
            strcmp(d->table, table) == 0 && (!column || strcmp(d->original_name, column) == 0))
            return d;
    }
    return NULL;
}

/* What a typing error names would be destroyed without being saved. */
static bool refuse_name(const struct pos *at, const char *what, const char *name, struct err *err)
{
    err_set(err, ERR_INPUT, "%s:%d: snapshot: names %s %s, which isn't there", at->file, at->line,
            what, name);
    return err_hint(err,
                    "mend the name, or leave snapshot: out: then what the steps destroy is saved");
}

static bool add_named(struct gathering *g, const struct text *named, const char *relation,
                      const char *column, struct err *err)
{
    const char *schema, *table;
    bool found = false;

    split(g->w->a, relation, &schema, &table);
    const struct soft_drop *d = dropped(g, schema, table, column);
    /* A column of a table that goes: it's saved with all of it. */
    if (!d && column)
        d = dropped(g, schema, table, NULL);
    if (d && is_hidden(d))
        add_hidden(g, d);
    if (d)
        return true;
    return add_live(g, schema, table, column, &found, err) &&
           (found || refuse_name(&named->at, "the table", relation, err));
}

/* A column that was named and isn't one of the table's. */
static bool has_columns(const struct gathering *g, const struct snapshot_part *p,
                        const struct phase_plan *ph, struct err *err)
{
    for (int i = 0; i < p->n_known; i++) {
        bool found = false;

        for (int k = 0; k < p->n_columns; k++)
            found |= strcmp(p->columns[k].name, p->known[i].name) == 0;
        for (int k = 0; !found && k < ph->snapshot_columns.n; k++) {
            const struct text *t = &ph->snapshot_columns.items[k];
            const char *table, *column;

            split(g->w->a, t->s, &table, &column);
            if (strcmp(column, p->known[i].name) == 0 && !dropped(g, p->schema, p->table, column))
                return refuse_name(&t->at, "the column", t->s, err);
        }
    }
    return true;
}

static bool by_plan(struct gathering *g, const struct phase_plan *ph, struct err *err)
{
    for (int i = 0; i < ph->snapshot_tables.n; i++)
        if (!add_named(g, &ph->snapshot_tables.items[i], ph->snapshot_tables.items[i].s, NULL, err))
            return false;
    for (int i = 0; i < ph->snapshot_columns.n; i++) {
        const char *table, *column;

        split(g->w->a, ph->snapshot_columns.items[i].s, &table, &column);
        if (!add_named(g, &ph->snapshot_columns.items[i], table, column, err))
            return false;
    }
    return true;
}

/* A table that is taken whole may have hidden columns as well. */
static void name_hidden(struct gathering *g)
{
    for (int i = 0; i < g->n; i++)
        for (int k = 0; g->parts[i].whole && k < g->n_drops; k++) {
            const struct soft_drop *d = &g->drops[k];

            if (is_hidden(d) && strcmp(d->object_kind, "column") == 0 &&
                strcmp(d->schema, g->parts[i].schema) == 0 &&
                strcmp(d->table, g->parts[i].table) == 0)
                add_column(g, &g->parts[i], d->original_name, d->hidden_name);
        }
}

bool snapshot_what(struct work *w, struct snapshot_part **out, int *out_n, struct err *err)
{
    const struct phase_plan *ph = &w->p->phases[PHASE_CONTRACT];
    struct gathering g = {.w = w};

    *out_n = 0;
    if (!ph->present)
        return true;
    w->phase = PHASE_CONTRACT;
    if (!ledger_soft_drops(w->e->db, w->a, w->p->id.s, &g.drops, &g.n_drops, err) ||
        !(ph->snapshot_tables.n || ph->snapshot_columns.n ? by_plan(&g, ph, err)
                                                          : by_steps(&g, err)))
        return false;
    name_hidden(&g);
    for (int i = 0; i < g.n; i++) {
        bool found = false;

        if (!snapshot_describe(w->e->db, w->a, &g.parts[i], &found, err) ||
            !has_columns(&g, &g.parts[i], ph, err))
            return false;
        if (found)
            g.parts[(*out_n)++] = g.parts[i];
    }
    *out = g.parts;
    return true;
}
