/* Any bytes as a plan: no crash, no leak, and a verdict that agrees with the list of problems. */
#include "phasegate/load.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) arena = {0};
    AUTO(problem_list) problems = {0};
    struct plan plan;
    bool good = plan_parse(&arena, "plan.yaml", (const char *) data, size, &plan, &problems);

    if (good != (problems.n == 0))
        abort();
    for (int i = 0; i < problems.n; i++) {
        AUTO(str) text = {0};
        problem_text(&text, &problems.items[i]);
    }
    /* What loaded has everything that the rest of the program counts on. */
    if (good) {
        struct plan_set set = {.plans = &plan, .n_plans = 1};
        const struct plan *order[1];

        set.project.policy.one_phase_per_release = MODEL_UNSET;
        if (!plan.id.s || !plan.timestamp.s || !plan.title.s || !plan.author.s || !plan.checksum ||
            !plan.database.s)
            abort();
        plan_set_validate(&set, &problems);
        plan_set_order(&set, order);
    }
    /* Aliases must not make little input into much memory. */
    if (arena.used > size * 64 + (8 << 20))
        abort();
    return 0;
}
