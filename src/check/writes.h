/* writes: who writes, and who may be asked after it, in one state of the database. For writes.c and writers.c. */
#ifndef PHASEGATE_CHECK_WRITES_H
#define PHASEGATE_CHECK_WRITES_H

#include "check/work.h"

struct pair_of { /* two variants of one call of one release that read */
    const struct app_statement *a, *b;
    int last; /* world in which both may be asked */
};

/* What an application writes in one go: a statement, or a transaction with one variant of each of its calls. */
struct writer {
    const struct app_statement **items;
    int n;
    int first, last;  /* worlds in which it may run, of those that count */
    bool before_sync; /* it ran when no trigger kept the other side yet */
};

struct scene {
    struct proof *p;
    int state;
    int trial;    /* release that is tried as the newest one, whatever the worlds are; -1: none */
    bool *counts; /* [n_worlds]: what was written there, no backfill has gone over since */
    bool *bare;   /* [n_worlds]: the same, and there was no sync trigger yet that there is now */
    bool filled;  /* a backfill went over the rows from before */
    struct pair_of *pairs;
    int n_pairs;
    struct writer *writers;
    int n_writers, cap_writers;
    bool *told;  /* [n_pairs] */
    int culprit; /* the newest release whose writing is in what was told last; -1: none */
};

/* args.c: the column that a parameter goes to, or else is compared with; NULL: none that is known. */
const struct cat_column *args_column(const struct proof *p, const struct query *q, int param,
                                     const struct cat_relation **r, bool *is_written,
                                     bool *by_insert);
/* agree.c: what each of a transaction's statements is run with, where values that were made up agree. In the scratch
 * arena. differ: they didn't before. */
struct arg_set *args_agreed(struct proof *p, const struct app_statement *const *items, int n,
                            bool *differ);

/* Finds the pairs of a state and all that may have written before them. In the scratch arena. */
void scene_set(struct scene *s);
/* Does it write what the pair reads? */
bool writer_concerns(const struct proof *p, const struct writer *w, const struct pair_of *q);

#endif
