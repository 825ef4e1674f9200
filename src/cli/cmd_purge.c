/* purge PLAN: remove what contract has hidden. */
#include "cli.h"

bool cmd_purge(struct context *c, struct err *err)
{
    struct proving k;
    bool ok = proving_begin(c, &k, err) && run_backwards(c, &k, EVENT_PURGE, engine_purge, err);

    proving_end(&k);
    return ok;
}
