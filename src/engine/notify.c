/* Milestones to those who want to know: sent side by side, looked after between other things. */
#include "internal.h"

#include "phasegate/json_out.h"
#include "phasegate/notify.h"

#define CONNECT_MS 1000

struct outgoing { /* one message to one hook; the tag of its request */
    const struct notify_hook *hook;
    struct http_req req;
    bool is_done, failed;
    const char *why;
};

struct message_sent {
    struct notice what;
    struct outgoing *to;
    bool told; /* notify_outcome() has handed it out */
    struct message_sent *next;
};

struct notifier {
    struct arena *a;
    const struct ports *ports;
    struct http *http;
    const struct notify_hook *hooks;
    bool *is_late; /* a hook that has failed, or let us wait: not waited for again in this run */
    int n;
    const char *environment, *run_id, *actor;
    struct message_sent *first, **last;
};

struct notifier *notifier_new(struct arena *a, const struct ports *ports, struct http *http,
                              const struct notify_hook *hooks, int n, const char *environment,
                              const char *run_id, const char *actor)
{
    struct notifier *t = arena_new(a, struct notifier);

    *t = (struct notifier) {.a = a,
                            .ports = ports,
                            .http = http,
                            .hooks = hooks,
                            .is_late = arena_array(a, bool, n + 1),
                            .n = n,
                            .environment = environment,
                            .run_id = run_id,
                            .actor = actor,
                            .last = &t->first};
    return t;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

/* Slack takes three characters for markup. */
static const char *slack_text(struct arena *a, const char *text)
{
    AUTO(str) out = {0};

    for (; *text; text++)
        if (*text == '&')
            str_add(&out, "&amp;");
        else if (*text == '<')
            str_add(&out, "&lt;");
        else if (*text == '>')
            str_add(&out, "&gt;");
        else
            str_addc(&out, *text);
    return arena_strdup(a, str_text(&out));
}

static void put_body(const struct notifier *t, const struct notify_hook *hook,
                     const struct notice *what, struct str *to)
{
    struct json_out j;
    char at[25];

    json_begin(&j, to, false);
    json_object_begin(&j, NULL);
    if (hook->slack)
        json_str(&j, "text", slack_text(t->a, what->text));
    else {
        time_to_rfc3339(clock_wall_ms(t->ports->clock), at);
        json_int(&j, "version", 1);
        json_str(&j, "event", what->event);
        json_str(&j, "plan", what->plan);
        json_str(&j, "phase", what->phase);
        json_str(&j, "release", what->release);
        json_str(&j, "environment", t->environment);
        json_str(&j, "stage", what->stage);
        json_str(&j, "text", what->text);
        json_str(&j, "by", t->actor);
        json_str(&j, "run_id", t->run_id);
        json_str(&j, "at", at);
    }
    json_object_end(&j);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void finished(struct notifier *t, struct outgoing *o, const char *why_or_null)
{
    o->is_done = true;
    o->failed = why_or_null != NULL;
    o->why = why_or_null;
    t->is_late[o->hook - t->hooks] = o->failed;
    if (!o->failed)
        return;
    struct event ev = {.kind = EVENT_WARNING,
                       .message =
                           arena_printf(t->a, "%s was not told: %s", o->hook->shown, o->why)};
    events_emit(t->ports->events, &ev);
}

static const char *failure_of(struct arena *a, const struct http_res *res)
{
    if (res->outcome != HTTP_ANSWERED)
        return res->why ? res->why : "no answer";
    return res->status >= 200 && res->status < 300 ? NULL
                                                   : arena_printf(a, "status %d", res->status);
}

static bool is_any_on_its_way(const struct notifier *t, bool late_ones_too)
{
    for (const struct message_sent *m = t->first; m; m = m->next)
        for (int i = 0; i < t->n; i++)
            if (!m->to[i].is_done && (late_ones_too || !t->is_late[i]))
                return true;
    return false;
}

/* What is there is taken; waited is only for those that are worth it. */
static void take_answers(struct notifier *t, int64_t wait_ms, bool late_ones_too)
{
    int64_t end = clock_mono_ms(t->ports->clock) + wait_ms;

    for (;;) {
        bool waits = is_any_on_its_way(t, late_ones_too) && !ports_interrupted(t->ports);
        int64_t left = waits ? end - clock_mono_ms(t->ports->clock) : 0;
        struct http_res res;
        void *tag = NULL;

        if (t->http->ops->wait(t->http, t->a, left > 0 ? left : 0, &tag, &res))
            finished(t, tag, failure_of(t->a, &res));
        else if (left <= 0)
            return;
    }
}

static void send_one(struct notifier *t, struct message_sent *m, int i)
{
    struct outgoing *o = &m->to[i];
    AUTO(str) body = {0};
    AUTO(err) err = {0};

    o->hook = &t->hooks[i];
    put_body(t, o->hook, &m->what, &body);
    o->req = (struct http_req) {.method = "POST",
                                .url = o->hook->url,
                                .headers = {"Content-Type: application/json"},
                                .body = arena_strdup(t->a, str_text(&body)),
                                .body_len = body.len,
                                .connect_ms = CONNECT_MS,
                                .total_ms = NOTIFY_TOTAL_MS,
                                .is_write = true};
    if (!t->http->ops->submit(t->http, &o->req, o, &err))
        finished(t, o, arena_strdup(t->a, str_text(&err.message)));
}

static const char *kept(const struct notifier *t, const char *text)
{
    return arena_strdup(t->a, text);
}

void notify_send(struct notifier *t, const struct notice *what)
{
    if (!t)
        return;
    struct message_sent *m = arena_new(t->a, struct message_sent);
    m->what = (struct notice) {kept(t, what->event),   kept(t, what->plan),  kept(t, what->phase),
                               kept(t, what->release), kept(t, what->stage), kept(t, what->text)};
    m->to = arena_array(t->a, struct outgoing, t->n + 1);
    *t->last = m;
    t->last = &m->next;
    for (int i = 0; i < t->n; i++)
        send_one(t, m, i);
    take_answers(t, NOTIFY_WAIT_MS, false);
    for (int i = 0; i < t->n; i++)
        t->is_late[i] = t->is_late[i] || !m->to[i].is_done;
}

void notify_end(struct notifier *t)
{
    if (!t)
        return;
    take_answers(t, NOTIFY_END_MS, true);
    for (struct message_sent *m = t->first; m; m = m->next)
        for (int i = 0; i < t->n; i++)
            if (!m->to[i].is_done) {
                t->http->ops->cancel(t->http, &m->to[i]);
                finished(t, &m->to[i], "it didn't answer in time");
            }
}

bool notify_outcome(struct notifier *t, struct notify_outcome *out)
{
    for (struct message_sent *m = t ? t->first : NULL; m; m = m->next) {
        AUTO(str) text = {0};
        bool all = true;

        for (int i = 0; i < t->n; i++)
            all = all && m->to[i].is_done;
        if (m->told || !all)
            continue;
        m->told = true;
        *out = (struct notify_outcome) {m->what.event, m->what.plan, m->what.phase, NULL, 0};
        for (int i = 0; i < t->n; i++) {
            const struct outgoing *o = &m->to[i];
            out->n_failed += o->failed;
            str_addf(&text, "%s%s%s%s%s", i ? "; " : "", o->hook->shown,
                     o->failed ? " was not told: " : " was told", o->failed ? o->why : "", "");
        }
        out->text = arena_strdup(t->a, str_text(&text));
        return true;
    }
    return false;
}
