/* engine: observe -> decide -> act -> record.
 *
 * One function per thing an operator can ask for. Each is idempotent: after kill -9 at any instant the
 * same call ends in the same state. Only these functions change a database or a flag; each safety question
 * goes through phase_decide(). Results live in the arena given; errors follow err.h. The engine prints
 * nothing: it emits events.
 */
#ifndef PHASEGATE_ENGINE_H
#define PHASEGATE_ENGINE_H

#include "phasegate/flags.h"
#include "phasegate/generate.h"
#include "phasegate/ledger.h"
#include "phasegate/load.h"

/* What a command works on. Filled by the cli; everything is borrowed. */
struct engine {
    struct ports *ports;
    struct plan_set *set;
    const struct environment *env;
    struct policy policy;    /* in force for env */
    struct db *db;           /* one session, search_path pinned to ''; NULL for kill */
    const char *search_path; /* the database's own, for the user's SQL */
    const char *as_role;     /* that questions are asked as; NULL: the session's own */
    const char *db_url;      /* resolved, for command: steps; a secret */
    const char *const
        *db_variables; /* the same as "PGHOST=...", NULL-terminated; a secret; NULL: none */
    struct flag_service *flags; /* NULL: the environment has none */
    struct flag_service
        *kill_file;            /* NULL: none; an override in it is taken out by the next rung */
    struct notifier *notifier; /* of milestones; NULL: nobody is told */
    const char *run_id, *command, *actor, *state_dir;
    const char *token_sha256; /* in hex, of the token that was given to sign with; NULL: none */
    int64_t lock_wait_ms;
    /* The server's clock less our monotonic one, once a run has asked: holds and pauses go by it. 0: not yet. */
    int64_t server_clock_ms;
    bool has_ledger; /* the schema is there; false: every read answers "empty" */
    /* Facts of a plan's SQL are loaded on first use; a head is made whole before. */
    bool (*facts)(struct plan_set *, struct plan *, struct err *);
    /* For a walk over all plans: this one whole with its facts, itself or *room in arena a. NULL: err. */
    struct plan *(*read_plan)(struct plan_set *, struct plan *, struct arena *a, struct plan *room,
                              struct err *);
};

/* What was proved of the transition that is about to begin. The caller's; see prove.c of the cli. */
struct transition_proof {
    const char
        *word; /* "proved", "none", "off"; NULL: nothing was to begin when it was looked at */
    const char *record; /* for the journal */
    enum phase phase;   /* that it is of; NONE: of any */
    /* Is the database still the one that was proved? Asked under the run's lock, before anything is written.
     * NULL: nothing to ask. */
    bool (*holds)(void *ctx, struct db *db, struct err *err);
    void *ctx;
};

/* A phase of another plan that a run would have finished by then; for a dry run of several. */
struct foreseen {
    const struct plan *plan;
    enum phase phase;
    const char *release;
};

/* The rollout of a fleet, as its leading database has it. */
struct fleet_lead {
    int percent[FLAG_ROLES];
    int rungs;      /* of the phase that may be passed; before the next one the run holds */
    bool is_leader; /* climbs them; the others follow */
    bool follows; /* who holds counts that next rung as reached: the leader is about to climb it */
};

struct advance_options {
    const char *release; /* the one being rolled out; NULL: error unless going on */
    bool force;          /* run applied steps again */
    bool no_wait;        /* stop (ERR_STOPPED) where a pause would be waited out */
    const char *confirm; /* plan name typed for a point of no return; NULL */
    const struct transition_proof *proof; /* NULL: the caller asks for none */
    const struct foreseen *before;        /* counted as done */
    int n_before;
    bool glance; /* observing for somebody who looks often: no table is read whole */
    const struct fleet_lead *lead; /* NULL: the database is of no fleet */
    /* Of a purge, its own: what it destroys was saved just now. Else it would be, before anything is decided. */
    bool is_saved;
    const char *saved; /* the snapshot's name; NULL: there was nothing to save */
};

struct task_report {
    const char *id, *kind, *title, *status; /* done, skipped, not_applicable, pending */
    int64_t ms;
    const char *note;
};

struct advance_result {
    enum stage from, to;
    enum phase phase;
    bool holds;         /* before a rung that all databases of the fleet reach together */
    bool nothing_to_do; /* the release has no phase of this plan left */
    const char *skipped[PHASE_SLOTS]; /* reasons of absent phases that were passed over */
    int n_skipped;
    struct task_report *tasks;
    int n_tasks;
    struct decision decision; /* when refused: everything that's missing */
    const char *proof; /* word of the proof, "forced"; NULL: nothing was begun that asks for one */
};

/* All refusals as one ERR_REFUSED: the first is the message, the rest are details; reason is the first's. */
bool engine_refuse(const struct plan *p, enum phase_event e, const struct decision *d,
                   struct err *err);

