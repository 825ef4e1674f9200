/* The worlds that plans and releases can meet. */
#include "phasegate/timeline.h"

#include "phasegate/problem.h"

#include <string.h>

#define MAX_PRODUCT 256 /* states of interleaved plans, for each release */

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

struct life_task {
    enum phase phase;
    bool is_purge;
    const struct task *task;
    int release; /* index; -1: bound to none */
};

struct life {
    struct life_task *tasks;
    int n;
};

struct builder {
    struct arena *a;
    const struct plan_set *set;
    struct timeline *t;
    int64_t window;
    struct life *lives; /* [n_plans] */
    int *done;          /* where the walk stands: tasks done, for each plan */
    int state;          /* and in which state that left the database */
    int cap_states, cap_worlds;
};

static bool changes_database(const struct task *t)
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

        if ((!changes_database(t) && t->kind != TASK_RUNG) || is_repeated(out, t))
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

static int add_state(struct builder *b, struct timeline_state s)
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

static const bool *flags_of(struct builder *b)
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
    t->worlds[t->n_worlds++] =
        (struct timeline_world) {kind, b->state, release, oldest, newest, flags_of(b)};
}

static void world_before(struct builder *b, enum world_kind kind, int release)
{
    add_world(b, kind, release, at_least_first(release - b->window), release - 1);
}

static void world_after(struct builder *b, enum world_kind kind, int release)
{
    add_world(b, kind, release, at_least_first(release - b->window), release);
}

/* ---- one release's stretch ----------------------------------------------------------------------------------- */

static bool is_in_stretch(const struct life_task *l, int release, bool before)
{
    return l->release == release && (l->phase == PHASE_EXPAND) == before;
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
        world_before(b, kind_of(l), release);
    else
        world_after(b, kind_of(l), release);
}

/* Takes one task of a plan: the database moves on, or a flag gets its second value. */
static void take(struct builder *b, int plan, int release)
{
    const struct life_task *l = &b->lives[plan].tasks[b->done[plan]++];

    if (changes_database(l->task))
        b->state = add_state(b, (struct timeline_state) {.from = b->state,
                                                         .by = STATE_TASK,
                                                         .plan = plan,
                                                         .phase = l->phase,
                                                         .is_purge = l->is_purge,
                                                         .task = l->task});
    add_task_world(b, l, release);
}

/* Out of the hold and in again: what is hidden comes back as it was. */
static void restore(struct builder *b, int plan, int release)
{
    int hidden = b->state;

    b->state = add_state(
        b, (struct timeline_state) {
               .from = hidden, .by = STATE_RESTORE, .plan = plan, .phase = PHASE_CONTRACT});
    world_after(b, WORLD_RESTORED, release);
    b->state = hidden;
}

static bool hides(const struct life *l, int upto)
{
    for (int i = 0; i < upto; i++)
        if (l->tasks[i].task->kind == TASK_SOFT_DROP)
            return true;
    return false;
}

static void walk_plan(struct builder *b, int plan, int release, bool before)
{
    const struct life *l = &b->lives[plan];

    while (b->done[plan] < l->n && is_in_stretch(&l->tasks[b->done[plan]], release, before)) {
        const struct life_task *next = &l->tasks[b->done[plan]];

        if (next->is_purge && (b->done[plan] == 0 || !l->tasks[b->done[plan] - 1].is_purge) &&
            hides(l, b->done[plan]))
            restore(b, plan, release);
        take(b, plan, release);
    }
}

/* ---- plans that meet ---------------------------------------------------------------------------------------- */

struct tables {
    const char **names;
    int n;
    bool unknown;
};

static void add_table(struct arena *a, struct tables *t, const char *name)
{
    if (!name)
        return;
    t->names = arena_grow(a, t->names, sizeof *t->names * (size_t) t->n,
                          sizeof *t->names * (size_t) (t->n + 1));
    t->names[t->n++] = name;
}

static void tables_of_steps(struct arena *a, const struct step_list *l, struct tables *t)
{
    for (int i = 0; i < l->n; i++) {
        if (l->items[i].command.n > 0)
            t->unknown = true;
        for (int k = 0; k < l->items[i].n_stmts; k++) {
            const struct sql_stmt *s = &l->items[i].stmts[k];

            add_table(a, t, s->table);
            if (!s->table || s->class == SQL_UNKNOWN)
                t->unknown = true;
        }
    }
}

static void tables_of(struct arena *a, const struct plan *p, struct tables *t)
{
    add_table(a, t, p->sync.table.s);
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
        const struct phase_plan *f = &p->phases[ph];

        tables_of_steps(a, &f->steps, t);
        tables_of_steps(a, &f->finish, t);
        for (int i = 0; i < f->backfill.n; i++) {
            add_table(a, t, f->backfill.items[i].table.s);
            add_table(a, t, f->backfill.items[i].insert_into.s);
        }
    }
}

bool plans_interfere(const struct plan *p, const struct plan *q)
{
    AUTO(arena) a = {0};
    struct tables x = {0}, y = {0};

    tables_of(&a, p, &x);
    tables_of(&a, q, &y);
    if (x.unknown || y.unknown)
        return true;
    for (int i = 0; i < x.n; i++)
        for (int k = 0; k < y.n; k++)
            if (strcmp(x.names[i], y.names[k]) == 0)
                return true;
    return false;
}

