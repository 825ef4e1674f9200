/* Putting queries to a state of the database. */
#include "check/jobs.h"

/* ---- which queries a state is about ------------------------------------------------------------------------ */

static struct wire_op prepare_op(const struct query *q, const char *name, bool sync)
{
    return (struct wire_op) {.kind = WIRE_PREPARE,
                             .name = name,
                             .sql = q->sql,
                             .types = q->types,
                             .n_types = q->types ? q->s->types.n : 0,
                             .sync = sync};
}

/* Below, a second session costs more than it brings. */
enum { BESIDE_MIN = 256 };

/* P and D of some of them. */
static bool prepare_some(struct proof *p, struct jobs two[2], struct query *const *some, int n,
                         int state, int session, struct err *err)
{
    struct app_session *s = &p->sessions[session];

    if (n >= BESIDE_MIN)
        session_begin_beside(p, s);
    int n_first = s->beside ? (n + 1) / 2 : n;

    for (int i = 0; i < n; i++) {
        struct jobs *j = &two[i >= n_first];

        job_op(p, j, prepare_op(some[i], "", false));
        job_op(p, j, (struct wire_op) {.kind = WIRE_DESCRIBE, .name = "", .sync = true});
    }
    if (!jobs_run_two(p, two, session, err))
        return false;
    for (int i = 0; i < n; i++) {
        struct query *q = some[i];
        const struct wire_result *r =
            i < n_first ? &two[0].results[2 * i] : &two[1].results[2 * (i - n_first)];

        q->plan[state] = job_outcome(p, r[0].ok ? &r[1] : &r[0], 'P');
        if (q->untyped)
            q->plan[state] = job_outcome(
                p, &(struct wire_result) {.sqlstate = "42704", .message = q->untyped}, 'P');
        const struct wire_result *refused = copy_refused(p, q);
        if (refused && (q->plan[state]->ok || q->places))
            q->plan[state] = job_outcome(p, refused, 'P');
        q->shape[state] = r[0].ok && r[1].ok ? job_description(p, &r[1]) : NULL;
        q->probed_state = state;
        q->fresh[state] = true;
    }
    jobs_clear(&two[0]);
    jobs_clear(&two[1]);
    return true;
}

/* In one go: what is kept of the answers until then is memory, and those that don't end may take up the time for such. */
enum { PREPARE_MAX = 4096, BATCH_MAX = 512 };

/* P and D: each query that touches something that isn't as it was. */
static bool prepare_all(struct proof *p, int state, int session, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(arena) b = {0};
    struct jobs two[2] = {{.a = &a}, {.a = &b}};
    struct query **some = arena_array(p->scratch, struct query *, PREPARE_MAX);
    int n = 0;

    if (!declared_types(p, session, err))
        return false;
    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        if (q->session == session && q->writes_out == state)
            (q->is_stand_in ? copy_write_out : sqlc_write_out)(p, q);
        if (q->session != session || q->is_lethal)
            continue;
        uint64_t surface = query_surface(p, q);
        if (q->probed_state >= 0 && surface == q->surface) {
            q->plan[state] = q->plan[q->probed_state];
            q->shape[state] = q->shape[q->probed_state];
            continue;
        }
        q->surface = surface;
        cache_enter(p, q, state);
        if (cache_plan(q, state)) {
            q->probed_state = state;
            q->fresh[state] = true;
            continue;
        }
        some[n++] = q;
        if (n == PREPARE_MAX && !prepare_some(p, two, some, n, state, session, err))
            return false;
        n %= PREPARE_MAX;
    }
    return n == 0 || prepare_some(p, two, some, n, state, session, err);
}

bool probe_run(struct proof *p, struct query *q, struct wire_result *out, bool *reached,
               uint64_t *answer, struct err *err)
{
    const struct outcome *told = NULL;

    if (!job_run_once(p, q, 0, out, reached, answer ? &told : NULL, err))
        return false;
    if (answer)
        *answer = told->answer;
    return true;
}

