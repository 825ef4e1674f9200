/* demo: one plan through all four phases under live traffic, on a PostgreSQL of its own.
 *
 * A shop in a temporary folder, the builtin flag service in this process, and instances of the
 * application in releases N-1 and N. The engine takes the example plan from expand to purge while they
 * serve; in the middle of the write rollout the plan is killed, and resumed. The timeline goes to `out`
 * as it happens: lines on standard output in text, messages on standard error in json, events in jsonl.
 * Servers, traffic and folder are gone when the function returns, whatever it returns.
 */
#ifndef PHASEGATE_DEMO_H
#define PHASEGATE_DEMO_H

#include "phasegate/engine.h"
#include "phasegate/out.h"

#define DEMO_ACCOUNTS 200000
#define DEMO_ACCOUNTS_MIN 100
#define DEMO_ACCOUNTS_MAX 20000000
#define DEMO_WATCH_S 20
#define DEMO_WATCH_MAX_S 3600

/* What a user does before the plan moves: check, and the proof that advance and purge make. The caller's, for proofs
 * are not the demo's to make. *said: what came of it, in one line; it lives until the demo ends. */
struct demo_prover {
    void *ctx;
    /* Once; folder: the project's, whose parent is the demo's own. */
    bool (*check)(void *ctx, const char *folder, const char **said, struct err *err);
    /* *said NULL: nothing was to begin. proof: for the options of the engine, until the next call. */
    bool (*prove)(void *ctx, struct engine *e, struct plan *p, enum phase_event ev,
                  const struct advance_options *o, const struct transition_proof **proof,
                  const char **said, struct err *err);
};

struct demo_options {
    const struct demo_prover *prover;
    int accounts;     /* rows of the table that is changed; the shop's other tables follow */
    int64_t watch_ms; /* how long the traffic is watched between the steps, in all */
    bool keep;        /* leave the folder; its servers are stopped all the same */
    const char *run_id, *actor;
};

enum { DEMO_PHASES = 5, DEMO_FAILURES = 16, DEMO_PROBLEMS = 8 };

struct demo_phase {
    const char *name, *release; /* "purge" is the fifth */
    int64_t at_ms, ms;          /* since the start; how long, kill and resume included */
};

struct demo_failure { /* requests that failed alike */
    const char *sqlstate, *release, *statement, *message;
    int64_t count;
};

struct demo_figures { /* texts live in the arena given */
    int64_t ms;
    int accounts, instances;
    const char *server; /* "15.10" */
    struct demo_phase phases[DEMO_PHASES];
    int n_phases;
    bool has_traffic; /* requests and below are measured */
    int64_t requests, failed, max_us;
    int64_t before_p99_us, during_p99_us,
        after_p99_us; /* the plan's first statement to its purge */
    struct demo_failure failures[DEMO_FAILURES];
    int n_failures;
    struct {
        bool done;
        const char *phase;
        int64_t at_ms;      /* since the start */
        int64_t off_ms;     /* since the kill: both flags read back as off */
        int64_t last_ms;    /* since the kill: end of the last request on the new path */
        int64_t resumed_ms; /* since the start */
    } kill;
    int64_t journal_rows;
    bool journal_ok;
    const char *stage, *columns;         /* of the plan and of its table at the end */
    const char *folder;                  /* that was kept; NULL: none */
    const char *problems[DEMO_PROBLEMS]; /* sentences; none: everything was as promised */
    int n_problems;
};

/* False: ERR_UNREACHABLE (no PostgreSQL: the hint names the package), ERR_INTERRUPTED, or what stopped
 * the plan (exit code 1); the figures have what was measured until then. True: look at n_problems. */
bool demo_run(const struct demo_options *o, const struct ports *ports, struct out *out,
              struct arena *a, struct demo_figures *f, struct err *err) MUST_CHECK;

#endif
