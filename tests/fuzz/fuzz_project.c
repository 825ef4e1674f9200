/* Any bytes as a project file: no crash, no leak, and a verdict that agrees with the list of problems. */
#include "phasegate/load.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) arena = {0};
    AUTO(problem_list) problems = {0};
    struct project project;
    bool good =
        project_parse(&arena, "phasegate.yaml", (const char *) data, size, &project, &problems);

    if (good != (problems.n == 0))
        abort();
    for (int i = 0; i < problems.n; i++) {
        AUTO(str) text = {0};
        problem_text(&text, &problems.items[i]);
    }
    for (int i = 0; i < project.n_environments; i++)
        if (policy_effective(&project, &project.environments[i]).window < 1)
            abort();
    if (good && !project.plans_dir.s)
        abort();
    if (arena.used > size * 64 + (8 << 20))
        abort();
    return 0;
}
