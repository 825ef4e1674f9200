/* SQL facts of a whole plan, and what its phases allow. */
#include "load/sql_work.h"

#include <string.h>

struct work_plan {
    struct arena *a;
    struct seen seen; /* of the phase */
    enum phase phase;
    struct problem_list *problems;
    bool is_good;
};

static void refuse(struct work_plan *w, struct pos at, const char *rule, const char *hint,
                   const char *message)
{
    problem_with_rule(w->problems, at, rule, hint, "%s", message);
    w->is_good = false;
}

/* A text of several lines is a block scalar, and its position is where the block's text starts. */
static struct sql_text sql_text_of(const struct text *t)
{
    return (struct sql_text) {t->s, t->at, strchr(t->s, '\n') != NULL};
}

/* ---- what a phase allows ------------------------------------------------------------------------- */

/* Moved to contract, a rename would break the release beside it just as well. */
static const char *way_to_destroy(const struct sql_stmt *s)
{
    if (strstr(s->kind, "RENAME COLUMN"))
        return "a second column in expand, kept equal by sync:, filled by backfill:, and the old "
               "one dropped in contract: docs/worked-plans.md, rename-column";
    if (strstr(s->kind, "RENAME"))
        return "releases that run know the old name: make what has the new name beside it in "
               "expand, and drop the old one in contract";
    return "move it to the contract phase";
}

/* What is restrictive in expand may hurt live writers: that is for the proof to say, or for whoever can't make one. */
static void check_class(struct work_plan *w, const struct sql_stmt *s)
{
    const char *what = arena_printf(w->a, "%s is %s: %s", s->kind, sql_class_word(s->class),
                                    s->class_why ? s->class_why : "");

    if (s->class == SQL_DESTRUCTIVE && w->phase != PHASE_CONTRACT)
        refuse(w, s->at, "destructive-outside-contract", way_to_destroy(s), what);
    else if (w->phase == PHASE_EXPAND && s->class == SQL_DATA && s->class_why && !s->only_adds)
        refuse(w, s->at, "expand-not-additive",
               "fill existing rows with backfill: in dual_read or write_activation", what);
}

static void check_statement(struct work_plan *w, const struct step *step, const struct sql_stmt *s)
{
    if (strcmp(s->kind, "transaction control") == 0)
        refuse(w, s->at, NULL, "take it out; `transaction: none` runs a step without one",
               "phasegate opens and ends the transaction of a step");
    if (strcmp(s->kind, "COPY FROM STDIN") == 0 || strcmp(s->kind, "COPY TO STDOUT") == 0)
        refuse(w, s->at, NULL, "INSERT the rows, or use a command: step",
               arena_printf(w->a, "a step can't take part in %s", s->kind));
    if (strcmp(s->kind, "SET SESSION") == 0 || strcmp(s->kind, "DISCARD") == 0)
        refuse(w, s->at, NULL,
               "SET LOCAL lasts for the step; statement_timeout: and lock_timeout: are keys of it",
               "it would change phasegate's own session, and what comes after the step");
    if (strcmp(s->kind, "CREATE INDEX CONCURRENTLY") == 0 ||
        strcmp(s->kind, "CREATE UNIQUE INDEX CONCURRENTLY") == 0)
        if (!s->object && !step->applied_when.s)
            refuse(w, s->at, NULL, "CREATE INDEX CONCURRENTLY name ON ...",
                   "the index needs a name: without one a half-built index can't be found again");
}

static const char *alone_rule(const struct sql_stmt *s)
{
    if (strstr(s->kind, "VALIDATE"))
        return "not-valid-and-validate-same-transaction";
    return strstr(s->kind, "ADD VALUE") ? "enum-value-used-in-same-transaction"
                                        : "concurrently-in-transaction";
}

static void check_together(struct work_plan *w, const struct step *step)
{
    if (step->n_stmts == 0)
        refuse(w, step->sql.at, NULL, "take the step out, or write one",
               "there is no statement in this step");
    if (step->n_stmts < 2)
        return;
    for (int i = 0; i < step->n_stmts; i++) {
        const struct sql_stmt *s = &step->stmts[i];

        if (!s->standalone)
            continue;
        refuse(w, s->at, alone_rule(s), "split the step: one statement each",
               arena_printf(
                   w->a, "%s must be the only statement of its step: it runs outside a transaction",
                   s->kind));
        return;
    }
    if (step->no_transaction)
        refuse(w, step->stmts[1].at, NULL, "split the step: one statement each",
               "`transaction: none` with several statements: after a failure nobody could tell "
               "which of them ran");
}

