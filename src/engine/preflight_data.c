/* The rows that are there: data checks that the plan states, and what its statements will ask of them. */
#include "preflight_int.h"

#include "phasegate/data_needs.h"
#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

enum { EXAMPLES = 5 };
#define COUNT_UP_TO 1000000LL
#define DATA_MS PREFLIGHT_DATA_MS

/* ---- declared ------------------------------------------------------------------------------------------- */

const char *preflight_expectation(struct arena *a, const struct cond *c)
{
    return arena_printf(a, "%s %s", cond_op_word(c->op), c->value ? c->value : "");
}

static bool ask_declared(struct preflighting *f, const struct check *k, struct err *err)
{
    struct preflight_check *c = preflight_add(f, "data", k->id.s, k->sql.s);
    const char *v = NULL;

    c->at = k->at;
    if (!ask_value(f->e, f->a, k->sql.s, DATA_MS, &v, err))
        return preflight_unknown(f, c, err);
    bool holds = cond_holds(&k->expect, v, NULL);
    const char *help =
        k->fix.s ? arena_printf(f->a, "the plan's own fix: %s", k->fix.s) : k->because.s;
    preflight_settle(f, c, holds ? PREFLIGHT_PASS : PREFLIGHT_NO_GO, v ? v : "no value",
                     preflight_expectation(f->a, &k->expect), holds ? NULL : help);
    return true;
}

/* ---- derived -------------------------------------------------------------------------------------------- */

/* Is what the server misses something that this phase makes before? */
static bool is_made_here(const struct preflighting *f, const char *words)
{
    const struct step_list *steps = &f->p->phases[f->phase].steps;

    for (int i = 0; i < steps->n; i++)
        for (int k = 0; k < steps->items[i].n_stmts; k++) {
            const struct sql_stmt *s = &steps->items[i].stmts[k];
            const char *made = strstr(s->kind, "ADD COLUMN") ? s->object : NULL;

            if (made && strstr(words, arena_printf(f->a, "column \"%s\" does not exist", made)))
                return true;
        }
    return false;
}

static bool not_yet(struct preflighting *f, struct preflight_check *c, struct err *err)
{
    bool misses = strcmp(err->sqlstate, "42703") == 0 || strcmp(err->sqlstate, "42P01") == 0;

    if (!misses || !is_made_here(f, str_text(&err->message)))
        return preflight_unknown(f, c, err);
    err_clear(err);
    preflight_settle(f, c, PREFLIGHT_PASS, "made by this phase: there is nothing to count yet",
                     "none", NULL);
    return true;
}

static const char *subject(struct preflighting *f, const struct data_need *n, const char *table)
{
    const char *what = n->constraint  ? n->constraint
                       : n->keys      ? n->keys
                       : n->n_columns ? n->columns[0]
                                      : n->condition;

    return arena_printf(f->a, "%s (%s)", table, what ? what : data_need_word(n->kind));
}

static const char *mend(enum data_need_kind k)
{
    switch (k) {
    case NEED_NOT_NULL:
        return "fill them first: a backfill in an earlier phase, or data_checks: with a fix";
    case NEED_CHECK: return "change these rows first, or state the CHECK as they have it";
    case NEED_FOREIGN_KEY: return "give them a parent, or NULL, first";
    case NEED_UNIQUE: return "decide which of them stay, first";
    case NEED_CAST: return "change these values first, or say in USING what becomes of them";
    case NEED_FILLED:
        return "let the expression give a value (coalesce), or leave these rows out in where:";
    case NEED_VALIDATED: return "change these rows first";
    case NEED_NO_ROWS: return "give it a DEFAULT, or add it without NOT NULL and fill it";
    case NEED_TAKEN:
        return "leave them out: where: that is false once a row is there, or ON CONFLICT in "
               "select:";
    case NEED_EXCLUDE: return "change these rows first, or leave them out in WHERE";
    case NEED_BOUND: return "move these rows elsewhere first, or attach it with wider bounds";
    }
    return NULL;
}

static bool take_examples(struct preflighting *f, struct preflight_check *c,
                          const struct data_need *n, const char *key, struct err *err)
{
    const char *sql = data_need_examples(f->a, n, key, EXAMPLES);
    struct db_rows rows = {0};

    if (!ask_rows(f->e, f->a, NULL, sql, &DB_NO_PARAMS, DATA_MS, &rows, err)) {
        /* The count stands without them. */
        if (!db_is_usable(f->e->db) || err_is(err, ERR_INTERRUPTED))
            return false;
        err_clear(err);
        return true;
    }
    c->examples = arena_array(f->a, const char *, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++)
        if (db_cell(&rows, i, 0))
            c->examples[c->n_examples++] = db_cell(&rows, i, 0);
    return true;
}

