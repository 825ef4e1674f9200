/* verify: of the plans. The engine runs it when the flags of its phase stand where they should: a mistake in it would show
 * only then. Here it is prepared in every state in which it might be run, and has to be understood in one of them.
 */
#include "check/work.h"

static struct verify_try *try_of(struct proof *p, int plan, enum phase phase, const struct check *c)
{
    for (int i = 0; i < p->n_verifies; i++)
        if (p->verifies[i].check == c)
            return &p->verifies[i];
    p->verifies = arena_grow(p->a, p->verifies, sizeof *p->verifies * (size_t) p->n_verifies,
                             sizeof *p->verifies * (size_t) (p->n_verifies + 1));
    p->verifies[p->n_verifies] = (struct verify_try) {.plan = plan, .phase = phase, .check = c};
    return &p->verifies[p->n_verifies++];
}

static bool try_here(struct proof *p, struct verify_try *t, struct err *err)
{
    const struct wire_op op = {
        .kind = WIRE_PREPARE, .name = "", .sql = t->check->sql.s, .sync = true};
    struct wire_result r = {0};

    if (t->is_understood)
        return true;
    if (!wire_run(p->owner, p->scratch, &op, 1, &r, err))
        return false;
    t->is_understood = r.ok;
    if (!r.ok) {
        t->sqlstate = arena_strdup(p->a, r.sqlstate);
        t->message = arena_strdup(p->a, r.message);
    }
    return true;
}

static bool try_phases(struct proof *p, int plan, enum phase from, struct err *err)
{
    /* What phases after a transition find isn't known yet. */
    int last = p->o->next ? (int) from : PHASE_LAST;

    for (int ph = (int) from; ph <= last; ph++) {
        const struct check_list *l = &p->t.plans[plan]->phases[ph].verify;

        for (int i = 0; i < l->n; i++)
            if (l->items[i].sql.s &&
                !try_here(p, try_of(p, plan, (enum phase) ph, &l->items[i]), err))
                return false;
    }
    return true;
}

bool verify_state(struct proof *p, int state, struct err *err)
{
    const struct timeline_state *s = &p->t.states[state];
    const struct timeline_next *next = p->o->next;

    /* A phase without tasks, of the transition that is to be proved: over the database as it is. */
    for (int i = 0; state == 0 && next && i < p->t.n_plans; i++)
        if (strcmp(p->t.plans[i]->id.s, next->plan) == 0)
            return try_phases(p, i, next->phase, err);
    if (state == 0 || s->by != STATE_TASK)
        return true;
    p->is_verify_broken |= p->broken[state];
    /* Later phases without tasks of their own come to the database as this one leaves it. */
    return try_phases(p, s->plan, s->phase, err);
}

void verify_report(struct proof *p)
{
    for (int i = 0; i < p->n_verifies && !p->is_verify_broken; i++) {
        const struct verify_try *t = &p->verifies[i];

        if (t->is_understood)
            continue;
        struct finding *f = report_add(p->report, "verify-query-fails", t->check->at,
                                       "verify \"%s\": %s", t->check->id.s, t->message);
        f->plan = p->t.plans[t->plan]->id.s;
        f->phase = phase_word(t->phase);
        f->sqlstate = t->sqlstate;
        f->probe = "P";
        f->help = "mend the query: it is run when the phase's flags have moved already";
    }
}
