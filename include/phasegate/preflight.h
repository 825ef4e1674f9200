/* preflight: facts of the live database against what the next phase needs. Looks only.
 *
 * Each check has an outcome, what was found, the limit, and the query that tells, so that anybody can ask again. What
 * can't be found out is a warning that says why, never a pass.
 */
#ifndef PHASEGATE_PREFLIGHT_H
#define PHASEGATE_PREFLIGHT_H

#include "phasegate/engine.h"

enum preflight_outcome { PREFLIGHT_PASS, PREFLIGHT_WARN, PREFLIGHT_NO_GO };
const char *preflight_outcome_word(enum preflight_outcome o); /* "pass", "warn", "no-go" */

struct preflight_check {
    const char *id; /* "server", "locks", "data": docs/reference/preflight.md has a line for each */
    const char *about; /* table, constraint or data check; NULL: the server */
    enum preflight_outcome outcome;
    const char *value, *limit;
    const char *help;      /* what to do; NULL: nothing */
    const char *sql;       /* what was asked; NULL: not asked by SQL */
    const char **examples; /* rows or values that stand against it */
    int n_examples;
    struct pos at; /* of what needs it, in the plan; file NULL: nothing there */
};

struct preflight {
    enum phase phase; /* that was looked at; NONE: the plan has none left */
    struct preflight_check *items;
    int n, n_warn, n_no_go;
};

/* phase NONE: the one that comes next. Errors are of the session; what a check's own query meets is its outcome. */
bool engine_preflight(struct engine *e, struct plan *p, enum phase phase, struct arena *a,
                      struct preflight *out, struct err *err) MUST_CHECK;

#endif
