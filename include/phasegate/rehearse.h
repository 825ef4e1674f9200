/* rehearse: a plan's whole way, and the way back, where nobody is hurt by it.
 *
 * On a throwaway server (the baseline, and rows that are made for it) or on a clone the engine runs every phase, undoes it,
 * and runs it again, while statements of the releases that would be live then are put to it; steps run twice; and the
 * working process is killed and resumed. What each phase leaves behind is compared: schema, rows, and where the plan
 * stands. Flags are in a file of the rehearsal's own, gates aren't measured, and pauses aren't waited out.
 *
 * The engine runs in a process of its own, one for each command, so that it can be killed. Everything made is removed
 * when the function returns, but a clone, which is whoever's made it.
 */
#ifndef PHASEGATE_REHEARSE_H
#define PHASEGATE_REHEARSE_H

#include "phasegate/check.h"
#include "phasegate/engine.h"
#include "phasegate/json_out.h"

enum {
    REHEARSE_ROWS = 1000,
    REHEARSE_ROWS_MAX = 10000000,
    REHEARSE_KILLS = 20,
    REHEARSE_KILLS_MAX = 1000
};

struct rehearse_options {
    struct ports *ports; /* http is made */
    struct plan_set *set;
    struct plan *plan;     /* whole, with its facts */
    struct shadow *shadow; /* begun; the caller ends it. NULL: a clone */
    const char *clone_url; /* a secret; NULL: the shadow */
    int64_t rows, kills, seed;
    const char *run_id, *actor;
    bool (*facts)(struct plan_set *, struct plan *, struct err *);
    struct plan *(*read_plan)(struct plan_set *, struct plan *, struct arena *a, struct plan *room,
                              struct err *);
};

/* What one task took, when its phase was first run. */
struct rehearse_task {
    const char *id, *kind;
    int64_t ms;
    const char *lock;      /* the strongest that its statements take, by the plan; NULL: none */
    int64_t estimate_rows; /* of a backfill, before it ran; -1: none */
    int64_t waited_ms;     /* the load's longest request meanwhile */
};

/* A step that was run a second time. */
struct rehearse_repeat {
    const char *id;
    bool is_same;          /* nothing failed, and nothing changed */
    struct text_list left; /* what changed, or why it failed */
};

enum rehearse_undo { REHEARSE_UNDONE, REHEARSE_NO_UNDO, REHEARSE_LEFT, REHEARSE_UNDO_FAILED };
const char *rehearse_undo_word(enum rehearse_undo u);

struct rehearse_failure { /* requests of the load that failed alike */
    const char *release, *statement, *sqlstate, *message, *during;
    int64_t count;
};

struct rehearse_phase {
    enum phase phase;
    const char *release;
    int64_t ms, undo_ms, again_ms;
    int64_t wal_bytes, growth_bytes;
    struct rehearse_task *tasks;
    int n_tasks;
    struct rehearse_repeat *repeats;
    int n_repeats;
    enum rehearse_undo undo;
    const char *undo_why;   /* NO_UNDO, UNDO_FAILED */
    struct text_list left;  /* LEFT: what isn't as it was before the phase */
    struct text_list stays; /* what the plan fills by itself and an undo leaves filled */
};

struct rehearse_test { /* one of the plan's tests: */
    const char *id;
    struct text_list left; /* what isn't as it expects; none: it passed */
};

struct rehearse_rows {
    const char *table;
    int64_t before, after;
};

struct rehearse_kill { /* that led elsewhere */
    const char *command;
    int64_t after_ms;
    struct text_list left;
};

struct rehearsal {
    bool is_clone;
    const char *server; /* "15.10" */
    int64_t ms, seed;
    struct rehearse_phase phases[PHASE_SLOTS];
    int n_phases;
    struct text_list between; /* phases of plans that it depends on, which came between its own */
    bool went_back;           /* all the way to the start and forward again */
    struct text_list chain_left;
    const char *chain_why; /* why it didn't go back; NULL */
    struct {
        int64_t requests, failed, max_ms;
        struct rehearse_failure *failures;
        int n_failures;
        struct text_list idle; /* statements that never ran, each with why */
        int n_statements;
    } load;
    struct {
        int64_t wanted, made; /* made: that met a working process */
        struct rehearse_kill *elsewhere;
        int n_elsewhere;
        const char *why; /* why there were fewer; NULL */
    } kills;
    struct rehearse_rows *rows;
    int n_rows;
    struct filled_table *filled;
    int n_filled;
    struct rehearse_test *tests;
    int n_tests;
    const char *tests_why;     /* why they weren't run; NULL */
    int n_gates;               /* that weren't measured */
    struct text_list problems; /* sentences; none: it is green */
};

/* False: it couldn't be rehearsed. True: look at problems. */
bool rehearse_run(const struct rehearse_options *o, struct arena *a, struct rehearsal *out,
                  struct err *err) MUST_CHECK;
static inline bool rehearse_is_green(const struct rehearsal *r) { return r->problems.n == 0; }
/* Its members, in the open object: the command's answer, and what the ledger keeps. */
void rehearse_json(struct json_out *j, const struct rehearsal *r);

/* May this be a clone? ERR_REFUSED "production": it is the server of this environment. Both are open. */
bool rehearse_differs(struct db *clone, struct db *environment, const char *name,
                      struct err *err) MUST_CHECK;

#endif
