/* W: the calls that have two variants, and what may have been written before they are asked. */
#include "check/writes.h"

#define FLAGS_MAX 6 /* of one transaction, of which every combination is taken */

/* ---- who takes part ---------------------------------------------------------------------------------------- */

static bool is_in(const struct proof *p, const struct app_statement *a, int world)
{
    const struct timeline_world *w = &p->t.worlds[world];

    return world_has_release(&p->t, w, a->release) && app_is_possible(p, w, a->s);
}

static bool is_on_trial(const struct scene *s, const struct app_statement *a)
{
    return s->p->t.releases[a->release].is_consumer ||
           (a->release <= s->trial && a->release >= s->trial - (int) s->p->o->window);
}

static bool is_reader(const struct app_statement *a)
{
    const struct query *q = a->q;

    return q->facts.parsed && q->facts.verb == VERB_SELECT && q->facts.n_writes == 0 && q->runs &&
           q->n_sets > 0;
}

static bool is_pair(const struct app_statement *a, const struct app_statement *b)
{
    return a->release == b->release && a->s->n_when > 0 && b->s->n_when > 0 &&
           strcmp(a->s->name, b->s->name) == 0 && !a->s->differs && !b->s->differs &&
           a->q != b->q && a->q->session == b->q->session && is_reader(a) && is_reader(b);
}

bool statement_reads(const struct proof *p, const struct app_statement *a,
                     const struct cat_relation *r)
{
    const char *path = p->sessions[a->q->session].search_path;

    for (int i = 0; i < a->q->facts.n_rels; i++)
        if (cat_find(&p->now, path, a->q->facts.rels[i].schema, a->q->facts.rels[i].name) == r)
            return true;
    return false;
}

static bool hangs_on(const struct statement *s, const char *flag, bool on)
{
    for (int i = 0; flag && i < s->n_when; i++)
        if (strcmp(s->when[i].flag, flag) == 0 && s->when[i].on == on)
            return true;
    return false;
}

/* Where the application keeps both sides equal, reads move only once every write does so and the past is verified;
 * a write of one side alone voids that, and reads are moved back before writes are. */
static bool is_before_reads_move(const struct proof *p, const struct writer *w,
                                 const struct pair_of *q)
{
    for (int i = 0; i < p->t.n_plans; i++) {
        const struct plan *plan = p->t.plans[i];
        const char *read = plan->flags[FLAG_READ].key.s, *write = plan->flags[FLAG_WRITE].key.s;

        if ((plan->sync.by != SYNC_APPLICATION && plan->sync.by != SYNC_COHORT) ||
            !plan->phases[PHASE_WRITE_ACTIVATION].present ||
            !(hangs_on(q->a->s, read, true) || hangs_on(q->b->s, read, true)))
            continue;
        for (int m = 0; m < w->n; m++)
            if (hangs_on(w->items[m]->s, write, false))
                return true;
    }
    return false;
}

bool writer_concerns(const struct proof *p, const struct writer *w, const struct pair_of *q)
{
    if (is_before_reads_move(p, w, q))
        return false;
    for (int m = 0; m < w->n; m++) {
        const struct query *by = w->items[m]->q;
        const char *path = p->sessions[by->session].search_path;

        for (int i = 0; i < by->facts.n_writes; i++) {
            const struct cat_relation *r =
                cat_find(&p->now, path, by->facts.writes[i].schema, by->facts.writes[i].table);
            if (r && (statement_reads(p, q->a, r) || statement_reads(p, q->b, r)))
                return true;
        }
    }
    return false;
}

/* The same texts in two releases do the same. */
static bool same_work(const struct writer *a, const struct writer *b)
{
    for (int i = 0; i < a->n && a->n == b->n; i++)
        if (a->items[i]->q != b->items[i]->q &&
            strcmp(a->items[i]->q->sql, b->items[i]->q->sql) != 0)
            return false;
    return a->n == b->n && a->before_sync == b->before_sync;
}

