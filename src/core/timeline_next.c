/* The worlds that one transition leads through, from the database as it is. */
#include "timeline_int.h"

#include <string.h>

static int plan_index(const struct timeline *t, const char *id)
{
    for (int i = 0; i < t->n_plans; i++)
        if (strcmp(t->plans[i]->id.s, id) == 0)
            return i;
    return -1;
}

void timeline_flags_up(const struct builder *b, bool *either)
{
    for (int i = 0; b->next && i < b->next->n_up; i++) {
        int f = timeline_flag_index(b->t, b->next->up[i]);

        if (f >= 0)
            either[f] = true;
    }
}

void timeline_live(const struct builder *b, int *oldest, int *newest)
{
    bool none = *newest < *oldest;

    for (int i = 0; b->next && i < b->next->n_live; i++) {
        int r = timeline_release_index(b->t, b->next->live[i]);

        if (r < 0)
            continue;
        *oldest = none || r < *oldest ? r : *oldest;
        *newest = none || r > *newest ? r : *newest;
        none = false;
    }
}

static enum stage stage_of_plan(const struct builder *b, int plan)
{
    return b->next->stages[b->t->plans[plan] - b->set->plans];
}

/* How much of its life a plan may have behind it; what is running or being undone counts as done, for its flags have
 * been up. */
static int done_by_stage(const struct builder *b, int plan)
{
    const struct life *l = &b->lives[plan];
    int n = 0;

    if (!b->next->stages)
        return l->n;
    enum stage s = stage_of_plan(b, plan);
    while (n < l->n && l->tasks[n].phase <= stage_phase(s) &&
           (!l->tasks[n].is_purge || s >= STAGE_PURGING))
        n++;
    return n;
}

static int done_before(const struct builder *b, int plan)
{
    const struct life *l = &b->lives[plan];
    int n = 0;

    while (n < l->n &&
           (l->tasks[n].phase < b->next->phase ||
            (l->tasks[n].phase == b->next->phase && l->tasks[n].is_purge < b->next->is_purge)))
        n++;
    return n;
}

/* Before the last expand up to a release has finished nobody rolls it out: what it needs isn't there yet. */
static bool is_last_expand(const struct builder *b, int plan, int release)
{
    for (int i = 0; b->next->stages && i < b->t->n_plans; i++) {
        const struct phase_plan *e = &b->t->plans[i]->phases[PHASE_EXPAND];
        int bound = e->present ? timeline_release_index(b->t, e->release.s) : -1;

        if (i != plan && bound >= 0 && bound <= release &&
            !stage_has_finished(stage_of_plan(b, i), PHASE_EXPAND))
            return false;
    }
    return true;
}

void timeline_build_next(struct arena *a, const struct plan_set *set,
                         const struct timeline_options *o, const struct timeline_next *next,
                         struct timeline *out)
{
    struct builder b = {.a = a, .set = set, .t = out, .window = o->window, .next = next};
    bool before = next->phase == PHASE_EXPAND;

    timeline_open(&b);
    int plan = plan_index(out, next->plan);
    int release = timeline_release_index(out, next->release);
    /* Of the flags of this plan those that earlier phases have raised; of the others as far as they have got. */
    for (int i = 0; i < out->n_plans; i++)
        b.done[i] = i == plan ? done_before(&b, i) : done_by_stage(&b, i);
    b.state = timeline_add_state(&b, (struct timeline_state) {.from = -1, .plan = -1});
    if (before)
        timeline_world_before(&b, WORLD_BASELINE, release);
    else
        timeline_world_after(&b, WORLD_BASELINE, release);
    const struct life *l = &b.lives[plan];
    struct stretch s = {release, before, 0};
    while (b.done[plan] < l->n && l->tasks[b.done[plan]].phase == next->phase &&
           l->tasks[b.done[plan]].is_purge == next->is_purge)
        timeline_take(&b, plan, &s, -1);
    if (before && is_last_expand(&b, plan, release))
        timeline_world_after(&b, WORLD_ROLLING, release);
}
