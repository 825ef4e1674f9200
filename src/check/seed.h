/* seed: what the rooms that make rows share. Not for others. */
#ifndef PHASEGATE_CHECK_SEED_H
#define PHASEGATE_CHECK_SEED_H

#include "check/work.h"

struct row {
    const struct cat_relation *r;
    int variant;
    int shift;           /* past numbers that other rows of the table have */
    int *nth;            /* for each column: which of the checks' values, -1: our own */
    const char **values; /* for each column; NULL: left to its default */
    bool *is_fixed;      /* for each column: was solved, and stays as it is */
    bool *is_null;       /* NULL is said, whatever the default */
    /* A statement's row, not one of ours: what it says itself is pinned, by column. NULL: one of ours. */
    const bool *is_pinned;
    struct wire *by; /* NULL: the role that makes rows */
};

/* A row of this table in which nothing is said yet. */
struct row row_start(struct proof *p, const struct cat_relation *r, int variant);

/* A foreign key's value of the nth row, 1-based; NULL: it's none, or nobody has made the parent. */
const char *seed_parents_value(struct proof *p, const struct cat_relation *r,
                               const struct cat_column *col, int nth);
/* The same of a row that isn't the first, where there is one; a row of the same table is no other parent. */
const char *seed_other_parents_value(const struct proof *p, const struct cat_relation *r,
                                     const struct cat_column *col);
/* Does the plan's expand add the column? */
bool plan_makes_column(const struct plan *plan, const struct cat_relation *r, const char *column);
/* Does a plan make and fill this column? A row from before the plan has nothing in it. */
bool seed_is_filled_by_plan(const struct proof *p, const struct cat_relation *r,
                            const struct cat_column *c);

/* solve.c: values for what checks and domains are about, found by asking the server which of many fit: one round trip.
 * A row whose checks can't be met keeps what it has. */
bool solve_row(struct proof *p, struct row *row, struct err *err);

/* solve_args.c: values for the parameters that one write puts into the relation, whose checks may be more than the
 * server's. False: see solve_args. */
bool solve_write(struct proof *p, const struct query *q, const struct fact_write *w,
                 const struct cat_relation *r, struct arg_set *set);

/* pattern.c: a text that a regular expression, or a pattern of LIKE, takes; more: repetitions past what must be. NULL: it
 * isn't one that is understood. Only the server knows whether the text fits. */
const char *pattern_match(struct arena *a, const char *pattern, int variant, int more);
const char *like_match(struct arena *a, const char *pattern, int variant, int more);

#endif
