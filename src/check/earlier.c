/* Transitions that come before the one that is proved, and haven't been made: a dry run of several plans. What they make
 * of the database is its baseline then. Each has had a proof of its own: of what it does nothing is told here. */
#include "check/work.h"

static bool run_tasks(struct proof *b, struct err *err)
{
    for (int s = 1; s < b->t.n_states; s++) {
        const struct timeline_state *state = &b->t.states[s];

        /* The rows of a baseline are made later. */
        if (state->by != STATE_TASK || state->task->kind == TASK_BACKFILL)
            continue;
        b->told[s] = true;
        if (!replay_task(b, s, err) || !catalogue_read(b->root, b->a, &b->now, err))
            return false;
    }
    return true;
}

static bool run_one(struct proof *p, const struct timeline_next *next, struct err *err)
{
    AUTO(report) untold = {0};
    struct timeline_options to = {.window = p->o->window};
    struct check_options o = *p->o;
    struct proof b = {.set = p->set,
                      .o = &o,
                      .report = &untold,
                      .a = p->a,
                      .scratch = p->scratch,
                      .shadow = p->shadow,
                      .losses = p->losses,
                      .database = p->database,
                      .root = p->root,
                      .owner = p->owner};

    o.next = next;
    timeline_build_next(b.a, b.set, &to, next, &b.t);
    b.broken = arena_array(b.a, bool, b.t.n_states);
    b.endless = arena_array(b.a, bool, b.t.n_states);
    b.told = arena_array(b.a, bool, b.t.n_states);
    b.in_place = arena_array(b.a, bool, b.t.n_states);
    b.forgot = arena_array(b.a, bool, b.t.n_states);
    return catalogue_read(b.root, b.a, &b.now, err) && run_tasks(&b, err);
}

bool earlier_run(struct proof *p, struct err *err)
{
    for (int i = 0; i < p->o->n_earlier; i++)
        if (!run_one(p, &p->o->earlier[i], err))
            return false;
    return true;
}
