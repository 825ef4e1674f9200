/* The worlds that plans and releases can meet. */
#include "timeline_int.h"

#include "phasegate/problem.h"

#include <string.h>

const char *world_kind_word(enum world_kind k)
{
    static const char *const words[] = {
        [WORLD_BASELINE] = "baseline", [WORLD_EXPAND] = "expand",     [WORLD_ROLLING] = "rolling",
        [WORLD_FLAGS] = "flags",       [WORLD_CONTRACT] = "contract", [WORLD_RESTORED] = "restored",
        [WORLD_PURGED] = "purged",
    };

    return words[k];
}

/* ---- the life of a plan: every task that changes the database or a flag, in order -------------------- */

bool task_changes_database(const struct task *t)
{
    switch (t->kind) {
    case TASK_STEP:
    case TASK_SYNC_INSTALL:
    case TASK_SYNC_REMOVE:
    case TASK_BACKFILL:
    case TASK_SOFT_DROP:
    case TASK_PURGE_DROP: return true;
    case TASK_VERIFY:
    case TASK_COMPARE:
    case TASK_RUNG:
    case TASK_GATES: return false;
    }
    return false;
}

/* Write activation takes up the rungs of the read flag and the backfills of dual_read again, for the case that
 * they were undone: once is enough here. */
static bool is_repeated(const struct life *l, const struct task *t)
{
    for (int i = 0; i < l->n; i++) {
        const struct task *u = l->tasks[i].task;

        if (u->kind == t->kind && ((t->kind == TASK_BACKFILL && u->backfill == t->backfill) ||
                                   (t->kind == TASK_RUNG && u->flag == t->flag)))
            return true;
    }
    return false;
}

static void add_life(struct builder *b, const struct plan *p, enum phase phase, bool is_purge,
                     struct life *out)
{
    struct script s;

    plan_script(b->a, p, phase, is_purge, &s);
    for (int i = 0; i < s.n; i++) {
        const struct task *t = &s.tasks[i];

        if ((!task_changes_database(t) && t->kind != TASK_RUNG) || is_repeated(out, t))
            continue;
        out->tasks = arena_grow(b->a, out->tasks, sizeof *out->tasks * (size_t) out->n,
                                sizeof *out->tasks * (size_t) (out->n + 1));
        out->tasks[out->n++] = (struct life_task) {
            phase, is_purge, t, timeline_release_index(b->t, p->phases[phase].release.s)};
    }
}

static void gather_lives(struct builder *b)
{
    b->lives = arena_array(b->a, struct life, b->t->n_plans + 1);
    for (int i = 0; i < b->t->n_plans; i++)
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
            add_life(b, b->t->plans[i], (enum phase) ph, false, &b->lives[i]);
            if (ph == PHASE_CONTRACT)
                add_life(b, b->t->plans[i], PHASE_CONTRACT, true, &b->lives[i]);
        }
}

/* ---- releases and flags -------------------------------------------------------------------------------- */

int timeline_release_index(const struct timeline *t, const char *version)
{
    for (int i = 0; version && i < t->n_releases; i++)
        if (strcmp(t->releases[i].version, version) == 0)
            return i;
    return -1;
}

int timeline_flag_index(const struct timeline *t, const char *key)
{
    for (int i = 0; key && i < t->n_flags; i++)
        if (strcmp(t->flags[i], key) == 0)
            return i;
    return -1;
}

bool world_has_release(const struct timeline *t, const struct timeline_world *w, int release)
{
    return t->releases[release].is_consumer || (release >= w->oldest && release <= w->newest);
}

static void add_unlisted(struct builder *b, const char *version)
{
    struct timeline *t = b->t;
    int at = t->n_releases;

    if (!version || timeline_release_index(t, version) >= 0)
        return;
    while (at > 0 && release_compare(&b->set->project, version, t->releases[at - 1].version) < 0)
        at--;
    memmove(&t->releases[at + 1], &t->releases[at],
            sizeof *t->releases * (size_t) (t->n_releases - at));
    t->releases[at] = (struct timeline_release) {.version = version, .is_projected = true};
    t->n_releases++;
}

static void gather_releases(struct builder *b)
{
    const struct project *prj = &b->set->project;
    struct timeline *t = b->t;

    t->releases = arena_array(b->a, struct timeline_release,
                              prj->n_releases + prj->n_consumers + t->n_plans * PHASE_SLOTS + 1);
    for (int i = 0; i < prj->n_releases; i++)
        t->releases[t->n_releases++] = (struct timeline_release) {
            prj->releases[i].version.s, &prj->releases[i], prj->releases[i].planned, false};
    for (int i = 0; i < t->n_plans; i++)
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
            if (t->plans[i]->phases[ph].present)
                add_unlisted(b, t->plans[i]->phases[ph].release.s);
    for (int i = 0; i < prj->n_consumers; i++)
        t->releases[t->n_releases + t->n_consumers++] = (struct timeline_release) {
            prj->consumers[i].version.s, &prj->consumers[i], false, true};
}

