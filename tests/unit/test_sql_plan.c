/* What the phases of a plan allow, by the text of its SQL; the author's own texts; sync's columns. */
#include "phasegate/load.h"
#include "phasegate/timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char head[] = "phasegate: 1\n"
                           "plan: p\n"
                           "timestamp: 20261114093000\n"
                           "database: default\n"
                           "title: t\n"
                           "author: a\n";

struct loaded {
    struct plan_set set;
    struct plan plan;
    struct problem_list problems;
    struct err err;
    bool is_good;
};

static void loaded_auto(struct loaded *l)
{
    arena_free(&l->set.arena);
    problem_list_free(&l->problems);
    err_clear(&l->err);
}

static void load(struct loaded *l, const char *body)
{
    AUTO(str) text = {0};
    AUTO(problem_list) syntax = {0};

    str_add(&text, head);
    str_add(&text, body);
    if (!plan_parse(&l->set.arena, "x.yaml", str_text(&text), text.len, &l->plan, &syntax)) {
        AUTO(str) what = {0};

        problem_text(&what, &syntax.items[0]);
        fail_msg("%s\n%s", str_text(&what), body);
    }
    l->is_good = plan_sql_facts(&l->set, &l->plan, &l->problems, &l->err);
    assert_int_equal(l->is_good, l->problems.n == 0);
    assert_int_equal(l->is_good, l->err.kind == ERR_NONE);
}

/* A plan whose one phase has these steps; the others are absent. */
static const char *with_steps(struct arena *a, const char *phase, const char *where,
                              const char *steps)
{
    static const char *const phases[] = {"expand", "dual_read", "write_activation", "contract"};
    AUTO(str) s = {0};

    str_add(&s, "phases:\n");
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(phases[i], phase) != 0)
            str_addf(&s, "  %s: {none: not here}\n", phases[i]);
        else
            str_addf(&s, "  %s:\n    release: 4.2.0\n    %s:\n%s", phase, where, steps);
    }
    return arena_strdup(a, str_text(&s));
}

