/* Relations among plans: who depends on whom, and in which order they go. */
#include "phasegate/names.h"
#include "phasegate/problem.h"

#include <stdlib.h>
#include <string.h>

/* ---- unique ids and timestamps -------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct plan *const *x = a, *const *y = b;
    int c = strcmp((*x)->id.s, (*y)->id.s);

    return c ? c : ((*x)->time > (*y)->time) - ((*x)->time < (*y)->time);
}

static int by_time(const void *a, const void *b)
{
    const struct plan *const *x = a, *const *y = b;

    if ((*x)->time != (*y)->time)
        return (*x)->time < (*y)->time ? -1 : 1;
    return strcmp((*x)->id.s ? (*x)->id.s : "", (*y)->id.s ? (*y)->id.s : "");
}

/* Plans whose id was read; the others have their problem already. */
static int collect(const struct plan_set *s, const struct plan **out)
{
    int n = 0;

    for (int i = 0; i < s->n_plans; i++)
        if (s->plans[i].id.s)
            out[n++] = &s->plans[i];
    return n;
}

static void check_unique(const struct plan **plans, int n, struct problem_list *problems)
{
    qsort(plans, (size_t) n, sizeof *plans, by_id);
    for (int i = 1; i < n; i++)
        if (strcmp(plans[i]->id.s, plans[i - 1]->id.s) == 0)
            problem_add(problems, plans[i]->id.at, "an id that no other plan has", NULL,
                        "plan \"%s\" is also in %s:%d", plans[i]->id.s,
                        plans[i - 1]->file ? plans[i - 1]->file : "another file",
                        plans[i - 1]->id.at.line);
    qsort(plans, (size_t) n, sizeof *plans, by_time);
    for (int i = 1; i < n; i++)
        if (plans[i]->timestamp.s && plans[i - 1]->timestamp.s &&
            plans[i]->time == plans[i - 1]->time)
            problem_add(problems, plans[i]->timestamp.at, "a timestamp that no other plan has",
                        NULL, "timestamp %s is also that of plan \"%s\"", plans[i]->timestamp.s,
                        plans[i - 1]->id.s);
}

/* ---- one flag, one plan ------------------------------------------------------------------------------ */

struct flag_use {
    const struct plan *plan;
    const struct text *key;
};

static int by_key(const void *a, const void *b)
{
    const struct flag_use *x = a, *y = b;
    int c = strcmp(x->key->s, y->key->s);

    return c ? c : by_time(&x->plan, &y->plan);
}

/* Two plans that move one flag would each take the other's writes for somebody's drift, and a kill of one would
 * be a kill of both. Within a plan that is for plan_validate to say. */
static void check_flags(struct arena *a, const struct plan **plans, int n,
                        struct problem_list *problems)
{
    struct flag_use *uses = arena_array(a, struct flag_use, FLAG_ROLES * n);
    int n_uses = 0;

    for (int i = 0; i < n; i++)
        for (int r = 0; r < FLAG_ROLES; r++)
            if (plans[i]->flags[r].key.s)
                uses[n_uses++] =
                    (struct flag_use) {.plan = plans[i], .key = &plans[i]->flags[r].key};
    if (n_uses > 0)
        qsort(uses, (size_t) n_uses, sizeof *uses, by_key);
    for (int i = 1; i < n_uses; i++)
        if (strcmp(uses[i].key->s, uses[i - 1].key->s) == 0 && uses[i].plan != uses[i - 1].plan)
            problem_add(problems, uses[i].key->at, "a flag that no other plan has", NULL,
                        "flag \"%s\" is also that of plan \"%s\"", uses[i].key->s,
                        uses[i - 1].plan->id.s);
}

/* ---- lookup that is fast enough for thousands ------------------------------------------------------ */

struct graph {
    struct arena arena;
    const struct plan_set *set;
    const struct plan **sorted; /* by id */
    int n;
    int *state, *next; /* of the walk, by place in set->plans */
    int *path;
    int n_path;
};
static void graph_auto(struct graph *g) { arena_free(&g->arena); }

static void graph_init(struct graph *g, const struct plan_set *s)
{
    g->set = s;
    g->sorted = arena_array(&g->arena, const struct plan *, s->n_plans);
    g->n = collect(s, g->sorted);
    qsort(g->sorted, (size_t) g->n, sizeof *g->sorted, by_id);
    g->state = arena_array(&g->arena, int, s->n_plans);
    g->next = arena_array(&g->arena, int, s->n_plans);
    g->path = arena_array(&g->arena, int, s->n_plans);
}

