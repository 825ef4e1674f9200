/* A step of a plan: observe, act, record. Transactional where PostgreSQL allows it, else standalone. */
#include "internal.h"

#include <jansson.h>

static int64_t lock_timeout_of(const struct work *w, const struct step *s)
{
    return s->lock_timeout_ms != MODEL_UNSET ? s->lock_timeout_ms : w->e->policy.lock_timeout_ms;
}

static bool is_standalone(const struct step *s)
{
    bool any = s->no_transaction;

    for (int i = 0; i < s->n_stmts; i++)
        any |= s->stmts[i].standalone;
    return any;
}

/* Index builds and validations take as long as they take: they hold no lock that anyone waits for. */
static int64_t statement_timeout_of(const struct work *w, const struct step *s)
{
    if (s->statement_timeout_ms != MODEL_UNSET)
        return s->statement_timeout_ms;
    return is_standalone(s) ? 0 : w->e->policy.statement_timeout_ms;
}

static const char *step_sql(struct work *w, const struct step *s)
{
    AUTO(str) t = {0};

    for (int i = 0; i < s->n_stmts; i++)
        str_addf(&t, "%s%s", i ? ";\n" : "", s->stmts[i].sql);
    for (int i = 0; i < s->command.n; i++)
        str_addf(&t, "%s%s", i ? " " : "command: ", s->command.items[i].s);
    return arena_strdup(w->a, str_text(&t));
}

/* dbms: "postgresql", "postgresql >= 15". Anything else is another product: does not apply. */
bool step_applies(struct work *w, const struct step *s, bool *out, struct err *err)
{
    const char *name = "postgresql";
    struct cond c;

    *out = true;
    if (!s->dbms.s)
        return true;
    if (strncmp(s->dbms.s, name, strlen(name)) != 0) {
        *out = false;
        return true;
    }
    const char *rest = s->dbms.s + strlen(name);
    rest += strspn(rest, " ");
    if (!*rest)
        return true;
    if (!cond_parse(rest, &c))
        return err_set(
            err, ERR_INPUT,
            "%s:%d:%d: \"%s\" is no version condition; expected for example \"postgresql >= 15\"",
            s->dbms.at.file, s->dbms.at.line, s->dbms.at.col, s->dbms.s);
    *out = server_version_holds(w->e, &c);
    return true;
}

bool step_observe_applied(struct work *w, const struct step *s, bool *known, bool *applied,
                          struct err *err)
{
    *known = true;
    *applied = true;
    if (s->applied_when.s)
        return ask_bool(w, s->applied_when.s, applied, err);
    *known = s->n_stmts > 0;
    for (int i = 0; i < s->n_stmts && *known && *applied; i++) {
        if (!s->stmts[i].applied_when) {
            *known = false;
        } else if (!ask_bool(w, s->stmts[i].applied_when, applied, err)) {
            /* The catalogue question fails where the table isn't there yet: then it isn't applied. */
            if (!err_is(err, ERR_SQL))
                return false;
            err_clear(err);
            *applied = false;
        }
    }
    if (!*known)
        *applied = false;
    return true;
}

struct build_ctx {
    const struct task *task;
    int64_t started_ms;
    const char *sql, *undo, *detail;
    struct db_call guard; /* fails when the step is in place already; sql NULL: there is none */
    bool skipped;
};

#define IN_PLACE "phasegate: already in place"

static bool ends_in(const struct str *s, const char *tail)
{
    size_t n = strlen(tail);

    return s->len >= n && memcmp(str_text(s) + s->len - n, tail, n) == 0;
}

/* A question that was derived differs from the next step's of its kind in names only: they become parameters,
 * so that the session plans it once. Only where the other side of a comparison, or the function, says the type. */
