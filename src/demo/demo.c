/* demo: the story. */
#include "phasegate/demo.h"

#include "demo/demo_int.h"

#include <string.h>

/* Shares of the time for watching, in hundredths. */
enum {
    WATCH_BEFORE = 20,
    WATCH_INSTANCE = 2, /* between two instances of a deployment; there are 20 of them */
    WATCH_KILLED = 12,
    WATCH_STEP = 5, /* after a phase; there are four */
    WATCH_AFTER = 8
};
#define SETTLE_MS 1000 /* after a kill: longer than any instance needs to hear of it */
#define HOLD_LOOK_MS 250

bool demo_may_go_on(const struct demo *d, struct err *err)
{
    return !ports_interrupted(&d->ports) || err_set(err, ERR_INTERRUPTED, "stopped by a signal");
}

bool demo_pause(struct demo *d, int64_t ms, struct err *err)
{
    if (demo_may_go_on(d, err))
        clock_sleep_ms(d->ports.clock, ms);
    return demo_may_go_on(d, err);
}

static bool watch(struct demo *d, int share, struct err *err)
{
    return demo_pause(d, d->o->watch_ms * share / 100, err);
}

/* ---- deployments ----------------------------------------------------------------------------------- */

static int release_at(const struct demo *d, const char *version)
{
    return project_release_index(&d->set.project, version);
}

/* Instances from .. to, one after the other, while the others go on. */
static bool deploy(struct demo *d, const char *version, int from, int to, struct err *err)
{
    const struct app_release *next = &d->releases[release_at(d, version)];
    const char *before = d->serving[from]->version;
    AUTO(str) task = {0};

    str_addf(&task, "deploying %s", version);
    demo_watch_task(d, str_text(&task));
    for (int i = from; i < to; i++) {
        if (!demo_may_go_on(d, err) || !app_sim_set_release(d->sim, i, next, err) ||
            !watch(d, WATCH_INSTANCE, err))
            return false;
        d->serving[i] = next;
    }
    if (to < DEMO_INSTANCES)
        demo_watch_say(d, STYLE_PLAIN, "release %s serves on %d of %d instances, beside %s",
                       version, to, DEMO_INSTANCES, before);
    else
        demo_watch_say(d, STYLE_PLAIN, "release %s serves on all %d instances", version,
                       DEMO_INSTANCES);
    demo_watch_task(d, "");
    return true;
}

/* ---- phases ------------------------------------------------------------------------------------------ */

static struct demo_phase *phase_begin(struct demo *d, const char *name, const char *release)
{
    struct demo_phase *p = &d->f->phases[d->f->n_phases++];

    *p = (struct demo_phase) {name, arena_strdup(d->a, release), demo_ms(d), 0};
    return p;
}

/* What advance and purge do first. */
static bool prove(struct demo *d, enum phase_event ev, struct advance_options *o, struct err *err)
{
    const struct demo_prover *v = d->o->prover;
    const char *said = NULL;

    demo_watch_task(d, "proving it on a shadow of the database");
    if (!v->prove(v->ctx, &d->engine, d->plan, ev, o, &o->proof, &said, err))
        return false;
    if (said)
        demo_watch_say(d, STYLE_GOOD, "%s", said);
    demo_watch_task(d, "");
    return true;
}

/* p: its time begins behind the proof. */
static bool advance(struct demo *d, enum phase phase, struct demo_phase *p, struct err *err)
{
    const char *release = d->plan->phases[phase].release.s;
    struct advance_options o = {.release = release};
    struct advance_result r = {0};

    demo_watch_types(d, "advance %s --release %s", d->plan->id.s, release);
    /* What goes on was proved when it began. */
    if (!p->ms && !prove(d, EVENT_ADVANCE, &o, err))
        return false;
    if (!p->ms)
        p->at_ms = demo_ms(d);
    bool good = engine_advance(&d->engine, d->plan, &o, d->a, &r, err);
    p->ms = demo_ms(d) - p->at_ms;
    return good;
}

static bool advance_timed(struct demo *d, enum phase phase, struct err *err)
{
    struct demo_phase *p = phase_begin(d, phase_word(phase), d->plan->phases[phase].release.s);
    bool good = advance(d, phase, p, err);

    demo_watch_task(d, "");
    return good && watch(d, WATCH_STEP, err);
}

/* ---- the kill ------------------------------------------------------------------------------------------ */

static int64_t last_new_path_ms(struct demo *d)
{
    AUTO(app_sim_stats) stats = {0};
    int64_t last = 0;

    pthread_mutex_lock(&d->watch.lock);
    app_sim_snapshot(d->sim, &stats);
    pthread_mutex_unlock(&d->watch.lock);
    for (int i = 0; i < stats.n_flags; i++)
        last = stats.flags[i].last_on_ms > last ? stats.flags[i].last_on_ms : last;
    return last;
}

