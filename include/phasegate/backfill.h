/* backfill: the pure half of the backfill engine: how large a batch is, how long to rest, what throttles, what a
 * failure means, and how a table is cut into slices. No clock, no database: times come in, decisions go out.
 *
 * A job fills one table. It is cut once into slices, ranges of the key that any worker may claim; a worker walks its
 * slice in batches, each one transaction. docs/backfill.md says where the numbers come from.
 */
#ifndef PHASEGATE_BACKFILL_H
#define PHASEGATE_BACKFILL_H

#include "phasegate/str.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- how large a batch is -------------------------------------------------------------------------------- */

struct batch_limits {
    int64_t start, min, max; /* rows; min >= 1 */
    double target_ms;  /* what a transaction of the application may have to wait for a batch */
    int64_t max_bytes; /* of row versions in one batch; 0: no limit */
};
#define BATCH_LIMITS_DEFAULT ((struct batch_limits) {1000, 100, 50000, 50, (int64_t) 16 << 20})

struct batch_size {
    struct batch_limits limits;
    int64_t rows;      /* of the next batch */
    double ms_per_row; /* smoothed, of those that changed something; 0: not known */
    double row_bytes;  /* average width of a row; 0: not known */
};

void batch_size_begin(struct batch_size *b, const struct batch_limits *limits, double row_bytes);
/* A batch of `rows` rows (visited: between its bounds) was committed after ms. Towards the target: at most 1.5 x, at
 * least 0.5 x of the last; a quarter at once after a shock of more than five targets. Changed 0: it says nothing
 * about the work, and the size stays. */
void batch_size_done(struct batch_size *b, int64_t rows, int64_t changed, double ms);
/* Half: it was cancelled, for others or by its time limit. False: it was the smallest already. */
bool batch_size_halve(struct batch_size *b);
/* Other limits while it runs. */
void batch_size_limit(struct batch_size *b, const struct batch_limits *limits);

/* ---- how long to rest ------------------------------------------------------------------------------------ */

enum signal_level { SIGNAL_OK, SIGNAL_SLOW, SIGNAL_STOP };
const char *signal_level_word(enum signal_level l); /* "ok", "slow", "stop" */

/* Duty: the share of the time that is worked. It starts low, grows while it is calm, is halved when it isn't. */
struct pace {
    double duty, max_duty;
    int64_t calm_since_ms; /* since when it could have grown */
};

void pace_begin(struct pace *p, double start, double max, int64_t now_ms);
void pace_limit(struct pace *p, double max);
void pace_level(struct pace *p, enum signal_level l, int64_t now_ms); /* with every sample */
/* After a batch that took ms. One that changed nothing costs nobody anything: 0. */
int64_t pace_rest_ms(const struct pace *p, int64_t ms, int64_t changed);

/* ---- what throttles -------------------------------------------------------------------------------------- */

/* X(name, word in plans and status, unit, what it says, is it asked for unless the plan says otherwise) */
#define SIGNALS(X)                                                                                 \
    X(REPLICA_LAG, "replica_lag", UNIT_SECONDS, "the slowest standby is behind", true)             \
    X(REPLICA_BYTES, "replica_bytes", UNIT_BYTES, "the slowest standby has not replayed", true)    \
    X(SLOT_RETAINED, "slot_retention", UNIT_BYTES, "a replication slot keeps WAL", true)           \
    X(ARCHIVE_READY, "archiver", UNIT_COUNT, "WAL segments wait to be archived", true)             \
    X(LOCK_WAITERS, "lock_waiters", UNIT_COUNT, "sessions wait for a lock on the table", true)     \
    X(ACTIVE_SESSIONS, "sessions", UNIT_COUNT, "sessions are active", true)                        \
    X(DEAD_TUPLES, "dead_tuples", UNIT_PERCENT, "of the table's rows are dead", true)              \
    X(VACUUM_RUNNING, "vacuum", UNIT_COUNT, "autovacuum works on the table", true)                 \
    X(OLDEST_XMIN, "oldest_xmin", UNIT_SECONDS, "a transaction keeps old row versions", true)      \
    X(WAL_RATE, "wal_rate", UNIT_BYTES, "WAL is written every second", false)                      \
    X(WAL_DISK, "wal_disk", UNIT_PERCENT, "of the disk under pg_wal is used", false)               \
    X(DISK_FREE, "disk_free", UNIT_BYTES, "are left on the disk of the data", false)               \
    X(SQL, "sql", UNIT_NONE, "the plan's own query says stop", false)                              \
    X(HTTP, "http", UNIT_NONE, "the plan's own URL says stop", false)                              \
    X(FILE, "file", UNIT_NONE, "the plan's own file says stop", false)                             \
    X(WINDOW, "window", UNIT_NONE, "outside of the plan's hours", false)

enum signal_unit { UNIT_NONE, UNIT_COUNT, UNIT_SECONDS, UNIT_BYTES, UNIT_PERCENT };

#define X(name, word, unit, says, on) SIGNAL_##name,
enum signal_kind { SIGNALS(X) SIGNAL_COUNT };
#undef X
const char *signal_word(enum signal_kind k);
const char *signal_says(enum signal_kind k);
enum signal_unit signal_unit(enum signal_kind k);
bool signal_is_usual(enum signal_kind k);
/* The less of it the worse: its limits are floors, and slow is above stop. */
bool signal_is_floor(enum signal_kind k);
bool signal_from_word(const char *word, enum signal_kind *out);

struct signal_limit {
    double slow, stop; /* at or above, a floor at or below; HUGE_VAL: never */
    bool is_on;
};
struct signal_limit signal_limit_default(enum signal_kind k);

