/* The first release at which a step would be safe. */
#include "check/verdict.h"

void safe_note(struct proof *p, const struct app_statement *a, int state, const struct finding *f)
{
    p->silenced = arena_more(p->a, p->silenced, sizeof *p->silenced, p->n_silenced);
    p->silenced[p->n_silenced++] = (struct limited) {a, state, (int) (f - p->report->findings)};
}

bool safe_has(const struct proof *p, const struct app_statement *a, int state, const char *rule)
{
    for (int i = 0; i < p->n_silenced; i++)
        if (p->silenced[i].a == a && p->silenced[i].state == state &&
            strcmp(p->report->findings[p->silenced[i].finding].rule->id, rule) == 0)
            return true;
    return false;
}

bool safe_is_other_refusal(const struct query *q, int a, int b)
{
    const struct outcome *x = failure_at(q, a), *y = failure_at(q, b);

    return x && y && x->probe == 'X' && y->probe == 'X' && strncmp(y->sqlstate, "23", 2) == 0 &&
           (strcmp(x->sqlstate, y->sqlstate) != 0 || strcmp(x->message, y->message) != 0);
}

/* A later release that runs the same is refused, or misled, the same. */
static bool is_told(const struct proof *p, const struct app_statement *a, int state)
{
    for (int i = 0; i < p->n_limited; i++)
        if (p->limited[i].a->q == a->q && p->limited[i].state == state)
            return true;
    for (int i = 0; i < p->n_silenced; i++)
        if (p->silenced[i].a->q == a->q && p->silenced[i].state == state &&
            p->report->findings[p->silenced[i].finding].severity == SEVERITY_ERROR)
            return true;
    return false;
}

static bool hurts_in(const struct proof *p, const struct app_statement *a, int state,
                     enum level level)
{
    int before = p->t.states[state].from;
    const struct query *q = a->q;

    if (is_unplanned(q, state))
        return before < 0 || !is_unplanned(q, before);
    if (failure_at(q, state))
        return before < 0 || !failure_at(q, before) || safe_is_other_refusal(q, before, state);
    if (is_told(p, a, state))
        return true;
    return level < LEVEL_STATEMENT && before >= 0 && q->shape[before] && q->shape[state] &&
           !description_same(q->shape[before], q->shape[state]);
}

/* A step is run in several states where plans meet: each of them is as likely. */
static bool is_same_step(const struct proof *p, int x, int y)
{
    const struct timeline_state *a = &p->t.states[x], *b = &p->t.states[y];

    return x == y || (a->plan == b->plan && a->by == b->by && a->task && b->task &&
                      a->task->step == b->task->step && strcmp(a->task->id, b->task->id) == 0);
}

static bool hurts(const struct proof *p, const struct app_statement *a, int culprit,
                  enum level level)
{
    for (int s = 0; s < p->t.n_states; s++)
        if (is_same_step(p, s, culprit) && hurts_in(p, a, s, level))
            return true;
    return false;
}

static bool is_alike(const struct outcome *o, const struct outcome *why)
{
    return o && !o->ok && strcmp(o->sqlstate, why->sqlstate) == 0 &&
           strcmp(o->message, why->message) == 0;
}

/* What it needs besides comes later than the step, and then it fails by that as well. */
static bool will_fail(const struct proof *p, const struct app_statement *a, int culprit,
                      const struct outcome *why)
{
    for (int s = culprit; why && is_unplanned(a->q, culprit) && s < p->t.n_states; s++)
        if (is_alike(a->q->plan[s], why) || is_alike(a->q->run[s], why))
            return true;
    return false;
}

/* Does a statement work only from the step on? Then it can't come after a release that has it. */
static bool needs(const struct app_statement *a, const struct timeline_state *s, int culprit)
{
    const struct query *q = a->q;

    return q->plan[s->from] && failure_at(q, s->from) && q->plan[culprit] &&
           !failure_at(q, culprit);
}

static bool comes_from(const struct proof *p, int state, int culprit)
{
    while (state > culprit)
        state = p->t.states[state].from;
    return state == culprit;
}

/* Of a release that comes later than the step: something else may have made up for it until then. */
static bool still_hurts(const struct proof *p, const struct app_statement *a, int culprit,
                        enum level level)
{
    for (int i = 0; hurts(p, a, culprit, level) && i < p->t.n_worlds; i++) {
        const struct timeline_world *w = &p->t.worlds[i];

        if (comes_from(p, w->state, culprit) && world_has_release(&p->t, w, a->release) &&
            app_is_possible(p, w, a->s) && (level < LEVEL_STATEMENT || failure_at(a->q, w->state)))
            return true;
    }
    return false;
}

