/* Outcomes that were carried over too far. A query is asked again where the schema of what it touches has changed, not where
 * rows have: what a backfill's rows refuse is seen by the next step that has it asked again, and may have nothing to do
 * with that. No text tells whether it has: so the states between are gone through once more, and it's asked in each.
 */
#include "check/jobs.h"

static bool is_by_rows(const struct outcome *o)
{
    return o && !o->ok && o->probe == 'X' && strncmp(o->sqlstate, "23", 2) == 0;
}

/* The first of the states that it was carried over into, up to this one, in which rows changed; -1: none. */
static int first_of_rows(const struct proof *p, const struct query *q, int state)
{
    int first = -1;

    for (int s = state; s > 0 && !q->fresh[s]; s = p->t.states[s].from)
        if (changes_rows(p, s))
            first = s;
    return first;
}

/* -1: that it fails from this state on is beyond doubt, or it doesn't. */
static int in_doubt_from(const struct proof *p, const struct query *q, int state)
{
    int from = p->t.states[state].from;

    return from > 0 && q->fresh[state] && is_by_rows(q->run[state]) && q->run[from] &&
                   q->run[from]->ok && q->n_sets > 0
               ? first_of_rows(p, q, from)
               : -1;
}

/* In the state in which the database is. */
static bool ask(struct proof *p, struct query *q, int state, struct err *err)
{
    for (int set = 0; set < q->n_sets; set++) {
        const struct outcome *o = NULL;
        struct wire_result r = {0};
        bool reached = false;

        if (set > 0 && !q->sets[set].runs)
            continue;
        if (!job_run_once(p, q, set, &r, &reached, &o, err))
            return false;
        if (reached && is_by_rows(o)) {
            q->run[state] = o;
            return true;
        }
    }
    return true;
}

/* From the state of that number on, as they lead to this one; how many. */
static int way_from(const struct proof *p, int first, int state, int *way)
{
    int n = 0;

    for (int s = state; s >= first; s = p->t.states[s].from)
        n++;
    for (int s = state, at = n; at > 0; s = p->t.states[s].from)
        way[--at] = s;
    return n;
}

bool carried_state(struct proof *p, int state, struct err *err)
{
    struct query **all = arena_array(p->a, struct query *, p->n_queries + 1);
    int *way = arena_array(p->a, int, p->t.n_states), n = 0, first = state;

    for (int i = 0; i < p->n_queries; i++) {
        int since = in_doubt_from(p, &p->queries[i], state);

        if (since >= 0)
            all[n++] = &p->queries[i];
        if (since >= 0 && since < first)
            first = since;
    }
    if (n == 0)
        return true;
    int n_way = way_from(p, first, state, way);
    for (int i = 0; i < n_way; i++) {
        if (!(i == 0 ? replay_again(p, way[i], err)
                     : replay_to(p, way[i], err) && probe_hold_again(p, way[i], err)))
            return false;
        p->entering = 0;
        for (int k = 0; k < n && way[i] != state; k++)
            if (!all[k]->fresh[way[i]] && !ask(p, all[k], way[i], err))
                return false;
    }
    return true;
}
