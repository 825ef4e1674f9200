/* flag_set: one flag to one value, until it is settled.
 *
 * What makes it long is doubt. A write without an answer may be applied minutes later, and so
 * may the one sent again after it; the operation ends well only when every write sent is
 * accounted for: it was answered, or it was the only one and its effect was read, or the window
 * in which it could still land is over. */
#include "flag_set.h"

#include "phasegate/names.h"

#include <string.h>

int64_t set_mono(const struct set *s) { return clock_mono_ms(s->ops->ports->clock); }

bool set_is_raise(const struct set *s) { return s->r->desired.state != FLAG_OFF; }

bool set_end(struct set *s, enum flag_answer answer, const char *detail)
{
    s->out->answer = answer;
    s->out->detail = detail ? arena_strdup(s->a, detail) : NULL;
    return false;
}

/* A kill goes before everything; only switching off agrees with it. */
bool set_is_killed(struct set *s)
{
    if (!set_is_raise(s) || !flag_watch_look(&s->watch))
        return false;
    s->out->preempted = true;
    return true;
}

bool set_end_killed(struct set *s)
{
    const char *who = s->watch.kill_actor ? s->watch.kill_actor : "somebody";

    return set_end(
        s, s->unanswered > 0 ? FLAG_IN_DOUBT : FLAG_CONFLICT,
        arena_printf(s->a, "flag \"%s\" was killed by %s meanwhile (operation %s)%s",
                     s->r->ref->key, who, s->watch.kill_op,
                     s->unanswered > 0
                         ? "; a change sent before may still be applied, the kill watches it"
                         : ""));
}

bool set_may_write(void *ctx, const struct flag_call *call)
{
    (void) call;
    return !set_is_killed(ctx);
}

/* Sleeps, looking at signals and the journal. False: the operation is ended. */
bool set_rest(struct set *s, int64_t ms)
{
    int64_t until = set_mono(s) + ms;

    for (int64_t left = ms; left > 0; left = until - set_mono(s)) {
        if (set_is_killed(s))
            return set_end_killed(s);
        if (!flag_sleep(s->ops, left < 500 ? left : 500)) {
            s->out->interrupted = true;
            return set_end(s, s->unanswered > 0 ? FLAG_IN_DOUBT : s->out->answer,
                           "a signal ended the wait");
        }
    }
    return !set_is_killed(s) || set_end_killed(s);
}

/* ---- reading --------------------------------------------------------------------------------- */

void set_observe(struct set *s, enum flag_level level, const struct flag_obs *known,
                 const char **etag, struct arena *a, struct flag_call *call)
{
    AUTO(flag_pool) pool = {.ports = s->ops->ports};

    *call = flag_call_new(s->ops, s->r->ref, FLAG_DO_OBSERVE, a);
    call->level = level;
    call->seen_before = s->r->seen_before;
    call->known = known;
    call->etag = etag ? *etag : NULL;
    flag_calls_perform(&pool, call, 1);
    if (etag)
        *etag = call->etag;
}

/* Is it worth asking again? */
bool set_is_passing(enum flag_answer answer)
{
    return answer == FLAG_NOT_SENT || answer == FLAG_RATE_LIMITED || answer == FLAG_IN_DOUBT;
}

bool set_wait_before_retry(struct set *s, const struct flag_call *call, int attempt)
{
    int64_t ms = flag_back_off_ms(s->ops->ports->clock, attempt);
    int64_t asked = call->retry_at_ms ? call->retry_at_ms - clock_wall_ms(s->ops->ports->clock) : 0;

    ms = asked > ms ? asked : ms;
    flag_emit(s->ops, EVENT_RETRY, s->r->plan, s->r->ref->key, "%s; again in %lld ms",
              call->detail ? call->detail : flag_answer_word(call->answer), (long long) ms);
    return set_rest(s, ms);
}