static bool add_with_names_apart(struct work *w, struct db_call *c, struct str *out,
                                 const char *sql)
{
    static const char *const before[] = {" = ", "to_regclass(", "to_regtype("};

    while (*sql) {
        AUTO(str) name = {0};
        const char *end = sql;
        size_t begin = strcspn(sql, "'");

        str_addn(out, sql, begin);
        sql += begin;
        if (!*sql)
            break;
        for (end = sql + 1; *end && (*end != '\'' || end[1] == '\''); end += *end == '\'' ? 2 : 1)
            str_addc(&name, *end);
        if (!*end)
            return false;
        bool is_name = false;
        for (size_t i = 0; i < sizeof before / sizeof *before; i++)
            is_name = is_name || ends_in(out, before[i]);
        if (is_name && c->params.n < DB_MAX_PARAMS) {
            c->params.value[c->params.n++] = arena_strdup(w->a, str_text(&name));
            str_addf(out, "$%d", c->params.n);
        } else {
            str_addn(out, sql, (size_t) (end + 1 - sql));
        }
        sql = end + 1;
    }
    return true;
}

/* The text as the session may have prepared it: the same pointer for the same text. *again: it came before. */
static const char *known_guard(struct work *w, const char *sql, bool *again)
{
    const int n = (int) (sizeof w->guards / sizeof *w->guards);
    int i = 0;

    while (i < n && w->guards[i] && strcmp(w->guards[i], sql) != 0)
        i++;
    *again = i < n && w->guards[i];
    if (*again)
        return w->guards[i];
    const char *kept = arena_strdup(w->a, sql);
    if (i < n)
        w->guards[i] = kept;
    return kept;
}

/* Asks applied_when inside the transaction, in the same round trip: where it is true the cast fails and the
 * step's own statements are never run. sql NULL where it can't be asked. */
static struct db_call guard_call(struct work *w, const struct step *s)
{
    struct db_call c = {0};
    AUTO(str) q = {0};

    str_add(&q, "SELECT ('" IN_PLACE
                " ' || x.applied::pg_catalog.text)::pg_catalog.int4 FROM (SELECT ");
    if (s->applied_when.s)
        str_addf(&q, "(%s\n)", s->applied_when.s);
    for (int i = 0; !s->applied_when.s && i < s->n_stmts; i++) {
        if (!s->stmts[i].applied_when)
            return c;
        str_add(&q, i ? " AND (" : "(");
        if (!add_with_names_apart(w, &c, &q, s->stmts[i].applied_when))
            return (struct db_call) {0};
        str_add(&q, ")");
    }
    str_add(&q, " AS applied) AS x WHERE x.applied");
    c.sql = known_guard(w, str_text(&q), &c.repeats);
    return c;
}

static bool build_transaction(struct work *w, struct txn *t, int64_t lock_ms, void *ctx,
                              struct err *err)
{
    struct build_ctx *b = ctx;
    const struct step *s = b->task->step;

    (void) err;
    txn_begin(w, t, lock_ms, statement_timeout_of(w, s));
    txn_user_path(w, t);
    if (b->guard.sql)
        *txn_slot(t) = b->guard;
    for (int i = 0; i < s->n_stmts; i++) {
        txn_add(t, s->stmts[i].sql, NULL);
        t->what[t->n - 1] = s->stmts[i].sql;
    }
    record_task(w, t, b->task, "done", clock_mono_ms(w->e->ports->clock) - b->started_ms, b->sql,
                b->undo, b->detail);
    return true;
}

static const char *main_table(struct work *w, const struct step *s)
{
    for (int i = 0; i < s->n_stmts; i++)
        if (s->stmts[i].table)
            return table_text(w, s->stmts[i].schema, s->stmts[i].table);
    return NULL;
}

static bool skip(struct work *w, const struct task *t, const char *status, const char *why,
                 struct err *err);

static bool skip_in_place(struct work *w, struct build_ctx *b, struct err *err)
{
    b->skipped = true;
    return skip(w, b->task, "skipped",
                w->o->force ? "not necessary: already in place" : "already in place", err);
}

