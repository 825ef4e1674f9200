/* Who still uses what contract has hidden: writes that a trigger recorded, reads that pg_stat_statements counted. */
#include "internal.h"

#include "sql_embedded.h"

#include <stdlib.h>

#define QUIET_MAX_MS (24 * 3600 * (int64_t) 1000) /* a hold of weeks asks for one quiet day */

bool trap_add(struct work *w, const char *step, const struct soft_drop *d, struct sql_list *drop,
              struct sql_list *restore, struct sql_list *purge, struct err *err)
{
    bool whole = strcmp(d->object_kind, "table") == 0;
    struct db_rows rows = {0};

    if (!whole && strcmp(d->object_kind, "column") != 0)
        return true;
    if (!db_query(w->e->db, w->a, sql_select_trap_target,
                  &DB_PARAMS(d->schema, d->table, whole ? NULL : d->original_name), &rows, err))
        return false;
    if (rows.n_rows == 0)
        return true;
    struct trap_facts f = {.plan = w->p->id.s,
                           .step = step,
                           .schema = whole ? HOLD_SCHEMA : d->schema,
                           .table = whole ? d->hidden_name : d->table,
                           .column = whole ? NULL : d->hidden_name,
                           .by_rows = cell_is_true(&rows, 0, 0),
                           .is_computed = cell_is_true(&rows, 0, 1),
                           .default_sql = db_cell(&rows, 0, 2),
                           .type = db_cell(&rows, 0, 3),
                           .default_is_same = cell_is_true(&rows, 0, 4)};
    trap_sql(w->a, &f, drop, restore, purge);
    return true;
}

/* ---- reads --------------------------------------------------------------------------------------------------- */

struct counter {
    const char *name; /* quoted, of pg_stat_statements; NULL: reads can't be seen */
    const char *info; /* of the function that counts what it has thrown out */
    const char *why;  /* not, or not all of them; NULL: they can */
};

static bool find_statements(struct work *w, struct counter *c, struct err *err)
{
    struct db_rows rows = {0};

    *c = (struct counter) {.name = NULL};
    if (!db_query(w->e->db, w->a, sql_select_statements_counter, &DB_NO_PARAMS, &rows, err))
        return false;
    if (rows.n_rows == 0) {
        c->why = "there is no extension pg_stat_statements in this database";
        return true;
    }
    if (!cell_is_true(&rows, 0, 3)) {
        c->why = "pg_stat_statements of this database is older than 1.9; "
                 "ALTER EXTENSION pg_stat_statements UPDATE";
        return true;
    }
    const char *counted = db_cell(&rows, 0, 4);
    if (counted && strcmp(counted, "none") == 0) {
        c->why = "pg_stat_statements counts no statements; set pg_stat_statements.track to top";
        return true;
    }
    c->name = db_cell(&rows, 0, 0);
    c->info = arena_printf(w->a, "%s_info", c->name);
    if (!cell_is_true(&rows, 0, 1))
        c->why = arena_printf(w->a,
                              "of statements of other roles pg_stat_statements says nothing to %s; "
                              "GRANT pg_read_all_stats TO it",
                              db_cell(&rows, 0, 2));
    return true;
}

/* What was called before doesn't count. Of no weight for what was hidden: it goes on without. */
void trap_watch(struct work *w, const char *step)
{
    AUTO(err) ignored = {0};
    struct counter c;

    if (!find_statements(w, &c, &ignored) || !c.name)
        return;
    const char *sql = sql_put(w->a, sql_insert_reads_watch, "statements", c.name);
    (void) !db_exec(w->e->db, sql_put(w->a, sql, "info", c.info), &DB_PARAMS(w->p->id.s, step),
                    &ignored);
}

static const struct soft_drop *hidden_of(const struct soft_drop *d, int n, const char *step)
{
    for (int i = n - 1; i >= 0; i--)
        if (!d[i].restored_at_ms && !d[i].purged_at_ms && strcmp(d[i].step, step) == 0)
            return &d[i];
    return NULL;
}

static void and_unseen(struct arena *a, struct touches *out, const char *why)
{
    out->unseen = out->unseen ? arena_printf(a, "%s; %s", out->unseen, why) : why;
}

/* A run that died behind the hiding has recorded nothing to count from; what was thrown out may have been a read. */
static bool watch_gaps(struct work *w, const struct counter *c, const struct soft_drop *d, int n,
                       struct touches *out, struct err *err)
{
    struct arena *a = w->a;
    struct db_rows rows = {0};
    int64_t most = 0;

    if (!db_query(w->e->db, a, sql_put(a, sql_select_reads_watch, "info", c->info),
                  &DB_PARAMS(w->p->id.s), &rows, err))
        return false;
    for (int i = 0; i < rows.n_rows; i++) {
        const struct soft_drop *h = hidden_of(d, n, db_cell(&rows, i, 0));
        int64_t times = cell_is_true(&rows, i, 1) ? strtoll(db_cell(&rows, i, 2), NULL, 10) : 0;

        most = times > most ? times : most;
        if (h && !cell_is_true(&rows, i, 1))
            and_unseen(a, out,
                       arena_printf(a,
                                    "reads of %s aren't watched: what had been called before "
                                    "wasn't recorded when it was hidden; phasegate restore %s, and "
                                    "contract again, records it",
                                    soft_drop_shown(a, h), w->p->id.s));
    }
    if (most > 0)
        and_unseen(a, out,
                   arena_printf(a,
                                "that nobody else does is unproven: pg_stat_statements holds %s "
                                "statements and has thrown out the rarest %lld time%s since it was "
                                "hidden; raise pg_stat_statements.max",
                                db_cell(&rows, 0, 3), (long long) most, most == 1 ? "" : "s"));
    return true;
}

