/* Statements of the releases that are live, again and again, each in a transaction that is rolled back: they take the
 * locks that they take, see what they see, and leave the rows as they were, so that those can be compared. */
#include "rehearse/rehearse_int.h"

#include "phasegate/rehearse_sql.h"
#include "sql_embedded.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    LOADS = 2,
    TOGETHER = 16, /* statements of one transaction */
    TRIES = 2,     /* with other values, before a statement counts as one that doesn't run here */
    THINK_MS = 2,
    SLOW_MS = 5,
    SLOW_MAX = 2000,
    READY_MS = 60000,
    END_MS = 60000,
    MESSAGE_MAX = 300
};

struct request {
    const struct statement *s;
    const char *name, *execute;
    bool is_prepared, runs, gave_up;
    int tries;
    int64_t count, failed;
    const char *why; /* it doesn't run */
};

struct player { /* one release's, in a process of its own */
    struct scene *s;
    const char *version;
    const char *ready, *stop; /* files */
    struct statements statements;
    struct request *requests;
    int percent[FLAG_ROLES];
    int64_t max_ms;
    json_t *slow, *failures;
    struct beside *beside;
};

struct load {
    struct player players[LOADS];
    int n;
};

/* ---- in the child ---------------------------------------------------------------------------------------- */

static bool is_there(const char *path) { return access(path, F_OK) == 0; }

static bool may_run(const struct player *p, const struct statement *s)
{
    for (int i = 0; i < s->n_when; i++)
        for (int r = 0; r < FLAG_ROLES; r++) {
            const char *key = p->s->plan.flags[r].key.s;
            if (key && strcmp(key, s->when[i].flag) == 0 &&
                (s->when[i].on ? p->percent[r] == 0 : p->percent[r] == 100))
                return false;
        }
    return true;
}

static void note_failure(struct player *p, struct request *q, const struct err *err)
{
    size_t i;
    json_t *f;

    json_array_foreach(
        p->failures, i,
        f) if (strcmp(json_string_value(json_object_get(f, "statement")), q->s->name) == 0 &&
               strcmp(json_string_value(json_object_get(f, "sqlstate")), err->sqlstate) == 0)
    {
        json_int_t n = json_integer_value(json_object_get(f, "count"));
        json_object_set_new(f, "count", json_integer(n + 1));
        return;
    }
    AUTO(str) message = {0};
    str_addf(&message, "%.*s", MESSAGE_MAX, str_text(&err->message));
    json_array_append_new(p->failures, json_pack("{s:s, s:s, s:s, s:I}", "statement", q->s->name,
                                                 "sqlstate", err->sqlstate, "message",
                                                 str_text(&message), "count", (json_int_t) 1));
}

static const char *execute_text(struct player *p, struct arena *a, struct db *db, struct request *q,
                                struct err *err)
{
    const struct statement_args *given = q->s->n_args ? &q->s->args[0] : NULL;
    struct db_rows types = {0};
    (void) p;

    if (!db_query(db, a, sql_select_prepared_types, &DB_PARAMS(q->name), &types, err))
        return NULL;
    const char **values = arena_array(a, const char *, types.n_rows + 1);
    for (int i = 0; i < types.n_rows; i++)
        values[i] = given && i < given->n
                        ? given->items[i].sql
                        : rehearse_value_sql(a, db_cell(&types, i, 0), q->tries + 1);
    return rehearse_execute_sql(a, q->name, values, types.n_rows);
}

static bool prepare(struct player *p, struct arena *a, struct db *db, struct request *q,
                    struct err *err)
{
    if (!q->is_prepared &&
        !db_exec(db, rehearse_prepare_sql(a, q->name, q->s->dollar_sql, &q->s->types),
                 &DB_NO_PARAMS, err))
        return false;
    q->is_prepared = true;
    q->execute = execute_text(p, a, db, q, err);
    return q->execute != NULL;
}

