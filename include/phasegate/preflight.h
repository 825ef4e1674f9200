/* preflight: facts of the live database against what the next phase needs. Looks only, but for engine_fix.
 *
 * Each check has an outcome, what was found, the limit, and the query that tells, so that anybody can ask again. What
 * can't be found out is a warning that says why, never a pass.
 */
#ifndef PHASEGATE_PREFLIGHT_H
#define PHASEGATE_PREFLIGHT_H

#include "phasegate/engine.h"

enum preflight_outcome { PREFLIGHT_PASS, PREFLIGHT_WARN, PREFLIGHT_NO_GO };
const char *preflight_outcome_word(enum preflight_outcome o); /* "pass", "warn", "no-go" */

struct preflight_check {
    const char *id; /* "server", "locks", "data": docs/reference/preflight.md has a line for each */
    const char *about; /* table, constraint or data check; NULL: the server */
    enum preflight_outcome outcome;
    const char *value, *limit;
    const char *help;      /* what to do; NULL: nothing */
    const char *sql;       /* what was asked; NULL: not asked by SQL */
    const char **examples; /* rows or values that stand against it */
    int n_examples;
    struct pos at; /* of what needs it, in the plan; file NULL: nothing there */
};

/* What a task will take, as ranges. Bytes are of the disk, what is needed for a while included. */
struct preflight_estimate {
    const char *task;  /* NULL: of all of them */
    const char *table; /* NULL: none, or not there yet */
    int64_t least_ms, most_ms;
    int64_t least_bytes, most_bytes;
    int64_t least_wal, most_wal;
    const char *basis;   /* how it was come by */
    const char *unknown; /* why it can't be told; NULL: it can */
};

struct preflight {
    enum phase phase; /* that was looked at; NONE: the plan has none left */
    bool is_purge;    /* what contract left to the purge, not contract itself */
    struct preflight_check *items;
    int n, n_warn, n_no_go;
    struct preflight_estimate *estimates; /* of what takes time, in order */
    int n_estimates;
    struct preflight_estimate total; /* its unknown: there is more that can't be told */
};

/* phase NONE and not is_purge: what comes next. tries: a probe is written where snapshots go; else it only looks. Errors are
 * of the session; what a check's own query meets is its outcome. */
bool engine_preflight(struct engine *e, struct plan *p, enum phase phase, bool is_purge, bool tries,
                      struct arena *a, struct preflight *out, struct err *err) MUST_CHECK;

/* ---- what the plan's data checks say is to be mended (fix:) --------------------------------------------------- */

struct data_fix {
    const struct check *check;
    bool in_batches; /* as a backfill; else one statement of FIX_ROWS_MOST rows at the most */
    const char *before, *after; /* what the check gave; after NULL: it wasn't carried out */
    int64_t rows;               /* changed; -1: it wasn't carried out */
    bool holds;                 /* of after */
};
struct data_fixes {
    enum phase phase; /* NONE: none is left */
    struct data_fix *items;
    int n;
    const char *refused; /* what stands against them, with what ends it; NULL: nothing */
};
#define FIX_ROWS_MOST 10000

/* Fixes of the checks that don't hold now. Looks only. */
bool engine_fixes(struct engine *e, struct plan *p, enum phase phase, struct arena *a,
                  struct data_fixes *out, struct err *err) MUST_CHECK;
/* Carries them out under the lease, each recorded and its check asked again. One that was killed is gone on with.
 * ERR_REFUSED: a brake, an approval that is missing, the hours; or too many rows. */
bool engine_fix(struct engine *e, struct plan *p, enum phase phase, struct arena *a,
                struct data_fixes *out, struct err *err) MUST_CHECK;

#endif
