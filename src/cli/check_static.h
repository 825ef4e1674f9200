/* check_static: SQL files and folders of them, without project, plans or server. */
#ifndef PHASEGATE_CLI_CHECK_STATIC_H
#define PHASEGATE_CLI_CHECK_STATIC_H

#include "phasegate/err.h"
#include "phasegate/lint.h"
#include "phasegate/suppress.h"

/* Does this argument mean files: does it end in .sql, or is it a folder? */
bool is_static_path(const char *arg);
/* Lints them all into out, in an order that hangs on nothing but their names. Files that are named are deployed
 * together; those of a folder (any depth, by name, numbers in them by value) one after the other. Parsed in as many
 * threads as there are processors. project NULL: there is none. skipped: what a folder has under the name of a file, but isn't one; " NAME"
 * each. False: something can't be read. */
bool check_static_files(const char *const *paths, int n, const struct project *project,
                        struct report *out, struct suppression_list *sup, struct str *skipped,
                        struct err *err) MUST_CHECK;

struct context;
/* Are SQL files or folders among the arguments, and --static given? Then the project isn't loaded. */
bool check_static_has_paths(const struct context *c);
bool check_static(struct context *c, struct err *err) MUST_CHECK;
/* The texts of the baseline and the statements of all releases, for lint_plans, with the suppressions in them. What
 * can't be read in them is in c->problems. */
bool check_read_files(struct context *c, struct lint_options *o, struct suppression_list *sup,
                      struct report *r, struct err *err) MUST_CHECK;

#endif
