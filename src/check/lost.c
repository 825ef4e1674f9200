/* Sessions that a statement or a step ends: it is told of, left out, and all the rest is proved once more. */
#include "check/work.h"

/* ---- which it was --------------------------------------------------------------------------------------- */

static const struct query *query_by(const struct proof *p, const struct wire_op *op)
{
    for (int i = 0; i < p->n_queries; i++) {
        const struct query *q = &p->queries[i];

        if (op->sql && (op->sql == q->sql || op->sql == q->leaves))
            return q;
        for (int k = 0; op->kind == WIRE_RUN_PREPARED && k < q->n_holds; k++)
            if (strcmp(op->name, q->holds[k].name) == 0)
                return q;
    }
    return NULL;
}

/* The nearest statement behind, down to `from`. */
static const char *query_before(const struct proof *p, const struct wire_op *ops, int at, int from)
{
    for (int i = at; i >= from; i--) {
        const struct query *q = query_by(p, &ops[i]);
        if (q)
            return q->sql;
    }
    return NULL;
}

static bool is_killer(const char *sql) { return sql && strcasestr(sql, "pg_terminate_backend"); }

/* The nearest one ahead, before `upto`; one that says that it ends sessions before all. */
static const char *query_ahead(const struct proof *p, const struct wire_op *ops, int at, int upto)
{
    const char *first = NULL;

    for (int i = at; i < upto; i++) {
        const char *sql = query_before(p, ops, i, i);

        if (is_killer(sql))
            return sql;
        first = first ? first : sql;
    }
    return first;
}

static bool has_two(const struct proof *p, const struct wire_op *ops, int n)
{
    int found = 0;

    for (int i = 0; i < n && found < 2; i++)
        found += query_by(p, &ops[i]) != NULL;
    return found > 1;
}

/* The server keeps its answers until the next sync, or an error. So it is the first that has none, or what stands with it
 * between two of them; then what was run before, which may hurt when it's taken back only. */
bool lost_note(struct proof *p, const struct wire_op *ops, int n, const struct wire_result *results)
{
    int at = 0, from, upto;

    while (at < n - 1 && !wire_is_last_word(&results[at]))
        at++;
    for (from = at; from > 0 && !ops[from - 1].sync;)
        from--;
    for (upto = at + 1; upto < n && !ops[upto - 1].sync;)
        upto++;
    p->lost_together = strcmp(results[at].sqlstate, "08006") == 0 && has_two(p, ops, n);
    if (!p->lost_sql)
        p->lost_sql = query_before(p, ops, at, from);
    if (!p->lost_sql)
        p->lost_sql = query_ahead(p, ops, at, upto);
    if (!p->lost_sql)
        p->lost_sql = query_before(p, ops, at, 0);
    if (!p->lost_sql)
        p->lost_sql = query_ahead(p, ops, at, n);
    if (results[at].message)
        p->lost_words = arena_strdup(p->a, results[at].message);
    return false;
}

static const char *first_line(struct proof *p, const char *text)
{
    static const char fatal[] = "FATAL:  ";

    if (strncmp(text, fatal, sizeof fatal - 1) == 0)
        text += sizeof fatal - 1;
    return arena_strndup(p->a, text, strcspn(text, "\n"));
}

static bool has_killer(const struct step *s)
{
    for (int i = 0; s && i < s->n_stmts; i++)
        /* What is only made by the step is run by others. */
        if (is_killer(s->stmts[i].sql) && strncmp(s->stmts[i].kind, "CREATE", 6) != 0)
            return true;
    return false;
}

static bool is_told(const struct losses *l, const char *sql, int state)
{
    for (int i = 0; i < l->n; i++)
        if (sql ? l->items[i].sql && strcmp(l->items[i].sql, sql) == 0
                : !l->items[i].sql && l->items[i].state == state)
            return true;
    return false;
}

/* A session that an administrator ended: whoever runs pg_terminate_backend on the others of its role isn't the one that
 * was running then. */
