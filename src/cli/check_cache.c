/* Where check keeps what only saves time, and what it can know of the project before it is loaded. */
#include "cli.h"

#include "phasegate/load.h"
#include "phasegate/shadow.h"

#include <stdlib.h>
#include <unistd.h>

#define PROJECT_MAX ((size_t) 16 << 20)

static const char *variable(struct context *c, const char *name)
{
    const char *value = c->host->ops->env(c->host, name);

    return value && *value ? value : NULL;
}

const char *cache_folder(struct context *c, struct arena *a)
{
    const char *given = variable(c, "PHASEGATE_CACHE");
    const char *xdg = variable(c, "XDG_CACHE_HOME");
    const char *home = variable(c, "HOME");

    if (opt_has(c, OPT_NO_CACHE))
        return NULL;
    if (given && *given != '/') {
        char *here = getcwd(NULL, 0);
        const char *path = here ? arena_printf(a, "%s/%s", here, given) : NULL;

        free(here);
        return path;
    }
    if (given)
        return arena_strdup(a, given);
    if (xdg && *xdg == '/') /* a relative one is none, says its specification */
        return arena_printf(a, "%s/phasegate", xdg);
    return home && *home == '/' ? arena_printf(a, "%s/.cache/phasegate", home) : NULL;
}

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
    *out = (struct shadow_baseline) {"baseline", root, project.baseline.s};
    return true;
}
