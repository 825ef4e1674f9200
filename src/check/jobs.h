/* jobs: what is put to a session in one go. For probe.c, first.c and carried.c. */
#ifndef PHASEGATE_CHECK_JOBS_H
#define PHASEGATE_CHECK_JOBS_H

#include "check/work.h"

struct jobs {
    struct arena *a; /* where all of it is; NULL: the scratch arena */
    struct wire_op *ops;
    struct wire_result *results; /* [n], once they are run */
    int n, cap;
    bool opens; /* transactions */
};

/* Adds one. Good until the next one is added. */
struct wire_op *job_op(struct proof *p, struct jobs *j, struct wire_op op);
/* All of them, in the session of that number; what is open at their end is taken back. */
bool jobs_run(struct proof *p, struct jobs *j, int session, struct err *err);
/* The same with two lists, the second one in the session beside that one: by queries that hold nothing back that others
 * wait for. */
bool jobs_run_two(struct proof *p, struct jobs two[2], int session, struct err *err);
/* For others; a was given. */
void jobs_clear(struct jobs *j);
/* In the report's arena. probe: the letter that a failure is told by. */
const struct outcome *job_outcome(struct proof *p, const struct wire_result *r, char probe);
const struct description *job_description(struct proof *p, const struct wire_result *r);

/* A statement that is run, in a transaction that is taken back: job_n_ops ops, the last two of which are its own and that
 * of constraints that waited, and what it leaves behind after these. */
bool job_can_run(const struct query *q);
/* Not one that doesn't end, nor any once such have taken all the time that there is for them. */
bool job_may_run(const struct proof *p, struct query *q);
/* held NULL: prepared afresh. look: what is asked before it; NULL: nothing. */
void job_run(struct proof *p, struct jobs *j, struct query *q, const char *held, int set,
             const char *look);
int job_n_ops(const struct query *q);
/* The result that tells: its own, or that of the constraints. */
const struct wire_result *job_result(const struct wire_result *first, int n_ops);
/* Did what came before it work? Else nothing is known of this one. */
bool job_was_reached(const struct wire_result *first, int n_ops);
const struct outcome *job_run_outcome(struct proof *p, const struct query *q,
                                      const struct wire_result *first, int n_ops);
/* By itself. told: the outcome; NULL: not asked for. */
bool job_run_once(struct proof *p, struct query *q, int set, struct wire_result *out, bool *reached,
                  const struct outcome **told, struct err *err);

/* first.c: the first runs of those that haven't run yet: with which arguments do they? */
bool first_runs(struct proof *p, int state, int session, struct err *err);

#endif