bool engine_advance(struct engine *e, struct plan *p, const struct advance_options *o,
                    struct arena *a, struct advance_result *out, struct err *err);
/* How many rungs of a phase there are, and how many of them, from the first, a plan in this state has behind it. */
void engine_fleet_rungs(const struct plan *p, const struct plan_state *s, enum phase phase,
                        struct arena *a, int *settled, int *total);
bool engine_rollback(struct engine *e, struct plan *p, const struct advance_options *o,
                     struct arena *a, struct advance_result *out, struct err *err);
bool engine_restore(struct engine *e, struct plan *p, const struct advance_options *o,
                    struct arena *a, struct advance_result *out, struct err *err);
bool engine_purge(struct engine *e, struct plan *p, const struct advance_options *o,
                  struct arena *a, struct advance_result *out, struct err *err);
bool engine_pause(struct engine *e, const struct plan *p, const char *because, struct err *err);
/* *next: the command that goes on from here, in arena a; NULL: none. */
bool engine_resume(struct engine *e, const struct plan *p, const char *because, struct arena *a,
                   const char **next, struct err *err);

/* ---- looking: none of these writes anything anywhere ------------------------------------------------- */

struct dry_step {
    const char *id, *kind, *title;
    const char *status;     /* "would run", "already in place", "done", "does not apply" */
    const char *const *sql; /* statements in order */
    int n_sql;
    enum lock_mode lock;
    const char *lock_note;
    const char *request;       /* flag: "POST https://... (to 25 %)" */
    const char *undo;          /* SQL, words, or NULL: none */
    const char *reversibility; /* lossless, lossy, irreversible */
    const struct pos *at;      /* where in the plan; NULL: generated */
    int64_t rows;              /* backfill: estimate, -1 unknown */
    const char *note;          /* what else is to be known about it; NULL */
};

struct dry_run {
    enum phase phase;
    struct decision decision;
    struct dry_step *steps;
    int n_steps;
    int no_return; /* index of the first step behind the point of no return; -1: none */
    /* The caller's: "proved", "from_file", "would_prove", "none", "off"; NULL: none is asked for, or it failed. */
    const char *proof;
    /* Of a purge: "would_take", "off" (by policy), "nothing" (to save); NULL: nobody would save it. */
    const char *snapshot;
    /* Before contract and purge: "would_archive", "would_set", "cannot", "off"; NULL: there's nothing to set it before.
     * restore_point_why: what stands against it, or against its archiving. */
    const char *restore_point, *restore_point_why;
};
bool engine_dry_run(struct engine *e, struct plan *p, enum phase_event ev,
                    const struct advance_options *o, struct arena *a, struct dry_run *out,
                    struct err *err);

/* What people said of a phase as it reads now: the newest word of each. */
struct approvals {
    struct approval *words;
    int n;
    int64_t needed;      /* by the policy; 0: none */
    int given;           /* that count */
    const char *missing; /* "1 as owner": of roles that the policy asks for; NULL: none */
    int by_others;       /* of them, not by who runs this */
    const struct approval *refused;  /* the newest refusal that stands; NULL: none */
    const struct approval *outdated; /* the newest that was given for another text; NULL: none */
};
/* "contract", "purge": what approvals are stored under. */
const char *approval_word(enum phase phase, bool purge);

struct edit { /* an applied step that reads differently now */
    const char *phase, *step, *recorded_checksum, *checksum, *recorded_sql, *sql, *applied_by;
    int64_t applied_at_ms;
    struct pos at;
};

struct checklist {         /* a plan's validation, as the journal has it */
    int n;                 /* items; 0: the plan has none */
    bool is_due;           /* the last phase is done */
    bool accepted;         /* every item held, of the checklist as it reads now */
    struct text_list open; /* ids of items that didn't hold when they were looked at last */
    const char *accepted_by;
    int64_t accepted_at_ms;
};

struct kill_pending {      /* from this host, and not in the ledger yet */
    const char *what, *by; /* what NULL: none */
    int64_t at_ms;
};

/* A flag that stands higher than its rollout has got, and the command that puts it back. */
struct out_of_turn {
    const char *what, *mend;
};

/* Who still uses what contract has hidden. */
struct touch {
    const char *object, *step;                /* "orders.legacy_ref" */
    const char *operation;                    /* of a write: INSERT ...; NULL: a read */
    const char *role, *application;           /* application: of a write */
    int64_t count, first_ms, last_ms, age_ms; /* times: of writes */
    const char *statement;                    /* of a read */
    bool perhaps;       /* it names both table and column, which may be another one's */
    const char *forget; /* SQL after which its calls count from 0 */
};
struct touches {
    struct touch *items;
    int n;
    const char *
        unseen; /* why reads, or some of them, can't be seen; NULL: they can, or nothing is hidden */
};
/* One sentence. In arena a. */
const char *touch_text(struct arena *a, const struct touch *t);

