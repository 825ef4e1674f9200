/* restore PLAN: bring back what contract has hidden. */
#include "cli.h"

bool cmd_restore(struct context *c, struct err *err)
{
    context_warn_spared(c);
    return run_backwards(c, NULL, EVENT_RESTORE, engine_restore, err);
}
