/* purge PLAN: remove what contract has hidden. */
#include "cli.h"

bool cmd_purge(struct context *c, struct err *err)
{
    return run_backwards(c, EVENT_PURGE, engine_purge, err);
}