/* False: it has no part in this. */
static bool find_worlds(const struct scene *s, struct writer *w)
{
    const struct proof *p = s->p;

    if (s->trial >= 0) {
        w->first = 0;
        w->last = p->t.n_worlds;
        return !w->before_sync && is_on_trial(s, w->items[0]);
    }
    for (int k = 0; k < p->t.n_worlds; k++) {
        bool is = w->before_sync ? s->bare[k] : s->counts[k];
        for (int i = 0; is && i < w->n; i++)
            is = is_in(p, w->items[i], k);
        if (is)
            w->first = w->first < 0 ? k : w->first;
        if (is)
            w->last = k;
    }
    return w->first >= 0;
}

static void keep_writer(struct scene *s, const struct writer *w)
{
    for (int i = 0; i < s->n_writers; i++) {
        struct writer *v = &s->writers[i];
        if (same_work(v, w)) {
            v->first = w->first < v->first ? w->first : v->first;
            v->last = w->last > v->last ? w->last : v->last;
            return;
        }
    }
    if (s->n_writers == s->cap_writers) {
        int cap = s->cap_writers ? 2 * s->cap_writers : 32;
        s->writers = arena_grow(s->p->scratch, s->writers, sizeof *w * (size_t) s->cap_writers,
                                sizeof *w * (size_t) cap);
        s->cap_writers = cap;
    }
    s->writers[s->n_writers++] = *w;
}

static void add_writer(struct scene *s, const struct app_statement **items, int n)
{
    bool concerns = false;

    for (int i = 0; i < n; i++)
        if (!items[i]->q->runs || items[i]->q->n_sets == 0)
            return; /* half of it would prove nothing */
    for (int bare = 0; bare < 2; bare++) {
        struct writer w = {items, n, -1, -1, bare};
        for (int i = 0; i < s->n_pairs && !concerns; i++)
            concerns = writer_concerns(s->p, &w, &s->pairs[i]);
        if (concerns && find_worlds(s, &w))
            keep_writer(s, &w);
    }
}

/* ---- transactions ------------------------------------------------------------------------------------------ */

struct transaction {
    const struct app_statement **items; /* with all variants */
    int n;
    const char *flags[FLAGS_MAX];
    int n_flags;
};

static int flag_of(const struct transaction *t, const char *key)
{
    for (int i = 0; i < t->n_flags; i++)
        if (strcmp(t->flags[i], key) == 0)
            return i;
    return -1;
}

static void gather(const struct proof *p, int first, struct transaction *t)
{
    const struct app_statement *a = &p->app[first];

    for (int i = first; i < p->n_app && p->app[i].release == a->release; i++) {
        const struct statement *s = p->app[i].s;
        if (!s->tx || strcmp(s->tx, a->s->tx) != 0)
            continue;
        t->items[t->n++] = &p->app[i];
        for (int k = 0; k < s->n_when && t->n_flags < FLAGS_MAX; k++)
            if (flag_of(t, s->when[k].flag) < 0)
                t->flags[t->n_flags++] = s->when[k].flag;
    }
}

static bool holds(const struct transaction *t, const struct statement *s, unsigned on)
{
    for (int i = 0; i < s->n_when; i++) {
        int f = flag_of(t, s->when[i].flag);
        if (f < 0 || ((on >> f) & 1) != s->when[i].on)
            return false;
    }
    return true;
}

static void add_transaction(struct scene *s, int first)
{
    struct proof *p = s->p;
    struct transaction t = {.items =
                                arena_array(p->scratch, const struct app_statement *, p->n_app)};

    gather(p, first, &t);
    for (unsigned on = 0; on < 1u << t.n_flags; on++) {
        const struct app_statement **items =
            arena_array(p->scratch, const struct app_statement *, t.n + 1);
        int n = 0;
        for (int i = 0; i < t.n; i++)
            if (holds(&t, t.items[i]->s, on))
                items[n++] = t.items[i];
        if (n > 0)
            add_writer(s, items, n);
    }
}

