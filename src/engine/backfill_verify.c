/* Verification of backfills for an operator: what their rows hold, by ranges. It takes no lease. */
#include "internal.h"

#include "backfill_before.h"
#include "phasegate/backfill_ops.h"
#include "sql_embedded.h"

#include <stdlib.h>

static int64_t whole(const struct db_rows *r, int row, int col)
{
    const char *text = db_cell(r, row, col);

    return text ? strtoll(text, NULL, 10) : 0;
}

/* Columns of select_verified_slices.sql. */
static void take_slices(struct arena *a, const struct db_rows *r, struct backfill_found *out)
{
    out->slices = arena_array(a, struct backfill_slice_found, r->n_rows);
    out->n_slices = r->n_rows;
    for (int i = 0; i < r->n_rows; i++) {
        struct backfill_slice_found *s = &out->slices[i];

        *s = (struct backfill_slice_found) {.number = whole(r, i, 0),
                                            .lo = db_cell(r, i, 1),
                                            .hi = db_cell(r, i, 2),
                                            .rows = whole(r, i, 3),
                                            .left = whole(r, i, 4),
                                            .differing = whole(r, i, 5),
                                            .bad = whole(r, i, 7),
                                            .ranges = whole(r, i, 8),
                                            .digest = db_cell(r, i, 9)};
        out->rows += s->rows;
        out->left += s->left;
        out->differing += s->differing;
        out->known += whole(r, i, 6);
        out->bad += s->bad;
        out->digest = db_cell(r, i, 10);
        out->began_at_ms = whole(r, i, 11);
        out->finished_at_ms = whole(r, i, 12);
        out->compares = strcmp(db_cell(r, i, 13), "t") == 0;
    }
}

static bool read_found(struct engine *e, struct arena *a, int64_t id, struct backfill_found *out,
                       struct err *err)
{
    const char *text = arena_printf(a, "%lld", (long long) id);
    struct db_rows slices = {0}, wrong = {0};

    if (!db_query(e->db, a, sql_select_verified_slices, &DB_PARAMS(text), &slices, err) ||
        !db_query(e->db, a, sql_select_backfill_differing,
                  &DB_PARAMS(text, arena_printf(a, "%d", BAD_ROWS_SHOWN)), &wrong, err))
        return false;
    take_slices(a, &slices, out);
    out->wrong = arena_array(a, struct backfill_wrong_row, wrong.n_rows);
    out->n_wrong = wrong.n_rows;
    for (int i = 0; i < wrong.n_rows; i++)
        out->wrong[i] = (struct backfill_wrong_row) {db_cell(&wrong, i, 0),
                                                     strcmp(db_cell(&wrong, i, 1), "t") == 0};
    return true;
}

static bool is_not_done(const struct plan *p, const struct backfill_status *s, struct err *err)
{
    err_set(err, ERR_REFUSED, "backfill %s isn't done: it is %s", s->name, s->status);
    err_reason(err, "not_done");
    return err_hint(err, "phasegate backfill %s says how far it is; once it is done, ask again",
                    p->id.s);
}

static bool verify_one(struct work *w, const struct backfill_status *s, struct backfill_found *out,
                       struct err *err)
{
    const struct task *t = backfill_task(w, s->name);
    struct backfill_question q = {0};

    if (!t) {
        err_set(err, ERR_REFUSED, "plan %s has no backfill %s any more", w->p->id.s, s->name);
        return err_reason(err, "edited");
    }
    *out = (struct backfill_found) {.name = s->name, .table = s->table};
    return backfill_verify_job(w, t, &q, err) && read_found(w->e, w->a, q.id, out, err);
}

static bool begun(struct engine *e, const struct work *w, struct backfill_status **jobs, int *n,
                  struct err *err)
{
    const struct plan *p = w->p;

    if (p->phases[PHASE_CONTRACT].present && w->state.stage >= STAGE_CONTRACT_RUNNING)
        return backfill_is_over(p, err);
    if (!engine_backfills(e, p, w->a, jobs, n, err))
        return false;
    for (int i = 0; i < *n; i++)
        if (strcmp((*jobs)[i].status, "done") != 0)
            return is_not_done(p, &(*jobs)[i], err);
    if (*n > 0)
        return true;
    err_set(err, ERR_REFUSED, "no backfill of plan %s has begun", p->id.s);
    return err_reason(err, "not_running");
}

/* Tables are added under the lease only, which this command doesn't take. */
static bool knows_verifications(int version, struct err *err)
{
    if (version == 0 /* there is none */ || version >= BACKFILL_VERIFIED_VERSION)
        return true;
    err_set(err, ERR_REFUSED, "the ledger is of version %d, which knows no verifications", version);
    err_reason(err, "ledger_older");
    return err_hint(err, "the next phasegate advance brings it up to date");
}

bool engine_backfill_verify(struct engine *e, struct plan *p, struct arena *a,
                            struct backfill_found **out, int *out_n, struct err *err)
{
    const struct advance_options o = {0};
    struct work w;
    struct backfill_status *jobs = NULL;
    int n = 0, version = 0;

    if (!ledger_version(e->db, &version, err) || !knows_verifications(version, err) ||
        !backfill_open_beside(&w, e, p, &o, a, err) || !begun(e, &w, &jobs, &n, err))
        return false;
    *out = arena_array(a, struct backfill_found, n);
    *out_n = n;
    w.only_reads = true;
    for (int i = 0; i < n; i++)
        if (!verify_one(&w, &jobs[i], &(*out)[i], err))
            return false;
    return true;
}