/* What the kill did: how soon the traffic was off the new path, and that it stayed off. */
static bool look_at_kill(struct demo *d, struct err *err)
{
    struct demo_killer *k = &d->killer;

    if (k->problem || k->exit_code != 0)
        demo_problem(d, "%s", k->problem ? k->problem : "the kill isn't certain");
    d->f->kill.done = true;
    d->f->kill.at_ms = k->at_ms - d->began_ms;
    d->f->kill.off_ms = k->off_ms;
    demo_watch_task(d, "back on the old path");
    if (!demo_pause(d, SETTLE_MS, err))
        return false;
    int64_t last = last_new_path_ms(d);
    d->f->kill.last_ms = last > k->at_ms ? last - k->at_ms : 0;
    demo_watch_say(d, STYLE_GOOD, "last request on the new path: %.2f s after the kill",
                   (double) d->f->kill.last_ms / 1000);
    if (!watch(d, WATCH_KILLED, err))
        return false;
    if (last_new_path_ms(d) != last)
        demo_problem(d, "requests went on the new path after the kill");
    return true;
}

static bool is_killed(struct demo *d)
{
    struct plan_state state = {0};
    AUTO(err) ignored = {0};

    return ledger_plan_state(d->db, d->a, d->plan->id.s, &state, &ignored) &&
           state.brake == BRAKE_KILLED;
}

/* Begins; is killed at the first rung; is resumed, and goes on. */
static bool advance_killed(struct demo *d, enum phase phase, struct err *err)
{
    struct demo_phase *p = phase_begin(d, phase_word(phase), d->plan->phases[phase].release.s);

    const char *next = NULL;

    d->f->kill.phase = phase_word(phase);
    demo_kill_arm(d, d->plan->flags[FLAG_WRITE].key.s);
    bool good = advance(d, phase, p, err);
    demo_kill_join(d);
    if (good)
        return err_set(err, ERR_NO, "the plan was killed, and the advance went on all the same");
    if (!is_killed(d))
        return false;
    demo_watch_say(d, STYLE_WARN, "advance stops: the plan was killed");
    err_clear(err);
    if (!look_at_kill(d, err))
        return false;
    demo_watch_types(d, "resume %s --because \"cause found and mended\"", d->plan->id.s);
    if (!engine_resume(&d->engine, d->plan, "cause found and mended", d->a, &next, err))
        return false;
    d->f->kill.resumed_ms = demo_ms(d);
    good = advance(d, phase, p, err);
    demo_watch_task(d, "");
    return good && watch(d, WATCH_STEP, err);
}

/* ---- purge ---------------------------------------------------------------------------------------------- */

/* What was hidden can be restored until then. */
static bool look_at_hold(struct demo *d, const struct advance_options *o, bool *is_held,
                         struct err *err)
{
    struct plan_state state = {0};
    struct world world;
    struct decision decision;

    *is_held = false;
    if (!engine_observe(&d->engine, d->plan, EVENT_PURGE, o, d->a, &state, &world, err))
        return false;
    phase_decide(&world, EVENT_PURGE, &decision);
    for (int i = 0; i < decision.n_refusals; i++)
        *is_held |= strcmp(decision.refusals[i].reason, guard_word(GUARD_HOLD_ELAPSED)) == 0;
    return true;
}

static bool wait_for_hold(struct demo *d, const struct advance_options *o, struct err *err)
{
    bool is_held = false, said = false;

    for (;;) {
        if (!look_at_hold(d, o, &is_held, err))
            return false;
        if (!is_held)
            return true;
        if (!said)
            demo_watch_say(d, STYLE_WARN,
                           "refused: the hold isn't over; balance could be restored");
        said = true;
        demo_watch_task(d, "waiting for the end of the hold");
        if (!demo_pause(d, HOLD_LOOK_MS, err))
            return false;
    }
}

/* Refused at first, by the hold. */
static bool purge(struct demo *d, struct err *err)
{
    struct advance_options o = {.confirm = d->plan->id.s};
    struct advance_result r = {0};

    demo_watch_types(d, "purge %s --confirm %s", d->plan->id.s, d->plan->id.s);
    if (!wait_for_hold(d, &o, err) || !prove(d, EVENT_PURGE, &o, err))
        return false;
    struct demo_phase *p = phase_begin(d, "purge", d->plan->phases[PHASE_CONTRACT].release.s);
    bool good = engine_purge(&d->engine, d->plan, &o, d->a, &r, err);
    p->ms = demo_ms(d) - p->at_ms;
    return good;
}

/* ---- the story -------------------------------------------------------------------------------------------- */

static const char *release_of(const struct demo *d, enum phase phase)
{
    return d->plan->phases[phase].release.s;
}