/* ---- the author's own texts ---------------------------------------------------------------------- */

static void check_undo(struct work_plan *w, struct step *step)
{
    struct sql_text text = sql_text_of(&step->undo);
    struct seen apart = {.a = w->a}; /* what an undo makes, no step has made */

    if (!sql_text_facts(&apart, &text, &step->undo_stmts, &step->n_undo_stmts, w->problems)) {
        w->is_good = false;
        return;
    }
    if (step->n_undo_stmts == 0)
        refuse(w, step->undo.at, NULL, "undo: {none: reason} says that there is no way back",
               "there is no statement in undo");
    for (int i = 0; i < step->n_undo_stmts; i++)
        if (strcmp(step->undo_stmts[i].kind, "transaction control") == 0)
            refuse(w, step->undo_stmts[i].at, NULL, "take it out",
                   "phasegate opens and ends the transaction of an undo");
}

static void check_applied_when(struct work_plan *w, const struct step *step)
{
    struct sql_text text = sql_text_of(&step->applied_when);
    AUTO(sql_parts) parts = {0};
    const json_t *query;

    if (!sql_split(w->a, &text, "applied_when", &parts, w->problems)) {
        w->is_good = false;
        return;
    }
    query = parts.n == 1 ? tree_get(parts.items[0].node, "SelectStmt") : NULL;
    if (query && !tree_get(query, "intoClause"))
        return;
    problem_add(w->problems, parts.n > 1 ? parts.items[1].at : step->applied_when.at,
                "one SELECT that gives one boolean", NULL, "applied_when isn't one query");
    w->is_good = false;
}

/* ---- steps ------------------------------------------------------------------------------------------ */

static bool is_for_postgres(const struct step *step)
{
    return !step->dbms.s || strncmp(step->dbms.s, "postgres", strlen("postgres")) == 0;
}

static bool is_check_again(const struct sql_stmt *gone, const struct sql_stmt *back)
{
    return strcmp(gone->kind, "ALTER TABLE DROP CONSTRAINT") == 0 &&
           strncmp(back->kind, "ALTER TABLE ADD CHECK", strlen("ALTER TABLE ADD CHECK")) == 0 &&
           gone->object && gone->table && same_text(gone->object, back->object) &&
           same_text(gone->table, back->table);
}

/* Another thing by the name. A table that is dropped has lost its rows all the same. */
static bool is_name_again(const struct sql_stmt *gone, const struct sql_stmt *back)
{
    static const char *const by_table[] = {"ALTER TABLE RENAME", "ALTER VIEW RENAME",
                                           "ALTER MATERIALIZED VIEW RENAME", "DROP VIEW",
                                           "DROP MATERIALIZED VIEW"},
                             *const by_object[] = {"DROP FUNCTION", "DROP PROCEDURE",
                                                   "DROP ROUTINE",  "DROP AGGREGATE",
                                                   "DROP TRIGGER",  "DROP POLICY",
                                                   "DROP RULE",     "DROP INDEX"};
    bool is_relation = false, is_object = false;

    for (size_t i = 0; i < sizeof by_table / sizeof *by_table; i++)
        is_relation |= strcmp(gone->kind, by_table[i]) == 0;
    for (size_t i = 0; i < sizeof by_object / sizeof *by_object; i++)
        is_object |= strcmp(gone->kind, by_object[i]) == 0;
    if (gone->class != SQL_DESTRUCTIVE || gone->cascades ||
        strncmp(back->kind, "CREATE", strlen("CREATE")) != 0 ||
        !same_text(gone->schema, back->schema))
        return false;
    if (is_relation)
        return gone->table && !back->object && same_text(gone->table, back->table);
    return is_object && gone->object && same_text(gone->object, back->object) &&
           (!gone->table || same_text(gone->table, back->table));
}

