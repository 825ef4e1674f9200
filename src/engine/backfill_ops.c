/* Backfills of a plan for an operator: looking, helping, setting, trying again. None of it takes the lease. */
#include "internal.h"

#include "backfill_before.h"
#include "phasegate/backfill_ops.h"
#include "sql_embedded.h"

#include <jansson.h>
#include <stdlib.h>

#define FIRST_VERSION 2 /* of the ledger, that knows slices */

static int64_t whole(const struct db_rows *r, int row, int col, int64_t none)
{
    const char *text = db_cell(r, row, col);

    return text ? strtoll(text, NULL, 10) : none;
}

static double real(const struct db_rows *r, int row, int col)
{
    const char *text = db_cell(r, row, col);

    return text ? strtod(text, NULL) : 0;
}

/* ---- looking ------------------------------------------------------------------------------------------------ */

static bool look_at_runners(struct engine *e, struct arena *a, struct backfill_status *s,
                            struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(e->db, a, sql_select_backfill_runners,
                  &DB_PARAMS(arena_printf(a, "%lld", (long long) s->id)), &rows, err))
        return false;
    s->runners = arena_array(a, struct backfill_runner, rows.n_rows);
    s->n_runners = rows.n_rows;
    for (int i = 0; i < rows.n_rows; i++)
        s->runners[i] = (struct backfill_runner) {.host = db_cell(&rows, i, 1),
                                                  .pid = db_cell(&rows, i, 2),
                                                  .workers = whole(&rows, i, 3, 0),
                                                  .level = db_cell(&rows, i, 4),
                                                  .signal = db_cell(&rows, i, 5),
                                                  .value = db_cell(&rows, i, 6),
                                                  .bound = db_cell(&rows, i, 7),
                                                  .reason = db_cell(&rows, i, 8),
                                                  .since_ms = whole(&rows, i, 9, 0),
                                                  .began_ms = whole(&rows, i, 10, 0),
                                                  .duty = real(&rows, i, 11),
                                                  .batch_rows = whole(&rows, i, 12, 0),
                                                  .batch_ms = real(&rows, i, 13),
                                                  .rows_per_second = real(&rows, i, 14),
                                                  .left_ms = whole(&rows, i, 15, -1)};
    return true;
}

static bool look_at_bad_rows(struct engine *e, struct arena *a, struct backfill_status *s,
                             struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(e->db, a, sql_select_backfill_quarantine,
                  &DB_PARAMS(arena_printf(a, "%lld", (long long) s->id),
                             arena_printf(a, "%d", BAD_ROWS_SHOWN)),
                  &rows, err))
        return false;
    s->bad_rows = arena_array(a, struct backfill_bad_row, rows.n_rows);
    s->n_bad_rows = rows.n_rows;
    for (int i = 0; i < rows.n_rows; i++)
        s->bad_rows[i] = (struct backfill_bad_row) {db_cell(&rows, i, 0), db_cell(&rows, i, 1),
                                                    db_cell(&rows, i, 2), whole(&rows, i, 3, 0),
                                                    whole(&rows, i, 4, 0)};
    return true;
}

static struct backfill_status status_of(const struct db_rows *r, int i)
{
    return (struct backfill_status) {.id = whole(r, i, 0, 0),
                                     .name = db_cell(r, i, 1),
                                     .table = db_cell(r, i, 2),
                                     .status = db_cell(r, i, 3),
                                     .reason = db_cell(r, i, 4),
                                     .rows_total = whole(r, i, 5, 0),
                                     .rows_done = whole(r, i, 6, 0),
                                     .rows_changed = whole(r, i, 7, 0),
                                     .batches = whole(r, i, 8, 0),
                                     .retried = whole(r, i, 9, 0),
                                     .slices = whole(r, i, 10, 0),
                                     .slices_done = whole(r, i, 11, 0),
                                     .slices_running = whole(r, i, 12, 0),
                                     .residual = whole(r, i, 13, 0),
                                     .bad = whole(r, i, 14, 0),
                                     .mended = whole(r, i, 15, 0),
                                     .knobs = db_cell(r, i, 16),
                                     .started_at_ms = whole(r, i, 17, 0),
                                     .finished_at_ms = whole(r, i, 18, 0),
                                     .wal_bytes = whole(r, i, 19, -1),
                                     .growth_bytes = whole(r, i, 20, -1),
                                     .has_estimate = db_cell(r, i, 21) != NULL,
                                     .estimate = {.rows = whole(r, i, 21, 0),
                                                  .batches = whole(r, i, 22, 0),
                                                  .ms = whole(r, i, 23, 0),
                                                  .wal_bytes = whole(r, i, 24, 0),
                                                  .growth_bytes = whole(r, i, 25, 0)}};
}

