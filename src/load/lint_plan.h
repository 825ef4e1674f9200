/* lint_plan: a plan against what the releases run. */
#ifndef PHASEGATE_LOAD_LINT_PLAN_H
#define PHASEGATE_LOAD_LINT_PLAN_H

#include "phasegate/lint.h"

struct release_facts; /* what the statements of each release say, read when they are asked for */

struct release_facts *release_facts_new(struct arena *a, const struct plan_set *set,
                                        const struct lint_options *o);
void lint_plan_releases(struct release_facts *rf, const struct plan *p, struct report *out);

/* Flags that no plan declares, and releases of plans that are listed nowhere near where they are put. */
void lint_unknown(struct arena *a, const struct plan_set *set, const struct lint_options *o,
                  struct report *out);

#endif
