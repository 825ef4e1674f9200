/* verdict: what a failure is called, and the way out of it. For verdict.c, safe.c, rule.c and ways.c. */
#ifndef PHASEGATE_CHECK_VERDICT_H
#define PHASEGATE_CHECK_VERDICT_H

#include "check/work.h"

enum level { LEVEL_FINE, LEVEL_WIRE, LEVEL_SESSION, LEVEL_STATEMENT };

/* verdict.c: a statement by itself: prepared afresh, planned, run. NULL: it works. */
const struct outcome *failure_at(const struct query *q, int state);
bool is_unplanned(const struct query *q, int state);

/* safe.c: the first release to which the step of the state could be bound, and no live one were hurt; NULL: none that is
 * known. why: what fails by it; NULL: it is no failure. */
const char *safe_from(struct proof *p, int culprit, enum level level, const struct outcome *why);
/* No release helps against a consumer, which is live everywhere: the first that is hurt; NULL: none. */
const struct app_statement *safe_never_for(const struct proof *p, int culprit, enum level level);
/* The newest release that it breaks; those after it are free of it. -1: none. */
int safe_last_hurt(const struct proof *p, int culprit, enum level level);
/* Refused both times, by another thing each: a second restriction isn't the fault of the first. */
bool safe_is_other_refusal(const struct query *q, int a, int b);
/* The state is told to mean something else to the statement, which goes on working. */
void safe_note(struct proof *p, const struct app_statement *a, int state, const struct finding *f);
/* The first release at which nobody is told so, once all are. */
void safe_cure_silenced(struct proof *p);

/* Of the step that made a state, the statement that it's about; NULL: it has none. */
const struct sql_stmt *state_stmt(const struct proof *p, int state);

/* rule.c: of a statement that fails from the state culprit on. */
const char *rule_of_failure(const struct proof *p, const struct outcome *o, const struct query *q,
                            int culprit);

/* ways.c: the way out of a finding that a step gives, other than waiting for a release; NULL: there is none. */
const char *way_of_rule(struct proof *p, const struct app_statement *a, const struct finding *f,
                        const struct outcome *o, int culprit);

/* The value that the statement writes is one that the other side of the plan's sync refuses, which its trigger writes in
 * the state. NULL: it isn't that. */
const char *way_of_sync(struct proof *p, const struct app_statement *a, int state,
                        const struct plan *plan, const struct outcome *o);

#endif
