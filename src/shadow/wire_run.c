/* Many statements in one go: libpq's pipeline, fed and read by turns. */
#include "shadow/wire_int.h"

#include <string.h>
#include <time.h>

/* Ops ahead of the answers. Enough that neither side waits for the other; few enough that libpq's copies of their
 * texts stay small. */
enum { AHEAD_MAX = 1024, AHEAD_MIN = 512, AHEAD_BYTES = 1 << 20 };

/* More of them than a server answers in the time of leave_alone(). */
enum { BUSY_OPS = 128 };

struct run {
    struct wire *w;
    const struct wire_op *ops;
    int n;
    int sent, got;      /* ops */
    size_t ahead_bytes; /* of texts that were sent and not answered */
    bool wants_sync;    /* the op before `got` ended its job */
    bool is_armed;      /* rows of op `got` come one by one */
    bool is_answered;   /* op `got` has a result */
    bool is_broken;
    struct wire_result *results;
    struct wire_rows rows;
};

static bool ends_job(const struct run *r, int i) { return r->ops[i].sync || i == r->n - 1; }

static bool is_run(const struct wire_op *op)
{
    return op->kind == WIRE_RUN || op->kind == WIRE_RUN_PREPARED;
}

/* What can't be sent, as an error of its own; NULL: nothing. */
static const char *refusal(const struct wire_op *op, const char **sqlstate)
{
    if ((op->kind == WIRE_RUN || op->kind == WIRE_PREPARE) && wire_is_copy(op->sql)) {
        *sqlstate = "0A000";
        return wire_copy_words(op->sql);
    }
    if ((is_run(op) && op->n_args > WIRE_MAX_PARAMS) || op->n_types > WIRE_MAX_PARAMS) {
        *sqlstate = "54023";
        return "a statement has at most 65535 parameters";
    }
    return NULL;
}

/* ---- sending ----------------------------------------------------------------------------------- */

static bool send_op(PGconn *conn, const struct wire_op *op)
{
    const char *state;

    /* The job has to fail on the server as well: a text that no server takes. */
    if (refusal(op, &state))
        return PQsendPrepare(conn, "", "refused", 0, NULL);
    switch (op->kind) {
    case WIRE_PREPARE: return PQsendPrepare(conn, op->name, op->sql, op->n_types, op->types);
    case WIRE_DESCRIBE: return PQsendDescribePrepared(conn, op->name);
    case WIRE_RUN_PREPARED:
        return PQsendQueryPrepared(conn, op->name, op->n_args, op->args, NULL, NULL, 0);
    case WIRE_RUN:
        return PQsendQueryParams(conn, op->sql, op->n_args,
                                 op->n_types == op->n_args ? op->types : NULL, op->args, NULL, NULL,
                                 0);
    }
    return false;
}

static bool send_sync(PGconn *conn)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    return PQsendPipelineSync(conn); /* leaves the push to us */
#else
    return PQpipelineSync(conn);
#endif
}

static size_t text_bytes(const struct wire_op *op)
{
    size_t n = op->sql ? strlen(op->sql) : 0;

    for (int i = 0; is_run(op) && i < op->n_args; i++)
        n += op->args[i] ? strlen(op->args[i]) : 0;
    return n;
}

/* Must come before anything of the op's answer is looked at. */
static void arm(struct run *r)
{
    if (!r->is_armed && !r->wants_sync && r->got < r->sent && is_run(&r->ops[r->got]))
        r->is_armed = PQsetSingleRowMode(r->w->conn) == 1;
}

/* A job that was begun is sent to its end, however long it is: the server keeps its answers until then. */
static bool is_within_job(const struct run *r)
{
    return r->sent > 0 && r->sent < r->n && !ends_job(r, r->sent - 1);
}

