/* flag_op: the driver of flag calls. A provider says which request comes next; here it is sent. */
#include "flag_op.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_SLICE_MS = 200, BACK_OFF_FIRST_MS = 250, BACK_OFF_MAX_MS = 5000, SLEEP_SLICE_MS = 250 };

struct flag_slot {
    struct flag_slot *next;
    struct flag_call *call;
    struct http_req req;
    bool running;  /* a request is with the port */
    bool finished; /* to be taken out */
    bool wrote;    /* a write was really sent */
    bool asked;    /* for any request; a provider of files works without */
};

/* ---- one call -------------------------------------------------------------------------------- */

static void finish(struct flag_slot *s)
{
    s->running = false;
    s->finished = true;
}

/* Ends a call that the provider didn't end. */
static void end_early(struct flag_slot *s, bool in_doubt, const char *why)
{
    struct flag_call *c = s->call;

    c->wrote = s->wrote;
    c->answer = in_doubt ? FLAG_IN_DOUBT : FLAG_NOT_SENT;
    c->detail = arena_strdup(c->arena, why);
    c->obs = (struct flag_obs) {.state = FLAG_UNKNOWN, .why = c->detail};
    finish(s);
}

static void step(struct flag_pool *p, struct flag_slot *s, const struct http_res *last)
{
    struct flag_call *c = s->call;
    bool wrote_before = s->wrote;
    AUTO(err) err = {0};

    c->now_ms = clock_wall_ms(p->ports->clock);
    if (c->ref->service->provider->next(c, last, &s->req) == FLAG_FINISHED) {
        if (s->asked)
            c->wrote = s->wrote;
        finish(s);
        return;
    }
    if (s->req.is_write && p->may_write && !p->may_write(p->ctx, c)) {
        /* What was sent before was answered: nothing of this call is under way. */
        end_early(s, false, "stopped before its next request was sent");
        return;
    }
    s->asked = true;
    s->wrote = s->wrote || s->req.is_write;
    if (!p->ports->http->ops->submit(p->ports->http, &s->req, s, &err)) {
        s->wrote = wrote_before;
        end_early(s, false, str_text(&err.message));
        return;
    }
    s->running = true;
}

/* ---- the pool -------------------------------------------------------------------------------- */

void flag_pool_start(struct flag_pool *p, struct flag_call *call)
{
    struct flag_slot *s = calloc(1, sizeof *s), **end = &p->slots;

    if (!s)
        abort();
    s->call = call;
    call->step = 0;
    call->scratch = NULL;
    call->wrote = false;
    call->detail = NULL;
    call->retry_at_ms = 0;
    call->obs = (struct flag_obs) {.state = FLAG_UNKNOWN};
    while (*end)
        end = &(*end)->next;
    *end = s;
    step(p, s, NULL);
}

static struct flag_call *take_finished(struct flag_pool *p)
{
    for (struct flag_slot **at = &p->slots; *at; at = &(*at)->next) {
        struct flag_slot *s = *at;

        if (s->finished) {
            struct flag_call *call = s->call;

            *at = s->next;
            free(s);
            return call;
        }
    }
    return NULL;
}

static bool has_running(const struct flag_pool *p)
{
    for (const struct flag_slot *s = p->slots; s; s = s->next)
        if (s->running)
            return true;
    return false;
}

static void cancel_all(struct flag_pool *p)
{
    for (struct flag_slot *s = p->slots; s; s = s->next) {
        if (!s->running)
            continue;
        p->ports->http->ops->cancel(p->ports->http, s);
        end_early(s, s->wrote,
                  p->ends_at_signal ? "stopped by a signal" : "cancelled by a second signal");
    }
}

struct flag_call *flag_pool_wait(struct flag_pool *p, int64_t wait_ms)
{
    struct clock *clock = p->ports->clock;
    int64_t end = clock_mono_ms(clock) + wait_ms;
    struct flag_call *done = take_finished(p);

    while (!done && has_running(p)) {
        int64_t left = end - clock_mono_ms(clock);
        struct http_res res;
        void *tag = NULL;

        if (p->ports->interrupt && p->ports->interrupt->count > !p->ends_at_signal)
            cancel_all(p);
        else if (p->ports->http->ops->wait(p->ports->http, &p->answers,
                                           left < 0               ? 0
                                           : left < WAIT_SLICE_MS ? left
                                                                  : WAIT_SLICE_MS,
                                           &tag, &res)) {
            struct flag_slot *s = tag;

            s->running = false;
            step(p, s, &res);
            /* What a provider keeps of an answer it copies. */
            if (!has_running(p))
                arena_reset(&p->answers);
        } else if (left <= 0) {
            break;
        }
        done = take_finished(p);
    }
    return done;
}

