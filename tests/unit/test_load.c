#include "load_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- helpers --------------------------------------------------------------------------------------- */

struct loaded {
    struct arena arena;
    struct plan plan;
    struct problem_list problems;
    bool good;
};
static void loaded_auto(struct loaded *l)
{
    arena_free(&l->arena);
    problem_list_free(&l->problems);
}

static void load_bytes(struct loaded *l, const char *bytes, size_t n)
{
    char *copy = malloc(n ? n : 1); /* of its size, and gone before the plan is looked at */

    assert_non_null(copy);
    memcpy(copy, bytes, n);
    l->good = plan_parse(&l->arena, "plans/x.yaml", copy, n, &l->plan, &l->problems);
    free(copy);
    assert_true(l->good == (l->problems.n == 0));
}

static void load_text(struct loaded *l, const char *text) { load_bytes(l, text, strlen(text)); }

/* ---- one plan -------------------------------------------------------------------------------------- */

static void plan_is_loaded_with_positions(void **state)
{
    AUTO(loaded) l = {0};
    const struct plan *p = &l.plan;

    (void) state;
    load_text(&l, plan_text);
    assert_true(l.good);
    assert_string_equal(p->id.s, "orders-reference");
    assert_pos(p->id.at, 2, 7);
    assert_int_equal(p->time, 1794648600);
    assert_string_equal(p->database.s, "default");
    assert_string_equal(p->file, "plans/x.yaml");
    assert_string_equal(p->flags[FLAG_WRITE].bucket_by.s, "accountId");
    assert_int_equal(p->sync.by, SYNC_COHORT);
    assert_string_equal(p->sync.schema.s, "app");
    assert_string_equal(p->sync.table.s, "orders");
    assert_string_equal(p->sync.cohort_column.s, "account_id");
    assert_int_equal(p->sync.reverse.n, 0);
    assert_pos(p->phases[PHASE_NONE].at, 14, 3);
    assert_pos(p->phases[PHASE_EXPAND].at, 15, 5);

    const struct step *step = &p->phases[PHASE_EXPAND].steps.items[0];
    assert_string_equal(step->sql.s, "ALTER TABLE orders\n  ADD COLUMN reference text\n");
    assert_pos(step->sql.at, 19, 11); /* where the text starts, not its | */
    assert_int_equal(step->lock_timeout_ms, 1000);
    assert_true(step->statement_timeout_ms == MODEL_UNSET);

    const struct phase_plan *reads = &p->phases[PHASE_DUAL_READ];
    assert_int_equal(reads->rollout.n, 2);
    assert_int_equal(reads->rollout.items[0].pause_ms, 600000);
    assert_int_equal(reads->rollout.items[1].percent, 100);
    assert_pos(reads->rollout.items[1].at, 24, 41);
    assert_true(reads->compare.present && reads->compare.sample_percent == 1.5 &&
                reads->compare.max_mismatch == 0);
    assert_true(reads->hold_ms == MODEL_UNSET);

    const struct backfill *fill = &p->phases[PHASE_WRITE_ACTIVATION].backfill.items[0];
    assert_int_equal(fill->batch_rows, 10);
    assert_true(fill->batch_min == MODEL_UNSET && fill->workers == MODEL_UNSET &&
                fill->max_bad_rows == 0);
    assert_int_equal(fill->key.n, 1);
    assert_false(p->phases[PHASE_CONTRACT].present);
    assert_string_equal(p->phases[PHASE_CONTRACT].none.s, "the old column stays");
}

static void gate_has_defaults(void **state)
{
    AUTO(loaded) l = {0};

    (void) state;
    load_text(&l, plan_text);
    const struct gate *g = plan_gate(&l.plan, "errors");
    assert_non_null(g);
    assert_int_equal(g->kind, GATE_SQL);
    assert_int_equal(g->interval_ms, 30000);
    assert_int_equal(g->count, 1);
    assert_int_equal(g->failure_limit, 0);
    assert_int_equal(g->timeout_ms, 10000);
    assert_true(g->status == MODEL_UNSET && g->lag_ms == MODEL_UNSET &&
                g->max_age_ms == MODEL_UNSET);
    assert_int_equal(g->no_data, NO_DATA_FAIL);
    assert_int_equal(g->on_failure, ON_FAILURE_HOLD);
    assert_true(g->expect.op == COND_LT && g->expect.number == 0.5);
}

