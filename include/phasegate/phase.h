/* phase: the phase machine. One table of transitions, with guards; pure.
 *
 * A plan is in a stage (what of its phases is done) and may have a brake on (why it isn't going on).
 * Every change of either goes through phase_decide(), which finds the one row for {stage, brake, event}
 * and asks its guards of the world. The engine observes the world first (facts below) and never asks a
 * safety question anywhere else.
 */
#ifndef PHASEGATE_PHASE_H
#define PHASEGATE_PHASE_H

#include "phasegate/model.h"
#include "phasegate/str.h"

/* RUNNING(p), DONE(p), UNDOING(p) for each phase between PLANNED and the purge. */
enum stage {
    STAGE_PLANNED,
    STAGE_EXPAND_RUNNING,
    STAGE_EXPAND_DONE,
    STAGE_EXPAND_UNDOING,
    STAGE_DUAL_READ_RUNNING,
    STAGE_DUAL_READ_DONE,
    STAGE_DUAL_READ_UNDOING,
    STAGE_WRITE_ACTIVATION_RUNNING,
    STAGE_WRITE_ACTIVATION_DONE,
    STAGE_WRITE_ACTIVATION_UNDOING,
    STAGE_CONTRACT_RUNNING,
    STAGE_CONTRACT_DONE,
    STAGE_CONTRACT_UNDOING, /* done: soft-dropped, in its hold */
    STAGE_PURGING,
    STAGE_PURGED, /* the end; also of a plan without contract */
    STAGE_COUNT
};
const char *stage_word(enum stage s); /* "expand running", stored in the ledger and shown */
bool stage_from_word(const char *w, enum stage *out);
enum stage stage_of(enum phase p, int running0_done1_undoing2);
/* The phase that is running, undoing, or was finished last; PHASE_NONE for planned. */
enum phase stage_phase(enum stage s);
bool stage_is_running(enum stage s);
bool stage_is_undoing(enum stage s);
/* Has this phase been finished (and not undone)? What depends_on asks. */
bool stage_has_finished(enum stage s, enum phase p);
/* The phase that `advance` would run or go on with; PHASE_NONE when there's nothing left for advance. */
enum phase stage_next_phase(enum stage s);

enum brake { BRAKE_NONE, BRAKE_PAUSED, BRAKE_HALTED, BRAKE_KILLED, BRAKE_COUNT };
const char *brake_word(enum brake b);
bool brake_from_word(const char *w, enum brake *out);

enum phase_event {
    EVENT_ADVANCE,  /* the next phase, or go on with the running one */
    EVENT_SKIP,     /* the next phase is absent, with a reason */
    EVENT_FINISHED, /* every task of the running or undoing phase is done */
    EVENT_ROLLBACK,
    EVENT_RESTORE, /* out of a contract's hold */
    EVENT_PURGE,
    EVENT_PAUSE,
    EVENT_GATE_FAILED,
    EVENT_KILL_SEEN, /* a kill, ours or somebody's */
    EVENT_RESUME,
    EVENT_REPEAT, /* the steps of the phase that was finished last, once more */
    PHASE_EVENT_COUNT
};
const char *phase_event_word(enum phase_event e);

/* name, word (also the JSON reason), the question as a person would ask it */
#define GUARDS(X)                                                                                  \
    X(IN_WINDOW, "older_than_window", "may the release still run, as guard says?")                 \
    X(RELEASE_TURN, "not_its_turn", "is the phase bound to the release that is being rolled out?") \
    X(DEPENDENCIES, "dependency", "have the plans it depends on finished the phases named?")       \
    X(REQUIREMENTS, "requirement", "do the technical prerequisites hold?")                         \
    X(UNEDITED, "edited", "is what was applied still what the plan says?")                         \
    X(APPROVED, "approval", "has the phase the approvals that the policy asks for?")               \
    X(GO, "no_go", "do the go criteria hold and none of the no-go criteria?")                      \
    X(IN_HOURS, "outside_hours", "is it an hour in which the policy lets phases begin?")           \
    X(PREFLIGHT, "preflight", "does nothing in the live database stand against the phase?")        \
    X(GATES, "gates", "do the gates of contract pass as they are measured now?")                   \
    X(REHEARSED, "rehearsal", "was it rehearsed as it reads now, lately, and nothing found?")      \
    X(DRILLED, "kill_drill", "was the kill of the flags that it rolls out drilled lately?")        \
    X(FLAGS_KNOWN, "flag_in_doubt", "is every flag where it was left, and none in doubt?")         \
    X(FLAGS_FULL, "flags_not_full", "are the read and the write flag at 100 %?")                   \
    X(VERIFIED, "not_verified", "was the backfill verified, and nothing has voided it since?")     \
    X(RELEASES_LIVE, "releases_live", "are only releases live that this phase may meet?")          \
    X(LOSSLESS, "forward_only", "is going back lossless, or does the policy allow losses?")        \
    X(UNDO_WHOLE, "undo_damaged", "is the stored undo whole, and as it was written?")              \
    X(HOLD_ELAPSED, "hold", "has the hold of the soft drop elapsed?")                              \
    X(NO_DEPENDANTS, "dependants", "does nothing depend on what was soft-dropped?")                \
    X(UNTOUCHED, "touched", "has nobody used what was soft-dropped, lately?")                      \
    X(SNAPSHOT, "snapshot",                                                                        \
      "is what is destroyed saved and verified, or does the policy do without?")                   \
    X(RESTORE_POINT, "restore_point",                                                              \
      "can the server set a restore point and archive it, or does the policy do without?")         \
    X(CONFIRMED, "confirm", "was the point of no return confirmed with the plan's name?")          \
    X(NEXT_ABSENT, "phase_present", "is the next phase absent, with a reason?")                    \
    X(NEXT_PRESENT, "phase_absent", "is the next phase present?")

