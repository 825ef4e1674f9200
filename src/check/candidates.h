/* candidates: values that might fit a column, the likeliest first. */
#ifndef PHASEGATE_CHECK_CANDIDATES_H
#define PHASEGATE_CHECK_CANDIDATES_H

#include "check/seed.h"

struct candidates {
    const char **items; /* NULL: SQL NULL */
    int n;
};

/* own: the value that comes first, NULL: none. variant: of the row, so that two rows don't get the same. */
void candidates_of(struct arena *a, const struct catalogue *catalogue, const struct cat_relation *r,
                   const struct cat_column *c, const char *own, int variant,
                   struct candidates *out);

#endif
