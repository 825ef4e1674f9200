/* Which rule a failure is told by. */
#include "check/verdict.h"

static bool is_writer(const struct query *q) { return q->facts.n_writes > 0; }

/* Values of our own making that a new restriction refuses prove nothing of the application's, for good or bad. */
static bool is_ours(const struct outcome *o, const struct query *q)
{
    bool by_param = false;

    for (int i = 0; i < q->facts.n_writes; i++)
        for (int k = 0; q->facts.writes[i].params && k < q->facts.writes[i].columns.n; k++)
            by_param |= q->facts.writes[i].params[k] > 0;
    return by_param && q->n_sets > 0 && !q->sets[0].is_given && strcmp(o->sqlstate, "23502") != 0;
}

static const char *rule_of_writes(const struct outcome *o, const struct query *q)
{
    bool insert = false;

    for (int i = 0; i < q->facts.n_writes; i++)
        insert |= q->facts.writes[i].verb == VERB_INSERT;
    if (strcmp(o->sqlstate, "23502") == 0 && insert)
        return "insert-omits-required-column";
    if (strncmp(o->sqlstate, "23", 2) == 0)
        return is_ours(o, q) ? "unproven-write" : "restriction-breaks-old-writes";
    if (strcmp(o->sqlstate, "22001") == 0 || strcmp(o->sqlstate, "22003") == 0)
        return "type-narrowed-for-old-writes";
    if (strcmp(o->sqlstate, "P0001") == 0)
        return "old-path-trigger-effect";
    return NULL;
}

/* A failure that only running shows, with names: it happened inside a routine. */
static bool is_in_routine(const struct outcome *o)
{
    return o->context &&
           (strstr(o->context, "PL/pgSQL function") || strstr(o->context, "SQL function"));
}

const char *rule_of_failure(const struct proof *p, const struct outcome *o, const struct query *q,
                            int culprit)
{
    static const struct {
        const char *sqlstate, *rule;
    } by_state[] = {
        {"42702", "ambiguous-column-after-add"},   {"42601", "star-arity-broken"},
        {"42725", "function-overload-ambiguous"},  {"42501", "grants-missing-for-app-role"},
        {"42P10", "on-conflict-target-lost"},      {"428C9", "generated-takes-over-column"},
        {"44000", "view-shim-rejects-old-writes"}, {"22P04", "star-arity-broken"},
    };
    const struct sql_stmt *s = state_stmt(p, culprit);
    const char *rule = o->probe == 'X' && is_writer(q) ? rule_of_writes(o, q) : NULL;

    if (o->probe == 'H')
        return "held-plan-result-changed";
    if (rule)
        return rule;
    if (o->probe == 'X' && is_in_routine(o) && strncmp(o->sqlstate, "42", 2) == 0 &&
        strcmp(o->sqlstate, "42501") != 0)
        return "routine-body-broken";
    if ((strcmp(o->sqlstate, "42704") == 0 && strstr(q->sql, "ON CONSTRAINT")) ||
        strstr(o->message, "ON CONFLICT"))
        return "on-conflict-target-lost";
    if (is_writer(q) && strstr(o->message, " view ") &&
        (strcmp(o->sqlstate, "55000") == 0 || strcmp(o->sqlstate, "0A000") == 0))
        return "view-shim-rejects-old-writes";
    /* A routine, a rule or TRUNCATE ran into it. */
    if (strncmp(o->sqlstate, "23", 2) == 0 || strstr(o->message, "foreign key"))
        return "restriction-breaks-old-writes";
    if (strcmp(o->sqlstate, "22P02") == 0 && strstr(o->message, "for enum"))
        return "enum-value-renamed";
    if (s && strcmp(o->sqlstate, "42883") == 0 && strstr(s->kind, "FUNCTION"))
        return "function-signature-changed";
    for (size_t i = 0; i < sizeof by_state / sizeof *by_state; i++)
        if (strcmp(o->sqlstate, by_state[i].sqlstate) == 0)
            return by_state[i].rule;
    return "old-query-fails";
}
