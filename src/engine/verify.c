/* Verification: the plan's own checks, nothing left to do, old and new agree. Read-only. */
#include "internal.h"

#include "sql_embedded.h"

#include <stdlib.h>

static bool check_one(struct work *w, const struct check *c, bool *holds, const char **value,
                      struct err *err)
{
    if (!ask_value(w->e, w->a, c->sql.s, 0, value, err))
        return err_note(err, "verify \"%s\" (%s:%d:%d)", c->id.s, c->at.file, c->at.line,
                        c->at.col);
    *holds = cond_holds(&c->expect, *value, NULL);
    return true;
}

/* "ONLY ", as the backfill fills it: the tables that inherit from it have rows of their own. */
static bool only_word(struct work *w, const struct backfill_spec *s, const char **out,
                      struct err *err)
{
    AUTO(str) sql = {0}, name = {0};
    bool has_parts = false;

    sql_qualified(&name, s->schema, s->table);
    str_add(&sql, "SELECT c.relkind = 'p' FROM pg_catalog.pg_class AS c WHERE c.oid = "
                  "pg_catalog.to_regclass(");
    sql_literal(&sql, str_text(&name));
    str_add(&sql, ")");
    if (!ask_bool(w, str_text(&sql), &has_parts, err))
        return false;
    *out = has_parts ? "" : "ONLY ";
    return true;
}

/* Rows of a backfill that are still to do, counted up to a thousand: one is enough to say no. */
static bool count_left(struct work *w, const struct backfill_spec *s, int64_t *left,
                       struct err *err)
{
    AUTO(str) sql = {0};
    const char *v = NULL, *only = "";

    if (!only_word(w, s, &only, err))
        return false;
    str_addf(&sql, "SELECT pg_catalog.count(*) FROM (SELECT 1 FROM %s", only);
    sql_qualified(&sql, s->schema, s->table);
    if (s->from)
        str_addf(&sql, ", %s", s->from);
    str_addf(&sql, " WHERE (%s)", s->todo);
    if (s->match)
        str_addf(&sql, " AND (%s)", s->match);
    str_add(&sql, " LIMIT 1000) AS x");
    if (!ask_value(w->e, w->a, str_text(&sql), 0, &v, err))
        return false;
    *left = v ? strtoll(v, NULL, 10) : 0;
    return true;
}

/* Both rows or neither: a job that is void, with a task that counts as done, would never run again. */
bool backfill_void(struct work *w, const struct backfill *b, struct err *err)
{
    struct backfill_job job = {0};
    struct txn x;
    struct task t = {.kind = TASK_BACKFILL,
                     .id = arena_printf(w->a, "backfill/%s", b->id.s),
                     .title = "to be done again"};

    if (!ledger_backfill_job(w->e->db, w->a, w->p->id.s, b->id.s, &job, err))
        return false;
    if (!job.exists || strcmp(job.status, "void") == 0)
        return true;
    txn_begin(w, &x, w->e->policy.lock_timeout_ms, w->e->policy.statement_timeout_ms);
    ledger_backfill_status_call(w->a, job.id, "void", txn_slot(&x));
    record_task(w, &x, &t, "undone", 0, NULL, NULL, NULL);
    return txn_commit(w, &x, err);
}

/* A kill or a rollback after the first write rung: rows may have been written on one side only. The
 * backfills of every phase so far run again (they touch only what differs), and are verified again. */
bool verification_void(struct work *w, struct err *err)
{
    w->state.verified = false;
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
        for (int i = 0; i < w->p->phases[ph].backfill.n; i++)
            if (!backfill_void(w, &w->p->phases[ph].backfill.items[i], err))
                return false;
    return true;
}

/* Rows of sync's table whose new side holds something else than the old one gives. */
static bool count_other(struct work *w, const struct backfill_spec *s, int64_t *other,
                        struct err *err)
{
    struct backfill_spec set = *s;

    set.todo = arena_printf(w->a, "(%s) AND NOT (%s)", s->todo, sync_unwritten_sql(w->a, w->p));
    return count_left(w, &set, other, err);
}

/* Rows that can't be filled, as many as the plan allows: they are known by key. */
static bool is_allowed(struct work *w, const struct backfill *b, int64_t left)
{
    struct db_rows rows = {0};
    AUTO(err) ignored = {0};
    int64_t bad = 0;

    if (b->max_bad_rows <= 0 || b->max_bad_rows == MODEL_UNSET || b->on_bad_row_stop)
        return false;
    if (!db_query(w->e->db, w->a, sql_count_bad_rows, &DB_PARAMS(w->p->id.s, b->id.s), &rows,
                  &ignored))
        return false;
    bad = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    if (left > bad || bad > b->max_bad_rows)
        return false;
    emit(w, EVENT_WARNING, NULL,
         "backfill %s: %lld rows can't be filled, which the plan allows; phasegate backfill %s "
         "lists them",
         b->id.s, (long long) left, w->p->id.s);
    return true;
}

