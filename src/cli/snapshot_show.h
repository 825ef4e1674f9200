/* How snapshots are shown. */
#ifndef PHASEGATE_CLI_SNAPSHOT_SHOW_H
#define PHASEGATE_CLI_SNAPSHOT_SHOW_H

#include "cli.h"
#include "phasegate/snapshot_ops.h"

void snapshot_json(struct json_out *j, const char *key, const struct snapshot *s);
/* A line a table, each after `before`. */
void snapshot_show(struct context *c, const char *before, const struct snapshot *s);

#endif