static bool send_more(struct run *r)
{
    if (!is_within_job(r) && (r->sent - r->got > AHEAD_MIN || r->ahead_bytes > AHEAD_BYTES / 2))
        return true;
    while (r->sent < r->n &&
           (is_within_job(r) || (r->sent - r->got < AHEAD_MAX && r->ahead_bytes < AHEAD_BYTES))) {
        const struct wire_op *op = &r->ops[r->sent];

        if (!send_op(r->w->conn, op) || (ends_job(r, r->sent) && !send_sync(r->w->conn)))
            return false;
        r->ahead_bytes += text_bytes(op);
        r->sent++;
        arm(r);
    }
    return true;
}

/* ---- taking ------------------------------------------------------------------------------------ */

static void begin_op(struct run *r)
{
    r->is_answered = r->is_armed = false;
    if (r->got == r->n)
        return;
    r->rows = (struct wire_rows) {
        .a = r->rows.a, .out = &r->results[r->got], .keep = r->ops[r->got].keep_rows};
    arm(r);
}

static void end_op(struct run *r)
{
    const struct wire_op *op = &r->ops[r->got];
    struct wire_result *out = &r->results[r->got];
    const char *state, *refused = refusal(op, &state);

    if (refused && !out->skipped)
        wire_refuse(out, state, refused);
    wire_own_cancel(r->w, out);
    if (wire_answered(r->w, out))
        *out = (struct wire_result) {.skipped = true};
    r->ahead_bytes -= text_bytes(op);
    r->wants_sync = ends_job(r, r->got);
    r->got++;
    begin_op(r);
}

/* The commit of a job's implicit transaction failed, of a deferred constraint for example. */
static void fail_last(struct run *r, const PGresult *res)
{
    struct wire_rows rows = {.a = r->rows.a, .out = &r->results[r->got - 1]};

    if (rows.out->ok)
        wire_take(&rows, res);
}

static void take_one(struct run *r)
{
    PGresult *res = PQgetResult(r->w->conn);
    ExecStatusType status = PQresultStatus(res);

    if (!res && r->is_answered)
        end_op(r);
    else if (!res)
        r->is_broken = !r->wants_sync || PQstatus(r->w->conn) != CONNECTION_OK;
    if (!res)
        return;
    if (status == PGRES_PIPELINE_SYNC) {
        r->wants_sync = false;
        r->is_broken = r->is_answered;
        arm(r);
    } else if (r->wants_sync) {
        if (status == PGRES_FATAL_ERROR)
            fail_last(r, res);
    } else {
        r->is_broken =
            status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
        wire_take(&r->rows, res);
        r->is_answered = true;
    }
    PQclear(res);
}

/* ---- both by turns ----------------------------------------------------------------------------- */

static bool is_done(const struct run *r) { return r->got == r->n && !r->wants_sync; }

/* False: the session is gone. */
static bool take_all(struct run *r)
{
    while (!is_done(r) && (r->got < r->sent || r->wants_sync) && !PQisBusy(r->w->conn)) {
        take_one(r);
        /* What it has written stays in the database, and would be in everybody's way. */
        if (r->is_broken || r->w->is_full || PQstatus(r->w->conn) != CONNECTION_OK)
            return false;
        if (!send_more(r))
            return false;
    }
    return true;
}

/* A server wakes whoever waits for its socket with each job that it ends, which costs it as much as a third of a small
 * job: where it has plenty to do it is left alone for a while, its answers wait in the socket. */
static bool is_left_alone(const struct run *r)
{
    return r->sent - r->got > BUSY_OPS && PQflush(r->w->conn) == 0;
}

static enum wire_wait wait_for(const struct run *r, int n, int *out_at)
{
    static const struct timespec while_busy = {.tv_nsec = 500000};
    struct wire *wires[WIRES_MAX];
    int of[WIRES_MAX], waiting = 0, at = 0;
    bool is_busy = true;

