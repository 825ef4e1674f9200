/* rehearse_show: what a rehearsal found, for people and as JSON. */
#ifndef PHASEGATE_REHEARSE_SHOW_H
#define PHASEGATE_REHEARSE_SHOW_H

#include "cli.h"

#include "phasegate/rehearse.h"

/* recorded: the environment whose ledger keeps it; NULL: none. */
void rehearse_show(struct context *c, const struct rehearsal *r, const char *recorded);

#endif
