/* Statements that are written for what a phase makes: before it they couldn't even be prepared. What else the phase makes,
 * restrictions too, was there as long as they are.
 */
#include "check/work.h"

/* The state that the phase of this one, as its plan goes through it, begins with. */
static int before_phase(const struct proof *p, int state)
{
    const struct timeline_state *of = &p->t.states[state];
    int before = of->from;

    for (int s = before; s > 0; s = p->t.states[s].from)
        if (p->t.states[s].plan == of->plan && p->t.states[s].phase == of->phase)
            before = p->t.states[s].from;
    return before;
}

bool brought_by_phase(const struct proof *p, const struct query *q, int state)
{
    int before =
        state > 0 && p->t.states[state].phase == PHASE_EXPAND ? before_phase(p, state) : -1;

    return before >= 0 && q->plan[before] && !q->plan[before]->ok && !q->shape[before];
}
