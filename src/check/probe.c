/* Putting queries to a state of the database. */
#include "check/jobs.h"

/* ---- which queries a state is about ------------------------------------------------------------------------ */

/* Anything that isn't planned for good (SET, BEGIN) is only prepared. */
static bool can_run(const struct query *q)
{
    if (q->is_stand_in || (q->facts.is_one_statement && runs_as_utility(q->sql)))
        return true;
    /* What only the server can read is one statement, or it wouldn't have prepared it. */
    return !q->facts.parsed || (q->facts.is_one_statement && !q->facts.is_utility);
}

static struct wire_op prepare_op(const struct query *q, const char *name, bool sync)
{
    return (struct wire_op) {.kind = WIRE_PREPARE,
                             .name = name,
                             .sql = q->sql,
                             .types = q->types,
                             .n_types = q->types ? q->s->types.n : 0,
                             .sync = sync};
}

/* P and D: each query that touches something that isn't as it was. */
static bool prepare_all(struct proof *p, int state, int session, struct err *err)
{
    struct jobs j = {0};
    int *of = arena_array(p->scratch, int, p->n_queries + 1), n = 0;

    if (!declared_types(p, session, err))
        return false;
    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        if (q->session == session && q->writes_out == state)
            sqlc_write_out(p, q);
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
        of[n++] = i;
        job_op(p, &j, prepare_op(q, "", false));
        job_op(p, &j, (struct wire_op) {.kind = WIRE_DESCRIBE, .name = "", .sync = true});
    }
    if (!jobs_run(p, &j, session, err))
        return false;
    for (int i = 0; i < n; i++) {
        struct query *q = &p->queries[of[i]];
        const struct wire_result *r = &j.results[2 * i];

        q->plan[state] = job_outcome(p, r[0].ok ? &r[1] : &r[0], 'P');
        if (q->untyped)
            q->plan[state] = job_outcome(
                p, &(struct wire_result) {.sqlstate = "42704", .message = q->untyped}, 'P');
        if (q->is_stand_in && q->plan[state]->ok && copy_refused(p, q))
            q->plan[state] = job_outcome(
                p, &(struct wire_result) {.sqlstate = "42809", .message = copy_refused(p, q)}, 'P');
        q->shape[state] = r[0].ok && r[1].ok ? job_description(p, &r[1]) : NULL;
        q->probed_state = state;
        q->fresh[state] = true;
    }
    return true;
}

/* Run in a transaction that is taken back, with what comes before it in its own. held NULL: prepared afresh. look: what
 * is asked before it; NULL: nothing. */
static void job_run(struct proof *p, struct jobs *j, struct query *q, const char *held, int set,
                    const char *look)
{
    const struct arg_set *args = &q->sets[set];

    j->opens = true;
    job_op(p, j, (struct wire_op) {.kind = WIRE_RUN, .sql = "ROLLBACK"});
    job_op(p, j, (struct wire_op) {.kind = WIRE_RUN, .sql = "BEGIN"});
    for (int i = 0; i < q->n_before; i++) {
        const struct query *b = q->before[i];
        if (b->runs && b->n_sets > 0)
            job_op(p, j,
                   (struct wire_op) {.kind = WIRE_RUN,
                                     .sql = b->sql,
                                     .args = b->sets[0].values,
                                     .n_args = b->sets[0].n,
                                     .types = b->types,
                                     .n_types = b->types ? b->s->types.n : 0});
    }
    if (q->clears)
        job_op(p, j, (struct wire_op) {.kind = WIRE_RUN, .sql = q->clears});
    if (look)
        job_op(p, j, (struct wire_op) {.kind = WIRE_RUN, .sql = look, .keep_rows = true});
    job_op(p, j,
           (struct wire_op) {.kind = held ? WIRE_RUN_PREPARED : WIRE_RUN,
                             .name = held,
                             .sql = held ? NULL : q->sql,
                             .args = args->values,
                             .n_args = args->n,
                             .types = q->types,
                             .n_types = q->types ? q->s->types.n : 0,
                             .keep_rows = q->keeps_rows});
    /* Those that wait, wait for the last statement of the transaction. */
    job_op(p, j,
           (struct wire_op) {.kind = WIRE_RUN,
                             .sql = q->goes_on ? "SET CONSTRAINTS ALL DEFERRED"
                                               : "SET CONSTRAINTS ALL IMMEDIATE",
                             .sync = true});
    if (q->leaves)
        job_op(
            p, j,
            (struct wire_op) {.kind = WIRE_RUN, .sql = q->leaves, .keep_rows = true, .sync = true});
    if (q->leaves_beside)
        job_op(p, j,
               (struct wire_op) {
                   .kind = WIRE_RUN, .sql = q->leaves_beside, .keep_rows = true, .sync = true});
}