/* Unreadable for as long is a stop; calm again: below 80 % of the limit (a floor is 80 % of it), three times in a row. */
#define SIGNAL_BLIND_MS 15000
#define SIGNAL_CALM_SHARE 0.8
#define SIGNAL_CALM_TIMES 3

struct signal_state {
    enum signal_level level;
    double value; /* the last that could be read */
    bool has_value;
    int calm;               /* times in a row that it would have been a lower level */
    int64_t since_ms;       /* of the level */
    int64_t blind_since_ms; /* 0: it can be read */
    const char *why_blind;  /* the caller's; NULL: it can be read */
};

/* A sample of one signal, or that it couldn't be read (why). The level rises at once and falls late. */
enum signal_level signal_take(struct signal_state *s, enum signal_kind k,
                              const struct signal_limit *limit, const double *value_or_null,
                              const char *why, int64_t now_ms);
/* The level of all; *out_worst: the one to name, the first of the highest level. */
enum signal_level signals_level(const struct signal_state *s, const struct signal_limit *limits,
                                enum signal_kind *out_worst);
/* "replica_lag 7.2 s, limit 5 s: the slowest standby is behind". */
void signal_reason(struct str *out, enum signal_kind k, const struct signal_state *s,
                   const struct signal_limit *limit);

/* ---- what can be set ---------------------------------------------------------------------------------------- */

/* The plan's throttle:, and what `backfill PLAN set` changes while it runs. */
struct backfill_knobs {
    struct batch_limits batch;
    bool has_min, has_max; /* of batch: somebody asked for it */
    double max_duty;       /* share of the time that is worked, 0.01..1 */
    double vacuum_share;   /* of the rows changed between two VACUUMs, 0..1; 0: none */
    struct signal_limit limits[SIGNAL_COUNT];
    bool is_named[SIGNAL_COUNT];    /* somebody asked for it: it has to be readable */
    const char *text[SIGNAL_COUNT]; /* of sql, http, file, window: what to look at; borrowed */
    const char *paused;             /* by whom; NULL: it isn't */
};
void knobs_begin(struct backfill_knobs *k, const struct batch_limits *batch);
/* "target=20ms", "replica_lag=5s", "dead_tuples=off"; the text is borrowed. False: *why says what was expected. */
bool knob_take(struct backfill_knobs *k, const char *key, const char *value, const char **why);
/* Do they fit together? False: *why says what was expected. */
bool knobs_agree(const struct backfill_knobs *k, const char **why);
/* Is it a key at all? words: all of them, ends with NULL. */
extern const char *const knob_words[];

/* ---- what a failure means -------------------------------------------------------------------------------- */

enum failure_class {
    FAILURE_CONTENTION, /* others hold it: again, then leave the locked rows for later */
    FAILURE_SLOW,       /* our time limit: half the size, again */
    FAILURE_DATA,       /* a row that can't be filled: find it */
    FAILURE_DISK,       /* full: stop */
    FAILURE_RESOURCES,  /* memory, connections: wait, again */
    FAILURE_CONNECTION, /* gone: reconnect, see whether it is the same server, go on at the cursor */
    FAILURE_SPEC,       /* wrong statement, no privilege: stop */
    FAILURE_CORRUPT,    /* stop everything */
    FAILURE_FENCED      /* somebody else has the slice, or the job was stopped: leave it */
};
const char *failure_word(enum failure_class f);
/* sqlstate: five characters, "" when no server spoke (then the connection is gone). */
enum failure_class failure_of(const char *sqlstate);
/* Before the nth try (1, 2, ...) of the same thing; random: any 32 bits. -1: no further one. */
int64_t failure_wait_ms(enum failure_class f, int attempt, uint32_t random);

/* Of what can only be waited for: a lock on the whole table, rows that are left. -1: for too long. */
int64_t failure_long_wait_ms(int attempt, uint32_t random);

/* ---- slices ---------------------------------------------------------------------------------------------- */

#define SLICE_ROWS 1000000
#define SLICES_MAX 256

/* How many, for about so many rows. At least 1, and one for each worker as long as there are rows for it. */
int slices_wanted(int64_t rows, int64_t workers);
/* Which of n bounds (distinct, ascending, as pg_stats.histogram_bounds has them) cut the table into at most `wanted`
 * slices of about the same number of rows; out has room for wanted - 1. Returns how many it took. */
int slices_cut(int n_bounds, int wanted, int *out);

/* ---- what it will take ---------------------------------------------------------------------------------------- */

struct estimate_basis {
    int64_t rows, bytes, index_bytes; /* of the table, and of all its indexes */
    int n_indexes;
    double todo_share;   /* of the rows, 0..1 */
    double hot_share;    /* of the new versions that stay on their page, 0..1 */
    double vacuum_share; /* as in backfill_knobs */
    double duty;
    int workers; /* >= 1 */
    struct batch_limits batch;
    double ms_per_row, wal_per_row; /* as a batch was measured; 0: none was */
};

struct estimate {
    int64_t rows, batches; /* rows to change */
    int64_t ms, least_ms, most_ms;
    int64_t wal_bytes, growth_bytes;
    bool is_measured;
};
void estimate_make(const struct estimate_basis *b, struct estimate *out);

/* ---- what is left ---------------------------------------------------------------------------------------- */

/* Rows a second over the last five minutes, rests and throttles included; no forecast before one in a hundred. */
struct forecast {
    double per_second; /* 0: not known */
    int64_t at_ms, rows;
};
void forecast_take(struct forecast *f, int64_t rows_done, int64_t now_ms);
int64_t forecast_left_ms(const struct forecast *f, int64_t rows_done,
                         int64_t rows_total); /* -1: not known */

#endif
