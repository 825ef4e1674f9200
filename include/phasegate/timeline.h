/* timeline: the worlds that plans and releases can meet, in order. Pure.
 *
 * A world is a state of the database x the releases that may be live x what the flags may say. Releases are taken
 * one after the other; for each release N:
 *
 *   1. before N is deployed: the expand tasks bound to N. Live: the window before N.
 *   2. N is rolling out: live N and the window before it.
 *   3. the tasks of dual_read and write_activation bound to N, with N and the window live.
 *   4. contract bound to N: each soft drop, restored again, and purged.
 *
 * A flag has only its safe value up to its first rung, and either value in every world from then on: a kill, a
 * rollback or a cold start without the flag service can bring back either at any time.
 *
 * Before the first release's expand nothing is live: of what ran before that release nothing is known.
 *
 * Rolling a phase back leads through the states it came by. A phase is taken to go back only as long as the
 * release it's bound to is the newest and nothing of what comes after it has begun: later than that `rollback`
 * proves the actual world first. A purge is taken to come before the next release.
 *
 * Plans that are bound to the same release and touch the same tables may be anywhere relative to one another:
 * those states are enumerated too (`from` isn't the state before then). Plans that touch nothing in common can't
 * tell each other apart, so their products aren't. A place where a world of the same state has the same flags or
 * more has no world of its own.
 */
#ifndef PHASEGATE_TIMELINE_H
#define PHASEGATE_TIMELINE_H

#include "phasegate/phase.h"
#include "phasegate/str.h"

struct timeline_release {
    const char *version;
    const struct release *listed; /* NULL: only plans name it */
    bool is_projected; /* planned, or not listed: its statements are those of an earlier one */
    bool is_consumer;  /* live in every world */
};

enum state_by { STATE_BASELINE, STATE_TASK, STATE_RESTORE };

/* A state of the database: what its first world's task made of the state `from`. */
struct timeline_state {
    int from; /* -1: the baseline */
    enum state_by by;
    int plan; /* index into plans; -1 */
    enum phase phase;
    bool is_purge;
    const struct task *task; /* TASK: what runs. RESTORE: NULL, the plan's soft drops come back */
    const int *done;         /* [n_plans]: how many tasks of each plan's whole life are done */
};

enum world_kind {
    WORLD_BASELINE, /* before anything */
    WORLD_EXPAND,
    WORLD_ROLLING,  /* the release is being rolled out */
    WORLD_FLAGS,    /* dual_read, write_activation */
    WORLD_CONTRACT, /* within contract: something is soft-dropped */
    WORLD_RESTORED,
    WORLD_PURGED
};
const char *world_kind_word(enum world_kind k);

struct timeline_world {
    enum world_kind kind;
    int state;   /* index into states */
    int release; /* whose stretch it is: index into releases */
    int oldest,
        newest; /* live: releases[oldest..newest], besides the consumers; newest < oldest: none */
    const bool *either; /* [n_flags]: false: only the safe value */
};

struct timeline {
    const struct plan *const *plans; /* in the order in which a release takes them */
    int n_plans;
    struct timeline_release *releases; /* oldest first, then the consumers */
    int n_releases;                    /* without the consumers */
    int n_consumers;
    const char **flags; /* keys of the plans' flags, in plan order, each once */
    int n_flags;
    struct timeline_state *states;
    int n_states;
    struct timeline_world *worlds;
    int n_worlds;
    int n_cut; /* states of interleaved plans that were too many to enumerate; 0: none */
};

struct timeline_options {
    int64_t window; /* releases that must work beside N; at least 1 */
};

/* Everything lives in arena a, and refers to the set. Plans must be whole (not heads). */
void timeline_build(struct arena *a, const struct plan_set *set, const struct timeline_options *o,
                    struct timeline *out);
/* Only what one transition leads through, from the database as it is: the baseline is then what is there, with
 * every earlier step applied. plan and release must be the set's and in the timeline.
 *
 * What somebody saw narrows or widens the worlds: of a plan whose rollout hasn't begun the flags have their safe value
 * only, unless they are up all the same; a release that is live belongs to every world, however old; and N isn't
 * rolled out before the last expand that is bound to it has finished. */
struct timeline_next {
    const char *plan, *release;
    enum phase phase;
    bool is_purge;
    const enum stage *stages; /* [set->n_plans], of set->plans; NULL: nobody looked */
    const char *const *up;    /* keys of flags that are on before their rollout */
    int n_up;
    const char *const *live; /* versions that are live now */
    int n_live;
};
void timeline_build_next(struct arena *a, const struct plan_set *set,
                         const struct timeline_options *o, const struct timeline_next *next,
                         struct timeline *out);
int timeline_release_index(const struct timeline *t, const char *version); /* -1: not in it */
int timeline_flag_index(const struct timeline *t, const char *key);        /* -1: no plan's */
/* May a release be live in this world? Consumers always are. */
bool world_has_release(const struct timeline *t, const struct timeline_world *w, int release);
/* What led to a state, for people: "column (expand of accounts)". */
const char *state_title(struct arena *a, const struct timeline *t, int state);
/* Could the two meet at a table, as the one that a statement changes or as one that it names (a foreign key's, a
 * view's, a backfill's)? Compared by name; a plan whose tables can't be known meets every other. */
bool plans_interfere(const struct plan *a, const struct plan *b);

/* For people. cells: [n_worlds], how many cells each world has; NULL: not known, and not shown. Both add to out.
 * A table: a world in each row, with its kind, the step that made its state, who is live, what the flags may say
 * (off: only the safe value; either: both), and its cells. */
void timeline_text(const struct timeline *t, const int *cells, struct str *out);
/* A mermaid flowchart: a box for each state of the database with its worlds, an arrow for each step. */
void timeline_mermaid(const struct timeline *t, const int *cells, struct str *out);

#endif