/* The result that tells: the query's own, or that of the constraints that waited. */
static const struct wire_result *run_result(const struct wire_result *first, int n_ops)
{
    const struct wire_result *own = &first[n_ops - 2], *end = &first[n_ops - 1];

    return own->ok ? end : own;
}

/* Up to the constraints that waited; what the query leaves behind is looked at after that. */
static int ops_of(const struct query *q)
{
    int n = 4 + (q->clears != NULL);

    for (int i = 0; i < q->n_before; i++)
        n += q->before[i]->runs && q->before[i]->n_sets > 0;
    return n;
}

/* Did what came before it fail? Then nothing is known of this one. */
static bool was_reached(const struct wire_result *first, int n_ops)
{
    return !first[n_ops - 2].skipped;
}

static const struct outcome *outcome_of_run(struct proof *p, const struct query *q,
                                            const struct wire_result *first, int n_ops)
{
    const struct outcome *o = job_outcome(p, run_result(first, n_ops), 'X');

    if (!o->ok || (!q->keeps_rows && !q->leaves))
        return o;
    struct outcome *with = arena_new(p->a, struct outcome);
    *with = *o;
    with->answer = answer_of(q->leaves ? &first[n_ops] : &first[n_ops - 2]);
    if (q->leaves_beside)
        with->beside = answer_beside(p, q, &first[n_ops + (q->leaves != NULL)]);
    with->n_beside = q->leaves_beside ? q->n_beside : 0;
    with->rows = p->n_rows;
    return with;
}

/* One that doesn't end isn't run again; and nothing is, once such have taken all the time that there is for them. */
static bool may_run(const struct proof *p, struct query *q)
{
    if (!q->gave_up && shadow_is_late(p->shadow))
        q->is_late = true;
    return !q->gave_up && !q->is_late;
}

/* told: the outcome; NULL: not asked for. */
static bool run_once(struct proof *p, struct query *q, int set, struct wire_result *out,
                     bool *reached, const struct outcome **told, struct err *err)
{
    static const struct outcome unasked = {.probe = 'X', .sqlstate = "57014", .message = "not run"};
    struct jobs j = {0};
    int n = ops_of(q);

    if (!may_run(p, q)) {
        *out = (struct wire_result) {.skipped = true};
        *reached = false;
        if (told)
            *told = &unasked;
        return true;
    }
    job_run(p, &j, q, NULL, set, NULL);
    if (!jobs_run(p, &j, q->session, err))
        return false;
    *out = *run_result(j.results, n);
    out->affected = j.results[n - 2].affected;
    *reached = was_reached(j.results, n);
    q->gave_up = is_too_long(out->sqlstate, out->message);
    if (told)
        *told = outcome_of_run(p, q, j.results, n);
    return true;
}

bool probe_run(struct proof *p, struct query *q, struct wire_result *out, bool *reached,
               uint64_t *answer, struct err *err)
{
    const struct outcome *told = NULL;

    if (!run_once(p, q, 0, out, reached, answer ? &told : NULL, err))
        return false;
    if (answer)
        *answer = told->answer;
    return true;
}

