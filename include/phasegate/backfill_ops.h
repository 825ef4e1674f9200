/* backfill_ops: what an operator does with the backfills of a plan beside advance, which begins and ends them: look,
 * help with more workers from anywhere, change limits while they run, try bad rows again. Parts of the engine.
 *
 * None of these but restoring takes the lease: any number may run beside an advance, and beside one another.
 */
#ifndef PHASEGATE_BACKFILL_OPS_H
#define PHASEGATE_BACKFILL_OPS_H

#include "phasegate/backfill.h"
#include "phasegate/engine.h"

/* A process that works on it now. */
struct backfill_runner {
    const char *host, *pid, *level;              /* level: ok, slow, stop */
    const char *signal, *value, *bound, *reason; /* NULL: nothing throttles */
    int64_t workers, since_ms, began_ms, batch_rows,
        left_ms; /* since_ms: of the level; left_ms -1: not known */
    double duty, batch_ms, rows_per_second;
};

struct backfill_bad_row {
    const char *key, *sqlstate, *message; /* key: JSON array */
    int64_t attempts, first_at_ms;
};

struct backfill_status {
    int64_t id;
    const char *name, *table, *status, *reason;
    int64_t rows_total, rows_done, rows_changed, batches, retried;
    int64_t slices, slices_done, slices_running;
    int64_t residual; /* ranges with rows that others held */
    int64_t kept, restored,
        newer; /* rows whose old values are kept; are back; weren't brought back, as they had changed */
    int64_t bad, mended; /* rows that can't be filled; that could be at last */
    const char *knobs;   /* JSON object of what was set; NULL: nothing */
    int64_t started_at_ms, finished_at_ms;
    int64_t wal_bytes, growth_bytes; /* once it is done; -1: not known */
    bool has_estimate;               /* made when it began */
    struct estimate estimate;
    struct backfill_runner *runners;
    int n_runners;
    struct backfill_bad_row *bad_rows; /* the oldest, BAD_ROWS_SHOWN at most */
    int n_bad_rows;
};
#define BAD_ROWS_SHOWN 20

/* Those that have begun, oldest first. */
bool engine_backfills(struct engine *e, const struct plan *p, struct arena *a,
                      struct backfill_status **out, int *out_n, struct err *err) MUST_CHECK;
/* What a backfill of the plan would take as the table is now, begun or not. Nothing is written; measured: a few batches
 * are tried and rolled back, which leaves WAL and dead rows. */
struct backfill_expectation {
    const char *name, *table;
    int64_t rows, bytes; /* of the table */
    struct estimate estimate;
};
bool engine_backfill_estimate(struct engine *e, struct plan *p, bool measured, struct arena *a,
                              struct backfill_expectation **out, int *out_n,
                              struct err *err) MUST_CHECK;
/* More workers for those that are running, until no slice is left. ERR_REFUSED "not_running": none is. */
bool engine_backfill_help(struct engine *e, struct plan *p, int workers, struct arena *a,
                          int64_t *out_rows, struct err *err) MUST_CHECK;
/* Only what couldn't be filled. *out_left: rows that still can't be. */
bool engine_backfill_retry(struct engine *e, struct plan *p, struct arena *a, int64_t *out_filled,
                           int64_t *out_left, struct err *err) MUST_CHECK;
/* What rows held before goes back into them, of all backfills that kept it; they count as not done then. Rows that
 * have changed since are left alone. Takes the lease. */
bool engine_backfill_restore(struct engine *e, struct plan *p, struct arena *a,
                             int64_t *out_restored, int64_t *out_newer, struct err *err) MUST_CHECK;
/* What the rows of a backfill hold, once it is done: read only, range by range, each in a transaction of its own. One
 * that was killed is gone on with; several processes share one. */
struct backfill_wrong_row {
    const char *key; /* JSON array */
    bool is_left;    /* still to do; else it holds something else than the old side gives */
};
struct backfill_slice_found {
    int64_t number, rows, left, differing, bad, ranges;
    const char *lo, *hi; /* JSON; lo NULL: the start of the table */
    const char *digest;  /* of keys and new values: the same for the same contents */
};
struct backfill_found {
    const char *name, *table;
    int64_t rows, left, differing;
    int64_t known, bad; /* rows that are wrong in either way: in quarantine, and not */
    bool compares;      /* differing means something */
    const char *digest; /* NULL: the table was empty */
    int64_t began_at_ms, finished_at_ms;
    struct backfill_slice_found *slices;
    int n_slices;
    struct backfill_wrong_row *wrong; /* the first, BAD_ROWS_SHOWN at most */
    int n_wrong;
};
/* ERR_REFUSED "not_running": none has begun, or its old side is gone; "not_done": one isn't done yet. */
bool engine_backfill_verify(struct engine *e, struct plan *p, struct arena *a,
                            struct backfill_found **out, int *out_n, struct err *err) MUST_CHECK;
/* What is set, for all backfills of the plan that have begun. value NULL: as the plan says again. */
struct backfill_setting {
    const char *key, *value;
};
bool engine_backfill_set(struct engine *e, const struct plan *p, const struct backfill_setting *set,
                         int n, struct arena *a, struct err *err) MUST_CHECK;

#endif