struct plan_status {
    const struct plan *plan;
    struct plan_state state;
    int steps_done, steps_total;          /* of the running or next phase */
    enum phase next_phase;                /* NONE: nothing left */
    const char *next_release;             /* release that the next phase is bound to */
    const char *next_command;             /* what to type next */
    struct decision decision;             /* for advance with next_release */
    struct kill_pending kill;             /* the next advance or resume takes it over */
    bool pending;                         /* something is left to do */
    struct flag_obs observed[FLAG_ROLES]; /* UNKNOWN when not asked or out of reach */
    struct out_of_turn ahead[FLAG_ROLES]; /* what NULL: not, or not asked */
    struct approvals approvals;           /* of next_phase */
    bool edited;
    struct edit edit; /* the first of them */
    const char
        *sync_broken; /* a sentence; NULL: the trigger is as the plan has it, or there is none */
    int64_t rows_done, rows_total; /* of the backfill under way; total 0: none, or not known */
    const char *fill_paused_by;    /* NULL: it isn't */
    const char *fill_reason;       /* what throttles it; NULL: nothing */
    struct notification_row
        untold;    /* the newest notification, when it failed; text NULL: it didn't */
    bool accepted; /* compensated by another plan: its id in undone_by */
    const char *undone_by;
    struct checklist checklist;
    struct restore_point point; /* the newest; name NULL: none was set */
    struct touches touches;
};
/* with_flags: ask the flag service as well (bounded by 3 s). */
bool engine_status(struct engine *e, struct plan *p, bool with_flags, struct arena *a,
                   struct plan_status *out, struct err *err);

/* What stands between the plan and this event, everything observed. Used by all of the above. */
bool engine_observe(struct engine *e, struct plan *p, enum phase_event ev,
                    const struct advance_options *o, struct arena *a, struct plan_state *state,
                    struct world *out, struct err *err);

/* May this plan be moved beside plan files that can't be understood (set->spared)? ERR_INPUT with what one of them has
 * to do with it: a dependency, a flag, what was begun, or which releases may run. */
bool engine_beside_spared(struct engine *e, const struct plan *p, struct arena *a, struct err *err);

/* What production is like now, as far as the proof of a transition has to know. */
struct actual {
    const char **
        live; /* releases that are live, and those that were rolled out since the plan's last phase */
    int n_live;
    const enum stage *stages; /* [set->n_plans] */
    const char **up;          /* keys of flags that are on before their rollout */
    int n_up;
    struct hidden_part { /* what contract has hidden */
        const char *step;
        struct sql_list purge;
    } * hidden;
    int n_hidden;
};
bool engine_actual(struct engine *e, const struct plan *p, struct arena *a, struct actual *out,
                   struct err *err);

/* May this release run against this database and these flags now? */
struct verdict {
    bool may_run;
    const char
        *reason; /* JSON word: unknown_release, older_than_window, expand_missing, flag_out_of_turn,
                   unreadable_plan */
    const char *why; /* sentence */
    const char *
        unread; /* a flag that can't be read, and why: the answer goes by where it was left. NULL: none */
    struct release_window window;
};
bool engine_guard(struct engine *e, const char *release, struct arena *a, struct verdict *out,
                  struct err *err);
/* Before anything is advanced for a release: ERR_REFUSED "older_than_window" where engine_guard says so. */
bool engine_in_window(struct engine *e, const char *release, struct arena *a, struct err *err);

/* Plans that the ledger has begun and not finished, and no file has: without what they are called by. */
bool engine_lost(struct engine *e, struct arena *a, struct plan_state **out, int *out_n,
                 struct err *err);

struct ailment {
    const char *what, *where, *mend; /* mend: the command that mends it */
    bool grave;
};
bool engine_doctor(struct engine *e, struct arena *a, struct ailment **out, int *out_n,
                   struct err *err);

/* "url: phasegate.yaml:18:7, from the variable FLAG_URL": which setting of the flag service to look at when it fails:
 * that of its token, or of where it is. Never a value. */
const char *flags_where(struct arena *a, const struct environment *env, bool by_token);

/* ---- signing ------------------------------------------------------------------------------------------ */

bool engine_edits(struct engine *e, struct plan *p, struct arena *a, struct edit **out, int *out_n,
                  struct err *err);
bool engine_accept(struct engine *e, struct plan *p, const char *because, struct arena *a,
                   struct edit **out, int *out_n, struct err *err);
struct approve_options {
    enum phase phase; /* of a purge: contract, whose checksum it is bound to */
    bool purge, refuse;
    const char *role, *because; /* NULL: none */
};
/* *who: whose signature it is, in arena a. */
bool engine_approve(struct engine *e, struct plan *p, const struct approve_options *o,
                    struct arena *a, const char **who, struct err *err);

#endif
