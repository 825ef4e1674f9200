/* What is left once all slices are done: ranges with rows that others held, and rows that couldn't be filled.
 *
 * Nothing here needs a fence: what is filled isn't to do any more, so doing it twice changes nothing.
 */
#include "via.h"

#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MOST 100000 /* tried again at the end of one run */

static const char *number(struct arena *a, int64_t n)
{
    return arena_printf(a, "%lld", (long long) n);
}

static const char *job_of(struct worker *w, struct arena *a) { return number(a, w->crew->job->id); }

static bool list(struct worker *w, struct arena *a, const char *sql, const char *limit,
                 struct db_rows *rows, struct err *err)
{
    struct db_params p = DB_PARAMS(job_of(w, a));

    if (limit)
        p.value[p.n++] = limit;
    return db_query(w->db, a, sql, &p, rows, err);
}

/* ---- ranges ------------------------------------------------------------------------------------------------ */

struct left {
    const char *lo_json, *hi_json;
    struct key_range range;
    bool is_swept;
};

#define SWEPT "[\"swept\"]" /* names all that was swept */

static bool fill(struct worker *w, const struct left *l, int64_t *changed, struct err *err)
{
    const struct crew *c = w->crew;
    struct db_params p = {0};
    struct db_rows rows = {0};

    for (int i = 0; l->range.lo && i < c->walk.n_keys; i++)
        p.value[p.n++] = l->range.lo[i];
    for (int i = 0; i < c->walk.n_keys; i++)
        p.value[p.n++] = l->range.hi[i];
    const struct db_params marks = DB_PARAMS(job_of(w, &w->batch), l->lo_json, l->hi_json);
    if (c->setup->spec.via)
        return via_range(w, &l->range, &marks, changed, err);
    for (int i = 0; i < marks.n; i++)
        p.value[p.n++] = marks.value[i];
    if (!db_query(w->db, &w->batch,
                  l->is_swept ? c->sql.swept[!l->range.lo] : c->sql.residual[!l->range.lo], &p,
                  &rows, err))
        return false;
    *changed = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    return true;
}

static bool fill_apart(struct worker *w, const struct left *l, struct err *err)
{
    int64_t changed = 0;

    return bisect(w, &l->range, &changed, err) &&
           db_exec(
               w->db, sql_update_backfill_residual,
               &DB_PARAMS(job_of(w, &w->batch), l->lo_json, l->hi_json, number(&w->batch, changed)),
               err);
}

/* Until it is done; who holds a row is waited for. *stops: told to. */
static bool do_range(struct worker *w, const struct left *l, int64_t *changed, bool *stops,
                     struct err *err)
{
    for (int attempt = 1;; attempt++) {
        AUTO(err) why = {0};

        arena_reset(&w->batch);
        if (worker_session(w, &why) && fill(w, l, changed, &why))
            return true;
        enum failure_class f = failure_of(why.sqlstate);
        if (f == FAILURE_DATA && attempt <= 3 && !w->crew->setup->spec.via) {
            if (bisect_only_looks(w) ? bisect(w, &l->range, &(int64_t) {0}, err)
                                     : fill_apart(w, l, err)) {
                if (!bisect_only_looks(w))
                    return true;
                continue;
            }
            return false;
        }
        int64_t wait = f == FAILURE_CONTENTION || f == FAILURE_SLOW
                           ? failure_long_wait_ms(attempt, clock_random(w->crew->ports->clock))
                           : failure_wait_ms(f, attempt, clock_random(w->crew->ports->clock));
        if (wait < 0 || err_is(&why, ERR_INTERRUPTED) || err_is(&why, ERR_REFUSED)) {
            err_move(err, &why);
            return err_note(err, "backfill %s, rows that somebody held, up to %s",
                            w->crew->setup->name, l->hi_json);
        }
        worker_note_retry(w, f == FAILURE_CONTENTION);
        *stops = !worker_pause(w, wait);
        if (*stops)
            return true;
    }
}

static bool do_ranges(struct worker *w, bool *stops, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_rows rows = {0};
    int n = w->crew->walk.n_keys;
    int64_t changed = 0;

    if (!list(w, &a, sql_select_backfill_residual, NULL, &rows, err))
        return false;
    for (int i = 0; i < rows.n_rows && !*stops; i++) {
        const struct left l = {.lo_json = db_cell(&rows, i, 0),
                               .hi_json = db_cell(&rows, i, 1),
                               .range = {key_read(&a, db_cell(&rows, i, 0), n),
                                         key_read(&a, db_cell(&rows, i, 1), n)}};
        if (!l.range.hi)
            return err_set(err, ERR_BUG, "what backfill %s left has no key as its end: %s",
                           w->crew->setup->name, l.hi_json);
        if (!do_range(w, &l, &changed, stops, err))
            return false;
    }
    return true;
}

/* ---- rows --------------------------------------------------------------------------------------------------- */

