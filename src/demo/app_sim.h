/* app_sim: live traffic, as a fleet of application instances makes it.
 *
 * An instance is a release with its statements, a session of its own, and its own view of the flags. It
 * asks the flag service over OFREP for the flags of an account the first time it meets the account after
 * a change, and every poll_ms (bulk, with ETag) whether there was a change. It picks the variant of each
 * statement by these flags, prepares it once per session, as drivers do, and runs the shop's transactions
 * with random parameters. When the flag service is out of reach it goes on with what it knew last, and
 * with "off" for what it never knew. A request that fails is counted, with its SQLSTATE, and never
 * retried.
 *
 * Not an oracle: whether answers are right is what the plan's compare, verify and gates say.
 */
#ifndef PHASEGATE_DEMO_APP_SIM_H
#define PHASEGATE_DEMO_APP_SIM_H

#include "phasegate/statements.h"

#define APP_SIM_INSTANCES 16
#define APP_SIM_FLAGS 8
#define APP_SIM_FAILURES 16

struct app_release { /* must outlive the simulator */
    const char *version;
    const struct statements *statements;
};

struct app_sim_options {
    const char *conninfo;              /* application_name is added: shop/<version> */
    const char *flag_url;              /* of the flag service, "http://127.0.0.1:8016" */
    const char *read_token;            /* NULL: none */
    int instances;                     /* 1 .. APP_SIM_INSTANCES */
    const struct app_release *release; /* that all of them start with */
    int customers, accounts;           /* ids from 1; what the random parameters are taken from */
    int think_ms;                      /* pause between two requests of an instance */
    int poll_ms;                       /* 0: 200 */
    uint32_t seed;                     /* equal seeds give equal sequences of requests */
};

struct app_sim_flag {
    const char *key;
    int64_t off, on;    /* requests that took this branch */
    int64_t last_on_ms; /* CLOCK_MONOTONIC: end of the last request on the new path; 0: none */
};

struct app_sim_failure { /* failures alike, counted */
    char sqlstate[6];    /* "" when no server spoke */
    const char *release, *statement;
    const char *message; /* of the first one */
    int64_t count;
};

struct app_sim_stats { /* a zeroed one is empty; owns its messages */
    struct arena arena;
    int64_t requests, failed;       /* failed ones are among the requests */
    int64_t refused;                /* by the application itself: not enough on the account */
    int64_t p50_us, p99_us, max_us; /* since the start */
    int64_t window_requests, window_p50_us, window_p99_us; /* since the last snapshot */
    int64_t marked_requests, marked_p50_us, marked_p99_us; /* since app_sim_mark() */
    struct app_sim_flag flags[APP_SIM_FLAGS];
    int n_flags;
    struct app_sim_failure failures[APP_SIM_FAILURES]; /* the first kinds that were met */
    int n_failures;
    int64_t flag_errors; /* asking for flags failed */
    int n_instances;
    const char *release[APP_SIM_INSTANCES]; /* that each instance serves */
};

void app_sim_stats_free(struct app_sim_stats *s);
static inline void app_sim_stats_auto(struct app_sim_stats *s) { app_sim_stats_free(s); }

struct app_sim;

/* True: every instance has served a request. */
bool app_sim_start(const struct app_sim_options *o, struct app_sim **out,
                   struct err *err) MUST_CHECK;
/* Deploy: the instance finishes its request, ends its session and starts again as the other release.
 * Returns when it has served a request; false (ERR_STOPPED) when it hasn't within 10 s. */
bool app_sim_set_release(struct app_sim *s, int instance, const struct app_release *release,
                         struct err *err) MUST_CHECK;
/* One thread at a time takes snapshots and marks. */
void app_sim_snapshot(struct app_sim *s, struct app_sim_stats *out);
void app_sim_mark(struct app_sim *s); /* the time of the last snapshot, for marked_* */
/* The running requests are finished first. Fills last (NULL: not wanted). */
void app_sim_stop(struct app_sim *s, struct app_sim_stats *last);

#endif
