/* notify: who is told of milestones, over HTTP. Never in the way: nobody waits longer than NOTIFY_WAIT_MS for a message
 * that goes its way, nor than NOTIFY_END_MS for all of them at the end, and a failure is a warning.
 */
#ifndef PHASEGATE_NOTIFY_H
#define PHASEGATE_NOTIFY_H

#include "phasegate/ports.h"

#define NOTIFY_WAIT_MS 1000 /* once it has failed in a run: not at all */
#define NOTIFY_END_MS 3000
#define NOTIFY_TOTAL_MS 3000 /* of a request */

struct notify_hook {
    const char *url;   /* a secret: chat services have their token in it */
    const char *shown; /* without path and password */
    bool slack;        /* {"text": ...}; else our own JSON */
};

struct notice {
    const char *
        event; /* phase_begun, phase_done, rung, purge_begun, purged, rolled_back, restored, halted, killed */
    const char *plan, *phase, *release, *stage, *text; /* NULL: none */
};

struct notifier; /* everything but its messages is borrowed; in the arena given */
/* http: of its own, for its answers are nobody else's. */
struct notifier *notifier_new(struct arena *a, const struct ports *ports, struct http *http,
                              const struct notify_hook *hooks, int n, const char *environment,
                              const char *run_id, const char *actor);
/* Sends it to all, and waits a moment. n NULL: nothing. */
void notify_send(struct notifier *n, const struct notice *what);
/* Gives what is still on its way its last chance. */
void notify_end(struct notifier *n);

/* What became of a message, for the journal: in order, each once. False: none is finished. */
struct notify_outcome {
    const char *event, *plan, *phase, *text; /* text: a sentence */
    int n_failed;
};
bool notify_outcome(struct notifier *n, struct notify_outcome *out);

#endif
