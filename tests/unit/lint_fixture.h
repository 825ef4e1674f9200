/* A text to its findings: "rule ?rule2 ~rule3": as the rule has it, a note, a warning where the rule is an error. */
#ifndef PHASEGATE_TEST_LINT_FIXTURE_H
#define PHASEGATE_TEST_LINT_FIXTURE_H

#include "phasegate/lint.h"
#include "phasegate/suppress.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>
#include <string.h>

static inline void findings_text(const struct report *r, struct str *to)
{
    str_clear(to);
    for (int i = 0; i < r->n; i++) {
        const struct finding *f = &r->findings[i];
        const char *mark = f->allowed_because                 ? "("
                           : f->severity == f->rule->severity ? ""
                           : f->severity == SEVERITY_NOTE     ? "?"
                                                              : "~";

        str_addf(to, "%s%s%s%s", i ? " " : "", mark, f->rule->id, f->allowed_because ? ")" : "");
    }
}

static inline void lint_one(struct lint_known *k, struct report *r, const char *path,
                            const char *sql, int set)
{
    AUTO(arena) a = {0};
    struct lint_file file = {path, sql, set};
    struct lint_parse *p = lint_file_parse(&a, &file);

    lint_sql_file(k, &file, p, NULL, r, NULL);
    lint_parse_free(p);
}

#endif