bool engine_backfills(struct engine *e, const struct plan *p, struct arena *a,
                      struct backfill_status **out, int *out_n, struct err *err)
{
    struct db_rows rows = {0};
    int version = 0;

    *out_n = 0;
    if (!ledger_version(e->db, &version, err))
        return false;
    if (version < FIRST_VERSION)
        return true;
    if (!db_query(e->db, a, sql_select_backfill_status, &DB_PARAMS(p->id.s), &rows, err))
        return false;
    *out = arena_array(a, struct backfill_status, rows.n_rows);
    for (int i = 0; i < rows.n_rows; i++) {
        (*out)[i] = status_of(&rows, i);
        if (!look_at_runners(e, a, &(*out)[i], err) || !look_at_bad_rows(e, a, &(*out)[i], err) ||
            !backfill_kept(e, a, (*out)[i].id, &(*out)[i].kept, &(*out)[i].restored,
                           &(*out)[i].newer, err))
            return false;
    }
    *out_n = rows.n_rows;
    return true;
}

/* ---- helping, trying again ------------------------------------------------------------------------------------ */

/* The plan's task for a job. NULL: the plan has no backfill of this name any more. */
const struct task *backfill_task(struct work *w, const char *name)
{
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
        struct script s;

        if (!w->p->phases[ph].present)
            continue;
        plan_script(w->a, w->p, (enum phase) ph, false, &s);
        for (int i = 0; i < s.n; i++)
            if (s.tasks[i].kind == TASK_BACKFILL && strcmp(s.tasks[i].backfill->id.s, name) == 0) {
                w->phase = (enum phase) ph;
                return &s.tasks[i];
            }
    }
    return NULL;
}

struct visit {    /* what is done with each job */
    bool retries; /* its bad rows; else its slices */
    int workers;
    int64_t rows, left;
    int n;
};

static bool visit_job(struct work *w, const struct backfill_status *s, struct visit *v,
                      struct err *err)
{
    struct backfill_now now = {0};
    const struct task *t = backfill_task(w, s->name);

    if (!t)
        return true;
    v->n++;
    if (!backfill_join(w, t, v->workers, v->retries, &now, err))
        return false;
    v->rows += v->retries ? s->bad - now.quarantined : now.rows_done - s->rows_done;
    v->left += now.quarantined;
    return true;
}

bool backfill_open_beside(struct work *w, struct engine *e, struct plan *p,
                          const struct advance_options *o, struct arena *a, struct err *err)
{
    *w = (struct work) {.e = e, .p = p, .a = a, .o = o};
    if (!e->facts(e->set, p, err) || !session_ask_clock(e, a, err) || !work_reload(w, err))
        return false;
    w->phase = stage_phase(w->state.stage);
    w->began_ms = now_ms(e);
    return true;
}

bool backfill_is_over(const struct plan *p, struct err *err)
{
    err_set(err, ERR_REFUSED, "there is nothing to do: all backfills of plan %s have ended",
            p->id.s);
    err_reason(err, "not_running");
    return err_hint(err, "phasegate status %s", p->id.s);
}

static bool visit(struct engine *e, struct plan *p, struct visit *v, struct arena *a,
                  struct err *err)
{
    const struct advance_options o = {0};
    struct work w;
    struct backfill_status *jobs = NULL;
    int n = 0;

    if (!engine_backfills(e, p, a, &jobs, &n, err) || !backfill_open_beside(&w, e, p, &o, a, err))
        return false;
    if (v->retries && p->phases[PHASE_CONTRACT].present && w.state.stage >= STAGE_CONTRACT_DONE)
        return backfill_is_over(p, err);
    for (int i = 0; i < n; i++) {
        bool wanted = v->retries ? jobs[i].bad > 0 : strcmp(jobs[i].status, "running") == 0;
        if (wanted && !visit_job(&w, &jobs[i], v, err))
            return false;
    }
    if (v->n > 0 || v->retries)
        return true;
    const char *next = next_move(&w);
    err_set(err, ERR_REFUSED, "no backfill of plan %s is running", p->id.s);
    err_reason(err, "not_running");
    return err_hint(err,
                    next ? "%s begins it, and more workers may join then"
                         : "nothing of this plan is left to be done",
                    next);
}

