/* crew: what the threads of one run share. Not for other layers. */
#ifndef PHASEGATE_BACKFILL_CREW_H
#define PHASEGATE_BACKFILL_CREW_H

#include "phasegate/backfill_run.h"

#include <pthread.h>

/* Made once, before any worker starts, and only read. Texts that come often keep their address: the session may
 * keep them prepared. */
struct via_sql { /* where a program says what columns become */
    const char *read[2], *batch[2], *fill[2], *residual[2];
    const char *read_row, *row;
};

struct walk_sql {
    const char *next[2], *count[2], *batch[2], *batch_free[2], *fill[2], *left[2], *move[2],
        *residual[2], *swept[2]; /* [1]: from the start */
    const char *verify[2], *verify_blind[2];
    const char *row;
    struct via_sql via;
};

struct server {
    char system[24]; /* its identifier; "": not known */
    int64_t timeline;
};

struct crew {
    struct ports *ports;
    const struct backfill_setup *setup;
    const struct backfill_table *table;
    const struct backfill_job *job;
    struct walk walk;
    struct walk_sql sql;

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t changed;
    struct server server, server_before; /* that is worked on; before this run */
    bool stops;                          /* nobody begins another batch */
    struct err why;                      /* the first failure; ERR_NONE: none */
    int at_work;                         /* threads that haven't ended */
    int walked; /* slices that were done or given back: there may be something to take, or nothing left */
    struct pace pace;
    enum signal_level level;
    struct str reason;
    struct batch_limits limits;
    int64_t retried, cancelled;
    bool waits_for_lock; /* of somebody else, and has for some time */
    bool vacuum_begun;
    int64_t batch_rows; /* of the newest batch */
    double batch_ms;    /* smoothed */
    int n_pids;         /* one place a thread, the last is VACUUM's */
    int *pids;          /* of sessions that are at work; 0: none */
    struct str said;    /* by programs, on their standard error */
    bool *is_cancelled; /* by us, for those whom it kept waiting */
};

struct place { /* a key that outlives a batch */
    struct arena a;
    const char **key; /* NULL: the start of the table */
};

struct slice {
    int64_t id, number, epoch; /* id 0: none */
    struct arena a;
    const char **hi;
};

struct worker {
    struct crew *crew;
    int number;
    pthread_t thread;
    bool has_thread;
    struct db *db;
    struct arena batch; /* of one batch */
    struct slice slice;
    struct place cursor, bound;
    bool is_last;       /* bound is the slice's end */
    int64_t bound_rows; /* for how many it was looked for */
    struct batch_size size;
    int64_t
        narrow; /* rows of a verification's range, on the way to one that can't be evaluated; 0: as usual */
    int64_t n_blind;           /* such rows so far */
    int lost_in_a_row;         /* batches that ended with their session */
    struct coprocess *program; /* NULL: none runs */
    int silent;                /* how often in a row it gave no answer */
    int64_t rest_ms;           /* before the batch that comes */
    struct str rest_reason;
};

/* Of the thread that watches. */
struct monitor {
    struct crew *crew;
    struct db *db;
    struct arena a, kept; /* of one sample; of what was set */
    struct arena told;
    const char *folder; /* of the server's data, in told; NULL: not on this host */
    bool asked_for_folder;
    struct backfill_knobs knobs;
    const char *set; /* JSON of what was set, as it was read last */
    struct signal_state state[SIGNAL_COUNT];
    bool unseen[SIGNAL_COUNT]; /* nobody asked for it, and this role may not see it */
    enum signal_kind worst;    /* SIGNAL_COUNT: none */
    int64_t sampled_ms, probed_ms, told_ms, since_ms;
    double wal, max_connections;
    int64_t wal_at_ms;
};

/* ---- key.c */
const char *key_json(struct arena *a, const char *const *key_or_null, int n);
const char **key_read(struct arena *a, const char *json_or_null,
                      int n); /* NULL: the start, or not a key */
void place_set(struct place *p, const char *const *key_or_null, int n);
void place_swap(struct place *x, struct place *y);

/* ---- job.c */
/* In a transaction that only looks, with the author's search_path: the names are the author's. */
bool job_ask(struct db *db, struct arena *a, const struct backfill_setup *s, const char *sql,
             const struct db_params *p, struct db_rows *rows, struct err *err) MUST_CHECK;

