/* Walks of advance, rollback, kill and deployment, by rules of their own: they must never leave the timeline's worlds,
 * and there must be no world that they can't come to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "timeline_life.h"

/* ---- walks ---------------------------------------------------------------------------------------------------------- */

static uint64_t seed;

static int dice(int n) /* 0..n-1 */
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int) (seed >> 33) % n;
}

/* Where a walk stands. The stretch: even before the release 2s/2 is deployed, odd once its roll-out has begun. */
struct place {
    int stretch;
    int oldest, newest; /* live; newest < oldest: none */
    int done[4];        /* moves of each plan */
    bool on[4][FLAG_ROLES];
};

struct walk {
    struct made *m;
    struct life_of lives[4];
    int group
        [4]; /* of the plans that move in this stretch: those that meet have the same; else -1 */
    struct place at;
};

static bool touches(const struct plan *p, const char *table)
{
    if (p->sync.table.s && strcmp(p->sync.table.s, table) == 0)
        return true;
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
        const struct phase_plan *f = &p->phases[ph];
        const struct step_list *lists[] = {&f->steps, &f->finish};

        for (int l = 0; l < 2; l++)
            for (int i = 0; i < lists[l]->n; i++)
                if (strcmp(lists[l]->items[i].stmts[0].table, table) == 0)
                    return true;
        for (int i = 0; i < f->backfill.n; i++)
            if (strcmp(f->backfill.items[i].table.s, table) == 0)
                return true;
    }
    return false;
}

static bool share_a_table(const struct plan *a, const struct plan *b)
{
    static const char *const tables[] = {"t", "u", "v"};

    for (size_t i = 0; i < ROWS(tables); i++)
        if (touches(a, tables[i]) && touches(b, tables[i]))
            return true;
    return false;
}

static void walk_begin(struct walk *w, struct made *m)
{
    memset(w, 0, sizeof *w);
    w->m = m;
    w->at.newest = -1;
    for (int i = 0; i < m->t.n_plans; i++)
        life_of(m, m->t.plans[i], &w->lives[i]);
}

static int stretch_of(const struct move *v) { return 2 * v->release + (v->phase != PHASE_EXPAND); }

static bool has_done(const struct walk *w, int plan, enum phase phase)
{
    for (int i = w->at.done[plan]; i < w->lives[plan].n; i++)
        if (!w->lives[plan].moves[i].purge && w->lives[plan].moves[i].phase <= phase)
            return false;
    return true;
}

static bool deps_hold(const struct walk *w, int plan)
{
    const struct plan *p = w->m->t.plans[plan];

    for (int d = 0; d < p->n_depends_on; d++)
        for (int k = 0; k < w->m->t.n_plans; k++)
            if (strcmp(w->m->t.plans[k]->id.s, p->depends_on[d].plan.s) == 0 &&
                !has_done(w, k, p->depends_on[d].phase))
                return false;
    return true;
}

static bool can_advance(const struct walk *w, int plan)
{
    const struct life_of *l = &w->lives[plan];
    int at = w->at.done[plan];

    return at < l->n && stretch_of(&l->moves[at]) == w->at.stretch && deps_hold(w, plan);
}

static void advance(struct walk *w, int plan)
{
    const struct move *v = &w->lives[plan].moves[w->at.done[plan]++];

    if (v->kind == TASK_RUNG)
        w->at.on[plan][v->flag] = true;
}

static bool can_go_back(const struct walk *w, int plan)
{
    struct walk after = *w;
    int at = w->at.done[plan] - 1;

    if (at < 0 || stretch_of(&w->lives[plan].moves[at]) != w->at.stretch ||
        w->lives[plan].moves[at].purge)
        return false;
    /* Those who built on it stand in the way. */
    after.at.done[plan] = at;
    for (int i = 0; i < w->m->t.n_plans; i++)
        if (w->at.done[i] > 0 && i != plan && !deps_hold(&after, i))
            return false;
    return true;
}