/* Is there still time for that retry? */
bool set_has_time(const struct set *s, const struct flag_call *call, int64_t since)
{
    int64_t asked = call->retry_at_ms ? call->retry_at_ms - clock_wall_ms(s->ops->ports->clock) : 0;

    return set_mono(s) - since + asked < s->t.retry_ms;
}

static bool read_before(struct set *s)
{
    int64_t since = set_mono(s);

    for (int attempt = 0;; attempt++) {
        AUTO(arena) scratch = {0};
        struct flag_call call;

        set_observe(s, FLAG_CONFIGURED, NULL, NULL, &scratch, &call);
        flag_obs_copy(s->a, &s->out->before, &call.obs);
        flag_obs_copy(s->a, &s->out->after, &call.obs);
        if (call.answer == FLAG_OK)
            return true;
        if (!set_is_passing(call.answer) || !set_has_time(s, &call, since))
            return set_end(s, call.answer == FLAG_IN_DOUBT ? FLAG_NOT_SENT : call.answer,
                           call.detail);
        if (!set_wait_before_retry(s, &call, attempt))
            return false;
    }
}

/* ---- what is left over from others ----------------------------------------------------------- */

static const struct flag_entry *leftover(struct set *s, struct arena *a)
{
    struct flag_entry *list;
    AUTO(err) err = {0};
    int n = 0;

    if (!flag_journal_unmatched(s->ops, a, &list, &n, &err))
        return NULL;
    for (int i = 0; i < n; i++)
        if (strcmp(list[i].key, s->r->ref->key) == 0 &&
            (!s->out->op_id || strcmp(list[i].op_id, s->out->op_id) != 0))
            return &list[i];
    return NULL;
}

/* A kill that wasn't seen through must not be forgotten because its window is over. */
static bool settle(struct set *s, const struct flag_entry *e)
{
    AUTO(arena) scratch = {0};
    struct flag_entry done = *e;
    struct flag_call call;
    AUTO(err) err = {0};

    set_observe(s, FLAG_CONFIGURED, NULL, NULL, &scratch, &call);
    if (call.answer != FLAG_OK)
        return set_end(s, set_is_passing(call.answer) ? FLAG_NOT_SENT : call.answer, call.detail);
    done.answered = done.settled = true;
    done.answer = flag_obs_is(&call.obs, flag_value_percent(e->desired)) ? FLAG_OK : FLAG_NOT_SENT;
    done.level = FLAG_CONFIGURED;
    done.after = flag_obs_text(&scratch, &call.obs);
    done.detail = "found when its window was over";
    if (!flag_journal_answers(s->ops, &done, 1, &err))
        return set_end(s, FLAG_NOT_SENT, str_text(&err.message));
    if (set_is_raise(s) && e->desired == 0 && done.answer != FLAG_OK)
        return set_end(
            s, FLAG_CONFLICT,
            arena_printf(
                s->a,
                "a kill of flag \"%s\" (operation %s) was never applied; it is %s. Kill it "
                "again, or resume",
                e->key, e->op_id, done.after));
    return true;
}

/* While somebody's write of this flag is in doubt nobody may advance it. */
static bool wait_for_others(struct set *s)
{
    for (bool said = false;;) {
        AUTO(arena) scratch = {0};
        const struct flag_entry *e = leftover(s, &scratch);
        int64_t left, now = clock_wall_ms(s->ops->ports->clock);

        if (!e)
            return true;
        left = flag_entry_doubt_ends_ms(s->ops, e) - now;
        /* Switching off waits for nobody; but what it overtakes may still land after it. */
        if (!set_is_raise(s)) {
            s->strangers = left > 0 && e->desired > 0;
            return true;
        }
        if (left <= 0) {
            if (!settle(s, e))
                return false;
            continue;
        }
        s->out->in_doubt_until_ms = now + left;
        if (!said)
            flag_emit(
                s->ops, EVENT_WAIT, s->r->plan, s->r->ref->key,
                "a %s of flag \"%s\" by %s on %s (operation %s) is in doubt for another %lld s",
                e->verb, e->key, e->actor ? e->actor : "?", e->host ? e->host : "?", e->op_id,
                (long long) (left / 1000));
        said = true;
        if (!set_rest(s, left < 1000 ? left : 1000)) {
            if (s->out->interrupted)
                s->out->answer = FLAG_IN_DOUBT;
            return false;
        }
        s->out->in_doubt_until_ms = 0;
    }
}

