/* The way of a plan: forward, each step twice, back, forward; the whole way back; and killed. */
#include "rehearse/rehearse_int.h"

enum { WAY_MAX = 3 * PHASE_SLOTS, TOLD = 4 };

const char *rehearse_undo_word(enum rehearse_undo u)
{
    static const char *const words[] = {"undone", "no_undo", "left", "failed"};

    return words[u];
}

static void problem(struct scene *s, const char *what, const struct text_list *left)
{
    AUTO(str) text = {0};

    str_addf(&text, "%s: ", what);
    for (int i = 0; i < left->n && i < TOLD; i++)
        str_addf(&text, "%s%s", i ? "; " : "", left->items[i].s);
    if (left->n > TOLD)
        str_addf(&text, "; and %d more", left->n - TOLD);
    text_add(s->a, &s->out->problems, "%s", str_text(&text));
}

static void say(struct scene *s, const char *phase, const char *what)
{
    events_emit(s->o->ports->events,
                &(struct event) {
                    .kind = EVENT_INFO, .plan = s->plan.id.s, .phase = phase, .message = what});
}

/* ---- with the load ------------------------------------------------------------------------------------------ */

static const char *release_before(const struct scene *s, const char *version)
{
    int at = version ? project_release_index(&s->set.project, version) : -1;

    return at > 0 ? s->set.project.releases[at - 1].version.s : NULL;
}

/* Expand comes before its release is there; the other phases while it is being rolled out. */
static bool run_loaded(struct scene *s, const struct command *c, struct command_answer *out,
                       int64_t **waits, struct err *err)
{
    const char *release = s->plan.phases[c->phase].release.s;
    const char *during = command_text(s->a, c);
    struct load *l = NULL;

    if (!load_begin(s, release_before(s, release), c->phase == PHASE_EXPAND ? NULL : release, &l,
                    err))
        return false;
    if (!command_run(s, c, out, err)) {
        load_drop(l, s->o->ports->clock);
        return false;
    }
    *waits = arena_array(s->a, int64_t, out->n_tasks + 1);
    return load_end(s, l, during, out->tasks, out->n_tasks, *waits, err);
}

/* ---- one phase -------------------------------------------------------------------------------------------------- */

static void take_tasks(struct scene *s, struct rehearse_phase *p, const struct command_answer *a,
                       const int64_t *waits)
{
    p->tasks = arena_array(s->a, struct rehearse_task, a->n_tasks + 1);
    p->n_tasks = a->n_tasks;
    for (int i = 0; i < a->n_tasks; i++) {
        const struct command_task *t = &a->tasks[i];
        p->tasks[i] =
            (struct rehearse_task) {t->id, t->kind, t->ms, t->lock, t->estimate_rows, waits[i]};
    }
}

static bool is_step(const struct rehearse_phase *p, const char *id)
{
    for (int i = 0; i < p->n_tasks; i++)
        if (strcmp(p->tasks[i].id, id) == 0)
            return strcmp(p->tasks[i].kind, task_kind_word(TASK_STEP)) == 0 ||
                   strcmp(p->tasks[i].kind, task_kind_word(TASK_SYNC_INSTALL)) == 0;
    return false;
}

static void add_repeat(struct scene *s, struct rehearse_phase *p, const char *id,
                       const struct text_list *left)
{
    p->repeats = arena_more(s->a, p->repeats, sizeof *p->repeats, p->n_repeats);
    p->repeats[p->n_repeats++] = (struct rehearse_repeat) {id, left->n == 0, *left};
    if (left->n)
        problem(s,
                arena_printf(s->a, "step %s of %s isn't idempotent, run a second time", id,
                             phase_word(p->phase)),
                left);
}