bool probe_answer(struct proof *p, struct query *q, const struct outcome **out, struct err *err)
{
    struct wire_result r = {0};
    bool reached = false;

    return job_run_once(p, q, 0, &r, &reached, out, err);
}

bool probe_around(struct proof *p, const struct query *q, const char *sql,
                  struct wire_result looks[2], struct err *err)
{
    struct query asked = *q;
    struct jobs j = {0};
    int n = job_n_ops(q) + 1; /* with the look before it */

    looks[0] = looks[1] = (struct wire_result) {.skipped = true};
    asked.leaves = sql;
    asked.leaves_beside = NULL;
    if (!job_may_run(p, &asked))
        return true;
    job_run(p, &j, &asked, NULL, 0, sql);
    if (!jobs_run(p, &j, q->session, err))
        return false;
    if (job_result(j.results, n)->ok) {
        looks[0] = j.results[n - 3];
        looks[1] = j.results[n];
    }
    return true;
}

static bool explain(struct proof *p, struct query *q, int state, struct err *err)
{
    AUTO(str) nulls = {0};
    struct jobs j = {0};
    bool generic = shadow_server_version(p->shadow) >= 160000;

    for (int i = 0; i < q->shape[state]->n_params; i++)
        str_addf(&nulls, "%sNULL", i ? ", " : "(");
    if (nulls.len)
        str_add(&nulls, ")");
    job_op(p, &j, (struct wire_op) {.kind = WIRE_RUN, .sql = "ROLLBACK"});
    if (generic) {
        job_op(
            p, &j,
            (struct wire_op) {.kind = WIRE_RUN,
                              .sql = arena_printf(p->scratch, "EXPLAIN (GENERIC_PLAN) %s", q->sql),
                              .sync = true});
    } else {
        job_op(
            p, &j,
            (struct wire_op) {.kind = WIRE_RUN, .sql = "SET plan_cache_mode = force_generic_plan"});
        job_op(p, &j, prepare_op(q, "phasegate_e", false));
        job_op(p, &j,
               (struct wire_op) {.kind = WIRE_RUN,
                                 .sql = arena_printf(p->scratch, "EXPLAIN EXECUTE phasegate_e%s",
                                                     str_text(&nulls)),
                                 .sync = true});
        job_op(p, &j,
               (struct wire_op) {.kind = WIRE_RUN, .sql = "DEALLOCATE phasegate_e", .sync = true});
        job_op(p, &j,
               (struct wire_op) {.kind = WIRE_RUN, .sql = "RESET plan_cache_mode", .sync = true});
    }
    if (!jobs_run(p, &j, q->session, err))
        return false;
    const struct wire_result *r = &j.results[generic ? 1 : 3];
    if (!r->ok && !r->skipped)
        q->plan[state] = job_outcome(p, r, 'E');
    return true;
}

/* ---- holds --------------------------------------------------------------------------------------------------- */

/* What a client that meets the query first in this state keeps prepared. A shape that is held already is held
 * alike by everybody. */
static int hold_for(struct proof *p, struct query *q, bool may_be_beside, int state)
{
    if (q->n_holds > 0 && description_same(q->holds[q->n_holds - 1].shape, q->shape[state]))
        return q->n_holds - 1;
    q->holds = arena_grow(p->a, q->holds, sizeof *q->holds * (size_t) q->n_holds,
                          sizeof *q->holds * (size_t) (q->n_holds + 1));
    q->holds[q->n_holds] = (struct hold) {
        .state = state,
        .shape = q->shape[state],
        .chain = q->chain,
        .calls = surface_calls(p),
        .is_left = !p->opens_all && cache_foresees(p, q),
        .may_be_beside = may_be_beside,
        .name = arena_printf(p->a, "h%d_%d", (int) (q - p->queries), q->n_holds),
        .at = arena_array(p->a, const struct outcome *, p->t.n_states),
    };
    return q->n_holds++;
}

