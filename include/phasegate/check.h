/* check: the proof that release N stays compatible with N-1.
 *
 * The timeline of worlds is replayed on a shadow, and the statements of every release that may be live are put to
 * each state of the database: prepared afresh, held across the changes, and run. What fails, or means something
 * else than it did, is a finding.
 */
#ifndef PHASEGATE_CHECK_H
#define PHASEGATE_CHECK_H

#include "phasegate/generate.h"
#include "phasegate/load.h"
#include "phasegate/ports.h"
#include "phasegate/report.h"
#include "phasegate/shadow.h"
#include "phasegate/suppress.h"
#include "phasegate/timeline.h"

/* Databases of the shadow: what is replayed, and what that is made from. */
#define CHECK_DATABASE "proof"
#define CHECK_BASELINE "baseline"

/* What a contract has hidden in the database that the baseline is taken from, and how it goes for good. */
struct hidden_now {
    const char *step;
    struct sql_list purge;
};

/* What earlier runs found out, so that only what a change touches is put to the shadow again. Only for a shadow of
 * our own, and for a baseline from files. */
struct check_cache {
    /* Everything that answers depend on and that isn't in plans and statements: the program, the server's build, the
     * baseline's content, the day. NULL: nothing is kept. */
    const char *salt;
    const char *text; /* what a run left, of whatever salt */
    size_t n;
    struct str *out; /* what this run leaves */
};

/* The baseline as it was where a branch began, and what the branch did to it. */
struct before_files {
    const struct given_file *files; /* as shadow_load_given takes them */
    int n_files;                    /* 0: there was none */
    bool is_folder;
    const char *shown;
    const char *const *changed; /* files of the baseline of now that are new or changed, as shown */
    int n_changed;
    const char *const *gone; /* what of it the branch has taken away */
    int n_gone;
};

/* Asked at most once, and only where a statement fails on the baseline of now. */
struct check_before {
    void *ctx;
    bool (*fetch)(void *ctx, struct before_files *out, struct err *err);
};

struct check_options {
    struct ports *ports;
    bool
        baseline_is_folder; /* of migrations, that grows with the branches; else a dump of what is in production */
    struct shadow *shadow; /* begun; the caller ends it */
    bool
        leaves_shadow; /* nothing else will be asked of it: it may go while the findings are written */
    int64_t window;
    const char *baseline_from; /* URL, resolved: a secret; NULL: the project's baseline */
    bool allow_commands;       /* run command: steps */
    struct suppression_list *suppressions; /* those in statements are added; NULL: not wanted */
    int **cells; /* out: how many cells each world has, in the report's arena; NULL: not wanted */
    const struct check_cache *cache;   /* NULL: every cell is probed */
    const struct check_before *before; /* NULL: the baseline is as it was, or nobody asks */
    const struct timeline_next *next;  /* only this transition; NULL: all that the plans say */
    const struct timeline_next
        *earlier; /* of the same run, not made yet: the baseline is after them */
    int n_earlier;
    const struct hidden_now *hidden; /* of a purge */
    int n_hidden;
};

/* Everything the replay finds is added to out. Plans must be whole and have their SQL facts. t: the timeline that
 * was gone through, in out's arena. False: nothing could be proved (no shadow, unreadable baseline or statements:
 * problems has them). */
bool check_prove(const struct plan_set *set, const struct check_options *o, struct report *out,
                 struct timeline *t, struct problem_list *problems, struct err *err) MUST_CHECK;

/* What every release and consumer runs, and how its client does, as report's proofs have it: of releases that list
 * statements, one after the other. */
bool check_statements_print(const struct project *p, struct arena *a, const char **out,
                            struct problem_list *problems, struct err *err) MUST_CHECK;

/* What the project makes of findings: severities, and who may sign a suppression. */
const char *check_policy_print(const struct project *p, struct arena *a);

/* The roles that statements of the project's run as, as PostgreSQL writes an array; "" where none is said. */
bool check_roles(const struct project *p, struct arena *a, const char **out,
                 struct problem_list *problems, struct err *err) MUST_CHECK;

/* The shape of a live database's schema, as report's schemas have it, and a print of more than that (owners, everybody's
 * privileges), by which the same database is known to be as it was. NULL: not wanted. Reads only. roles: whose rights
 * and settings count, see check_roles. */
bool check_live_shape(struct db *db, struct arena *a, const char *roles, struct schema_sums *shape,
                      const char **print, struct err *err) MUST_CHECK;

/* What `catalogue` of these objects is, which are ascending by name. */
const char *check_schema_print(struct arena *a, const struct schema_object *objects, int n);

/* One thing in which two schemas differ. */
struct schema_difference {
    const char *object; /* as in schema_object */
    const char *how;    /* to be said after it: ": only here", " differs" */
};

/* Where here, the database, isn't what there, the proof, was made over; in the order of their names, *out_n 0: nowhere.
 * What migration tools remember their work by is left aside where no statement of the project's and no step of the plan
 * names it; so is what roles may here and not there, what a release's session says by itself, and schemas and extensions
 * that only the database has and nothing of which is met unasked. */
bool check_schema_difference(const struct project *p, const struct plan *plan, struct arena *a,
                             const struct schema_sums *here, const struct schema_sums *there,
                             struct schema_difference **out, int *out_n,
                             struct problem_list *problems, struct err *err) MUST_CHECK;

/* Rows in every table of a database of the shadow, as far as its constraints can be met: two that were made by the rules
 * of the proof, and `rows` of them in all where these can be repeated. The plan's own columns stay as they would be found. */
struct filled_table {
    const char *table; /* "public.orders" */
    int64_t rows;
    const char *why; /* that there aren't more of them; NULL: as many as were asked for */
};
bool check_fill(const struct plan_set *set, const struct plan *plan, struct shadow *shadow,
                const char *database, int64_t rows, struct arena *a, struct filled_table **out,
                int *out_n, struct err *err) MUST_CHECK;

#endif
