/* timeline_life: what tests of the timeline know of a plan's life by the definition of phases, and its worlds as text. */
#ifndef PHASEGATE_TIMELINE_LIFE_H
#define PHASEGATE_TIMELINE_LIFE_H

#include "table.h"
#include "timeline_build.h"

#include "phasegate/str.h"

struct made {
    struct plan_set set;
    struct timeline t;
    int64_t window;
};
static inline void made_auto(struct made *m) { arena_free(&m->set.arena); }

static inline void make(struct made *m, const struct build_project *b, int64_t window)
{
    struct timeline_options o = {.window = window};

    m->window = window;
    build_set(b, &m->set);
    timeline_build(&m->set.arena, &m->set, &o, &m->t);
}

/* ---- the life of a plan, not by the timeline's idea ------------------------- */

#define LIFE_MAX 40

struct move {
    enum task_kind kind;
    enum phase phase;
    bool purge, changes; /* changes: the database */
    int release;
    enum flag_role flag;
    const char *id;
};

struct life_of {
    struct move moves[LIFE_MAX];
    int n;
};

static inline bool is_change(enum task_kind k)
{
    return k != TASK_VERIFY && k != TASK_COMPARE && k != TASK_GATES && k != TASK_RUNG;
}

static inline int index_of(const struct timeline *t, const char *version)
{
    for (int i = 0; i < t->n_releases; i++)
        if (strcmp(t->releases[i].version, version) == 0)
            return i;
    fail_msg("release %s isn't in the timeline", version);
    return -1;
}

static inline void add_moves(struct made *m, const struct plan *p, enum phase phase, bool purge,
                             struct life_of *l)
{
    struct script s;

    plan_script(&m->set.arena, p, phase, purge, &s);
    for (int i = 0; i < s.n; i++) {
        bool again = false;

        if (!is_change(s.tasks[i].kind) && s.tasks[i].kind != TASK_RUNG)
            continue;
        /* A flag's first rung gives it its second value, the others none; a backfill runs once. */
        for (int k = 0; k < l->n; k++)
            again |= (s.tasks[i].kind == TASK_RUNG && l->moves[k].kind == TASK_RUNG &&
                      l->moves[k].flag == s.tasks[i].flag) ||
                     (s.tasks[i].kind == TASK_BACKFILL && l->moves[k].kind == TASK_BACKFILL &&
                      strcmp(l->moves[k].id, s.tasks[i].id) == 0);
        if (again)
            continue;
        assert_true(l->n < LIFE_MAX);
        l->moves[l->n++] = (struct move) {s.tasks[i].kind,
                                          phase,
                                          purge,
                                          is_change(s.tasks[i].kind),
                                          index_of(&m->t, p->phases[phase].release.s),
                                          s.tasks[i].flag,
                                          s.tasks[i].id};
    }
}

static inline void life_of(struct made *m, const struct plan *p, struct life_of *out)
{
    out->n = 0;
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
        if (p->phases[ph].present)
            add_moves(m, p, (enum phase) ph, false, out);
    if (p->phases[PHASE_CONTRACT].present)
        add_moves(m, p, PHASE_CONTRACT, true, out);
}

/* How many changes of the database are among the first n moves. */
static inline int changes_in(const struct life_of *l, int n)
{
    int c = 0;

    for (int i = 0; i < n; i++)
        c += l->moves[i].changes;
    return c;
}

/* Where a world's state has a plan: changes of the database, of its whole life. */
static inline int position(const struct timeline *t, const struct life_of *lives, int state,
                           int plan)
{
    const struct timeline_state *s = &t->states[state];
    int n = s->done[plan];

    /* What was hidden is back: as before its contract. */
    if (s->by == STATE_RESTORE && s->plan == plan)
        for (int i = n - 1; i >= 0 && lives[plan].moves[i].phase == PHASE_CONTRACT; i--)
            n = i;
    return changes_in(&lives[plan], n);
}

/* ---- worlds as text -------------------------------------------------------------------------------------------- */

static inline const char *live_text(struct arena *a, const struct timeline *t, int oldest,
                                    int newest)
{
    if (newest < oldest)
        return "-";
    if (newest == oldest)
        return t->releases[oldest].version;
    return arena_printf(a, "%s..%s", t->releases[oldest].version, t->releases[newest].version);
}

/* "expand 1 a2 b0 a-read": kind, who is live, changes done of each plan, flags that may be on. */
static inline const char *worlds_text(struct made *m)
{
    static struct life_of lives[4];
    const struct timeline *t = &m->t;
    AUTO(str) s = {0};

    for (int p = 0; p < t->n_plans; p++)
        life_of(m, t->plans[p], &lives[p]);
    for (int i = 0; i < t->n_worlds; i++) {
        const struct timeline_world *w = &t->worlds[i];

        str_addf(&s, "%s %s", world_kind_word(w->kind),
                 live_text(&m->set.arena, t, w->oldest, w->newest));
        for (int p = 0; p < t->n_plans; p++)
            str_addf(&s, " %s%d", t->plans[p]->id.s, position(t, lives, w->state, p));
        for (int f = 0; f < t->n_flags; f++)
            if (w->either[f])
                str_addf(&s, " %s", t->flags[f]);
        str_add(&s, "\n");
    }
    return arena_strdup(&m->set.arena, str_text(&s));
}

#endif