/* ---- the journal ----------------------------------------------------------------------------- */

static struct flag_entry entry_of(const struct set *s)
{
    const struct flag_set_request *r = s->r;
    struct host *host = s->ops->ports->host;

    return (struct flag_entry) {
        .op_id = s->out->op_id,
        .key = r->ref->key,
        .target = r->ref->service->shown,
        .verb = flag_verb_word(FLAG_DO_SET),
        .plan = r->plan,
        .role = r->role,
        .reason = r->reason,
        .actor = s->ops->actor,
        .run_id = s->ops->run_id,
        .host = host->ops->hostname ? host->ops->hostname(host) : NULL,
        .pid = host->ops->pid ? host->ops->pid(host) : 0,
        .expect = s->out->before.fingerprint,
        .request = flag_digest(
            s->a, arena_printf(s->a, "set\n%s\n%s\n%d\n%s", r->ref->service->shown, r->ref->key,
                               flag_exposure(r->desired.state, r->desired.percent),
                               s->out->before.fingerprint ? s->out->before.fingerprint : "")),
        .desired = flag_exposure(r->desired.state, r->desired.percent),
        .at_ms = s->start_wall,
    };
}

void set_journal_answer(struct set *s, bool settled)
{
    struct flag_entry e = entry_of(s);
    AUTO(err) err = {0};

    e.answered = true;
    e.answer = s->out->answer;
    e.level = s->out->level;
    e.settled = settled;
    e.before = flag_obs_text(s->a, &s->out->before);
    e.after = flag_obs_text(s->a, &s->out->after);
    e.detail = s->out->detail;
    e.ms = set_mono(s) - s->start_mono;
    if (!flag_journal_answers(s->ops, &e, 1,
                              &err)) /* then it stays in doubt for the next one: safe */
        flag_emit(s->ops, EVENT_WARNING, s->r->plan, s->r->ref->key, "%s", str_text(&err.message));
}

static void record(struct set *s)
{
    struct flag_entry e = entry_of(s);
    struct flag_change row = {
        .op_id = e.op_id,
        .plan = e.plan,
        .flag = e.key,
        .role = e.role,
        .environment = s->ops->environment,
        .desired = flag_obs_text(s->a, &(struct flag_obs) {.state = s->r->desired.state,
                                                           .percent = s->r->desired.percent}),
        .before = flag_obs_text(s->a, &s->out->before),
        .after = flag_obs_text(s->a, &s->out->after),
        .answer = flag_answer_word(s->out->answer),
        .level = flag_level_word(s->out->level),
        .reason = e.reason,
        .actor = e.actor,
        .run_id = e.run_id,
        .at_ms = e.at_ms,
        .ms = s->out->ms,
    };
    AUTO(err) err = {0};

    if (!s->ops->record)
        return;
    if (!s->ops->record(s->ops->record_ctx, &row, &err) ||
        !flag_journal_recorded(s->ops, &row, 1, &err))
        flag_emit(s->ops, EVENT_WARNING, s->r->plan, s->r->ref->key,
                  "the ledger will catch up later: %s", str_text(&err.message));
}

/* ---- reading back ---------------------------------------------------------------------------- */