static void count_found(struct preflighting *f, struct preflight_check *c,
                        const struct data_need *n, int64_t found)
{
    const char *word = data_need_word(n->kind);

    preflight_settle(f, c,
                     !found        ? PREFLIGHT_PASS
                     : f->of_purge ? PREFLIGHT_WARN
                                   : PREFLIGHT_NO_GO,
                     found == 0 ? arena_printf(f->a, "no %s", word)
                                : arena_printf(f->a, "%lld%s %s", (long long) found,
                                               found >= COUNT_UP_TO ? " or more" : "", word),
                     f->of_purge ? "none when it is purged" : "none", found ? mend(n->kind) : NULL);
}

/* "count|example|example" */
static bool ask_cast(struct preflighting *f, struct preflight_check *c, const struct data_need *n,
                     const char *key, struct err *err)
{
    const char *try = data_need_try(f->a, n, key, EXAMPLES), *v = NULL;
    struct db_rows rows = {0};

    c->sql = try;
    if (!try) {
        preflight_settle(f, c, PREFLIGHT_WARN, "not measured: its expression can't be told apart",
                         "none", NULL);
        return true;
    }
    if (!ask_rows(f->e, f->a, try, sql_preflight_failed, &DB_NO_PARAMS, DATA_MS, &rows, err))
        return not_yet(f, c, err);
    v = rows.n_rows ? db_cell(&rows, 0, 0) : NULL;
    c->examples = arena_array(f->a, const char *, EXAMPLES);
    for (const char *at = v ? strchr(v, '|') : NULL; at && c->n_examples < EXAMPLES;) {
        const char *end = strchr(at + 1, '|');
        c->examples[c->n_examples++] =
            arena_strndup(f->a, at + 1, end ? (size_t) (end - at - 1) : strlen(at + 1));
        at = end;
    }
    count_found(f, c, n, v ? strtoll(v, NULL, 10) : 0);
    return true;
}

static bool ask_count(struct preflighting *f, struct preflight_check *c, const struct data_need *n,
                      const char *key, struct err *err)
{
    const char *v = NULL;

    c->sql = data_need_count(f->a, n, COUNT_UP_TO);
    if (!c->sql) {
        preflight_settle(f, c, PREFLIGHT_WARN, "not measured: nothing says which rows it is about",
                         "none", NULL);
        return true;
    }
    if (!ask_value(f->e, f->a, c->sql, DATA_MS, &v, err))
        return not_yet(f, c, err);
    count_found(f, c, n, v ? strtoll(v, NULL, 10) : 0);
    return c->outcome == PREFLIGHT_PASS || take_examples(f, c, n, key, err);
}

/* A key of expressions isn't asked: only the parent could compute it. */
static bool complete_bound(struct preflighting *f, struct data_need *n, struct err *err)
{
    struct db_rows rows = {0};
    AUTO(str) name = {0};
    bool is_known = true;

    sql_qualified(&name, n->ref_schema, n->ref_table);
    if (!ask_rows(f->e, f->a, NULL, sql_preflight_partition_key, &DB_PARAMS(str_text(&name)),
                  f->e->policy.statement_timeout_ms, &rows, err))
        return false;
    n->bound.keys = arena_array(f->a, const char *, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++) {
        is_known &= db_cell(&rows, i, 0) != NULL;
        n->bound.keys[i] = db_cell(&rows, i, 0);
    }
    n->bound.n_keys = is_known ? rows.n_rows : 0;
    return true;
}

/* A FOREIGN KEY that names no columns means the other table's primary key. */
static bool complete(struct preflighting *f, struct data_need *n, struct err *err)
{
    struct db_rows table = {0}, rows = {0};
    AUTO(str) name = {0};

    if (n->kind == NEED_BOUND)
        return complete_bound(f, n, err);
    if (n->kind != NEED_FOREIGN_KEY || n->n_ref_columns > 0)
        return true;
    sql_qualified(&name, n->ref_schema, n->ref_table);
    if (!ask_rows(f->e, f->a, NULL, sql_preflight_table, &DB_PARAMS(str_text(&name)),
                  f->e->policy.statement_timeout_ms, &table, err))
        return false;
    if (table.n_rows == 0)
        return true;
    if (!ask_own(f->e, f->a, sql_preflight_key, &DB_PARAMS(db_cell(&table, 0, 0)), &rows, err))
        return false;
    n->ref_columns = arena_array(f->a, const char *, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++)
        n->ref_columns[n->n_ref_columns++] = db_cell(&rows, i, 0);
    return true;
}

