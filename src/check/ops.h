/* ops: what is put to a session in one go, one after the other. For changed_run.c, children.c, first_default.c, limit_rows.c,
 * unique*.c and writes.c. */
#ifndef PHASEGATE_CHECK_OPS_H
#define PHASEGATE_CHECK_OPS_H

#include "check/work.h"

struct ops {
    struct wire_op *op; /* the caller's, with room for all */
    int n;
};

/* Which one it is. set NULL: without arguments. */
static inline int ops_add(struct ops *o, const char *sql, const struct arg_set *set, bool keep,
                          bool sync)
{
    o->op[o->n] = (struct wire_op) {.kind = WIRE_RUN,
                                    .sql = sql,
                                    .args = set ? set->values : NULL,
                                    .n_args = set ? set->n : 0,
                                    .keep_rows = keep,
                                    .sync = sync};
    return o->n++;
}

#endif
