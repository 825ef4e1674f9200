/* Statements files, in each style of parameters. What was accepted must be usable. */
#include "phasegate/statement_facts.h"

#include <stdlib.h>
#include <string.h>

static bool never(void *ctx, const char *flag)
{
    (void) ctx;
    (void) flag;
    return false;
}

/* Places never go back as the text goes on. */
static void look_at_places(const struct statement *s)
{
    struct pos last = statement_pos_of(s, 0);
    int n = (int) strlen(s->dollar_sql);

    for (int i = 1; i <= n + 1; i += 1 + n / 50) {
        struct pos at = statement_pos_of(s, i);

        if (at.line < last.line || (at.line == last.line && at.col < last.col))
            abort();
        last = at;
    }
}

static void look_at_facts(struct arena *a, const struct statement *s)
{
    struct statement_facts f;

    statement_facts(a, s, &f);
    if (f.parsed == (f.why != NULL))
        abort();
    for (int i = 0; i < f.n_writes; i++)
        if (f.writes[i].columns.n != f.writes[i].literals.n)
            abort();
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
            look_at_places(&s.items[i]);
            look_at_facts(&a, &s.items[i]);
        }
    }
    return 0;
}