static bool check_backfill(struct work *w, const struct backfill *b, int *failed,
                           const char **first, bool *both, struct err *err)
{
    struct backfill_spec spec;
    const char *why = NULL;
    int64_t left = 0, other = 0;

    if (!backfill_spec_of(w->a, w->p, b, &spec, &why) || !spec.tells_left)
        return true;
    bool synced = w->p->sync.by == SYNC_TRIGGER && w->state.first_write_rung &&
                  backfill_is_of_sync(w->p, &spec);
    if (synced && sync_is_one_way(w))
        return true;
    if (!count_left(w, &spec, &left, err) ||
        (left > 0 && synced && !count_other(w, &spec, &other, err)))
        return err_note(err, "what is left of backfill %s", b->id.s);
    if (left == 0 || is_allowed(w, b, left))
        return true;
    ++*failed;
    if (!*first)
        *first = arena_printf(w->a, "backfill %s has %lld%s rows left", b->id.s, (long long) left,
                              left >= 1000 ? " or more" : "");
    /* Both sides were written: filling again would take the old one for the truth. */
    if (other > 0) {
        *first = arena_printf(w->a,
                              "%lld%s rows of %s hold one thing on the old side and another on the "
                              "new, and new writes were active: which is right isn't known",
                              (long long) other, other >= 1000 ? " or more" : "", spec.table);
        return *both = true;
    }
    return backfill_void(w, b, err);
}

static bool check_left(struct work *w, int *failed, const char **first, bool *both, struct err *err)
{
    for (int ph = PHASE_FIRST; ph <= (int) w->phase; ph++)
        for (int i = 0; i < w->p->phases[ph].backfill.n; i++)
            if (!check_backfill(w, &w->p->phases[ph].backfill.items[i], failed, first, both, err))
                return false;
    return true;
}

static bool check_agreement(struct work *w, int *failed, const char **first, struct err *err)
{
    struct backfill_spec s = {.schema = w->p->sync.schema.s, .table = w->p->sync.table.s};
    int64_t left = 0;

    if (w->p->sync.by == SYNC_NONE || sync_is_one_way(w))
        return true;
    s.todo = arena_printf(w->a, "NOT (%s)", sync_agrees_sql(w->a, w->p));
    if (!count_left(w, &s, &left, err))
        return err_note(err, "agreement of old and new in %s", s.table);
    if (left > 0) {
        ++*failed;
        if (!*first)
            *first = arena_printf(w->a, "old and new differ in %lld%s rows of %s", (long long) left,
                                  left >= 1000 ? " or more" : "", s.table);
    }
    return true;
}

static bool run_checks(struct work *w, const struct task *t, enum phase phase, int *failed,
                       const char **first, struct err *err)
{
    const struct check_list *l = &w->p->phases[phase].verify;

    for (int i = 0; i < l->n; i++) {
        const struct check *c = &l->items[i];
        const char *value = NULL;
        bool holds = false;
        if (!check_one(w, c, &holds, &value, err))
            return false;
        emit(w, EVENT_INFO, t->id, "%s: %s (%s)", c->id.s, holds ? "holds" : "does not hold",
             value ? value : "no value");
        if (!holds && ++*failed == 1)
            *first = arena_printf(w->a, "%s: got %s (%s:%d:%d)", c->id.s,
                                  value ? value : "no value", c->at.file, c->at.line, c->at.col);
    }
    return true;
}

/* Where reads wait for writes, dual_read's backfills and checks come with write_activation's. */
static bool has_late_checks(const struct work *w)
{
    return w->phase == PHASE_WRITE_ACTIVATION &&
           (w->p->sync.by == SYNC_COHORT || w->p->sync.by == SYNC_APPLICATION);
}