/* Until it agrees at this level, or the time is over (false without an end). */
static bool read_back(struct set *s, enum flag_level level, int64_t limit_ms, bool *out_agrees)
{
    int64_t since = set_mono(s);
    struct flag_obs known = {0};
    AUTO(arena) kept = {0};
    const char *etag = NULL;

    for (*out_agrees = false;;) {
        AUTO(arena) scratch = {0};
        struct flag_call call;
        bool has_known = known.state != FLAG_UNKNOWN && etag;

        set_observe(s, level, has_known ? &known : NULL, &etag, &scratch, &call);
        if (call.answer == FLAG_OK) {
            *out_agrees = flag_obs_is(&call.obs, s->r->desired);
            if (level == FLAG_CONFIGURED)
                flag_obs_copy(s->a, &s->out->after, &call.obs);
            flag_obs_copy(&kept, &known, &call.obs);
            etag = arena_strdup(&kept, etag);
        } else {
            etag = NULL;
        }
        if (*out_agrees) {
            s->out->level = level;
            return true;
        }
        if (set_mono(s) - since >= limit_ms ||
            (call.answer != FLAG_OK && !set_is_passing(call.answer)))
            return true;
        if (!set_rest(s,
                      call.retry_at_ms ? flag_back_off_ms(s->ops->ports->clock, 2) : s->t.poll_ms))
            return false;
    }
}

static bool confirm(struct set *s)
{
    enum flag_level reach = flag_service_reach(s->r->ref->service, s->r->desired);
    int64_t bound = flag_service_propagation_ms(s->r->ref->service);
    bool agrees;

    if (reach >= FLAG_CONFIGURED) {
        if (!read_back(s, FLAG_CONFIGURED, s->t.confirm_ms, &agrees))
            return false;
        if (!agrees)
            return set_end(s, FLAG_CONFLICT,
                           arena_printf(s->a, "flag \"%s\" was accepted, but reads %s",
                                        s->r->ref->key, flag_obs_text(s->a, &s->out->after)));
        s->out->configured_ms = set_mono(s) - s->start_mono;
    }
    if (reach >= FLAG_DELIVERED) {
        if (!read_back(s, FLAG_DELIVERED, s->t.confirm_ms > bound ? s->t.confirm_ms : bound,
                       &agrees))
            return false;
        if (!agrees) {
            s->out->detail = arena_printf(
                s->a, "flag \"%s\" is set, but what SDKs get doesn't show it yet", s->r->ref->key);
            return false;
        }
        s->out->delivered_ms = set_mono(s) - s->start_mono;
    }
    return true;
}

static void say_changed(struct set *s)
{
    const struct flag_set_result *out = s->out;

    if (s->said)
        return;
    s->said = true;
    flag_emit(s->ops, EVENT_FLAG, s->r->plan, s->r->ref->key, "%s: %s to %s, %s", s->r->ref->key,
              flag_obs_text(s->a, &out->before), flag_obs_text(s->a, &out->after),
              out->answer == FLAG_OK || out->answer == FLAG_NOCHANGE
                  ? flag_level_word(out->level)
                  : flag_answer_word(out->answer));
}

