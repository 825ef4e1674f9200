/* Who is told of milestones: the environment's notify:, resolved. What is wrong with it keeps nobody from anything. */
#include "cli.h"
#include "phasegate/flag_ops.h"
#include "phasegate/io.h"
#include "phasegate/notify.h"

/* "https://hooks.example.com": paths and queries of chat services are secrets. */
static const char *shown_of(struct arena *a, const char *url)
{
    const char *host = strstr(url, "://"), *at;
    size_t n;

    if (!host)
        return "a webhook without http:// or https://";
    host += 3;
    n = strcspn(host, "/?#");
    at = memchr(host, '@', n);
    if (at) {
        n -= (size_t) (at + 1 - host);
        return arena_printf(a, "%.*s%.*s", (int) (host - url), url, (int) n, at + 1);
    }
    return arena_printf(a, "%.*s%.*s", (int) (host - url), url, (int) n, host);
}

struct notifier *context_notifier(struct context *c)
{
    struct notify_hook *hooks;
    AUTO(err) err = {0};
    int n = 0;

    if (c->notifier || !c->env || c->env->n_notify == 0)
        return c->notifier;
    hooks = arena_array(&c->arena, struct notify_hook, c->env->n_notify);
    for (int i = 0; i < c->env->n_notify; i++) {
        const struct notify_decl *d = &c->env->notify[i];
        const char *url = NULL;

        if (!context_resolve(c, &d->webhook, &url, &err)) {
            out_warn(&c->out, "nobody is told: %s", str_text(&err.message));
            err_clear(&err);
            continue;
        }
        hooks[n++] =
            (struct notify_hook) {url, shown_of(&c->arena, url), d->format == NOTIFY_SLACK};
    }
    if (n == 0)
        return NULL;
    if (!http_curl(c->clock, c->ports.interrupt, &c->notify_http, &err)) {
        out_warn(&c->out, "nobody is told: %s", str_text(&err.message));
        return NULL;
    }
    c->notifier = notifier_new(&c->arena, &c->ports, c->notify_http, hooks, n, c->env->name.s,
                               c->run_id, c->actor);
    return c->notifier;
}

void context_tell_of_kill(struct context *c, const struct flag_kill_report *r)
{
    const char *because = opt_text(c, OPT_BECAUSE);
    AUTO(str) keys = {0};
    int n_off = 0;

    if (r->n == 0 || !context_notifier(c))
        return;
    for (int i = 0; i < r->n; i++) {
        n_off += r->results[i].reached && !r->results[i].in_doubt;
        str_addf(&keys, "%s%s", i ? ", " : "", r->results[i].key);
    }
    notify_send(c->notifier,
                &(struct notice) {
                    .event = "killed",
                    .plan = r->results[0].plan,
                    .text = arena_printf(&c->arena,
                                         "%s in %s: kill by %s%s%s: %d of %d targets are off (%s)",
                                         r->results[0].plan ? r->results[0].plan : "flags",
                                         c->env->name.s, c->actor, because ? ": " : "",
                                         because ? because : "", n_off, r->n, str_text(&keys))});
    notify_end(c->notifier);
}