/* What goes, and comes again under its name before the step ends, isn't gone for anybody. */
static void note_replaced(struct step *step, enum phase phase)
{
    for (int i = 0; i < step->n_stmts; i++)
        for (int k = i + 1; k < step->n_stmts; k++) {
            struct sql_stmt *gone = &step->stmts[i];

            if (is_check_again(gone, &step->stmts[k])) {
                gone->class = SQL_RESTRICTIVE;
                gone->class_why = SQL_CHECK_REPLACED;
                gone->drop = DROP_NOT;
            } else if (phase != PHASE_CONTRACT && is_name_again(gone, &step->stmts[k])) {
                gone->class = SQL_UNKNOWN;
                gone->class_why = "what is made in its place may be another thing";
            }
        }
}

/* No row is lost by it, and what a constraint refused the next release may be about to write. In contract it is hidden first,
 * as all else. */
static void note_loosened(struct step *step, enum phase phase)
{
    static const char *const more[] = {"DROP COLUMN", "COLUMN TYPE", "DETACH", "NO INHERIT",
                                       "UNLOGGED"};

    for (int i = 0; i < step->n_stmts && phase != PHASE_CONTRACT; i++) {
        struct sql_stmt *s = &step->stmts[i];
        bool is_loosened =
            s->class == SQL_DESTRUCTIVE && (strcmp(s->class_why, SQL_CONSTRAINT_GONE) == 0 ||
                                            strcmp(s->kind, "ALTER SEQUENCE RENAME") == 0);

        for (size_t k = 0; k < sizeof more / sizeof *more; k++)
            is_loosened = is_loosened && !strstr(s->kind, more[k]);
        if (is_loosened)
            s->class = SQL_UNKNOWN;
    }
}

static void do_step(struct work_plan *w, struct step *step)
{
    if (!is_for_postgres(step))
        return;
    if (step->undo.s)
        check_undo(w, step);
    if (step->applied_when.s)
        check_applied_when(w, step);
    if (!step->sql.s)
        return;

    struct sql_text text = sql_text_of(&step->sql);
    if (!sql_text_facts(&w->seen, &text, &step->stmts, &step->n_stmts, w->problems)) {
        w->is_good = false;
        return;
    }
    note_replaced(step, w->phase);
    note_loosened(step, w->phase);
    check_together(w, step);
    for (int i = 0; i < step->n_stmts; i++) {
        check_statement(w, step, &step->stmts[i]);
        check_class(w, &step->stmts[i]);
    }
}

/* ---- sync: which columns do the expressions read? ------------------------------------------------------- */

struct columns {
    struct arena *a;
    struct text_list *out;
    struct pos at;
    int cap;
};

static bool note_column(void *ctx, const char *kind, const json_t *fields)
{
    struct columns *c = ctx;
    const char *name =
        strcmp(kind, "ColumnRef") == 0 ? tree_last(tree_get(fields, "fields")) : NULL;

    if (!name)
        return true;
    for (int i = 0; i < c->out->n; i++)
        if (strcmp(c->out->items[i].s, name) == 0)
            return true;
    if (c->out->n == c->cap) {
        int cap = c->cap ? 2 * c->cap : 4;

        c->out->items = arena_grow(c->a, c->out->items, sizeof *c->out->items * (size_t) c->cap,
                                   sizeof *c->out->items * (size_t) cap);
        c->cap = cap;
    }
    c->out->items[c->out->n++] = (struct text) {arena_strdup(c->a, name), c->at};
    return true;
}

/* Nothing but one expression: no FROM, no second column, no name. */
static bool is_expression(const struct sql_parts *parts)
{
    static const char *const expected[] = {"targetList", "limitOption", "op", NULL};
    const json_t *query = parts->n == 1 ? tree_get(parts->items[0].node, "SelectStmt") : NULL;
    json_t *targets = tree_list(query, "targetList"), *value;
    const char *key;

    json_object_foreach((json_t *) query, key, value) if (!word_in(key, expected)) return false;
    return tree_count(targets) == 1 &&
           !tree_get(tree_as(json_array_get(targets, 0), "ResTarget"), "name") &&
           !tree_has(targets, "A_Star") && !tree_has(targets, "ParamRef");
}