static bool add_reads(struct work *w, const struct soft_drop *d, int n, struct touches *out,
                      struct err *err)
{
    struct db_rows rows = {0};
    struct counter c;

    if (!find_statements(w, &c, err))
        return false;
    out->unseen = c.why;
    if (!c.name)
        return true;
    AUTO(err) failed = {0};
    if (!watch_gaps(w, &c, d, n, out, &failed) ||
        !db_query(w->e->db, w->a, sql_put(w->a, sql_select_reads_since, "statements", c.name),
                  &DB_PARAMS(w->p->id.s, c.name), &rows, &failed)) {
        out->unseen = arena_strdup(w->a, str_text(&failed.message));
        return db_is_usable(w->e->db) ||
               err_set(err, ERR_UNREACHABLE, "%s", str_text(&failed.message));
    }
    out->items = arena_grow(w->a, out->items, sizeof *out->items * (size_t) out->n,
                            sizeof *out->items * (size_t) (out->n + rows.n_rows + 1));
    for (int i = 0; i < rows.n_rows; i++) {
        const struct soft_drop *h = hidden_of(d, n, db_cell(&rows, i, 0));
        if (h)
            out->items[out->n++] = (struct touch) {.object = soft_drop_shown(w->a, h),
                                                   .step = h->step,
                                                   .role = db_cell(&rows, i, 1),
                                                   .statement = db_cell(&rows, i, 2),
                                                   .count = strtoll(db_cell(&rows, i, 3), NULL, 10),
                                                   .perhaps = cell_is_true(&rows, i, 4),
                                                   .forget = db_cell(&rows, i, 5)};
    }
    return true;
}

bool touches_read(struct work *w, struct touches *out, struct err *err)
{
    struct soft_drop *d = NULL;
    struct soft_drop_touch *t = NULL;
    int n = 0, n_touches = 0;
    bool watched = false;

    memset(out, 0, sizeof *out);
    if (!w->e->has_ledger || !w->e->db)
        return true;
    if (!ledger_soft_drops(w->e->db, w->a, w->p->id.s, &d, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        watched |= d[i].hidden_name && !d[i].restored_at_ms && !d[i].purged_at_ms;
    if (!watched)
        return true;
    if (!ledger_soft_drop_touches(w->e->db, w->a, w->p->id.s, &t, &n_touches, err))
        return false;
    out->items = arena_array(w->a, struct touch, n_touches + 1);
    for (int i = 0; i < n_touches; i++) {
        const struct soft_drop *h = hidden_of(d, n, t[i].step);
        if (h)
            out->items[out->n++] = (struct touch) {.object = soft_drop_shown(w->a, h),
                                                   .step = h->step,
                                                   .operation = t[i].operation,
                                                   .role = t[i].role,
                                                   .application = t[i].application,
                                                   .count = t[i].count,
                                                   .first_ms = t[i].first_ms,
                                                   .last_ms = t[i].last_ms,
                                                   .age_ms = t[i].age_ms};
    }
    return add_reads(w, d, n, out, err);
}

/* ---- the purge ----------------------------------------------------------------------------------------------- */

const char *touch_text(struct arena *a, const struct touch *t)
{
    AUTO(str) age = {0};

    if (!t->operation)
        return arena_printf(a, "%s is %sread: %lld call%s by role %s since it was hidden: %s",
                            t->object, t->perhaps ? "perhaps " : "still ", (long long) t->count,
                            t->count == 1 ? "" : "s", t->role, t->statement);
    duration_to_text(&age, t->age_ms - t->age_ms % 1000);
    return arena_printf(a, "%s is still written: %s by %s (role %s), %lld time%s, %s ago at last",
                        t->object, t->operation,
                        *t->application ? t->application : "a session without a name", t->role,
                        (long long) t->count, t->count == 1 ? "" : "s", str_text(&age));
}

/* How long nothing may have been written before the purge. */
static int64_t quiet_ms(const struct work *w)
{
    int64_t hold = w->p->phases[PHASE_CONTRACT].hold_ms;

    if (hold == MODEL_UNSET)
        hold = w->e->policy.hold_ms;
    return hold < QUIET_MAX_MS ? hold : QUIET_MAX_MS;
}

static bool stands_against(const struct touch *t, int64_t quiet)
{
    return !t->perhaps && quiet > 0 && (!t->operation || t->age_ms < quiet);
}

bool touched_look(struct work *w, struct fact *f, struct err *err)
{
    int64_t quiet = quiet_ms(w), until = 0;
    const char *forget = NULL;
    AUTO(str) what = {0}, how_long = {0};
    struct touches all;

    fact_yes(f);
    if (!touches_read(w, &all, err))
        return false;
    for (int i = 0; i < all.n; i++) {
        const struct touch *t = &all.items[i];
        if (!stands_against(t, quiet))
            continue;
        str_addf(&what, "%s%s", what.len ? "; " : "", touch_text(w->a, t));
        if (!t->operation && !forget)
            forget = t->forget;
        if (t->operation && t->last_ms + quiet > until)
            until = t->last_ms + quiet;
    }
    if (what.len == 0)
        return true;
    duration_to_text(&how_long, quiet);
    fact_no(f, arena_strdup(w->a, str_text(&what)),
            forget
                ? arena_printf(w->a,
                               "see to it that it stops; %s, then the same again: that forgets the "
                               "calls; or: phasegate restore %s",
                               forget, w->p->id.s)
                : arena_printf(w->a,
                               "see to it that it stops: nothing may have been written for %s; or: "
                               "phasegate restore %s",
                               str_text(&how_long), w->p->id.s));
    f->gives_up_ms = until;
    return true;
}
