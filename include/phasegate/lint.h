/* lint: what the text of a change says about its danger, without a server.
 *
 * The truth is what PostgreSQL does: rows rewritten, or scanned or indexed while a table that existed before is
 * locked against writes or reads. A lint is an error only where the parse trees at hand decide it; where it hangs
 * on what only a catalogue knows (an old type, a CHECK, a domain) it is a note that says so. What a tree knows of
 * the schema is gathered as the texts go by: tables, columns and types that earlier texts made.
 *
 * Nothing here asks a server, a clock or the environment. Findings are added to a report; their texts live in its
 * arena. Several lints may run in threads of their own, each with its own report.
 */
#ifndef PHASEGATE_LINT_H
#define PHASEGATE_LINT_H

#include "phasegate/report.h"
#include "phasegate/statements.h"

struct suppression_list;

/* ---- SQL files ------------------------------------------------------------------------------------- */

struct lint_known; /* what texts have made so far, opaque; in an arena */

struct lint_known *lint_known_new(struct arena *a);
/* A text that has run long ago (a baseline, an applied migration): nothing is said about it, and what it makes
 * exists. Meta-commands of psql and rows of COPY are stepped over; what doesn't parse is left out. */
void lint_known_learn(struct lint_known *k, const char *sql);

/* The text with blanks in place of meta-commands of psql and rows of COPY, so that every place stays where it is. */
const char *lint_without_psql(struct arena *a, const char *sql);

struct lint_file {
    const char *path; /* as shown; lives as long as the report */
    const char *sql;  /* NUL-terminated */
    /* From 1. Files of one set are deployed together: what one of them makes is new to those behind it. */
    int set;
};

/* Parsed in arena a; may be done in any thread, with an arena of its own. lint_parse_free gives back what isn't in
 * the arena. */
struct lint_parse *lint_file_parse(struct arena *a, const struct lint_file *file);
void lint_parse_free(struct lint_parse *p);
/* False: there are statements, and none of them can be parsed. */
bool lint_parse_is_sql(const struct lint_parse *p);
/* One migration file as one step: it is one transaction, unless it opens its own or has a statement that can't
 * run in one. What it makes is added to k. sup: the suppressions in its comments; NULL: not wanted. Files come in the
 * order in which they are applied. */
void lint_sql_file(struct lint_known *k, const struct lint_file *file,
                   const struct lint_parse *parse, const struct project *project,
                   struct report *out, struct suppression_list *sup);
/* After the last one. */
void lint_sql_end(struct lint_known *k, struct report *out);

/* ---- plans ----------------------------------------------------------------------------------------- */

struct
    lint_release { /* what a release runs; parallel to project.releases, the consumers behind them */
    const struct release *release;
    const struct statements *statements; /* n == 0: none known */
};

struct lint_options {
    const struct lint_release *releases; /* NULL: nothing is said about them */
    int n_releases;
    int64_t window;              /* releases that must work beside N; at least 1 */
    bool shadow_follows;         /* what the replay decides isn't said here */
    const char *const *baseline; /* SQL texts of the baseline, in order; NULL: not known */
    int n_baseline;
};

/* All plans in the order in which releases take them; findings of those for which wanted() says yes (NULL: all).
 * Plans must be whole, with their SQL facts. */
void lint_plans(const struct plan_set *set, const struct lint_options *o,
                bool (*wanted)(void *ctx, const struct plan *p), void *ctx, struct report *out);
/* Problems that a rule has found while plans were loaded (destructive-outside-contract ...) as findings. The
 * others stay in the list. Positions are matched to the steps of the set. */
void lint_problems(const struct plan_set *set, struct problem_list *problems, struct report *out);

#endif
