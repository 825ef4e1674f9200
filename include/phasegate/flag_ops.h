/* flag_ops: changing the flags of a running system, by the rules.
 *
 * set: observe, compare with what was expected, journal, write, read back from the management
 * API and from what SDKs get, wait the propagation bound. Only then is the value settled, and a
 * rung's pause starts. A write whose answer is missing is in doubt, never failed: it is read
 * again after 1, 5, 15, 60 and 150 s and sent again only after a read. kill: no database, no
 * look-up, no question; it goes before everything else.
 *
 * The journal is <state_dir>/flags-<environment>.jsonl: one line per batch of intents before
 * they are sent and one per batch of answers, each fsynced. A kill in another process is seen in
 * it by a set under way, before and after each of its requests. An intent without an answer is a
 * write in doubt.
 *
 * Results live in the arena given. These functions never touch a database: rows for the ledger
 * go through `record`, and what couldn't be recorded is caught up with flag_journal_pending(). */
#ifndef PHASEGATE_FLAG_OPS_H
#define PHASEGATE_FLAG_OPS_H

#include "phasegate/flags.h"
#include "phasegate/ledger.h"

#define FLAG_DOUBT_LOOKS 5

struct flag_times {                         /* 0: the default */
    int64_t connect_ms, total_ms;           /* of a request: 3 s, 10 s */
    int64_t kill_connect_ms, kill_total_ms; /* 1 s, 3 s */
    int64_t retry_ms;    /* how long NOT_SENT and RATE_LIMITED are tried again: 60 s */
    int64_t confirm_ms;  /* how long a read-back may take to agree: 30 s */
    int64_t poll_ms;     /* between two of them: 250 ms */
    int64_t reassert_ms; /* kill: 1 s */
    int64_t doubt_ms[FLAG_DOUBT_LOOKS]; /* 1, 5, 15, 60, 150 s after a write in doubt */
};

struct flag_ops { /* everything is borrowed */
    struct ports *ports;
    const struct flag_service *service;
    const struct flag_service
        *kill_file; /* provider file at the environment's kill_file; NULL: none */
    const char *environment, *state_dir, *run_id, *actor;
    /* Writes the ledger row of a finished change. False: it couldn't; the change stands all the
     * same. NULL: there is no ledger at hand. */
    bool (*record)(void *ctx, const struct flag_change *row, struct err *err);
    void *record_ctx;
    struct flag_times times;
    /* The first signal ends a look at the flags, which then reads UNKNOWN: for those who only look, and not for
     * those who have to see what became of a write. */
    bool looks_end_at_signal;
};

/* ---- set ------------------------------------------------------------------------------------- */

struct flag_set_request {
    const struct flag_ref *ref;
    struct flag_value desired;
    const char *plan, *role, *reason; /* for journal and ledger; NULL: none */
    int expect_percent; /* what it was left at; if it isn't, nothing is written. -1: any */
    bool seen_before;   /* it was there once: a 404 is then UNKNOWN */
    bool ensure;        /* make it, off, when it is certainly absent */
    bool no_bound;      /* don't wait the propagation bound: the caller does */
};

struct flag_set_result {
    /* OK, NOCHANGE: it is what was wanted, at `level`. Everything else: see detail. IN_DOUBT:
     * the window (in_doubt_until_ms) is still open, nobody may write but a kill. CONFLICT:
     * drift, or a kill. */
    enum flag_answer answer;
    enum flag_level level;
    bool settled;     /* read back as far as can be, and the bound waited: a pause may start */
    bool preempted;   /* a kill came, or is under way */
    bool interrupted; /* by a signal, at a safe point; answer and level say how far it got */
    const char *op_id, *detail;
    struct flag_obs before, after;
    int64_t ms, configured_ms, delivered_ms; /* since the start; 0: not reached */
    int64_t in_doubt_until_ms;               /* wall clock; 0: not in doubt */
};

/* False: ERR_UNREACHABLE, ERR_CONFIG: the journal can't be written, so nothing was sent. */
bool flag_ops_set(struct flag_ops *ops, const struct flag_set_request *r, struct arena *a,
                  struct flag_set_result *out, struct err *err) MUST_CHECK;
/* The result as an error. True when it is settled; NOCHANGE and OK that aren't are ERR_STOPPED
 * (interrupted) or ERR_IN_DOUBT (not delivered in time). */
bool flag_set_verdict(const struct flag_set_request *r, const struct flag_set_result *result,
                      struct err *err);

/* ---- looking --------------------------------------------------------------------------------- */

/* All side by side, one try each, at `level` or what the service can show at most. obs[i] is
 * UNKNOWN with its why where it couldn't be read. seen_before may be NULL. */
void flag_ops_observe_all(struct flag_ops *ops, const struct flag_ref *refs, int n,
                          enum flag_level level, const bool *seen_before, struct arena *a,
                          struct flag_obs *obs);
/* Read-only: token, project, environment, approvals, SDK endpoint. call->answer and its PREFLIGHT
 * fields. */
void flag_ops_preflight(struct flag_ops *ops, const struct flag_ref *ref, struct arena *a,
                        struct flag_call *out);

