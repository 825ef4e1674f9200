/* Going back: the stored undo of a phase, its chain checked whole before the first statement. */
#include "internal.h"

#include <jansson.h>

#define STAYS "it has no undo: what it made stays"

bool undo_covers(const struct history_row *r)
{
    return strcmp(r->status, "done") == 0 || strcmp(r->status, "started") == 0;
}

static bool is_in_phase(const struct work *w, const struct history_row *r)
{
    return strcmp(r->phase, phase_word(w->phase)) == 0 &&
           (strcmp(r->kind, task_kind_word(TASK_STEP)) == 0 ||
            strcmp(r->kind, task_kind_word(TASK_SYNC_INSTALL)) == 0);
}

static json_t *stored_undo(const struct history_row *r)
{
    json_t *o = r->detail ? json_loads(r->detail, 0, NULL) : NULL;
    json_t *list = o ? json_incref(json_object_get(o, "undo")) : NULL;

    json_decref(o);
    return list;
}

/* Of a row that an older version wrote the plan has to say it. */
static bool plan_loses(struct work *w, const struct history_row *r)
{
    bool finish = strncmp(r->step, "finish/", 7) == 0;
    const struct phase_plan *ph = &w->p->phases[w->phase];
    const struct step_list *list = finish ? &ph->finish : &ph->steps;

    for (int i = 0; i < list->n; i++)
        if (strcmp(list->items[i].id.s, finish ? r->step + 7 : r->step) == 0)
            return strcmp(step_reversibility(&list->items[i]), "lossless") != 0;
    return false;
}

bool undo_loses(struct work *w, const struct history_row *r)
{
    json_t *o = r->detail ? json_loads(r->detail, 0, NULL) : NULL;
    const json_t *lossless = json_object_get(o, "lossless");
    bool loses = lossless ? !json_is_true(lossless) : r->undo_sql && plan_loses(w, r);

    json_decref(o);
    return loses;
}

/* Data that only the new shape holds is lost when expand is undone after writes went there without a way
 * back; a step without an undo can't be taken back at all. */
bool undo_losses(struct work *w, bool *lossless, const char **what, struct err *err)
{
    (void) err;
    *lossless = true;
    *what = NULL;
    w->phase = stage_phase(w->state.stage);
    if (w->phase == PHASE_WRITE_ACTIVATION && w->state.first_write_rung &&
        w->p->sync.by != SYNC_NONE && w->p->sync.reverse.n == 0) {
        *lossless = false;
        *what =
            "new writes went to the new shape and sync has no reverse: going back would lose them";
        return true;
    }
    for (int i = 0; i < w->n_steps; i++) {
        const struct history_row *r = &w->steps[i];
        if (!is_in_phase(w, r) || !undo_covers(r) || strcmp(r->kind, "sync install") == 0)
            continue;
        if (!r->undo_sql) {
            *lossless = false;
            *what = arena_printf(w->a, "step %s of %s has no undo", r->step, r->phase);
            return true;
        }
    }
    for (int i = 0; i < w->n_steps; i++) {
        const struct history_row *r = &w->steps[i];
        if (is_in_phase(w, r) && undo_covers(r) && undo_loses(w, r)) {
            *lossless = false;
            *what = arena_printf(w->a, "undoing step %s would lose data", r->step);
            return true;
        }
    }
    return true;
}

struct undo_ctx {
    const struct history_row *row;
    const struct task *task;
    json_t *list;
    int64_t started_ms;
};

static bool build_undo(struct work *w, struct txn *t, int64_t lock_ms, void *ctx, struct err *err)
{
    struct undo_ctx *c = ctx;
    size_t i;
    json_t *item;

    (void) err;
    txn_begin(w, t, lock_ms, w->e->policy.statement_timeout_ms);
    txn_user_path(w, t);
    json_array_foreach(c->list, i, item)
        txn_add(t, arena_strdup(w->a, json_string_value(json_object_get(item, "sql"))), NULL);
    txn_own_path(t);
    record_task(w, t, c->task, "undone", clock_mono_ms(w->e->ports->clock) - c->started_ms,
                c->row->undo_sql, NULL, NULL);
    return true;
}