bool verify_run(struct work *w, const struct task *t, struct err *err)
{
    int64_t started = clock_mono_ms(w->e->ports->clock);
    int failed = 0;
    bool both = false;
    const char *first = NULL, *broken = NULL;

    if (!sync_broken(w, &broken, err))
        return false;
    if (broken) {
        failed++;
        first = broken;
    }
    if (has_late_checks(w) && !run_checks(w, t, PHASE_DUAL_READ, &failed, &first, err))
        return false;
    if (!run_checks(w, t, w->phase, &failed, &first, err))
        return false;
    if (!check_left(w, &failed, &first, &both, err) || !check_agreement(w, &failed, &first, err))
        return false;
    if (failed > 0) {
        w->state.verified = false;
        if (!record_save_state(w, err))
            return false;
        err_set(err, ERR_NO, "verification failed: %s%s", first,
                failed > 1 ? arena_printf(w->a, ", and %d more", failed - 1) : "");
        err_hint(err, "%s",
                 broken ? "the same command with --force puts the trigger back and verifies again"
                 : both
                     ? "write the right value to the side that is wrong, then the same command "
                       "verifies again"
                     : "look at the rows; the same command fills what is left and verifies again");
        return err_reason(err, "not_verified");
    }
    w->state.verified = true;
    int64_t ms = clock_mono_ms(w->e->ports->clock) - started;
    report_task(w, t, "done", ms, NULL);
    return record_task_and_state(w, t, "done", ms, err);
}

#define WRONG_SHOWN 20

/* The columns that name a row of sync's table; without a primary key where it lies now. */
static bool key_columns(struct work *w, struct str *out, struct err *err)
{
    AUTO(str) name = {0};
    struct db_rows rows = {0};

    sql_qualified(&name, w->p->sync.schema.s, w->p->sync.table.s);
    if (!ask_rows(w->e, w->a, NULL, sql_select_backfill_table, &DB_PARAMS(str_text(&name)), 0,
                  &rows, err))
        return false;
    for (int i = 0; i < rows.n_rows && db_cell(&rows, i, 4); i++) {
        str_add(out, out->len ? ", " : "");
        str_add(out, "pg_catalog.format('%s', ");
        sql_qualified(out, w->p->sync.table.s, db_cell(&rows, i, 4));
        str_add(out, ")");
    }
    if (out->len == 0) {
        str_add(out, "'ctid ' || ");
        sql_qualified(out, w->p->sync.table.s, "ctid");
        str_add(out, "::pg_catalog.text");
    }
    return true;
}

/* One statement: a sample is another one each time. */
static bool compare(struct work *w, double percent, int64_t *differ, const char **keys,
                    struct err *err)
{
    AUTO(str) sql = {0}, key = {0};
    struct db_rows rows = {0};

    if (!key_columns(w, &key, err))
        return false;
    str_addf(
        &sql,
        "SELECT pg_catalog.count(*), (SELECT pg_catalog.string_agg(k.key, ', ' ORDER BY k.n)"
        " FROM pg_catalog.unnest((pg_catalog.array_agg(x.key))[1:%d]) WITH ORDINALITY AS k"
        " (key, n)) FROM (SELECT pg_catalog.jsonb_build_array(%s)::pg_catalog.text AS key FROM ",
        WRONG_SHOWN, str_text(&key));
    sql_qualified(&sql, w->p->sync.schema.s, w->p->sync.table.s);
    str_addf(&sql, " TABLESAMPLE SYSTEM (%g) WHERE NOT (%s)) AS x", percent,
             sync_agrees_sql(w->a, w->p));
    if (!ask_rows(w->e, w->a, NULL, str_text(&sql), &DB_NO_PARAMS, 0, &rows, err))
        return false;
    *differ = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    *keys = db_cell(&rows, 0, 1);
    return true;
}

bool compare_run(struct work *w, const struct task *t, struct err *err)
{
    const struct compare *c = &w->p->phases[PHASE_DUAL_READ].compare;
    int64_t started = clock_mono_ms(w->e->ports->clock), differ = 0;
    const char *keys = NULL;

    if (w->p->sync.by == SYNC_NONE) {
        report_task(w, t, "skipped", 0, "the plan has no sync to compare by");
        return record_task_now(w, t, "skipped", 0, NULL, NULL, NULL, err);
    }
    if (!compare(w, c->sample_percent, &differ, &keys, err))
        return false;
    if (differ > c->max_mismatch) {
        err_set(err, ERR_NO, "old and new differ in %lld rows of the sample, %lld are allowed",
                (long long) differ, (long long) c->max_mismatch);
        err_detail(err, "Keys of %s: %s", differ > WRONG_SHOWN ? "the first" : "these rows", keys);
        return err_reason(err, "mismatch");
    }
    int64_t ms = clock_mono_ms(w->e->ports->clock) - started;
    report_task(w, t, "done", ms, arena_printf(w->a, "%lld differ", (long long) differ));
    return record_task_now(w, t, "done", ms, NULL, NULL, NULL, err);
}