static bool run_transactional(struct work *w, struct build_ctx *b, struct err *err)
{
    const struct step *s = b->task->step;
    bool known = false, applied = false;

    b->guard = guard_call(w, s);
    if (txn_retry(w, main_table(w, s), lock_timeout_of(w, s), build_transaction, b, err))
        return true;
    if (b->guard.sql && err_is(err, ERR_SQL) && strstr(str_text(&err->message), IN_PLACE)) {
        err_clear(err);
        return skip_in_place(w, b, err);
    }
    /* An author's question that can't be asked inside the transaction is asked before it. */
    if (!b->guard.sql || !s->applied_when.s || !err_is(err, ERR_SQL))
        return false;
    err_clear(err);
    b->guard = (struct db_call) {0};
    if (!step_observe_applied(w, s, &known, &applied, err))
        return false;
    return applied
               ? skip_in_place(w, b, err)
               : txn_retry(w, main_table(w, s), lock_timeout_of(w, s), build_transaction, b, err);
}

static bool set_session_limits(struct work *w, int64_t lock_ms, int64_t statement_ms,
                               struct err *err)
{
    return db_exec(w->e->db,
                   "SELECT pg_catalog.set_config('lock_timeout', $1, false), "
                   "pg_catalog.set_config('statement_timeout', $2, false)",
                   &DB_PARAMS(arena_printf(w->a, "%lld", (long long) lock_ms),
                              arena_printf(w->a, "%lld", (long long) statement_ms)),
                   err);
}

/* Removes what an earlier try left half made (an INVALID index): it would neither be used nor repeated. */
bool step_clean_half_made(struct work *w, const struct sql_stmt *s, struct err *err)
{
    bool half = false;

    if (!s->half_made_when || !s->clean_up)
        return true;
    if (!ask_bool(w, s->half_made_when, &half, err))
        return false;
    if (!half)
        return true;
    emit(w, EVENT_INFO, NULL, "%s was left half made by an earlier try: removing it",
         s->object ? s->object : s->kind);
    return session_user_path(w, true, err) && db_exec(w->e->db, s->clean_up, &DB_NO_PARAMS, err) &&
           session_user_path(w, false, err);
}

/* ---- indexes without a lock: they wait for transactions, not for a lock ----------------------------------- */

/* How long it may wait for one transaction. Nobody queues behind it; a short limit would throw the finished build
 * away and begin again. */
#define OPEN_TRANSACTION_MS (10 * 60 * 1000)

static bool is_concurrent_index(const struct sql_stmt *s)
{
    return strstr(s->kind, "INDEX CONCURRENTLY") ||
           strncmp(s->sql, "DROP INDEX CONCURRENTLY", 23) == 0;
}

static bool build_table_lock(struct work *w, struct txn *t, int64_t lock_ms, void *ctx,
                             struct err *err)
{
    (void) err;
    txn_begin(w, t, lock_ms, w->e->policy.statement_timeout_ms);
    txn_user_path(w, t);
    txn_add(t, arena_printf(w->a, "LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE", (char *) ctx),
            NULL);
    return true;
}

/* Says whom the build will have to outlast. */
static void say_open_transactions(struct work *w, const struct sql_stmt *s)
{
    struct lock_holder *h = NULL;
    int n = 0;
    AUTO(err) ignored = {0};
    AUTO(str) age = {0};

    if (!observe_open_transactions(w->e->db, w->a, &h, &n, &ignored) || n == 0 ||
        h[0].xact_age_ms < 1000)
        return;
    duration_to_text(&age, h[0].xact_age_ms);
    emit(w, EVENT_INFO, NULL,
         "%s ends when every transaction has that is open now: %d; the oldest is of pid %lld (%s), "
         "open for "
         "%s: %s",
         s->kind, n, (long long) h[0].pid,
         h[0].application && h[0].application[0] ? h[0].application : "no application_name",
         str_text(&age), h[0].query ? h[0].query : "");
}

/* What holds the table itself is tried for in short turns, as everywhere, before the long wait begins. */
static bool begin_concurrent_index(struct work *w, const struct sql_stmt *s, int64_t lock_ms,
                                   struct err *err)
{
    const char *table = table_text(w, s->schema, s->table);

    if (table && !txn_retry(w, table, lock_ms, build_table_lock, (void *) (uintptr_t) table, err)) {
        if (!err_is(err, ERR_SQL))
            return false;
        err_clear(err); /* the statement itself says better what is wrong */
    }
    say_open_transactions(w, s);
    return true;
}