static bool is_first_of_transaction(const struct proof *p, int i)
{
    const struct app_statement *a = &p->app[i];

    for (int k = i - 1; k >= 0 && p->app[k].release == a->release; k--)
        if (p->app[k].s->tx && strcmp(p->app[k].s->tx, a->s->tx) == 0)
            return false;
    return true;
}

/* ---- the scene --------------------------------------------------------------------------------------------- */

/* The worlds up to this state since the past was filled last. What was written in them is there still, also when
 * its writer is gone. */
static void find_counting(struct scene *s)
{
    const struct timeline *t = &s->p->t;
    int state = s->state;
    bool bare = false;

    s->counts = arena_array(s->p->scratch, bool, t->n_worlds + 1);
    s->bare = arena_array(s->p->scratch, bool, t->n_worlds + 1);
    for (; state >= 0 && !s->filled; state = t->states[state].from) {
        const struct task *task = t->states[state].by == STATE_TASK ? t->states[state].task : NULL;
        for (int k = 0; k < t->n_worlds; k++)
            if (t->worlds[k].state == state)
                (bare ? s->bare : s->counts)[k] = true;
        s->filled = task && task->kind == TASK_BACKFILL;
        bare |= task && task->kind == TASK_SYNC_INSTALL;
    }
}

static int last_together(const struct scene *s, const struct app_statement *a,
                         const struct app_statement *b)
{
    if (s->trial >= 0)
        return is_on_trial(s, a) ? s->p->t.n_worlds : -1;
    for (int k = s->p->t.n_worlds - 1; k >= 0; k--)
        if (s->p->t.worlds[k].state == s->state && is_in(s->p, a, k) && is_in(s->p, b, k))
            return k;
    return -1;
}

static void add_pairs(struct scene *s, int first)
{
    const struct proof *p = s->p;
    const struct app_statement *a = &p->app[first];

    for (int k = first + 1; k < p->n_app && p->app[k].release == a->release; k++) {
        const struct app_statement *b = &p->app[k];
        int last = is_pair(a, b) ? last_together(s, a, b) : -1;

        if (last >= 0 && a->q->plan[s->state]->ok && b->q->plan[s->state]->ok &&
            s->n_pairs < p->n_app)
            s->pairs[s->n_pairs++] = (struct pair_of) {a, b, last, false};
    }
}

/* Whatever the flags say, they are asked for the same thing by two releases at a time. */
static void add_across(struct scene *s, int first)
{
    const struct proof *p = s->p;
    const struct app_statement *a = &p->app[first];

    if (!is_reader(a) || !mapped_concerns(s, a))
        return;
    for (int k = first + 1; k < p->n_app; k++) {
        const struct app_statement *b = &p->app[k];
        bool is = b->release != a->release && b->s->n_when == 0 && a->q != b->q &&
                  a->q->session == b->q->session && !a->s->differs && !b->s->differs &&
                  strcmp(a->s->name, b->s->name) == 0 && is_reader(b) && mapped_concerns(s, b);
        int last = is ? last_together(s, a, b) : -1;

        if (last >= 0 && a->q->plan[s->state]->ok && b->q->plan[s->state]->ok &&
            s->n_pairs < 2 * p->n_app)
            s->pairs[s->n_pairs++] = (struct pair_of) {a, b, last, true};
    }
}

void scene_set(struct scene *s)
{
    struct proof *p = s->p;

    s->pairs = arena_array(p->scratch, struct pair_of, 2 * p->n_app + 1);
    for (int i = 0; i < p->n_app; i++)
        if (p->app[i].s->n_when > 0)
            add_pairs(s, i);
    for (int i = 0; i < p->n_app && s->trial < 0; i++)
        if (p->app[i].s->n_when == 0)
            add_across(s, i);
    s->told = arena_array(p->scratch, bool, s->n_pairs + 1);
    if (s->n_pairs == 0)
        return;
    find_counting(s);
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement **alone =
            arena_array(p->scratch, const struct app_statement *, 1);
        alone[0] = &p->app[i];
        if (!p->app[i].s->tx)
            add_writer(s, alone, 1);
        else if (is_first_of_transaction(p, i))
            add_transaction(s, i);
    }
}