static void all_problems_are_gathered(void **state)
{
    AUTO(loaded) l = {0};
    AUTO(str) one = {0};
    AUTO(str) two = {0};

    (void) state;
    replaced(&one, plan_text, "title: Give every order a reference", "titel: x");
    replaced(&two, str_text(&one), "percent: 5", "percent: 500");
    replaced(&one, str_text(&two), "gates: [errors]", "gates: [errrors]");
    load_text(&l, str_text(&one));
    assert_problem(
        &l.problems,
        "plans/x.yaml:4:1: unknown key \"titel\" in the plan; expected one of: phasegate, plan, ");
    assert_problem(&l.problems, "; did you mean \"title\"?");
    assert_problem(&l.problems, "plans/x.yaml:1:1: the plan has no \"title\"");
    assert_problem(&l.problems,
                   "plans/x.yaml:24:25: \"percent\" is 500; expected a whole number from 1 to 100");
    assert_problem(&l.problems, "plans/x.yaml:26:13: no gate \"errrors\"");
}

static void problems_are_cut(void **state)
{
    AUTO(loaded) l = {0};
    AUTO(str) text = {0};

    (void) state;
    for (int i = 0; i < 3 * LOAD_MAX_PROBLEMS; i++)
        str_addf(&text, "key%d: 1\n", i);
    load_text(&l, str_text(&text));
    assert_int_equal(l.problems.n, LOAD_MAX_PROBLEMS);
    assert_true(l.problems.cut);
    assert_false(l.good);
}

/* ---- hostile files --------------------------------------------------------------------------------- */

static void too_large_is_refused(void **state)
{
    AUTO(loaded) l = {0};
    AUTO(str) text = {0};

    (void) state;
    str_add(&text, plan_text);
    while (text.len <= (1 << 20))
        str_add(&text, "# filler that says nothing at all, line after line\n");
    load_text(&l, str_text(&text));
    assert_problem(&l.problems, "plans/x.yaml: the file is too large; expected at most 1 MiB");
    AUTO(loaded) fits = {0};
    text.len = 1 << 20;
    text.text[text.len - 1] = '\n';
    load_bytes(&fits, str_text(&text), text.len);
    assert_true(fits.good);
}

/* A long text named again and again: few nodes, many bytes. */
static void large_text_isnt_multiplied(void **state)
{
    AUTO(loaded) l = {0};
    AUTO(str) text = {0};

    (void) state;
    str_add(&text, "title: &t ");
    for (int i = 0; i < 100000; i++)
        str_addc(&text, 'x');
    str_add(&text, "\ndata_checks: [");
    for (int i = 0; i < 5000; i++)
        str_add(&text, "{sql: *t},");
    str_add(&text, "]\n");
    load_text(&l, str_text(&text));
    assert_problem(&l.problems, "aliases expand to more than");
    assert_true(l.arena.used < (4 << 20));
}

static void alias_is_read(void **state)
{
    AUTO(loaded) l = {0};
    AUTO(str) one = {0};
    AUTO(str) two = {0};

    (void) state;
    replaced(&one, plan_text, "author: team-orders",
             "author: &who team-orders\nrunbook: {owner: *who}");
    replaced(&two, str_text(&one), "rollout: [{percent: 5, pause: 10m}, {percent: 100}]",
             "rollout: &r [{percent: 100}]");
    replaced(&one, str_text(&two), "    backfill:", "    rollout: *r\n    backfill:");
    load_text(&l, str_text(&one));
    assert_true(l.good);
    assert_string_equal(l.plan.runbook.owner.s, "team-orders");
    assert_int_equal(l.plan.phases[PHASE_WRITE_ACTIVATION].rollout.items[0].percent, 100);
}

static void every_cut_is_survived(void **state)
{
    (void) state;
    for (size_t n = 0; n < sizeof plan_text - 1; n++) {
        AUTO(loaded) l = {0};
        load_bytes(&l, plan_text, n);
        /* The last line is whole only at the end; from its closing brace on there is nothing to miss. */
        assert_true(!l.good || n >= sizeof plan_text - 2);
    }
}