bool probe_answer(struct proof *p, struct query *q, const struct outcome **out, struct err *err)
{
    struct wire_result r = {0};
    bool reached = false;

    return run_once(p, q, 0, &r, &reached, out, err);
}

bool probe_around(struct proof *p, const struct query *q, const char *sql,
                  struct wire_result looks[2], struct err *err)
{
    struct query asked = *q;
    struct jobs j = {0};
    int n = ops_of(q) + 1; /* with the look before it */

    looks[0] = looks[1] = (struct wire_result) {.skipped = true};
    asked.leaves = sql;
    asked.leaves_beside = NULL;
    if (!may_run(p, &asked))
        return true;
    job_run(p, &j, &asked, NULL, 0, sql);
    if (!jobs_run(p, &j, q->session, err))
        return false;
    if (run_result(j.results, n)->ok) {
        looks[0] = j.results[n - 3];
        looks[1] = j.results[n];
    }
    return true;
}

/* Other rows only tell of steps that they ran before. */
static bool first_run_of(struct proof *p, struct query *q, int set, struct err *err)
{
    struct wire_result r = {0};
    bool reached = true;

    for (int attempt = 1;; attempt++) {
        if (!run_once(p, q, set, &r, &reached, NULL, err))
            return false;
        q->sets[set].runs = r.ok && reached;
        q->sets[set].misses = q->sets[set].runs && r.affected == 0;
        q->gave_up = false; /* of this row */
        if (is_too_long(r.sqlstate, r.message))
            return true;
        if (q->sets[set].runs || !reached || !args_mend(p, q, &r, set, attempt))
            return true;
    }
}

/* What is copied from one table to another, or stands in the statement, has keys that our rows there have as well. */
static bool clear_way(struct proof *p, struct query *q, const struct wire_result *r)
{
    const struct fact_write *w = q->facts.n_writes == 1 ? &q->facts.writes[0] : NULL;
    AUTO(str) sql = {0};

    if (q->clears || !w || w->verb != VERB_INSERT || (q->facts.n_rels < 2 && q->sets[0].n > 0) ||
        strcmp(r->sqlstate, "23505") != 0)
        return false;
    str_add(&sql, "DELETE FROM ");
    if (w->schema)
        sql_qualified(&sql, w->schema, w->table);
    else
        sql_ident(&sql, w->table);
    q->clears = arena_strdup(p->a, str_text(&sql));
    return true;
}