static void gather_flags(struct builder *b)
{
    struct timeline *t = b->t;

    t->flags = arena_array(b->a, const char *, t->n_plans *FLAG_ROLES + 1);
    for (int i = 0; i < t->n_plans; i++)
        for (int r = 0; r < FLAG_ROLES; r++) {
            const char *key = t->plans[i]->flags[r].key.s;
            if (key && timeline_flag_index(t, key) < 0)
                t->flags[t->n_flags++] = key;
        }
}

/* ---- states and worlds ----------------------------------------------------------------------------------- */

int timeline_add_state(struct builder *b, struct timeline_state s)
{
    struct timeline *t = b->t;
    int *done = arena_array(b->a, int, t->n_plans + 1);

    if (t->n_states == b->cap_states) {
        int cap = b->cap_states ? 2 * b->cap_states : 32;
        t->states = arena_grow(b->a, t->states, sizeof *t->states * (size_t) b->cap_states,
                               sizeof *t->states * (size_t) cap);
        b->cap_states = cap;
    }
    memcpy(done, b->done, sizeof *done * (size_t) t->n_plans);
    s.done = done;
    t->states[t->n_states] = s;
    return t->n_states++;
}

static const bool *flags_of(const struct builder *b)
{
    struct timeline *t = b->t;
    bool *either = arena_array(b->a, bool, t->n_flags + 1);

    for (int i = 0; i < t->n_plans; i++)
        for (int k = 0; k < b->done[i]; k++) {
            const struct task *task = b->lives[i].tasks[k].task;
            int f = task->kind == TASK_RUNG
                        ? timeline_flag_index(t, t->plans[i]->flags[task->flag].key.s)
                        : -1;
            if (f >= 0)
                either[f] = true;
        }
    timeline_flags_up(b, either);
    return either;
}

static int at_least_first(int64_t i) { return i < 0 ? 0 : (int) i; }

static void add_world(struct builder *b, enum world_kind kind, int release, int oldest, int newest)
{
    struct timeline *t = b->t;

    if (t->n_worlds == b->cap_worlds) {
        int cap = b->cap_worlds ? 2 * b->cap_worlds : 32;
        t->worlds = arena_grow(b->a, t->worlds, sizeof *t->worlds * (size_t) b->cap_worlds,
                               sizeof *t->worlds * (size_t) cap);
        b->cap_worlds = cap;
    }
    timeline_live(b, &oldest, &newest);
    t->worlds[t->n_worlds++] =
        (struct timeline_world) {kind, b->state, release, oldest, newest, flags_of(b)};
}

void timeline_world_before(struct builder *b, enum world_kind kind, int release)
{
    add_world(b, kind, release, at_least_first(release - b->window), release - 1);
}

void timeline_world_after(struct builder *b, enum world_kind kind, int release)
{
    add_world(b, kind, release, at_least_first(release - b->window), release);
}

/* ---- one release's stretch ----------------------------------------------------------------------------------- */

bool is_in_stretch(const struct life_task *l, const struct stretch *s)
{
    return l->release == s->release && (l->phase == PHASE_EXPAND) == s->before;
}

static enum world_kind kind_of(const struct life_task *l)
{
    if (l->phase == PHASE_EXPAND)
        return WORLD_EXPAND;
    if (l->phase != PHASE_CONTRACT)
        return WORLD_FLAGS;
    return l->is_purge ? WORLD_PURGED : WORLD_CONTRACT;
}

static void add_task_world(struct builder *b, const struct life_task *l, int release)
{
    if (l->phase == PHASE_EXPAND)
        timeline_world_before(b, kind_of(l), release);
    else
        timeline_world_after(b, kind_of(l), release);
}

/* Has the stretch a world already that asks as much? Plans that meet come to some places by more than one way. */
static bool has_world(const struct builder *b, int since)
{
    const bool *either = flags_of(b);

    for (int i = since; i < b->t->n_worlds; i++) {
        bool has = b->t->worlds[i].state == b->state;

        for (int f = 0; has && f < b->t->n_flags; f++)
            has = b->t->worlds[i].either[f] || !either[f];
        if (has)
            return true;
    }
    return false;
}

void timeline_take(struct builder *b, int plan, const struct stretch *s, int known)
{
    const struct life_task *l = &b->lives[plan].tasks[b->done[plan]++];

    if (known >= 0)
        b->state = known;
    else if (task_changes_database(l->task))
        b->state = timeline_add_state(b, (struct timeline_state) {.from = b->state,
                                                                  .by = STATE_TASK,
                                                                  .plan = plan,
                                                                  .phase = l->phase,
                                                                  .is_purge = l->is_purge,
                                                                  .task = l->task});
    if (!has_world(b, s->first_world))
        add_task_world(b, l, s->release);
}