static bool has_standalone(json_t *list)
{
    size_t i;
    json_t *item;
    bool any = false;

    json_array_foreach(list, i, item) any |= json_is_true(json_object_get(item, "standalone"));
    return any;
}

/* A started step that never came to be has nothing to undo. */
static bool came_to_be(struct work *w, const struct history_row *r, bool *out, struct err *err)
{
    const struct step_list *lists[] = {&w->p->phases[w->phase].steps,
                                       &w->p->phases[w->phase].finish};

    *out = true;
    if (strcmp(r->status, "started") != 0)
        return true;
    const char *id = strncmp(r->step, "finish/", 7) == 0 ? r->step + 7 : r->step;
    for (int l = 0; l < 2; l++)
        for (int i = 0; i < lists[l]->n; i++) {
            bool known = false;
            if (strcmp(lists[l]->items[i].id.s, id) == 0 &&
                !step_observe_applied(w, &lists[l]->items[i], &known, out, err))
                return false;
            if (strcmp(lists[l]->items[i].id.s, id) == 0 && !known)
                *out = true;
        }
    return true;
}

/* It commits by itself, so a run that died may have done it without a row to show for it. What it left half
 * done (an index that is invalid since) is cleaned up by the same statement as after a build. */
static bool run_undo_alone(struct work *w, json_t *item, struct err *err)
{
    struct sql_stmt s = {.sql = json_string_value(json_object_get(item, "sql")),
                         .kind = "undo",
                         .half_made_when =
                             json_string_value(json_object_get(item, "half_made_when")),
                         .clean_up = json_string_value(json_object_get(item, "clean_up"))};
    const char *done_when = json_string_value(json_object_get(item, "done_when"));
    bool done = false;

    if (!step_clean_half_made(w, &s, err) || (done_when && !ask_bool(w, done_when, &done, err)))
        return false;
    return done || step_statement_standalone(w, &s, w->e->policy.lock_timeout_ms, err);
}

static bool run_undo_list(struct work *w, struct undo_ctx *c, struct err *err)
{
    size_t i;
    json_t *item;

    const char *table = c->task->kind == TASK_SYNC_INSTALL
                            ? table_text(w, w->p->sync.schema.s, w->p->sync.table.s)
                            : NULL;

    if (!has_standalone(c->list))
        return txn_retry(w, table, w->e->policy.lock_timeout_ms, build_undo, c, err);
    json_array_foreach(c->list, i, item) if (!run_undo_alone(w, item, err)) return false;
    return record_task_now(w, c->task, "undone", clock_mono_ms(w->e->ports->clock) - c->started_ms,
                           c->row->undo_sql, NULL, NULL, err);
}

static bool undo_row(struct work *w, const struct history_row *r, struct err *err)
{
    struct task t = {.kind = strcmp(r->kind, "sync install") == 0 ? TASK_SYNC_INSTALL : TASK_STEP,
                     .id = r->step,
                     .title = arena_printf(w->a, "undo of %s", r->step),
                     .checksum = r->checksum};
    struct undo_ctx c = {.row = r, .task = &t, .started_ms = clock_mono_ms(w->e->ports->clock)};
    bool there = true;

    emit(w, EVENT_START, r->step, "%s", t.title);
    c.list = stored_undo(r);
    if (t.kind == TASK_SYNC_INSTALL && !c.list)
        return sync_undo(w, &t, err);
    if (t.kind == TASK_STEP && !came_to_be(w, r, &there, err)) {
        json_decref(c.list);
        return false;
    }
    bool ok = !c.list || !there ? record_task_now(w, &t, "undone", 0, NULL, NULL, NULL, err)
                                : run_undo_list(w, &c, err);
    bool stays = !c.list && there;
    json_decref(c.list);
    if (!ok)
        return err_note(err, "undo of step %s", r->step);
    if (stays)
        emit(w, EVENT_SKIPPED, r->step, STAYS);
    report_task(w, &t, stays ? "stays" : "undone", clock_mono_ms(w->e->ports->clock) - c.started_ms,
                stays ? STAYS : NULL);
    return true;
}