static bool ask_need(struct preflighting *f, struct data_need *n, struct err *err)
{
    const struct touched *t = preflight_table(f, n->schema, n->table);

    if (!t || !t->oid)
        return true; /* the phase makes the table: it has no rows */
    struct preflight_check *c = preflight_add(f, "rows", subject(f, n, t->name), NULL);
    c->at = n->at;
    if (t->is_changed) {
        preflight_settle(f, c, PREFLIGHT_PASS,
                         "this phase changes its rows before that: there is nothing to count yet",
                         "none", NULL);
        return true;
    }
    if (!complete(f, n, err))
        return preflight_unknown(f, c, err);
    return n->kind == NEED_CAST ? ask_cast(f, c, n, t->key, err) : ask_count(f, c, n, t->key, err);
}

/* ---- VALIDATE CONSTRAINT ---------------------------------------------------------------------------------- */

/* As the plan has it, in this phase or in one before. */
static bool in_plan(struct preflighting *f, const struct data_need *wanted,
                    struct data_need_list *out)
{
    for (int ph = PHASE_FIRST; ph <= (int) f->phase; ph++) {
        const struct step_list *steps = &f->p->phases[ph].steps;

        for (int i = 0; i < steps->n; i++)
            for (int k = 0; k < steps->items[i].n_stmts; k++) {
                data_needs_of(f->a, &steps->items[i].stmts[k], out);
                if (out->n && out->items[0].is_deferred && out->items[0].constraint &&
                    strcmp(out->items[0].constraint, wanted->constraint) == 0)
                    return true;
            }
    }
    return false;
}

static bool ask_validated(struct preflighting *f, const struct data_need *n, struct err *err)
{
    const struct touched *t = preflight_table(f, n->schema, n->table);
    struct data_need_list l = {0};
    struct db_rows rows = {0};

    if (!t || !t->oid)
        return true;
    if (!ask_own(f->e, f->a, sql_preflight_constraint, &DB_PARAMS(t->oid, n->constraint), &rows,
                 err))
        return false;
    if (rows.n_rows > 0 && strcmp(db_cell(&rows, 0, 0), "t") == 0)
        return true; /* is valid already */
    if (rows.n_rows > 0)
        data_needs_of(f->a, &(struct sql_stmt) {.sql = db_cell(&rows, 0, 1), .at = n->at}, &l);
    else if (!in_plan(f, n, &l))
        return true; /* the statement will say that there is no such constraint */
    for (int i = 0; i < l.n; i++) {
        l.items[i].constraint = n->constraint;
        l.items[i].schema = n->schema;
        l.items[i].table = n->table;
        if (!ask_need(f, &l.items[i], err))
            return false;
    }
    return true;
}

/* A program may do anything to anybody's rows. */
static void note_changes(struct preflighting *f, const struct step *s)
{
    for (int i = 0; i < f->n_tables && s->command.n > 0; i++)
        f->tables[i].is_changed = true;
    for (int i = 0; i < s->n_stmts; i++) {
        struct touched *t = s->stmts[i].class == SQL_DATA
                                ? preflight_table(f, s->stmts[i].schema, s->stmts[i].table)
                                : NULL;
        if (t)
            t->is_changed = true;
    }
}

static bool ask_step(struct preflighting *f, const struct step *s, struct err *err)
{
    for (int i = 0; i < s->n_stmts; i++) {
        struct data_need_list l;

        data_needs_of(f->a, &s->stmts[i], &l);
        for (int k = 0; k < l.n; k++) {
            struct data_need *n = &l.items[k];

            if (n->is_deferred)
                continue;
            if (!(n->kind == NEED_VALIDATED ? ask_validated(f, n, err) : ask_need(f, n, err)))
                return false;
        }
    }
    note_changes(f, s);
    return true;
}

/* ---- backfills -------------------------------------------------------------------------------------------- */