/* Out of the hold and in again: what is hidden comes back as it was. */
static void restore(struct builder *b, int plan, int release)
{
    int hidden = b->state;

    b->state = timeline_add_state(
        b, (struct timeline_state) {
               .from = hidden, .by = STATE_RESTORE, .plan = plan, .phase = PHASE_CONTRACT});
    timeline_world_after(b, WORLD_RESTORED, release);
    b->state = hidden;
}

static bool hides(const struct life *l, int upto)
{
    for (int i = 0; i < upto; i++)
        if (l->tasks[i].task->kind == TASK_SOFT_DROP)
            return true;
    return false;
}

static void walk_plan(struct builder *b, int plan, const struct stretch *s)
{
    const struct life *l = &b->lives[plan];

    while (b->done[plan] < l->n && is_in_stretch(&l->tasks[b->done[plan]], s)) {
        const struct life_task *next = &l->tasks[b->done[plan]];

        if (next->is_purge && (b->done[plan] == 0 || !l->tasks[b->done[plan] - 1].is_purge) &&
            hides(l, b->done[plan]))
            restore(b, plan, s->release);
        timeline_take(b, plan, s, -1);
    }
}

/* Group by group: what plans that don't meet do in turn is the same in any order. */
static void walk_group(struct builder *b, const struct stretch *s, const bool *group)
{
    int state = b->state, n = 0;
    int *done = arena_array(b->a, int, b->t->n_plans + 1);

    memcpy(done, b->done, sizeof *done * (size_t) b->t->n_plans);
    for (int i = 0; i < b->t->n_plans; i++)
        if (group[i]) {
            walk_plan(b, i, s);
            n++;
        }
    if (n > 1)
        walk_products(b, s, group, state, done);
}

static void walk_stretch(struct builder *b, int release, bool before)
{
    struct stretch s = {release, before, b->t->n_worlds};
    bool *group = arena_array(b->a, bool, b->t->n_plans + 1),
         *walked = arena_array(b->a, bool, b->t->n_plans + 1);

    for (int i = 0; i < b->t->n_plans; i++) {
        if (walked[i] || !takes_part(b, i, &s))
            continue;
        gather_group(b, i, &s, group);
        walk_group(b, &s, group);
        for (int k = 0; k < b->t->n_plans; k++)
            walked[k] |= group[k];
    }
}

static bool has_expand(const struct builder *b, int release)
{
    const struct stretch s = {release, true, 0};

    for (int i = 0; i < b->t->n_plans; i++)
        if (b->lives[i].n > 0 && is_in_stretch(&b->lives[i].tasks[0], &s))
            return true;
    return false;
}

void timeline_open(struct builder *b)
{
    const struct plan **order = arena_array(b->a, const struct plan *, b->set->n_plans + 1);

    memset(b->t, 0, sizeof *b->t);
    plan_set_order(b->set, order);
    b->t->plans = order;
    b->t->n_plans = b->set->n_plans;
    gather_releases(b);
    gather_flags(b);
    gather_lives(b);
    b->done = arena_array(b->a, int, b->t->n_plans + 1);
}

void timeline_build(struct arena *a, const struct plan_set *set, const struct timeline_options *o,
                    struct timeline *out)
{
    struct builder b = {.a = a, .set = set, .t = out, .window = o->window};

    timeline_open(&b);
    b.state = timeline_add_state(&b, (struct timeline_state) {.from = -1, .plan = -1});
    /* Of what ran before the first release nothing is known, nor whether that one ran before its expand. */
    bool is_first_live = out->n_releases > 0 && !has_expand(&b, 0);
    add_world(&b, WORLD_BASELINE, 0, 0, is_first_live ? 0 : -1);
    for (int r = 0; r < out->n_releases; r++) {
        walk_stretch(&b, r, true);
        if (r > 0 || !is_first_live)
            timeline_world_after(&b, WORLD_ROLLING, r);
        walk_stretch(&b, r, false);
    }
}

const char *state_title(struct arena *a, const struct timeline *t, int state)
{
    const struct timeline_state *s = &t->states[state];

    if (s->by == STATE_BASELINE)
        return "baseline";
    const char *plan = t->plans[s->plan]->id.s;
    if (s->by == STATE_RESTORE)
        return arena_printf(a, "restored (contract of %s)", plan);
    return arena_printf(a, "%s (%s of %s)", s->task->id,
                        s->is_purge ? "purge" : phase_word(s->phase), plan);
}