static bool open_some(struct proof *p, struct jobs two[2], struct hold **const some[2], int session,
                      struct err *err)
{
    if (!jobs_run_two(p, two, session, err))
        return false;
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < two[k].n; i++) { /* opens no transaction: one job a hold */
            some[k][i]->is_open = two[k].results[i].ok;
            some[k][i]->is_beside = k == 1;
        }
        jobs_clear(&two[k]);
    }
    return true;
}

/* Prepares what is to be held from this state on and isn't yet in the session. */
static bool open_holds(struct proof *p, int state, int session, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(arena) b = {0};
    struct jobs two[2] = {{.a = &a}, {.a = &b}};
    struct hold **const some[2] = {arena_array(p->scratch, struct hold *, PREPARE_MAX),
                                   arena_array(p->scratch, struct hold *, PREPARE_MAX)};

    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        for (int k = 0; q->session == session && k < q->n_holds; k++) {
            struct hold *h = &q->holds[k];
            if (h->is_open || h->is_left || h->state != state)
                continue;
            int at = h->may_be_beside && p->sessions[session].beside ? 1 : 0;
            some[at][two[at].n] = h;
            job_op(p, &two[at], prepare_op(q, h->name, true));
            if (two[at].n == PREPARE_MAX && !open_some(p, two, some, session, err))
                return false;
        }
    }
    return open_some(p, two, some, session, err);
}

/* ---- a state --------------------------------------------------------------------------------------------------- */

static bool is_met(const struct proof *p, const struct app_statement *a, int state)
{
    for (int i = 0; i < p->t.n_worlds; i++)
        if (p->t.worlds[i].state == state &&
            world_has_release(&p->t, &p->t.worlds[i], a->release) &&
            app_is_possible(p, &p->t.worlds[i], a->s))
            return true;
    return false;
}

/* It neither waits for others nor lets them wait, and leaves nothing in its session. */
static bool only_reads(const struct proof *p, const struct query *q)
{
    return q->facts.parsed && q->facts.reads_only && q->n_before == 0 && !q->clears &&
           !q->goes_on && !q->needs_session && !query_runs_code(p, q);
}

/* Of those that only read so many go beside that both sessions have as much to do. */
static void meet(struct proof *p, int state, int session)
{
    int n_here = 0, n_beside = 0;

    for (int i = 0; i < p->n_app; i++) {
        struct app_statement *a = &p->app[i];
        if (a->q->session != session || a->q->is_lethal || a->hold >= 0 || a->failed_first ||
            !is_met(p, a, state))
            continue;
        if (a->q->shape[state] && job_can_run(a->q)) {
            bool is_beside = n_beside < n_here && only_reads(p, a->q);
            a->hold = hold_for(p, a->q, is_beside, state);
            n_beside += is_beside;
            n_here += !is_beside;
        } else if (!a->q->shape[state])
            a->failed_first = true;
    }
}

struct turn { /* one job of a batch of runs */
    struct query *q;
    struct hold *hold; /* NULL: afresh */
    int first, n_ops, set;
    int list;     /* index into two lists of jobs */
    bool is_anew; /* in a session that has run nothing yet */
};

static bool is_failure(const struct outcome *o) { return o && !o->ok; }

/* It has just run for the first time, and doesn't in a session of its own: for a setting that others left, a number that
 * they drew. What can't even be read is no such thing. */
static bool needs_session(const struct proof *p, const struct query *q, int state,
                          const struct outcome *anew)
{
    int from = p->t.states[state].from;
    const struct outcome *before = from >= 0 ? q->run[from] : NULL, *own = q->run[state];

    return is_failure(anew) && own && own->ok && (!before || !before->ok) &&
           (strncmp(anew->sqlstate, "42", 2) != 0 || strcmp(anew->sqlstate, "42704") == 0);
}