static void go_back(struct walk *w, int plan)
{
    const struct move *v = &w->lives[plan].moves[--w->at.done[plan]];

    if (v->kind == TASK_RUNG)
        w->at.on[plan][v->flag] = false;
}

static bool has_rung(const struct walk *w, int plan, int flag)
{
    for (int i = 0; i < w->at.done[plan]; i++)
        if (w->lives[plan].moves[i].kind == TASK_RUNG &&
            w->lives[plan].moves[i].flag == (enum flag_role) flag)
            return true;
    return false;
}

static bool stretch_is_done(const struct walk *w)
{
    for (int i = 0; i < w->m->t.n_plans; i++)
        if (w->at.done[i] < w->lives[i].n &&
            stretch_of(&w->lives[i].moves[w->at.done[i]]) == w->at.stretch)
            return false;
    return true;
}

static int oldest_allowed(const struct walk *w)
{
    int oldest = w->at.stretch / 2 - (int) w->m->window;

    return oldest < 0 ? 0 : oldest;
}

static int newest_allowed(const struct walk *w)
{
    return w->at.stretch % 2 ? w->at.stretch / 2 : w->at.stretch / 2 - 1;
}

static bool can_roll_out(const struct walk *w)
{
    return stretch_is_done(w) && w->at.stretch < 2 * w->m->t.n_releases - 1;
}

/* Before a stretch begins, nothing older runs than it may meet. */
static void roll_out(struct walk *w)
{
    w->at.stretch++;
    w->at.newest = newest_allowed(w);
    if (w->at.oldest < oldest_allowed(w))
        w->at.oldest = oldest_allowed(w);
}

static void redeploy(struct walk *w, int oldest, int newest)
{
    w->at.oldest = oldest;
    w->at.newest = newest;
}

static void step(struct walk *w)
{
    int plan = w->m->t.n_plans ? dice(w->m->t.n_plans) : 0, lo = oldest_allowed(w),
        hi = newest_allowed(w);

    switch (dice(8)) {
    case 0:
    case 1:
    case 2:
        if (can_advance(w, plan))
            advance(w, plan);
        return;
    case 3:
        if (can_go_back(w, plan))
            go_back(w, plan);
        return;
    case 4: { /* a kill, somebody's hand, a cold start without the service */
        int flag = dice(FLAG_ROLES);
        w->at.on[plan][flag] = has_rung(w, plan, flag) && dice(2);
        return;
    }
    case 5:
        if (can_roll_out(w))
            roll_out(w);
        return;
    default:
        if (hi >= lo) { /* instances come and go, of whatever may run */
            int a = lo + dice(hi - lo + 1), b = lo + dice(hi - lo + 1);
            redeploy(w, a < b ? a : b, a < b ? b : a);
        }
    }
}

static bool moves_here(const struct walk *w, int plan)
{
    for (int i = 0; i < w->lives[plan].n; i++)
        if (stretch_of(&w->lives[plan].moves[i]) == w->at.stretch)
            return true;
    return false;
}

static void find_groups(struct walk *w)
{
    const struct timeline *t = &w->m->t;

    for (int i = 0; i < t->n_plans; i++)
        w->group[i] = moves_here(w, i) ? i : -1;
    for (int turn = 0; turn < t->n_plans; turn++)
        for (int i = 0; i < t->n_plans; i++)
            for (int k = 0; k < t->n_plans; k++)
                if (w->group[i] >= 0 && w->group[i] < w->group[k] &&
                    share_a_table(t->plans[i], t->plans[k]))
                    w->group[k] = w->group[i];
}

/* Does the world hold the place, as far as the plans of this group can tell? */
static bool holds(const struct walk *w, const struct timeline_world *world, int group)
{
    const struct timeline *t = &w->m->t;

    if (w->at.newest >= w->at.oldest &&
        (w->at.oldest < world->oldest || w->at.newest > world->newest))
        return false;
    for (int p = 0; p < t->n_plans; p++) {
        if (w->group[p] >= 0 && w->group[p] != group)
            continue;
        if (position(t, w->lives, world->state, p) != changes_in(&w->lives[p], w->at.done[p]))
            return false;
        for (int r = 0; r < FLAG_ROLES; r++) {
            int f = timeline_flag_index(t, t->plans[p]->flags[r].key.s);
            if (w->at.on[p][r] && (f < 0 || !world->either[f]))
                return false;
        }
    }
    return true;
}