static const struct plan *graph_find(const struct graph *g, const char *id)
{
    for (int low = 0, high = g->n; id && low < high;) {
        int middle = low + (high - low) / 2;
        int c = strcmp(id, g->sorted[middle]->id.s);

        if (c == 0)
            return g->sorted[middle];
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* ---- dependencies --------------------------------------------------------------------------------- */

static const struct phase_plan *first_phase(const struct plan *p)
{
    for (enum phase phase = PHASE_FIRST; phase <= PHASE_LAST; phase++)
        if (p->phases[phase].present)
            return &p->phases[phase];
    return NULL;
}

static void say_no_such_plan(const struct graph *g, const struct plan_dep *dep,
                             struct problem_list *problems)
{
    AUTO(str) hint = {0};
    AUTO(arena) scratch = {0};
    const char **words = arena_array(&scratch, const char *, g->n + 1);

    for (int i = 0; i < g->n; i++)
        words[i] = g->sorted[i]->id.s;
    const char *nearest = name_nearest(dep->plan.s, words);
    if (nearest)
        str_addf(&hint, "did you mean \"%s\"?", nearest);
    problem_add(problems, dep->plan.at, "the id of a plan", nearest ? str_text(&hint) : NULL,
                "no plan \"%s\"", dep->plan.s);
}

static void check_dep(const struct graph *g, const struct plan *p, const struct plan_dep *dep,
                      struct problem_list *problems)
{
    if (!dep->plan.s || strcmp(dep->plan.s, p->id.s) == 0)
        return;
    const struct plan *other = graph_find(g, dep->plan.s);
    if (!other) {
        say_no_such_plan(g, dep, problems);
        return;
    }
    if (p->timestamp.s && other->timestamp.s && other->time >= p->time)
        problem_add(problems, dep->at, "a plan with an earlier timestamp", NULL,
                    "plan \"%s\" (%s) is not earlier than \"%s\" (%s)", other->id.s,
                    other->timestamp.s, p->id.s, p->timestamp.s);
    if (dep->phase == PHASE_NONE)
        return;
    const struct phase_plan *theirs = &other->phases[dep->phase], *ours = first_phase(p);
    if (!theirs->present) {
        problem_add(problems, dep->at, "a phase that the plan has", NULL,
                    "plan \"%s\" has no phase %s%s%s", other->id.s, phase_word(dep->phase),
                    theirs->none.s ? ": " : "", theirs->none.s ? theirs->none.s : "");
        return;
    }
    if (ours && ours->release.s && theirs->release.s &&
        release_compare(&g->set->project, theirs->release.s, ours->release.s) > 0)
        problem_add(problems, dep->at, NULL, NULL,
                    "%s of plan \"%s\" comes with release %s, after this plan has begun with %s",
                    phase_word(dep->phase), other->id.s, theirs->release.s, ours->release.s);
}

#define CYCLE_SHOWN 10 /* plans; of a longer one its beginning and its last */

static void say_cycle(const struct graph *g, int from, struct problem_list *problems)
{
    AUTO(str) shown = {0};
    int start = 0;

    while (g->path[start] != from)
        start++;
    for (int i = start; i < g->n_path; i++) {
        if (i - start == CYCLE_SHOWN && g->n_path - i > 1) {
            str_addf(&shown, "(%d more) -> ", g->n_path - i - 1);
            i = g->n_path - 1;
        }
        str_addf(&shown, "%s -> ", g->set->plans[g->path[i]].id.s);
    }
    str_add(&shown, g->set->plans[from].id.s);
    const struct plan *last = &g->set->plans[g->path[g->n_path - 1]];
    problem_add(problems, last->depends_on[g->next[g->path[g->n_path - 1]] - 1].at, NULL, NULL,
                "the plans depend on each other: %s", str_text(&shown));
}

/* Depth first with a path of our own: a chain of ten thousand plans would be too deep for the stack.
 * state: 0 not seen, 1 on the path, 2 done. Done plans go to `order` if it is given. */
static void walk(struct graph *g, int root, struct problem_list *problems,
                 const struct plan **order, int *n_order)
{
    g->path[g->n_path++] = root;
    g->state[root] = 1;
    while (g->n_path > 0) {
        int at = g->path[g->n_path - 1];
        const struct plan *p = &g->set->plans[at];

        if (g->next[at] == p->n_depends_on) {
            g->state[at] = 2;
            g->n_path--;
            if (order)
                order[(*n_order)++] = p;
            continue;
        }
        const struct plan *other = graph_find(g, p->depends_on[g->next[at]++].plan.s);
        int to = other ? (int) (other - g->set->plans) : at;
        if (to == at)
            continue;
        if (g->state[to] == 1 && problems)
            say_cycle(g, to, problems);
        if (g->state[to] == 0) {
            g->state[to] = 1;
            g->path[g->n_path++] = to;
        }
    }
}

/* ---- releases ------------------------------------------------------------------------------------- */

/* What isn't listed comes after everything that is: mostly one is missing in the list, or misspelt. */
static void say_descending(const struct plan_set *s, const struct plan *p, enum phase before,
                           enum phase phase, struct problem_list *problems)
{
    const struct text *earlier = &p->phases[before].release, *release = &p->phases[phase].release;
    AUTO(arena) scratch = {0};
    AUTO(str) expected = {0}, hint = {0};

    if (project_release_index(&s->project, earlier->s) >= 0 ||
        project_release_index(&s->project, release->s) < 0) {
        problem_add(problems, release->at, "releases that ascend over the phases", NULL,
                    "%s has release %s, before %s with %s", phase_word(phase), release->s,
                    phase_word(before), earlier->s);
        return;
    }
    const char **words = arena_array(&scratch, const char *, s->project.n_releases + 1);
    for (int i = 0; i < s->project.n_releases; i++)
        words[i] = s->project.releases[i].version.s;
    const char *near = name_nearest(earlier->s, words);
    if (near)
        str_addf(&hint, "did you mean \"%s\"?", near);
    str_addf(&expected, "%s in releases: of %s, before %s", earlier->s,
             s->project.file ? s->project.file : "the project", release->s);
    problem_add(problems, earlier->at, str_text(&expected), near ? str_text(&hint) : NULL,
                "release %s of %s isn't in releases:, so it comes after every one that is, and %s "
                "has %s",
                earlier->s, phase_word(before), phase_word(phase), release->s);
}

static void check_releases(const struct plan_set *s, const struct plan *p, bool strictly,
                           struct problem_list *problems)
{
    enum phase before = PHASE_NONE;

    for (enum phase phase = PHASE_FIRST; phase <= PHASE_LAST; phase++) {
        const struct text *release = &p->phases[phase].release;
        if (!p->phases[phase].present || !release->s)
            continue;
        const char *earlier = before ? p->phases[before].release.s : NULL;
        int c = earlier ? release_compare(&s->project, earlier, release->s) : -1;
        if (c > 0)
            say_descending(s, p, before, phase, problems);
        else if (c == 0 && strictly)
            problem_add(problems, release->at,
                        "a later release for each phase (policy one_phase_per_release)", NULL,
                        "%s has release %s, as %s", phase_word(phase), release->s,
                        phase_word(before));
        before = phase;
    }
}

/* ---- the whole ------------------------------------------------------------------------------------ */

void plan_set_validate(const struct plan_set *s, struct problem_list *problems)
{
    AUTO(graph) g = {0};
    bool strictly = policy_effective(&s->project, NULL).one_phase_per_release != 0;

    graph_init(&g, s);
    const struct plan **plans = arena_array(&g.arena, const struct plan *, s->n_plans);
    check_unique(plans, collect(s, plans), problems);
    check_flags(&g.arena, plans, g.n, problems);
    for (int i = 0; i < g.n; i++) {
        const struct plan *p = plans[i]; /* by time, so problems come in the order of the files */
        check_releases(s, p, strictly, problems);
        for (int j = 0; j < p->n_depends_on; j++)
            check_dep(&g, p, &p->depends_on[j], problems);
        if (p->compensates.s && !graph_find(&g, p->compensates.s))
            problem_add(problems, p->compensates.at, "the id of a plan", NULL,
                        "no plan \"%s\" to compensate", p->compensates.s);
    }
    for (int i = 0; i < s->n_plans; i++)
        if (s->plans[i].id.s && g.state[i] == 0)
            walk(&g, i, problems, NULL, NULL);
}

void plan_set_order(const struct plan_set *s, const struct plan **out)
{
    AUTO(graph) g = {0};
    int n = 0;

    graph_init(&g, s);
    const struct plan **plans = arena_array(&g.arena, const struct plan *, s->n_plans);
    for (int i = 0; i < s->n_plans; i++)
        plans[i] = &s->plans[i];
    qsort(plans, (size_t) s->n_plans, sizeof *plans, by_time);
    for (int i = 0; i < s->n_plans; i++) {
        int at = (int) (plans[i] - s->plans);
        if (g.state[at] == 0)
            walk(&g, at, NULL, out, &n);
    }
}
