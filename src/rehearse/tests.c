/* The plan's tests: rows that somebody wrote, the phases, and what is to be there then. */
#include "rehearse/rehearse_int.h"

#include "sql_embedded.h"

static bool fill(struct scene *s, const struct plan_test *t, struct text_list *left,
                 struct err *err)
{
    AUTO(problem_list) problems = {0};
    struct sql_stmt *stmts = NULL;
    struct db *db = NULL;
    AUTO(err) failed = {0};
    int n = 0;

    if (!sql_facts(s->a, t->given.s ? t->given.s : "", t->given.at, &stmts, &n, &problems)) {
        text_add(s->a, left, "given can't be read: %s",
                 problems.n ? problems.items[0].message : "no SQL");
        return true;
    }
    if (!stage_db(s, true, &db, err))
        return false;
    bool ok = db_exec(db, sql_set_search_path, &DB_PARAMS(s->search_path), &failed);
    for (int i = 0; ok && i < n; i++)
        ok = db_exec(db, stmts[i].sql, &DB_NO_PARAMS, &failed);
    db_close(db);
    if (!ok)
        text_add(s->a, left, "given fails: %s", str_text(&failed.message));
    return true;
}

static void ask(struct scene *s, struct db *db, const struct check *c, struct text_list *left)
{
    struct db_rows rows = {0};
    AUTO(err) failed = {0};

    if (!db_query(db, s->a, c->sql.s, &DB_NO_PARAMS, &rows, &failed)) {
        text_add(s->a, left, "%s fails: %s", c->sql.s, str_text(&failed.message));
        return;
    }
    const char *value = rows.n_rows && rows.n_cols ? db_cell(&rows, 0, 0) : NULL;
    if (!cond_holds(&c->expect, value, NULL))
        text_add(s->a, left, "%s gives %s, expected %s %s", c->sql.s, value ? value : "nothing",
                 cond_op_word(c->expect.op), c->expect.value ? c->expect.value : "");
}

static bool look(struct scene *s, const struct plan_test *t, struct text_list *left,
                 struct err *err)
{
    struct db *db = NULL;

    if (!stage_db(s, false, &db, err))
        return false;
    bool ok = db_exec(db, sql_set_search_path, &DB_PARAMS(s->search_path), err);
    for (int i = 0; ok && i < t->expect.n; i++)
        ask(s, db, &t->expect.items[i], left);
    db_close(db);
    return ok;
}

static bool play(struct scene *s, const struct plan_test *t, struct text_list *left,
                 struct err *err)
{
    struct command c = {COMMAND_AGAIN, &s->plan, t->after, false};
    struct command_answer a = {0};

    if (!fill(s, t, left, err))
        return false;
    if (left->n)
        return true;
    if (!command_run(s, &c, &a, err))
        return false;
    if (a.ok)
        return look(s, t, left, err);
    text_add(s->a, left, "%s", a.message);
    return true;
}

static bool one_test(struct scene *s, const struct plan_test *t, struct rehearse_test *out,
                     struct err *err)
{
    struct aside from;
    AUTO(err) ignored = {0};

    *out = (struct rehearse_test) {.id = t->id.s};
    bool ok = stage_aside(s, "tested", true, &from, err) && play(s, t, &out->left, err);
    bool is_back = stage_away(s, &from, ok ? err : &ignored);
    for (int i = 0; ok && i < out->left.n; i++)
        text_add(s->a, &s->out->problems, "test %s fails: %s", t->id.s, out->left.items[i].s);
    return ok && is_back;
}

bool tests_run(struct scene *s, struct err *err)
{
    struct rehearsal *r = s->out;

    if (!s->plan.n_tests)
        return true;
    if (s->o->clone_url || s->plan.n_depends_on) {
        r->tests_why = s->o->clone_url ? "they are for a database without other rows"
                                       : "the plan depends on others, which are run with made rows";
        return true;
    }
    r->tests = arena_array(s->a, struct rehearse_test, s->plan.n_tests);
    for (int i = 0; i < s->plan.n_tests; i++, r->n_tests++)
        if (!one_test(s, &s->plan.tests[i], &r->tests[i], err))
            return false;
    return true;
}