static bool before(struct demo *d, struct err *err)
{
    AUTO(app_sim_stats) stats = {0};

    if (!demo_stage_traffic(d, err) || !demo_watch_start(d, err))
        return false;
    demo_watch_say(d, STYLE_PLAIN, "release %s serves on all %d instances", d->releases[0].version,
                   DEMO_INSTANCES);
    demo_watch_task(d, "traffic as it was before");
    demo_watch_mark(d, &stats); /* sessions begin and flags are asked for: not part of it */
    if (!watch(d, WATCH_BEFORE, err))
        return false;
    demo_watch_mark(d, &stats);
    d->f->before_p99_us = stats.marked_p99_us;
    return true;
}

static bool expand(struct demo *d, struct err *err)
{
    demo_watch_chapter(d, "expand",
                       "a new column, an index on it, and a trigger that keeps both columns equal");
    return advance_timed(d, PHASE_EXPAND, err) &&
           deploy(d, release_of(d, PHASE_EXPAND), 0, DEMO_INSTANCES, err);
}

static bool dual_read(struct demo *d, struct err *err)
{
    const char *release = release_of(d, PHASE_DUAL_READ);

    demo_watch_chapter(
        d, "dual_read",
        "the old rows are filled in, then reads move to the new column, step by step");
    return deploy(d, release, 0, DEMO_INSTANCES / 2, err) &&
           advance_timed(d, PHASE_DUAL_READ, err) &&
           deploy(d, release, DEMO_INSTANCES / 2, DEMO_INSTANCES, err);
}

static bool write_activation(struct demo *d, struct err *err)
{
    const char *release = release_of(d, PHASE_WRITE_ACTIVATION);

    demo_watch_chapter(
        d, "write_activation",
        "writes move to the new column; in the middle of it somebody kills the plan");
    return deploy(d, release, 0, DEMO_INSTANCES / 2, err) &&
           advance_killed(d, PHASE_WRITE_ACTIVATION, err) &&
           deploy(d, release, DEMO_INSTANCES / 2, DEMO_INSTANCES, err);
}

static bool contract(struct demo *d, struct err *err)
{
    const char *release = release_of(d, PHASE_CONTRACT);
    int between = release_at(d, release_of(d, PHASE_WRITE_ACTIVATION)) + 1;
    AUTO(app_sim_stats) stats = {0};

    demo_watch_chapter(d, "contract",
                       "no release needs the old column any more: it is hidden, held, and purged");
    for (; between < release_at(d, release); between++)
        if (!deploy(d, d->releases[between].version, 0, DEMO_INSTANCES, err))
            return false;
    if (!deploy(d, release, 0, DEMO_INSTANCES / 2, err) || !advance_timed(d, PHASE_CONTRACT, err) ||
        !purge(d, err))
        return false;
    demo_watch_mark(d, &stats);
    d->f->during_p99_us = stats.marked_p99_us;
    if (!deploy(d, release, DEMO_INSTANCES / 2, DEMO_INSTANCES, err))
        return false;
    demo_watch_task(d, "traffic as it is now");
    if (!watch(d, WATCH_AFTER, err))
        return false;
    demo_watch_mark(d, &stats);
    d->f->after_p99_us = stats.marked_p99_us;
    return true;
}

static bool play(struct demo *d, struct err *err)
{
    bool good = before(d, err) && expand(d, err) && dual_read(d, err) && write_activation(d, err) &&
                contract(d, err);

    /* Something that went wrong on an open stage is a no of the demo, whatever the command would say. */
    if (!good && !err_is(err, ERR_INTERRUPTED))
        err->exit_code = 1;
    return good;
}

static bool end(struct demo *d, bool good, struct err *err)
{
    AUTO(app_sim_stats) last = {0};

    demo_kill_join(d);
    demo_watch_stop(d);
    if (d->sim) {
        app_sim_stop(d->sim, &last);
        d->sim = NULL;
        demo_check_traffic(d, &last);
    }
    d->f->ms = demo_ms(d);
    good = good && demo_check_end(d, err);
    if (!ports_interrupted(&d->ports))
        return good;
    err_clear(err);
    err_set(err, ERR_INTERRUPTED, "stopped by a signal; the servers are stopped%s",
            d->o->keep ? "" : " and the folder is removed");
    return false;
}

bool demo_run(const struct demo_options *o, const struct ports *ports, struct out *out,
              struct arena *a, struct demo_figures *f, struct err *err)
{
    struct demo d = {.o = o, .out = out, .a = a, .f = f, .ports = *ports};

    *f = (struct demo_figures) {.accounts = o->accounts, .instances = DEMO_INSTANCES};
    d.began_ms = clock_mono_ms(ports->clock);
    d.ports.events = &d.watch.events;
    bool good = demo_watch_open(&d, err) && demo_stage_open(&d, err) && play(&d, err);

    good = end(&d, good, err);
    demo_stage_close(&d);
    demo_watch_close(&d);
    arena_free(&d.killer.arena);
    return good;
}
