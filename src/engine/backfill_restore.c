/* What a backfill overwrote, back into its rows: by the old values that it kept, where nobody has written since. */
#include "internal.h"

#include "backfill_before.h"
#include "phasegate/backfill_ops.h"
#include "sql_embedded.h"

#include <stdlib.h>

#define FIRST_VERSION 3 /* of the ledger, that knows old values */
#define ROWS_AT_ONCE "1000"
#define FORGOTTEN_AT_ONCE "10000"

static int64_t whole(const struct db_rows *r, int col)
{
    const char *text = r->n_rows > 0 ? db_cell(r, 0, col) : NULL;

    return text ? strtoll(text, NULL, 10) : 0;
}

bool backfill_kept(struct engine *e, struct arena *a, int64_t job, int64_t *kept, int64_t *restored,
                   int64_t *newer, struct err *err)
{
    struct db_rows rows = {0};
    int version = 0;

    *kept = *restored = *newer = 0;
    if (!ledger_version(e->db, &version, err))
        return false;
    if (version < FIRST_VERSION)
        return true;
    if (!db_query(e->db, a, sql_select_backfill_before,
                  &DB_PARAMS(arena_printf(a, "%lld", (long long) job)), &rows, err))
        return false;
    *kept = whole(&rows, 0);
    *restored = whole(&rows, 1);
    *newer = whole(&rows, 2);
    return true;
}

/* As the user names things: types and the table. Some rows at a time, each time a transaction. */
static bool bring_back(struct work *w, const char *sql, int64_t *restored, int64_t *newer,
                       struct err *err)
{
    for (;;) {
        AUTO(arena) a = {0};
        struct db_rows rows = {0};

        if (!work_may_go_on(w, err) || !session_user_path(w, true, err))
            return false;
        bool good = db_query(w->e->db, &a, sql, &DB_PARAMS(ROWS_AT_ONCE), &rows, err);
        AUTO(err) second = {0};
        if (db_is_usable(w->e->db) && !session_user_path(w, false, good ? err : &second))
            return false;
        if (!good)
            return false;
        int64_t n = whole(&rows, 0), back = whole(&rows, 1);
        *restored += back;
        *newer += n - back;
        if (n == 0)
            return true;
    }
}

/* First it is no longer done, then what it did is undone: killed in between, it is filled again. */
static bool restore_one(struct work *w, const struct backfill_status *s, int64_t *restored,
                        int64_t *newer, struct err *err)
{
    const struct task *t = backfill_task(w, s->name);
    struct backfill_setup setup;
    struct backfill_table table;

    if (!t) {
        err_set(err, ERR_REFUSED, "plan %s has no backfill %s any more, whose old values are kept",
                w->p->id.s, s->name);
        err_reason(err, "edited");
        return err_hint(err, "they are in phasegate.backfill_before: job_id %lld",
                        (long long) s->id);
    }
    if (!backfill_settle(w, t, &setup, err))
        return false;
    setup.keeps_before = true;
    if (!backfill_look(w->e->db, w->a, &setup, &table, err) || !backfill_void(w, t->backfill, err))
        return false;
    struct walk k = backfill_walk(&setup, &table);
    k.keeps_for = s->id;
    return bring_back(w, walk_restore_sql(w->a, &k), restored, newer, err) ||
           err_note(err, "what rows of %s held before backfill %s", table.quoted, s->name);
}

static bool restore_all(struct work *w, const struct backfill_status *jobs, int n,
                        int64_t *restored, int64_t *newer, struct err *err)
{
    for (int i = 0; i < n; i++)
        if (jobs[i].kept > 0 && !restore_one(w, &jobs[i], restored, newer, err))
            return false;
    return true;
}

bool engine_backfill_restore(struct engine *e, struct plan *p, struct arena *a,
                             int64_t *out_restored, int64_t *out_newer, struct err *err)
{
    const struct advance_options o = {0};
    struct backfill_status *jobs = NULL;
    int64_t restored = 0, newer = 0, kept = 0;
    AUTO(err) ignored = {0};
    struct work w;
    int n = 0;

    if (!engine_backfills(e, p, a, &jobs, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        kept += jobs[i].kept;
    *out_restored = *out_newer = 0;
    if (kept == 0)
        return true;
    if (!session_ask_clock(e, a, err) || !work_open(&w, e, p, &o, a, err))
        return false;
    bool good = restore_all(&w, jobs, n, &restored, &newer, err);
    if (db_is_usable(e->db))
        (void) !lease_release(e->db, &ignored);
    *out_restored = restored;
    *out_newer = newer;
    return good;
}

/* With a purge nothing of the plan is to be brought back any more. */
bool backfill_forget(struct work *w, struct err *err)
{
    struct db_rows rows = {0};

    do {
        if (!work_may_go_on(w, err) ||
            !db_query(w->e->db, w->a, sql_delete_backfill_before,
                      &DB_PARAMS(w->p->id.s, FORGOTTEN_AT_ONCE), &rows, err))
            return false;
    } while (whole(&rows, 0) > 0);
    return true;
}