static const char *find_safe(const struct proof *p, int culprit, enum level level,
                             const struct outcome *why)
{
    const struct timeline_state *s = &p->t.states[culprit];
    int bound = timeline_release_index(&p->t, p->t.plans[s->plan]->phases[s->phase].release.s);

    for (int r = bound + 1; r < p->t.n_releases; r++) {
        bool safe = true;
        for (int i = 0; safe && i < p->n_app; i++) {
            const struct app_statement *a = &p->app[i];
            bool is_consumer = p->t.releases[a->release].is_consumer;
            bool is_live = is_consumer || (a->release <= r && a->release >= r - (int) p->o->window);
            /* Contract comes after its release is deployed, expand before. */
            bool is_before =
                is_consumer || (s->phase == PHASE_EXPAND ? a->release < r : a->release <= r);
            safe = !(is_live && (hurts(p, a, culprit, level) || will_fail(p, a, culprit, why))) &&
                   !(a->release > r && still_hurts(p, a, culprit, level)) &&
                   !(is_before && needs(a, s, culprit));
        }
        if (safe)
            return p->t.releases[r].version;
    }
    return NULL;
}

/* Of a step that breaks many all are asked for. */
struct safe_known {
    int culprit;
    enum level level;
    const char *sqlstate, *message, *safe;
};

const char *safe_from(struct proof *p, int culprit, enum level level, const struct outcome *why)
{
    struct safe_known one = {culprit, level, why ? why->sqlstate : NULL, why ? why->message : NULL,
                             NULL};

    for (int i = 0; i < p->n_safe_known; i++) {
        const struct safe_known *k = &p->safe_known[i];

        if (k->culprit == culprit && k->level == level && same_text(k->sqlstate, one.sqlstate) &&
            same_text(k->message, one.message))
            return k->safe;
    }
    one.safe = find_safe(p, culprit, level, why);
    p->safe_known = arena_more(p->a, p->safe_known, sizeof *p->safe_known, p->n_safe_known);
    p->safe_known[p->n_safe_known++] = one;
    return one.safe;
}

/* Was the statement, or another that runs the same, looked at where the step is? */
static bool was_looked_at(const struct proof *p, const struct app_statement *a, int state)
{
    for (int i = 0; i < p->n_app; i++)
        if (p->app[i].q == a->q && world_met(p, &p->app[i], state))
            return true;
    return false;
}

/* What a step makes a statement mean is known of those that are live at the step. */
static bool are_looked_at(const struct proof *p, int state, int release)
{
    bool after = p->t.states[state].phase != PHASE_EXPAND;

    for (int i = 0; i < p->n_app; i++) {
        int r = p->app[i].release;
        bool is_live = p->t.releases[r].is_consumer ||
                       (r >= release - (int) p->o->window && r < release + after);

        if (is_live && !was_looked_at(p, &p->app[i], state))
            return false;
    }
    return true;
}

void safe_cure_silenced(struct proof *p)
{
    for (int i = 0; i < p->n_silenced; i++) {
        const struct limited *s = &p->silenced[i];
        struct finding *f = &p->report->findings[s->finding];
        const char *safe;

        /* Whom a label hurts is a matter of who writes it: that was asked already. */
        if (f->severity != SEVERITY_ERROR || f->safe_from ||
            strcmp(f->rule->id, "enum-value-unknown-to-old-reader") == 0)
            continue;
        safe = safe_from(p, s->state, LEVEL_STATEMENT, NULL);
        if (!safe || !are_looked_at(p, s->state, timeline_release_index(&p->t, safe)))
            continue;
        f->safe_from = safe;
        f->help = f->help ? arena_printf(p->a, "%s; or bind this to %s or later", f->help, safe)
                          : arena_printf(p->a, "bind this to %s or later", safe);
    }
}

const struct app_statement *safe_never_for(const struct proof *p, int culprit, enum level level)
{
    for (int i = 0; i < p->n_app; i++)
        if (p->t.releases[p->app[i].release].is_consumer && hurts(p, &p->app[i], culprit, level))
            return &p->app[i];
    return NULL;
}

int safe_last_hurt(const struct proof *p, int culprit, enum level level)
{
    int last = -1;

    for (int i = 0; i < p->n_app; i++)
        if (!p->t.releases[p->app[i].release].is_consumer && p->app[i].release > last &&
            hurts(p, &p->app[i], culprit, level))
            last = p->app[i].release;
    return last;
}
