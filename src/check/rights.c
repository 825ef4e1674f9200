/* What a role lacks after a step, and who gives it: a GRANT, a policy, an owner. */
#include "check/rights.h"

enum {
    RIGHT_SELECT = 1,
    RIGHT_INSERT = 2,
    RIGHT_UPDATE = 4,
    RIGHT_DELETE = 8,
    RIGHT_TRUNCATE = 16
};

/* A write that looks at what is there reads too: UPDATE and DELETE by their WHERE, ON CONFLICT, RETURNING. */
unsigned rights_of(const struct query *q, const char *table)
{
    static const unsigned by_verb[] = {
        [VERB_SELECT] = RIGHT_SELECT,
        [VERB_INSERT] = RIGHT_INSERT,
        [VERB_UPDATE] = RIGHT_SELECT | RIGHT_UPDATE,
        [VERB_DELETE] = RIGHT_SELECT | RIGHT_DELETE,
        [VERB_MERGE] = RIGHT_SELECT,
        [VERB_OTHER] = RIGHT_SELECT,
    };
    bool is_truncate = strncasecmp(q->sql + strspn(q->sql, " \t\r\n"), "truncate", 8) == 0;
    unsigned rights = 0;

    for (int i = 0; i < q->facts.n_writes; i++) {
        const struct fact_write *w = &q->facts.writes[i];

        if (!w->table || strcmp(w->table, table) != 0)
            continue;
        rights |= is_truncate ? RIGHT_TRUNCATE : by_verb[w->verb];
        if (q->facts.selects_star || q->keeps_rows || (w->on_conflict && w->conflict_has_target))
            rights |= RIGHT_SELECT;
    }
    for (int i = 0; i < q->facts.n_rels; i++)
        if (strcmp(q->facts.rels[i].name, table) == 0 && !q->facts.rels[i].is_target)
            rights |= RIGHT_SELECT | (q->facts.rels[i].is_locked ? RIGHT_UPDATE : 0);
    if (q->facts.verb == VERB_MERGE)
        rights |= RIGHT_SELECT;
    return rights ? rights : RIGHT_SELECT;
}

static bool is_same_role(const struct proof *p, const struct query *a, const struct query *b)
{
    const char *of_a = p->sessions[a->session].role, *of_b = p->sessions[b->session].role;

    return of_a == of_b || (of_a && of_b && strcmp(of_a, of_b) == 0);
}

/* What its role has: statements of it that work in the state show it. */
static unsigned rights_held(const struct proof *p, const struct query *q, const char *table,
                            int state)
{
    unsigned rights = 0;

    for (int i = 0; i < p->n_app; i++) {
        const struct query *other = p->app[i].q;
        bool names_it = false;

        for (int k = 0; other && k < other->facts.n_rels; k++)
            names_it |= strcmp(other->facts.rels[k].name, table) == 0;
        if (names_it && other->plan[state] && other->plan[state]->ok && is_same_role(p, q, other))
            rights |= rights_of(other, table);
    }
    return rights;
}

