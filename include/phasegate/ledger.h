/* ledger: phasegate's own tables in a target database, and the lease.
 *
 * Schema `phasegate`, made and upgraded by the numbered files of src/sql/schema under the lease,
 * read with plain SQL by anyone. Looking never writes: on a database without the schema every
 * read answers "empty". Written on the db port only. Rows handed out live in the arena of the
 * call; times are epoch ms.
 *
 * migration_history is the journal: append-only, one row per event, hash-chained (hash =
 * sha256(previous hash || the row as text), computed by the server in the inserting statement).
 * Appends are put in order by the row lock on journal_head, which is held until the transaction
 * ends: append last. The newest row of a (plan, phase, step) is its state: deleting the rows of a
 * step makes it run again, which is harmless, and history --verify shows the gap.
 *
 * Errors beside those of the port: ERR_REFUSED "rights" (with the GRANT to run),
 * "ledger_newer", "ledger_damaged" (a table is gone, a stage is unknown). Rows are never
 * guessed.
 */
#ifndef PHASEGATE_LEDGER_H
#define PHASEGATE_LEDGER_H

#include "phasegate/json_out.h"
#include "phasegate/phase.h"
#include "phasegate/ports.h"

#define LEDGER_VERSION 9 /* newest schema file that this program knows */

/* 0: no ledger. A version above LEDGER_VERSION: ERR_REFUSED "ledger_newer". Writes nothing. */
bool ledger_version(struct db *db, int *out_version, struct err *err);
/* Under the lease, outside a transaction. Each file in one transaction with its row in
 * phasegate.schema_version. Doesn't make schema phasegate where the owner of the database has
 * made it. */
bool ledger_upgrade(struct db *db, struct err *err);

/* ---- lease: the session advisory lock ------------------------------------------------------ */

struct holder { /* the description of who holds the lock; only for messages */
    const char *run_id, *host, *user, *command, *step; /* NULL: unknown */
    int64_t pid, backend_pid, since_ms;
    bool alive; /* a backend with that pid and our label exists */
};

struct lease_options {
    const char *run_id, *host, *user, *command;
    int64_t pid;
    int64_t wait_ms; /* 0: don't wait */
    struct clock *clock;
    struct events *events;
    struct interrupt *interrupt;
};

/* On a session that waits for nothing and is in no transaction. ERR_REFUSED "read_only": a
 * standby, or read-only. ERR_REFUSED "pooler": transaction mode. The lock must be seen in
 * pg_locks under the backend pid of two successive transactions; and unless the port knows
 * that nothing is between (db_is_direct), a probe lock must end with its client: for that the
 * session is opened again (db_reconnect). Polls pg_try_advisory_lock every 300 ms; after
 * wait_ms: ERR_LOCKED with the holder. Makes or upgrades the ledger when `upgrade`. Then waits
 * (up to what is left of wait_ms, 1.5 s at least) for sessions that a dead run of ours left
 * behind; ERR_LOCKED "stale_backend" names them. On failure the lock isn't held. A session
 * that has the lease already keeps it, once. After db_reconnect the lease is gone: acquire
 * again. */
bool lease_acquire(struct db *db, const struct lease_options *o, bool upgrade,
                   struct err *err) MUST_CHECK;
/* Updates migration_lock.step; as a call for a pipeline too. */
bool lease_describe(struct db *db, const char *step, struct err *err);
void lease_describe_call(struct arena *a, const char *step, struct db_call *out);
/* Does this very session hold it? */
bool lease_is_held(struct db *db, bool *out_held, struct err *err) MUST_CHECK;
/* ERR_CONNECTION_LOST: it was no longer ours. */
bool lease_release(struct db *db, struct err *err);
/* Who holds it now. *out_held false: nobody; *out is then what a crashed holder left described
 * (backend_pid 0: nothing). */
bool lease_holder(struct db *db, struct arena *a, bool *out_held, struct holder *out,
                  struct err *err);
