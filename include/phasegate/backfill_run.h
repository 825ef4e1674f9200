/* backfill_run: running a backfill's job. Any number of processes may work on one job at once, each with any number
 * of workers, and any of them may be killed at any time: what is done is in the database, in the transaction of the
 * rows.
 *
 * A worker is a thread with a session of its own. The caller's thread watches: it samples what throttles, says how far
 * it is, and asks the caller whether to go on.
 */
#ifndef PHASEGATE_BACKFILL_RUN_H
#define PHASEGATE_BACKFILL_RUN_H

#include "phasegate/backfill.h"
#include "phasegate/backfill_sql.h"
#include "phasegate/ledger.h"
#include "phasegate/ports.h"

/* What the table is, and by what it can be walked. */
struct backfill_table {
    const char *quoted; /* as the author's search_path finds it */
    unsigned oid;
    bool has_parts;
    const char **keys; /* n_keys; 0: nothing to walk along, not even blocks */
    int n_keys;
    bool by_blocks;      /* keys is ctid alone: no primary key, and none was named */
    int64_t rows, bytes; /* estimated */
    const char **
        bounds; /* of the first key column, ascending texts: pg_stats' histogram; n_bounds, 0: no statistics */
    int n_bounds;
    const char **key_types,
        **set_types; /* where there is a program, or old values are kept; else NULL */
};

/* What a verification asks of each row: is it still to do, does it hold what would be set. */
struct backfill_question {
    int64_t id;                       /* of the verification */
    const char *differs;              /* boolean SQL; NULL: old and new aren't compared */
    int64_t began_at_ms, rows_before; /* rows_before: looked at by those who were killed */
};

struct backfill_setup {
    const char *plan, *name, *checksum;
    struct backfill_spec spec;
    const char *const *key; /* the author's, n_key; 0: the primary key */
    int n_key;
    const char *search_path;     /* the user's */
    struct backfill_knobs knobs; /* the plan's; what is set meanwhile goes over them */
    int workers;                 /* >= 1 */
    bool only_bad_rows;          /* nothing but the rows that couldn't be filled, once more each */
    bool ends_job; /* does what the slices left too: one process only, the one that has the lease */
    bool stops_at_bad_row;
    bool keeps_before; /* what rows held goes to the ledger with the batch that changes them */
    bool takes_server; /* whatever server it was begun on */
    const struct backfill_question
        *verifies; /* rows are looked at, and none is filled; NULL: they are filled */
    int64_t max_bad_rows;
    int64_t lock_ms, statement_ms; /* of a batch */
    const char *const *via,
        *const
            *via_env; /* the program and all of its environment, each NULL-terminated; NULL: none */
    const char *url;  /* for the sessions of workers; a secret */
    const char *label;  /* of sessions: "phasegate/<run>/<task>" */
    const char *owner;  /* host and pid, for people */
    const char *runner; /* one of this run: its id */
};

/* What is going on, for progress and status. */
struct backfill_now {
    int64_t rows_total, rows_done, rows_changed, batches;
    int64_t retried, residual, quarantined, cancelled;
    int64_t vacuumed_at_changed; /* rows_changed when the table was vacuumed last */
    int workers, slices, slices_done;
    double per_second;
    int64_t left_ms; /* -1: not known */
    enum signal_level level;
    const char *reason;                /* what throttles; NULL: nothing */
    int64_t since_ms;                  /* of the level, wall clock */
    bool waits_for_lock;               /* of somebody else on the table or its last rows */
    int64_t timeline, timeline_before; /* of the server, and before this run; 0: not known */
};

struct backfill_watch {
    void *ctx;
    /* Several times a second, in the caller's thread. False: stop at the next safe point; err says why. */
    bool (*may_go_on)(void *ctx, struct err *err);
    void (*progress)(void *ctx, const struct backfill_now *now, bool is_last);
    void (*said)(void *ctx,
                 const char *line); /* by a program on its standard error; NULL: nobody asks */
};

/* How it is walked. Borrows from both. */
struct walk backfill_walk(const struct backfill_setup *s, const struct backfill_table *t);

/* The table of a backfill. ERR_INPUT: it isn't there. No key isn't an error here. */
bool backfill_look(struct db *db, struct arena *a, const struct backfill_setup *s,
                   struct backfill_table *out, struct err *err) MUST_CHECK;
/* Plans the job where it is new, finished or planned differently; else goes on with its slices as they are. The end is
 * frozen here: newer rows are the sync's. *empty: there is nothing to walk over. */
bool backfill_begin(struct db *db, struct arena *a, const struct backfill_setup *s,
                    const struct backfill_table *t, struct backfill_job *out, bool *empty,
                    struct err *err) MUST_CHECK;
/* Works until every slice is done, whoever does them, it is told to stop, or it can't go on. True: *finished says
 * whether nothing is left; not so where somebody has ended or replanned the job meanwhile. */
bool backfill_work(struct ports *ports, struct db *db, struct arena *a,
                   const struct backfill_setup *s, const struct backfill_table *t,
                   const struct backfill_job *job, const struct backfill_watch *watch,
                   struct backfill_now *out_now, bool *finished, struct err *err) MUST_CHECK;

/* Begins the verification of a job that is done, or goes on with the one that is under way. compares: old and new are to
 * agree; *out says whether they can be compared. Then backfill_work, with s->verifies, looks at all rows. */
bool backfill_verify_begin(struct db *db, struct arena *a, const struct backfill_setup *s,
                           const struct backfill_table *t, const struct backfill_job *job,
                           bool compares, struct backfill_question *out,
                           struct err *err) MUST_CHECK;

#endif
