/* flag_set: what the parts of setting a flag share. Private to the engine. */
#ifndef PHASEGATE_ENGINE_FLAG_SET_H
#define PHASEGATE_ENGINE_FLAG_SET_H

#include "flag_journal.h"
#include "flag_op.h"

struct set {
    struct flag_ops *ops;
    const struct flag_set_request *r;
    struct flag_set_result *out;
    struct arena *a; /* the caller's */
    struct flag_times t;
    struct flag_watch watch;
    int64_t start_mono, start_wall;
    int unanswered;        /* writes whose answer never came */
    bool journalled, said; /* said: the change was reported */
    bool strangers;        /* somebody else's raise may still land after our switching off */
    int64_t doubt_since;   /* mono; of the latest of them */
};

int64_t set_mono(const struct set *s);
bool set_is_raise(const struct set *s);
/* Ends the operation with this answer; false, so that it can end a return statement. */
bool set_end(struct set *s, enum flag_answer answer, const char *detail);
/* A kill goes before everything; only switching off agrees with it. */
bool set_is_killed(struct set *s);
bool set_end_killed(struct set *s);
bool set_may_write(void *set, const struct flag_call *call); /* for a pool */
/* Sleeps, looking at signals and the journal. False: the operation is ended. */
bool set_rest(struct set *s, int64_t ms);
/* One look; etag in and out, NULL: without. */
void set_observe(struct set *s, enum flag_level level, const struct flag_obs *known,
                 const char **etag, struct arena *a, struct flag_call *call);
bool set_is_passing(enum flag_answer answer); /* is it worth asking again? */
bool set_wait_before_retry(struct set *s, const struct flag_call *call, int attempt);
bool set_has_time(const struct set *s, const struct flag_call *call,
                  int64_t since); /* for that retry */
void set_journal_answer(struct set *s, bool settled);

/* ---- flag_set_write.c ------------------------------------------------------------------------ */

/* Until the write is accounted for. False: the operation is ended. */
bool set_write_value(struct set *s);
/* Reads at the times of the schedule; sends again what didn't arrive. Only reads decide. */
bool set_resolve_doubt(struct set *s);

#endif
