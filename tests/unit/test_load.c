#include "phasegate/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char plan_text[] =
    "phasegate: 1\n"
    "plan: orders-reference\n"
    "timestamp: 20261114093000\n"
    "title: Give every order a reference\n"
    "author: team-orders\n"
    "flags:\n"
    "  read: {key: orders-read}\n"
    "  write: {key: orders-write, bucket_by: accountId}\n"
    "sync:\n"
    "  table: app.orders\n"
    "  forward: {reference: legacy}\n"
    "  by: {cohort: {column: account_id}}\n"
    "phases:\n"
    "  expand:\n"
    "    release: 4.2.0\n"
    "    steps:\n"
    "      - id: column\n"
    "        sql: |\n"
    "          ALTER TABLE orders\n"
    "            ADD COLUMN reference text\n"
    "        lock_timeout: 1s\n"
    "  dual_read:\n"
    "    release: 4.3.0\n"
    "    rollout: [{percent: 5, pause: 10m}, {percent: 100}]\n"
    "    compare: {sample: 1.5%}\n"
    "    gates: [errors]\n"
    "  write_activation:\n"
    "    release: 4.4.0\n"
    "    backfill: [{id: fill, batch: {rows: 10}, key: id}]\n"
    "    verify: [{id: filled, sql: SELECT 1, expect: \"= 1\"}]\n"
    "  contract: {none: the old column stays}\n"
    "gates:\n"
    "  errors: {sql: SELECT count(*) FROM errors, expect: \"< 0.5\", no_data: fail, on_failure: hold}\n";

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

/* text with the first `from` replaced by `to`. */
static void replaced(struct str *out, const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);

    assert_non_null(at);
    str_clear(out);
    str_addn(out, text, (size_t) (at - text));
    str_add(out, to);
    str_add(out, at + strlen(from));
}

static void assert_problem(const struct problem_list *problems, const char *expected)
{
    for (int i = 0; i < problems->n; i++) {
        AUTO(str) line = {0};
        problem_text(&line, &problems->items[i]);
        if (strstr(str_text(&line), expected))
            return;
    }
    for (int i = 0; i < problems->n; i++) {
        AUTO(str) line = {0};
        problem_text(&line, &problems->items[i]);
        print_message("  %s\n", str_text(&line));
    }
    fail_msg("no problem says: %s", expected);
}

static void assert_pos(struct pos at, int line, int col)
{
    assert_string_equal(at.file, "plans/x.yaml");
    assert_int_equal(at.line, line);
    assert_int_equal(at.col, col);
}

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
    assert_true(reads->compare.present && reads->compare.sample_percent == 1.5 && reads->compare.max_mismatch == 0);
    assert_true(reads->hold_ms == MODEL_UNSET);

    const struct backfill *fill = &p->phases[PHASE_WRITE_ACTIVATION].backfill.items[0];
    assert_int_equal(fill->batch_rows, 10);
    assert_true(fill->batch_min == MODEL_UNSET && fill->workers == MODEL_UNSET && fill->max_bad_rows == 0);
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
    assert_true(g->status == MODEL_UNSET && g->lag_ms == MODEL_UNSET && g->max_age_ms == MODEL_UNSET);
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
    assert_problem(&l.problems, "plans/x.yaml:4:1: unknown key \"titel\" in the plan; expected one of: phasegate, plan, ");
    assert_problem(&l.problems, "; did you mean \"title\"?");
    assert_problem(&l.problems, "plans/x.yaml:1:1: the plan has no \"title\"");
    assert_problem(&l.problems, "plans/x.yaml:24:25: \"percent\" is 500; expected a whole number from 1 to 100");
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
    replaced(&one, plan_text, "author: team-orders", "author: &who team-orders\nrunbook: {owner: *who}");
    replaced(&two, str_text(&one), "rollout: [{percent: 5, pause: 10m}, {percent: 100}]", "rollout: &r [{percent: 100}]");
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
    assert_string_equal(l.plan.phases[PHASE_EXPAND].steps.items[0].checksum, "b572417aa83cf7263942a862e28511fc089b079e15a4c635226b8e33a507abab");
    assert_string_equal(l.plan.phase_checksum[PHASE_DUAL_READ], "f408a392ee81b3f818b4825e47b3756045465f20d3f2dfab0d6545d03fe2c570");
    assert_string_equal(l.plan.checksum, "a92015dbd0c828cecf8867c8da029a0658795a076897a2773df360fe1aea6f6a");
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
        {"plan: orders-reference\ntimestamp: 20261114093000\n", "timestamp: \"20261114093000\"\nplan: orders-reference\n", 0},
        {"{percent: 5, pause: 10m}", "{pause: 600s, percent: 5}", 0},
        {"sql: |\n          ALTER TABLE orders\n            ADD COLUMN reference text\n",
         "sql: \"ALTER TABLE orders\\n  ADD COLUMN reference text\"\n", 0},
        {"        lock_timeout: 1s\n", "        lock_timeout: 1000ms\n        transaction: auto\n", 0},
        {"author: team-orders", "author: team-orders\ndatabase: default", 0},
        {"{id: fill, batch: {rows: 10}, key: id}", "{key: [id], batch: {rows: 10}, id: fill, on_bad_row: quarantine}", 0},
        {"no_data: fail, on_failure: hold}", "on_failure: hold, interval: 30s, no_data: fail}\n  unused: {approval: {role: dba}}", PLAN},
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
            fail_msg("%s -> %s: changed %x, expected %x", rows[i].from, rows[i].to, changed, rows[i].changed);
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
        {"${SECRET}${MISSING}", NULL, "phasegate.yaml:3:9: this environment variable is not set: MISSING"},
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