/* What comes before it in its transaction, as far as it runs. */
static int calls_before(const struct player *p, const struct request *q, struct db_call *calls)
{
    int n = 0;

    for (const struct request *r = p->requests; q->s->tx && r < q && n < TOGETHER; r++)
        if (r->s->tx && strcmp(r->s->tx, q->s->tx) == 0 && r->runs && may_run(p, r->s))
            calls[n++] = (struct db_call) {.sql = r->execute};
    return n;
}

static bool request_once(struct player *p, struct arena *a, struct db *db, struct request *q,
                         struct err *err)
{
    AUTO(arena) scratch = {0};
    AUTO(err) ignored = {0};
    int done = 0;

    if ((!q->execute || (!q->runs && q->tries)) && !prepare(p, a, db, q, err))
        return false;
    struct db_call calls[TOGETHER + 3] = {{.sql = "BEGIN"}};
    int n = 1 + calls_before(p, q, calls + 1);
    calls[n++] = (struct db_call) {.sql = q->execute};
    calls[n++] = (struct db_call) {.sql = "ROLLBACK"};
    int64_t began = clock_mono_ms(p->s->o->ports->clock);
    bool ok = db_pipeline(db, &scratch, calls, n, NULL, &done, err);
    int64_t ms = clock_mono_ms(p->s->o->ports->clock) - began;
    if (!ok && db_is_usable(db))
        (void) !db_exec(db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
    p->max_ms = ms > p->max_ms && q->runs ? ms : p->max_ms;
    if (ms >= SLOW_MS && q->runs && json_array_size(p->slow) < SLOW_MAX)
        json_array_append_new(p->slow, json_pack("[I, I]", (json_int_t) began, (json_int_t) ms));
    return ok;
}

/* One that has run once and fails then has been failed by the plan. One that never ran needs values that nobody has, or a
 * form that can't be prepared. */
static void try_request(struct player *p, struct arena *a, struct db *db, struct request *q)
{
    AUTO(err) err = {0};

    if (request_once(p, a, db, q, &err)) {
        q->runs = true;
        q->count++;
        return;
    }
    if (q->runs) {
        q->count++;
        q->failed++;
        note_failure(p, q, &err);
        return;
    }
    q->why = arena_printf(a, "%s%s%.*s", err.sqlstate, *err.sqlstate ? ": " : "", MESSAGE_MAX,
                          str_text(&err.message));
    q->gave_up = ++q->tries >= TRIES;
}

static bool read_percents(struct player *p, struct db *db)
{
    AUTO(arena) scratch = {0};
    AUTO(err) ignored = {0};
    struct plan_state state = {0};

    if (!ledger_plan_state(db, &scratch, p->s->plan.id.s, &state, &ignored))
        return false;
    memcpy(p->percent, state.percent, sizeof p->percent);
    return true;
}

/* As the application finds its tables; a role of its own it has none here. */
static bool begin_session(struct player *p, struct db **db, struct err *err)
{
    const struct project *prj = &p->s->set.project;
    int at = project_release_index(prj, p->version);
    const char *path = at >= 0 ? prj->releases[at].session_search_path.s : NULL;

    return stage_db(p->s, true, db, err) &&
           db_exec(*db, sql_set_search_path, &DB_PARAMS(path ? path : p->s->search_path), err);
}

static void play(struct player *p, struct arena *a, struct db *db)
{
    for (bool first = true; db_is_usable(db) && (first || !is_there(p->stop)); first = false) {
        if (!read_percents(p, db))
            return;
        for (int i = 0; i < p->statements.n; i++)
            if (!p->requests[i].gave_up && may_run(p, p->requests[i].s))
                try_request(p, a, db, &p->requests[i]);
        if (first) {
            AUTO(err) ignored = {0};
            (void) !p->s->o->ports->host->ops->write_atomic(p->s->o->ports->host, p->ready, "", 0,
                                                            0600, &ignored);
        }
        clock_sleep_ms(p->s->o->ports->clock, THINK_MS);
    }
}

static void write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    for (ssize_t n = 1; left > 0 && n > 0;) {
        n = write(fd, text, left);
        text += n > 0 ? n : 0;
        left -= n > 0 ? (size_t) n : 0;
    }
}