static const struct {
    const char *phase, *where, *steps;
    const char *rule;    /* NULL with a message: no rule */
    const char *message; /* NULL: good; else part of it */
    int line, col;       /* of the problem; absent phases before it add a line each */
} plans[] = {
    {"expand", "steps", "      - {id: a, sql: ALTER TABLE t ADD c int}\n"},
    /* for the proof to say */
    {"expand", "steps", "      - {id: a, sql: ALTER TABLE t ALTER c SET NOT NULL}\n"},
    {"expand", "steps", "      - {id: a, sql: ALTER TABLE t DROP c}\n",
     "destructive-outside-contract", "DROP COLUMN", 11, 22},
    {"expand", "steps", "      - {id: a, sql: UPDATE t SET c = 1}\n", "expand-not-additive",
     "UPDATE is data", 11, 22},
    {"expand", "steps", "      - {id: a, sql: SELECT f()}\n"},
    {"expand", "steps", "      - {id: a, sql: \"ALTER TYPE e ADD VALUE 'x'\"}\n"},
    /* what an earlier step of the phase made */
    {"expand", "steps",
     "      - {id: a, sql: ALTER TABLE t ADD c int}\n      - {id: b, sql: CREATE UNIQUE INDEX "
     "CONCURRENTLY i ON t (c)}\n"},
    {"expand", "steps",
     "      - {id: a, sql: CREATE TABLE u (x int)}\n      - {id: b, sql: INSERT INTO u VALUES "
     "(1)}\n      - {id: c, sql: ALTER TABLE u ALTER x SET NOT NULL}\n"},
    /* later phases */
    {"dual_read", "steps", "      - {id: a, sql: ALTER TABLE t ALTER c SET NOT NULL}\n"},
    {"write_activation", "finish", "      - {id: a, sql: ALTER TABLE t ALTER c SET NOT NULL}\n"},
    {"write_activation", "finish", "      - {id: a, sql: DROP TABLE t}\n",
     "destructive-outside-contract", "DROP TABLE", 11, 22},
    {"dual_read", "steps", "      - {id: a, sql: UPDATE t SET c = 1}\n"},
    {"contract", "steps",
     "      - {id: a, sql: DROP TABLE t}\n      - {id: b, sql: DELETE FROM u}\n"},
    /* one statement each */
    {"expand", "steps",
     "      - {id: a, sql: \"CREATE TABLE u (a int); CREATE INDEX CONCURRENTLY i ON u (a)\"}\n",
     "concurrently-in-transaction", "CREATE INDEX CONCURRENTLY must be the only statement", 11, 0},
    {"contract", "steps",
     "      - {id: a, sql: \"ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID; ALTER TABLE t "
     "VALIDATE CONSTRAINT k\"}\n",
     "not-valid-and-validate-same-transaction", "VALIDATE CONSTRAINT must be", 11, 0},
    {"contract", "steps", "      - {id: a, sql: \"ALTER TYPE e ADD VALUE 'x'; SELECT 1\"}\n",
     "enum-value-used-in-same-transaction", "ADD VALUE must be", 11, 0},
    {"contract", "steps", "      - {id: a, transaction: none, sql: \"SELECT 1; SELECT 2\"}\n", NULL,
     "several statements", 11, 0},
    {"contract", "steps", "      - {id: a, transaction: none, sql: SELECT 1}\n"},
    /* what a step can't be */
    {"contract", "steps", "      - {id: a, sql: COMMIT}\n", NULL, "opens and ends the transaction",
     11, 22},
    {"contract", "steps", "      - {id: a, sql: COPY t FROM STDIN}\n", NULL, "COPY FROM STDIN", 11,
     22},
    {"contract", "steps", "      - {id: a, sql: \"-- nothing\"}\n", NULL, "no statement", 11, 0},
    {"expand", "steps", "      - {id: a, sql: CREATE INDEX CONCURRENTLY ON t (a)}\n", NULL,
     "needs a name", 11, 22},
    {"expand", "steps",
     "      - {id: a, sql: CREATE INDEX CONCURRENTLY ON t (a), applied_when: SELECT true, undo: "
     "{none: x}}\n"},
    {"expand", "steps", "      - {id: a, sql: ALTER TABEL t}\n", NULL, "syntax error", 11, 28},
    {"expand", "steps",
     "      - id: a\n        sql: |\n          -- two\n          CREATE TABLE u (a int);\n\n       "
     "     ALTER TABEL t\n",
     NULL, "syntax error", 16, 19},
    {"expand", "steps",
     "      - id: a\n        sql: |\n          CREATE TABLE u (a int);\n          DROP TABLE t\n",
     "destructive-outside-contract", "DROP TABLE", 14, 11},
    /* the author's texts */
    {"contract", "steps", "      - {id: a, sql: SELECT 1, undo: SELECT 1 FRM}\n"},
    {"contract", "steps", "      - {id: a, sql: SELECT 1, undo: SELEKT 1}\n", NULL, "syntax error",
     11, 38},
    {"contract", "steps", "      - {id: a, sql: SELECT 1, undo: ROLLBACK}\n", NULL, "of an undo",
     11, 38},
    {"contract", "steps", "      - {id: a, sql: SELECT 1, applied_when: SELECT true}\n"},
    {"contract", "steps", "      - {id: a, sql: SELECT 1, applied_when: UPDATE t SET a = 1}\n",
     NULL, "isn't one query", 11, 46},
    {"contract", "steps", "      - {id: a, sql: SELECT 1, applied_when: SELECT 1 INTO x}\n", NULL,
     "isn't one query", 11, 46},
    {"contract", "steps", "      - {id: a, sql: SELECT 1, applied_when: SELECT 1; SELECT 2}\n",
     NULL, "isn't one query", 11, 56},
    {"contract", "steps", "      - {id: a, sql: SELECT 1, applied_when: tru}\n", NULL,
     "syntax error", 11, 46},
    /* another database's */
    {"expand", "steps", "      - {id: a, sql: CREATE TABEL x, dbms: mysql}\n"},
};