/* ---- folders --------------------------------------------------------------------------------------- */

struct folder {
    char path[64];
};
static void folder_auto(struct folder *f)
{
    AUTO(str) command = {0};

    str_addf(&command, "rm -rf '%s'", f->path);
    assert_int_equal(system(str_text(&command)), 0);
}

static void folder_make(struct folder *f)
{
    strcpy(f->path, "/tmp/test_load.XXXXXX");
    assert_non_null(mkdtemp(f->path));
}

static void folder_add(const struct folder *f, const char *name, const char *text)
{
    AUTO(str) path = {0};

    str_addf(&path, "%s/%s", f->path, name);
    for (char *slash = path.text + strlen(f->path) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path.text, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path.text, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* plan_text with another id and time. */
static void folder_add_plan(const struct folder *f, const char *name, const char *id, const char *stamp)
{
    AUTO(str) one = {0};
    AUTO(str) two = {0};

    replaced(&one, plan_text, "orders-reference", id);
    replaced(&two, str_text(&one), "20261114093000", stamp);
    folder_add(f, name, str_text(&two));
}

static void folder_is_walked(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\nplans: plans/\n");
    folder_add_plan(&f, "plans/20270101000000-c.yaml", "c", "20270101000000");
    folder_add_plan(&f, "plans/2026/20260101000000-a.yaml", "a", "20260101000000");
    folder_add_plan(&f, "plans/2026/late/20261231235959-b.yaml", "b", "20261231235959");
    folder_add(&f, "plans/README.md", "not a plan");
    folder_add(&f, "plans/data.sql", "SELECT 1");
    folder_add(&f, "plans/.20260101000000-a.yaml.swp", "an editor's");
    assert_true(plan_set_load(f.path, NULL, &set, &problems, &err));
    assert_int_equal(set.n_plans, 3);
    assert_string_equal(set.plans[0].id.s, "a");
    assert_string_equal(set.plans[1].id.s, "b");
    assert_string_equal(set.plans[2].id.s, "c");
    assert_string_equal(set.plans[1].file, "plans/2026/late/20261231235959-b.yaml");
    assert_string_equal(set.project.file, "phasegate.yaml");
    assert_string_equal(set.project.root, f.path);
    assert_ptr_equal(plan_find(&set, "c"), &set.plans[2]);
}

static void names_of_files_matter(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\n");
    folder_add_plan(&f, "plans/20260101000000-a.yml", "a", "20260101000000");
    folder_add_plan(&f, "plans/orders.yaml", "b", "20260101000001");
    folder_add_plan(&f, "plans/20260101000002-C.yaml", "c", "20260101000002");
    folder_add_plan(&f, "plans/20260101000003-d.yaml", "d", "20260101000004");
    folder_add_plan(&f, "plans/20260101000005-e.yaml.bak", "e", "20260101000005");
    folder_add_plan(&f, "plans/20260101000006-f.YAML", "f", "20260101000006");
    assert_false(plan_set_load(f.path, NULL, &set, &problems, &err));
    assert_true(err_is(&err, ERR_INPUT));
    assert_int_equal(problems.n, 6);
    assert_problem(&problems, "plans/20260101000000-a.yml: plans end in .yaml, not .yml; expected YYYYMMDDHHmmss-name.yaml");
    assert_problem(&problems, "plans/orders.yaml: not a name of a plan's file; expected YYYYMMDDHHmmss-name.yaml");
    assert_problem(&problems, "plans/20260101000002-C.yaml: not a name of a plan's file");
    assert_problem(&problems, "plans/20260101000003-d.yaml:3:12: timestamp 20260101000004; expected 20260101000003, as the name of the file says");
    assert_problem(&problems, "plans/20260101000005-e.yaml.bak: not a name of a plan's file");
    assert_problem(&problems, "plans/20260101000006-f.YAML: not a name of a plan's file");
}

static void unreadable_files_are_problems(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};
    AUTO(str) path = {0};

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\n");
    folder_add_plan(&f, "plans/20260101000000-a.yaml", "a", "20260101000000");
    str_addf(&path, "%s/plans/20260101000001-b.yaml", f.path);
    assert_int_equal(symlink("/nowhere/at/all", str_text(&path)), 0);
    str_clear(&path);
    str_addf(&path, "%s/plans/20260101000002-c.yaml", f.path);
    assert_int_equal(mkfifo(str_text(&path), 0600), 0);
    str_clear(&path);
    str_addf(&path, "%s/plans/again", f.path);
    assert_int_equal(symlink(".", str_text(&path)), 0);
    assert_false(plan_set_load(f.path, NULL, &set, &problems, &err));
    assert_problem(&problems, "plans/20260101000001-b.yaml: can't be read: No such file or directory");
    assert_problem(&problems, "plans/20260101000002-c.yaml: not a regular file");
    assert_problem(&problems, "plans/again: a link that leads back to a folder above it");
    assert_int_equal(problems.n, 3);
    assert_non_null(plan_find(&set, "a")); /* what could be understood is there all the same */
}

static void missing_things_are_said(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};

    (void) state;
    folder_make(&f);
    assert_false(plan_set_load(f.path, NULL, &set, &problems, &err));
    assert_true(err_is(&err, ERR_INPUT));
    assert_non_null(strstr(str_text(&err.message), "/phasegate.yaml: can't be read: No such file or directory"));
    assert_non_null(strstr(str_text(&err.hint), "phasegate init"));
    plan_set_free(&set);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\nplans: changes\n");
    assert_false(plan_set_load(f.path, NULL, &set, &problems, &err));
    assert_non_null(strstr(str_text(&err.message), "changes: the folder can't be read"));
}

