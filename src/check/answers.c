/* S by experiment: the same statement, the same rows, before and after a step that touches no rows. Another answer is
 * another meaning, whatever the parse tree says.
 *
 * Of a statement that reads, the answer is its rows; of one that writes, what is in the columns that it wrote
 * afterwards. Both as sums over the rows: their order is the server's, and told of elsewhere.
 */
#include "check/blame.h"

#include <strings.h>

/* ---- comparing ------------------------------------------------------------------------------------------------ */

/* What only says how things are; a DO block, a CALL, or a SELECT of a function may do anything to rows. */
bool is_definition(const struct sql_stmt *s)
{
    static const char *const words[] = {"CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "COMMENT"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (s->class != SQL_DATA && strncmp(s->kind, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* Those of a table that was there before are the parent's as well from then on. */
bool brings_rows(const struct sql_stmt *s)
{
    return strstr(s->kind, "ATTACH") ||
           (strcasestr(s->sql, "inherit") && !strcasestr(s->sql, "no inherit"));
}

bool changes_rows(const struct proof *p, int state)
{
    const struct task *t = p->t.states[state].task;

    if (!t || (t->kind != TASK_STEP && t->kind != TASK_BACKFILL))
        return false;
    if (t->kind == TASK_BACKFILL || t->step->command.n > 0 || p->forgot[state])
        return true;
    for (int i = 0; i < t->step->n_stmts; i++)
        if (!is_definition(&t->step->stmts[i]) || brings_rows(&t->step->stmts[i]))
            return true;
    return false;
}

/* Rows of a partition, or of a table that inherits, are no longer the parent's. */
static bool takes_rows(const struct proof *p, int state)
{
    const struct task *t = p->t.states[state].task;

    if (!t || !t->step)
        return false;
    for (int i = 0; i < t->step->n_stmts; i++)
        if (strstr(t->step->stmts[i].kind, "DETACH") ||
            strstr(t->step->stmts[i].kind, "DROP TABLE") ||
            strcasestr(t->step->stmts[i].sql, "no inherit"))
            return true;
    return false;
}

static bool drops(const struct task *t, enum drop_kind kind)
{
    return (t->kind == TASK_SOFT_DROP || t->kind == TASK_PURGE_DROP) && t->step->n_stmts > 0 &&
           t->step->stmts[0].drop == kind;
}

/* A step that leaves the rows as they are, and that may make something else of them: an index doesn't. */
static bool may_matter(const struct proof *p, int state)
{
    static const char *const indifferent[] = {"INDEX", "CONSTRAINT", "UNIQUE", "PRIMARY",
                                              "COMMENT"};
    const struct task *t = p->t.states[state].task;
    bool matters = false;

    if (t && (drops(t, DROP_TABLE) || drops(t, DROP_TRIGGER)))
        return true;
    if (!t || t->kind != TASK_STEP || changes_rows(p, state))
        return false;
    for (int i = 0; i < t->step->n_stmts; i++) {
        const struct sql_stmt *s = &t->step->stmts[i];
        bool is = true;

        for (size_t k = 0; k < sizeof indifferent / sizeof *indifferent; k++)
            is = is && !strstr(s->kind, indifferent[k]);
        matters |= is;
    }
    return matters;
}

static bool is_volatile(const struct query *q)
{
    static const char *const functions[] = {"nextval", "currval", "setval", "lastval"};

    for (int i = 0; i < q->facts.functions.n; i++)
        for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
            if (strcasestr(q->facts.functions.items[i].s, functions[k]))
                return true;
    return false;
}

static const char *type_of(const struct proof *p, const struct catalogue *c, const struct query *q,
                           const char *column)
{
    const struct fact_write *w = &q->facts.writes[0];
    const struct cat_relation *r =
        cat_find(c, p->sessions[q->session].search_path, w->schema, w->table);
    const struct cat_column *col = r ? cat_column(r, column) : NULL;

    return col ? col->type_text : "";
}

/* A trigger that kept a column filled goes with the last one who reads it, often some steps before the column. */
static bool is_missed(const struct proof *p, const struct query *q, int state, const char *column)
{
    const struct fact_write *w = &q->facts.writes[0];
    const char *path = p->sessions[q->session].search_path;
    const struct cat_relation *r = cat_find(&p->before, path, w->schema, w->table);

    return !drops(p->t.states[state].task, DROP_TRIGGER) || !r ||
           effects_are_read(p, &p->before, r, column, state);
}

/* A column that held something, and holds something else now. A first value for it harms nobody, and another type
 * spells all of its values anew. */
static bool differs_beside(const struct proof *p, const struct query *q, int state,
                           const struct outcome *a, const struct outcome *b)
{
    for (int i = 0; a->beside && b->beside && i < q->n_beside && i < a->n_beside && i < b->n_beside;
         i++)
        if (a->beside[i].n > 0 && a->beside[i].n >= b->beside[i].n &&
            a->beside[i].sum != b->beside[i].sum &&
            strcmp(type_of(p, &p->before, q, q->beside[i]), type_of(p, &p->now, q, q->beside[i])) ==
                0 &&
            is_missed(p, q, state, q->beside[i]))
            return true;
    return false;
}

static bool has_same_names(const struct description *a, const struct description *b)
{
    for (int i = 0; a->n_columns == b->n_columns && i < a->n_columns; i++)
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0)
            return false;
    return a->n_columns == b->n_columns;
}

/* A column that goes and comes again in one step is another one, and has lost its values, whatever its type. A step that
 * carries them over leaves a spelling. */
static bool reads_remade(const struct proof *p, const struct query *q, int state)
{
    const struct task *t = p->t.states[state].task;
    const char *path = p->sessions[q->session].search_path;

    for (int i = 0; t && t->step && i < t->step->n_stmts; i++)
        if (t->step->stmts[i].class == SQL_DATA || strstr(t->step->stmts[i].kind, "RENAME"))
            return false;
    for (int i = 0; t && t->step && i < q->facts.n_rels; i++) {
        const struct fact_rel *f = &q->facts.rels[i];
        const struct cat_relation *now = cat_find(&p->now, path, f->schema, f->name),
                                  *was = now ? cat_by_oid(&p->before, now->oid) : NULL;

        for (int k = 0; was && k < now->n_columns; k++) {
            const struct cat_column *c = cat_column(was, now->columns[k].name);

            if (c && c->number != now->columns[k].number &&
                (f->star || f->whole_row || text_list_has(&q->facts.columns, c->name)))
                return true;
        }
    }
    return false;
}

/* Whatever rows they are about. */
static bool seems_to_differ(const struct proof *p, const struct query *q, int state)
{
    int from = p->t.states[state].from;
    const struct outcome *before = q->run[from], *now = q->run[state];

    return before && now && before != now && before->ok && now->ok && before->answer &&
           now->answer &&
           (before->answer != now->answer || differs_beside(p, q, state, before, now)) &&
           q->shape[from] && q->shape[state] &&
           (description_same(q->shape[from], q->shape[state]) ||
            (has_same_names(q->shape[from], q->shape[state]) && reads_remade(p, q, state))) &&
           !is_volatile(q);
}

static bool has_same_rows(const struct proof *p, const struct query *q, int state)
{
    return q->run[p->t.states[state].from]->rows == q->run[state]->rows;
}

static bool differs(const struct proof *p, const struct query *q, int state)
{
    return seems_to_differ(p, q, state) && has_same_rows(p, q, state);
}

static const char *rule_for(const struct proof *p, const struct query *q, int state)
{
    const struct step *s = p->t.states[state].task->step;
    const char *rule = "row-visibility-changed";

    for (int i = 0; s && i < s->n_stmts; i++)
        if (strstr(s->stmts[i].kind, "COLUMN TYPE"))
            return q->facts.n_writes > 0 ? "type-narrowed-for-old-writes"
                                         : "session-meaning-changed";
    if (q->facts.n_writes > 0)
        return "old-path-trigger-effect";
    if (!description_same(q->shape[p->t.states[state].from], q->shape[state]))
        return rule; /* see reads_remade */
    for (int i = 0; s && i < s->n_stmts; i++)
        if (strstr(s->stmts[i].kind, "ADD COLUMN") || strstr(s->stmts[i].kind, "CREATE TABLE"))
            rule = "name-shadowed";
        else if (strstr(s->stmts[i].kind, "FUNCTION") || strcasestr(s->stmts[i].sql, "aggregate"))
            rule = strncmp(s->stmts[i].kind, "CREATE", 6) != 0 ||
                           strcasestr(s->stmts[i].sql, "replace")
                       ? "function-signature-changed"
                       : "name-shadowed";
        else if (strstr(s->stmts[i].kind, "ATTRIBUTE"))
            rule = "whole-row-shape-drift";
        else if (strcasestr(s->stmts[i].sql, "rename value"))
            rule = "enum-value-renamed";
        else if (strstr(s->stmts[i].kind, "TEXT SEARCH"))
            rule = "session-meaning-changed";
    return rule;
}

/* What is seen isn't guessed. */
static enum severity severity_for(const struct proof *p, const struct query *q, int state)
{
    const char *rule = rule_for(p, q, state);

    return strcmp(rule, "session-meaning-changed") == 0 ? SEVERITY_ERROR
                                                        : rule_find(rule)->severity;
}

static bool is_about(const struct proof *p, const struct finding *f, const struct app_statement *a)
{
    return f->release && strcmp(f->release, p->t.releases[a->release].version) == 0 &&
           f->statement && strcmp(f->statement, a->s->name) == 0;
}

static bool is_drift(const struct finding *f)
{
    return strcmp(f->rule->id, "whole-row-shape-drift") == 0;
}

/* As a document or a text the row has one key more, which those who read it may leave aside. */
static bool is_shown(const struct query *q)
{
    return strcasestr(q->sql, "json") || strcasestr(q->sql, "hstore") ||
           strcasestr(q->sql, "::text") || strcasestr(q->sql, "as text");
}

/* A drift may be harmless: whether it is, the answer shows. */
static bool was_told(const struct proof *p, const struct app_statement *a, int since)
{
    for (int i = since; i < p->report->n; i++)
        if (is_about(p, &p->report->findings[i], a) &&
            (!is_drift(&p->report->findings[i]) || is_shown(a->q)))
            return true;
    return false;
}

/* The whole row was told of: now it is seen that it matters. */
static bool raise_drift(struct proof *p, const struct app_statement *a, int since)
{
    bool any = false;

    for (int i = since; i < p->report->n; i++) {
        struct finding *f = &p->report->findings[i];
        if (!is_about(p, f, a) || !is_drift(f))
            continue;
        f->severity = SEVERITY_ERROR;
        f->message = arena_printf(
            p->a, "%s; the same statement gives another answer than before, over the same rows",
            f->message);
        any = true;
    }
    return any;
}

static void report(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                   int state)
{
    bool writes = a->q->facts.n_writes > 0;
    const char *rule = rule_for(p, a->q, state);
    struct finding *f = finding_of_state(
        p, a, w, state, rule,
        writes ? "the same statement with the same values leaves other rows behind than before"
               : "the same statement gives another answer than before, over the same rows",
        writes ? "let only the statements of later releases meet what the step makes"
               : "write what is meant in full (schema, alias, cast), in a release before this one");

    f->probe = "X";
    const char *change = texts_change(p, state);
    if (change && !writes)
        f->help = arena_printf(p->a,
                               "%s; leave it as it is for live releases, and make one of another "
                               "name beside it",
                               change);
    else if (change)
        f->help = arena_printf(p->a, "%s; %s", change, f->help);
    f->severity = severity_for(p, a->q, state);
}

/* What an earlier run was answered may be the hour's fault: asked once more. */
static bool ask_again(struct proof *p, struct query *q, int state, struct err *err)
{
    struct outcome *now = arena_new(p->a, struct outcome);
    const struct outcome *again = NULL;

    *now = *q->run[state];
    now->is_kept = false;
    q->run[state] = now;
    if (!probe_answer(p, q, &again, err))
        return false;
    now->answer = again->answer;
    now->beside = again->beside;
    now->n_beside = again->n_beside;
    return true;
}

/* The same here whenever it's asked? Else it throws dice, and says nothing of the step. */
static bool is_steady(struct proof *p, struct query *q, int state, bool *out, struct err *err)
{
    const struct outcome *again = NULL;

    *out = false;
    if (q->run[state]->is_kept) {
        if (!ask_again(p, q, state, err))
            return false;
        if (!differs(p, q, state))
            return true;
    }
    for (int i = 0; i < STEADY_ASKS; i++) {
        if (!probe_answer(p, q, &again, err))
            return false;
        if (again->answer != q->run[state]->answer ||
            differs_beside(p, q, state, q->run[state], again))
            return true;
    }
    *out = true;
    return true;
}

/* Can its answer be told of? */
static bool is_compared(const struct proof *p, const struct app_statement *a, int state, int since)
{
    return world_met(p, a, state) && !p->t.releases[a->release].is_projected &&
           a->q->facts.parsed && a->q->n_before == 0 && !was_told(p, a, since) &&
           !limited_has(p, a, state, severity_for(p, a->q, state)) &&
           !safe_has(p, a, state, rule_for(p, a->q, state)) &&
           /* Who writes leaves behind what it leaves to the others. */
           !(a->q->facts.n_writes > 0 && takes_rows(p, state));
}

/* Over the rows as they are now, in a state that the database is in. */
static bool ask_here(struct proof *p, struct query **all, int n, int state, struct err *err)
{
    for (int i = 0; i < n; i++) {
        struct outcome *here = arena_new(p->a, struct outcome);
        const struct outcome *again = NULL;

        if (!probe_answer(p, all[i], &again, err))
            return false;
        *here = *all[i]->run[state];
        here->is_kept = false;
        here->answer = again->ok ? again->answer : 0;
        here->beside = again->beside;
        here->n_beside = again->n_beside;
        here->rows = p->n_rows;
        all[i]->run[state] = here;
    }
    return true;
}

/* The database was made anew between the two states, for what comes between them: with other rows, perhaps, so that the
 * answers say nothing. Where they differ, both states are gone through once more, in one go. */
static bool compare_anew(struct proof *p, int state, int since, struct err *err)
{
    struct query **all = arena_array(p->a, struct query *, p->n_app + 1);
    int from = p->t.states[state].from, n = 0;

    for (int i = 0; i < p->n_app; i++) {
        struct query *q = p->app[i].q;
        bool is_in = false;

        if (!seems_to_differ(p, q, state) || has_same_rows(p, q, state) ||
            !is_compared(p, &p->app[i], state, since))
            continue;
        for (int k = 0; k < n && !is_in; k++)
            is_in = all[k] == q;
        if (!is_in)
            all[n++] = q;
    }
    return n == 0 || (replay_again(p, from, err) && ask_here(p, all, n, from, err) &&
                      replay_to(p, state, err) && probe_hold_again(p, state, err) &&
                      ask_here(p, all, n, state, err));
}

/* Of a kind with fewer values, what is written may have lost some of it: that isn't spelling. */
static bool changes_kind(const struct proof *p, const struct query *q)
{
    const struct fact_write *w = &q->facts.writes[0];
    const char *path = p->sessions[q->session].search_path;
    const struct cat_relation *before = cat_find(&p->before, path, w->schema, w->table),
                              *now = cat_find(&p->now, path, w->schema, w->table);
    bool any = false;

    for (int i = 0; before && now && i < w->columns.n; i++) {
        const struct cat_column *b = cat_column(before, w->columns.items[i].s),
                                *n = cat_column(now, w->columns.items[i].s);
        any |= b && n && b->category != n->category;
    }
    return any;
}

static bool changes_type(const struct step *s)
{
    for (int i = 0; s && i < s->n_stmts; i++)
        if (strstr(s->stmts[i].kind, "COLUMN TYPE"))
            return true;
    return false;
}

/* Another type spells what is written otherwise: 'N' becomes false. And what USING makes of a value may be another than
 * the same letters are from then on: cents out of euros. */
static bool is_spelled_anew(const struct proof *p, const struct query *q, int state)
{
    const struct step *s = p->t.states[state].task->step;
    int from = p->t.states[state].from;
    const struct outcome *before = q->run[from], *now = q->run[state];
    bool using = false;

    for (int i = 0; q->leaves && s && i < s->n_stmts; i++)
        using |= strcasestr(s->stmts[i].sql, "using") != NULL;
    return q->leaves && changes_kind(p, q) &&
           (differs(p, q, state) || (using && before && now && before != now && before->answer &&
                                     now->answer && before->rows == now->rows && !is_volatile(q)));
}

/* What the step makes of the rows that the statement left before it; 0: not known. */
static bool ask_turned(struct proof *p, const struct query *q, int state, uint64_t *out,
                       struct err *err)
{
    const struct step *s = p->t.states[state].task->step;
    const char *path = p->sessions[q->session].search_path;
    int n = 0, last;
    struct wire_op *ops = arena_array(p->scratch, struct wire_op, s->n_stmts + 8);
    struct wire_result *r = arena_array(p->scratch, struct wire_result, s->n_stmts + 8);

    ops[n++] = (struct wire_op) {.kind = WIRE_RUN, .sql = "BEGIN"};
    ops[n++] = (struct wire_op) {
        .kind = WIRE_RUN,
        .sql = arena_printf(p->scratch, "SET LOCAL search_path = %s", path ? path : "public")};
    ops[n++] = (struct wire_op) {
        .kind = WIRE_RUN, .sql = q->sql, .args = q->sets[0].values, .n_args = q->sets[0].n};
    ops[n++] = (struct wire_op) {.kind = WIRE_RUN, .sql = "SET CONSTRAINTS ALL IMMEDIATE"};
    for (int i = 0; i < s->n_stmts; i++)
        ops[n++] = (struct wire_op) {.kind = WIRE_RUN, .sql = s->stmts[i].sql};
    last = n;
    ops[n++] =
        (struct wire_op) {.kind = WIRE_RUN, .sql = q->leaves, .keep_rows = true, .sync = true};
    ops[n++] = (struct wire_op) {.kind = WIRE_RUN, .sql = "ROLLBACK", .sync = true};
    if (!wire_run(p->owner, p->scratch, ops, n, r, err))
        return false;
    *out = r[last].skipped ? 0 : answer_of(&r[last]);
    return true;
}

/* Where the step changes a type: is what the statement leaves after it what the step makes of what it left before? Then
 * that is its answer from before. */
static bool compare_turned(struct proof *p, int state, int since, struct err *err)
{
    struct query **all = arena_array(p->a, struct query *, p->n_queries + 1);
    uint64_t *turned = arena_array(p->a, uint64_t, p->n_queries + 1);
    int from = p->t.states[state].from, n = 0, known = 0;

    for (int i = 0; changes_type(p->t.states[state].task->step) && i < p->n_app; i++) {
        struct query *q = p->app[i].q;
        bool is_in = false;

        for (int k = 0; k < n; k++)
            is_in |= all[k] == q;
        if (!is_in && is_compared(p, &p->app[i], state, since) && is_spelled_anew(p, q, state))
            all[n++] = q;
    }
    if (n == 0)
        return true;
    if (!replay_again(p, from, err))
        return false;
    for (int i = 0; i < n; i++) {
        uint64_t answer = 0;

        if (!ask_turned(p, all[i], state, &answer, err))
            return false;
        if (answer) {
            turned[known] = answer;
            all[known++] = all[i];
        }
    }
    if (!replay_to(p, state, err) || !probe_hold_again(p, state, err) ||
        !ask_here(p, all, known, state, err))
        return false;
    for (int i = 0; i < known; i++) {
        struct outcome *before = arena_new(p->a, struct outcome);

        *before = *all[i]->run[from];
        before->answer = turned[i];
        before->beside = NULL;
        before->n_beside = 0;
        before->rows = p->n_rows;
        all[i]->run[from] = before;
    }
    return true;
}

/* A trigger that sets what the statement sets itself, by the clock or by dice: another value each time from now on. */
static bool may_bring_dice(const struct proof *p, const struct query *q, int state)
{
    const struct step *s = p->t.states[state].task->step;
    int from = p->t.states[state].from;
    bool any = false;

    for (int i = 0; s && i < s->n_stmts; i++)
        any |= strstr(s->stmts[i].kind, "TRIGGER") || strstr(s->stmts[i].kind, "FUNCTION");
    return any && q->leaves && q->run[state]->answer != q->run[from]->answer;
}

/* Was it the same whenever it was asked before the step? Then the dice are the step's. */
static bool was_steady(struct proof *p, struct query *q, bool *out, struct err *err)
{
    const struct outcome *first = NULL, *again = NULL;

    if (!probe_answer(p, q, &first, err))
        return false;
    *out = first->ok && first->answer;
    uint64_t answer = first->answer;
    for (int i = 0; i < STEADY_ASKS && *out; i++) {
        if (!probe_answer(p, q, &again, err))
            return false;
        *out = again->answer == answer;
    }
    return true;
}

static bool tell_of_dice(struct proof *p, int state, const struct app_statement **all, int n,
                         struct err *err)
{
    bool *steady = arena_array(p->a, bool, n + 1);

    if (n == 0)
        return true;
    if (!replay_again(p, p->t.states[state].from, err))
        return false;
    for (int i = 0; i < n; i++)
        if (!was_steady(p, all[i]->q, &steady[i], err))
            return false;
    if (!replay_to(p, state, err) || !probe_hold_again(p, state, err))
        return false;
    for (int i = 0; i < n; i++)
        if (steady[i])
            report(p, all[i], world_met(p, all[i], state), state);
    return true;
}

bool answers_state(struct proof *p, int state, int since, struct err *err)
{
    const struct app_statement **unsteady =
        arena_array(p->a, const struct app_statement *, p->n_app + 1);
    int n = 0;

    if (state == 0 || p->t.states[state].by != STATE_TASK || !may_matter(p, state))
        return true;
    if (!compare_anew(p, state, since, err) || !compare_turned(p, state, since, err))
        return false;
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        bool steady = false;

        if (!differs(p, a->q, state) || !is_compared(p, a, state, since))
            continue;
        if (!is_steady(p, a->q, state, &steady, err))
            return false;
        if (!steady && may_bring_dice(p, a->q, state))
            unsteady[n++] = a;
        if (steady && !raise_drift(p, a, since))
            report(p, a, world_met(p, a, state), state);
    }
    return tell_of_dice(p, state, unsteady, n, err);
}
