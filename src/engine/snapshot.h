/* What snapshot.c, snapshot_store.c, snapshot_what.c, snapshot_back.c and preflight_gone.c share. */
#ifndef PHASEGATE_ENGINE_SNAPSHOT_H
#define PHASEGATE_ENGINE_SNAPSHOT_H

#include "internal.h"
#include "phasegate/snapshot_ops.h"

/* What the plan's purge will destroy, as it is called now. */
bool snapshot_what(struct work *w, struct snapshot_part **out, int *out_n, struct err *err);
/* snapshot_store.c: the environment's. ERR_CONFIG: it has none. */
bool snapshot_store_needed(struct engine *e, struct arena *a, const struct store **out,
                           struct err *err);
/* The one that the ledger has of a snapshot. */
bool snapshot_store_at(struct engine *e, struct arena *a, const char *location,
                       const struct store **out, struct err *err);
/* Another manifest than the one that the ledger knows: false, with the error. */
bool snapshot_edited(const struct snapshot *s, const char *plan, struct err *err);
/* A session of its own: the lease's isn't to sit in a long transaction. */
bool snapshot_session(struct engine *e, struct db **out, struct err *err);

#endif