/* Nothing but what may stand after FROM. */
static bool is_from(const struct sql_parts *parts)
{
    static const char *const expected[] = {"fromClause", "limitOption", "op", NULL};
    const json_t *query = parts->n == 1 ? tree_get(parts->items[0].node, "SelectStmt") : NULL;
    json_t *value;
    const char *key;

    json_object_foreach((json_t *) query, key, value) if (!word_in(key, expected)) return false;
    return query && !tree_has(query, "ParamRef");
}

static bool begins_with(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strncmp(s, *words, strlen(*words)) == 0)
            return true;
    return false;
}

/* Names that a step makes are unknown to the server until it has run; and some steps nobody can read. */
static void note_step(struct sync *sync, const struct step *step)
{
    static const char *const plain[] = {"ALTER TABLE",         "CREATE INDEX", "COMMENT", "GRANT",
                                        "CREATE UNIQUE INDEX", "SET LOCAL",    NULL};
    static const char *const makers[] = {"CREATE ", "ALTER ", NULL};

    sync->makes_anything |= step->command.n > 0;
    for (int i = 0; i < step->n_stmts; i++) {
        const char *kind = step->stmts[i].kind;

        if (begins_with(kind, plain))
            continue;
        sync->makes_names |= begins_with(kind, makers);
        sync->makes_anything |= !begins_with(kind, makers) ||
                                strcmp(kind, "CREATE EXTENSION") == 0 ||
                                step->stmts[i].class == SQL_UNKNOWN;
    }
}

static void note_made(struct work_plan *w, struct sync *sync, const struct phase_plan *expand)
{
    sync->made = arena_array(w->a, struct made_column, w->seen.n + 1);
    sync->n_made = 0;
    sync->makes_names = sync->makes_anything = false;
    for (int i = 0; i < w->seen.n; i++) {
        const struct made *m = &w->seen.items[i];

        if (m->kind == MADE_COLUMN && m->column)
            sync->made[sync->n_made++] =
                (struct made_column) {m->column, m->type, m->fills != FILLS_NULL};
    }
    for (int i = 0; i < expand->steps.n; i++)
        note_step(sync, &expand->steps.items[i]);
    for (int i = 0; i < expand->finish.n; i++)
        note_step(sync, &expand->finish.items[i]);
}

/* A part of a statement that phasegate makes. It is pasted in, so it must be one by the grammar: what closes
 * the parenthesis around it would be a statement of its own that nobody has looked at. */
static bool part_parse(struct work_plan *w, const struct text *part, const char *before,
                       bool (*is_good)(const struct sql_parts *), const char *expected,
                       struct sql_parts *out)
{
    struct sql_text text = sql_text_of(part);

    text.sql = arena_printf(w->a, "%s%s", before, part->s);
    text.is_indented = false;
    text.at.col -= (int) strlen(before);
    if (!sql_split(w->a, &text, "this expression", out, w->problems)) {
        w->is_good = false;
        return false;
    }
    if (is_good(out))
        return true;
    problem_add(w->problems, part->at, expected, NULL, "not an expression: %s", part->s);
    w->is_good = false;
    return false;
}

static bool expression_parse(struct work_plan *w, const struct text *expr, struct sql_parts *out)
{
    return part_parse(w, expr, "SELECT ", is_expression, "one expression over columns of the row",
                      out);
}

static void expression_columns(struct work_plan *w, const struct text *expr, struct columns *c)
{
    AUTO(sql_parts) parts = {0};

    c->at = expr->at;
    if (expression_parse(w, expr, &parts))
        tree_walk(parts.tree, note_column, c);
}

static void check_expression(struct work_plan *w, const struct text *expr, struct text_list *rels)
{
    AUTO(sql_parts) parts = {0};

    if (expr->s && expression_parse(w, expr, &parts))
        sql_relations(w->a, parts.tree, rels);
}

static const char *const aggregates[] = {"count",
                                         "sum",
                                         "avg",
                                         "min",
                                         "max",
                                         "array_agg",
                                         "string_agg",
                                         "bool_and",
                                         "bool_or",
                                         "every",
                                         "json_agg",
                                         "jsonb_agg",
                                         "json_object_agg",
                                         "jsonb_object_agg",
                                         "xmlagg",
                                         "bit_and",
                                         "bit_or",
                                         "stddev",
                                         "variance",
                                         "range_agg",
                                         "corr",
                                         "any_value",
                                         "mode",
                                         "percentile_cont",
                                         "percentile_disc",
                                         NULL};

