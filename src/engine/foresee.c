/* What the sync of a plan will need once the steps of expand have run, asked before the first of them. Looks only. */
#include "internal.h"

struct outlook {
    struct work *w;
    struct fact *f;
    struct db_rows rows; /* of sync's table: name, why it can't be a new column, is it generated? */
    struct made_column *extra; /* what is made and isn't there yet, each name once */
    int n_extra;
    bool types_known;
};

/* Under the user's search_path; whoever only looks doesn't queue for a lock. */
static bool ask(struct work *w, const char *sql, struct db_rows *rows, struct err *err)
{
    const struct policy *pol = &w->e->policy;
    struct db_rows all[4] = {0};
    const struct db_call calls[] = {
        {.sql = "BEGIN READ ONLY"},
        {.sql = "SELECT pg_catalog.set_config('lock_timeout', $1, true), "
                "pg_catalog.set_config('statement_timeout', $2, true), "
                "pg_catalog.set_config('search_path', $3, true)",
         .params = DB_PARAMS(arena_printf(w->a, "%lld", (long long) pol->lock_timeout_ms),
                             arena_printf(w->a, "%lld", (long long) pol->statement_timeout_ms),
                             w->e->search_path)},
        {.sql = sql},
        {.sql = "COMMIT"},
    };
    AUTO(err) ignored = {0};
    int done = 0;

    if (!db_pipeline(w->e->db, w->a, calls, 4, all, &done, err)) {
        if (db_is_usable(w->e->db))
            (void) !db_exec(w->e->db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
        return false;
    }
    *rows = all[2];
    return true;
}

static int find_row(const struct db_rows *rows, const char *name)
{
    for (int i = 0; i < rows->n_rows; i++)
        if (strcmp(db_cell(rows, i, 0), name) == 0)
            return i;
    return -1;
}

static const struct made_column *find_extra(const struct outlook *l, const char *name)
{
    for (int i = 0; i < l->n_extra; i++)
        if (strcmp(l->extra[i].name, name) == 0)
            return &l->extra[i];
    return NULL;
}

static void gather_extra(struct outlook *l)
{
    const struct sync *s = &l->w->p->sync;

    l->extra = arena_array(l->w->a, struct made_column, s->n_made + 1);
    l->types_known = true;
    for (int i = 0; i < s->n_made; i++) {
        if (find_row(&l->rows, s->made[i].name) >= 0 || find_extra(l, s->made[i].name))
            continue;
        l->extra[l->n_extra++] = s->made[i];
        l->types_known = l->types_known && s->made[i].type;
    }
}

static const char *nearest(const struct outlook *l, const char *name)
{
    const char **words = arena_array(l->w->a, const char *, l->rows.n_rows + l->n_extra + 1);
    int n = 0;

    for (int i = 0; i < l->rows.n_rows; i++)
        words[n++] = db_cell(&l->rows, i, 0);
    for (int i = 0; i < l->n_extra; i++)
        words[n++] = l->extra[i].name;
    return name_nearest(name, words);
}

/* A column that sync writes. is_new: on the side that has no value yet. */
static void look_column(struct outlook *l, const struct text *column, bool is_new)
{
    struct arena *a = l->w->a;
    const struct sync *s = &l->w->p->sync;
    const struct made_column *made = find_extra(l, column->s);
    int row = find_row(&l->rows, column->s);
    const char *why = NULL;

    bool no_default =
        is_new && s->by == SYNC_TRIGGER; /* the trigger tells by it who wrote the row */
    if (row >= 0 && (no_default || db_cell(&l->rows, row, 2)[0] == 't'))
        why = db_cell(&l->rows, row, 1);
    if (made && made->is_filled && no_default)
        why = "has a default in its step: an insert that leaves it out can't be told from one that "
              "sets it";
    if (why) {
        fact_no(l->f,
                arena_printf(a, "sync can't write column %s of %s: it %s (%s)", column->s,
                             s->table.s, why, pos_text(a, column->at)),
                "add the new column nullable and without a default in expand");
        return;
    }
    if (row >= 0 || made)
        return;
    const char *near = nearest(l, column->s);
    fact_no(l->f,
            arena_printf(a,
                         "column %s of %s, which sync writes, isn't there, and no step of expand "
                         "adds it (%s)%s%s%s",
                         column->s, s->table.s, pos_text(a, column->at),
                         near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : ""),
            "name the right column, or add it in a step of expand");
}

/* Names that a step of expand is still to make are unknown to the server now. */
static bool may_come_to_be(const struct sync *s, const char *sqlstate)
{
    static const char *const unknown_names[] = {"42883", "42704", "42P01", "3F000"};

    for (size_t i = 0; s->makes_names && i < sizeof unknown_names / sizeof *unknown_names; i++)
        if (strcmp(sqlstate, unknown_names[i]) == 0)
            return true;
    return false;
}

static bool look_expression(struct outlook *l, const char *expr, struct pos at, struct err *err)
{
    struct work *w = l->w;
    struct arena *a = w->a;
    struct db_rows rows = {0};

    if (ask(w, sync_try_sql(a, w->p, l->extra, l->n_extra, expr), &rows, err))
        return true;
    /* The table is locked just now: the question comes again when the trigger is installed. */
    if (!err_is(err, ERR_SQL) && !err_is(err, ERR_LOCK_TIMEOUT))
        return err_note(err, "sync of %s", w->p->sync.table.s);
    if (err_is(err, ERR_SQL) && !may_come_to_be(&w->p->sync, err->sqlstate))
        fact_no(l->f,
                arena_printf(a, "sync can't evaluate %s: %s (%s)", expr,
                             arena_strdup(a, str_text(&err->message)), pos_text(a, at)),
                "mend the expression; what it calls has to be there before expand, or be made by "
                "a step of it");
    err_clear(err);
    return true;
}

static bool look_expressions(struct outlook *l, struct err *err)
{
    const struct sync *s = &l->w->p->sync;
    const struct pair_list *lists[] = {&s->forward, &s->reverse};

    for (int k = 0; k < 2; k++)
        for (int i = 0; i < lists[k]->n && l->f->holds; i++)
            if (!look_expression(l, lists[k]->items[i].value.s, lists[k]->items[i].value.at, err))
                return false;
    if (!l->f->holds)
        return true;
    if (!look_expression(l, sync_agrees_sql(l->w->a, l->w->p), s->at, err))
        return false;
    if (!l->f->holds)
        l->f->release = "make the new column of a type that has an equality: jsonb instead of "
                        "json, text instead of xml";
    return true;
}

/* What is on the table already and doesn't go with the trigger. */
static bool look_others(struct outlook *l, struct err *err)
{
    struct work *w = l->w;
    struct arena *a = w->a;
    const struct sync *s = &w->p->sync;
    const char *children = NULL, *other = NULL;
    int64_t ms = w->e->policy.statement_timeout_ms;

    if (s->by != SYNC_TRIGGER)
        return true;
    if (!ask_value(w->e, a, sync_children_sql(a, w->p), ms, &children, err) ||
        !ask_value(w->e, a, sync_conflict_sql(a, w->p), ms, &other, err))
        return false;
    if (children)
        fact_no(l->f,
                arena_printf(a,
                             "sync can't be installed: %s inherits from %s, and neither a trigger "
                             "nor a backfill reaches rows of children (%s)",
                             children, s->table.s, pos_text(a, s->at)),
                "ALTER TABLE ... NO INHERIT, or make them partitions; or one plan for each table");
    else if (other)
        fact_no(l->f,
                arena_printf(a, "sync of %s can't be kept: %s (%s)", s->table.s, other,
                             pos_text(a, s->at)),
                "a trigger: rename it, so that it comes before zz_phasegate; another plan: finish "
                "or roll it back first");
    return true;
}

static void look_columns(struct outlook *l)
{
    const struct sync *s = &l->w->p->sync;

    for (int i = 0; i < s->forward.n && l->f->holds; i++)
        look_column(l, &s->forward.items[i].key, true);
    for (int i = 0; i < s->reverse.n && l->f->holds; i++)
        look_column(l, &s->reverse.items[i].key, false);
}

bool foresee_sync(struct work *w, struct fact *f, struct err *err)
{
    const struct sync *s = &w->p->sync;
    struct outlook l = {.w = w, .f = f};

    if (s->by == SYNC_NONE || s->makes_anything)
        return true;
    if (!ask(w, sync_columns_sql(w->a, w->p), &l.rows, err))
        return err_note(err, "sync of %s", s->table.s);
    if (l.rows.n_rows == 0) {
        if (!s->makes_names)
            fact_no(f,
                    arena_printf(w->a, "table %s of sync isn't there (%s)", s->table.s,
                                 pos_text(w->a, s->at)),
                    "name the right table in sync:");
        return true;
    }
    gather_extra(&l);
    look_columns(&l);
    if (f->holds && l.types_known && !look_expressions(&l, err))
        return false;
    return !f->holds || look_others(&l, err);
}

/* ---- contract ------------------------------------------------------------------------------------------------- */

/* A step in front of a soft drop may change what it meets: then nobody knows before. */
bool foresee_drops(struct work *w, struct fact *f, struct err *err)
{
    struct script s;

    plan_script(w->a, w->p, PHASE_CONTRACT, false, &s);
    for (int i = 0; i < s.n && f->holds; i++) {
        const struct task *t = &s.tasks[i];
        struct sql_list drop, restore;
        const char *lost = NULL;
        bool found = false;

        if (t->kind == TASK_STEP)
            return true;
        if (t->kind != TASK_SOFT_DROP || soft_drop_sql(w, t, &drop, &restore, &found, &lost, err))
            continue;
        if (!err_is(err, ERR_REFUSED))
            return err_note(err, "step \"%s\" (%s)", t->id, pos_text(w->a, t->step->at));
        fact_no(f,
                arena_printf(w->a, "%s (%s)", arena_strdup(w->a, str_text(&err->message)),
                             pos_text(w->a, t->step->at)),
                arena_strdup(w->a, str_text(&err->hint)));
        err_clear(err);
    }
    return true;
}

static bool sets_not_null(const struct step_list *l, const char *column)
{
    for (int i = 0; i < l->n; i++)
        for (int k = 0; k < l->items[i].n_stmts; k++) {
            const struct sql_stmt *s = &l->items[i].stmts[k];
            if (strstr(s->kind, "SET NOT NULL") && s->object && strcmp(s->object, column) == 0)
                return true;
        }
    return false;
}

/* NOT NULL, or a valid CHECK that says the same. */
static bool is_not_null(struct work *w, const char *column, bool *out, struct err *err)
{
    AUTO(str) sql = {0}, table = {0};
    const char *v = NULL;

    sql_qualified(&table, w->p->sync.schema.s, w->p->sync.table.s);
    str_add(&sql, "SELECT a.attnotnull OR EXISTS (SELECT 1 FROM pg_catalog.pg_constraint c WHERE "
                  "c.conrelid = a.attrelid AND c.contype = 'c' AND c.convalidated AND a.attnum = "
                  "ANY (c.conkey) AND pg_catalog.pg_get_constraintdef(c.oid) LIKE "
                  "'%IS NOT NULL%') FROM pg_catalog.pg_attribute a WHERE a.attrelid = "
                  "pg_catalog.to_regclass(");
    sql_literal(&sql, str_text(&table));
    str_add(&sql, ") AND NOT a.attisdropped AND a.attname = ");
    sql_literal(&sql, column);
    if (!ask_value(w->e, w->a, str_text(&sql), w->e->policy.statement_timeout_ms, &v, err))
        return false;
    *out = v && v[0] == 't';
    return true;
}

bool not_null_lost(struct work *w, const struct sql_stmt *drop, const char **out, struct err *err)
{
    const struct sync *s = &w->p->sync;
    const struct phase_plan *contract = &w->p->phases[PHASE_CONTRACT];
    bool reads = false;

    *out = NULL;
    if (s->by == SYNC_NONE || !drop->table || !drop->object || strcmp(drop->table, s->table.s) != 0)
        return true;
    for (int i = 0; i < s->forward_columns.n; i++)
        reads |= strcmp(s->forward_columns.items[i].s, drop->object) == 0;
    for (int i = 0; reads && i < s->forward.n; i++) {
        const char *column = s->forward.items[i].key.s;
        bool kept =
            sets_not_null(&contract->steps, column) || sets_not_null(&contract->finish, column);

        if (!kept && !is_not_null(w, column, &kept, err))
            return false;
        if (kept)
            return true;
    }
    if (reads)
        *out = arena_printf(w->a,
                            "column %s of %s is NOT NULL, and %s, which takes its place, isn't: a "
                            "step of contract before this one can set it",
                            drop->object, s->table.s, s->forward.items[0].key.s);
    return true;
}