static const char *words_of_rights(struct proof *p, unsigned rights)
{
    static const char *const words[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"};
    AUTO(str) all = {0};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (rights & (1U << i))
            str_addf(&all, "%s%s", all.len ? ", " : "", words[i]);
    return arena_strdup(p->a, str_text(&all));
}

/* "permission denied for table orders", "... for materialized view few": the kind, and the name behind it. */
bool rights_denied(struct proof *p, const char *message, const char **kind, const char **name)
{
    static const char denied[] = "permission denied for ";
    const char *at = strncmp(message, denied, strlen(denied)) == 0 ? message + strlen(denied) : "";

    if (strncmp(at, "materialized ", 13) == 0 || strncmp(at, "foreign table ", 14) == 0)
        at = strchr(at, ' ') + 1;
    size_t n = strcspn(at, " ");
    *kind = arena_strndup(p->a, at, n);
    *name = at[n] ? at + n + 1 : "it";
    return n > 0;
}

static const char *role_of(const struct proof *p, const struct app_statement *a)
{
    const char *role = p->sessions[a->q->session].role;

    return role ? role : "the role of the session";
}

/* "SELECT ON orders"; NULL: the message is about something else. */
static const char *right_of(struct proof *p, const struct app_statement *a, const char *message,
                            unsigned rights, int state)
{
    const char *kind, *name;

    if (!rights_denied(p, message, &kind, &name))
        return NULL;
    if (strcmp(kind, "schema") == 0)
        return arena_printf(p->a, "USAGE ON SCHEMA %s", name);
    if (strcmp(kind, "sequence") == 0)
        return arena_printf(p->a, "%s ON SEQUENCE %s",
                            strcasestr(a->q->sql, "setval") ? "UPDATE" : "USAGE", name);
    if (strcmp(kind, "function") == 0 || strcmp(kind, "procedure") == 0)
        return arena_printf(p->a, "EXECUTE ON %s %s", *kind == 'f' ? "FUNCTION" : "PROCEDURE",
                            name);
    unsigned lacking = rights & ~rights_held(p, a->q, name, state);

    return arena_printf(p->a, "%s ON %s", words_of_rights(p, lacking ? lacking : rights), name);
}

static bool is_denied(const struct outcome *o, const char *message)
{
    return o && !o->ok && strcmp(o->sqlstate, "42501") == 0 && strcmp(o->message, message) == 0;
}

/* What a function or a trigger was about to do to the table, as the server says it. 0: it was the statement itself. */
static unsigned rights_within(struct proof *p, const struct outcome *o, const char *table)
{
    static const char says[] = "SQL statement \"";
    const char *at = o && o->context ? strstr(o->context, says) : NULL;
    const char *end = at ? strstr(at + sizeof says - 1, "\"\n") : NULL;

    if (!at)
        return 0;
    at += sizeof says - 1;
    struct query within = {
        .sql = arena_strndup(p->scratch, at, end ? (size_t) (end - at) : strlen(at))};
    const struct statement s = {.dollar_sql = within.sql};

    statement_facts(p->scratch, &s, &within.facts);
    return within.facts.parsed ? rights_of(&within, table) : 0;
}

static unsigned rights_asked(struct proof *p, const struct query *q, const char *message,
                             const char *table, int state)
{
    const struct outcome *o = is_denied(q->run[state], message) ? q->run[state] : q->plan[state];
    unsigned within = rights_within(p, o, table);

    return within ? within : rights_of(q, table);
}

/* Of all its role's statements that are refused alike in the state. */
static unsigned rights_lacked(struct proof *p, const struct app_statement *a, const char *message,
                              const char *name, int state)
{
    unsigned rights = rights_asked(p, a->q, message, name, state);

    for (int i = 0; i < p->n_app; i++) {
        const struct query *q = p->app[i].q;

        if (q && is_same_role(p, a->q, q) &&
            (is_denied(q->plan[state], message) || is_denied(q->run[state], message)))
            rights |= rights_asked(p, q, message, name, state);
    }
    return rights;
}

/* ---- policies ----------------------------------------------------------------------------------------------- */

/* "UPDATE ... USING (true) WITH CHECK (true)", for each command that the statement is to the table. */
static const char *policies_needed(struct proof *p, const struct app_statement *a,
                                   const char *table)
{
    static const char *const words[] = {"SELECT", "INSERT", "UPDATE", "DELETE"};
    static const char *const conditions[] = {"USING (true)", "WITH CHECK (true)",
                                             "USING (true) WITH CHECK (true)", "USING (true)"};
    unsigned rights = rights_of(a->q, table);
    AUTO(str) all = {0};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (rights & (1U << i))
            str_addf(&all, "%sFOR %s TO %s %s", all.len ? ", and " : "", words[i], role_of(p, a),
                     conditions[i]);
    return arena_strdup(p->a, str_text(&all));
}

static const char *way_of_policy(struct proof *p, const struct app_statement *a,
                                 const char *message, const char *where)
{
    static const char violates[] = "violates row-level security policy ";
    const char *at = strstr(message, violates), *table = quoted_name(p->a, message, "for table");

    if (!at || !table)
        return NULL;
    const char *policy = at[strlen(violates)] == '"'
                             ? quoted_name(p->a, message, "row-level security policy")
                             : NULL;
    if (policy)
        return arena_printf(p->a,
                            "policy \"%s\" refuses what %s writes: let its WITH CHECK take that "
                            "(ALTER POLICY) in %s",
                            policy, a->s->name, where);
    return arena_printf(p->a,
                        "no policy lets %s do that: CREATE POLICY ... ON %s %s, or a condition "
                        "that its rows meet, in %s",
                        a->s->name, table, policies_needed(p, a, table), where);
}

const char *rights_way_to_see(struct proof *p, const struct app_statement *a,
                              const struct cat_relation *before, const struct cat_relation *now)
{
    const char *same = before->has_rls
                           ? "keep what the policies of before let the role see"
                           : arena_printf(p->a,
                                          "to go on seeing all of them it needs CREATE POLICY "
                                          "... ON %s %s",
                                          now->name, policies_needed(p, a, now->name));

    return arena_printf(p->a, "%s, in a step before this one; before: %s; now: %s", same,
                        policies_words(p, before), policies_words(p, now));
}

/* ---- the way out -------------------------------------------------------------------------------------------- */

static const char *way_of_owner(struct proof *p, const struct app_statement *a, const char *message)
{
    static const char owner[] = "must be owner of ";

    if (strncmp(message, owner, strlen(owner)) != 0)
        return NULL;
    return arena_printf(p->a,
                        "only the owner of %s may do what %s does: leave it to %s, or a role that "
                        "%s is a member of",
                        message + strlen(owner), a->s->name, role_of(p, a), role_of(p, a));
}

static bool revokes(const struct proof *p, int state)
{
    const struct task *t = p->t.states[state].task;

    for (int i = 0; t && t->step && i < t->step->n_stmts; i++)
        if (strcmp(t->step->stmts[i].kind, "REVOKE") == 0)
            return true;
    return false;
}

/* Made by this step, which takes EXECUTE from everybody as well: what it lacks is a GRANT. */
static bool makes_routine(const struct proof *p, int state, const char *kind)
{
    const struct task *t = p->t.states[state].task;

    if (strcmp(kind, "function") != 0 && strcmp(kind, "procedure") != 0)
        return false;
    for (int i = 0; t && t->step && i < t->step->n_stmts; i++)
        if (strncmp(t->step->stmts[i].kind, "CREATE", 6) == 0 &&
            strcasestr(t->step->stmts[i].kind, kind))
            return true;
    return false;
}

static const char *way_of_revoke(struct proof *p, const struct app_statement *a, const char *right,
                                 int state)
{
    bool is_contract = p->t.states[state].phase == PHASE_CONTRACT;

    return arena_printf(p->a,
                        "%s needs %s as long as %s is live: leave that out of the REVOKE, and take "
                        "it away in contract%s, bound to a release after the last that runs it",
                        role_of(p, a), right, a->s->name, is_contract ? " of a later plan" : "");
}

const char *rights_way(struct proof *p, const struct app_statement *a, const struct finding *f,
                       int state, bool *or_later)
{
    const char *kind, *name, *way, *right;

    *or_later = true;
    if (strcmp(f->rule->id, "grants-missing-for-app-role") != 0)
        return NULL;
    if (!rights_denied(p, f->message, &kind, &name))
        return (way = way_of_policy(p, a, f->message, "this step or one before it"))
                   ? way
                   : way_of_owner(p, a, f->message);
    right = right_of(p, a, f->message, rights_lacked(p, a, f->message, name, state), state);
    if (revokes(p, state) && !makes_routine(p, state, kind))
        return way_of_revoke(p, a, right, state);
    *or_later = false;
    return arena_printf(p->a, "%s lacks the right: GRANT %s TO %s, in this step", role_of(p, a),
                        right, role_of(p, a));
}

const char *rights_help(struct proof *p, const struct app_statement *a, const struct outcome *o,
                        unsigned rights, bool is_baselines)
{
    const char *kind, *name, *way, *right = right_of(p, a, o->message, rights, 0);

    if (!right && ((way = way_of_policy(p, a, o->message, "the baseline or a plan")) ||
                   (way = way_of_owner(p, a, o->message))))
        return way;
    if (!right)
        return "the server lets its role do that nowhere: see the policies of the table";
    (void) !rights_denied(p, o->message, &kind, &name);
    bool is_plans =
        !cat_find(&p->baseline, NULL, NULL, name) && strcmp(kind, "schema") != 0 && !is_baselines;
    return arena_printf(p->a, "%s lacks the right: GRANT %s TO %s, in %s", role_of(p, a), right,
                        role_of(p, a), is_plans ? "the step that makes it" : "the baseline");
}
