/* The first run of a statement: with which arguments does it work? */
#include "check/jobs.h"

/* In one go. */
enum { FIRST_MAX = 256 };

/* Other rows only tell of steps that they ran before. */
static bool first_run_of(struct proof *p, struct query *q, int set, struct err *err)
{
    struct wire_result r = {0};
    bool reached = true;

    for (int attempt = 1;; attempt++) {
        if (!job_run_once(p, q, set, &r, &reached, NULL, err))
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

static const struct cat_relation *child_named(const struct proof *p, const char *message)
{
    const char *by = message ? strstr(message, "foreign key constraint") : NULL,
               *name = quoted_name(p->scratch, by, "foreign key constraint"),
               *table = quoted_name(p->scratch, by, "on table");

    for (int i = 0; name && table && i < p->now.n_relations; i++) {
        const struct cat_relation *r = &p->now.relations[i];

        for (int k = 0; strcmp(r->name, table) == 0 && k < r->n_constraints; k++)
            if (r->constraints[k].type == 'f' && strcmp(r->constraints[k].name, name) == 0)
                return r;
    }
    return NULL;
}

enum { CHILDREN_MAX = 16 };

/* The table, and those whose rows keep its own from going; those that are known come first. */
static int add_children(const struct proof *p, const struct cat_relation *r,
                        const struct cat_relation **all, int n)
{
    for (int i = 0; i < n; i++)
        if (all[i] == r)
            return n;
    if (n == CHILDREN_MAX)
        return n;
    all[n++] = r;
    for (int i = 0; i < p->now.n_relations; i++)
        for (int k = 0; k < p->now.relations[i].n_constraints; k++)
            if (cat_is_in_way(&p->now.relations[i].constraints[k], r))
                n = add_children(p, &p->now.relations[i], all, n);
    return n;
}

/* Every parent of ours has children: those that keep a DELETE of it from running go first. */
static bool clear_children(struct proof *p, struct query *q, const struct wire_result *r)
{
    static const char end[] = " SELECT 1";
    const struct fact_write *w = q->facts.n_writes == 1 ? &q->facts.writes[0] : NULL;
    const struct cat_relation *all[CHILDREN_MAX],
        *child =
            w && w->verb == VERB_DELETE && strcmp(r->sqlstate, "23503") == 0 && !q->sets[0].is_given
                ? child_named(p, r->message)
                : NULL;
    const struct cat_relation *own =
        child ? cat_find(&p->now, p->sessions[q->session].search_path, w->schema, w->table) : NULL;
    int n = child ? add_children(p, child, all, 0) : 0;
    AUTO(str) sql = {0};

    /* Of keys that lead back to it, its own rows would go: then it would work on none. */
    for (int i = 0; i < n; i++)
        if (all[i] == own)
            return false;
    if (n == 0)
        return false;
    if (q->clears)
        str_addn(&sql, q->clears, strlen(q->clears) - strlen(end));
    for (int i = 0; i < n; i++) {
        AUTO(str) one = {0};

        str_add(&one, "(DELETE FROM ");
        sql_qualified(&one, all[i]->schema, all[i]->name);
        str_addc(&one, ')');
        if (q->clears && strstr(q->clears, str_text(&one)))
            continue;
        str_addf(&sql, "%s w%d AS %s", sql.len ? "," : "WITH", (int) sql.len, str_text(&one));
    }
    str_add(&sql, end);
    if (q->clears && strcmp(q->clears, str_text(&sql)) == 0)
        return false;
    q->clears = arena_strdup(p->a, str_text(&sql));
    return true;
}

static void prepare(struct proof *p, struct query *q, int state)
{
    if (q->has_args)
        return;
    args_make(p, q, q->shape[state]);
    answer_prepare(p, q);
}

/* It was run once: other arguments, until it works or nobody knows of more. Then the author's other rows. */
static bool go_on(struct proof *p, struct query *q, int state, struct wire_result *r, bool reached,
                  struct err *err)
{
    for (int attempt = 1;; attempt++) {
        q->runs = r->ok && reached;
        q->sets[0].misses = q->runs && r->affected == 0;
        /* Other values help against constraints, formats and triggers, not against what runs for ever. */
        bool by_value = strncmp(r->sqlstate, "23", 2) == 0 || strncmp(r->sqlstate, "22", 2) == 0 ||
                        strcmp(r->sqlstate, "P0001") == 0;
        bool cleared = !q->runs && reached && by_value && clear_children(p, q, r);
        if (q->runs || !reached || !by_value ||
            (!cleared && !args_mend(p, q, r, 0, attempt) && !clear_way(p, q, r)))
            break;
        if (!job_run_once(p, q, 0, r, &reached, &q->run[state], err))
            return false;
        /* Its role may not. */
        if (cleared && !reached) {
            q->clears = NULL;
            if (!job_run_once(p, q, 0, r, &reached, &q->run[state], err))
                return false;
            break;
        }
    }
    for (int set = 1; q->runs && set < q->n_sets; set++)
        if (!first_run_of(p, q, set, err))
            return false;
    cache_note_first(q, state);
    return true;
}

struct first {
    struct query *q;
    int at, n_ops;
};

static bool run_some(struct proof *p, struct jobs *j, const struct first *some, int *n, int state,
                     int session, struct err *err)
{
    if (!jobs_run(p, j, session, err))
        return false;
    for (int i = 0; i < *n; i++) {
        struct query *q = some[i].q;
        const struct wire_result *first = &j->results[some[i].at];
        struct wire_result r = *job_result(first, some[i].n_ops);

        r.affected = first[some[i].n_ops - 2].affected;
        q->gave_up = is_too_long(r.sqlstate, r.message);
        q->is_late |= r.skipped && shadow_is_late(p->shadow);
        q->run[state] = job_run_outcome(p, q, first, some[i].n_ops);
        if (!go_on(p, q, state, &r, job_was_reached(first, some[i].n_ops), err))
            return false;
    }
    *n = 0;
    jobs_clear(j);
    return true;
}

/* In a transaction: whether those before it run has to be known. */
static bool run_alone(struct proof *p, struct query *q, int state, struct err *err)
{
    struct wire_result r = {0};
    bool reached = true;

    prepare(p, q, state);
    return job_run_once(p, q, 0, &r, &reached, &q->run[state], err) &&
           go_on(p, q, state, &r, reached, err);
}

/* It ran where its tables were half made, and its phase goes on to restrict them: with other arguments? */
static bool run_again(struct proof *p, struct query *q, int state, struct err *err)
{
    struct arg_set kept = q->sets[0];
    const char *clears = q->clears;
    struct wire_result r = {0};
    bool reached = true;

    kept.values = arena_array(p->a, const char *, kept.n + 1);
    memcpy(kept.values, q->sets[0].values, sizeof *kept.values * (size_t) kept.n);
    if (!job_run_once(p, q, 0, &r, &reached, &q->run[state], err))
        return false;
    if (!(r.ok && reached) && !go_on(p, q, state, &r, reached, err))
        return false;
    if (q->run[state] && q->run[state]->ok && q->runs)
        return true;
    /* It is told as it was. */
    q->sets[0] = kept;
    q->clears = clears;
    q->gave_up = false;
    q->runs = true;
    q->run[state] = NULL;
    return true;
}

static bool is_run_again(const struct proof *p, struct query *q, int state)
{
    return q->runs && q->probed_state == state && q->n_sets > 0 && q->sets[0].n > 0 &&
           !q->sets[0].is_given && job_may_run(p, q) && brought_by_phase(p, q, state);
}

/* A query may prepare in an earlier state than it runs in: the column is there, and the trigger that fills the other
 * one isn't yet. So it is tried again until it runs. */
bool first_runs(struct proof *p, int state, int session, struct err *err)
{
    int from = p->t.states[state].from, n = 0, most = p->losses->one_by_one ? 1 : FIRST_MAX;
    AUTO(arena) a = {0};
    struct jobs j = {.a = &a};
    struct first some[FIRST_MAX];

    for (int i = 0; i < p->n_queries; i++) {
        struct query *q = &p->queries[i];
        if (q->session != session || !q->shape[state] || !job_can_run(q))
            continue;
        if (q->runs && is_run_again(p, q, state) && !run_again(p, q, state, err))
            return false;
        if (q->runs)
            continue;
        if (!job_may_run(p, q) || (q->has_args && q->probed_state != state)) {
            q->run[state] = from >= 0 ? q->run[from] : NULL;
            continue;
        }
        if (cache_first(p, q, state)) {
            cache_note_first(q, state);
            continue;
        }
        if ((q->n_before > 0 || n == most) && !run_some(p, &j, some, &n, state, session, err))
            return false;
        if (q->n_before > 0) {
            if (!run_alone(p, q, state, err))
                return false;
            continue;
        }
        prepare(p, q, state);
        some[n++] = (struct first) {q, j.n, job_n_ops(q)};
        job_run(p, &j, q, NULL, 0, NULL);
    }
    return run_some(p, &j, some, &n, state, session, err);
}