/* Are there arguments with which it runs here? */
static bool first_run(struct proof *p, struct query *q, int state, struct err *err)
{
    struct wire_result r = {0};
    bool reached = true;

    if (!q->has_args) {
        args_make(p, q, q->shape[state]);
        answer_prepare(p, q);
    }
    for (int attempt = 1;; attempt++) {
        if (!run_once(p, q, 0, &r, &reached, &q->run[state], err))
            return false;
        q->runs = r.ok && reached;
        q->sets[0].misses = q->runs && r.affected == 0;
        /* Other values help against constraints, formats and triggers, not against what runs for ever. */
        bool by_value = strncmp(r.sqlstate, "23", 2) == 0 || strncmp(r.sqlstate, "22", 2) == 0 ||
                        strcmp(r.sqlstate, "P0001") == 0;
        if (q->runs || !reached || !by_value ||
            (!args_mend(p, q, &r, 0, attempt) && !clear_way(p, q, &r)))
            break;
    }
    for (int set = 1; q->runs && set < q->n_sets; set++)
        if (!first_run_of(p, q, set, err))
            return false;
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
static int hold_for(struct proof *p, struct query *q, int state)
{
    if (q->n_holds > 0 && description_same(q->holds[q->n_holds - 1].shape, q->shape[state]))
        return q->n_holds - 1;
    q->holds = arena_grow(p->a, q->holds, sizeof *q->holds * (size_t) q->n_holds,
                          sizeof *q->holds * (size_t) (q->n_holds + 1));
    q->holds[q->n_holds] = (struct hold) {
        .state = state,
        .shape = q->shape[state],
        .chain = q->chain,
        .is_left = !p->opens_all && cache_foresees(p, q),
        .name = arena_printf(p->a, "h%d_%d", (int) (q - p->queries), q->n_holds),
        .at = arena_array(p->a, const struct outcome *, p->t.n_states),
    };
    return q->n_holds++;
}

/* Prepares what is to be held from this state on and isn't yet in the session. */
static bool open_holds(struct proof *p, int state, int session, struct err *err)
{
    struct jobs j = {0};
    struct hold **of = arena_array(p->scratch, struct hold *, p->n_app + 1);

    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        for (int k = 0; q->session == session && k < q->n_holds; k++) {
            struct hold *h = &q->holds[k];
            if (h->is_open || h->is_left || h->state != state)
                continue;
            of[j.n] = h;
            job_op(p, &j, prepare_op(q, h->name, true));
        }
    }
    if (!jobs_run(p, &j, session, err))
        return false;
    for (int i = 0; i < j.n; i++) /* opens no transaction: one job a hold */
        of[i]->is_open = j.results[i].ok;
    return true;
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

/* A query may prepare in an earlier state than it runs in: the column is there, and the trigger that fills the other
 * one isn't yet. So it is tried again until it runs. */
static bool begin_runs(struct proof *p, int state, int session, struct err *err)
{
    int from = p->t.states[state].from;

    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        if (q->session != session || q->runs || !q->shape[state] || !can_run(q))
            continue;
        if (!may_run(p, q)) {
            q->run[state] = from >= 0 ? q->run[from] : NULL;
            continue;
        }
        if (q->has_args && q->probed_state != state)
            q->run[state] = from >= 0 ? q->run[from] : NULL;
        else if (!cache_first(p, q, state) && !first_run(p, q, state, err))
            return false;
        else
            cache_note_first(q, state);
    }
    return true;
}

static void meet(struct proof *p, int state, int session)
{
    for (int i = 0; i < p->n_app; i++) {
        struct app_statement *a = &p->app[i];
        if (a->q->session != session || a->q->is_lethal || a->hold >= 0 || a->failed_first ||
            !is_met(p, a, state))
            continue;
        if (a->q->shape[state] && can_run(a->q))
            a->hold = hold_for(p, a->q, state);
        else if (!a->q->shape[state])
            a->failed_first = true;
    }
}

struct turn { /* one job of a batch of runs */
    struct query *q;
    struct hold *hold; /* NULL: afresh */
    int first, n_ops, set;
};

static bool is_failure(const struct outcome *o) { return o && !o->ok; }

/* In one go: those that don't end may take up the time for such within one. */
enum { BATCH_MAX = 256 };

/* Of several rows the one that fails is the one that tells. */
static bool run_batch(struct proof *p, struct jobs *j, struct turn *turns, int *n, int session,
                      int state, struct err *err)
{
    if (!jobs_run(p, j, session, err))
        return false;
    for (int i = 0; i < *n; i++) {
        const struct wire_result *first = &j->results[turns[i].first];
        const struct outcome *o = was_reached(first, turns[i].n_ops)
                                      ? outcome_of_run(p, turns[i].q, first, turns[i].n_ops)
                                      : NULL;

        turns[i].q->gave_up |= o && !o->ok && is_too_long(o->sqlstate, o->message);
        turns[i].q->is_late |= !o && shadow_is_late(p->shadow);
        if (turns[i].hold) {
            if (o && !o->ok && strcmp(o->sqlstate, "0A000") == 0 &&
                strstr(o->message, "cached plan"))
                ((struct outcome *) (uintptr_t) o)->probe = 'H';
            turns[i].hold->at[state] = o;
            cache_note_hold(p, turns[i].q, turns[i].hold, o);
        } else if (turns[i].set == 0 ? !is_failure(turns[i].q->run[state]) : is_failure(o)) {
            turns[i].q->run[state] = o;
        }
    }
    *n = j->n = 0;
    return true;
}