bool flag_pool_is_idle(const struct flag_pool *p) { return p->slots == NULL; }

void flag_pool_free(struct flag_pool *p)
{
    while (p->slots) {
        struct flag_slot *s = p->slots;

        if (s->running)
            p->ports->http->ops->cancel(p->ports->http, s);
        p->slots = s->next;
        free(s);
    }
    arena_free(&p->answers);
}

void flag_calls_perform(struct flag_pool *p, struct flag_call *calls, int n)
{
    for (int i = 0; i < n; i++)
        flag_pool_start(p, &calls[i]);
    while (!flag_pool_is_idle(p))
        flag_pool_wait(p, WAIT_SLICE_MS);
}

/* ---- small things ---------------------------------------------------------------------------- */

struct flag_times flag_times_of(const struct flag_ops *ops)
{
    static const int64_t doubt_ms[FLAG_DOUBT_LOOKS] = {1000, 5000, 15000, 60000, 150000};
    struct flag_times t = ops->times;

#define DEFAULT(name, ms) t.name = t.name > 0 ? t.name : (ms)
    DEFAULT(connect_ms, 3000);
    DEFAULT(total_ms, 10000);
    DEFAULT(kill_connect_ms, 1000);
    DEFAULT(kill_total_ms, 3000);
    DEFAULT(retry_ms, 60000);
    DEFAULT(confirm_ms, 30000);
    DEFAULT(poll_ms, 250);
    DEFAULT(reassert_ms, 1000);
    for (int i = 0; i < FLAG_DOUBT_LOOKS; i++)
        DEFAULT(doubt_ms[i], doubt_ms[i]);
#undef DEFAULT
    return t;
}

struct flag_call flag_call_new(const struct flag_ops *ops, const struct flag_ref *ref,
                               enum flag_verb verb, struct arena *a)
{
    struct flag_times t = flag_times_of(ops);
    bool kill = verb == FLAG_DO_KILL;

    return (struct flag_call) {
        .ref = ref,
        .verb = verb,
        .level = FLAG_CONFIGURED,
        .actor = ops->actor,
        .connect_ms = kill ? t.kill_connect_ms : t.connect_ms,
        .total_ms = kill ? t.kill_total_ms : t.total_ms,
        .arena = a,
        .host = ops->ports->host,
        .now_ms = clock_wall_ms(ops->ports->clock),
    };
}

void flag_obs_copy(struct arena *a, struct flag_obs *to, const struct flag_obs *from)
{
    *to = *from;
    to->why = arena_strdup(a, from->why);
    to->fingerprint = arena_strdup(a, from->fingerprint);
    to->actor = arena_strdup(a, from->actor);
}

bool flag_obs_is(const struct flag_obs *obs, struct flag_value v)
{
    if (v.state == FLAG_OFF)
        return flag_exposure(obs->state, obs->percent) == 0;
    return obs->state == v.state && (v.state != FLAG_PERCENT || obs->percent == v.percent);
}

const char *flag_obs_text(struct arena *a, const struct flag_obs *obs)
{
    if (obs->state == FLAG_PERCENT)
        return arena_printf(a, "%d %%", obs->percent);
    if (obs->why && (obs->state == FLAG_COMPLEX || obs->state == FLAG_UNKNOWN))
        return arena_printf(a, "%s (%s)", flag_state_word(obs->state), obs->why);
    return flag_state_word(obs->state);
}

const char *flag_op_id(struct arena *a, struct clock *clock)
{
    return arena_printf(a, "%08x%08x%08x", clock_random(clock), clock_random(clock),
                        clock_random(clock));
}

int64_t flag_back_off_ms(struct clock *clock, int attempt)
{
    int64_t ms = attempt < 5 ? BACK_OFF_FIRST_MS << attempt : BACK_OFF_MAX_MS;

    if (ms > BACK_OFF_MAX_MS)
        ms = BACK_OFF_MAX_MS;
    return ms * 3 / 4 + clock_random(clock) % (uint32_t) (ms / 4 + 1);
}

bool flag_sleep(const struct flag_ops *ops, int64_t ms)
{
    struct ports *ports = ops->ports;
    int64_t end = clock_mono_ms(ports->clock) + ms;

    for (int64_t left = ms; left > 0; left = end - clock_mono_ms(ports->clock)) {
        if (ports_interrupted(ports))
            return false;
        clock_sleep_ms(ports->clock, left < SLEEP_SLICE_MS ? left : SLEEP_SLICE_MS);
    }
    return !ports_interrupted(ports);
}

