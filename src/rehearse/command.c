/* One command of the engine in a process of its own, which may be killed at any time. */
#include "rehearse/rehearse_int.h"

#include <stdlib.h>
#include <unistd.h>

enum { LONGEST_MS = 3600000, ASSUMED_DOUBT_MS = 600000 };

/* ---- in the child ---------------------------------------------------------------------------------------- */

/* Time has passed since a process was killed: what it left in doubt is waited for no more. */
struct late_clock {
    struct clock clock;
    struct clock *real;
    int64_t later_ms;
};

static int64_t late_wall(struct clock *c)
{
    struct late_clock *l = (struct late_clock *) c;

    return clock_wall_ms(l->real) + l->later_ms;
}

static int64_t late_mono(struct clock *c) { return clock_mono_ms(((struct late_clock *) c)->real); }

static void late_sleep(struct clock *c, int64_t ms)
{
    clock_sleep_ms(((struct late_clock *) c)->real, ms);
}

static uint32_t late_random(struct clock *c)
{
    return clock_random(((struct late_clock *) c)->real);
}

static const struct clock_ops late_ops = {late_wall, late_mono, late_sleep, late_random};

struct job {
    struct events events; /* first: the port is the sink */
    struct scene *s;
    const struct command *c;
    struct late_clock clock;
    struct ports ports;
    struct arena arena;
    struct engine engine;
    struct plan plan;
    json_t *tasks, *stays; /* stays: steps of an undo that have none */
    struct dry_run dry;
    const char *task;    /* that is running */
    int64_t began_ms;    /* it */
    struct db *looker;   /* of a repeat: compares after each step */
    struct state before; /* of it */
};

static const struct dry_step *foreseen(const struct job *j, const char *id)
{
    for (int i = 0; i < j->dry.n_steps; i++)
        if (strcmp(j->dry.steps[i].id, id) == 0)
            return &j->dry.steps[i];
    return NULL;
}

/* What the step that has just run again has changed. */
static json_t *changes(struct job *j)
{
    struct text_list left = {0};
    struct state now;
    AUTO(err) err = {0};
    json_t *list = json_array();

    if (!j->looker)
        return list;
    if (!state_read_from(j->s, j->looker, &j->arena, &now, &err)) {
        json_array_append_new(list, json_string(str_text(&err.message)));
        return list;
    }
    state_compare(&j->arena, &j->before, &now, NULL, &left, NULL);
    for (int i = 0; i < left.n; i++)
        json_array_append_new(list, json_string(left.items[i].s));
    j->before = now;
    return list;
}

static void on_event(struct events *e, const struct event *ev)
{
    struct job *j = (struct job *) e;

    if (ev->kind == EVENT_START) {
        j->began_ms = clock_mono_ms(j->clock.real);
        j->task = arena_strdup(&j->arena, ev->task);
    }
    if (ev->kind == EVENT_SKIPPED && j->c->word == COMMAND_UNDO && ev->task)
        json_array_append_new(j->stays, json_string(ev->task));
    if (ev->kind != EVENT_DONE || !ev->task)
        return;
    const struct dry_step *d = foreseen(j, ev->task);
    json_t *left = changes(j);
    json_array_append_new(
        j->tasks, json_pack("{s:s, s:s, s:s*, s:I, s:I, s:I, s:o}", "id", ev->task, "kind",
                            d ? d->kind : "task", "lock",
                            d && d->lock != LOCK_NONE ? lock_mode_word(d->lock) : NULL, "at",
                            (json_int_t) j->began_ms, "ms", (json_int_t) ev->ms, "rows",
                            (json_int_t) (d && strcmp(d->kind, "backfill") == 0 ? d->rows : -1),
                            "left", left));
}

static const struct events_ops events_ops = {on_event};

static bool open_engine(struct job *j, struct err *err)
{
    struct scene *s = j->s;
    const char *run = arena_printf(&j->arena, "%s-%d", s->o->run_id, (int) getpid());
    int version = 0;

    j->events.ops = &events_ops;
    j->clock = (struct late_clock) {{&late_ops}, s->o->ports->clock, s->later_ms};
    j->ports = *s->o->ports;
    j->ports.clock = &j->clock.clock;
    j->ports.events = &j->events;
    if (!j->ports.db_open(&j->ports, s->url, arena_printf(&j->arena, "phasegate/%s", run), true,
                          &j->engine.db, err) ||
        !ledger_version(j->engine.db, &version, err))
        return false;
    struct db *db = j->engine.db;
    j->engine = (struct engine) {.ports = &j->ports,
                                 .set = &s->set,
                                 .env = &s->env,
                                 .policy = s->policy,
                                 .db = db,
                                 .search_path = s->search_path,
                                 .db_url = s->url,
                                 .db_variables = s->variables,
                                 .flags = &s->flags,
                                 .run_id = run,
                                 .command = "rehearse",
                                 .actor = s->o->actor,
                                 .state_dir = arena_printf(&j->arena, "%s/state", s->folder),
                                 .lock_wait_ms = 60000,
                                 .has_ledger = version > 0,
                                 .facts = s->o->facts,
                                 .read_plan = s->o->read_plan};
    return true;
}