static bool is_b(void *ctx, const struct plan *p)
{
    (*(int *) ctx)++;
    return p->id.s && strcmp(p->id.s, "b") == 0;
}

static void heads_are_light_and_can_be_filled(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) all = {0};
    AUTO(plan_set) some = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};
    int asked = 0;

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\n");
    folder_add_plan(&f, "plans/20260101000000-a.yaml", "a", "20260101000000");
    folder_add_plan(&f, "plans/20260101000001-b.yaml", "b", "20260101000001");
    assert_true(plan_set_load(f.path, NULL, &all, &problems, &err));
    assert_true(plan_set_load_some(f.path, NULL, is_b, &asked, &some, &problems, &err));
    assert_int_equal(asked, 2);
    assert_true(some.arena.used < all.arena.used);
    assert_true(some.plans[0].is_head && !some.plans[1].is_head && !all.plans[0].is_head);
    for (int i = 0; i < 2; i++) {
        const struct plan *head = &some.plans[i], *whole = &all.plans[i];
        assert_string_equal(head->checksum, whole->checksum);
        assert_string_equal(head->phase_checksum[PHASE_DUAL_READ], whole->phase_checksum[PHASE_DUAL_READ]);
        assert_string_equal(head->flags[FLAG_READ].key.s, "orders-read");
        assert_string_equal(head->phases[PHASE_EXPAND].release.s, "4.2.0");
        assert_true(head->phases[PHASE_EXPAND].present);
        assert_string_equal(head->phases[PHASE_CONTRACT].none.s, "the old column stays");
    }
    assert_int_equal(some.plans[0].phases[PHASE_EXPAND].steps.n, 0);
    assert_int_equal(some.plans[1].phases[PHASE_EXPAND].steps.n, 1);
    assert_true(plan_set_fill(&some, &some.plans[0], &err));
    assert_false(some.plans[0].is_head);
    assert_int_equal(some.plans[0].phases[PHASE_EXPAND].steps.n, 1);
    assert_string_equal(some.plans[0].checksum, all.plans[0].checksum);
    assert_true(plan_set_fill(&some, &some.plans[0], &err));
}

