/* S by experiment: the same statement, the same rows, before and after a step that touches no rows. Another answer is
 * another meaning, whatever the parse tree says.
 *
 * Of a statement that reads, the answer is its rows; of one that writes, what is in the columns that it wrote
 * afterwards. Both as sums over the rows: their order is the server's, and told of elsewhere.
 */
#include "check/work.h"

#include <strings.h>

/* ---- what a run answered --------------------------------------------------------------------------------- */

static const char *query_of(struct proof *p, const struct query *q)
{
    const struct fact_write *w = q->facts.n_writes > 0 ? &q->facts.writes[0] : NULL;
    const char *path = p->sessions[q->session].search_path;
    const struct cat_relation *r = w ? cat_find(&p->now, path, w->schema, w->table) : NULL;
    AUTO(str) sql = {0};

    if (!r || (r->kind != 'r' && r->kind != 'p' && r->kind != 'v'))
        return NULL;
    str_add(&sql, "SELECT pg_catalog.concat_ws(',', 'row'");
    for (int i = 0; i < w->columns.n; i++) {
        if (!cat_column(r, w->columns.items[i].s))
            return NULL;
        str_add(&sql, ", ");
        sql_ident(&sql, w->columns.items[i].s);
        str_add(&sql, "::pg_catalog.text");
    }
    str_add(&sql, ") FROM ");
    sql_qualified(&sql, w->schema, w->table);
    return arena_strdup(p->a, str_text(&sql));
}

/* Of the baseline's own rows there may be any number. */
static bool is_small(const struct proof *p, const struct query *q)
{
    const char *path = p->sessions[q->session].search_path;

    for (int i = 0; i < q->facts.n_rels; i++) {
        const struct cat_relation *r =
            cat_find(&p->now, path, q->facts.rels[i].schema, q->facts.rels[i].name);
        const struct seed *s = r ? seed_of(p, r->oid) : NULL;
        if (s && s->is_found)
            return false;
    }
    return true;
}

void answer_prepare(struct proof *p, struct query *q)
{
    if (!q->facts.parsed || q->facts.is_utility || !is_small(p, q))
        return;
    q->keeps_rows = q->facts.n_writes == 0;
    q->leaves = q->keeps_rows ? NULL : query_of(p, q);
}

uint64_t answer_of(const struct wire_result *r)
{
    uint64_t sum = 1;

    if (!r->ok || (r->n_rows > 0 && !r->cell))
        return 0;
    for (int i = 0; i < r->n_rows; i++) {
        uint64_t h = PRINT_START;
        for (int k = 0; k < r->n_columns; k++)
            h = print_text(h, r->cell[i][k]);
        sum += h;
    }
    return sum ? sum : 1;
}

/* ---- comparing ------------------------------------------------------------------------------------------------ */

static bool has_word(const char *sql, const char *word)
{
    size_t n = strlen(word);

    for (const char *s = sql; *s; s++)
        if (strncasecmp(s, word, n) == 0)
            return true;
    return false;
}