static json_t *answer_of(const struct player *p)
{
    json_t *list = json_array();

    for (int i = 0; i < p->statements.n; i++) {
        const struct request *q = &p->requests[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:I, s:b, s:s*}", "name", q->s->name, "count",
                                        (json_int_t) q->count, "failed", (json_int_t) q->failed,
                                        "runs", q->runs, "why", q->why));
    }
    return json_pack("{s:I, s:o, s:O, s:O}", "max", (json_int_t) p->max_ms, "statements", list,
                     "slow", p->slow, "failures", p->failures);
}

static void run_player(int fd, void *ctx)
{
    struct player *p = ctx;
    struct arena a = {0};
    AUTO(err) err = {0};
    struct db *db = NULL;

    p->slow = json_array();
    p->failures = json_array();
    p->requests = arena_array(&a, struct request, p->statements.n + 1);
    for (int i = 0; i < p->statements.n; i++)
        p->requests[i] =
            (struct request) {.s = &p->statements.items[i], .name = arena_printf(&a, "r%d", i)};
    if (begin_session(p, &db, &err))
        play(p, &a, db);
    char *text = json_dumps(answer_of(p), JSON_COMPACT);
    write_all(fd, text ? text : "");
}

/* ---- in the parent --------------------------------------------------------------------------------------------- */

static bool add_player(struct scene *s, struct load *l, const char *version, struct err *err)
{
    const struct project *prj = &s->set.project;
    int at = version ? project_release_index(prj, version) : -1;
    struct player *p = &l->players[l->n];
    AUTO(problem_list) problems = {0};

    if (at < 0)
        return true;
    *p = (struct player) {.s = s,
                          .version = version,
                          .ready = arena_printf(s->a, "%s/ready-%d", s->folder, l->n),
                          .stop = arena_printf(s->a, "%s/stop", s->folder)};
    if (!statements_load_release(s->a, prj->root, &prj->releases[at], &p->statements, &problems,
                                 err))
        return false;
    if (!p->statements.n)
        return true;
    unlink(p->ready);
    p->beside = beside_start(run_player, p);
    if (!p->beside)
        return err_set(err, ERR_UNREACHABLE, "no process can be started for the load");
    l->n++;
    return true;
}

static bool wait_ready(struct scene *s, struct load *l, struct err *err)
{
    int64_t end = clock_mono_ms(s->o->ports->clock) + READY_MS;

    for (int i = 0; i < l->n;) {
        if (is_there(l->players[i].ready))
            i++;
        else if (ports_interrupted(s->o->ports))
            return err_set(err, ERR_INTERRUPTED, "stopped by a signal");
        else if (clock_mono_ms(s->o->ports->clock) > end)
            return err_set(err, ERR_UNREACHABLE,
                           "statements of release %s were not run once within %d s",
                           l->players[i].version, READY_MS / 1000);
        else
            clock_sleep_ms(s->o->ports->clock, 2);
    }
    return true;
}

bool load_begin(struct scene *s, const char *old, const char *newer, struct load **out,
                struct err *err)
{
    struct load *l = arena_new(s->a, struct load);

    unlink(arena_printf(s->a, "%s/stop", s->folder));
    if (add_player(s, l, old, err) && add_player(s, l, newer, err) && wait_ready(s, l, err)) {
        *out = l;
        return true;
    }
    load_drop(l, s->o->ports->clock);
    return false;
}

void load_drop(struct load *l, struct clock *clock)
{
    for (int i = 0; l && i < l->n; i++) {
        AUTO(str) ignored = {0};
        (void) !beside_take(l->players[i].beside, clock, 0, &ignored);
    }
    if (l)
        l->n = 0;
}

