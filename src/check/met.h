/* met: arguments that meet conditions of triggers. For args.c and cache.c. */
#ifndef PHASEGATE_CHECK_MET_H
#define PHASEGATE_CHECK_MET_H

#include "check/seed.h"

enum { MET_MAX = 6 };

/* Further sets, made up as the first one is; there is room for MET_MAX of them. */
void met_add(struct proof *p, struct query *q);
/* Goes on from h with what met_add looks at that isn't in the catalogue yet: triggers that plans will make. */
uint64_t met_print(const struct proof *p, const struct query *q, uint64_t h);

#endif