/* What only says how things are; a DO block, a CALL, or a SELECT of a function may do anything to rows. */
static bool is_definition(const struct sql_stmt *s)
{
    static const char *const words[] = {"CREATE ", "ALTER ", "DROP ", "GRANT", "REVOKE", "COMMENT"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (s->class != SQL_DATA && strncmp(s->kind, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

bool changes_rows(const struct proof *p, int state)
{
    const struct task *t = p->t.states[state].task;

    if (!t || (t->kind != TASK_STEP && t->kind != TASK_BACKFILL))
        return false;
    if (t->kind == TASK_BACKFILL || t->step->command.n > 0 || p->forgot[state])
        return true;
    for (int i = 0; i < t->step->n_stmts; i++)
        if (!is_definition(&t->step->stmts[i]))
            return true;
    return false;
}

/* A step that leaves the rows as they are, and that may make something else of them: an index doesn't. */
static bool may_matter(const struct proof *p, int state)
{
    static const char *const indifferent[] = {"INDEX", "CONSTRAINT", "UNIQUE", "PRIMARY",
                                              "COMMENT"};
    const struct task *t = p->t.states[state].task;
    bool matters = false;

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
            if (has_word(q->facts.functions.items[i].s, functions[k]))
                return true;
    return q->facts.uses_now;
}

static bool differs(const struct proof *p, const struct query *q, int state)
{
    int from = p->t.states[state].from;
    const struct outcome *before = q->run[from], *now = q->run[state];

    return before && now && before != now && before->ok && now->ok && before->answer &&
           now->answer && before->rows == now->rows && before->answer != now->answer &&
           q->shape[from] && q->shape[state] && description_same(q->shape[from], q->shape[state]) &&
           !is_volatile(q);
}

static const char *rule_for(const struct proof *p, const struct query *q, int state)
{
    const struct step *s = p->t.states[state].task->step;
    const char *rule = "row-visibility-changed";

    if (q->facts.n_writes > 0)
        return "old-path-trigger-effect";
    for (int i = 0; i < s->n_stmts; i++)
        if (strstr(s->stmts[i].kind, "ADD COLUMN") || strstr(s->stmts[i].kind, "CREATE TABLE"))
            rule = "name-shadowed";
        else if (strstr(s->stmts[i].kind, "FUNCTION"))
            rule =
                strncmp(s->stmts[i].kind, "CREATE", 6) != 0 || has_word(s->stmts[i].sql, "replace")
                    ? "function-signature-changed"
                    : "name-shadowed";
        else if (has_word(s->stmts[i].sql, "rename value"))
            rule = "enum-value-renamed";
    return rule;
}

static bool was_told(const struct proof *p, const struct app_statement *a, int since)
{
    for (int i = since; i < p->report->n; i++) {
        const struct finding *f = &p->report->findings[i];
        if (f->release && strcmp(f->release, p->t.releases[a->release].version) == 0 &&
            f->statement && strcmp(f->statement, a->s->name) == 0)
            return true;
    }
    return false;
}

static void report(struct proof *p, const struct app_statement *a, const struct timeline_world *w,
                   int state)
{
    bool writes = a->q->facts.n_writes > 0;
    struct finding *f = finding_of_state(
        p, a, w, state, rule_for(p, a->q, state),
        writes ? "the same statement with the same values leaves other rows behind than before"
               : "the same statement gives another answer than before, over the same rows",
        writes ? "let only the statements of later releases meet what the step makes"
               : "write what is meant in full (schema, alias, cast), in a release before this one");

    f->probe = "X";
}

/* What an earlier run was answered may be the hour's fault: asked once more. */
static bool ask_again(struct proof *p, struct query *q, int state, struct err *err)
{
    struct outcome *now = arena_new(p->a, struct outcome);

    *now = *q->run[state];
    now->is_kept = false;
    q->run[state] = now;
    return probe_answer(p, q, &now->answer, err);
}

/* Twice the same here? Else it is never the same, and says nothing of the step. */
static bool is_steady(struct proof *p, struct query *q, int state, bool *out, struct err *err)
{
    uint64_t again = 0;

    if (q->run[state]->is_kept) {
        if (!ask_again(p, q, state, err))
            return false;
        if (!differs(p, q, state))
            return true;
    }
    if (!probe_answer(p, q, &again, err))
        return false;
    *out = again == q->run[state]->answer;
    return true;
}

bool answers_state(struct proof *p, int state, int since, struct err *err)
{
    if (state == 0 || p->t.states[state].by != STATE_TASK || !may_matter(p, state))
        return true;
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const struct timeline_world *w = world_met(p, a, state);
        bool steady = false;

        if (!w || p->t.releases[a->release].is_projected || !a->q->facts.parsed ||
            a->q->n_before > 0 || !differs(p, a->q, state) || was_told(p, a, since))
            continue;
        if (!is_steady(p, a->q, state, &steady, err))
            return false;
        if (steady)
            report(p, a, w, state);
    }
    return true;
}
