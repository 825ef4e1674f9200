/* rehearsal_ops: what the engine keeps of a rehearsal. */
#ifndef PHASEGATE_REHEARSAL_OPS_H
#define PHASEGATE_REHEARSAL_OPS_H

#include "phasegate/engine.h"

/* Into the ledger, under the lease. report: JSON, all of it. */
bool engine_rehearsed(struct engine *e, struct plan *p, const struct rehearsal_row *row,
                      const char *report, struct err *err) MUST_CHECK;

#endif