static bool repeat_steps(struct scene *s, struct rehearse_phase *p, struct err *err)
{
    struct command c = {COMMAND_REPEAT, &s->plan, p->phase, false};
    struct command_answer a = {0};
    bool any = false;

    for (int i = 0; i < p->n_tasks; i++)
        any |= is_step(p, p->tasks[i].id);
    if (!any)
        return true;
    if (!command_run(s, &c, &a, err))
        return false;
    for (int i = 0; i < a.n_tasks; i++)
        if (is_step(p, a.tasks[i].id))
            add_repeat(s, p, a.tasks[i].id, &a.tasks[i].left);
    if (a.ok)
        return true;
    struct text_list left = {0};
    text_add(s->a, &left, "%s", a.message);
    add_repeat(s, p, a.task ? a.task : "of the phase", &left);
    return true;
}

/* A refusal is what the plan says of itself: there is no way back. */
static void no_undo(struct scene *s, struct rehearse_phase *p, const struct command_answer *a)
{
    struct text_list left = {0};

    p->undo_why = a->message;
    p->undo = strcmp(a->kind, err_kind_word(ERR_REFUSED)) == 0 && a->reason &&
                      (strcmp(a->reason, guard_word(GUARD_LOSSLESS)) == 0 ||
                       strcmp(a->reason, "complete") == 0)
                  ? REHEARSE_NO_UNDO
                  : REHEARSE_UNDO_FAILED;
    text_add(s->a, &left, "%s", a->message);
    if (p->undo == REHEARSE_UNDO_FAILED)
        problem(s, arena_printf(s->a, "the undo of %s fails", phase_word(p->phase)), &left);
}

/* Contract is restored even where a step of it has no way back: what differs then is what that one made. */
static void keep_what_stays(struct scene *s, struct rehearse_phase *p, const struct text_list *ids)
{
    AUTO(str) steps = {0};

    for (int i = 0; i < ids->n; i++)
        str_addf(&steps, "%s%s", i ? ", " : "", ids->items[i].s);
    for (int i = 0; i < p->left.n; i++)
        text_add(s->a, &p->stays, "%s", p->left.items[i].s);
    p->left = (struct text_list) {0};
    p->undo = REHEARSE_NO_UNDO;
    p->undo_why = arena_printf(s->a, "%s of %s has no undo: what it made stays", str_text(&steps),
                               phase_word(p->phase));
}

static bool undo_and_again(struct scene *s, struct rehearse_phase *p, const struct state *before,
                           const struct state *after, struct err *err)
{
    struct command undo = {COMMAND_UNDO, &s->plan, p->phase, false};
    struct command again = {COMMAND_AGAIN, &s->plan, p->phase, false};
    struct command_answer a = {0};
    struct text_list elsewhere = {0};
    int64_t *waits = NULL;
    struct state now;

    if (!run_loaded(s, &undo, &a, &waits, err))
        return false;
    p->undo_ms = a.ms;
    if (!a.ok) {
        no_undo(s, p, &a);
        return true;
    }
    if (!state_read(s, &now, err))
        return false;
    state_compare(s->a, before, &now, &s->start, &p->left, &p->stays);
    p->undo = p->left.n ? REHEARSE_LEFT : REHEARSE_UNDONE;
    if (p->left.n && a.stays.n)
        keep_what_stays(s, p, &a.stays);
    if (p->left.n)
        problem(s, arena_printf(s->a, "the undo of %s doesn't undo it", phase_word(p->phase)),
                &p->left);
    if (!run_loaded(s, &again, &a, &waits, err))
        return false;
    p->again_ms = a.ms;
    if (!a.ok)
        text_add(s->a, &elsewhere, "%s", a.message);
    else if (!state_read(s, &now, err))
        return false;
    else if (!restless_compare(s, after, &now, &elsewhere, err))
        return false;
    if (elsewhere.n)
        problem(s, arena_printf(s->a, "%s after its undo leads elsewhere", phase_word(p->phase)),
                &elsewhere);
    return true;
}

/* *whole false: the way ends here. before: what was there; after it what is now. */
static bool one_phase(struct scene *s, enum phase phase, struct state *before, bool *whole,
                      struct err *err)
{
    struct rehearse_phase *p = &s->out->phases[s->out->n_phases++];
    struct command c = {COMMAND_ADVANCE, &s->plan, phase, true};
    struct command_answer a = {0};
    int64_t bytes[2], wal[2], *waits = NULL;
    struct state after;
    int problems = s->out->problems.n;

