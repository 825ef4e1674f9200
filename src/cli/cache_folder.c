/* Where things are kept that can be had again. */
#include "cli.h"

#include <stdlib.h>
#include <unistd.h>

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

    if (opt_has(c, OPT_NO_CACHE) || c->cache)
        return c->cache;
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
