/* verdict: what a failure is called, and the way out of it. For verdict.c, rule.c and ways.c. */
#ifndef PHASEGATE_CHECK_VERDICT_H
#define PHASEGATE_CHECK_VERDICT_H

#include "check/work.h"

/* Of the step that made a state, the statement that it's about; NULL: it has none. */
const struct sql_stmt *state_stmt(const struct proof *p, int state);

/* rule.c: of a statement that fails from the state culprit on. */
const char *rule_of_failure(const struct proof *p, const struct outcome *o, const struct query *q,
                            int culprit);

/* ways.c: the way out of a finding that a step gives, other than waiting for a release; NULL: there is none. */
const char *way_of_rule(struct proof *p, const struct app_statement *a, const struct finding *f,
                        const struct outcome *o, int culprit);

#endif