    say(s, phase_word(phase), "forward, its steps twice, back, and forward again");
    *p = (struct rehearse_phase) {.phase = phase, .release = s->plan.phases[phase].release.s};
    if (!stage_sizes(s, &bytes[0], &wal[0], err) || !run_loaded(s, &c, &a, &waits, err) ||
        !stage_sizes(s, &bytes[1], &wal[1], err))
        return false;
    take_tasks(s, p, &a, waits);
    p->ms = a.ms;
    p->growth_bytes = bytes[1] - bytes[0];
    p->wal_bytes = wal[1] - wal[0];
    *whole = a.ok;
    if (!a.ok) {
        struct text_list left = {0};
        text_add(s->a, &left, "%s", a.message);
        if (!s->o->clone_url && !s->set.project.baseline.s)
            text_add(s->a, &left, "the project has no baseline:, so the server began empty");
        p->undo = REHEARSE_NO_UNDO;
        p->undo_why = "it didn't get so far";
        problem(s, arena_printf(s->a, "%s fails", phase_word(phase)), &left);
        return true;
    }
    if (!state_read(s, &after, err) || !repeat_steps(s, p, err))
        return false;
    /* What a second run has changed isn't the undo's to take back. */
    *whole = s->out->problems.n == problems;
    if (!*whole)
        p->undo = REHEARSE_NO_UNDO, p->undo_why = "its steps changed something when run again";
    if (*whole && !undo_and_again(s, p, before, &after, err))
        return false;
    *whole = s->out->problems.n == problems;
    *before = after;
    return true;
}

/* What comes before this phase of the plans that it depends on, and hasn't come yet. */
static bool go_between(struct scene *s, enum phase phase, struct state *before, struct err *err)
{
    int passed = s->n_passed;

    while (s->n_passed < s->n_between && stage_comes_before(s, &s->between[s->n_passed], phase)) {
        const struct between *b = &s->between[s->n_passed++];
        const struct command c = {COMMAND_AGAIN, b->plan, b->phase, false};
        struct command_answer a = {0};

        say(s, phase_word(phase),
            arena_printf(s->a, "before it %s of plan %s", phase_word(b->phase), b->plan->id.s));
        if (!command_run(s, &c, &a, err))
            return false;
        if (!a.ok) {
            err_set(err, ERR_NO, "%s of plan %s, which comes before %s of %s, can't be run: %s",
                    phase_word(b->phase), b->plan->id.s, phase_word(phase), s->plan.id.s,
                    a.message);
            return err_hint(err, "phasegate rehearse %s", b->plan->id.s);
        }
        text_add(s->a, &s->out->between, "%s of plan %s (%s), before %s", phase_word(b->phase),
                 b->plan->id.s, b->plan->phases[b->phase].release.s, phase_word(phase));
    }
    return passed == s->n_passed || state_read(s, before, err);
}

/* ---- the whole way ---------------------------------------------------------------------------------------------- */

static void note_rows(struct scene *s, const struct state *end)
{
    struct rehearsal *r = s->out;

    r->rows = arena_array(s->a, struct rehearse_rows, s->start.n_tables + end->n_tables + 1);
    for (int side = 0; side < 2; side++) {
        const struct state *of = side ? end : &s->start;
        for (int i = 0; i < of->n_tables; i++) {
            const struct state_table *t = &of->tables[i];
            const char *name = arena_printf(s->a, "%s.%s", t->schema, t->name);
            int k = 0;
            while (k < r->n_rows && strcmp(r->rows[k].table, name) != 0)
                k++;
            if (k == r->n_rows)
                r->rows[r->n_rows++] = (struct rehearse_rows) {.table = name};
            *(side ? &r->rows[k].after : &r->rows[k].before) = t->rows;
        }
    }
}