/* Nobody may have changed it while it spread. */
static bool wait_bound(struct set *s)
{
    int64_t bound = flag_service_propagation_ms(s->r->ref->service);
    bool agrees = true;

    if (s->r->no_bound || bound <= 0)
        return true;
    AUTO(str) text = {0};
    duration_to_text(&text, bound);
    say_changed(s);
    flag_emit(s->ops, EVENT_WAIT, s->r->plan, s->r->ref->key, "until every application has it: %s",
              str_text(&text));
    if (!set_rest(s, bound))
        return false;
    if (flag_service_reach(s->r->ref->service, s->r->desired) < FLAG_CONFIGURED)
        return true;
    enum flag_level level = s->out->level;
    if (!read_back(s, FLAG_CONFIGURED, s->t.retry_ms, &agrees))
        return false;
    s->out->level = level;
    return agrees ||
           set_end(s, FLAG_CONFLICT,
                   arena_printf(s->a, "flag \"%s\" was changed while it spread: it reads %s",
                                s->r->ref->key, flag_obs_text(s->a, &s->out->after)));
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool ensure(struct set *s)
{
    int64_t since = set_mono(s);

    for (int attempt = 0;; attempt++) {
        AUTO(flag_pool) pool = {.ports = s->ops->ports, .may_write = set_may_write, .ctx = s};
        AUTO(arena) scratch = {0};
        struct flag_call call = flag_call_new(s->ops, s->r->ref, FLAG_DO_ENSURE, &scratch);

        call.op_id = s->out->op_id;
        call.reason = s->r->reason;
        flag_calls_perform(&pool, &call, 1);
        if (call.answer == FLAG_OK || call.answer == FLAG_NOCHANGE)
            return read_before(s); /* with the fingerprint of what was made */
        if (set_is_killed(s))
            return set_end_killed(s);
        /* Off is off, made twice or once: a creation in doubt is simply looked at again. */
        if (!set_is_passing(call.answer) || !set_has_time(s, &call, since))
            return set_end(s, call.answer, call.detail);
        if (!set_wait_before_retry(s, &call, attempt))
            return false;
    }
}

static bool is_as_expected(struct set *s)
{
    const struct flag_obs *b = &s->out->before;
    int exposure = flag_exposure(b->state, b->percent);

    if (b->state == FLAG_UNKNOWN) /* a service that can't be read back says so */
        return flag_service_reach(s->r->ref->service, flag_value_percent(0)) < FLAG_CONFIGURED ||
               set_end(s, FLAG_NOT_SENT, b->why);
    if (s->r->expect_percent < 0 || exposure == s->r->expect_percent ||
        flag_obs_is(b, s->r->desired))
        return true;
    return set_end(s, FLAG_CONFLICT,
                   arena_printf(s->a, "flag \"%s\" is %s, it was left at %d %%", s->r->ref->key,
                                flag_obs_text(s->a, b), s->r->expect_percent));
}

/* A kill file that still says off would hide what the service says. */
static bool clear_kill_file(struct set *s)
{
    struct flag_ref ref = *s->r->ref;
    AUTO(flag_pool) pool = {.ports = s->ops->ports};
    AUTO(arena) scratch = {0};
    struct flag_call call;

    if (!s->ops->kill_file || !set_is_raise(s))
        return true;
    ref.service = s->ops->kill_file;
    call = flag_call_new(s->ops, &ref, FLAG_DO_CLEAR, &scratch);
    flag_calls_perform(&pool, &call, 1);
    if (call.answer == FLAG_OK || call.answer == FLAG_NOCHANGE)
        return true;
    return set_end(s, FLAG_NOT_SENT,
                   arena_printf(s->a, "the kill file: %s", call.detail ? call.detail : ""));
}

/* Switched off while somebody's raise was in doubt: look until that can't land any more. */
static bool outlast_strangers(struct set *s)
{
    AUTO(arena) scratch = {0};
    const struct flag_entry *e;

    if (!s->strangers)
        return true;
    s->doubt_since = set_mono(s);
    if (!set_resolve_doubt(s))
        return false;
    while ((e = leftover(s, &scratch)) &&
           flag_entry_doubt_ends_ms(s->ops, e) <= clock_wall_ms(s->ops->ports->clock))
        if (!settle(s, e))
            return false;
    return true;
}

/* By hand, and most likely mistyped: nothing is made for it, and it isn't off already either. */
static bool is_nobodys(const struct set *s)
{
    return s->out->before.state == FLAG_ABSENT && !s->r->plan && !s->r->ensure &&
           !s->r->seen_before;
}

static bool run(struct set *s, struct err *err, bool *journal_failed)
{
    if (!wait_for_others(s) || !read_before(s))
        return false;
    if (!is_as_expected(s) || (set_is_killed(s) && !set_end_killed(s)))
        return false;

    if (is_nobodys(s))
        return set_end(s, FLAG_NOT_FOUND,
                       arena_printf(s->a, "there is no flag \"%s\" at %s, and no plan that has it",
                                    s->r->ref->key, s->r->ref->service->shown));

    struct flag_entry intent = entry_of(s);
    if (!flag_journal_intents(s->ops, &intent, 1, err)) {
        *journal_failed = true;
        return set_end(s, FLAG_NOT_SENT, str_text(&err->message));
    }
    s->journalled = true;
    if (s->out->before.state == FLAG_ABSENT && s->r->ensure && set_is_raise(s) && !ensure(s))
        return false;
    if ((set_is_killed(s) && !set_end_killed(s)) || !clear_kill_file(s) || !set_write_value(s))
        return false;
    s->out->level = FLAG_ACCEPTED;
    set_journal_answer(s, !s->strangers); /* at once: a kill needn't take it for one in flight */
    return confirm(s) && outlast_strangers(s) && wait_bound(s);
}

bool flag_ops_set(struct flag_ops *ops, const struct flag_set_request *r, struct arena *a,
                  struct flag_set_result *out, struct err *err)
{
    struct set s = {.ops = ops, .r = r, .out = out, .a = a, .t = flag_times_of(ops)};
    bool journal_failed = false;

    *out = (struct flag_set_result) {.answer = FLAG_NOT_SENT,
                                     .op_id = flag_op_id(a, ops->ports->clock)};
    s.start_mono = set_mono(&s);
    s.start_wall = clock_wall_ms(ops->ports->clock);
    flag_watch_begin(&s.watch, ops, r->ref->key, a);
    s.watch.own_op = out->op_id;
    out->settled = run(&s, err, &journal_failed);
    out->ms = set_mono(&s) - s.start_mono;
    if (s.journalled) {
        set_journal_answer(&s, out->answer != FLAG_IN_DOUBT);
        record(&s);
        say_changed(&s);
    }
    return !journal_failed;
}

bool flag_set_verdict(const struct flag_set_request *r, const struct flag_set_result *result,
                      struct err *err)
{
    const char *why = result->detail ? result->detail : flag_answer_word(result->answer);
    bool good = result->answer == FLAG_OK || result->answer == FLAG_NOCHANGE;

    if (good && result->settled)
        return true;
    if (result->interrupted)
        return err_set(err, ERR_STOPPED, "flag \"%s\": %s", r->ref->key, why);
    switch (result->answer) {
    case FLAG_OK:
    case FLAG_NOCHANGE:
    case FLAG_IN_DOUBT:
        err_set(err, ERR_IN_DOUBT, "%s", why);
        return err_reason(err, "flag_in_doubt");
    case FLAG_NOT_SENT:
    case FLAG_RATE_LIMITED:
        err_set(err, ERR_UNREACHABLE, "%s", why);
        return err_hint(err, "once the flag service answers, the same command goes on from here");
    case FLAG_AUTH: return err_set(err, ERR_CONFIG, "%s", why);
    case FLAG_CONFLICT:
        err_set(err, ERR_REFUSED, "%s", why);
        if (!result->preempted)
            err_hint(err,
                     "phasegate flags reconcile says by whom; phasegate flags set %s PERCENT "
                     "puts it back to where it was left",
                     r->ref->key);
        return err_reason(err, result->preempted ? "killed" : "flag_drift");
    case FLAG_BLOCKED_APPROVAL:
        err_set(err, ERR_REFUSED, "%s", why);
        return err_reason(err, "flag_approval");
    case FLAG_NOT_FOUND:
        err_set(err, ERR_REFUSED, "%s", why);
        err_hint(err, "phasegate flags list shows the keys of all plans");
        return err_reason(err, "flag_rejected");
    case FLAG_REJECTED: break;
    }
    err_set(err, ERR_REFUSED, "%s", why);
    return err_reason(err, "flag_rejected");
}
