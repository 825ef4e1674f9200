/* fleet: commands over all databases of a fleet. Not for other layers. */
#ifndef PHASEGATE_CLI_FLEET_H
#define PHASEGATE_CLI_FLEET_H

#include "cli.h"
#include "phasegate/fleet.h"

struct fleet_way { /* how a command goes over a fleet */
    const char *command;
    enum { FLEET_EACH, FLEET_WAVES } kind; /* waves: a failure keeps it from those that are left */
    bool looks;                            /* all are asked before anything begins */
    bool back;                             /* it takes the plan back */
    bool braked;                           /* it is for those that have a brake on */
};

struct fleet_member {
    const struct database_decl *decl;
    /* as fleet_look found it */
    const char *identity;
    enum stage stage;
    enum brake brake;
    struct plan_state state;
    bool takes_part; /* false: it is where the command would bring it */
    /* afterwards */
    bool has_ended;
    int code;
    struct str answer; /* JSON; empty: none */
};

struct fleet_run {
    struct context *c;
    const struct fleet_way *way;
    const struct database_decl *fleet;
    struct fleet_member *members;
    int n;
    const struct fleet_member *only; /* that --database names; NULL: all */
    enum phase phase;                /* that an advance is to run; NONE: none is left */
    struct fleet_lead lead;
    bool is_led;       /* by the first of them: the plan has a rollout, and this moves it */
    bool is_partial;   /* it ended before the phase did */
    int *wave, n_wave; /* whose turn it is now */
    int worst;         /* exit code */
};

/* NULL: c's command isn't about the plan of a fleet, or one database was chosen, or it can't go over all of them. */
const struct fleet_way *fleet_way_of(struct context *c);
bool fleet_command(struct context *c, const struct fleet_way *way, struct err *err) MUST_CHECK;

/* fleet_look.c: every database answers, no two are the same one, and their ledgers agree on what comes next. Sets who takes
 * part. Writes nothing. */
bool fleet_look(struct fleet_run *f, struct err *err) MUST_CHECK;
/* One of them alone; the ledger's part is zeroed where it doesn't answer. */
bool fleet_look_at(struct fleet_run *f, struct fleet_member *m, struct err *err) MUST_CHECK;
bool fleet_has_rollout(const struct plan *p);
/* A kill voids what was verified where the writers keep old and new equal, in every database at once, and nobody tells
 * them all: ERR_REFUSED, reason "fleet_rollout". */
bool fleet_takes(struct context *c, const struct plan *p, struct err *err) MUST_CHECK;

#endif