/* All of it undone, one phase after the other: then it is as it was at the start, the filled columns with it. */
static bool go_back(struct scene *s, struct err *err)
{
    struct rehearsal *r = s->out;
    struct state now;

    if (s->n_passed > 0) {
        r->chain_why = "plans that it depends on have gone on between its phases";
        return true;
    }
    say(s, NULL, "all the way back");
    for (int i = r->n_phases - 1; i >= 0; i--) {
        struct command c = {COMMAND_UNDO, &s->plan, r->phases[i].phase, false};
        struct command_answer a = {0};
        if (r->phases[i].undo != REHEARSE_UNDONE) {
            r->chain_why = arena_printf(s->a, "%s has no undo", phase_word(r->phases[i].phase));
            return true;
        }
        if (!command_run(s, &c, &a, err))
            return false;
        if (!a.ok) {
            text_add(s->a, &r->chain_left, "%s", a.message);
            problem(s, "the way back from the end fails", &r->chain_left);
            return true;
        }
    }
    if (!state_read(s, &now, err))
        return false;
    state_compare(s->a, &s->start, &now, NULL, &r->chain_left, NULL);
    r->went_back = r->chain_left.n == 0;
    if (!r->went_back)
        problem(s, "the way back from the end doesn't lead to the start", &r->chain_left);
    return true;
}

/* The way that is to be disturbed: forward, contract restored and hidden again; on a clone also back to its start. */
static int lay_way(struct scene *s, struct command *way)
{
    const struct rehearsal *r = s->out;
    int n = 0, passed = 0;

    for (int i = 0; i < r->n_phases; i++) {
        for (;
             passed < s->n_passed && stage_comes_before(s, &s->between[passed], r->phases[i].phase);
             passed++)
            way[n++] = (struct command) {COMMAND_AGAIN, s->between[passed].plan,
                                         s->between[passed].phase, false};
        way[n++] = (struct command) {COMMAND_ADVANCE, &s->plan, r->phases[i].phase, false};
    }
    const struct rehearse_phase *last = &r->phases[r->n_phases - 1];
    if (last->phase == PHASE_CONTRACT && last->undo == REHEARSE_UNDONE) {
        way[n++] = (struct command) {COMMAND_UNDO, &s->plan, PHASE_CONTRACT, false};
        way[n++] = (struct command) {COMMAND_ADVANCE, &s->plan, PHASE_CONTRACT, false};
    }
    for (int i = r->n_phases - 1; s->o->clone_url && i >= 0; i--)
        way[n++] = (struct command) {COMMAND_UNDO, &s->plan, r->phases[i].phase, false};
    return n;
}

static bool undisturbed_and_killed(struct scene *s, struct err *err)
{
    int most = WAY_MAX + s->n_passed;
    struct command *way = arena_array(s->a, struct command, most);
    struct state *after = arena_array(s->a, struct state, most);
    int64_t *took = arena_array(s->a, int64_t, most);
    struct clock *clock = s->o->ports->clock;
    int n = lay_way(s, way);

    say(s, NULL, arena_printf(s->a, "killed and resumed, %lld times", (long long) s->o->kills));
    if (!s->o->clone_url && !stage_reset(s, err))
        return false;
    for (int i = 0; i < n; i++) {
        struct command_answer a = {0};
        int64_t began = clock_mono_ms(clock);
        if (!command_run(s, &way[i], &a, err))
            return false;
        took[i] = clock_mono_ms(clock) - began;
        if (!a.ok) {
            struct text_list left = {0};
            text_add(s->a, &left, "%s", a.message);
            problem(s, arena_printf(s->a, "\"%s\" fails", command_text(s->a, &way[i])), &left);
            return true;
        }
        if (!state_read(s, &after[i], err))
            return false;
    }
    if (!kills_run(s, way, after, took, n, err))
        return false;
    for (int i = 0; i < s->out->kills.n_elsewhere; i++) {
        const struct rehearse_kill *k = &s->out->kills.elsewhere[i];
        problem(s,
                arena_printf(s->a, "\"%s\" killed after %lld ms and given again leads elsewhere",
                             k->command, (long long) k->after_ms),
                &k->left);
    }
    return true;
}

