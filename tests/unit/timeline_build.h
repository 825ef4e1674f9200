/* timeline_build: small projects as rows of words, for tests of the timeline. */
#ifndef PHASEGATE_TIMELINE_BUILD_H
#define PHASEGATE_TIMELINE_BUILD_H

#include "phasegate/timeline.h"

#include <stdlib.h>
#include <string.h>

#define BUILD_MAX 8

/* A phase in words: its release, then what it has, in any order:
 * sN steps, fN steps in finish, bN backfills, rN rungs, dN soft drops, pN drops that wait for the purge.
 * "2 s2 b1": bound to 2, two steps, one backfill. NULL: absent. */
struct build_life {
    const char *id;
    const char *tables[3];
    const char *phases[PHASE_SLOTS]; /* [0]: unused */
    const char *deps[3];             /* "other/expand" */
    enum sync_by by;
    bool no_flags;
};

struct build_project {
    struct build_life plans[4];
    const char *listed[BUILD_MAX]; /* releases in order; "3?" is planned */
    const char *consumers[3];
};

static inline struct sql_stmt *build_stmt(struct arena *a, const char *table, enum drop_kind drop)
{
    struct sql_stmt *s = arena_new(a, struct sql_stmt);

    s->sql = "...";
    s->kind = drop ? "DROP" : "ALTER TABLE ADD COLUMN";
    s->class = drop ? SQL_DESTRUCTIVE : SQL_ADDITIVE;
    s->drop = drop;
    s->table = table;
    return s;
}

static inline void build_steps(struct arena *a, const struct build_life *l, struct step_list *to,
                               const char *prefix, int n, enum drop_kind drop)
{
    int n_tables = 0;

    while (n_tables < 3 && l->tables[n_tables])
        n_tables++;
    for (int i = 0; i < n; i++) {
        to->items = arena_grow(a, to->items, sizeof *to->items * (size_t) to->n,
                               sizeof *to->items * (size_t) (to->n + 1));
        struct step *s = &to->items[to->n++];
        s->id.s = arena_printf(a, "%s%d", prefix, i + 1);
        s->sql.s = "...";
        s->stmts = build_stmt(a, l->tables[i % n_tables], drop);
        s->n_stmts = 1;
    }
}

static inline void build_phase(struct arena *a, const struct build_life *l, enum phase ph,
                               struct phase_plan *out)
{
    const char *words = l->phases[ph];
    int at = 0;
    char release[16], what;

    out->present = true;
    while (words[at] && words[at] != ' ')
        at++;
    memcpy(release, words, (size_t) at);
    release[at] = 0;
    out->release.s = arena_strdup(a, release);
    for (; words[at]; at += 3) { /* " s2" */
        int n = words[at + 2] - '0';
        what = words[at + 1];
        if (what == 's')
            build_steps(a, l, &out->steps, "step", n, DROP_NOT);
        else if (what == 'f')
            build_steps(a, l, &out->finish, "late", n, DROP_NOT);
        else if (what == 'd')
            build_steps(a, l, &out->steps, "drop", n, DROP_COLUMN);
        else if (what == 'p')
            build_steps(a, l, &out->steps, "purge", n, DROP_OTHER);
        else if (what == 'r') {
            out->rollout = (struct rung_list) {arena_array(a, struct rung, n), n};
            for (int i = 0; i < n; i++)
                out->rollout.items[i].percent = 100 * (i + 1) / n;
        } else if (what == 'b') {
            out->backfill = (struct backfill_list) {arena_array(a, struct backfill, n), n};
            for (int i = 0; i < n; i++) {
                out->backfill.items[i].id.s = arena_printf(a, "fill-%s-%d", phase_word(ph), i + 1);
                out->backfill.items[i].table.s = l->tables[0];
            }
        } else {
            abort();
        }
    }
}

static inline void build_one(struct arena *a, const struct build_life *l, int64_t time,
                             struct plan *p)
{
    p->id.s = l->id;
    p->time = time;
    p->sync.by = l->by;
    p->sync.table.s = l->by ? l->tables[0] : NULL;
    for (int r = 0; r < FLAG_ROLES && !l->no_flags; r++)
        p->flags[r].key.s = arena_printf(a, "%s-%s", l->id, flag_role_word((enum flag_role) r));
    for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++)
        if (l->phases[ph])
            build_phase(a, l, (enum phase) ph, &p->phases[ph]);
    p->depends_on = arena_array(a, struct plan_dep, 3);
    for (int i = 0; i < 3 && l->deps[i]; i++) {
        const char *slash = strchr(l->deps[i], '/');
        struct plan_dep *d = &p->depends_on[p->n_depends_on++];
        d->plan.s = arena_strndup(a, l->deps[i], (size_t) (slash - l->deps[i]));
        d->phase = phase_from_word(slash + 1);
    }
}

/* Everything lives in the set's arena. */
static inline void build_set(const struct build_project *b, struct plan_set *out)
{
    struct arena *a = &out->arena;

    out->plans = arena_array(a, struct plan, 4);
    for (; out->n_plans < 4 && b->plans[out->n_plans].id; out->n_plans++)
        build_one(a, &b->plans[out->n_plans], out->n_plans, &out->plans[out->n_plans]);
    out->project.releases = arena_array(a, struct release, BUILD_MAX);
    for (int i = 0; i < BUILD_MAX && b->listed[i]; i++) {
        size_t n = strlen(b->listed[i]);
        struct release *r = &out->project.releases[out->project.n_releases++];
        r->planned = b->listed[i][n - 1] == '?';
        r->version.s = arena_strndup(a, b->listed[i], r->planned ? n - 1 : n);
    }
    out->project.consumers = arena_array(a, struct release, 3);
    for (int i = 0; i < 3 && b->consumers[i]; i++)
        out->project.consumers[out->project.n_consumers++].version.s = b->consumers[i];
}

#endif
