/* runbook: what the people who carry a plan out have to know, with what is so now. Looks only.
 *
 * It is for the worst hour as well: what can't be read is said to be unreadable, with the reason, and the rest goes on.
 * The engine's db is NULL when the database is out of reach.
 */
#ifndef PHASEGATE_RUNBOOK_H
#define PHASEGATE_RUNBOOK_H

#include "phasegate/document.h"
#include "phasegate/engine.h"

enum runbook_side { RUNBOOK_GO, RUNBOOK_NO_GO, RUNBOOK_GATE, RUNBOOK_ROLLBACK, RUNBOOK_SIDES };
enum runbook_verdict {
    RUNBOOK_SPEAKS_FOR,     /* a go that holds, a no-go that doesn't, a gate that passes */
    RUNBOOK_SPEAKS_AGAINST, /* ... and the other way round */
    RUNBOOK_UNREADABLE,
    RUNBOOK_BY_HAND /* for a person to say */
};

struct runbook_reading { /* a criterion as it is now */
    enum runbook_side side;
    enum runbook_verdict verdict;
    const char *what;  /* "gate errors", the query, or the sentence of a manual one */
    const char *value; /* what was measured, or why it can't be read; NULL: nothing to say */
    struct pos at;
};

struct runbook_time { /* how long something took when it was done last */
    const char *what; /* "expand", "rollback of expand", "kill (drill) of FLAG" */
    int64_t ms, at_ms;
};

struct runbook_snapshot {
    const char *name, *lsn; /* lsn NULL: the ledger doesn't know */
    int64_t rows, taken_at_ms;
};

struct runbook_facts {
    int64_t at_ms;
    bool readable;             /* the ledger and the database */
    const char *why;           /* they aren't; NULL */
    struct plan_status status; /* zeros where not readable, but for the flags */
    struct approvals approvals[PHASE_SLOTS];
    struct runbook_reading *readings;
    int n_readings;
    struct runbook_time *times; /* newest of each */
    int n_times;
    struct soft_drop *hidden; /* now */
    int n_hidden;
    struct runbook_snapshot *snapshots; /* those that count, newest last */
    int n_snapshots;
    struct restore_point *points; /* newest last */
    int n_points;
};

/* why_or_null: why the database is out of reach, when e->db is NULL. ERR_INTERRUPTED, and mistakes of the plan. */
bool engine_runbook(struct engine *e, struct plan *p, const char *why_or_null, struct arena *a,
                    struct runbook_facts *out, struct err *err) MUST_CHECK;
/* The page. */
void runbook_write(const struct engine *e, const struct plan *p, const struct runbook_facts *f,
                   enum document_format format, struct arena *a, struct str *to);

#endif
