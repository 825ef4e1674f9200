/* preflight_int: what the sources of preflight share. */
#ifndef PHASEGATE_ENGINE_PREFLIGHT_INT_H
#define PHASEGATE_ENGINE_PREFLIGHT_INT_H

#include "internal.h"

#include "phasegate/preflight.h"

/* A table that the phase touches, and what it does there. */
struct touched {
    const char *schema, *table; /* as written */
    const char *oid, *name;     /* NULL: it isn't there yet */
    const char *key;            /* expressions that name a row; NULL: no primary key */
    int64_t bytes, index_bytes; /* with its indexes; of them alone */
    int64_t rows;               /* -1: nobody has counted them */
    const char *plain;          /* schema.name, without quotes */
    bool defines, fills;        /* its definition; its rows */
    bool is_dropped;            /* all of it */
    bool is_changed; /* its rows, by what the phase does before the step that is asked about */
    struct pos at;
};

struct preflighting {
    struct engine *e;
    struct plan *p;
    struct arena *a;
    enum phase phase;
    struct preflight *out;
    int cap;
    struct touched *tables;
    int n_tables;
    bool tries;    /* whether snapshots can be written: by a probe */
    bool of_purge; /* what is asked about comes with the purge only: there is time to mend it */
};

struct preflight_check *preflight_add(struct preflighting *f, const char *id, const char *about,
                                      const char *sql);
void preflight_settle(struct preflighting *f, struct preflight_check *c,
                      enum preflight_outcome outcome, const char *value, const char *limit,
                      const char *help);
/* A query that answers with outcome, value, limit and what to do; at: the statement that it is about. */
bool preflight_ask(struct preflighting *f, const char *id, const char *about, const char *sql,
                   const struct db_params *params, struct pos at, struct err *err);
/* What the query met instead of an answer: not measured, a warning. False: the session is lost, err stays. */
bool preflight_unknown(struct preflighting *f, struct preflight_check *c, struct err *err);
/* NULL: the phase doesn't touch it. */
struct touched *preflight_table(struct preflighting *f, const char *schema, const char *table);

/* The phase that is meant by this one, which is that unless it is NONE: then the next. NONE: there is none. */
bool preflight_phase(struct engine *e, struct plan *p, enum phase phase, struct arena *a,
                     enum phase *out, struct err *err);
/* Rows are read whole, and that may take its time; nothing waits for it. */
#define PREFLIGHT_DATA_MS (10 * 60 * 1000LL)
/* "= 0" */
const char *preflight_expectation(struct arena *a, const struct cond *c);

/* preflight_data.c: data_checks of the plan, and what its statements ask of rows. */
bool preflight_data(struct preflighting *f, struct err *err);

/* preflight_gone.c: what contract takes away: functions that name it, and the place where it is saved. */
bool preflight_gone(struct preflighting *f, struct err *err);

/* preflight_estimate.c: what the phase will take. */
bool preflight_estimates(struct preflighting *f, struct err *err);

#endif
