/* timeline_int: what the enumeration of worlds shares among its files. Not for other layers. */
#ifndef PHASEGATE_TIMELINE_INT_H
#define PHASEGATE_TIMELINE_INT_H

#include "phasegate/timeline.h"

/* The life of a plan: every task that changes the database or a flag, in order. */
struct life_task {
    enum phase phase;
    bool is_purge;
    const struct task *task;
    int release; /* index; -1: bound to none */
};

struct life {
    struct life_task *tasks;
    int n;
};

struct builder {
    struct arena *a;
    const struct plan_set *set;
    struct timeline *t;
    int64_t window;
    struct life *lives; /* [n_plans] */
    int *done;          /* where the walk stands: tasks done, for each plan */
    int state;          /* and in which state that left the database */
    int cap_states, cap_worlds;
    const struct timeline_next *next; /* of one transition; NULL: all that the plans say */
};

/* Of one release: before it is deployed, or from its roll-out on. */
struct stretch {
    int release;
    bool before;
    int first_world; /* that the stretch added */
};

/* Gathers releases, flags and lives; nothing is done yet, and there is no state. */
void timeline_open(struct builder *b);
int timeline_add_state(struct builder *b, struct timeline_state s);
/* Worlds of b->state: the window before a release live, or that release too. */
void timeline_world_before(struct builder *b, enum world_kind kind, int release);
void timeline_world_after(struct builder *b, enum world_kind kind, int release);
/* timeline_next.c: what somebody saw, where only one transition is asked about. */
void timeline_flags_up(const struct builder *b, bool *either);
void timeline_live(const struct builder *b, int *oldest, int *newest);

bool task_changes_database(const struct task *t);
bool is_in_stretch(const struct life_task *l, const struct stretch *s);
/* Takes one task of a plan: the database moves on, or a flag gets its second value. known: the state that the
 * database is in afterwards, when it was there before; -1: a new one. */
void timeline_take(struct builder *b, int plan, const struct stretch *s, int known);

/* timeline_meet.c: has the plan anything to do in the stretch? */
bool takes_part(const struct builder *b, int plan, const struct stretch *s);
/* The plan and those of the stretch that meet it, by way of others too. in: [n_plans]. */
void gather_group(struct builder *b, int plan, const struct stretch *s, bool *in);
/* Everything that a group can be in the middle of, from the state and the places where it began. */
void walk_products(struct builder *b, const struct stretch *s, const bool *group, int state,
                   const int *done);

#endif
