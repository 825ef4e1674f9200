/* kill: flags to off, in all targets side by side, and seen to be off.
 *
 * Every target is a small machine of its own: send; read back at the highest level there is;
 * send again each second until that level shows off. A change of another process that was in
 * flight when the kill began (the journal tells) may still land after it: the kill then goes on
 * looking for as long as it may. Nothing here asks, needs a database, or stops because the
 * journal can't be written. */
#include "kill.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAIT_DEFAULT_MS = 30000,
    POLL_FIRST_MS = 20,
    POLL_MAX_MS = 250,
    RETRY_LONGEST_MS = 5000,
    BEGIN_MS = 100,
    LINE_ENTRIES = 1000
};

static int64_t mono(const struct kill *k) { return clock_mono_ms(k->ops->ports->clock); }

/* ---- the journal ----------------------------------------------------------------------------- */

static struct flag_entry job_entry(const struct kill *k, struct arena *a, const struct kill_job *j)
{
    struct host *host = k->ops->ports->host;

    return (struct flag_entry) {
        .op_id = j->r->op_id,
        .key = j->ref.key,
        .target = j->ref.service->shown,
        .verb = k->o->drill ? "drill" : "kill",
        .plan = j->r->plan,
        .role = j->r->role,
        .reason = k->o->reason,
        .actor = k->ops->actor,
        .run_id = k->ops->run_id,
        .host = host->ops->hostname ? host->ops->hostname(host) : NULL,
        .pid = host->ops->pid ? host->ops->pid(host) : 0,
        .request =
            flag_digest(a, arena_printf(a, "kill\n%s\n%s", j->ref.service->shown, j->ref.key)),
        .at_ms = clock_wall_ms(k->ops->ports->clock),
        .desired = 0,
    };
}

static void journal_failed(struct kill *k, struct err *err)
{
    if (!k->out->journal_error)
        k->out->journal_error = arena_strdup(k->a, str_text(&err->message));
    flag_emit(k->ops, EVENT_WARNING, NULL, NULL, "%s; the kill goes on", str_text(&err->message));
    err_clear(err);
}

static bool journal_intents(struct kill *k, int *at, struct err *err)
{
    AUTO(arena) scratch = {0};
    struct flag_entry *entries = arena_array(&scratch, struct flag_entry, LINE_ENTRIES);
    int n = 0;

    for (; *at < k->n && n < LINE_ENTRIES; ++*at)
        if (!k->jobs[*at].refused)
            entries[n++] = job_entry(k, &scratch, &k->jobs[*at]);
    return flag_journal_intents(k->ops, entries, n, err);
}

void kill_journal_intents(struct kill *k)
{
    AUTO(err) err = {0};

    for (int at = 0; at < k->n && journal_intents(k, &at, &err);)
        ;
    if (err.kind != ERR_NONE)
        journal_failed(k, &err);
}

void kill_journal_answers(struct kill *k)
{
    AUTO(arena) scratch = {0};
    struct flag_entry *entries = arena_array(&scratch, struct flag_entry, k->n + 1);
    AUTO(err) err = {0};
    int n = 0;

    for (int i = 0; i < k->n; i++) {
        const struct kill_job *j = &k->jobs[i];
        struct flag_entry *e = &entries[n];

        if (j->refused)
            continue;
        n++;
        *e = job_entry(k, &scratch, j);
        e->answered = true;
        e->answer = j->r->reached && !j->r->in_doubt ? FLAG_OK
                    : j->r->in_doubt                 ? FLAG_IN_DOUBT
                                                     : j->r->answer;
        e->settled = e->answer != FLAG_IN_DOUBT;
        e->level = j->r->level;
        e->before = j->before.state == FLAG_UNKNOWN ? NULL : flag_obs_text(&scratch, &j->before);
        e->after = j->seen_off ? "off" : j->seen_other ? j->seen_other : NULL;
        e->detail = j->r->detail;
        e->ms = j->r->ms;
    }
    if (!flag_journal_answers(k->ops, entries, n, &err))
        journal_failed(k, &err);
}

/* Changes by others that may still land are kept: what kills have journalled may be a thousand times more. */
static int keep_rivals(const struct kill *k, struct flag_entry *list, int n)
{
    int64_t now = clock_wall_ms(k->ops->ports->clock);
    int kept = 0;

    for (int i = 0; i < n; i++)
        if (list[i].desired > 0 && strcmp(list[i].verb, "set") == 0 &&
            flag_entry_doubt_ends_ms(k->ops, &list[i]) > now)
            list[kept++] = list[i];
    return kept;
}