/* Absent phases are passed over on the way forward, so they are on the way back. */
static bool undo(struct job *j, struct arena *a, struct err *err)
{
    static const struct advance_options none;
    struct plan_state state = {0};

    for (int i = 0; i < PHASE_SLOTS; i++) {
        struct advance_result r = {0};
        if (!ledger_plan_state(j->engine.db, a, j->plan.id.s, &state, err))
            return false;
        if (!stage_has_finished(state.stage, j->c->phase) && !stage_is_undoing(state.stage) &&
            !stage_is_running(state.stage))
            return true;
        if (!(j->c->phase == PHASE_CONTRACT
                  ? engine_restore(&j->engine, &j->plan, &none, a, &r, err)
                  : engine_rollback(&j->engine, &j->plan, &none, a, &r, err)))
            return false;
    }
    return true;
}

static bool is_killed(const struct err *err)
{
    return err->reason && strcmp(err->reason, brake_word(BRAKE_KILLED)) == 0;
}

static bool again(struct job *j, struct arena *a, struct err *err)
{
    struct plan_state state = {0};
    const char *next = NULL;

    for (int i = 0; i < 2 * PHASE_SLOTS; i++) {
        struct advance_result r = {0};
        if (!ledger_plan_state(j->engine.db, a, j->plan.id.s, &state, err))
            return false;
        if (state.brake == BRAKE_KILLED &&
            !engine_resume(&j->engine, &j->plan, "forward again", a, &next, err))
            return false;
        enum phase phase = stage_next_phase(state.stage);
        if (phase == PHASE_NONE || stage_has_finished(state.stage, j->c->phase))
            return true;
        while (phase < j->c->phase && !j->plan.phases[phase].present)
            phase++;
        struct advance_options o = {.release = j->plan.phases[phase].release.s};
        if (engine_advance(&j->engine, &j->plan, &o, a, &r, err))
            continue;
        if (!is_killed(err))
            return false;
        err_clear(err);
    }
    return err_set(err, ERR_STOPPED, "it stands at \"%s\" and gets no further",
                   stage_word(state.stage));
}

static bool perform(struct job *j, int64_t *ms, struct err *err)
{
    const struct command *c = j->c;
    struct advance_options o = {
        .release = c->word == COMMAND_UNDO ? NULL : c->plan->phases[c->phase].release.s,
        .force = c->word == COMMAND_REPEAT};
    struct advance_result r = {0};
    AUTO(err) ignored = {0};

    if (c->foresees)
        (void) !engine_dry_run(&j->engine, &j->plan, EVENT_ADVANCE, &o, &j->arena, &j->dry,
                               &ignored);
    int64_t began = clock_mono_ms(j->clock.real);
    bool ok = c->word == COMMAND_UNDO ? undo(j, &j->arena, err)
              : c->word == COMMAND_AGAIN
                  ? again(j, &j->arena, err)
                  : engine_advance(&j->engine, &j->plan, &o, &j->arena, &r, err);
    *ms = clock_mono_ms(j->clock.real) - began;
    return ok;
}

static bool begin_looking(struct job *j, struct err *err)
{
    return j->c->word != COMMAND_REPEAT ||
           (stage_db(j->s, false, &j->looker, err) &&
            state_read_from(j->s, j->looker, &j->arena, &j->before, err));
}

static const char *whole_message(struct job *j, const struct err *err)
{
    const char *detail = str_text(&err->detail), *notes = str_text(&err->notes);

    return arena_printf(&j->arena, "%s%s%s%s%s%s", str_text(&err->message), *notes ? " (" : "",
                        notes, *notes ? ")" : "", *detail ? ". " : "", detail);
}

static void write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t n = write(fd, text, left);
        if (n <= 0)
            return;
        text += n;
        left -= (size_t) n;
    }
}

static void run_job(int fd, void *ctx)
{
    struct job *j = ctx;
    AUTO(err) err = {0};
    int64_t ms = 0;

    bool ok = open_engine(j, &err) && begin_looking(j, &err) && perform(j, &ms, &err);
    json_t *answer =
        json_pack("{s:b, s:s*, s:s*, s:s*, s:s*, s:I, s:O, s:O}", "ok", ok, "task", j->task, "kind",
                  ok ? NULL : err_kind_word(err.kind), "reason", ok ? NULL : err.reason, "message",
                  ok ? NULL : whole_message(j, &err), "ms", (json_int_t) ms, "tasks", j->tasks,
                  "stays", j->stays);
    char *text = json_dumps(answer, JSON_COMPACT);
    write_all(fd, text ? text : "");
}