static void test_phases(void **state)
{
    int n_bad = 0;

    (void) state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        AUTO(loaded) l = {0};
        const struct problem *p;
        int wanted_line;

        load(&l, with_steps(&l.set.arena, plans[i].phase, plans[i].where, plans[i].steps));
        p = l.problems.n > 0 ? &l.problems.items[0] : NULL;
        wanted_line = plans[i].line;
        for (int ph = PHASE_EXPAND; ph <= PHASE_LAST && !l.plan.phases[ph].present; ph++)
            wanted_line++;
        if (l.is_good == !plans[i].message && l.problems.n <= 1 &&
            (!p || (strstr(p->message, plans[i].message) && !p->rule == !plans[i].rule &&
                    (!p->rule || strcmp(p->rule, plans[i].rule) == 0) &&
                    p->at.line == wanted_line && (plans[i].col == 0 || p->at.col == plans[i].col))))
            continue;
        print_error("%s%s: want %s, %s, %d:%d\n", plans[i].phase, plans[i].steps,
                    plans[i].rule ? plans[i].rule : "no rule",
                    plans[i].message ? plans[i].message : "good", wanted_line, plans[i].col);
        for (int k = 0; k < l.problems.n; k++)
            print_error("   got %s, %s, %d:%d\n",
                        l.problems.items[k].rule ? l.problems.items[k].rule : "no rule",
                        l.problems.items[k].message, l.problems.items[k].at.line,
                        l.problems.items[k].at.col);
        n_bad++;
    }
    assert_int_equal(n_bad, 0);
}

/* What expand made isn't new any more when later phases run. */
static void test_new_only_within_a_phase(void **state)
{
    AUTO(loaded) l = {0};

    (void) state;
    load(&l, "phases:\n"
             "  expand: {release: 4.2.0, steps: [{id: a, sql: ALTER TABLE t ADD c int}]}\n"
             "  dual_read: {release: 4.3.0, steps: [{id: b, sql: CREATE UNIQUE INDEX CONCURRENTLY "
             "i ON t (c)}]}\n"
             "  write_activation: {none: x}\n"
             "  contract: {none: x}\n");
    assert_true(l.is_good);
    assert_int_equal(l.plan.phases[PHASE_EXPAND].steps.items[0].n_stmts, 1);
    assert_int_equal(l.plan.phases[PHASE_DUAL_READ].steps.items[0].stmts[0].class, SQL_RESTRICTIVE);
}

static const char sync_phases[] =
    "phases:\n"
    "  expand: {release: 4.2.0, steps: [{id: a, sql: ALTER TABLE t ADD n int}]}\n"
    "  dual_read: {none: x}\n"
    "  write_activation: {none: x}\n"
    "  contract: {none: x}\n";

static void load_sync(struct loaded *l, const char *forward)
{
    AUTO(str) s = {0};

    str_addf(&s, "sync:\n  table: t\n  forward: {n: %s}\n  reverse: {o: n}\n  by: trigger\n%s",
             forward, sync_phases);
    load(l, str_text(&s));
}

static void test_sync_columns(void **state)
{
    AUTO(loaded) l = {0};

    (void) state;
    load_sync(&l, "'upper(t.o) || \"Old\" || o || (SELECT max(x) FROM u)'");
    assert_true(l.is_good);
    assert_int_equal(l.plan.sync.forward_columns.n, 3);
    assert_string_equal(l.plan.sync.forward_columns.items[0].s, "o");
    assert_string_equal(l.plan.sync.forward_columns.items[1].s, "Old");
    assert_string_equal(l.plan.sync.forward_columns.items[2].s, "x");
    assert_int_equal(l.plan.sync.forward_columns.items[0].at.line, 9);
    assert_int_equal(l.plan.sync.reverse_columns.n, 1);
    assert_string_equal(l.plan.sync.reverse_columns.items[0].s, "n");
}