static const struct flag_entry *find_rival(const struct kill_job *j, const struct flag_entry *list,
                                           int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(list[i].key, j->ref.key) == 0)
            return &list[i];
    return NULL;
}

static void look_for_rivals(struct kill *k)
{
    AUTO(arena) scratch = {0};
    struct flag_entry *list;
    AUTO(err) err = {0};
    int n = 0;

    if (!flag_journal_unmatched(k->ops, &scratch, &list, &n, &err))
        return;
    n = keep_rivals(k, list, n);
    for (int i = 0; i < k->n; i++) {
        struct kill_job *j = &k->jobs[i];
        const struct flag_entry *e = find_rival(j, list, n);

        if (!e && j->rival)
            j->look_again = true; /* it has ended: one more look tells how */
        j->rival = e != NULL;
        if (e) {
            j->rival_op = arena_strdup(k->a, e->op_id);
            j->rival_ends_ms = flag_entry_doubt_ends_ms(k->ops, e);
        }
    }
}

/* ---- one target ------------------------------------------------------------------------------ */

static void job_start(struct kill *k, struct kill_job *j, enum flag_verb verb,
                      enum flag_level level)
{
    arena_reset(&j->arena);
    j->call = flag_call_new(k->ops, &j->ref, verb, &j->arena);
    j->call.connect_ms = k->t.kill_connect_ms;
    j->call.total_ms = k->t.kill_total_ms;
    j->call.level = level;
    j->call.op_id = j->r->op_id;
    j->call.reason = k->o->reason;
    if (verb == FLAG_DO_OBSERVE && level == FLAG_DELIVERED && j->known.state != FLAG_UNKNOWN &&
        j->etag) {
        j->call.known = &j->known;
        j->call.etag = j->etag;
    }
    j->busy = true;
    if (verb == FLAG_DO_KILL) {
        j->sends++;
        j->last_send = mono(k);
    }
    flag_pool_start(&k->pool, &j->call);
}

static void job_detail(struct kill *k, struct kill_job *j, const char *detail)
{
    j->r->detail = arena_strdup(k->a, detail);
}

static void after_kill(struct kill *k, struct kill_job *j)
{
    const struct flag_call *c = &j->call;

    j->r->answer = c->answer;
    j->next_send = 0;
    switch (c->answer) {
    case FLAG_OK:
    case FLAG_NOCHANGE:
        j->accepted = j->ever_accepted = true;
        job_detail(k, j, c->detail);
        break;
    case FLAG_IN_DOUBT:
        j->unanswered = true;
        job_detail(k, j, c->detail);
        break;
    default:
        job_detail(k, j, c->detail);
        if (c->retry_at_ms) { /* honoured, but a kill doesn't wait for minutes */
            int64_t ms = c->retry_at_ms - clock_wall_ms(k->ops->ports->clock);

            j->next_send = mono(k) + (ms < RETRY_LONGEST_MS ? ms : RETRY_LONGEST_MS);
        }
        break;
    }
    j->want_look = true;
}

static void job_reached(struct kill *k, struct kill_job *j)
{
    if (j->r->reached)
        return;
    j->r->reached = true;
    j->r->level = j->r->wanted;
    j->reached_at = mono(k);
    j->r->ms = j->reached_at - k->start;
    if (!j->accepted) /* it was off all the same: nothing is left to say about the attempts */
        j->r->answer = FLAG_NOCHANGE;
    if (j->r->answer == FLAG_OK || j->r->answer == FLAG_NOCHANGE)
        j->r->detail = NULL;
    flag_emit(k->ops, EVENT_FLAG, j->r->plan, j->ref.key, "%s: off, %s at %s after %lld ms",
              j->ref.key, flag_level_word(j->r->level), j->r->target, (long long) j->r->ms);
}

/* What is there now, for the next look. An answer that nothing has changed is the one that is kept already. */
static void keep(struct kill_job *j, const struct flag_call *c)
{
    struct arena fresh = {0};
    struct flag_obs known;

    flag_obs_copy(&fresh, &known, &c->obs);
    j->etag = arena_strdup(&fresh, c->etag);
    j->known = known;
    arena_free(&j->kept);
    j->kept = fresh;
}