/* ---- in the parent --------------------------------------------------------------------------------------------- */

const char *command_text(struct arena *a, const struct command *c)
{
    const char *id = c->plan->id.s;

    if (c->word == COMMAND_UNDO)
        return arena_printf(a, "phasegate %s %s",
                            c->phase == PHASE_CONTRACT ? "restore" : "rollback", id);
    return arena_printf(a, "phasegate advance %s --release %s%s", id,
                        c->plan->phases[c->phase].release.s,
                        c->word == COMMAND_REPEAT ? " --force" : "");
}

static struct beside *start(struct scene *s, const struct command *c, struct job *j,
                            struct err *err)
{
    *j = (struct job) {
        .s = s, .c = c, .plan = *c->plan, .tasks = json_array(), .stays = json_array()};
    struct beside *b = beside_start(run_job, j);

    if (!b)
        err_set(err, ERR_UNREACHABLE, "no process can be started for \"%s\"",
                command_text(s->a, c));
    return b;
}

static const char *text_of(struct arena *a, const json_t *o, const char *key)
{
    return arena_strdup(a, json_string_value(json_object_get(o, key)));
}

static void read_task(struct arena *a, const json_t *o, struct command_task *t)
{
    size_t i;
    json_t *item;

    *t = (struct command_task) {.id = text_of(a, o, "id"),
                                .kind = text_of(a, o, "kind"),
                                .lock = text_of(a, o, "lock"),
                                .at_ms = json_integer_value(json_object_get(o, "at")),
                                .ms = json_integer_value(json_object_get(o, "ms")),
                                .estimate_rows = json_integer_value(json_object_get(o, "rows"))};
    json_array_foreach(json_object_get(o, "left"), i, item)
        text_add(a, &t->left, "%s", json_string_value(item));
}

static bool read_answer(struct arena *a, const char *text, struct command_answer *out)
{
    json_t *o = json_loads(text, 0, NULL);
    const json_t *tasks = json_object_get(o, "tasks");
    json_t *item;
    size_t i;

    if (!o)
        return false;
    *out = (struct command_answer) {.ok = json_is_true(json_object_get(o, "ok")),
                                    .kind = text_of(a, o, "kind"),
                                    .task = text_of(a, o, "task"),
                                    .reason = text_of(a, o, "reason"),
                                    .message = text_of(a, o, "message"),
                                    .ms = json_integer_value(json_object_get(o, "ms")),
                                    .n_tasks = (int) json_array_size(tasks)};
    out->tasks = arena_array(a, struct command_task, out->n_tasks + 1);
    json_array_foreach(tasks, i, item) read_task(a, item, &out->tasks[i]);
    json_array_foreach(json_object_get(o, "stays"), i, item)
        text_add(a, &out->stays, "%s", json_string_value(item));
    json_decref(o);
    return true;
}

static bool interrupted(struct scene *s, struct err *err)
{
    return ports_interrupted(s->o->ports) &&
           !err_set(err, ERR_INTERRUPTED,
                    "stopped by a signal; what the rehearsal made is removed");
}

bool command_run(struct scene *s, const struct command *c, struct command_answer *out,
                 struct err *err)
{
    AUTO(str) text = {0};
    struct job j;

    struct beside *b = interrupted(s, err) ? NULL : start(s, c, &j, err);
    if (!b)
        return false;
    bool ended = beside_take(b, s->o->ports->clock, LONGEST_MS, &text);
    json_decref(j.tasks);
    json_decref(j.stays);
    if (interrupted(s, err))
        return false;
    if (!ended)
        return err_set(err, ERR_STOPPED, "\"%s\" didn't end within an hour and was killed",
                       command_text(s->a, c));
    return read_answer(s->a, str_text(&text), out) ||
           err_set(err, ERR_BUG, "\"%s\" ended without an answer", command_text(s->a, c));
}

bool command_kill(struct scene *s, const struct command *c, int64_t after_ms, bool *was_killed,
                  struct err *err)
{
    AUTO(str) text = {0};
    struct job j;

    struct beside *b = interrupted(s, err) ? NULL : start(s, c, &j, err);
    if (!b)
        return false;
    *was_killed = !beside_take(b, s->o->ports->clock, after_ms, &text);
    json_decref(j.tasks);
    json_decref(j.stays);
    if (*was_killed)
        s->later_ms += ASSUMED_DOUBT_MS;
    return !interrupted(s, err);
}