/* ---- server.c */
/* Is it the one that the job was begun on, or what a failover made of it? *before: as the ledger knew it. ERR_REFUSED
 * "other_server": it isn't. */
bool server_begin(struct db *db, const struct backfill_setup *s, int64_t job, struct server *out,
                  struct server *before, struct err *err) MUST_CHECK;
/* The same, and the ledger knows this one from now on. */
bool server_settle(struct db *db, const struct backfill_setup *s, int64_t job, struct server *out,
                   struct server *before, struct err *err) MUST_CHECK;
/* The same of a worker's new session. */
bool server_check(struct worker *w, struct err *err) MUST_CHECK;

/* ---- slice.c: of the backfill, or of its verification */
bool slice_claim(struct worker *w, bool *found, struct err *err) MUST_CHECK;
void slice_release(struct worker *w, const struct err *why); /* as far as the session lives */
/* Are there slices that aren't done? */
bool slice_any_open(struct worker *w, bool *out, struct err *err) MUST_CHECK;

/* ---- batch.c: from the cursor to the bound */
/* Finds the bound, for the size as it is now. */
bool batch_bound(struct worker *w, struct err *err) MUST_CHECK;
/* BATCH_FREE: without the rows that others hold. Then the cursor is where the bound was, and the bound is the next. */
enum batch_kind { BATCH_ALL, BATCH_FREE };
bool batch_run(struct worker *w, enum batch_kind kind, int64_t *visited, int64_t *changed,
               struct err *err) MUST_CHECK;
/* Filled piece by piece: only the cursor. The bound is to be found again. */
bool batch_move(struct worker *w, int64_t changed, struct err *err) MUST_CHECK;

/* A verification looks at the range instead. */
bool batch_verify(struct worker *w, enum walk_trust trust, int64_t *visited,
                  struct err *err) MUST_CHECK;

/* ---- bisect.c: the range has a row that can't be filled. */
/* Where no such row may be left nothing is filled: it is found, and named in the error. */
bool bisect_only_looks(const struct worker *w);
/* The row goes to quarantine. ERR_SQL: there are more of them than may be, or this one may not be left. */
bool quarantine_row(struct worker *w, struct arena *a, const char **key, const struct err *why,
                    struct err *err) MUST_CHECK;
/* Fills the others, one transaction each piece. *changed 0 and no error of one that only looks: there is none now. */
struct key_range {
    const char **lo, **hi; /* lo NULL: the start of the table */
};
bool bisect(struct worker *w, const struct key_range *r, int64_t *changed,
            struct err *err) MUST_CHECK;

/* ---- residual.c: what is left once all slices are done. A thread's work like worker_main. */
void *residual_main(void *worker);

/* ---- monitor.c */
void monitor_begin(struct monitor *m, struct crew *c);
void monitor_look(struct monitor *m);
void monitor_set(struct monitor *m, const char *json_or_null);
void monitor_tell(struct monitor *m, const struct backfill_now *now);
void monitor_stop_vacuum(struct monitor *m);
void monitor_end(struct monitor *m);

/* ---- vacuum.c */
bool vacuum_is_due(struct crew *c, const struct monitor *m, const struct backfill_now *now);
bool vacuum_claim(struct crew *c, struct db *db, const struct backfill_now *now) MUST_CHECK;
void *vacuum_main(void *worker);

/* ---- worker.c */
/* Under the lock: until something changes, or for so long. */
void crew_wait(struct crew *c, int64_t ms);
/* Rests for so long, and for as long as something says stop. False: no further batch. */
bool worker_turn(struct worker *w, int64_t rest_ms);
/* A batch took so long: how long to rest. */
int64_t worker_note_batch(struct worker *w, int64_t ms, int64_t changed);
/* False: nobody is to go on. */
bool worker_pause(struct worker *w, int64_t ms);
bool worker_session(struct worker *w, struct err *err) MUST_CHECK;
void worker_note_retry(struct worker *w, bool waits_for_lock);
/* What a thread does: run is it; its failure stops everybody. */
void worker_thread(struct worker *w, bool (*run)(struct worker *, struct err *));
void *worker_main(void *worker);

#endif
