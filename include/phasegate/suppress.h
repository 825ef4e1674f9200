/* suppress: findings that somebody has set aside, and severities that the project has set.
 *
 * A comment in the SQL of a step, in a statement of a release or in a migration file:
 *
 *     -- phasegate: allow <one-rule> until <release> because <reason> [approved-by <name>]
 *
 * It holds for its step, its statement, or the statement of the file that it stands in or before, until that
 * release is listed and no longer planned. Errors of the classes compat, order and flag need approved-by, with a
 * name that policy.approvers has (any name, where there are no approvers). What is expired, unknown, unused,
 * malformed or without its approver is a finding itself.
 *
 * policy.rules may raise any rule and lower or switch off those of the other classes; a compat, order or flag
 * error stays what it is, and the attempt is severity-below-gate: such an error is set aside where it is, by name.
 */
#ifndef PHASEGATE_SUPPRESS_H
#define PHASEGATE_SUPPRESS_H

#include "phasegate/report.h"
#include "phasegate/statements.h"

struct suppression {
    const struct rule *rule;
    const char *until, *because, *approved_by; /* approved_by NULL: nobody */
    struct pos at;
    const char *plan, *phase, *step; /* of a step; NULL: not of one */
    const char *release, *statement; /* of a statement; NULL */
    struct pos target; /* of a file: the statement that it is about; file NULL: not of one */
    size_t offset;     /* of the comment in its text */
    bool used, said;
};

struct suppression_list { /* everything in the report's arena */
    struct suppression *items;
    int n, cap;
};

/* Comments of one text. scope: what they hold for (plan, phase, step, or release, statement); its other members
 * are filled here; the target of a comment in a file is set by the caller, by its offset. project NULL: no release
 * list to expire by. */
void suppress_read_sql(struct suppression_list *l, struct report *r, const struct project *project,
                       const char *sql, struct pos at, bool is_indented,
                       const struct suppression *scope);
/* All steps of a plan, undo included. */
void suppress_read_plan(struct suppression_list *l, struct report *r, const struct project *project,
                        const struct plan *p);
/* Those of a release's statements. */
void suppress_read_statements(struct suppression_list *l, struct report *r,
                              const struct project *project, const char *release,
                              const struct statements *s);
/* One directive without its comment signs: "allow x until 1.2.0 because ...". */
void suppress_read_one(struct suppression_list *l, struct report *r, const struct project *project,
                       const char *directive, struct pos at, const struct suppression *scope);

/* What the project file makes of the severities. Before suppress_apply. A finding that says less than its rule (a
 * note of something that only a server knows) isn't raised, only switched off. */
void severities_apply(const struct policy *policy, struct report *r);
/* Sets allowed_because, and says what is wrong with the suppressions. Rules that only the shadow finds aren't
 * unused in a report without one. Before report_finish. */
void suppress_apply(struct suppression_list *l, const struct policy *policy, struct report *r);

#endif