static const char *columns_of(struct preflighting *f, const struct text_list *l, bool as_array)
{
    AUTO(str) s = {0};

    for (int i = 0; i < l->n; i++) {
        str_add(&s, i ? ", " : "");
        if (as_array)
            sql_element(&s, l->items[i].s);
        else
            sql_ident(&s, l->items[i].s);
    }
    return arena_printf(f->a, as_array ? "{%s}" : "%s", str_text(&s));
}

/* ON CONFLICT says what becomes of those. */
static bool ask_insert(struct preflighting *f, const struct backfill *b,
                       const struct backfill_spec *spec, struct err *err)
{
    const struct touched *t = preflight_table(f, NULL, b->insert_into.s);
    struct db_rows keys = {0};

    if (!t || !t->oid || !b->insert_columns.n || strcasestr(b->insert_select.s, "on conflict"))
        return true;
    if (!ask_own(f->e, f->a, sql_preflight_unique_keys,
                 &DB_PARAMS(t->oid, columns_of(f, &b->insert_columns, true)), &keys, err))
        return false;
    for (int i = 0; i < keys.n_rows; i++) {
        struct data_need n = {.kind = NEED_TAKEN,
                              .at = b->at,
                              .table = b->insert_into.s,
                              .constraint = db_cell(&keys, i, 0),
                              .keys = db_cell(&keys, i, 1),
                              .ref_schema = spec->schema,
                              .ref_table = spec->table,
                              .condition = spec->todo,
                              .select = b->insert_select.s,
                              .columns_sql = columns_of(f, &b->insert_columns, false)};
        if (!ask_need(f, &n, err))
            return false;
    }
    return true;
}

/* What is made for the rows that are there has to be something where the column takes no NULL. */
static bool ask_fill(struct preflighting *f, const struct backfill *b, struct err *err)
{
    struct backfill_spec spec;
    const char *why = NULL;
    struct db_rows full = {0};

    if (!backfill_spec_of(f->a, f->p, b, &spec, &why))
        return true;
    if (spec.insert)
        return ask_insert(f, b, &spec, err);
    const struct touched *t = preflight_table(f, spec.schema, spec.table);
    if (!t || !t->oid)
        return true;
    if (!ask_own(f->e, f->a, sql_preflight_not_null, &DB_PARAMS(t->oid), &full, err))
        return false;
    for (int i = 0; i < spec.set.n; i++) {
        const char *column = spec.set.items[i].key.s;
        struct data_need n = {
            .kind = NEED_FILLED,
            .at = b->at,
            .schema = spec.schema,
            .table = spec.table,
            .columns = &column,
            .n_columns = 1,
            .cast = spec.set.items[i].value.s,
            .from = spec.from,
            .condition = spec.match ? arena_printf(f->a, "%s\n) AND (%s", spec.todo, spec.match)
                                    : spec.todo};
        bool is_full = false;

        for (int k = 0; k < full.n_rows; k++)
            is_full |= strcmp(db_cell(&full, k, 0), column) == 0;
        /* What a program is going to say nobody knows. */
        if (is_full && !backfill_is_via(&spec.set.items[i]) && !ask_need(f, &n, err))
            return false;
    }
    return true;
}

static bool ask_task(struct preflighting *f, const struct task *t, struct err *err)
{
    struct backfill_spec spec;
    const char *why = NULL;

    if (t->kind == TASK_STEP)
        return ask_step(f, t->step, err);
    if (t->kind != TASK_BACKFILL)
        return true;
    if (!ask_fill(f, t->backfill, err))
        return false;
    struct touched *table = backfill_spec_of(f->a, f->p, t->backfill, &spec, &why)
                                ? preflight_table(f, spec.schema, spec.table)
                                : NULL;
    if (table)
        table->is_changed |= !spec.insert;
    return true;
}

static bool ask_script(struct preflighting *f, bool purge, struct err *err)
{
    struct script s;

    f->of_purge = purge && !f->out->is_purge;
    plan_script(f->a, f->p, f->phase, purge, &s);
    for (int i = 0; i < s.n; i++)
        if (!ask_task(f, &s.tasks[i], err))
            return false;
    return true;
}

/* In the order in which the phase does it. */
bool preflight_data(struct preflighting *f, struct err *err)
{
    for (int i = 0; i < f->p->data_checks.n; i++)
        if (!ask_declared(f, &f->p->data_checks.items[i], err))
            return false;
    if (!f->out->is_purge && !ask_script(f, false, err))
        return false;
    return f->phase != PHASE_CONTRACT || ask_script(f, true, err);
}
