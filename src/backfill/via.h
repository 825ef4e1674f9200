/* via: rows through a program of the user's. Not for other layers.
 *
 * It is told rows, an object a line, and answers each with an object a line, in the same order. One program a worker,
 * for as long as the worker is there; what it says is written by one statement, in which only rows count that are
 * still what the program was told of.
 */
#ifndef PHASEGATE_BACKFILL_VIA_H
#define PHASEGATE_BACKFILL_VIA_H

#include "crew.h"

struct via_row {
    const char **key, *seen, *told; /* as it was read; the line */
    const char *said;               /* its answer, an object; NULL: none yet, or a bad row */
    const char *bad;                /* why it can't be filled; NULL: it can */
    char sqlstate[6];
    bool is_told; /* it is in quarantine */
};

struct via { /* one batch */
    struct via_row *rows;
    int n;
    const char *said; /* the statement's parameter */
};

/* Reads what is to do there, asks the program, and puts what can't be filled into quarantine: more than is allowed is
 * an error. Places are as those of walk_via_read_sql; all of it lives in the worker's batch. */
bool via_ask(struct worker *w, const char *sql, const struct db_params *at, struct via *out,
             struct err *err) MUST_CHECK;
/* After the statement failed because of a row: the rows that it can't be done with, found one by one without writing,
 * go to quarantine, and *said is without them. fill: walk_via_fill_sql of the same place. False: it is something else,
 * or too many; why says it. */
bool via_blame(struct worker *w, const char *fill, const struct db_params *at, struct via *v,
               struct err *why) MUST_CHECK;
/* A range that was left for later: ERR_LOCK_TIMEOUT when some of it still is. changed: rows. */
bool via_range(struct worker *w, const struct key_range *r, const struct db_params *marks,
               int64_t *changed, struct err *err) MUST_CHECK;
/* One row. *filled: by us; else it isn't to do any more. */
bool via_one(struct worker *w, const char *const *key, bool *filled, struct err *err) MUST_CHECK;
void via_end(struct worker *w);

#endif