enum flag_drift_kind {
    FLAG_DRIFT_NONE,
    FLAG_DRIFT_KILL_SEEN, /* lower than we left it: somebody's kill, to be respected */
    FLAG_DRIFT_HOLD,      /* higher, or something else decides as well: hold and alert */
    FLAG_DRIFT_UNKNOWN    /* can't be read: hold */
};
const char *flag_drift_word(enum flag_drift_kind k);

struct flag_drift {
    enum flag_drift_kind kind;
    struct flag_obs obs;
    const char *actor;     /* who did it, as far as the service says; NULL */
    int64_t changed_at_ms; /* 0: unknown */
    const char *detail;    /* a sentence; NULL for NONE */
};
/* Compares with the percentage that it was left at. Asks for the history only when it drifted. */
void flag_ops_drift(struct flag_ops *ops, const struct flag_ref *ref, int left_percent,
                    struct arena *a, struct flag_drift *out);

/* ---- kill ------------------------------------------------------------------------------------ */

struct flag_kill_target {
    struct flag_ref ref;
    const char *plan; /* NULL: named by --flag */
    int role;         /* enum flag_role; -1: named by --flag */
    bool remembered;  /* no file says it: where there is none (any more), it is off */
};

struct flag_kill_options {
    int64_t wait_ms; /* in the foreground, for each target; 0: 30 s */
    bool write_now;  /* don't wait with the write flag for the read flag */
    bool watch;      /* go on with the in-doubt schedule after that */
    bool drill;      /* flip to safe, measure, flip back */
    const char *reason;
};

struct flag_kill_result {
    const char *key, *plan, *role; /* role: "read", "write" or "" */
    const char *target;            /* the service as shown */
    enum flag_answer answer;       /* of the last attempt that says something */
    enum flag_level level, wanted; /* reached, and the highest that is configured */
    bool reached;                  /* off at `wanted` */
    bool in_doubt;                 /* reached or not: something may still change it */
    int before_percent;            /* drill: where it was; -1: not known */
    bool put_back;                 /* drill: there again */
    bool remembered;               /* no file says it */
    int64_t ms;                    /* from the start until it was reached, or until now */
    const char *op_id, *detail;    /* detail NULL: nothing to add */
    int exit_code;                 /* 0, 5, 3 */
};

struct flag_kill_report {
    struct flag_kill_result *results;
    int n;
    int exit_code; /* the worst: 3 before 5 before 0 */
    const char
        *journal_error; /* the journal couldn't be written; the kill went on. NULL: it could */
    bool interrupted;
};

/* The flags of plans (read and write), and keys by name, without duplicates. */
void flag_kill_targets(struct arena *a, const struct flag_ops *ops, const struct plan *const *plans,
                       int n_plans, const char *const *keys, int n_keys,
                       struct flag_kill_target **out, int *out_n);
/* Those of known that aren't among the targets in *list yet, added to it. plans: of these only; NULL: all. A plan that
 * is purged is left alone: it has no way back that off would lead to. */
void flag_kill_add_known(struct arena *a, const struct flag_ops *ops,
                         const struct known_flag *known, int n_known, const char *const *plans,
                         int n_plans, struct flag_kill_target **list, int *n);
/* Every target also in the kill file, where there is one. Never fails: the report says it all. */
void flag_ops_kill(struct flag_ops *ops, const struct flag_kill_target *targets, int n,
                   const struct flag_kill_options *o, struct arena *a,
                   struct flag_kill_report *out);

/* ---- the journal ----------------------------------------------------------------------------- */

struct flag_entry { /* one operation */
    const char *op_id, *key, *target, *verb, *plan, *role, *reason, *actor, *run_id, *host;
    const char *expect, *request; /* fingerprint expected; digest of what is asked for */
    int desired;                  /* percent */
    int64_t at_ms, pid;
    bool answered;
    bool settled; /* answered, and not in doubt any more */
    enum flag_answer answer;
    enum flag_level level;
    const char *before, *after, *detail; /* "25 %", "off", ... */
    int64_t ms;
    bool in_ledger;
};

/* Everything in it, oldest first. No file: none. Lines that a crash left half are passed over. */
bool flag_journal_load(const struct flag_ops *ops, struct arena *a, struct flag_entry **out,
                       int *out_n, struct err *err) MUST_CHECK;
/* Intents without an answer, and answers still in doubt. */
bool flag_journal_unmatched(const struct flag_ops *ops, struct arena *a, struct flag_entry **out,
                            int *out_n, struct err *err) MUST_CHECK;
/* Each flag that was ever changed from this host, with the plan it was changed for last; stage NULL. By hand and for no
 * plan: only when it may be on. */
bool flag_journal_known(const struct flag_ops *ops, struct arena *a, struct known_flag **out,
                        int *out_n, struct err *err) MUST_CHECK;
/* Until when such an entry may still take effect; wall clock. */
int64_t flag_entry_doubt_ends_ms(const struct flag_ops *ops, const struct flag_entry *e);
/* Changes that the ledger doesn't have yet, as its rows; and: it has them now. */
bool flag_journal_pending(const struct flag_ops *ops, struct arena *a, struct flag_change **out,
                          int *out_n, struct err *err) MUST_CHECK;
/* Is this row of the ledger a drill's? Its reason says so. */
bool flag_change_is_drill(const struct flag_change *row);
bool flag_journal_recorded(const struct flag_ops *ops, const struct flag_change *rows, int n,
                           struct err *err) MUST_CHECK;

#endif