void flag_emit(const struct flag_ops *ops, enum event_kind kind, const char *plan, const char *task,
               const char *fmt, ...)
{
    AUTO(arena) a = {0};
    va_list ap;
    const char *message;

    if (!ops->ports->events)
        return;
    va_start(ap, fmt);
    message = arena_vprintf(&a, fmt, ap);
    va_end(ap);
    events_emit(ops->ports->events,
                &(struct event) {.kind = kind, .plan = plan, .task = task, .message = message});
}

/* ---- looking --------------------------------------------------------------------------------- */

void flag_ops_observe_all(struct flag_ops *ops, const struct flag_ref *refs, int n,
                          enum flag_level level, const bool *seen_before, struct arena *a,
                          struct flag_obs *obs)
{
    AUTO(flag_pool) pool = {.ports = ops->ports, .ends_at_signal = ops->looks_end_at_signal};
    AUTO(arena) scratch = {0};
    struct flag_call *calls = arena_array(&scratch, struct flag_call, n + 1);

    for (int i = 0; i < n; i++) {
        calls[i] = flag_call_new(ops, &refs[i], FLAG_DO_OBSERVE, &scratch);
        calls[i].level = level;
        /* Off is what every second source can show: OFREP too. */
        if (level > FLAG_CONFIGURED &&
            flag_service_reach(refs[i].service, flag_value_percent(0)) < FLAG_DELIVERED)
            calls[i].level = FLAG_CONFIGURED;
        calls[i].seen_before = seen_before && seen_before[i];
    }
    flag_calls_perform(&pool, calls, n);
    for (int i = 0; i < n; i++) {
        if (calls[i].answer != FLAG_OK && calls[i].obs.state == FLAG_UNKNOWN)
            calls[i].obs.why = calls[i].detail;
        flag_obs_copy(a, &obs[i], &calls[i].obs);
    }
}

void flag_ops_preflight(struct flag_ops *ops, const struct flag_ref *ref, struct arena *a,
                        struct flag_call *out)
{
    AUTO(flag_pool) pool = {.ports = ops->ports};

    *out = flag_call_new(ops, ref, FLAG_DO_PREFLIGHT, a);
    flag_calls_perform(&pool, out, 1);
}

const char *flag_drift_word(enum flag_drift_kind k)
{
    static const char *const words[] = {
        [FLAG_DRIFT_NONE] = "none",
        [FLAG_DRIFT_KILL_SEEN] = "kill_seen",
        [FLAG_DRIFT_HOLD] = "hold",
        [FLAG_DRIFT_UNKNOWN] = "unknown",
    };

    return words[k];
}

static void drift_by_whom(struct flag_ops *ops, const struct flag_ref *ref, struct arena *a,
                          struct flag_drift *out)
{
    AUTO(flag_pool) pool = {.ports = ops->ports};
    struct flag_call call = flag_call_new(ops, ref, FLAG_DO_HISTORY, a);

    out->actor = out->obs.actor;
    out->changed_at_ms = out->obs.changed_at_ms;
    flag_calls_perform(&pool, &call, 1);
    if (call.answer != FLAG_OK || call.n_events == 0)
        return;
    out->actor = call.events[0].actor ? call.events[0].actor : out->actor;
    out->changed_at_ms = call.events[0].at_ms;
}

void flag_ops_drift(struct flag_ops *ops, const struct flag_ref *ref, int left_percent,
                    struct arena *a, struct flag_drift *out)
{
    const bool seen = left_percent > 0; /* one that was never raised may not be there yet */
    int exposure;

    *out = (struct flag_drift) {0};
    flag_ops_observe_all(ops, ref, 1, FLAG_CONFIGURED, &seen, a, &out->obs);
    exposure = flag_exposure(out->obs.state, out->obs.percent);
    if (out->obs.state == FLAG_UNKNOWN) {
        out->kind = FLAG_DRIFT_UNKNOWN;
        out->detail = arena_printf(a, "flag \"%s\" can't be read: %s", ref->key,
                                   out->obs.why ? out->obs.why : "");
        return;
    }
    if (exposure == left_percent)
        return;
    out->kind = exposure >= 0 && exposure < left_percent ? FLAG_DRIFT_KILL_SEEN : FLAG_DRIFT_HOLD;
    drift_by_whom(ops, ref, a, out);
    out->detail = arena_printf(
        a, "flag \"%s\" is %s, it was left at %d %%%s%s", ref->key, flag_obs_text(a, &out->obs),
        left_percent, out->actor ? "; last changed by " : "", out->actor ? out->actor : "");
}