/* May the plan take its next task with the others where they stand? */
static bool deps_allow(struct builder *b, int plan)
{
    const struct plan *p = b->t->plans[plan];

    for (int i = 0; i < p->n_depends_on; i++) {
        const struct plan_dep *d = &p->depends_on[i];

        for (int k = 0; k < b->t->n_plans; k++) {
            const struct life *l = &b->lives[k];

            if (strcmp(b->t->plans[k]->id.s, d->plan.s) == 0 && b->done[k] < l->n &&
                !l->tasks[b->done[k]].is_purge && l->tasks[b->done[k]].phase <= d->phase)
                return false;
        }
    }
    return true;
}

static int find_state(const struct builder *b, int since, const int *done)
{
    for (int i = since; i < b->t->n_states; i++)
        if (b->t->states[i].by != STATE_RESTORE &&
            memcmp(b->t->states[i].done, done, sizeof *done * (size_t) b->t->n_plans) == 0)
            return i;
    return -1;
}

/* Every way to be in the middle of several plans that meet: depth first over what each may take next. A
 * place where only a flag moved shares its state with the place before, and has a world of its own. */
struct product {
    struct builder *b;
    const int *plans;
    int n, release, first_state;
    bool before;
    int budget;
    const int **seen; /* [budget]: vectors that were visited */
    int n_seen;
};

static bool product_seen(struct product *p)
{
    size_t size = sizeof(int) * (size_t) p->b->t->n_plans;

    for (int i = 0; i < p->n_seen; i++)
        if (memcmp(p->seen[i], p->b->done, size) == 0)
            return true;
    int *copy = arena_array(p->b->a, int, p->b->t->n_plans + 1);
    memcpy(copy, p->b->done, size);
    p->seen[p->n_seen++] = copy;
    return false;
}

static void product_walk(struct product *p)
{
    struct builder *b = p->b;

    for (int i = 0; i < p->n; i++) {
        int plan = p->plans[i], state = b->state, known;
        const struct life *l = &b->lives[plan];

        if (b->done[plan] == l->n || l->tasks[b->done[plan]].is_purge ||
            !is_in_stretch(&l->tasks[b->done[plan]], p->release, p->before) || !deps_allow(b, plan))
            continue;
        if (p->n_seen == p->budget) {
            b->t->n_cut++;
            return;
        }
        b->done[plan]++;
        known = find_state(b, p->first_state, b->done);
        b->done[plan]--;
        if (known >= 0) {
            b->done[plan]++;
            b->state = known;
        } else {
            take(b, plan, p->release);
        }
        if (!product_seen(p))
            product_walk(p);
        b->done[plan]--;
        b->state = state;
    }
}

/* Plans of this stretch that meet at least one other of it. */
static int meeting_plans(struct builder *b, int release, bool before, int *out)
{
    int n = 0, all = 0;
    int *in = arena_array(b->a, int, b->t->n_plans + 1);

    for (int i = 0; i < b->t->n_plans; i++)
        for (int k = 0; k < b->lives[i].n; k++)
            if (is_in_stretch(&b->lives[i].tasks[k], release, before)) {
                in[all++] = i;
                break;
            }
    for (int i = 0; i < all; i++)
        for (int k = 0; k < all; k++)
            if (i != k && plans_interfere(b->t->plans[in[i]], b->t->plans[in[k]])) {
                out[n++] = in[i];
                break;
            }
    return n;
}

static void walk_products(struct builder *b, int release, bool before, int state,
                          const int *done_before)
{
    int *plans = arena_array(b->a, int, b->t->n_plans + 1);
    int n = meeting_plans(b, release, before, plans), end = b->state;
    int *after = arena_array(b->a, int, b->t->n_plans + 1);

    if (n < 2)
        return;
    struct product p = {b, plans, n, release, state, before, MAX_PRODUCT, NULL, 0};
    p.seen = arena_array(b->a, const int *, MAX_PRODUCT + 1);
    memcpy(after, b->done, sizeof *after * (size_t) b->t->n_plans);
    memcpy(b->done, done_before, sizeof *after * (size_t) b->t->n_plans);
    b->state = state;
    product_walk(&p);
    memcpy(b->done, after, sizeof *after * (size_t) b->t->n_plans);
    b->state = end;
}

static void walk_stretch(struct builder *b, int release, bool before)
{
    int state = b->state;
    int *done = arena_array(b->a, int, b->t->n_plans + 1);

    memcpy(done, b->done, sizeof *done * (size_t) b->t->n_plans);
    for (int i = 0; i < b->t->n_plans; i++)
        walk_plan(b, i, release, before);
    walk_products(b, release, before, state, done);
}

void timeline_build(struct arena *a, const struct plan_set *set, const struct timeline_options *o,
                    struct timeline *out)
{
    struct builder b = {.a = a, .set = set, .t = out, .window = o->window};
    const struct plan **order = arena_array(a, const struct plan *, set->n_plans + 1);

    memset(out, 0, sizeof *out);
    plan_set_order(set, order);
    out->plans = order;
    out->n_plans = set->n_plans;
    gather_releases(&b);
    gather_flags(&b);
    gather_lives(&b);
    b.done = arena_array(a, int, out->n_plans + 1);
    b.state = add_state(&b, (struct timeline_state) {.from = -1, .plan = -1});
    add_world(&b, WORLD_BASELINE, 0, 0, out->n_releases > 0 ? 0 : -1);
    for (int r = 0; r < out->n_releases; r++) {
        walk_stretch(&b, r, true);
        if (r > 0)
            world_after(&b, WORLD_ROLLING, r);
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