static const char *place_text(const struct walk *w)
{
    struct arena *a = &w->m->set.arena;
    const char *s = arena_printf(a, "stretch %d live %s", w->at.stretch,
                                 live_text(a, &w->m->t, w->at.oldest, w->at.newest));

    for (int p = 0; p < w->m->t.n_plans; p++)
        s = arena_printf(a, "%s %s%d%s%s", s, w->m->t.plans[p]->id.s,
                         changes_in(&w->lives[p], w->at.done[p]), w->at.on[p][0] ? " read" : "",
                         w->at.on[p][1] ? " write" : "");
    return s;
}

static bool is_in_a_world(struct walk *w)
{
    find_groups(w);
    for (int g = 0; g < (w->m->t.n_plans ? w->m->t.n_plans : 1); g++) {
        bool found = false;
        for (int i = 0; i < w->m->t.n_worlds && !found; i++)
            found = holds(w, &w->m->t.worlds[i], g);
        if (!found)
            return false;
    }
    return true;
}

/* ---- random projects ------------------------------------------------------------------------------------------------- */

static const char *random_phase(struct arena *a, enum phase ph, int release)
{
    const char *s = arena_printf(a, "%d", release);

    if (dice(2) || ph == PHASE_EXPAND)
        s = arena_printf(a, "%s s%d", s, 1 + dice(2));
    if (dice(3) == 0 && ph != PHASE_CONTRACT)
        s = arena_printf(a, "%s b1", s);
    if (ph == PHASE_DUAL_READ || ph == PHASE_WRITE_ACTIVATION)
        s = arena_printf(a, "%s r%d", s, dice(3));
    if (ph == PHASE_CONTRACT)
        s = arena_printf(a, "%s %c%d", s, dice(3) ? 'd' : 'p', 1 + dice(2));
    if (dice(4) == 0)
        s = arena_printf(a, "%s f1", s);
    return s;
}

static void random_plan(struct arena *a, struct build_project *b, int i)
{
    static const char *const ids[] = {"a", "b", "c", "d"}, *const tables[] = {"t", "u", "v"};
    struct build_life *l = &b->plans[i];
    int release = 1 + dice(3), first = 0, alike = dice(4) == 0;

    l->id = ids[i];
    l->tables[0] = tables[dice(3)];
    if (dice(3) == 0)
        l->tables[1] = tables[dice(3)];
    l->by = (enum sync_by) dice(4);
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
        if (dice(4) == 0)
            continue;
        l->phases[ph] = random_phase(a, (enum phase) ph, release);
        first = first ? first : 2 * release + (ph != PHASE_EXPAND);
        release += alike ? dice(2) : 1 + dice(2);
    }
    /* Only on what can be done by then. */
    for (int k = 0; k < i && first; k++)
        for (int d = 0; d < 2; d++) {
            const char *other = b->plans[k].phases[d ? PHASE_DUAL_READ : PHASE_EXPAND];
            if (other && !l->deps[0] && dice(3) == 0 && 2 * atoi(other) + d <= first)
                l->deps[0] = arena_printf(a, "%s/%s", b->plans[k].id, d ? "dual_read" : "expand");
        }
}

static void random_project(struct arena *a, struct build_project *b)
{
    static const char *const versions[] = {"1", "2", "3", "4", "5", "6", "7", "8"};
    int n_plans = 1 + dice(3), listed = dice(BUILD_MAX);

    memset(b, 0, sizeof *b);
    for (int i = 0; i < n_plans; i++)
        random_plan(a, b, i);
    for (int i = 0; i < listed; i++)
        b->listed[i] = versions[i];
}