/* Live backends labelled phasegate/<other run> that have changed something or hold a table
 * lock that a query doesn't take: what a killed client left running. `command` is the query,
 * since_ms its transaction's begin. */
bool lease_stale_backends(struct db *db, struct arena *a, const char *run_id, struct holder **out,
                          int *out_n, struct err *err);

/* ---- plan_state ---------------------------------------------------------------------------- */

struct plan_state {
    const char *plan;
    enum stage stage;
    enum brake brake;
    const char *brake_reason, *brake_by;
    int64_t brake_since_ms, stage_since_ms;
    const char *task;        /* what is running or waited on; NULL */
    const char *waiting_for; /* sentence; NULL: not waiting */
    const char *waiting_holder, *waiting_release;
    int64_t waiting_since_ms, waiting_until_ms; /* 0: unknown / none */
    int percent[FLAG_ROLES];   /* last confirmed exposure that we set; 0 at first */
    int64_t rung_confirmed_ms; /* when the current rung was confirmed: its pause starts here */
    bool verified;             /* the backfill was verified */
    bool first_write_rung; /* the write flag has been above 0 since the last verification began */
    const char *release[PHASE_SLOTS]; /* under which each phase was advanced; NULL: not yet */
    const char *checksum;             /* of the plan when it was last advanced */
    int64_t hold_until_ms;            /* contract done: end of the hold */
    int64_t rows_done;                /* of the running backfill */
    bool exists;                      /* a row is there */
};

/* Without a row: planned, no brake, exists false. */
bool ledger_plan_state(struct db *db, struct arena *a, const char *plan, struct plan_state *out,
                       struct err *err);
bool ledger_plan_states(struct db *db, struct arena *a, struct plan_state **out, int *out_n,
                        struct err *err);
/* Insert or update everything but the brake, as a statement of a pipeline or a transaction (text lives in a). */
void ledger_plan_state_call(struct arena *a, const struct plan_state *s, struct db_call *out);
/* The brake and nothing else: it is put on by other sessions than the one that holds the lease. */
void ledger_plan_brake_call(struct arena *a, const struct plan_state *s, struct db_call *out);

/* ---- migration_history --------------------------------------------------------------------- */

/* Words of `status`: started, done, skipped, failed, undone, not_applicable, transition,
 * accepted, note. */
struct history_row {
    int64_t seq;
    const char *plan, *phase, *step;
    const char *kind; /* task kind word, \"transition\", \"flag\", \"approval\", \"accept\" */
    const char *description, *checksum, *status, *run_id, *applied_by, *host, *release;
    int64_t applied_at_ms, duration_ms;  /* applied_at_ms 0: now, by the server's clock */
    const char *sql, *undo_sql, *detail; /* detail: JSON object text or NULL */
    int machine_row;                     /* number of the transition; 0: none */
    const char *prev_hash, *hash;        /* hex; only when read */
};
void ledger_history_call(struct arena *a, const struct history_row *row, struct db_call *out);
bool ledger_history_append(struct db *db, const struct history_row *row, struct err *err);

struct history_filter {
    const char *plan, *release; /* NULL: all */
    int64_t limit;              /* 0: all; newest */
};
bool ledger_history(struct db *db, struct arena *a, const struct history_filter *f,
                    struct history_row **out, int *out_n, struct err *err); /* oldest first */
/* The newest row of each (phase, step) of a plan, notes and transitions aside: what is done.
 * Oldest first. */
bool ledger_steps(struct db *db, struct arena *a, const char *plan, struct history_row **out,
                  int *out_n, struct err *err);
/* The row that began this phase last, with its way back as {"chain": [...]} in its detail; seq 0: there is none. */
bool ledger_undo_chain(struct db *db, struct arena *a, const char *plan, const char *phase,
                       struct history_row *out, struct err *err);
