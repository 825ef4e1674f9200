/* demo_kill: the operator at the other keyboard, who needs neither the database nor the lock. */
#include "demo/demo_int.h"

#include <signal.h>
#include <string.h>

#define DELAY_MS 400 /* so that requests have met the new path, and within the rung's pause */
#define BECAUSE "error rate is up"

static void note(struct demo_killer *k, const struct flag_kill_report *r)
{
    int64_t off = 0;

    for (int i = 0; i < r->n; i++) {
        if (!r->results[i].reached && !k->problem)
            k->problem =
                arena_printf(&k->arena, "the kill didn't see %s off: %s", r->results[i].key,
                             r->results[i].detail ? r->results[i].detail : "no detail");
        off = r->results[i].ms > off ? r->results[i].ms : off;
    }
    k->off_ms = off;
    k->exit_code = r->exit_code;
}

static void *kill_plan(void *arg)
{
    struct demo_killer *k = arg;
    struct demo *d = k->demo;
    struct flag_kill_options o = {.reason = BECAUSE};
    struct flag_kill_target *targets = NULL;
    struct flag_kill_report report = {0};
    struct demo_hands hands = {0};
    const struct plan *plans[] = {d->plan};
    AUTO(err) err = {0};
    int n = 0;

    if (demo_hands_open(d, &hands, &err)) {
        struct flag_ops ops = demo_flag_ops(d, &hands);

        clock_sleep_ms(hands.clock, DELAY_MS);
        flag_kill_targets(&k->arena, &ops, plans, 1, NULL, 0, &targets, &n);
        demo_watch_types(d, "kill %s --because \"" BECAUSE "\"", d->plan->id.s);
        k->at_ms = clock_mono_ms(hands.clock);
        flag_ops_kill(&ops, targets, n, &o, &k->arena, &report);
        note(k, &report);
    } else {
        k->problem = arena_strdup(&k->arena, str_text(&err.message));
    }
    demo_hands_close(&hands);
    return NULL;
}

void demo_kill_arm(struct demo *d, const char *flag)
{
    d->killer.demo = d;
    d->killer.at_flag = flag;
}

void demo_kill_saw(struct demo *d, const char *flag)
{
    struct demo_killer *k = &d->killer;
    sigset_t all, before;

    if (!k->at_flag || !flag || strcmp(flag, k->at_flag) != 0)
        return;
    k->at_flag = NULL;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    k->is_started = pthread_create(&k->thread, NULL, kill_plan, k) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void demo_kill_join(struct demo *d)
{
    d->killer.at_flag = NULL;
    if (d->killer.is_started)
        pthread_join(d->killer.thread, NULL);
    d->killer.is_started = false;
}