static bool is_none(void *ctx, const struct plan *p)
{
    (void) ctx;
    (void) p;
    return false;
}

static void changed_file_doesnt_fill(void **state)
{
    AUTO(folder) f = {0};
    AUTO(plan_set) set = {0};
    AUTO(problem_list) problems = {0};
    AUTO(err) err = {0};

    (void) state;
    folder_make(&f);
    folder_add(&f, "phasegate.yaml", "phasegate: 1\n");
    folder_add_plan(&f, "plans/20260101000000-a.yaml", "a", "20260101000000");
    assert_true(plan_set_load_some(f.path, NULL, is_none, NULL, &set, &problems, &err));
    folder_add_plan(&f, "plans/20260101000000-a.yaml", "other", "20260101000000");
    assert_false(plan_set_fill(&set, &set.plans[0], &err));
    assert_true(err_is(&err, ERR_INPUT));
    assert_true(set.plans[0].is_head);
}

/* ---- project --------------------------------------------------------------------------------------- */

static void project_is_loaded(void **state)
{
    static const char text[] =
        "phasegate: 1\n"
        "releases:\n"
        "  - {version: \"4.1\", statements: a.sql, driver: pgx}\n"
        "  - {version: 2026-11, statements: [a.sql, b.sql], driver: {protocol: binary, prepared: true}, planned: true}\n"
        "policy: {approvals: {contract: 2}, approvers: {dba: [alice, bob], owner: carol}, kill_drill: 0, rules: {some-rule: off}}\n"
        "environments:\n"
        "  production:\n"
        "    databases: {default: {url: \"${DATABASE_URL}\"}, shards: {urls: [a, b], waves: [1, 25%]}}\n"
        "    flags: {provider: file, path: flags.json}\n"
        "    notify: [{webhook: a}, {webhook: b}]\n"
        "    policy: {forward_only: true}\n";
    AUTO(arena) arena = {0};
    AUTO(problem_list) problems = {0};
    struct project p;

    (void) state;
    assert_true(project_parse(&arena, "phasegate.yaml", text, sizeof text - 1, &p, &problems));
    assert_string_equal(p.plans_dir.s, "plans");
    assert_int_equal(p.n_releases, 2);
    assert_string_equal(p.releases[0].driver.s, "pgx");
    assert_int_equal(p.releases[1].statements.n, 2);
    assert_true(p.releases[1].driver_prepared && p.releases[1].planned);
    assert_int_equal(p.policy.approvals[PHASE_CONTRACT], 2);
    assert_true(p.policy.approvals[PHASE_EXPAND] == MODEL_UNSET && p.policy.hold_ms == MODEL_UNSET);
    assert_int_equal(p.policy.kill_drill_ms, 0);
    assert_int_equal(p.policy.approvers.n, 3);
    assert_string_equal(p.policy.approvers.items[1].key.s, "dba");
    assert_string_equal(p.policy.approvers.items[1].value.s, "bob");
    assert_string_equal(p.policy.rules.items[0].value.s, "off");
    const struct environment *e = project_environment(&p, "production");
    assert_non_null(e);
    assert_int_equal(e->n_databases, 2);
    assert_string_equal(e->databases[0].url.s, "${DATABASE_URL}"); /* resolved when it's used */
    assert_string_equal(e->databases[1].waves.items[1].s, "25%");
    assert_true(e->flags.present && e->flags.propagation_ms == MODEL_UNSET);
    assert_int_equal(e->notify_webhooks.n, 2);
    assert_int_equal(e->policy.forward_only, 1);
    assert_true(e->policy.window == MODEL_UNSET && e->snapshots_keep_ms == MODEL_UNSET);
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
        cmocka_unit_test(folder_is_walked),
        cmocka_unit_test(names_of_files_matter),
        cmocka_unit_test(unreadable_files_are_problems),
        cmocka_unit_test(missing_things_are_said),
        cmocka_unit_test(heads_are_light_and_can_be_filled),
        cmocka_unit_test(changed_file_doesnt_fill),
        cmocka_unit_test(project_is_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
