/* What is put to a session in one go, and what comes of it. */
#include "check/jobs.h"

struct wire_op *job_op(struct proof *p, struct jobs *j, struct wire_op op)
{
    if (j->n == j->cap) {
        int cap = j->cap ? 2 * j->cap : 256;
        j->ops = arena_grow(p->scratch, j->ops, sizeof *j->ops * (size_t) j->cap,
                            sizeof *j->ops * (size_t) cap);
        j->cap = cap;
    }
    j->ops[j->n] = op;
    return &j->ops[j->n++];
}

bool jobs_run(struct proof *p, struct jobs *j, int session, struct err *err)
{
    if (j->n == 0)
        return true;
    /* Nothing may stay open that the next step would wait for. */
    if (j->opens) {
        job_op(p, j, (struct wire_op) {.kind = WIRE_RUN, .sql = "ROLLBACK", .sync = true});
        job_op(p, j,
               (struct wire_op) {.kind = WIRE_RUN,
                                 .sql = "SELECT pg_catalog.pg_advisory_unlock_all()",
                                 .sync = true});
    }
    j->results = arena_array(p->scratch, struct wire_result, j->n);
    return wire_run(p->sessions[session].wire, p->scratch, j->ops, j->n, j->results, err) ||
           lost_note(p, j->ops, j->n, j->results);
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
