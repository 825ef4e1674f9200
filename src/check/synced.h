/* synced: what the trigger of a sync writes for those who write the other side. For limits.c, unique.c and writes.c. */
#ifndef PHASEGATE_CHECK_SYNCED_H
#define PHASEGATE_CHECK_SYNCED_H

#include "check/work.h"

/* Is the plan's trigger in place in this state? */
bool sync_is_on(const struct proof *p, int state, const struct plan *plan);
/* The plan whose trigger comes with this state; NULL: none does. */
const struct plan *sync_begins(const struct proof *p, int state);
bool sync_is_of(const struct plan *plan, const struct cat_relation *r);
/* The column of the new side and its expression; NULL: it isn't one. */
const struct pair *sync_target(const struct plan *plan, const char *column);
/* Does what the old side writes hang on this column? */
bool sync_reads(const struct plan *plan, const char *column);
/* By which trigger that is in place a column is written; NULL: by none. */
const struct pair *sync_writes(const struct proof *p, int state, const struct cat_relation *r,
                               const char *column, const struct plan **plan);

/* A view that can be written to is the table below it. */
const struct cat_relation *written_table(const struct proof *p, const struct cat_relation *r);
/* The column through which a write comes to a column of the new side; NULL: it doesn't. fresh: with a value that comes
 * once only. */
const struct cat_column *sync_source(struct proof *p, const struct cat_relation *r,
                                     const struct fact_write *w, const struct pair *target,
                                     const struct plan *plan, bool *fresh);
bool takes_nulls_alike(const struct cat_index *index); /* NULLS NOT DISTINCT */
/* Does a uniqueness of the old side's keep apart already what this index does? */
bool sync_is_implied(struct proof *p, int state, const struct cat_relation *r,
                     const struct cat_index *index);

/* The state that restricts what the trigger writes: whose step makes the thing, or else the column; else this one.
 * thing: a constraint or an index; NULL: not known. */
int sync_culprit(const struct proof *p, int state, const struct cat_relation *r,
                 const struct plan *plan, const char *thing);

#endif
