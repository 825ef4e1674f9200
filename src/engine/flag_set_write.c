/* flag_set_write: sending one value, and finding out what became of it.
 *
 * A write whose answer never came is read again after 1, 5, 15, 60 and 150 s, and sent again
 * only after a read that shows it isn't there. */
#include "flag_set.h"

/* One try. *out: the answer; a kill ends it. */
static bool write_once(struct set *s, const char *expect, struct arena *a, struct flag_call *call)
{
    AUTO(flag_pool) pool = {.ports = s->ops->ports, .may_write = set_may_write, .ctx = s};

    *call = flag_call_new(s->ops, s->r->ref, FLAG_DO_SET, a);
    call->desired = s->r->desired;
    call->expect = expect;
    call->op_id = s->out->op_id;
    call->reason = s->r->reason;
    call->seen_before = true;
    flag_calls_perform(&pool, call, 1);
    if (call->answer == FLAG_IN_DOUBT) {
        s->unanswered++;
        s->doubt_since = set_mono(s);
    }
    /* A kill that came while the request was under way: one without an answer may land after it. */
    return !set_is_killed(s) || set_end_killed(s);
}

static void say_doubt(struct set *s, const struct flag_call *call)
{
    s->out->answer = FLAG_IN_DOUBT;
    s->out->detail = arena_strdup(s->a, call->detail);
    s->out->in_doubt_until_ms =
        clock_wall_ms(s->ops->ports->clock) + s->t.doubt_ms[FLAG_DOUBT_LOOKS - 1];
    set_journal_answer(s, false);
    flag_emit(s->ops, EVENT_WARNING, s->r->plan, s->r->ref->key, "%s; looking again",
              call->detail ? call->detail : "in doubt");
}

/* Reads at the times of the schedule; sends again what didn't arrive. Only reads decide. */
bool set_resolve_doubt(struct set *s)
{
    int resent = 0;
    bool agrees = false;

    for (int i = 0; i < FLAG_DOUBT_LOOKS; i++) {
        AUTO(arena) scratch = {0};
        struct flag_call call, again;
        int64_t due = s->doubt_since + s->t.doubt_ms[i] - set_mono(s);

        if (!set_rest(s, due > 0 ? due : 0))
            return false;
        set_observe(s, FLAG_CONFIGURED, NULL, NULL, &scratch, &call);
        agrees = call.answer == FLAG_OK && flag_obs_is(&call.obs, s->r->desired);
        if (call.answer == FLAG_OK)
            flag_obs_copy(s->a, &s->out->after, &call.obs);
        /* The one write that was sent is the one that is seen: nothing is left that could come
         * late. */
        if (agrees && s->unanswered == 1 && resent == 0 && !s->strangers)
            return true;
        if (agrees || call.answer != FLAG_OK)
            continue;
        if (!flag_obs_is(&call.obs,
                         (struct flag_value) {s->out->before.state, s->out->before.percent}) &&
            set_is_raise(s))
            return set_end(
                s, FLAG_IN_DOUBT,
                arena_printf(
                    s->a,
                    "flag \"%s\" is %s now, neither as before nor as wanted; somebody else "
                    "changed it",
                    s->r->ref->key, flag_obs_text(s->a, &call.obs)));
        resent++;
        i = -1; /* the window of the newest write counts */
        if (set_mono(s) - s->start_mono > 4 * s->t.doubt_ms[FLAG_DOUBT_LOOKS - 1])
            break;
        set_journal_answer(s, false); /* the window begins anew for others too */
        if (!write_once(s, call.obs.fingerprint, &scratch, &again))
            return false;
        s->doubt_since = set_mono(s);
        /* Nothing went out: it landed between the look and the provider's own. The next look
         * tells. */
        if (!again.wrote)
            resent--;
        if (again.answer == FLAG_CONFLICT && !again.wrote)
            continue;
        if (again.answer != FLAG_OK && again.answer != FLAG_NOCHANGE &&
            !set_is_passing(again.answer))
            return set_end(s, FLAG_IN_DOUBT, again.detail);
    }
    if (agrees)
        return true;
    return set_end(s, FLAG_IN_DOUBT,
                   arena_printf(s->a, "flag \"%s\": still in doubt after %lld s", s->r->ref->key,
                                (long long) ((set_mono(s) - s->start_mono) / 1000)));
}

/* A try that got half way has changed the fingerprint itself. */
static const char *fingerprint_now(struct set *s)
{
    AUTO(arena) scratch = {0};
    struct flag_call call;

    set_observe(s, FLAG_CONFIGURED, NULL, NULL, &scratch, &call);
    return call.answer == FLAG_OK ? arena_strdup(s->a, call.obs.fingerprint) : NULL;
}

bool set_write_value(struct set *s)
{
    const char *expect = s->out->before.fingerprint;
    int64_t since = set_mono(s);

    for (int attempt = 0;; attempt++) {
        AUTO(arena) scratch = {0};
        struct flag_call call;

        if (!write_once(s, expect, &scratch, &call))
            return false;
        switch (call.answer) {
        case FLAG_OK:
        case FLAG_NOCHANGE: s->out->answer = call.answer; return true;
        case FLAG_IN_DOUBT:
            say_doubt(s, &call);
            if (!set_resolve_doubt(s))
                return false;
            s->out->answer = FLAG_OK;
            s->out->in_doubt_until_ms = 0;
            s->unanswered = 0;
            return true;
        case FLAG_NOT_SENT:
        case FLAG_RATE_LIMITED:
            s->out->answer = call.answer;
            if (!set_has_time(s, &call, since))
                return set_end(s, call.answer, call.detail);
            if (!set_wait_before_retry(s, &call, attempt))
                return false;
            expect = call.wrote ? fingerprint_now(s) : expect;
            break; /* the provider reads before it writes */
        default:
            flag_obs_copy(s->a, &s->out->after, &call.obs);
            return set_end(s, call.answer, call.detail);
        }
    }
}