static void find_killer(struct proof *p)
{
    if (is_killer(p->lost_sql))
        return;
    for (int s = 1; s <= p->state && s < p->t.n_states; s++) {
        const struct task *t = p->t.states[s].task;

        if (p->t.states[s].by == STATE_TASK && t && has_killer(t->step) &&
            !is_told(p->losses, NULL, s)) {
            p->lost_sql = NULL;
            p->entering = s;
            return;
        }
    }
    for (int i = 0; i < p->n_queries; i++)
        if (is_killer(p->queries[i].sql) && !is_told(p->losses, p->queries[i].sql, 0)) {
            p->lost_sql = p->queries[i].sql;
            return;
        }
}

bool lost_again(struct proof *p, struct err *err)
{
    struct losses *l = p->losses;

    if (!err_is(err, ERR_CONNECTION_LOST) || l->n == LOSSES_MAX)
        return false;
    if (p->lost_beside && !l->in_one) {
        l->in_one = true;
        err_clear(err);
        return true;
    }
    if (p->lost_together && !l->one_by_one) {
        l->one_by_one = true;
        err_clear(err);
        return true;
    }
    if (!p->lost_words || !p->lost_sql)
        p->lost_words = first_line(p, str_text(&err->detail));
    if (strstr(p->lost_words, "administrator command"))
        find_killer(p);
    if (!p->lost_sql && p->entering == 0)
        return false;
    l->items[l->n++] = (struct loss) {p->lost_sql, p->entering, p->lost_words};
    err_clear(err);
    return true;
}

/* ---- leaving it out --------------------------------------------------------------------------------------- */

bool lost_is_lethal(const struct proof *p, const struct query *q)
{
    for (int i = 0; i < p->losses->n; i++)
        if (p->losses->items[i].sql && strcmp(p->losses->items[i].sql, q->sql) == 0)
            return true;
    return false;
}

bool lost_skips(struct proof *p, int state)
{
    for (int i = 0; i < p->losses->n; i++) {
        const struct loss *l = &p->losses->items[i];

        if (l->sql || l->state != state)
            continue;
        if (!p->told[state]) {
            struct finding *f = step_finding(
                p, state, "step-fails-on-shadow", state_place(p, state),
                arena_printf(p->a, "the step ends the session that it runs in: %s", l->words));
            f->help = "what comes after it is checked as if the step had not been there";
        }
        p->broken[state] = true;
        return true;
    }
    return false;
}

static const char *words_of(const struct proof *p, const struct query *q)
{
    for (int i = 0; i < p->losses->n; i++)
        if (p->losses->items[i].sql && strcmp(p->losses->items[i].sql, q->sql) == 0)
            return p->losses->items[i].words;
    return "";
}

void lost_report(struct proof *p)
{
    for (int i = 0; p->losses->n > 0 && i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        if (!a->q->is_lethal || a->first_world < 0)
            continue;
        struct finding *f =
            report_add(p->report, "cell-untested", a->s->sql_at,
                       "it ends the session that it runs in: %s", words_of(p, a->q));
        f->release = p->t.releases[a->release].version;
        f->statement = a->s->name;
        f->level = "statement";
        f->help =
            "nothing else is known of it, in any world; the other statements were tried without it";
        finding_place(p->report, f, a->s->sql_at, f->release, f->statement);
    }
}

bool lost_gives_up(struct proof *p, struct err *err)
{
    if (!err_is(err, ERR_CONNECTION_LOST) || p->losses->n < LOSSES_MAX)
        return false;
    err_clear(err);
    lost_report(p);
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];

        if (!a->q->is_lethal || a->first_world < 0)
            continue;
        struct finding *f = report_add(
            p->report, "cell-untested", a->s->sql_at,
            "nothing was proved: more than %d statements and steps end their sessions", LOSSES_MAX);
        f->severity = SEVERITY_ERROR;
        f->help = "mend those that are named, or take them off the release's files";
        return true;
    }
    return true;
}
