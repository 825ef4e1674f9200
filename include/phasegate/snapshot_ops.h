/* snapshot_ops: snapshots of a plan, as an operator asks for them.
 *
 * Where they go is the environment's snapshots:. What they hold is what the plan's purge will destroy: columns and
 * tables that contract drops, and what a step that can't be hidden touches; or what the plan's own snapshot: says.
 */
#ifndef PHASEGATE_SNAPSHOT_OPS_H
#define PHASEGATE_SNAPSHOT_OPS_H

#include "phasegate/engine.h"
#include "phasegate/snapshot.h"

struct snapshot_result {
    bool nothing;         /* the purge destroys no rows */
    bool reused;          /* the newest one holds just that already, and its files are whole */
    const char *location; /* of the store that it is in */
    struct snapshot snapshot;
};
/* Takes and verifies, under the lease. ERR_CONFIG: the environment has no snapshots:. */
bool engine_snapshot(struct engine *e, struct plan *p, struct arena *a, struct snapshot_result *out,
                     struct err *err);

/* ---- those that were taken ------------------------------------------------------------------------------------ */

bool engine_snapshots(struct engine *e, struct arena *a, const char *plan_or_null,
                      struct snapshot_row **out, int *out_n, struct err *err);
/* What it holds, by its manifest, and what its tables are made of, as SQL; "": it has none. ERR_INPUT: no such snapshot. */
bool engine_snapshot_show(struct engine *e, const char *name, struct arena *a, struct snapshot *out,
                          struct str *definition, struct err *err);
/* Reads it back and compares again; the ledger has the answer either way. ERR_INPUT: no such snapshot. */
bool engine_snapshot_verify(struct engine *e, const char *name, struct arena *a, struct err *err);
/* Removes the files of those whose time is over, and names them. */
bool engine_snapshots_prune(struct engine *e, struct arena *a, struct snapshot_row **out,
                            int *out_n, struct err *err);

/* ---- back ----------------------------------------------------------------------------------------------------- */

#define SNAPSHOT_KEYS_SHOWN 1000
enum snapshot_kind {
    SNAPSHOT_SAME,       /* the row had that already */
    SNAPSHOT_RESTORED,   /* written from the snapshot */
    SNAPSHOT_RECOMPUTED, /* written since: by sync's reverse expression, now or before */
    SNAPSHOT_CHANGED,    /* written since: left as it is */
    SNAPSHOT_NEWER,      /* not in the snapshot: left as it is */
    SNAPSHOT_NEWER_RECOMPUTED,
    SNAPSHOT_GONE, /* deleted since: stays so */
    SNAPSHOT_KINDS
};
const char *snapshot_kind_word(enum snapshot_kind k);

struct snapshot_back_part {
    const struct snapshot_part *part;
    int64_t rows[SNAPSHOT_KINDS];
    const char **keys
        [SNAPSHOT_KINDS]; /* of CHANGED, NEWER, RECOMPUTED, NEWER_RECOMPUTED, GONE: the first ones */
    int n_keys[SNAPSHOT_KINDS];
};
struct snapshot_back_result {
    struct snapshot snapshot;
    struct snapshot_back_part *parts;
    int n_parts;
};
/* By key into the live tables, under the lease. name: of a snapshot, or where it lies. Nothing that was
 * written since is overwritten. compares: only that; what would become of the rows is counted, no lease is taken, and
 * nothing but temporary tables is written. ERR_REFUSED "column_absent", "table_absent", "no_key", "other_plan". */
bool engine_restore_from(struct engine *e, struct plan *p, const char *name, bool compares,
                         struct arena *a, struct snapshot_back_result *out, struct err *err);

#endif