/* The first of the rows that the way back rests on whose hash doesn't hold; *seq 0: all do. */
bool ledger_undo_changed(struct db *db, struct arena *a, const char *plan, const char *phase,
                         int64_t *seq, const char **step, struct err *err);
/* Has a run with this id moved this plan? An advance has; flags set, say, hasn't. */
bool ledger_run_moved(struct db *db, struct arena *a, const char *plan, const char *run_id,
                      bool *out, struct err *err);
/* The newest notification of a plan; text NULL: there was none. */
struct notification_row {
    const char *text;
    int64_t n_failed, at_ms;
};
bool ledger_notification(struct db *db, struct arena *a, const char *plan,
                         struct notification_row *out, struct err *err);
/* Recomputes the chain on the server. *out_ok false: out_broken says at which seq and how
 * (changed, missing, added past the end), and how many more places are broken. */
bool ledger_history_verify(struct db *db, struct arena *a, int64_t *out_rows, bool *out_ok,
                           const char **out_broken, struct err *err);

/* The chain of the whole journal, oldest first. content: what was hashed behind prev_hash, as JSON; NULL: a row of
 * another plan. The head has its seq as content. */
struct history_link {
    int64_t seq;
    bool is_own;
    const char *prev_hash, *hash, *content;
};
bool ledger_history_chain(struct db *db, struct arena *a, const char *plan,
                          struct history_link **out, int *out_n, struct history_link *out_head,
                          struct err *err);

/* ---- flags, approvals, soft drops, backfill, releases -------------------------------------- */

struct flag_change {
    const char *op_id, *plan, *flag, *role, *environment;
    const char *desired, *before, *after, *answer, *level, *reason, *actor, *run_id;
    int64_t at_ms, ms;
};
/* op_id is unique: writing one again changes nothing (the local journal catches up with it),
 * except that a row without an answer takes the answer, after, level and ms of a later one.
 * at_ms 0: now. */
void ledger_flag_change_call(struct arena *a, const struct flag_change *c, struct db_call *out);
bool ledger_flag_changes(struct db *db, struct arena *a, const char *plan_or_null, int64_t limit,
                         struct flag_change **out, int *out_n, struct err *err); /* newest first */

/* A flag that was set once, and for which plan last. plan, role, stage NULL: none. */
struct known_flag {
    const char *key, *plan, *role, *stage;
};
bool ledger_known_flags(struct db *db, struct arena *a, const char *environment,
                        struct known_flag **out, int *out_n, struct err *err);

struct approval {
    const char *plan, *phase, *checksum, *role, *who, *because, *host;
    bool refused;
    int64_t at_ms;
    bool is_journalled; /* when read: the journal has it too; else it counts for nothing */
};
bool ledger_approval_add(struct db *db, const struct approval *ap, struct err *err);
/* plan NULL: all. Oldest first. */
bool ledger_approvals(struct db *db, struct arena *a, const char *plan, struct approval **out,
                      int *out_n, struct err *err);

/* Rows of the journal about the checklist: values before the first phase, signatures, readings. */
struct validation_row {
    const char *kind; /* "before", "signature", "validation" */
    const char *phase, *step, *checksum, *by, *description, *detail;
    int64_t at_ms;
    bool is_void; /* the plan has gone back since */
};
/* Oldest first. */
bool ledger_validations(struct db *db, struct arena *a, const char *plan,
                        struct validation_row **out, int *out_n, struct err *err);

struct soft_drop {
    int64_t id;
    const char *plan, *step, *object_kind, *schema, *table, *original_name, *hidden_name;
    /* Statements separated by newline-semicolon; see soft_drop plan. */
    const char *restore_sql, *purge_sql;
    const char *owner;
    int64_t dropped_at_ms, expires_at_ms, restored_at_ms, purged_at_ms; /* 0: not */
};
void ledger_soft_drop_call(struct arena *a, const struct soft_drop *d, struct db_call *out);
/* plan NULL: all. Oldest first. */
bool ledger_soft_drops(struct db *db, struct arena *a, const char *plan, struct soft_drop **out,
                       int *out_n, struct err *err);
