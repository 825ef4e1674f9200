/* Where `check` keeps what it found out, from run to run. */
#ifndef PHASEGATE_CLI_PROBE_CACHE_H
#define PHASEGATE_CLI_PROBE_CACHE_H

#include "cli.h"
#include "phasegate/check.h"

struct probe_cache {
    struct check_cache cache;
    struct str text, out;
    const char *path; /* NULL: nothing is kept */
};

/* Whatever stands in the way of it (no folder, no rights, another user's file): nothing is kept, and that's all. */
void probe_cache_read(struct context *c, struct probe_cache *k);
void probe_cache_write(struct context *c, struct probe_cache *k);
void probe_cache_free(struct probe_cache *k);

#endif
