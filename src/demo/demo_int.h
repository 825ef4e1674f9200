/* demo_int: what the files of the demo share.
 *
 *   demo.c         the story
 *   demo_stage.c   what it is played on: PostgreSQL, flag service, project, engine, traffic
 *   demo_watch.c   the timeline: events of the engine, the traffic once a second
 *   demo_kill.c    the operator who kills the plan while it is advanced
 *   demo_check.c   the end: columns, journal, figures
 *   demo_files.c   the example project
 */
#ifndef PHASEGATE_DEMO_INT_H
#define PHASEGATE_DEMO_INT_H

#include "demo/app_sim.h"
#include "phasegate/demo.h"
#include "phasegate/engine.h"
#include "phasegate/flag_ops.h"
#include "phasegate/flag_server.h"
#include "phasegate/pg_local.h"

#include <pthread.h>

enum { DEMO_INSTANCES = 4, DEMO_RELEASES = 16 };

/* A thread's own: clocks and HTTP handles aren't shared. */
struct demo_hands {
    struct clock *clock;
    struct http *http;
    struct host *host;
    struct ports ports;
};

struct demo_watch {
    struct events events; /* first: the port that the engine is given */
    struct demo *demo;
    pthread_mutex_t lock; /* of everything below and of struct out */
    pthread_t thread;
    bool is_running, stop;
    bool has_head; /* the heading of the columns was printed */
    const char *phase;
    struct str task; /* what is going on, for the lines of a second */
    int64_t rows_done, rows_total;
    int percent[FLAG_ROLES]; /* as the service says; -1: unknown */
    struct app_sim_stats stats;
    pthread_mutex_t asking; /* of hands */
    struct demo_hands hands;
};

struct demo_killer {
    struct demo *demo;
    const char *at_flag; /* the kill comes when this flag was raised; NULL: not now */
    pthread_t thread;
    bool is_started;
    int64_t at_ms, off_ms; /* monotonic; since then */
    int exit_code;
    const char *problem;
    struct arena arena;
};

struct demo {
    const struct demo_options *o;
    struct out *out;
    struct arena *a;
    struct demo_figures *f;
    struct ports ports; /* events: the watch */
    int64_t began_ms;   /* monotonic */
    /* stage */
    struct pg_local *pg;
    const char *conninfo, *project, *state, *token;
    struct flag_server *flag_server;
    struct flag_service flags;
    struct plan_set set;
    struct plan *plan;
    struct app_release releases[DEMO_RELEASES];
    int n_releases;
    struct http *http;
    struct db *db;
    struct engine engine;
    struct app_sim *sim;
    const struct app_release *serving[DEMO_INSTANCES];
    struct demo_watch watch;
    struct demo_killer killer;
};

static inline int64_t demo_ms(const struct demo *d)
{
    return clock_mono_ms(d->ports.clock) - d->began_ms;
}
/* False with ERR_INTERRUPTED when a signal came. */
bool demo_pause(struct demo *d, int64_t ms, struct err *err) MUST_CHECK;
bool demo_may_go_on(const struct demo *d, struct err *err) MUST_CHECK;
/* "1,234,567" */
const char *demo_count(struct arena *a, int64_t n);

bool demo_files_write(const char *folder, struct err *err) MUST_CHECK;

bool demo_stage_open(struct demo *d, struct err *err) MUST_CHECK;
bool demo_stage_traffic(struct demo *d, struct err *err) MUST_CHECK;
void demo_stage_close(struct demo *d);
bool demo_hands_open(struct demo *d, struct demo_hands *h, struct err *err) MUST_CHECK;
void demo_hands_close(struct demo_hands *h);
struct flag_ops demo_flag_ops(struct demo *d, struct demo_hands *h);

bool demo_watch_open(struct demo *d, struct err *err) MUST_CHECK;
/* From now on a line a second. */
bool demo_watch_start(struct demo *d, struct err *err) MUST_CHECK;
void demo_watch_stop(struct demo *d); /* takes a last look; may be called twice */
void demo_watch_close(struct demo *d);
void demo_watch_intro(struct demo *d);
void demo_watch_chapter(struct demo *d, const char *phase, const char *title);
void demo_watch_task(struct demo *d, const char *task);
void demo_watch_say(struct demo *d, enum out_style s, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A line like a command that somebody types. */
void demo_watch_types(struct demo *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The statistics of this moment; what was measured since the mark before begins anew. */
void demo_watch_mark(struct demo *d, struct app_sim_stats *out);

/* An operator who kills the plan shortly after the flag was raised, beside whatever is under way. */
void demo_kill_arm(struct demo *d, const char *flag);
void demo_kill_saw(struct demo *d, const char *flag); /* the flag was raised; from the watch */
void demo_kill_join(struct demo *d);                  /* waits for a kill that was begun */

void demo_problem(struct demo *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool demo_check_end(struct demo *d, struct err *err) MUST_CHECK;
void demo_check_traffic(struct demo *d, const struct app_sim_stats *last);

#endif