static void test_no_walk_leaves_the_worlds(void **state)
{
    int walked = 0, cut = 0;

    (void) state;
    for (int i = 0; i < 600; i++) {
        AUTO(made) m = {0};
        struct build_project b;
        struct walk w;

        seed = (uint64_t) i;
        random_project(&m.set.arena, &b);
        make(&m, &b, 1 + dice(2));
        if (m.t.n_cut > 0) {
            cut++;
            continue;
        }
        walk_begin(&w, &m);
        for (int k = 0; k < 300; k++) {
            const char *before = place_text(&w);
            CHECK(is_in_a_world(&w), "seed %d, step %d: no world for %s\n%s", i, k, before,
                  worlds_text(&m));
            step(&w);
            walked++;
        }
        CHECK(w.at.stretch > 0, "seed %d: the walk didn't move", i);
    }
    assert_true(walked > 100000);
    assert_true(cut < 60);
}

/* ---- every place that a walk can reach ----------------------------------------------------------------------------------- */

#define PLACES_MAX 60000

struct search {
    struct walk w;
    struct place *places;
    int n;
};

static void visit(struct search *s)
{
    for (int i = s->n - 1; i >= 0; i--)
        if (memcmp(&s->places[i], &s->w.at, sizeof s->w.at) == 0)
            return;
    assert_true(s->n < PLACES_MAX);
    s->places[s->n++] = s->w.at;
}

/* Tries every move from a place; flags stay on once they were: off is always possible. */
static void branch(struct search *s, struct place from)
{
    for (int p = 0; p < s->w.m->t.n_plans; p++) {
        s->w.at = from;
        if (can_advance(&s->w, p)) {
            advance(&s->w, p);
            visit(s);
        }
        s->w.at = from;
        if (can_go_back(&s->w, p)) {
            go_back(&s->w, p);
            visit(s);
        }
    }
    s->w.at = from;
    if (can_roll_out(&s->w)) {
        roll_out(&s->w);
        redeploy(&s->w, oldest_allowed(&s->w), newest_allowed(&s->w));
        visit(s);
    }
}

static bool is_reached(const struct search *s, const struct timeline_world *world)
{
    const struct timeline *t = &s->w.m->t;

    for (int i = 0; i < s->n; i++) {
        const struct place *at = &s->places[i];
        bool same = at->oldest == world->oldest && at->newest == world->newest;

        for (int p = 0; same && p < t->n_plans; p++) {
            same =
                position(t, s->w.lives, world->state, p) == changes_in(&s->w.lives[p], at->done[p]);
            for (int r = 0; same && r < FLAG_ROLES; r++) {
                int f = timeline_flag_index(t, t->plans[p]->flags[r].key.s);
                same = f < 0 || world->either[f] == at->on[p][r];
            }
        }
        if (same)
            return true;
    }
    return false;
}

static void search_all(struct made *m, const char *name)
{
    struct search s = {.n = 0};

    s.places = arena_array(&m->set.arena, struct place, PLACES_MAX);
    walk_begin(&s.w, m);
    visit(&s);
    for (int i = 0; i < s.n; i++)
        branch(&s, s.places[i]);
    for (int i = 0; i < s.n; i++) {
        s.w.at = s.places[i];
        CHECK(is_in_a_world(&s.w), "%s: no world for %s\n%s", name, place_text(&s.w),
              worlds_text(m));
    }
    for (int i = 0; i < m->t.n_worlds; i++)
        CHECK(is_reached(&s, &m->t.worlds[i]), "%s: nothing leads to world %d of\n%s", name, i,
              worlds_text(m));
}

static void test_every_world_can_be_reached(void **state)
{
    (void) state;
    for (int i = 0; i < 150; i++) {
        AUTO(made) m = {0};
        struct build_project b;

        seed = (uint64_t) (1000 + i);
        random_project(&m.set.arena, &b);
        make(&m, &b, 1 + dice(2));
        if (m.t.n_cut == 0)
            search_all(&m, arena_printf(&m.set.arena, "seed %d", 1000 + i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_walk_leaves_the_worlds),
        cmocka_unit_test(test_every_world_can_be_reached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
