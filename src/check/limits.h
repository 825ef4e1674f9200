/* limits: values at the limits of what a statement may be given. For limits.c. */
#ifndef PHASEGATE_CHECK_LIMITS_H
#define PHASEGATE_CHECK_LIMITS_H

#include "check/synced.h"

#define LIMIT_VALUES 48

const char *limit_text(struct proof *p, int length);
/* How long a text is that is longer than what the step takes, or the other side of the trigger that comes with it. */
int limit_longest(const struct proof *p, int state);
/* For what goes to a column, or is of it; out: [LIMIT_VALUES], NULL entries are SQL NULL. How many. sync: whose trigger
 * takes them to the other side, with checks of its own; NULL: none. */
int limit_values(struct proof *p, const struct plan *sync, const struct cat_relation *r,
                 const struct cat_column *c, int longest, const char **out);
/* The same for a parameter of a type, of which something is made for the relation. */
int limit_values_of_type(struct proof *p, const struct plan *sync, const struct cat_relation *r,
                         unsigned type, int longest, const char **out);

#endif
