/* Statements files, in each style of parameters. What was accepted must be usable. */
#include "phasegate/statements.h"

#include <stdlib.h>
#include <string.h>

static bool never(void *ctx, const char *flag)
{
    (void) ctx;
    (void) flag;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int style = PARAMS_DOLLAR; style <= PARAMS_PERCENT; style++) {
        AUTO(arena) a = {0};
        AUTO(problem_list) problems = {0};
        struct statements s = {0};

        bool good = statements_parse(&a, "f.sql", (const char *) data, size,
                                     (enum param_style) style, &s, &problems);
        good = statements_validate(&s, &problems) && good;
        if (good != (problems.n == 0))
            abort();
        for (int i = 0; good && i < s.n; i++) {
            if (!s.items[i].name || !*s.items[i].sql || !s.items[i].dollar_sql)
                abort();
            statement_pick(&s, s.items[i].name, never, NULL);
        }
    }
    return 0;
}