void ledger_soft_drop_restored_call(struct arena *a, int64_t id, struct db_call *out);
void ledger_soft_drop_purged_call(struct arena *a, int64_t id, struct db_call *out);

/* Writes to what is hidden, by who made them. The newest first; a restored thing's are kept until it is hidden anew. */
#define LEDGER_WITH_TRAPS 8
struct soft_drop_touch {
    const char *step, *role, *application, *operation; /* INSERT ... */
    int64_t count, first_ms, last_ms, age_ms; /* age: of the newest, by the server's clock */
};
bool ledger_soft_drop_touches(struct db *db, struct arena *a, const char *plan,
                              struct soft_drop_touch **out, int *out_n, struct err *err);
void ledger_soft_drop_untouched_call(const char *plan, const char *step, struct db_call *out);

#define LEDGER_WITH_VERIFICATIONS 4
/* A snapshot counts once it has verified_at and no failed_at, until it is pruned. */
#define LEDGER_WITH_SNAPSHOTS 5
struct snapshot_row {
    const char *name, *plan, *phase, *checksum, *location, *manifest_sha256, *run_id, *taken_by;
    int64_t rows, bytes;
    int64_t taken_at_ms, keep_until_ms, verified_at_ms, failed_at_ms, pruned_at_ms; /* 0: not */
    const char *failed_why;
    bool may_be_pruned; /* its time is over, and nothing hidden hangs on it */
};
static inline bool snapshot_row_counts(const struct snapshot_row *s)
{
    return s->verified_at_ms && !s->failed_at_ms && !s->pruned_at_ms;
}
bool ledger_snapshot_add(struct db *db, const struct snapshot_row *s, const char *manifest,
                         struct err *err);
/* why_not NULL: it is what was taken. */
bool ledger_snapshot_verified(struct db *db, const char *name, const char *why_not,
                              struct err *err);
bool ledger_snapshot_pruned(struct db *db, const char *name, struct err *err);
/* plan NULL: all. Oldest first. */
bool ledger_snapshots(struct db *db, struct arena *a, const char *plan, struct snapshot_row **out,
                      int *out_n, struct err *err);
/* Manifests as the ledger has them; lsn NULL: it says none. plan NULL: all. Oldest first. */
struct snapshot_manifest {
    const char *name, *manifest, *lsn;
};
bool ledger_snapshot_manifests(struct db *db, struct arena *a, const char *plan,
                               struct snapshot_manifest **out, int *out_n, struct err *err);

/* A place in the WAL that a backup can be restored to. */
#define LEDGER_WITH_RESTORE_POINTS 7
struct restore_point {
    int64_t id;
    const char *plan;
    const char *phase; /* "contract" or "purge": what it was set before */
    const char *name, *lsn, *segment, *run_id, *by;
    int64_t timeline, at_ms;
    int64_t archived_at_ms; /* 0: its segment isn't known to be in the archive */
    const char *why_not;    /* NULL: it is, or nobody has looked yet */
};
/* id and at_ms are filled in. */
bool ledger_restore_point_add(struct db *db, struct arena *a, struct restore_point *p,
                              struct err *err);
/* why_not NULL: its segment is in the archive. */
bool ledger_restore_point_archived(struct db *db, int64_t id, const char *why_not, struct err *err);
/* As status and evidence show it; NULL: null. */
void restore_point_json(struct json_out *j, const char *key_or_null,
                        const struct restore_point *p_or_null);
/* plan NULL: all. Oldest first. */
bool ledger_restore_points(struct db *db, struct arena *a, const char *plan,
                           struct restore_point **out, int *out_n, struct err *err);

