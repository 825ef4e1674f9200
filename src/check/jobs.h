/* jobs: what is put to a session in one go. For probe.c. */
#ifndef PHASEGATE_CHECK_JOBS_H
#define PHASEGATE_CHECK_JOBS_H

#include "check/work.h"

struct jobs { /* in the scratch arena */
    struct wire_op *ops;
    struct wire_result *results; /* [n], once they are run */
    int n, cap;
    bool opens; /* transactions */
};

/* Adds one. Good until the next one is added. */
struct wire_op *job_op(struct proof *p, struct jobs *j, struct wire_op op);
/* All of them, in the session of that number; what is open at their end is taken back. */
bool jobs_run(struct proof *p, struct jobs *j, int session, struct err *err);
/* In the report's arena. probe: the letter that a failure is told by. */
const struct outcome *job_outcome(struct proof *p, const struct wire_result *r, char probe);
const struct description *job_description(struct proof *p, const struct wire_result *r);

#endif