/* Of several rows the one that fails is the one that tells. */
static bool run_batch(struct proof *p, struct jobs two[2], struct turn *turns, int *n, int session,
                      int state, struct err *err)
{
    if (!jobs_run_two(p, two, session, err))
        return false;
    for (int i = 0; i < *n; i++) {
        const struct wire_result *first = &two[turns[i].list].results[turns[i].first];
        const struct outcome *o = job_was_reached(first, turns[i].n_ops)
                                      ? job_run_outcome(p, turns[i].q, first, turns[i].n_ops)
                                      : NULL;

        turns[i].q->gave_up |= o && !o->ok && is_too_long(o->sqlstate, o->message);
        turns[i].q->is_late |= !o && shadow_is_late(p->shadow);
        /* What takes rows out of its way doesn't do so any more: nothing shows that it works, until it's tried anew. */
        if (!o && turns[i].q->clears) {
            turns[i].q->clears = NULL;
            turns[i].q->runs = false;
        }
        if (turns[i].hold) {
            if (o && !o->ok && strcmp(o->sqlstate, "0A000") == 0 &&
                strstr(o->message, "cached plan"))
                ((struct outcome *) (uintptr_t) o)->probe = 'H';
            turns[i].hold->at[state] = o;
            cache_note_hold(p, turns[i].q, turns[i].hold, o);
        } else if (turns[i].is_anew && (!o || needs_session(p, turns[i].q, state, o))) {
            turns[i].q->needs_session |= o != NULL;
        } else if (turns[i].set == 0 ? !is_failure(turns[i].q->run[state]) : is_failure(o)) {
            turns[i].q->run[state] = o;
        }
    }
    *n = 0;
    jobs_clear(&two[0]);
    jobs_clear(&two[1]);
    return true;
}

/* X and H: what is held, run as it is held. */
static bool run_holds(struct proof *p, int state, int session, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(arena) b = {0};
    struct jobs two[2] = {{.a = &a}, {.a = &b}};
    struct turn *turns = arena_array(p->scratch, struct turn, BATCH_MAX);
    int n = 0;

    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        for (int k = 0; q->session == session && k < q->n_holds; k++) {
            struct hold *h = &q->holds[k];
            int from = p->t.states[state].from;
            if (!(h->is_open || h->is_left) || !q->runs)
                continue;
            if (q->probed_state != state && from >= 0 && h->at[from]) {
                h->at[state] = h->at[from];
                continue;
            }
            if (cache_hold(q, h, &h->at[state]) || !job_may_run(p, q))
                continue;
            if (h->is_left) {
                p->is_short = true;
                return err_set(err, ERR_BUG, "a statement isn't held that is asked for");
            }
            int list = h->is_beside;
            /* What it reads runs code by now, which may wait for what others hold. */
            bool is_alone = list == 1 && query_runs_code(p, q);
            if (is_alone && !run_batch(p, two, turns, &n, session, state, err))
                return false;
            turns[n++] = (struct turn) {q, h, two[list].n, job_n_ops(q), 0, list, false};
            job_run(p, &two[list], q, h->name, 0, NULL);
            if ((is_alone || n == BATCH_MAX) && !run_batch(p, two, turns, &n, session, state, err))
                return false;
        }
    }
    return run_batch(p, two, turns, &n, session, state, err);
}

/* Functions keep plans of their own in each session: what they run may go on in one that has called them, and not in
 * another. */
static bool is_run_anew(const struct proof *p, const struct query *q, int state)
{
    return q->probed_state == state && !q->needs_session && query_runs_code(p, q);
}

/* Is the answer known without a run of its own? Then it's noted. */
static bool is_run_already(struct proof *p, struct query *q, int state)
{
    const struct hold *h = q->n_holds ? &q->holds[q->n_holds - 1] : NULL;
    int from = p->t.states[state].from;

    if (q->run[state])
        return true;
    if (!job_may_run(p, q) || (q->probed_state != state && from >= 0 && q->run[from])) {
        q->run[state] = from >= 0 ? q->run[from] : NULL;
        return true;
    }
    if (h && h->at[state] && h->at[state]->ok && description_same(h->shape, q->shape[state]) &&
        h->calls == surface_calls(p))
        q->run[state] = h->at[state];
    return q->run[state] != NULL;
}