static bool waited_too_long(struct work *w, const struct sql_stmt *s, struct err *err)
{
    struct lock_holder *h = NULL;
    int n = 0;
    AUTO(err) ignored = {0};

    if (!db_is_usable(w->e->db) || !observe_open_transactions(w->e->db, w->a, &h, &n, &ignored) ||
        n == 0)
        return false;
    err_detail(err, "%s waited for a transaction; the oldest that is open is of pid %lld (%s): %s",
               s->kind, (long long) h[0].pid, h[0].application ? h[0].application : "",
               h[0].query ? h[0].query : "");
    return err_hint(err, "end that session or wait for it, then run the same command again");
}

bool step_statement_standalone(struct work *w, const struct sql_stmt *s, int64_t lock_timeout_ms,
                               struct err *err)
{
    bool outlasts = is_concurrent_index(s);

    if (outlasts && !begin_concurrent_index(w, s, lock_timeout_ms, err))
        return false;
    for (int attempt = 0;;) {
        int64_t lock_ms =
            outlasts ? OPEN_TRANSACTION_MS : lock_timeout_of_try(lock_timeout_ms, attempt);
        bool ok = step_clean_half_made(w, s, err) && set_session_limits(w, lock_ms, 0, err) &&
                  session_user_path(w, true, err) && db_exec(w->e->db, s->sql, &DB_NO_PARAMS, err);
        if (db_is_usable(w->e->db)) {
            AUTO(err) ignored = {0};
            (void) !session_user_path(w, false, &ignored);
            (void) !set_session_limits(w, w->e->policy.lock_timeout_ms,
                                       w->e->policy.statement_timeout_ms, &ignored);
        }
        if (ok)
            return true;
        if (!err_is(err, ERR_LOCK_TIMEOUT) || (outlasts && strcmp(err->sqlstate, "55P03") == 0)) {
            if (outlasts && err_is(err, ERR_LOCK_TIMEOUT))
                (void) waited_too_long(w, s, err);
            break;
        }
        if (!lock_back_off(w, table_text(w, s->schema, s->table), &attempt, err))
            break;
        err_clear(err);
    }
    if (db_is_usable(w->e->db)) {
        AUTO(err) ignored = {0};
        (void) !step_clean_half_made(w, s, &ignored);
    }
    return false;
}

static bool run_standalone(struct work *w, struct build_ctx *b, struct err *err)
{
    const struct step *s = b->task->step;

    if (!record_task_now(w, b->task, "started", 0, b->sql, b->undo, b->detail, err))
        return false;
    for (int i = 0; i < s->n_stmts; i++) {
        bool there = false;
        if (!step_statement_standalone(w, &s->stmts[i], lock_timeout_of(w, s), err))
            return false;
        /* "The statement succeeded" is not "the step is done": IF NOT EXISTS accepts an invalid index. */
        if (s->stmts[i].applied_when && !ask_bool(w, s->stmts[i].applied_when, &there, err))
            return false;
        if (s->stmts[i].applied_when && !there)
            return err_set(err, ERR_STOPPED, "%s ran, but the catalogue doesn't show its result",
                           s->stmts[i].kind);
    }
    return record_task_now(w, b->task, "done", clock_mono_ms(w->e->ports->clock) - b->started_ms,
                           b->sql, b->undo, b->detail, err);
}

/* DATABASE_URL, libpq's own variables, and who is asking. */
static const char *const *command_environment(struct work *w, const struct task *t)
{
    int n = 0;

    for (; w->e->db_variables && w->e->db_variables[n];)
        n++;
    const char **env = arena_array(w->a, const char *, n + 3);
    for (int i = 0; i < n; i++)
        env[i] = w->e->db_variables[i];
    env[n] = arena_printf(w->a, "DATABASE_URL=%s", w->e->db_url ? w->e->db_url : "");
    env[n + 1] = arena_printf(w->a, "PGAPPNAME=phasegate/%s/%s", w->e->run_id, t->id);
    env[n + 2] = NULL;
    return env;
}

