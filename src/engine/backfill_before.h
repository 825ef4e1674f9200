/* backfill_before: what is asked of a backfill before its first batch. Not for other layers. */
#ifndef PHASEGATE_ENGINE_BACKFILL_BEFORE_H
#define PHASEGATE_ENGINE_BACKFILL_BEFORE_H

#include "internal.h"

#include "phasegate/backfill_run.h"

/* backfill.c: what the plan says of it. ERR_REFUSED: this version can't run it. */
bool backfill_settle(struct work *w, const struct task *t, struct backfill_setup *out,
                     struct err *err) MUST_CHECK;

/* backfill_restore.c: rows whose old values are kept; were brought back; were left alone as they had changed. */
bool backfill_kept(struct engine *e, struct arena *a, int64_t job, int64_t *kept, int64_t *restored,
                   int64_t *newer, struct err *err) MUST_CHECK;

/* ERR_INPUT: no index finds a batch, of a table that isn't small. */
bool backfill_check_shape(struct work *w, const struct task *t, const struct backfill_setup *s,
                          const struct backfill_table *table, struct err *err) MUST_CHECK;
/* ERR_INPUT: a few rows that were filled twice, and rolled back, held something else afterwards. What keeps it from being
 * tried (a row that others hold, or that can't be filled) is no error here. */
bool backfill_check_twice(struct work *w, const struct task *t, const struct backfill_setup *s,
                          const struct backfill_table *table, struct err *err) MUST_CHECK;

/* Read only. */
bool backfill_basis(struct work *w, const struct backfill_setup *s, const struct backfill_table *t,
                    struct estimate_basis *out, struct err *err) MUST_CHECK;
/* Some batches, each rolled back: they leave WAL and dead rows. */
bool backfill_measure(struct work *w, const struct backfill_setup *s,
                      const struct backfill_table *t, struct estimate_basis *b,
                      struct err *err) MUST_CHECK;

#define BACKFILL_VERIFIED_VERSION 4 /* of the ledger, that knows verifications */

/* ---- beside an advance: without the lease ---- */

/* As work_open: whoever has the lease goes on. */
bool backfill_open_beside(struct work *w, struct engine *e, struct plan *p,
                          const struct advance_options *o, struct arena *a,
                          struct err *err) MUST_CHECK;
/* The plan's task for a job; w->phase is its phase. NULL: the plan has no backfill of this name any more. */
const struct task *backfill_task(struct work *w, const char *name);
bool backfill_is_over(const struct plan *p, struct err *err); /* false: the refusal */
/* Looks at all rows of a job that is done. *out: the verification, finished. */
bool backfill_verify_job(struct work *w, const struct task *t, struct backfill_question *out,
                         struct err *err) MUST_CHECK;

#endif