static void after_look(struct kill *k, struct kill_job *j)
{
    const struct flag_call *c = &j->call;
    /* A kill file without an entry overrides nothing. */
    bool off = j->is_file ? c->obs.state == FLAG_OFF : flag_obs_is(&c->obs, flag_value_percent(0));

    if (c->answer != FLAG_OK || c->obs.state == FLAG_UNKNOWN) {
        j->etag = NULL;
        if (!j->accepted)
            return;
        job_detail(k, j, c->detail ? c->detail : c->obs.why);
        return;
    }
    if (c->obs.state == FLAG_ABSENT && j->by_name && !j->is_file && c->level <= FLAG_CONFIGURED) {
        j->missing = true;
        job_detail(k, j,
                   arena_printf(k->a, "there is no flag \"%s\" at %s", j->ref.key, j->r->target));
        return;
    }
    j->seen_off = off;
    j->seen_other = off ? NULL : arena_strdup(k->a, flag_obs_text(&j->arena, &c->obs));
    if (c->level == FLAG_DELIVERED) {
        keep(j, c);
    } else {
        j->configured_off = off;
        if (!off) /* somebody else's change landed after ours */
            j->accepted = false;
    }
    if (off && c->level > j->r->level)
        j->r->level = c->level;
    if (off && c->level >= j->r->wanted) {
        /* What SDKs get may be older than a kill without an answer: the configuration must
         * agree. */
        if (j->accepted || j->configured_off || c->level <= FLAG_CONFIGURED)
            job_reached(k, j);
        else
            j->want_configured = true;
    } else if (!off) {
        j->want_configured =
            c->level == FLAG_DELIVERED && mono(k) - j->last_send >= k->t.reassert_ms;
        if (j->r->reached) {
            j->r->reached = false;
            j->flips++;
        }
        job_detail(k, j, arena_printf(k->a, "it reads %s", j->seen_other));
    }
}

static void job_done(struct kill *k, struct kill_job *j)
{
    j->busy = false;
    if (j->call.verb == FLAG_DO_KILL)
        after_kill(k, j);
    else
        after_look(k, j);
    if (j->r->wanted == FLAG_ACCEPTED && j->accepted)
        job_reached(k, j);
    arena_free(&j->arena); /* what lasts was copied: there may be thousands of targets */
}

/* ---- what comes next for a target ------------------------------------------------------------ */

static bool is_refused(const struct kill_job *j)
{
    return j->r->answer == FLAG_AUTH || j->r->answer == FLAG_REJECTED ||
           j->r->answer == FLAG_BLOCKED_APPROVAL;
}

/* The write flag goes when its read flag is off and every application has that. *due: when that
 * will be. */
static bool may_begin(struct kill *k, struct kill_job *j, int64_t *due)
{
    int64_t ready = 0;
    bool any = false, open = false;

    if (k->o->write_now || j->role != FLAG_WRITE || !j->r->plan)
        return true;
    for (const struct kill_job *other = j->plan_first; other; other = other->plan_next) {
        if (other->role != FLAG_READ)
            continue;
        any = true;
        open = open || !other->over;
        if (other->r->reached && (ready == 0 || other->reached_at < ready))
            ready = other->reached_at;
    }
    if (!any)
        return true;
    if (ready == 0) {
        *due = INT64_MAX;
        j->held_for_good = !open;
        return false;
    }
    *due = ready + flag_service_propagation_ms(k->ops->service);
    return mono(k) >= *due;
}

static bool is_over(struct kill *k, struct kill_job *j)
{
    bool quiet = j->r->reached && !j->rival && !j->look_again;

    if (j->held_for_good)
        return true;
    if (!j->begun)
        return ports_interrupted(k->ops->ports);
    if (quiet || j->missing)
        return true;
    if (ports_interrupted(k->ops->ports) && j->sends > 0)
        return true;
    /* A no that no retry cures: what is left is to see whether it is off already. */
    if (is_refused(j) && j->looks > 0 && !j->configured_off && !k->o->watch)
        return true;
    if (mono(k) - j->begun_at < k->wait_ms)
        return false;
    return !k->o->watch || mono(k) - j->begun_at > k->t.doubt_ms[FLAG_DOUBT_LOOKS - 1] + k->wait_ms;
}

