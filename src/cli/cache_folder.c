/* Where things are kept that can be had again. */
#include "cli.h"

const char *cache_folder(struct context *c, struct arena *a)
{
    const char *own = c->host->ops->env(c->host, "PHASEGATE_CACHE");
    const char *xdg = c->host->ops->env(c->host, "XDG_CACHE_HOME");
    const char *home = c->host->ops->env(c->host, "HOME");

    if (own && *own)
        return own;
    if (xdg && *xdg == '/')
        return arena_printf(a, "%s/phasegate", xdg);
    return home && *home == '/' ? arena_printf(a, "%s/.cache/phasegate", home) : NULL;
}
