/* What is put to a session in one go, and what comes of it. */
#include "check/jobs.h"

struct wire_op *job_op(struct proof *p, struct jobs *j, struct wire_op op)
{
    if (j->n == j->cap) {
        int cap = j->cap ? 2 * j->cap : 16;
        j->ops = arena_grow(j->a ? j->a : p->scratch, j->ops, sizeof *j->ops * (size_t) j->cap,
                            sizeof *j->ops * (size_t) cap);
        j->cap = cap;
    }
    j->ops[j->n] = op;
    return &j->ops[j->n++];
}

/* What they are to be run as; n 0: nothing. */
static struct wire_batch batch_of(struct proof *p, struct jobs *j, struct wire *w)
{
    struct arena *a = j->a ? j->a : p->scratch;

    if (j->n == 0)
        return (struct wire_batch) {.w = w};
    /* Nothing may stay open that the next step would wait for. */
    if (j->opens) {
        job_op(p, j, (struct wire_op) {.kind = WIRE_RUN, .sql = "ROLLBACK", .sync = true});
        job_op(p, j,
               (struct wire_op) {.kind = WIRE_RUN,
                                 .sql = "SELECT pg_catalog.pg_advisory_unlock_all()",
                                 .sync = true});
    }
    j->results = arena_array(a, struct wire_result, j->n);
    return (struct wire_batch) {w, a, j->ops, j->n, j->results};
}

bool jobs_run(struct proof *p, struct jobs *j, int session, struct err *err)
{
    struct wire_batch b = batch_of(p, j, p->sessions[session].wire);

    return wire_run(b.w, b.a, b.ops, b.n, b.results, err) || lost_note(p, j->ops, j->n, j->results);
}

bool jobs_run_two(struct proof *p, struct jobs two[2], int session, struct err *err)
{
    if (two[1].n == 0)
        return jobs_run(p, &two[0], session, err);
    struct wire_batch b[2] = {batch_of(p, &two[0], p->sessions[session].wire),
                              batch_of(p, &two[1], p->sessions[session].beside)};
    if (wire_run_two(b, err))
        return true;
    p->lost_beside = true;
    return false;
}

void jobs_clear(struct jobs *j)
{
    arena_reset(j->a);
    *j = (struct jobs) {.a = j->a};
}

bool is_too_long(const char *sqlstate, const char *message)
{
    /* The server's words, and its messages are in English here; those of a time-out are others. */
    return strcmp(sqlstate, "57014") == 0 && !(message && strstr(message, "user request"));
}

const struct outcome *job_outcome(struct proof *p, const struct wire_result *r, char probe)
{
    static const struct outcome good = {.ok = true, .probe = 'P'};

    if (r->ok)
        return &good;
    struct outcome *o = arena_new(p->a, struct outcome);
    o->probe = probe;
    o->sqlstate = arena_strdup(p->a, r->sqlstate);
    o->message = is_too_long(r->sqlstate, r->message)
                     ? arena_printf(p->a, "it doesn't end within %d s", SHADOW_STATEMENT_MS / 1000)
                     : arena_strdup(p->a, r->message ? r->message : "no answer");
    o->context = arena_strdup(p->a, r->context);
    o->position = r->position;
    return o;
}

const struct description *job_description(struct proof *p, const struct wire_result *r)
{
    struct description *d = arena_new(p->a, struct description);
    unsigned *params = arena_array(p->a, unsigned, r->n_params + 1);
    struct wire_column *columns = arena_array(p->a, struct wire_column, r->n_columns + 1);

    if (r->n_params > 0)
        memcpy(params, r->param_types, sizeof *params * (size_t) r->n_params);
    for (int i = 0; i < r->n_columns; i++) {
        columns[i] = r->columns[i];
        columns[i].name = arena_strdup(p->a, r->columns[i].name);
    }
    *d = (struct description) {r->n_params, r->n_columns, params, columns};
    return d;
}

/* Anything that isn't planned for good (SET, BEGIN) is only prepared. */
bool job_can_run(const struct query *q)
{
    if (q->is_stand_in || (q->facts.is_one_statement && runs_as_utility(q->sql)))
        return true;
    /* What only the server can read is one statement, or it wouldn't have prepared it. */
    return !q->facts.parsed || (q->facts.is_one_statement && !q->facts.is_utility);
}

/* Run in a transaction that is taken back, with what comes before it in its own. held NULL: prepared afresh. look: what
 * is asked before it; NULL: nothing. */
void job_run(struct proof *p, struct jobs *j, struct query *q, const char *held, int set,
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
const struct wire_result *job_result(const struct wire_result *first, int n_ops)
{
    const struct wire_result *own = &first[n_ops - 2], *end = &first[n_ops - 1];

    return own->ok ? end : own;
}

/* Up to the constraints that waited; what the query leaves behind is looked at after that. */
int job_n_ops(const struct query *q)
{
    int n = 4 + (q->clears != NULL);

    for (int i = 0; i < q->n_before; i++)
        n += q->before[i]->runs && q->before[i]->n_sets > 0;
    return n;
}

/* Did what came before it fail? Then nothing is known of this one. */
bool job_was_reached(const struct wire_result *first, int n_ops)
{
    return !first[n_ops - 2].skipped;
}

const struct outcome *job_run_outcome(struct proof *p, const struct query *q,
                                      const struct wire_result *first, int n_ops)
{
    const struct outcome *o = job_outcome(p, job_result(first, n_ops), 'X');

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
bool job_may_run(const struct proof *p, struct query *q)
{
    if (!q->gave_up && shadow_is_late(p->shadow))
        q->is_late = true;
    return !q->gave_up && !q->is_late;
}

/* told: the outcome; NULL: not asked for. */
bool job_run_once(struct proof *p, struct query *q, int set, struct wire_result *out, bool *reached,
                  const struct outcome **told, struct err *err)
{
    static const struct outcome unasked = {.probe = 'X', .sqlstate = "57014", .message = "not run"};
    struct jobs j = {0};
    int n = job_n_ops(q);

    if (!job_may_run(p, q)) {
        *out = (struct wire_result) {.skipped = true};
        *reached = false;
        if (told)
            *told = &unasked;
        return true;
    }
    job_run(p, &j, q, NULL, set, NULL);
    if (!jobs_run(p, &j, q->session, err))
        return false;
    *out = *job_result(j.results, n);
    out->affected = j.results[n - 2].affected;
    *reached = job_was_reached(j.results, n);
    q->gave_up = is_too_long(out->sqlstate, out->message);
    if (told)
        *told = job_run_outcome(p, q, j.results, n);
    return true;
}