bool engine_backfill_help(struct engine *e, struct plan *p, int workers, struct arena *a,
                          int64_t *out_rows, struct err *err)
{
    struct visit v = {.workers = workers};

    if (!visit(e, p, &v, a, err))
        return false;
    *out_rows = v.rows;
    return true;
}

bool engine_backfill_retry(struct engine *e, struct plan *p, struct arena *a, int64_t *out_filled,
                           int64_t *out_left, struct err *err)
{
    struct visit v = {.retries = true, .workers = 1};

    if (!visit(e, p, &v, a, err))
        return false;
    *out_filled = v.rows;
    *out_left = v.left;
    return true;
}

/* ---- what it would take --------------------------------------------------------------------------------------- */

static bool expect_one(struct work *w, const struct task *t, bool measured,
                       struct backfill_expectation *out, struct err *err)
{
    struct backfill_setup s;
    struct backfill_table table;
    struct estimate_basis b;

    if (!backfill_settle(w, t, &s, err) || !backfill_look(w->e->db, w->a, &s, &table, err))
        return false;
    if (table.n_keys == 0) {
        err_set(err, ERR_INPUT, "table %s has no primary key for backfill %s to walk along",
                table.quoted, s.name);
        return err_hint(err, "name the columns of a unique index without NULLs in key:");
    }
    if (!backfill_check_shape(w, t, &s, &table, err))
        return false;
    if (!backfill_basis(w, &s, &table, &b, err) ||
        (measured && !backfill_measure(w, &s, &table, &b, err)))
        return false;
    *out = (struct backfill_expectation) {s.name, table.quoted, table.rows, table.bytes, {0}};
    estimate_make(&b, &out->estimate);
    return true;
}

/* Columns and tables that aren't there are those of steps that haven't run. */
static bool explain(const struct plan *p, const struct task *t, struct err *err)
{
    bool missing = strcmp(err->sqlstate, "42703") == 0 || strcmp(err->sqlstate, "42P01") == 0;

    err_note(err, "what backfill %s would take", t->backfill->id.s);
    if (missing || (err_is(err, ERR_INPUT) && err->hint.len == 0))
        err_hint(err, "expand makes what it fills: phasegate advance %s, then ask again", p->id.s);
    return false;
}

bool engine_backfill_estimate(struct engine *e, struct plan *p, bool measured, struct arena *a,
                              struct backfill_expectation **out, int *out_n, struct err *err)
{
    const struct advance_options o = {0};
    struct work w;

    *out_n = 0;
    if (!backfill_open_beside(&w, e, p, &o, a, err))
        return false;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            *out = arena_array(a, struct backfill_expectation, *out_n);
        int n = 0;
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
            struct script s;

            if (!p->phases[ph].present)
                continue;
            plan_script(a, p, (enum phase) ph, false, &s);
            for (int i = 0; i < s.n; i++) {
                if (s.tasks[i].kind != TASK_BACKFILL)
                    continue;
                w.phase = (enum phase) ph;
                if (pass == 1 && !expect_one(&w, &s.tasks[i], measured, &(*out)[n], err))
                    return explain(p, &s.tasks[i], err);
                n++;
            }
        }
        *out_n = n;
    }
    return true;
}

/* ---- setting ---------------------------------------------------------------------------------------------------- */

static bool check_setting(const struct backfill_setting *s, struct err *err)
{
    const struct batch_limits usual = BATCH_LIMITS_DEFAULT;
    struct backfill_knobs k;
    const char *why = NULL;
    bool known = strcmp(s->key, "paused") == 0;

    for (int i = 0; knob_words[i]; i++)
        known = known || strcmp(knob_words[i], s->key) == 0;
    if (!known) {
        const char *near = name_nearest(s->key, knob_words);
        AUTO(str) all = {0};

        for (int i = 0; knob_words[i]; i++)
            str_addf(&all, "%s%s", i ? ", " : "", knob_words[i]);
        err_set(err, ERR_USAGE, "nothing of a backfill is called \"%s\"%s%s", s->key,
                near ? "; did you mean " : "", near ? near : "");
        return err_hint(err, "one of: %s", str_text(&all));
    }
    knobs_begin(&k, &usual);
    if (!s->value || knob_take(&k, s->key, s->value, &why))
        return true;
    return err_set(err, ERR_USAGE, "%s=%s: expected %s", s->key, s->value, why);
}

