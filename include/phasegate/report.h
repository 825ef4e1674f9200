/* report: what `check` found, as one model that every output format is written from. Pure.
 *
 * One cause gives one finding: ten statements broken by one DROP are one finding with ten places. A report is
 * deterministic: report_sort() puts findings in an order that depends on nothing but what they say, and no text
 * in it holds an id, a time or a path outside the project. Everything lives in the report's arena.
 */
#ifndef PHASEGATE_REPORT_H
#define PHASEGATE_REPORT_H

#include "phasegate/rules.h"
#include "phasegate/str.h"

struct place { /* a statement of a release (or a step) that a finding is about */
    struct pos at;
    const char *release, *statement; /* NULL: none */
    bool is_consumer;                /* release is the name of a consumer */
    int order;              /* of its release, the oldest first; consumers come after them */
    struct pair_list flags; /* of this place, as those of the finding; by report_finish() */
    const char *probe;
};

struct finding {
    const struct rule *rule;
    enum severity
        severity; /* the rule's, or what the project file and the release's driver make of it */
    const char *level; /* "statement", "wire", "session"; NULL: not about a statement */
    const char
        *kind; /* "rolling", "rollback", "contract"; NULL: not about a world. The first place's */
    const char *plan, *phase, *step; /* step that broke it; NULL where none did */
    const char *release, *statement; /* the first place's, of the worst; NULL: none */
    struct pair_list flags;          /* flag key -> "on"/"off" under which it breaks there */
    struct pos at;                   /* where to look first: the step, else the statement */
    const char *sqlstate, *probe;    /* "42703", "H"; NULL: no server spoke */
    const char *message;             /* the server's words, or ours; one sentence, no full stop */
    const char *safe_from; /* first release at which it would be safe; NULL: none, or not asked */
    const char *help;      /* the way out; NULL: see the rule's page */
    struct place *places;
    int n_places, cap_places;
    const char *allowed_because; /* suppressed: why; it is then no finding of the count */
    const struct rule *same;     /* what the text alone showed of the same cause; NULL: nothing */
    bool is_finished;            /* its places know their flags and probe */
};

struct report_summary {
    int plans, releases, statements, worlds;
    int cells;  /* (world, live release, statement) that had to be answered */
    int probed; /* of them, with an answer: run on the shadow, or carried over from a world in which
                  * nothing that the statement touches was different */
    int carried; /* of those, carried over */
    int by_args, by_generated,
        by_plan; /* how the arguments of those came about: -- args:, generated, planned only */
    int untested;
    int failing; /* statements that fail at the baseline already: nothing is proved of them */
    int errors, warnings, notes, allowed;
    int64_t duration_ms;
};

/* A phase of a plan that was gone through from a schema of this shape: what a proof from a file is taken for. */
struct proved {
    const char *plan, *phase;
    const char *checksum;   /* of the phase, as the plan said it */
    const char *catalogue;  /* shape of the schema before the phase, 16 hex digits */
    const char *statements; /* of what every release and consumer runs, and how, 16 hex digits */
    const char *policy;     /* of the project's severities and approvers, 16 hex digits */
    int64_t window;         /* releases before N that were taken to be live */
};

/* Shape of a schema, thing by thing. What a role may ("rights of app on table public.users") has a bit for each right
 * in place of a sum. */
struct schema_object {
    const char *name; /* "table public.users", "type public.mood", "setting search_path" */
    uint64_t sum;
    bool is_idle; /* says nothing to statements that don't name it */
};

/* Of files: what they tell of. 1, or none: relations and enums only. */
#define SCHEMA_FORM 2

struct schema_sums {
    const char *catalogue;         /* over all of it, 16 hex digits: which one it is */
    struct schema_object *objects; /* ascending by name; without what extensions own */
    int n;
};

struct report {
    struct arena arena;
    struct finding *findings;
    int n, cap;
    struct proved *proofs;
    int n_proofs;
    struct schema_sums *schemas; /* that proofs begin with, each once */
    int n_schemas;
    struct report_summary summary;
    struct pos *watched; /* statements of steps that the shadow ran and looked at */
    int n_watched, cap_watched;
    bool is_static;             /* no server was asked */
    bool is_stopped;            /* nothing was looked at: its findings say what can't be read */
    const char *server_version; /* of the shadow: "15.8"; NULL: none */
};

void report_free(struct report *r);
static inline void report_auto(struct report *r) { report_free(r); }

/* A finding with the rule's own severity; its texts are copied by the setters below only, so give texts that
 * live as long as the report (report->arena). Never NULL. rule_id must be in the table: anything else is a bug. */
struct finding *report_add(struct report *r, const char *rule_id, struct pos at, const char *fmt,
                           ...) PRINTF_LIKE(4, 5);
/* What can't be read, of the rule input-unreadable; help NULL: mend it. Its texts are copied. */
void report_unreadable(struct report *r, struct pos at, const char *what, const char *help,
                       const char *sqlstate_or_null);
void finding_place(struct report *r, struct finding *f, struct pos at, const char *release,
                   const char *statement);
/* The shadow ran the statement there and would have told of work under a lock. */
void report_watched(struct report *r, struct pos at);
/* The first n_static findings are those of the texts, the others the shadow's: where both tell of one cause in one
 * statement, the shadow's stays, and knows the other's rule. What a text says of work under a lock goes where the
 * shadow watched the statement and saw none. */
void report_join(struct report *r, int n_static);
/* Is it about this rule: its own, or the one that tells of the same cause in the other mode? */
bool finding_is_of(const struct finding *f, const struct rule *rule);
/* Merges findings of one cause: the same rule at the same position, plan, phase, step and kind, in the same words
 * (message, sqlstate), allowed or not for the same reason. The places are united; everything else is that of the
 * worst, of equals of the one whose place comes first, with any safe_from there is. Sorts, counts the summary's
 * severities. Findings of severity off go. Calling it again changes nothing. */
void report_finish(struct report *r);
/* Is there a finding at or above this severity that isn't allowed? */
bool report_fails(const struct report *r, enum severity at);
/* What each finding is known by from one run to the next: of rule, plan, phase, step, kind, file, release and
 * statement, never of a line or of a server's words. Findings that share all of these are numbered in their order.
 * r->n of them, unique within the report. */
const uint64_t *report_fingerprints(struct arena *a, const struct report *r);

#endif