static void test_sync_refuses(void **state)
{
    static const char *const bad[] = {"'a, b'",      "a FROM u", "a AS b", "'*'",
                                      "a; SELECT 1", "'a +'",    "''"};

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AUTO(loaded) l = {0};
        AUTO(str) s = {0};
        AUTO(problem_list) syntax = {0};

        str_addf(&s,
                 "%ssync:\n  table: t\n  forward: {n: %s}\n  reverse: {o: n}\n  by: trigger\n%s",
                 head, bad[i], sync_phases);
        /* The loader may have said no already. */
        if (!plan_parse(&l.set.arena, "x.yaml", str_text(&s), s.len, &l.plan, &syntax))
            continue;
        if (plan_sql_facts(&l.set, &l.plan, &l.problems, &l.err))
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(l.problems.n, 1);
        assert_int_equal(l.problems.items[0].at.line, 9);
    }
}

static void test_sync_error_place(void **state)
{
    AUTO(loaded) l = {0};

    (void) state;
    load_sync(&l, "a b c");
    assert_false(l.is_good);
    assert_int_equal(l.problems.items[0].at.line, 9);
    assert_int_equal(l.problems.items[0].at.col, 20);
}

/* Called again, it says the same and not everything twice. */
static void test_again(void **state)
{
    AUTO(loaded) l = {0};
    AUTO(err) err = {0};

    (void) state;
    load(&l, with_steps(&l.set.arena, "expand", "steps", "      - {id: a, sql: DROP TABLE t}\n"));
    assert_false(plan_sql_facts(&l.set, &l.plan, &l.problems, &err));
    assert_int_equal(l.problems.n, 1);
    assert_int_equal(err.kind, ERR_INPUT);
}

/* Plans meet at whatever both of them name. */
static void test_plans_that_meet(void **state)
{
    static const struct {
        const char *phase, *where, *steps;
        bool meets; /* a plan that changes u */
    } others[] = {
        {"expand", "steps", "      - {id: a, sql: ALTER TABLE t ADD c int}\n", false},
        {"expand", "steps", "      - {id: a, sql: ALTER TABLE s.u ADD c int}\n", true},
        {"expand", "steps", "      - {id: a, sql: CREATE VIEW v AS SELECT x FROM t}\n", false},
        {"expand", "steps",
         "      - {id: a, sql: CREATE VIEW v AS SELECT x FROM t JOIN u USING (x)}\n", true},
        {"dual_read", "steps",
         "      - {id: a, sql: ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (x) REFERENCES u NOT "
         "VALID}\n",
         true},
        {"contract", "steps", "      - {id: a, sql: \"DROP TABLE t, u\"}\n", true},
        {"dual_read", "backfill", "      - {id: a, table: t, set: {c: x}, where: c IS NULL}\n",
         false},
        {"dual_read", "backfill",
         "      - {id: a, table: t, set: {c: u.x}, from: u, match: u.id = t.id, where: t.c IS "
         "NULL}\n",
         true},
        {"dual_read", "backfill",
         "      - {id: a, table: t, set: {c: (SELECT x FROM u LIMIT 1)}, where: c IS NULL}\n",
         true},
    };
    AUTO(loaded) u = {0};
    AUTO(err) err = {0};

    (void) state;
    load(&u, with_steps(&u.set.arena, "expand", "steps",
                        "      - {id: a, sql: ALTER TABLE u ADD d int}\n"));
    assert_true(plan_sql_facts(&u.set, &u.plan, &u.problems, &err));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        AUTO(loaded) l = {0};

        load(&l, with_steps(&l.set.arena, others[i].phase, others[i].where, others[i].steps));
        assert_true(plan_sql_facts(&l.set, &l.plan, &l.problems, &err));
        if (plans_interfere(&u.plan, &l.plan) != others[i].meets)
            fail_msg("%s", others[i].steps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases),           cmocka_unit_test(test_new_only_within_a_phase),
        cmocka_unit_test(test_sync_columns),     cmocka_unit_test(test_sync_refuses),
        cmocka_unit_test(test_sync_error_place), cmocka_unit_test(test_again),
        cmocka_unit_test(test_plans_that_meet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
