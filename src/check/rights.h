/* rights: what a role lacks, and who gives it. For missing.c, silent.c and verdict.c. */
#ifndef PHASEGATE_CHECK_RIGHTS_H
#define PHASEGATE_CHECK_RIGHTS_H

#include "check/work.h"

/* What a statement needs on a table, as bits. */
unsigned rights_of(const struct query *q, const char *table);
/* "permission denied for table orders": its kind, and its name. False: the message is another. */
bool rights_denied(struct proof *p, const char *message, const char **kind, const char **name);
/* What a statement needs that the step of the state leaves without a right: a GRANT, a policy, or to wait. NULL: it isn't
 * that. or_later: that a later release is safe helps as well. */
const char *rights_way(struct proof *p, const struct app_statement *a, const struct finding *f,
                       int state, bool *or_later);
/* The same of one that works nowhere. rights: of all statements that fail by this. */
const char *rights_help(struct proof *p, const struct app_statement *a, const struct outcome *o,
                        unsigned rights, bool is_baselines);
/* Row level security shows a statement other rows. */
const char *rights_way_to_see(struct proof *p, const struct app_statement *a,
                              const struct cat_relation *before, const struct cat_relation *now);

#endif