/* X afresh: where nothing is held, where what is held no longer runs, where the types of parameters changed, where a new
 * session may find other functions and operators than what is held has found, and for the author's other rows. anew: of
 * those that call functions, all; else the others. */
static bool run_fresh(struct proof *p, int state, int session, bool anew, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(arena) b = {0};
    struct jobs two[2] = {{.a = &a}, {.a = &b}};
    struct turn *turns = arena_array(p->scratch, struct turn, BATCH_MAX);
    int n = 0;

    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];

        if (q->session != session || !q->runs || !q->shape[state] ||
            (q->probed_state == state && cache_run(q, state)) || is_run_anew(p, q, state) != anew)
            continue;
        for (int set = 1; q->probed_state == state && set < q->n_sets; set++)
            if (q->sets[set].runs && job_may_run(p, q)) {
                turns[n++] = (struct turn) {q, NULL, two[0].n, job_n_ops(q), set, 0, anew};
                job_run(p, &two[0], q, NULL, set, NULL);
                if (n == BATCH_MAX && !run_batch(p, two, turns, &n, session, state, err))
                    return false;
            }
        if (anew ? !job_may_run(p, q) : is_run_already(p, q, state))
            continue;
        turns[n++] = (struct turn) {q, NULL, two[0].n, job_n_ops(q), 0, 0, anew};
        job_run(p, &two[0], q, NULL, 0, NULL);
        if (n == BATCH_MAX && !run_batch(p, two, turns, &n, session, state, err))
            return false;
    }
    return run_batch(p, two, turns, &n, session, state, err);
}

static bool any_anew(struct proof *p, int state, int session)
{
    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];

        if (q->session == session && q->runs && q->shape[state] && is_run_anew(p, q, state) &&
            !cache_run(q, state))
            return true;
    }
    return false;
}

static bool run_anew(struct proof *p, int state, int session, struct err *err)
{
    struct wire **used = &p->sessions[session].wire, *kept = *used;

    if (!any_anew(p, state, session))
        return true;
    *used = NULL;
    bool ok = session_begin(p, &p->sessions[session], err) && wire_settle(used, err) &&
              run_fresh(p, state, session, true, err);
    wire_close(*used);
    *used = kept;
    return ok;
}

static bool explain_rest(struct proof *p, int state, int session, struct err *err)
{
    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        if (q->session == session && q->probed_state == state && q->shape[state] && !q->runs &&
            !cache_plan(q, state) && job_can_run(q) && !runs_as_utility(q->sql) &&
            !explain(p, q, state, err))
            return false;
    }
    return true;
}

bool probe_hold_again(struct proof *p, int state, struct err *err)
{
    if (!sessions_open(p, err))
        return false;
    for (int s = 0; s < p->n_sessions; s++)
        if (!open_holds(p, state, s, err))
            return false;
    return true;
}

bool probe_state(struct proof *p, int state, struct err *err)
{
    if (!sessions_open(p, err))
        return false;
    for (int s = 0; s < p->n_sessions; s++) {
        if (!prepare_all(p, state, s, err) || !first_runs(p, state, s, err))
            return false;
        meet(p, state, s);
        if (!open_holds(p, state, s, err) || !run_holds(p, state, s, err) ||
            !run_fresh(p, state, s, false, err) || !run_anew(p, state, s, err) ||
            !explain_rest(p, state, s, err))
            return false;
        for (int i = 0; i < p->n_queries; i++)
            if (p->queries[i].session == s && p->queries[i].probed_state == state)
                cache_note(p, &p->queries[i], state);
        arena_reset(p->scratch);
    }
    return true;
}
