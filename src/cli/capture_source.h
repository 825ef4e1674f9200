/* capture_source: where capture has its statements from. Private to cli. */
#ifndef PHASEGATE_CLI_CAPTURE_SOURCE_H
#define PHASEGATE_CLI_CAPTURE_SOURCE_H

#include "cli.h"
#include "phasegate/capture.h"

/* pg_stat_statements of the environment's databases; what is new is prepared there, to learn its types.
 * search_path: the release's; NULL: that of the role that ran it. */
bool capture_from_databases(struct context *c, struct capture *to, const char *search_path,
                            struct err *err) MUST_CHECK;
/* --from-log and the arguments. */
bool capture_from_logs(struct context *c, struct capture *to, struct err *err) MUST_CHECK;
/* After either: was anything seen of the role that was asked for? ERR_USAGE names those that there are. */
bool capture_role_is_known(struct context *c, const struct capture *to, struct err *err) MUST_CHECK;

#endif
