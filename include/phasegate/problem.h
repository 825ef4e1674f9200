/* problem: what is wrong with what a user wrote, gathered rather than stopped at. Pure.
 *
 * A problem points at its place and says what was expected and, where there is one, the nearest right
 * word. The list keeps copies of everything, so it may outlive the model; a problem that it has already
 * isn't added again.
 */
#ifndef PHASEGATE_PROBLEM_H
#define PHASEGATE_PROBLEM_H

#include "phasegate/model.h"
#include "phasegate/str.h"

struct problem {
    struct pos at;
    const char *message;  /* "unknown key \"fase\"" */
    const char *expected; /* "one of: plan, timestamp, ..."; NULL */
    const char *hint;     /* "did you mean \"phases\"?"; NULL */
    const char *rule;     /* rule id where a rule says no; NULL */
};

struct problem_list {
    struct arena arena;
    struct problem *items;
    int n;
    bool cut; /* more than LOAD_MAX_PROBLEMS */
};
#define LOAD_MAX_PROBLEMS 100

void problem_list_free(struct problem_list *l);
static inline void problem_list_auto(struct problem_list *l) { problem_list_free(l); }
void problem_add(struct problem_list *l, struct pos at, const char *expected_or_null,
                 const char *hint_or_null, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* "plans/x.yaml:12:5: unknown key \"fase\"; expected one of: phase, plan; did you mean \"phase\"?" */
void problem_text(struct str *out, const struct problem *p);

/* ---- what plans must satisfy ------------------------------------------------------------------ */

/* One plan by itself: phases present or absent with a reason, gates that exist, rollouts that ascend and
 * have their flag, backfills that say what to fill, unique ids of steps and checks. */
void plan_validate(const struct plan *p, struct problem_list *problems);
/* Relations among plans: unique ids and timestamps, dependencies (exist, earlier timestamp, no cycle,
 * phase present and not later than this plan's first), releases that ascend over the phases. */
void plan_set_validate(const struct plan_set *s, struct problem_list *problems);
/* Plans in the order in which a release takes them: dependencies first, then timestamps. `out` has room
 * for n_plans; cycles were refused by plan_set_validate. */
void plan_set_order(const struct plan_set *s, const struct plan **out);

#endif
