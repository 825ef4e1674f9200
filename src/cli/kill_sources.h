/* kill_sources: flags that no file says, and files that don't say their flags.
 *
 * A kill that leaves a flag on must not say that all is well. What a plan's file doesn't say, because it is broken, gone
 * or was edited, this host's journal and the ledger may remember. The ledger is asked in a process beside, so that a
 * database that hangs holds up nothing.
 */
#ifndef PHASEGATE_CLI_KILL_SOURCES_H
#define PHASEGATE_CLI_KILL_SOURCES_H

#include "cli.h"
#include "phasegate/flag_ops.h"
#include "phasegate/io.h"

struct unread_file { /* may name flags that nobody knows of */
    const char *file;
    const char *plan;  /* by the file's contents, or its name; NULL */
    const char **keys; /* what looks like a flag's key in it and wasn't killed; ends with NULL */
    bool sent;         /* flags of this plan were known all the same, and killed */
};

struct kill_sources {
    struct unread_file *unread; /* those that the command is about */
    int n_unread;
    struct known_flag *here; /* the journal of this host */
    int n_here;
    struct known_flag *ledger;
    int n_ledger;
    bool ledger_answered; /* every database of the environment did; or there is none */
    struct beside *asking;
};

/* Which files of the plans that the command line names (all: of all plans) can't be relied on for their flags? */
void unread_files(struct context *c, bool all, struct unread_file **out, int *out_n);
/* The keys in their text that aren't among those of r. */
void unread_files_keys(struct context *c, struct kill_sources *s, const struct flag_kill_report *r);
/* Begins to ask the ledgers. */
void kill_sources_ask(struct context *c, struct kill_sources *s);
/* Their answer, waited for as long as this from now. */
void kill_sources_take(struct context *c, struct kill_sources *s, int64_t wait_ms);

#endif