enum guard {
#define X(name, word, question) GUARD_##name,
    GUARDS(X)
#undef X
        GUARD_COUNT
};
const char *guard_word(enum guard g);
const char *guard_question(enum guard g);
#define GUARD_BIT(g) (1u << GUARD_##g)

struct transition {
    int row; /* its number: stored with every journal row that it caused */
    enum stage from;
    unsigned brakes; /* bit set of brakes under which the row applies */
    enum phase_event event;
    enum stage to;
    enum brake to_brake; /* BRAKE_COUNT: stays as it is */
    unsigned guards;     /* bit set of guards that must all hold */
    const char *comment; /* the English that the operator sees */
};
const struct transition *phase_transitions(int *out_n);

/* What was observed about one guard. */
struct fact {
    bool known; /* false: nobody looked, counts as "no" */
    bool holds;
    const char *what;    /* when it doesn't hold: what is waited for, a sentence */
    const char *holder;  /* who or what holds it; NULL */
    int64_t since_ms;    /* epoch; 0: unknown */
    const char *release; /* what releases it: a command or a condition; NULL */
    int64_t gives_up_ms; /* epoch, when a wait for it ends; 0: it doesn't end by itself */
};

struct world {
    enum stage stage;
    enum brake brake;
    const char *brake_reason, *brake_by; /* NULL when off */
    int64_t brake_since_ms;
    struct fact facts[GUARD_COUNT];
};

struct refusal {
    const char *
        reason; /* JSON word: a guard's, or "paused", "halted", "killed", "complete", "not_held" ... */
    struct fact fact;
};

struct decision {
    bool go;
    const struct transition *row; /* NULL when there is none for this stage and event */
    struct refusal refusals[GUARD_COUNT + 1];
    int n_refusals; /* everything that's missing, at once */
};

/* Pure. Which guards must be observed for this event from this stage? Bit set; 0 when there is no row. */
unsigned phase_guards(enum stage s, enum brake b, enum phase_event e);
void phase_decide(const struct world *w, enum phase_event e, struct decision *out);

/* ---- what a phase consists of --------------------------------------------------------------------- */

enum task_kind {
    TASK_STEP,         /* a step of steps: or finish: */
    TASK_SYNC_INSTALL, /* the generated trigger */
    TASK_SYNC_REMOVE,
    TASK_BACKFILL,
    TASK_VERIFY, /* all verify: checks, and nothing left to do in the backfills */
    TASK_COMPARE,
    TASK_RUNG,      /* one percentage of a flag, its pause and its gates */
    TASK_GATES,     /* gates of a phase that has no rollout */
    TASK_SOFT_DROP, /* a contract step carried out as a soft drop */
    TASK_PURGE_DROP /* the drop itself */
};
const char *task_kind_word(enum task_kind k);

struct task {
    enum task_kind kind;
    const char *id;    /* unique in the phase: "column", "sync", "backfill/fill", "read/5%", ... */
    const char *title; /* for people */
    const struct step *step;         /* STEP, SOFT_DROP, PURGE_DROP */
    const struct backfill *backfill; /* BACKFILL */
    enum flag_role flag;             /* RUNG */
    const struct rung *rung;         /* RUNG */
    bool last_rung;                  /* RUNG */
    const char *checksum;            /* of what it would do */
};

/* Is its statement's undo for the catalogue to say (undo_query)? Not of what the step itself has changed by then. Pure. */
bool step_undo_is_asked(const struct step *s, int i);
/* The one that needs no asking; NULL: there is none, or it is to be asked for. */
const char *step_undo_known(const struct step *s, int i);
/* What undoing a step would cost: "lossless", "lossy", "irreversible". The facts of its SQL must be there. Pure. */
const char *step_reversibility(const struct step *s);

struct script {
    struct task *tasks;
    int n;
};

/* The tasks of a phase, in order, in arena a. Rungs of the read flag wait until the write flag is at 100 %
 * and the backfill is verified when sync is by cohort or application: they are then part of
 * write_activation's script. purge: the tasks of the purge instead of those of contract. Pure. */
void plan_script(struct arena *a, const struct plan *p, enum phase phase, bool purge,
                 struct script *out);

#endif
