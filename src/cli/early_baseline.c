/* What check can know of the project before it is loaded. */
#include "cli.h"

#include "phasegate/check.h"
#include "phasegate/load.h"
#include "phasegate/shadow.h"

#define PROJECT_MAX ((size_t) 16 << 20)

bool cache_baseline(struct context *c, struct arena *a, struct shadow_baseline *out)
{
    const char *config = context_config(c);
    const char *file = config ? config : "phasegate.yaml";
    const char *slash = strrchr(file, '/');
    AUTO(str) text = {.ceiling = PROJECT_MAX + 1};
    AUTO(err) ignored = {0};
    AUTO(problem_list) problems = {0};
    struct project project = {0};

    if (!c->host->ops->read_file(c->host, file, PROJECT_MAX, &text, &ignored) ||
        !project_parse(a, file, str_text(&text), text.len, &project, &problems) ||
        !project.baseline.s)
        return false;
    const char *root = slash ? arena_strndup(a, file, (size_t) (slash - file) + 1) : ".";
    *out = (struct shadow_baseline) {CHECK_BASELINE, root, project.baseline.s, CHECK_DATABASE};
    return true;
}