static void line_ends_and_marks_are_read(void **state)
{
    AUTO(loaded) l = {0};
    AUTO(str) text = {0};

    (void) state;
    str_add(&text, "\xef\xbb\xbf");
    for (const char *c = plan_text; *c; c++) {
        if (*c == '\n')
            str_addc(&text, '\r');
        str_addc(&text, *c);
    }
    load_text(&l, str_text(&text));
    assert_true(l.good);
    assert_pos(l.plan.id.at, 2, 7);
}

/* ---- checksums ------------------------------------------------------------------------------------- */

static void checksum_has_a_known_value(void **state)
{
    char hex[65];

    (void) state;
    sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* Ledgers hold these: a change of them makes every applied plan look edited. */
static void checksums_never_change(void **state)
{
    AUTO(loaded) l = {0};

    (void) state;
    load_text(&l, plan_text);
    assert_string_equal(l.plan.phases[PHASE_EXPAND].steps.items[0].checksum,
                        "b572417aa83cf7263942a862e28511fc089b079e15a4c635226b8e33a507abab");
    assert_string_equal(l.plan.phase_checksum[PHASE_DUAL_READ],
                        "f408a392ee81b3f818b4825e47b3756045465f20d3f2dfab0d6545d03fe2c570");
    assert_string_equal(l.plan.checksum,
                        "a92015dbd0c828cecf8867c8da029a0658795a076897a2773df360fe1aea6f6a");
}

struct sums {
    char step[65], phase[PHASE_SLOTS][65], plan[65];
};

static void sums_of(struct sums *out, const char *text)
{
    AUTO(loaded) l = {0};

    load_text(&l, text);
    if (!l.good)
        assert_problem(&l.problems, "(the changed plan should load)");
    memset(out, 0, sizeof *out);
    strcpy(out->step, l.plan.phases[PHASE_EXPAND].steps.items[0].checksum);
    for (int p = PHASE_FIRST; p <= PHASE_LAST; p++)
        strcpy(out->phase[p], l.plan.phase_checksum[p]);
    strcpy(out->plan, l.plan.checksum);
}

#define E (1 << PHASE_EXPAND)
#define D (1 << PHASE_DUAL_READ)
#define W (1 << PHASE_WRITE_ACTIVATION)
#define C (1 << PHASE_CONTRACT)
#define STEP 1
#define PLAN (1 << 8)

static void checksums_follow_what_is_said(void **state)
{
    static const struct {
        const char *from, *to;
        int changed;
    } rows[] = {
        /* how it's written */
        {"author: team-orders\n", "author: 'team-orders' # the team\n", 0},
        {"phasegate: 1\n", "# a comment\n\nphasegate: 1\n", 0},
        {"plan: orders-reference\ntimestamp: 20261114093000\n",
         "timestamp: \"20261114093000\"\nplan: orders-reference\n", 0},
        {"{percent: 5, pause: 10m}", "{pause: 600s, percent: 5}", 0},
        {"sql: |\n          ALTER TABLE orders\n            ADD COLUMN reference text\n",
         "sql: \"ALTER TABLE orders\\n  ADD COLUMN reference text\"\n", 0},
        {"        lock_timeout: 1s\n", "        lock_timeout: 1000ms\n        transaction: auto\n",
         0},
        {"author: team-orders", "author: team-orders\ndatabase: default", 0},
        {"{id: fill, batch: {rows: 10}, key: id}",
         "{key: [id], batch: {rows: 10}, id: fill, on_bad_row: quarantine}", 0},
        {"no_data: fail, on_failure: hold}",
         "on_failure: hold, interval: 30s, no_data: fail}\n  unused: {approval: {role: dba}}",
         PLAN},
        /* what is said */
        {"title: Give", "title: Take", PLAN},
        {"ADD COLUMN reference text", "ADD COLUMN reference citext", STEP | E | PLAN},
        {"lock_timeout: 1s", "lock_timeout: 2s", E | PLAN},
        {"lock_timeout: 1s", "transaction: none\n        lock_timeout: 1s", STEP | E | PLAN},
        {"lock_timeout: 1s", "undo: SELECT 1\n        lock_timeout: 1s", E | PLAN},
        {"percent: 5,", "percent: 6,", D | PLAN},
        {"expect: \"< 0.5\"", "expect: \"< 0.6\"", D | PLAN}, /* a gate of the phase */
        {"sample: 1.5%", "sample: 2%", D | PLAN},
        {"rows: 10", "rows: 11", W | PLAN},
        {"release: 4.4.0", "release: 4.5.0", W | PLAN},
        {"the old column stays", "the old column goes", C | PLAN},
        {"key: orders-read}", "key: orders-reads}", E | D | W | C | PLAN},
        {"column: account_id", "column: tenant_id", E | D | W | C | PLAN},
        {"author: team-orders", "author: team-orders\ndatabase: other", E | D | W | C | PLAN},
        {"plan: orders-reference", "plan: orders-other", E | D | W | C | PLAN},
    };
    struct sums before, after;
    AUTO(str) text = {0};

    (void) state;
    sums_of(&before, plan_text);
    for (size_t i = 0; i < COUNT(rows); i++) {
        replaced(&text, plan_text, rows[i].from, rows[i].to);
        sums_of(&after, str_text(&text));
        int changed = strcmp(before.step, after.step) != 0 ? STEP : 0;
        for (int p = PHASE_FIRST; p <= PHASE_LAST; p++)
            changed |= strcmp(before.phase[p], after.phase[p]) != 0 ? 1 << p : 0;
        changed |= strcmp(before.plan, after.plan) != 0 ? PLAN : 0;
        if (changed != rows[i].changed)
            fail_msg("%s -> %s: changed %x, expected %x", rows[i].from, rows[i].to, changed,
                     rows[i].changed);
    }
}

/* ---- ${VAR} ---------------------------------------------------------------------------------------- */

static const char *lookup(void *ctx, const char *name)
{
    (void) ctx;
    if (strcmp(name, "USER_NAME") == 0)
        return "app";
    return strcmp(name, "EMPTY") == 0 ? "" : strcmp(name, "SECRET") == 0 ? "s3cr3t" : NULL;
}

static void variables_are_resolved(void **state)
{
    static const struct {
        const char *in, *out, *error;
    } rows[] = {
        {"plain", "plain", NULL},
        {"${USER_NAME}", "app", NULL},
        {"postgres://${USER_NAME}:${SECRET}@db/${EMPTY}x", "postgres://app:s3cr3t@db/x", NULL},
        {"$USER_NAME costs 5$", "$USER_NAME costs 5$", NULL},
        {"", "", NULL},
        {"${SECRET}${MISSING}", NULL,
         "phasegate.yaml:3:9: this environment variable is not set: MISSING"},
        {"a ${USER_NAME", NULL, "phasegate.yaml:3:9: a ${ without its }"},
        {"${}", NULL, "phasegate.yaml:3:9: not the name of a variable: "},
        {"${1A}", NULL, "phasegate.yaml:3:9: not the name of a variable: 1A"},
        {"${a b}", NULL, "phasegate.yaml:3:9: not the name of a variable: a b"},
    };

    (void) state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text t = {rows[i].in, {"phasegate.yaml", 3, 9}};
        AUTO(str) out = {0};
        AUTO(err) err = {0};

        str_add(&out, "untouched");
        if (rows[i].out) {
            assert_true(text_resolve(&t, lookup, NULL, &out, &err));
            assert_string_equal(str_text(&out), rows[i].out);
            continue;
        }
        assert_false(text_resolve(&t, lookup, NULL, &out, &err));
        assert_true(err_is(&err, ERR_CONFIG));
        assert_non_null(strstr(str_text(&err.message), rows[i].error));
        assert_null(strstr(str_text(&err.message), "s3cr3t"));
        assert_string_equal(str_text(&out), "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_is_loaded_with_positions),
        cmocka_unit_test(gate_has_defaults),
        cmocka_unit_test(all_problems_are_gathered),
        cmocka_unit_test(problems_are_cut),
        cmocka_unit_test(too_large_is_refused),
        cmocka_unit_test(large_text_isnt_multiplied),
        cmocka_unit_test(alias_is_read),
        cmocka_unit_test(every_cut_is_survived),
        cmocka_unit_test(line_ends_and_marks_are_read),
        cmocka_unit_test(checksum_has_a_known_value),
        cmocka_unit_test(checksums_never_change),
        cmocka_unit_test(checksums_follow_what_is_said),
        cmocka_unit_test(variables_are_resolved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