/* X and H: what is held, run as it is held. */
static bool run_holds(struct proof *p, int state, int session, struct err *err)
{
    struct jobs j = {0};
    int n = 0, room = 1;

    for (int i = 0; i < p->n_queries; i++)
        room += p->queries[i].n_holds;
    struct turn *turns = arena_array(p->scratch, struct turn, room);
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
            if (cache_hold(q, h, &h->at[state]) || !may_run(p, q))
                continue;
            if (h->is_left) {
                p->is_short = true;
                return err_set(err, ERR_BUG, "a statement isn't held that is asked for");
            }
            turns[n++] = (struct turn) {q, h, j.n, ops_of(q), 0};
            job_run(p, &j, q, h->name, 0, NULL);
            if (n == BATCH_MAX && !run_batch(p, &j, turns, &n, session, state, err))
                return false;
        }
    }
    return run_batch(p, &j, turns, &n, session, state, err);
}

/* What is held goes on calling the function it found; a new session may find another one. */
static bool calls_functions(const struct proof *p, const struct query *q)
{
    for (int i = 0; i < q->facts.functions.n; i++)
        if (cat_function_print(&p->now, q->facts.functions.items[i].s))
            return true;
    return false;
}

/* X afresh: where nothing is held, where what is held no longer runs, where the types of parameters changed, and
 * for the author's other rows. */
static bool run_fresh(struct proof *p, int state, int session, struct err *err)
{
    struct jobs j = {0};
    int n = 0, room = 1;

    for (int i = 0; i < p->n_queries; i++)
        room += p->queries[i].n_sets + 1;
    struct turn *turns = arena_array(p->scratch, struct turn, room);

    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        const struct hold *h = q->n_holds ? &q->holds[q->n_holds - 1] : NULL;
        int from = p->t.states[state].from;

        if (q->session != session || !q->runs || !q->shape[state] ||
            (q->probed_state == state && cache_run(q, state)))
            continue;
        for (int set = 1; q->probed_state == state && set < q->n_sets; set++)
            if (q->sets[set].runs && may_run(p, q)) {
                turns[n++] = (struct turn) {q, NULL, j.n, ops_of(q), set};
                job_run(p, &j, q, NULL, set, NULL);
            }
        if (q->run[state])
            continue;
        if (!may_run(p, q)) {
            q->run[state] = from >= 0 ? q->run[from] : NULL;
            continue;
        }
        if (q->probed_state != state && from >= 0 && q->run[from]) {
            q->run[state] = q->run[from];
            continue;
        }
        if (h && h->at[state] && h->at[state]->ok && description_same(h->shape, q->shape[state]) &&
            !calls_functions(p, q)) {
            q->run[state] = h->at[state];
            continue;
        }
        turns[n++] = (struct turn) {q, NULL, j.n, ops_of(q), 0};
        job_run(p, &j, q, NULL, 0, NULL);
        if (n >= BATCH_MAX && !run_batch(p, &j, turns, &n, session, state, err))
            return false;
    }
    return run_batch(p, &j, turns, &n, session, state, err);
}

static bool explain_rest(struct proof *p, int state, int session, struct err *err)
{
    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        if (q->session == session && q->probed_state == state && q->shape[state] && !q->runs &&
            !cache_plan(q, state) && can_run(q) && !runs_as_utility(q->sql) &&
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
        if (!prepare_all(p, state, s, err) || !begin_runs(p, state, s, err))
            return false;
        meet(p, state, s);
        if (!open_holds(p, state, s, err) || !run_holds(p, state, s, err) ||
            !run_fresh(p, state, s, err) || !explain_rest(p, state, s, err))
            return false;
        for (int i = 0; i < p->n_queries; i++)
            if (p->queries[i].session == s && p->queries[i].probed_state == state)
                cache_note(p, &p->queries[i], state);
        arena_reset(p->scratch);
    }
    return true;
}