struct through {
    const char *table;
    int found;
    bool is_qualified;
    const char *bad; /* what a batch can't cut; NULL: nothing */
};

static bool note_through(void *ctx, const char *kind, const json_t *fields)
{
    struct through *t = ctx;

    if (strcmp(kind, "RangeVar") == 0 && t->table && tree_is(fields, "relname", t->table)) {
        t->found++;
        t->is_qualified |= tree_text(fields, "schemaname") != NULL;
    } else if (strcmp(kind, "ParamRef") == 0) {
        t->bad = "a parameter";
    }
    return true;
}

/* Of the rows that it goes through, not of what a subquery finds for one of them. */
static void note_calls(const json_t *node, struct through *t)
{
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_array(node))
        json_array_foreach((json_t *) node, i, value) note_calls(value, t);
    json_object_foreach((json_t *) node, key, value)
    {
        if (strcmp(key, "SubLink") == 0 || strcmp(key, "RangeSubselect") == 0)
            continue;
        if (strcmp(key, "FuncCall") == 0 && tree_get(value, "over"))
            t->bad = "a window function";
        else if (strcmp(key, "FuncCall") == 0 &&
                 (tree_flag(value, "agg_star") || tree_get(value, "agg_filter") ||
                  tree_get(value, "agg_order") ||
                  word_in(tree_last(tree_get(value, "funcname")), aggregates)))
            t->bad = "an aggregate";
        note_calls(value, t);
    }
}

/* The rows of a range, each by itself: whatever looks at several of them gives another answer in a batch. */
static const char *uncut(const json_t *select, struct through *t)
{
    static const struct {
        const char *key, *words;
    } clauses[] = {{"withClause", "WITH"},
                   {"limitCount", "LIMIT"},
                   {"limitOffset", "OFFSET"},
                   {"distinctClause", "DISTINCT"},
                   {"groupClause", "GROUP BY"},
                   {"havingClause", "HAVING"},
                   {"windowClause", "WINDOW"},
                   {"valuesLists", "VALUES"},
                   {"larg", "UNION, INTERSECT or EXCEPT"}};
    const json_t *fields = tree_fields(select);

    for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++)
        if (tree_get(fields, clauses[i].key))
            return clauses[i].words;
    tree_walk(select, note_through, t);
    note_calls(fields, t);
    return t->bad;
}

/* Is it one of the tables of FROM, or of a join of theirs? */
static bool is_in_from(const json_t *node, const char *table)
{
    const json_t *fields = tree_fields(node);
    const char *kind = tree_kind(node);

    if (kind && strcmp(kind, "RangeVar") == 0)
        return tree_is(fields, "relname", table);
    /* The other side of an outer join is NULLs where the range has no row. */
    return kind && strcmp(kind, "JoinExpr") == 0 &&
           (is_in_from(tree_get(fields, "larg"), table) ||
            is_in_from(tree_get(fields, "rarg"), table));
}

static bool goes_through(const json_t *select, const char *table)
{
    json_t *list = tree_list(tree_fields(select), "fromClause"), *item;
    size_t i;

    json_array_foreach(list, i, item) if (is_in_from(item, table)) return true;
    return false;
}

static bool is_insert(const struct sql_parts *parts)
{
    const char *kind = parts->n == 1 ? tree_kind(parts->items[0].node) : NULL;

    return kind && strcmp(kind, "InsertStmt") == 0 &&
           tree_count(tree_list(tree_fields(parts->items[0].node), "returningList")) == 0;
}

