/* Suppressions in SQL: whatever stands there is read, or said to be unreadable; and a file with it is linted. */
#include "phasegate/lint.h"
#include "phasegate/suppress.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) a = {0};
    AUTO(report) r = {0};
    struct suppression_list l = {0};
    struct policy policy = {0};
    struct lint_file file = {"f.sql", arena_strndup(&a, (const char *) data, size), 1};
    struct lint_parse *p = lint_file_parse(&a, &file);
    struct lint_known *k = lint_known_new(&a);

    lint_sql_file(k, &file, p, NULL, &r, &l);
    lint_parse_free(p);
    lint_sql_end(k, &r);
    for (int i = 0; i < l.n; i++)
        if (!l.items[i].rule || !l.items[i].until || !*l.items[i].because)
            abort();
    severities_apply(&policy, &r);
    suppress_apply(&l, &policy, &r);
    report_finish(&r);
    for (int i = 0; i < r.n; i++)
        if (!r.findings[i].rule || !r.findings[i].message || r.findings[i].severity == SEVERITY_OFF)
            abort();
    return 0;
}