/* The times at which a kill that was reached is looked at again while a rival may land. */
static int64_t next_doubt_look(const struct kill *k, const struct kill_job *j)
{
    int64_t since = mono(k) - j->begun_at;

    for (int i = 0; i < FLAG_DOUBT_LOOKS; i++)
        if (k->t.doubt_ms[i] > since)
            return j->begun_at + k->t.doubt_ms[i];
    return mono(k) + k->t.doubt_ms[0];
}

/* Starts what is due. Returns when to come back, mono. */
static int64_t job_act(struct kill *k, struct kill_job *j)
{
    int64_t now = mono(k), resend;

    if (j->busy)
        return INT64_MAX;
    if (j->sends == 0) {
        job_start(k, j, FLAG_DO_KILL, FLAG_CONFIGURED);
        return now;
    }
    resend = j->next_send ? j->next_send : j->last_send + k->t.reassert_ms;
    if (j->want_look || j->look_again || (j->next_look && now >= j->next_look)) {
        bool configured = j->want_configured || j->look_again || j->r->wanted <= FLAG_CONFIGURED ||
                          j->r->reached || (!j->accepted && !j->configured_off);

        j->want_look = j->want_configured = j->look_again = false;
        j->looks++;
        j->poll_ms = j->poll_ms ? (j->poll_ms * 2 < POLL_MAX_MS ? j->poll_ms * 2 : POLL_MAX_MS)
                                : POLL_FIRST_MS;
        j->next_look = now + j->poll_ms;
        if (j->r->wanted > FLAG_ACCEPTED)
            job_start(k, j, FLAG_DO_OBSERVE, configured ? FLAG_CONFIGURED : j->r->wanted);
        return now;
    }
    if (!j->r->reached && !j->accepted && now >= resend && !is_refused(j)) {
        job_start(k, j, FLAG_DO_KILL, FLAG_CONFIGURED);
        return now;
    }
    if (j->r->reached) {
        j->next_look = next_doubt_look(k, j);
        return j->next_look;
    }
    return j->next_look && j->next_look < resend ? j->next_look
           : resend > now                        ? resend
                                                 : j->next_look;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static bool any_open(const struct kill *k)
{
    for (int i = 0; i < k->n; i++)
        if (!k->jobs[i].over)
            return true;
    return false;
}

static int64_t act_all(struct kill *k)
{
    int64_t start = mono(k), next = start + k->t.reassert_ms;

    for (int i = 0; i < k->n; i++) {
        struct kill_job *j = &k->jobs[i];
        int64_t due = INT64_MAX;

        if (j->over || j->busy)
            continue;
        /* A file is written while it is called: what was sent is looked at before more is. */
        if (!j->begun && mono(k) - start > BEGIN_MS) {
            next = start;
            continue;
        }
        if (!j->begun && may_begin(k, j, &due)) {
            j->begun = true;
            j->begun_at = mono(k);
        }
        if (is_over(k, j)) {
            j->over = true;
            continue;
        }
        if (j->begun)
            due = job_act(k, j);
        next = due < next ? due : next;
    }
    return next;
}

static struct kill_job *job_of(struct flag_call *call)
{
    return (struct kill_job *) (void *) ((char *) call - offsetof(struct kill_job, call));
}

/* Takes out what is finished; waits for the first until `until`. */
static void take_finished(struct kill *k, int64_t until)
{
    int64_t wait = until - mono(k);
    struct flag_call *call;

    if (flag_pool_is_idle(&k->pool)) {
        if (wait > 0)
            clock_sleep_ms(k->ops->ports->clock, wait < POLL_MAX_MS ? wait : POLL_MAX_MS);
        return;
    }
    while ((call = flag_pool_wait(&k->pool, wait > 0 ? wait : 0))) {
        job_done(k, job_of(call));
        wait = 0;
    }
}

void kill_run(struct kill *k)
{
    int64_t next_rivals = 0;

    while (any_open(k)) {
        int64_t next = act_all(k);

        if (mono(k) >= next_rivals) { /* after the first requests are on their way */
            look_for_rivals(k);
            next_rivals = mono(k) + k->t.reassert_ms;
        }
        if (any_open(k))
            take_finished(k, next);
        if (ports_interrupted(k->ops->ports))
            k->out->interrupted = true;
    }
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static void verdict(struct kill *k, struct kill_job *j)
{
    struct flag_kill_result *r = j->r;

    if (j->refused)
        return;
    if (!r->reached)
        r->ms = mono(k) - k->start;
    r->in_doubt =
        j->rival || (!r->reached && (j->ever_accepted || j->unanswered || j->configured_off));
    if (j->held_for_good || j->sends == 0) {
        r->answer = FLAG_NOT_SENT;
        r->in_doubt = false;
        r->detail = "not sent: its read flag isn't off yet; --write-now doesn't wait for that";
    } else if (j->missing) {
        r->answer = FLAG_NOT_FOUND;
        r->in_doubt = r->reached = false;
    } else if (j->rival) {
        r->detail = arena_printf(
            k->a, "operation %s of somebody else may still raise it, for another %lld s",
            j->rival_op,
            (long long) ((j->rival_ends_ms - clock_wall_ms(k->ops->ports->clock)) / 1000));
    } else if (!r->reached && r->in_doubt && !r->detail) {
        r->detail = arena_printf(k->a, "accepted, but not seen at %s", flag_level_word(r->wanted));
    } else if (r->reached && j->flips > 0) {
        r->detail = arena_printf(k->a, "it was raised again %d time%s meanwhile", j->flips,
                                 j->flips == 1 ? "" : "s");
    }
    r->exit_code = r->reached && !r->in_doubt ? 0 : r->in_doubt ? 5 : 3;
}

void kill_verdicts(struct kill *k)
{
    for (int i = 0; i < k->n; i++) {
        int code;

        verdict(k, &k->jobs[i]);
        code = k->jobs[i].r->exit_code;
        if (code == 3 || (code == 5 && k->out->exit_code == 0))
            k->out->exit_code = code;
    }
}

/* ---- setting up ------------------------------------------------------------------------------ */

static void job_init(struct kill *k, const struct flag_kill_target *t,
                     const struct flag_service *service)
{
    struct kill_job *j = &k->jobs[k->n];
    struct flag_kill_result *r = &k->out->results[k->n++];

    *r = (struct flag_kill_result) {
        .key = arena_strdup(k->a, t->ref.key),
        .plan = arena_strdup(k->a, t->plan),
        .role = t->role < 0 ? "" : flag_role_word((enum flag_role) t->role),
        .target = arena_strdup(k->a, service->shown),
        .answer = FLAG_NOT_SENT,
        .wanted = flag_service_reach(service, flag_value_percent(0)),
        .before_percent = -1,
        .remembered = t->remembered,
        .op_id = flag_op_id(k->a, k->ops->ports->clock),
    };
    *j = (struct kill_job) {.ref = t->ref,
                            .r = r,
                            .role = t->role,
                            .by_name = t->plan == NULL && !t->remembered,
                            .is_file = service == k->ops->kill_file};
    j->ref.service = service;
}

void kill_begin(struct kill *k, struct flag_ops *ops, const struct flag_kill_target *targets, int n,
                const struct flag_kill_options *o, struct arena *a, struct flag_kill_report *out)
{
    *k = (struct kill) {.ops = ops,
                        .o = o,
                        .a = a,
                        .out = out,
                        .t = flag_times_of(ops),
                        .pool = {.ports = ops->ports}};
    *out =
        (struct flag_kill_report) {.results = arena_array(a, struct flag_kill_result, 2 * n + 1)};
    k->jobs = arena_array(a, struct kill_job, 2 * n + 1);
    k->wait_ms = o->wait_ms > 0 ? o->wait_ms : WAIT_DEFAULT_MS;
    k->start = mono(k);
    for (int i = 0; i < n; i++) {
        job_init(k, &targets[i], targets[i].ref.service);
        if (ops->kill_file)
            job_init(k, &targets[i], ops->kill_file);
    }
    out->n = k->n;
    kill_chain_plans(k);
}

void kill_end(struct kill *k)
{
    flag_pool_free(&k->pool);
    for (int i = 0; i < k->n; i++) {
        arena_free(&k->jobs[i].arena);
        arena_free(&k->jobs[i].kept);
    }
}

void flag_ops_kill(struct flag_ops *ops, const struct flag_kill_target *targets, int n,
                   const struct flag_kill_options *o, struct arena *a, struct flag_kill_report *out)
{
    struct kill k;

    kill_begin(&k, ops, targets, n, o, a, out);
    if (o->drill) {
        kill_drill(&k);
    } else {
        kill_journal_intents(&k);
        kill_run(&k);
        kill_verdicts(&k);
        kill_journal_answers(&k);
    }
    kill_end(&k);
}