    for (int i = 0; i < n; i++)
        if (!is_done(&r[i])) {
            is_busy = is_left_alone(&r[i]) && is_busy;
            of[waiting] = i;
            wires[waiting++] = r[i].w;
        }
    if (waiting == 0)
        return WIRE_LOOK;
    if (is_busy)
        (void) nanosleep(&while_busy, NULL);
    enum wire_wait how = wire_wait_any(wires, waiting, SHADOW_SLICE_MS, &at);
    *out_at = of[at];
    return how;
}

/* An administrator, a crash, a shutdown, or a time-out for those that do nothing (57P05, 25P03, 25P04). */
bool wire_is_last_word(const struct wire_result *r)
{
    static const char *const states[] = {"57P0", "08006", "25P03", "25P04"};

    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strncmp(r->sqlstate, states[i], strlen(states[i])) == 0)
            return true;
    return false;
}

/* So that the caller sees which statement it was. */
static void mark_lost(struct run *r)
{
    int at = r->got > 0 && wire_is_last_word(&r->results[r->got - 1]) ? r->got - 1 : r->got;

    if (at < r->n && (r->w->is_full || r->results[at].ok || !*r->results[at].sqlstate))
        wire_refuse(&r->results[at], "08006",
                    r->w->is_full ? WIRE_FULL : "the session was lost while this was running");
    for (int i = at + 1; i < r->n; i++)
        r->results[i] = (struct wire_result) {.skipped = true};
}

static bool begin(struct run *r, const struct wire_batch *b)
{
    *r = (struct run) {
        .w = b->w, .ops = b->ops, .n = b->n, .results = b->results, .rows = {.a = b->a}};
    memset(b->results, 0, sizeof *b->results * (size_t) b->n);
    b->w->is_running = true;
    (void) !wire_answered(b->w, NULL);
    begin_op(r);
    return b->w->conn && PQenterPipelineMode(b->w->conn) && send_more(r);
}

/* Of those that end well, or beside one that doesn't. */
static bool end(struct run *r)
{
    r->w->is_running = false;
    if (is_done(r) && PQexitPipelineMode(r->w->conn))
        return true;
    for (int i = r->got; i < r->n; i++)
        r->results[i] = (struct wire_result) {.skipped = true};
    wire_lose(r->w);
    return false;
}

static bool run_all(const struct wire_batch *b, int n, struct err *err)
{
    struct run r[WIRES_MAX];
    enum wire_wait how = WIRE_LOOK;
    int at = 0, n_done = 0;

    for (int i = 0; i < n; i++)
        if (b[i].w->is_busy)
            return err_set(err, ERR_BUG,
                           "a session was given a statement before the end of another");
    for (int i = 0; i < n; i++)
        if (!begin(&r[i], &b[i])) {
            how = WIRE_GONE;
            at = i;
        }
    while (how == WIRE_LOOK && n_done < n) {
        n_done = 0;
        for (int i = 0; i < n && how == WIRE_LOOK; i++) {
            how = take_all(&r[at = i]) ? WIRE_LOOK : WIRE_GONE;
            n_done += is_done(&r[i]);
        }
        if (how == WIRE_LOOK)
            how = wait_for(r, n, &at);
    }
    bool ok = how == WIRE_LOOK;
    for (int i = 0; i < n; i++)
        if ((ok || i != at) && !end(&r[i]) && ok) {
            ok = false;
            how = WIRE_GONE;
            at = i;
        }
    if (ok)
        return true;
    b[at].w->is_running = false;
    mark_lost(&r[at]);
    return wire_failed(b[at].w, how, err);
}

bool wire_run(struct wire *w, struct arena *a, const struct wire_op *ops, int n,
              struct wire_result *results, struct err *err)
{
    return n <= 0 || run_all(&(struct wire_batch) {w, a, ops, n, results}, 1, err);
}

bool wire_run_two(const struct wire_batch two[2], struct err *err)
{
    if (two[0].n <= 0 || two[1].n <= 0)
        return run_all(&two[two[0].n <= 0], two[0].n > 0 || two[1].n > 0, err);
    return run_all(two, 2, err);
}
