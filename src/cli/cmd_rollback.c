/* rollback PLAN: undo the newest phase. */
#include "cli.h"

bool cmd_rollback(struct context *c, struct err *err)
{
    context_warn_spared(c);
    return run_backwards(c, NULL, EVENT_ROLLBACK, engine_rollback, err);
}