/* The longest request while each task ran. */
static void note_waits(const json_t *slow, const struct command_task *tasks, int n, int64_t *waits)
{
    size_t i;
    json_t *item;

    json_array_foreach(slow, i, item)
    {
        int64_t at = json_integer_value(json_array_get(item, 0));
        int64_t ms = json_integer_value(json_array_get(item, 1));
        for (int k = 0; k < n; k++)
            if (at <= tasks[k].at_ms + tasks[k].ms && at + ms >= tasks[k].at_ms && ms > waits[k])
                waits[k] = ms;
    }
}

static void note_failures(struct scene *s, const struct player *p, const json_t *failures,
                          const char *during)
{
    struct rehearsal *r = s->out;
    size_t i;
    json_t *f;

    json_array_foreach(failures, i, f)
    {
        r->load.failures =
            arena_more(s->a, r->load.failures, sizeof *r->load.failures, r->load.n_failures);
        r->load.failures[r->load.n_failures++] = (struct rehearse_failure) {
            .release = p->version,
            .statement = arena_strdup(s->a, json_string_value(json_object_get(f, "statement"))),
            .sqlstate = arena_strdup(s->a, json_string_value(json_object_get(f, "sqlstate"))),
            .message = arena_strdup(s->a, json_string_value(json_object_get(f, "message"))),
            .during = during,
            .count = json_integer_value(json_object_get(f, "count"))};
    }
}

static void note_idle(struct scene *s, const char *version, const json_t *o)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    const char *why = json_string_value(json_object_get(o, "why"));
    const char *line = arena_printf(s->a, "%s of release %s: %s", name, version, why);

    if (!text_list_has(&s->out->load.idle, line))
        text_add(s->a, &s->out->load.idle, "%s", line);
}

static void note_ran(struct scene *s, const char *version, const json_t *o)
{
    const char *line = arena_printf(s->a, "%s of release %s",
                                    json_string_value(json_object_get(o, "name")), version);

    if (!text_list_has(&s->ran, line))
        text_add(s->a, &s->ran, "%s", line);
}

static void note_statements(struct scene *s, const struct player *p, const json_t *list)
{
    size_t i;
    json_t *o;

    json_array_foreach(list, i, o)
    {
        s->out->load.requests += json_integer_value(json_object_get(o, "count"));
        s->out->load.failed += json_integer_value(json_object_get(o, "failed"));
        if (json_is_true(json_object_get(o, "runs")))
            note_ran(s, p->version, o);
        else if (json_object_get(o, "why"))
            note_idle(s, p->version, o);
    }
}

bool load_end(struct scene *s, struct load *l, const char *during, struct command_task *tasks,
              int n_tasks, int64_t *waits, struct err *err)
{
    struct host *host = s->o->ports->host;
    bool ok = true;

    if (!l->n)
        return true;
    if (!host->ops->write_atomic(host, l->players[0].stop, "", 0, 0600, err)) {
        load_drop(l, s->o->ports->clock);
        return false;
    }
    for (int i = 0; i < l->n; i++) {
        const struct player *p = &l->players[i];
        AUTO(str) text = {0};
        bool ended = beside_take(p->beside, s->o->ports->clock, END_MS, &text);
        json_t *o = ended ? json_loads(str_text(&text), 0, NULL) : NULL;
        int64_t max = json_integer_value(json_object_get(o, "max"));

        if (!o && ok)
            ok = err_set(err, ERR_STOPPED,
                         "the load of release %s didn't end: a statement of it "
                         "hangs",
                         p->version);
        s->out->load.max_ms = max > s->out->load.max_ms ? max : s->out->load.max_ms;
        note_statements(s, p, json_object_get(o, "statements"));
        note_failures(s, p, json_object_get(o, "failures"), during);
        note_waits(json_object_get(o, "slow"), tasks, n_tasks, waits);
        json_decref(o);
    }
    l->n = 0;
    return ok;
}