/* The team's own tool. The connection reaches it through the environment, never through argv. */
static bool run_command(struct work *w, struct build_ctx *b, struct err *err)
{
    const struct step *s = b->task->step;
    const char **argv = arena_array(w->a, const char *, s->command.n + 1);
    const char *const *env = command_environment(w, b->task);
    AUTO(str) out = {0};
    AUTO(str) errout = {0};
    int code = 0;

    for (int i = 0; i < s->command.n; i++)
        argv[i] = s->command.items[i].s;
    if (!record_task_now(w, b->task, "started", 0, b->sql, b->undo, b->detail, err))
        return false;
    int64_t limit = s->statement_timeout_ms != MODEL_UNSET ? s->statement_timeout_ms : 0;
    struct host *h = w->e->ports->host;
    if (!h->ops->run(h, argv, env, limit, &out, &errout, &code, err))
        return false;
    if (code != 0) {
        const char *said = errout.len ? str_text(&errout) : str_text(&out);
        err_set(err, ERR_STOPPED, "command %s ended with exit code %d", argv[0], code);
        return err_detail(err, "%s", said);
    }
    if (s->applied_when.s) {
        bool there = false;
        if (!ask_bool(w, s->applied_when.s, &there, err))
            return false;
        if (!there)
            return err_set(err, ERR_STOPPED,
                           "command %s ended well, but applied_when is still false", argv[0]);
    }
    return record_task_now(w, b->task, "done", clock_mono_ms(w->e->ports->clock) - b->started_ms,
                           b->sql, b->undo, b->detail, err);
}

static bool skip(struct work *w, const struct task *t, const char *status, const char *why,
                 struct err *err)
{
    const struct history_row *before = work_step_row(w, t->id);
    bool ours = before && strcmp(before->status, "done") == 0;

    /* What was there before us isn't ours to undo: no undo is stored with it. What we did ourselves, and find
     * again under --force, keeps its own. */
    if (!record_task_now(w, t, ours ? "done" : status, 0, step_sql(w, t->step),
                         ours ? before->undo_sql : NULL, ours ? before->detail : NULL, err))
        return false;
    emit(w, EVENT_SKIPPED, t->id, "%s", why);
    report_task(w, t, status, 0, why);
    return true;
}

static bool is_failed(const struct history_row *r) { return strcmp(r->status, "failed") == 0; }

bool step_run(struct work *w, const struct task *t, struct err *err)
{
    const struct step *s = t->step;
    const struct history_row *before = work_step_row(w, t->id);
    bool applies = true, known = false, applied = false;
    struct build_ctx b = {.task = t, .started_ms = clock_mono_ms(w->e->ports->clock)};

    if (!step_applies(w, s, &applies, err))
        return false;
    if (!applies)
        return skip(w, t, "not_applicable",
                    arena_printf(w->a, "skipped: does not apply (%s)", s->dbms.s), err);
    b.sql = step_sql(w, s);
    /* What the catalogue held before our first run of it is what counts, however that ended. */
    if (before && before->detail && (undo_covers(before) || is_failed(before)) &&
        step_asks_for_undo(s))
        b.detail = before->detail, b.undo = before->undo_sql;
    else if (!step_undo_json(w, s, true, &b.detail, &b.undo, err))
        return false;
    bool transactional = s->command.n == 0 && !is_standalone(s);
    if (!transactional && !step_observe_applied(w, s, &known, &applied, err))
        return false;
    if (known && applied) {
        /* Ours, done before a crash could journal it: it gets its undo. Somebody else's: it doesn't. */
        bool ours = before && (strcmp(before->status, "started") == 0 ||
                               strcmp(before->status, "failed") == 0);
        if (!ours)
            return skip_in_place(w, &b, err);
        emit(w, EVENT_DONE, t->id, "was done by run %s before it could be recorded",
             before->run_id);
        report_task(w, t, "done", 0, "done before, recorded now");
        return record_task_now(w, t, "done", 0, b.sql, b.undo, b.detail, err);
    }
    bool ok = s->command.n > 0 ? run_command(w, &b, err)
              : transactional  ? run_transactional(w, &b, err)
                               : run_standalone(w, &b, err);
    if (!ok)
        return false;
    if (!b.skipped)
        report_task(w, t, "done", clock_mono_ms(w->e->ports->clock) - b.started_ms, NULL);
    return true;
}