/* Once more each: somebody may have mended it. One that still can't be filled stays. */
static bool do_row(struct worker *w, const char *key_text, int64_t *still, struct err *err)
{
    struct crew *c = w->crew;
    const char **key;
    struct db_params p = {0};
    struct db_rows rows = {0};
    AUTO(err) why = {0};
    bool filled = false;

    arena_reset(&w->batch);
    key = key_read(&w->batch, key_text, c->walk.n_keys);
    for (int i = 0; key && i < c->walk.n_keys; i++)
        p.value[p.n++] = key[i];
    if (key && c->setup->spec.via ? via_one(w, (const char *const *) key, &filled, &why)
                                  : key && db_query(w->db, &w->batch, c->sql.row, &p, &rows, &why))
        return db_exec(w->db, sql_update_backfill_quarantine,
                       &DB_PARAMS(job_of(w, &w->batch), key_text,
                                  c->setup->spec.via ? (filled ? "1" : "0") : db_cell(&rows, 0, 0)),
                       err);
    if (key && failure_of(why.sqlstate) != FAILURE_DATA &&
        failure_of(why.sqlstate) != FAILURE_CONTENTION) {
        err_move(err, &why);
        return err_note(err, "backfill %s, row %s", c->setup->name, key_text);
    }
    (*still)++;
    return true;
}

static bool do_rows(struct worker *w, bool *stops, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_rows rows = {0};
    int64_t still = 0;
    const struct backfill_setup *s = w->crew->setup;

    if (!list(w, &a, sql_select_backfill_quarantine, number(&a, ROWS_MOST), &rows, err))
        return false;
    for (int i = 0; i < rows.n_rows && !*stops; i++) {
        *stops = !worker_pause(w, 0);
        if (!*stops && !do_row(w, db_cell(&rows, i, 0), &still, err))
            return false;
    }
    if (still <= s->max_bad_rows)
        return true;
    err_set(err, ERR_SQL, "backfill %s: %lld rows can't be filled, at most %lld may be", s->name,
            (long long) still, (long long) s->max_bad_rows);
    err_detail(err, "the first, %s: %s", db_cell(&rows, 0, 0), db_cell(&rows, 0, 2));
    return err_hint(err,
                    "mend the rows and run the same command again, or allow some: max_bad_rows");
}

/* ---- blocks -------------------------------------------------------------------------------------------------- */

/* A row that somebody changes while the table is walked by blocks may go to a block that is done already, or behind the
 * end. So what is still to do is looked for everywhere, until a whole pass finds nothing. Who makes such rows faster than
 * they are filled is found by the verification. */
#define PASSES_MOST 10

static bool find_end(struct worker *w, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_rows rows = {0};

    if (!worker_session(w, err) ||
        !db_query(w->db, &a, walk_end_sql(&a, &w->crew->walk), &DB_NO_PARAMS, &rows, err))
        return false;
    arena_reset(&w->slice.a);
    w->slice.hi = NULL;
    if (rows.n_rows > 0) {
        w->slice.hi = arena_array(&w->slice.a, const char *, 1);
        w->slice.hi[0] = arena_strdup(&w->slice.a, db_cell(&rows, 0, 0));
    }
    return true;
}

static bool pass(struct worker *w, int64_t *found, bool *stops, struct err *err)
{
    struct clock *clock = w->crew->ports->clock;
    int64_t rest = 0;

    if (!find_end(w, err))
        return false;
    place_set(&w->cursor, NULL, 0);
    for (bool ends = !w->slice.hi; !ends;) {
        int64_t changed = 0, begun;

        *stops = !worker_turn(w, rest);
        if (*stops)
            return true;
        arena_reset(&w->batch);
        if (!worker_session(w, err) || !batch_bound(w, err))
            return false;
        const struct left l = {SWEPT, SWEPT, {w->cursor.key, w->bound.key}, true};
        begun = clock_mono_ms(clock);
        if (!do_range(w, &l, &changed, stops, err))
            return false;
        int64_t ms = clock_mono_ms(clock) - begun;
        /* Most blocks have nothing to do; reading them is the work. */
        batch_size_done(&w->size, w->bound_rows, 1, (double) ms);
        rest = worker_note_batch(w, ms, 1);
        *found += changed;
        ends = w->is_last || *stops;
        place_swap(&w->cursor, &w->bound);
    }
    return true;
}

static bool sweep(struct worker *w, bool *stops, struct err *err)
{
    int64_t found = 1;

    for (int i = 0; i < PASSES_MOST && found > 0 && !*stops; i++) {
        found = 0;
        if (!pass(w, &found, stops, err))
            return err_note(err, "backfill %s, rows that were moved", w->crew->setup->name);
    }
    return true;
}

static bool work(struct worker *w, struct err *err)
{
    bool stops = false;

    return worker_session(w, err) && (w->crew->setup->only_bad_rows || do_ranges(w, &stops, err)) &&
           (stops || do_rows(w, &stops, err)) &&
           (stops || !w->crew->walk.by_blocks || sweep(w, &stops, err));
}

void *residual_main(void *worker)
{
    worker_thread(worker, work);
    return NULL;
}