/* A rehearsal counts for the checksum of the plan that it was made of. */
#define LEDGER_WITH_REHEARSALS 6
struct rehearsal_row {
    const char *plan, *checksum, *server, *run_id, *by;
    bool green, on_clone;
    int64_t problems, rows, kills, seed, duration_ms;
    int64_t at_ms, age_ms; /* when read, by the server's clock */
    bool exists;
};
bool ledger_rehearsal_add(struct db *db, const struct rehearsal_row *r, const char *report,
                          struct err *err);
/* The newest of this checksum. Of what was recorded only: green, problems, on_clone, when, by. */
bool ledger_rehearsal(struct db *db, struct arena *a, const char *plan, const char *checksum,
                      struct rehearsal_row *out, struct err *err);

struct backfill_job {
    int64_t id;
    const char *plan, *name, *table, *checksum, *status; /* planned, running, done, failed, void */
    const char *hi, *cursor; /* JSON text of the key; NULL: from the start */
    const char *mode; /* how it is walked, for who reads the ledger; NULL: keyset. Not read back */
    int64_t rows_total, rows_done, rows_changed, batches;
    int64_t started_at_ms, finished_at_ms;
    int64_t epoch; /* fencing */
    bool exists;
};
bool ledger_backfill_job(struct db *db, struct arena *a, const char *plan, const char *name,
                         struct backfill_job *out, struct err *err);
/* Insert, or take over with epoch + 1: it goes on at its cursor up to its stored hi. From the
 * start, with j->hi, when it was done, void or cancelled, or its checksum is another. *out:
 * the job as it is now. */
bool ledger_backfill_begin(struct db *db, struct arena *a, const struct backfill_job *j,
                           struct backfill_job *out, struct err *err);
/* The same, and cuts it into slices, a JSON array of [lo, hi]: all of it or nothing. What it was cut into before is
 * forgotten, with its journal, residual and quarantine. */
bool ledger_backfill_begin_cut(struct db *db, struct arena *a, const struct backfill_job *j,
                               const char *slices, struct backfill_job *out, struct err *err);
/* In the transaction of the rows. Fails with 22P02 when another run has taken the job over,
 * its status isn't running, or the cursor isn't at old_cursor: the transaction and with it the
 * rows are then to be rolled back. */
void ledger_backfill_cursor_call(struct arena *a, int64_t id, int64_t epoch, const char *old_cursor,
                                 const char *new_cursor, int64_t rows, int64_t changed,
                                 struct db_call *out);
void ledger_backfill_status_call(struct arena *a, int64_t id, const char *status,
                                 struct db_call *out);

/* release_window: one row per database: the oldest release that still works, the newest that's
 * allowed. */
struct release_window {
    const char *oldest, *newest, *why;
    int64_t since_ms;
    bool exists;
};
bool ledger_release_window(struct db *db, struct arena *a, struct release_window *out,
                           struct err *err);
void ledger_release_window_call(struct arena *a, const struct release_window *w,
                                struct db_call *out);

/* ---- what is in the catalogue -------------------------------------------------------------- */

/* Who holds or waits for locks on a table: for "gives up with the holder named". One row a
 * session, 50 at most; who holds comes before who waits (state "waiting"), the oldest
 * transaction first. pid 0: a prepared transaction. mode: the strongest, "ACCESS EXCLUSIVE".
 * query: the server shows that of other roles only to pg_read_all_stats. */
struct lock_holder {
    int64_t pid;
    const char *application, *mode, *state, *query;
    int64_t xact_age_ms, query_age_ms;
};
/* Of server and database: two connections with the same one see the same rows. In arena a. */
bool observe_identity(struct db *db, struct arena *a, const char **out, struct err *err);
/* table: quoted, with its schema. NULL: every table but PostgreSQL's and the ledger's. */
bool observe_lock_holders(struct db *db, struct arena *a, const char *table_or_null,
                          struct lock_holder **out, int *out_n, struct err *err);
/* Other sessions of this database with an open transaction, oldest first; without mode. */
bool observe_open_transactions(struct db *db, struct arena *a, struct lock_holder **out, int *out_n,
                               struct err *err);

#endif
