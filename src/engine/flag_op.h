/* flag_op: performing calls of providers, many side by side. Private to the engine. */
#ifndef PHASEGATE_ENGINE_FLAG_OP_H
#define PHASEGATE_ENGINE_FLAG_OP_H

#include "phasegate/flag_ops.h"

struct flag_slot;

/* Calls under way. Each has an arena of its own that lives until its call is taken out. */
struct flag_pool {
    struct ports *ports;
    struct flag_slot *slots; /* running and finished */
    struct arena answers;
    /* Asked before each write is sent. False: the call ends there, NOT_SENT; `wrote` tells
     * whether an earlier write of it was made (and answered). */
    bool (*may_write)(void *ctx, const struct flag_call *call);
    void *ctx;
    bool ends_at_signal; /* the first one; else the second */
};

void flag_pool_start(struct flag_pool *p, struct flag_call *call);
/* A finished call within wait_ms, NULL: none. A second signal cancels what is running: IN_DOUBT or
 * NOT_SENT. */
struct flag_call *flag_pool_wait(struct flag_pool *p, int64_t wait_ms);
bool flag_pool_is_idle(
    const struct flag_pool *p);           /* nothing is running, nothing is to be taken out */
void flag_pool_free(struct flag_pool *p); /* cancels what is still running */
static inline void flag_pool_auto(struct flag_pool *p) { flag_pool_free(p); }

/* All of them to their ends. */
void flag_calls_perform(struct flag_pool *p, struct flag_call *calls, int n);

/* A call with the limits and names of ops filled in. */
struct flag_call flag_call_new(const struct flag_ops *ops, const struct flag_ref *ref,
                               enum flag_verb verb, struct arena *a);
struct flag_times flag_times_of(const struct flag_ops *ops); /* with defaults filled in */
void flag_obs_copy(struct arena *a, struct flag_obs *to, const struct flag_obs *from);
bool flag_obs_is(const struct flag_obs *obs,
                 struct flag_value v); /* OFF: nobody gets it, absent and archived too */
const char *flag_obs_text(struct arena *a,
                          const struct flag_obs *obs); /* "25 %", "off", "complex (...)" */
const char *flag_op_id(struct arena *a, struct clock *clock);
int64_t flag_back_off_ms(struct clock *clock,
                         int attempt); /* 250 ms doubled, at most 5 s, with jitter */
/* Sleeps in slices; false when a signal came meanwhile. */
bool flag_sleep(const struct flag_ops *ops, int64_t ms);
void flag_emit(const struct flag_ops *ops, enum event_kind kind, const char *plan, const char *task,
               const char *fmt, ...) PRINTF_LIKE(5, 6);

#endif