static bool kills(struct scene *s, struct err *err)
{
    struct rehearsal *r = s->out;

    r->kills.wanted = s->o->kills;
    if (!r->kills.wanted || !r->n_phases)
        return true;
    if (r->problems.n)
        r->kills.why = "what leads somewhere else undisturbed can't be compared";
    else if (s->o->clone_url && !r->went_back)
        r->kills.why = "a clone can only be put back where the plan has a way back";
    return r->kills.why != NULL || undisturbed_and_killed(s, err);
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

/* A statement that ran in some load isn't idle. */
static void judge_load(struct scene *s)
{
    struct rehearsal *r = s->out;
    struct text_list idle = {0}, failed = {0};

    for (int i = 0; i < r->load.idle.n; i++) {
        const char *line = r->load.idle.items[i].s;
        bool ran = false;
        for (int k = 0; k < s->ran.n; k++) {
            size_t n = strlen(s->ran.items[k].s);
            ran |= strncmp(line, s->ran.items[k].s, n) == 0 && line[n] == ':';
        }
        if (!ran && !text_list_has(&idle, line))
            text_add(s->a, &idle, "%s", line);
    }
    r->load.idle = idle;
    r->load.n_statements = s->ran.n + idle.n;
    for (int i = 0; i < r->load.n_failures; i++) {
        const struct rehearse_failure *f = &r->load.failures[i];
        text_add(s->a, &failed, "%lld of %s of release %s during \"%s\" (%s: %s)",
                 (long long) f->count, f->statement, f->release, f->during, f->sqlstate,
                 f->message);
    }
    if (failed.n)
        problem(s, "requests failed while the plan ran", &failed);
}

static bool begins_at(struct scene *s, enum phase *first, struct err *err)
{
    struct plan_state state = {0};
    struct db *db = NULL;

    if (!stage_db(s, false, &db, err))
        return false;
    bool ok = ledger_plan_state(db, s->a, s->plan.id.s, &state, err);
    db_close(db);
    if (!ok)
        return false;
    *first = stage_next_phase(state.stage);
    if (stage_is_running(state.stage) || stage_is_undoing(state.stage)) {
        err_set(err, ERR_REFUSED, "the clone was taken in the middle of %s of plan %s",
                stage_word(state.stage), s->plan.id.s);
        err_hint(err, "take one before the phase begins, or after it has ended");
        return err_reason(err, "rehearsal");
    }
    if (*first != PHASE_NONE)
        return true;
    err_set(err, ERR_REFUSED, "nothing of plan %s is left to rehearse there: it stands at \"%s\"",
            s->plan.id.s, stage_word(state.stage));
    return err_reason(err, "complete");
}

static bool play(struct scene *s, struct err *err)
{
    enum phase first;
    struct state now;
    bool whole = true;

    if (!begins_at(s, &first, err) || !state_read(s, &s->start, err))
        return false;
    now = s->start;
    for (int i = first; i <= PHASE_LAST && whole; i++)
        if (s->plan.phases[i].present && (!go_between(s, (enum phase) i, &now, err) ||
                                          !one_phase(s, (enum phase) i, &now, &whole, err)))
            return false;
    note_rows(s, &now);
    if (whole && !go_back(s, err))
        return false;
    judge_load(s);
    return tests_run(s, err) && kills(s, err);
}

bool rehearse_run(const struct rehearse_options *o, struct arena *a, struct rehearsal *out,
                  struct err *err)
{
    struct scene s = {.o = o, .a = a, .out = out};
    int64_t began = clock_mono_ms(o->ports->clock);

    *out = (struct rehearsal) {0};
    bool ok = stage_open(&s, err) && play(&s, err);
    stage_close(&s);
    out->ms = clock_mono_ms(o->ports->clock) - began;
    return ok;
}