/* A run that died between a rung's request and its row left more exposure than the state says. */
static bool flag_down(struct work *w, enum flag_role role, struct err *err)
{
    struct flag_obs seen[FLAG_ROLES];

    if (!w->p->flags[role].key.s || !w->e->flags)
        return true;
    if (w->state.percent[role] == 0) {
        flags_observe(w, seen);
        if (flag_exposure(seen[role].state, seen[role].percent) == 0)
            return true;
    }
    return flags_set_percent(w, role, 0, "rollback", err);
}

/* Flags down first (write before read would strand readers on rows that nobody keeps up), then the steps. */
bool undo_takes_flag(const struct work *w, enum flag_role role)
{
    if (role == FLAG_WRITE)
        return w->phase == PHASE_WRITE_ACTIVATION;
    return w->phase == PHASE_DUAL_READ ||
           (w->phase == PHASE_WRITE_ACTIVATION && w->p->sync.by != SYNC_TRIGGER);
}

bool undo_can_read_flags(struct work *w, struct decision *d)
{
    struct flag_obs seen[FLAG_ROLES];

    if (!w->e->flags || (!undo_takes_flag(w, FLAG_READ) && !undo_takes_flag(w, FLAG_WRITE)))
        return true;
    flags_observe(w, seen);
    for (int r = 0; r < FLAG_ROLES; r++) {
        const char *key = w->p->flags[r].key.s, *why = seen[r].why;

        if (!key || !undo_takes_flag(w, (enum flag_role) r) || seen[r].state != FLAG_UNKNOWN)
            continue;
        struct fact f;
        fact_no(&f,
                arena_printf(w->a, "flag \"%s\" can't be read: %s", key,
                             why ? why : "no reason was given"),
                arena_printf(w->a, "see to the flag service (%s), then the same command again",
                             flags_where(w->a, w->e->env, seen[r].by_token)));
        d->go = false;
        d->refusals[d->n_refusals++] =
            (struct refusal) {.reason = guard_word(GUARD_FLAGS_KNOWN), .fact = f};
        return false;
    }
    return true;
}

static bool flags_down(struct work *w, struct err *err)
{
    if (undo_takes_flag(w, FLAG_READ) && !flag_down(w, FLAG_READ, err))
        return false;
    if (undo_takes_flag(w, FLAG_WRITE) && !flag_down(w, FLAG_WRITE, err))
        return false;
    return true;
}

static bool is_repeated(const struct work *w, const struct history_row *r)
{
    static const enum task_kind looks[] = {TASK_VERIFY, TASK_COMPARE, TASK_GATES};

    if (is_in_phase(w, r))
        return strcmp(r->status, "skipped") == 0 || strcmp(r->status, "not_applicable") == 0;
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++)
        if (strcmp(r->phase, phase_word(w->phase)) == 0 &&
            strcmp(r->kind, task_kind_word(looks[i])) == 0)
            return strcmp(r->status, "undone") != 0;
    return false;
}

bool undo_phase(struct work *w, struct err *err)
{
    /* Without the trigger nothing keeps filled rows right; without the column there are none. */
    bool stays_filled =
        w->phase == PHASE_CONTRACT || (w->phase != PHASE_EXPAND && w->p->sync.by == SYNC_TRIGGER);

    const struct history_row **order = NULL;

    if (!undo_order(w, &order, err) || !flags_down(w, err) ||
        (!stays_filled && !verification_void(w, err)))
        return false;
    for (int i = 0; i < w->n_steps; i++) {
        const struct history_row *r = order[i];
        if (is_in_phase(w, r) && undo_covers(r) && !undo_row(w, r, err))
            return false;
        /* What was only looked at, skipped or didn't apply runs again in a later attempt. */
        if (is_repeated(w, r)) {
            struct task t = {.kind = TASK_STEP,
                             .id = r->step,
                             .title = "left as it was",
                             .checksum = r->checksum};
            if (!record_task_now(w, &t, "undone", 0, NULL, NULL, NULL, err))
                return false;
        }
    }
    return true;
}
