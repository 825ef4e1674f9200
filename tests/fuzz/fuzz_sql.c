/* SQL of a step: whatever it is, the answer is facts or a problem, and what is derived is SQL again. */
#include "phasegate/load.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Its statements, or -1. */
static int count_statements(struct arena *a, const char *sql)
{
    AUTO(problem_list) problems = {0};
    struct sql_stmt *stmts = NULL;
    int n = 0;

    return sql_facts(a, sql, (struct pos) {"x.sql", 1, 1}, &stmts, &n, &problems) ? n : -1;
}

static void must_be_one(struct arena *a, const char *sql)
{
    if (sql && count_statements(a, sql) != 1)
        abort();
}

static void check_statement(struct arena *a, const struct sql_stmt *s)
{
    if (!s->sql || !s->kind ||
        (s->class == SQL_ADDITIVE) != (s->class_why == NULL && s->class != SQL_DATA))
        abort();
    if (!s->half_made_when != !s->clean_up || (s->undo && s->undo_query) ||
        (s->undo_lossless && !s->undo && !s->undo_query))
        abort();
    must_be_one(a, s->applied_when);
    must_be_one(a, s->half_made_when);
    must_be_one(a, s->clean_up);
    must_be_one(a, s->undo);
    must_be_one(a, s->undo_query);
}

static bool check_text(const char *sql)
{
    AUTO(arena) a = {0};
    AUTO(problem_list) problems = {0};
    struct sql_stmt *stmts = NULL;
    int n = 0;

    if (!sql_facts(&a, sql, (struct pos) {"x.sql", 1, 1}, &stmts, &n, &problems)) {
        if (problems.n == 0)
            abort();
        return false;
    }
    for (int i = 0; i < n; i++)
        check_statement(&a, &stmts[i]);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) a = {0};
    char *sql, *end;

    if (size > 65536)
        return 0;
    sql = arena_strndup(&a, (const char *) data, size);
    if (check_text(sql))
        return 0;
    /* One bad byte makes the whole text bad: the lines are texts too. */
    for (; (end = strchr(sql, '\n')); sql = end + 1) {
        *end = '\0';
        check_text(sql);
    }
    return 0;
}