/* What the plan says about sizes. */
static void begin_as_planned(const struct plan *p, const char *name, struct backfill_knobs *k)
{
    const struct batch_limits usual = BATCH_LIMITS_DEFAULT;

    knobs_begin(k, &usual);
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
        for (int i = 0; i < p->phases[ph].backfill.n; i++) {
            const struct backfill *b = &p->phases[ph].backfill.items[i];

            if (strcmp(b->id.s, name) != 0)
                continue;
            k->has_min = b->batch_min != MODEL_UNSET;
            k->has_max = b->batch_max != MODEL_UNSET;
            k->batch.min = k->has_min ? b->batch_min : k->batch.min;
            k->batch.max = k->has_max ? b->batch_max : k->batch.max;
        }
}

static void take_all(struct backfill_knobs *k, json_t *all)
{
    const char *key, *why;
    json_t *value;

    json_object_foreach(all, key, value) if (json_is_string(value))(void) !knob_take(
        k, key, json_string_value(value), &why);
}

/* One that is done can still be verified. */
static bool is_verifying(struct engine *e, const struct plan *p, struct arena *a, bool *out,
                         struct err *err)
{
    struct db_rows rows = {0};
    int version = 0;

    *out = false;
    if (!ledger_version(e->db, &version, err))
        return false;
    if (version < BACKFILL_VERIFIED_VERSION)
        return true;
    if (!db_query(e->db, a, sql_count_open_verifications, &DB_PARAMS(p->id.s), &rows, err))
        return false;
    *out = strcmp(db_cell(&rows, 0, 0), "0") != 0;
    return true;
}

/* With what is set already and what the plan says: alone each is right. */
static bool check_together(struct engine *e, const struct plan *p, json_t *set, struct arena *a,
                           struct err *err)
{
    struct backfill_status *jobs = NULL;
    int n = 0, open = 0;
    bool good = engine_backfills(e, p, a, &jobs, &n, err);

    for (int i = 0; i < n; i++)
        open += strcmp(jobs[i].status, "done") != 0 && strcmp(jobs[i].status, "cancelled") != 0;
    bool verifying = false;
    if (good && n > 0 && open == 0) {
        if (!is_verifying(e, p, a, &verifying, err))
            return false;
        if (!verifying)
            return backfill_is_over(p, err);
    }
    for (int i = 0; good && i < n; i++) {
        struct backfill_knobs k;
        const char *why = NULL;
        json_t *all = jobs[i].knobs ? json_loads(jobs[i].knobs, 0, NULL) : NULL;

        all = all ? all : json_object();
        json_object_update(all, set);
        begin_as_planned(p, jobs[i].name, &k);
        take_all(&k, all);
        json_decref(all);
        good = knobs_agree(&k, &why);
        if (!good)
            err_set(err, ERR_USAGE,
                    "backfill %s would have min_rows=%lld and max_rows=%lld: expected %s",
                    jobs[i].name, (long long) k.batch.min, (long long) k.batch.max, why);
    }
    return good;
}

static bool check_settings(struct engine *e, const struct plan *p,
                           const struct backfill_setting *set, int n, json_t *all, struct arena *a,
                           struct err *err)
{
    for (int i = 0; i < n; i++) {
        if (!check_setting(&set[i], err))
            return false;
        json_object_set_new(all, set[i].key,
                            set[i].value ? json_string(set[i].value) : json_null());
    }
    return check_together(e, p, all, a, err);
}

bool engine_backfill_set(struct engine *e, const struct plan *p, const struct backfill_setting *set,
                         int n, struct arena *a, struct err *err)
{
    json_t *all = json_object();
    struct db_rows rows = {0};
    int version = 0;

    if (!check_settings(e, p, set, n, all, a, err)) {
        json_decref(all);
        return false;
    }
    char *text = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    bool good = ledger_version(e->db, &version, err) &&
                (version < FIRST_VERSION || db_query(e->db, a, sql_update_backfill_knobs,
                                                     &DB_PARAMS(p->id.s, NULL, text), &rows, err));
    free(text);
    if (!good || rows.n_rows > 0)
        return good;
    err_set(err, ERR_REFUSED, "no backfill of plan %s has begun", p->id.s);
    return err_reason(err, "not_running");
}