/* A batch gives it its own rows under the table's name: what it takes elsewhere it would take whole each time. */
static void check_insert(struct work_plan *w, struct backfill *b, const char *table)
{
    AUTO(sql_parts) parts = {0};

    if (!part_parse(w, &b->insert_select, "INSERT INTO t ", is_insert,
                    "one SELECT, with ON CONFLICT behind it and nothing else", &parts))
        return;
    struct through t = {.table = table};
    const json_t *select = tree_get(tree_fields(parts.items[0].node), "selectStmt");
    sql_relations(w->a, select, &b->relations);
    const char *bad = uncut(select, &t);
    if (!bad && (!table || (t.found == 1 && !t.is_qualified && goes_through(select, table))))
        return;
    w->is_good = false;
    if (bad) {
        problem_add(w->problems, b->insert_select.at, "a SELECT that makes each row by itself",
                    "make such a result in a table of its own, in a step",
                    "its SELECT has %s, which each batch would take of its own rows", bad);
        return;
    }
    problem_add(w->problems, b->insert_select.at,
                arena_printf(w->a, "FROM %s, once and by its bare name", table),
                "each batch gives it the rows of its range under that name",
                t.is_qualified ? "its SELECT names %s with a schema"
                : t.found > 1  ? "its SELECT names %s more than once"
                               : "its SELECT doesn't go through %s",
                table);
}

static void check_backfill(struct work_plan *w, struct backfill *b, const struct sync *sync)
{
    AUTO(sql_parts) parts = {0};

    b->relations = (struct text_list) {0};
    for (int i = 0; i < b->set.n; i++)
        check_expression(w, &b->set.items[i].value, &b->relations);
    check_expression(w, &b->match, &b->relations);
    check_expression(w, &b->where, &b->relations);
    if (b->insert_select.s)
        check_insert(w, b, b->table.s ? b->table.s : sync->table.s);
    if (b->from.s &&
        part_parse(w, &b->from, "SELECT FROM ", is_from, "tables, as after FROM", &parts))
        sql_relations(w->a, parts.tree, &b->relations);
}

static void sync_columns(struct work_plan *w, const struct pair_list *pairs, struct text_list *out)
{
    struct columns c = {.a = w->a, .out = out};

    *out = (struct text_list) {0};
    for (int i = 0; i < pairs->n; i++)
        if (pairs->items[i].value.s)
            expression_columns(w, &pairs->items[i].value, &c);
}

/* ---- the plan --------------------------------------------------------------------------------------- */

static bool say(const struct plan *p, const struct problem_list *problems, int before,
                struct err *err)
{
    AUTO(str) first = {0};
    int n = problems->n - before;

    if (n <= 0) /* the list is full, or had them all */
        return err_set(err, ERR_INPUT, "plan %s: its SQL has problems",
                       p->id.s ? p->id.s : p->file);
    problem_text(&first, &problems->items[before]);
    return err_set(err, ERR_INPUT, "%d problem%s in the SQL of plan %s: %s", n, n == 1 ? "" : "s",
                   p->id.s ? p->id.s : p->file, str_text(&first));
}

bool plan_sql_facts_in(struct arena *a, struct plan *p, struct problem_list *problems,
                       struct err *err)
{
    struct work_plan w = {.a = a, .problems = problems, .is_good = true};
    int before = problems->n;

    for (enum phase ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
        struct phase_plan *phase = &p->phases[ph];

        /* What an earlier phase made, releases know by now that are live in this one. */
        w.seen = (struct seen) {.a = w.a};
        w.phase = ph;
        for (int i = 0; i < phase->steps.n; i++)
            do_step(&w, &phase->steps.items[i]);
        for (int i = 0; i < phase->finish.n; i++)
            do_step(&w, &phase->finish.items[i]);
        for (int i = 0; i < phase->backfill.n; i++)
            check_backfill(&w, &phase->backfill.items[i], &p->sync);
        if (ph == PHASE_EXPAND)
            note_made(&w, &p->sync, phase);
    }
    for (int i = 0; i < p->data_checks.n; i++)
        if (p->data_checks.items[i].fix.s)
            w.is_good &= sql_fix(a, &p->data_checks.items[i], problems);
    sync_columns(&w, &p->sync.forward, &p->sync.forward_columns);
    sync_columns(&w, &p->sync.reverse, &p->sync.reverse_columns);
    p->has_facts = w.is_good;
    return w.is_good || say(p, problems, before, err);
}

bool plan_sql_facts(struct plan_set *s, struct plan *p, struct problem_list *problems,
                    struct err *err)
{
    return plan_sql_facts_in(&s->arena, p, problems, err);
}
