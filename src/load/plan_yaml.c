/* The keys of a plan. Gates are in gate_yaml.c. */
#include "load/tables.h"
#include "phasegate/names.h"

#include <string.h>

#define ROWS static const struct field
#define TEXTKEY(k, st, member)                                                                     \
    {                                                                                              \
        KEY(k), AT(FT_TEXT, st, member)                                                            \
    }
#define ID(st)                                                                                     \
    {                                                                                              \
        KEY("id"), AT(FT_TEXT, st, id), .arg = &rule_word_id, .required = true                     \
    }

const char *const phase_words[] = {"expand", "dual_read", "write_activation", "contract", NULL};

void decode_phasegate(struct decoder *d, const struct node *n, void *base, const struct field *f)
{
    (void) base;
    if (n->kind != NODE_SCALAR || strcmp(n->s, "1") != 0 || !n->plain)
        decode_say(d, n, "1", NULL,
                   "\"%s\": a version of the format that this program doesn't read", f->key);
}

/* ---- steps ---------------------------------------------------------------------------------------- */

static bool is_dbms(const char *s)
{
    static const char *const known[] = {"postgresql", "mysql", "mariadb", NULL};
    struct cond version;

    for (int i = 0; known[i]; i++) {
        size_t n = strlen(known[i]);
        if (strncmp(s, known[i], n) == 0 && (s[n] == '\0' || s[n] == ' '))
            return s[n] == '\0' || (cond_parse(s + n + 1, &version) && version.numeric);
    }
    return false;
}
static const struct text_rule rule_dbms = {
    is_dbms, "postgresql, mysql or mariadb, with a version condition or without: postgresql >= 15"};

static void decode_undo(struct decoder *d, const struct node *n, void *base, const struct field *f)
{
    struct step *step = base;

    if (n->kind != NODE_MAP) {
        decode_text(d, n, f->key, NULL, &step->undo);
        return;
    }
    const struct node *none = node_get(n, "none");
    if (none && n->n == 1)
        decode_text(d, none, "none", NULL, &step->undo_none);
    else
        decode_say(d, n, "SQL, or {none: reason}", NULL,
                   "\"%s\" is a mapping without \"none\", or with more than that", f->key);
}

static void check_step(struct decoder *d, const struct node *n, void *base)
{
    static const char *const kinds[] = {"sql", "command", NULL};
    (void) base;
    const char *kind = decode_one_of(d, n, "a step", kinds);

    if (kind && strcmp(kind, "command") == 0) {
        /* What a program does can't be derived, neither whether it has happened nor how to take it back. */
        decode_needs(d, n, "command", "applied_when");
        decode_needs(d, n, "command", "undo");
    }
}

static const char *const transaction_words[] = {"auto", "none", NULL};
ROWS step_rows[] = {
    ID(step),
    {KEY("sql"), AT(FT_TEXT, step, sql), .runs = true},
    {KEY("command"), AT(FT_TEXTS, step, command), .runs = true},
    {KEY("undo"), WITH_AT(FT_TEXT, step, undo, decode_undo)},
    {AT(FT_TEXT, step, undo_none)},
    TEXTKEY("applied_when", step, applied_when),
    {KEY("transaction"), AT(FT_BOOLWORD, step, no_transaction), .arg = transaction_words,
     .runs = true},
    {KEY("lock_timeout"), AT(FT_MS, step, lock_timeout_ms), NUM(MODEL_UNSET, 0, 0)},
    {KEY("statement_timeout"), AT(FT_MS, step, statement_timeout_ms), NUM(MODEL_UNSET, 0, 0)},
    {KEY("dbms"), AT(FT_TEXT, step, dbms), .arg = &rule_dbms, .runs = true},
};
const struct table step_table = {TABLE_AT("a step", step_rows, step), .check = check_step};

/* ---- backfills ------------------------------------------------------------------------------------ */

static bool is_throttle(const char *s)
{
    static const char *const known[] = {"replica_lag", "slot_retention", "archiver",     "wal_disk",
                                        "disk_free",   "dead_tuples",    "lock_waiters", "sessions",
                                        "sql",         "http",           "file",         "window",
                                        NULL};

    for (int i = 0; known[i]; i++)
        if (strcmp(s, known[i]) == 0)
            return true;
    return false;
}
static const struct text_rule rule_throttle = {
    is_throttle, "one of: replica_lag, slot_retention, archiver, wal_disk, disk_free, dead_tuples, "
                 "lock_waiters, sessions, "
                 "sql, http, file, window"};

ROWS insert_rows[] = {
    {KEY("into"), AT(FT_TEXT, backfill, insert_into), .required = true},
    {KEY("columns"), AT(FT_TEXTS, backfill, insert_columns), .required = true},
    {KEY("select"), AT(FT_TEXT, backfill, insert_select), .required = true},
};
static const struct table insert_table = {TABLE("insert", insert_rows, backfill)};

ROWS batch_rows[] = {
    {KEY("rows"), AT(FT_INT, backfill, batch_rows), NUM(MODEL_UNSET, 1, 1000000)},
    {KEY("min"), AT(FT_INT, backfill, batch_min), NUM(MODEL_UNSET, 1, 1000000)},
    {KEY("max"), AT(FT_INT, backfill, batch_max), NUM(MODEL_UNSET, 1, 1000000)},
    {KEY("target"), AT(FT_MS, backfill, batch_target_ms), NUM(MODEL_UNSET, 0, 0)},
};
static const struct table batch_table = {TABLE("batch", batch_rows, backfill)};

static void check_backfill(struct decoder *d, const struct node *n, void *base)
{
    const struct backfill *b = base;

    decode_excludes(d, n, "set", "insert");
    decode_excludes(d, n, "insert", "via");
    decode_excludes(d, n, "insert", "from");
    decode_excludes(d, n, "via", "from");
    decode_excludes(d, n, "keep", "insert");
    decode_needs(d, n, "via", "set");
    decode_needs(d, n, "read", "via");
    decode_needs(d, n, "from", "match");
    decode_needs(d, n, "match", "from");
    if (node_get(n, "set"))
        decode_needs(d, n, "set", "where"); /* else a batch that runs twice changes twice */
    int64_t low = b->batch_min == MODEL_UNSET ? 1 : b->batch_min;
    int64_t high = b->batch_max == MODEL_UNSET ? INT64_MAX : b->batch_max;
    if (low > high ||
        (b->batch_rows != MODEL_UNSET && (b->batch_rows < low || b->batch_rows > high)))
        decode_say(d, node_get(n, "batch"), "min <= rows <= max", NULL,
                   "\"batch\" contradicts itself");
}

static const char *const bad_row_words[] = {"quarantine", "stop", NULL};
static const char *const keep_words[] = {"nothing", "before", NULL};
ROWS backfill_rows[] = {
    ID(backfill),
    {KEY("table"), AT(FT_TABLEREF, backfill, table), .offset2 = offsetof(struct backfill, schema)},
    {KEY("set"), AT(FT_PAIRS, backfill, set)},
    TEXTKEY("from", backfill, from),
    TEXTKEY("match", backfill, match),
    TEXTKEY("where", backfill, where),
    {KEY("insert"), .type = FT_MAP, .stored = FT_MAP, .arg = &insert_table},
    {KEY("key"), AT(FT_TEXTS1, backfill, key)},
    {KEY("batch"), .type = FT_MAP, .stored = FT_MAP, .arg = &batch_table},
    {KEY("workers"), AT(FT_INT, backfill, workers), NUM(MODEL_UNSET, 1, 64)},
    {KEY("throttle"), AT(FT_RAWPAIRS, backfill, throttle), .arg = &rule_throttle},
    {KEY("on_bad_row"), AT(FT_BOOLWORD, backfill, on_bad_row_stop), .arg = bad_row_words},
    {KEY("max_bad_rows"), AT(FT_INT, backfill, max_bad_rows), NUM(0, 0, INT32_MAX)},
    {KEY("via"), AT(FT_TEXTS, backfill, via)},
    {KEY("read"), AT(FT_TEXTS, backfill, read)},
    {KEY("keep"), AT(FT_BOOLWORD, backfill, keeps_before), .arg = keep_words},
};
static const struct table backfill_table = {TABLE_AT("a backfill", backfill_rows, backfill),
                                            .check = check_backfill};

/* ---- checks --------------------------------------------------------------------------------------- */

#define SQL_REQUIRED(st)                                                                           \
    {                                                                                              \
        KEY("sql"), AT(FT_TEXT, st, sql), .required = true                                         \
    }
#define EXPECT_REQUIRED(st)                                                                        \
    {                                                                                              \
        KEY("expect"), AT(FT_COND, st, expect), .required = true                                   \
    }

ROWS verify_rows[] = {ID(check), SQL_REQUIRED(check), EXPECT_REQUIRED(check),
                      TEXTKEY("because", check, because)};
static const struct table verify_table = {TABLE_AT("a check", verify_rows, check)};

ROWS data_check_rows[] = {
    ID(check),
    SQL_REQUIRED(check),
    EXPECT_REQUIRED(check),
    TEXTKEY("because", check, because),
    TEXTKEY("fix", check, fix),
};
const struct table data_check_table = {TABLE_AT("a data check", data_check_rows, check)};

ROWS expectation_rows[] = {
    {KEY("id"), AT(FT_TEXT, check, id), .arg = &rule_word_id},
    SQL_REQUIRED(check),
    EXPECT_REQUIRED(check),
    TEXTKEY("because", check, because),
};
static const struct table expectation_table = {TABLE_AT("an expectation", expectation_rows, check)};

ROWS test_rows[] = {
    ID(plan_test),
    {KEY("given"), AT(FT_TEXT, plan_test, given), .required = true},
    {KEY("after"), AT(FT_ENUM, plan_test, after), .arg = phase_words, .min = PHASE_FIRST,
     .required = true},
    {KEY("expect"), LIST_AT(FT_ITEMS, plan_test, expect, items), .arg = &expectation_table,
     .required = true},
};
static const struct table test_table = {TABLE_AT("a test", test_rows, plan_test)};

static const char *const require_words[] = {"postgres",  "extension", "table",
                                            "disk_free", "sql",       NULL};

static void check_require(struct decoder *d, const struct node *n, void *base)
{
    struct require *r = base;
    const char *kind = decode_one_of(d, n, "a requirement", require_words);

    for (int i = 0; kind && require_words[i]; i++)
        if (strcmp(kind, require_words[i]) == 0)
            r->kind = (enum require_kind) i;
    decode_needs(d, n, "sql", "expect");
    decode_needs(d, n, "expect", "sql");
    const struct node *postgres = node_get(n, "postgres");
    if (postgres && r->expect.op != COND_NONE && !r->expect.numeric)
        decode_say(d, postgres, "a comparator and a version number: \">= 14\"", NULL,
                   "\"postgres\" is \"%s\"", postgres->s);
}

ROWS require_rows[] = {
    {AT(FT_ENUM, require, kind)},
    {KEY("postgres"), AT(FT_COND, require, expect)},
    TEXTKEY("extension", require, value),
    TEXTKEY("table", require, value),
    {KEY("disk_free"), AT(FT_BYTES, require, bytes)},
    TEXTKEY("sql", require, sql),
    {KEY("expect"), AT(FT_COND, require, expect)},
    TEXTKEY("because", require, because),
};
static const struct table require_table = {TABLE_AT("a requirement", require_rows, require),
                                           .check = check_require};

static void check_validation(struct decoder *d, const struct node *n, void *base)
{
    static const char *const kinds[] = {"sql", "probe", "gate", "manual", NULL};
    (void) base;
    const char *kind = decode_one_of(d, n, "a validation", kinds);

    decode_needs(d, n, "sql", "expect");
    decode_needs(d, n, "probe", "expect");
    decode_needs(d, n, "release", "probe");
    decode_needs(d, n, "for", "gate");
    if (kind && (*kind == 'g' || *kind == 'm'))
        decode_excludes(d, n, kind, "expect");
}

ROWS validation_rows[] = {
    ID(validation),
    TEXTKEY("sql", validation, sql),
    TEXTKEY("probe", validation, probe),
    {KEY("release"), AT(FT_TEXT, validation, release), .arg = &rule_version},
    TEXTKEY("gate", validation, gate),
    TEXTKEY("manual", validation, manual),
    {KEY("expect"), AT(FT_COND, validation, expect)},
    {KEY("for"), AT(FT_MS, validation, for_ms)},
};
const struct table validation_table = {TABLE_AT("a validation", validation_rows, validation),
                                       .check = check_validation};

/* ---- phases --------------------------------------------------------------------------------------- */

static void decode_snapshot_columns(struct decoder *d, const struct node *n, void *base,
                                    const struct field *f)
{
    struct phase_plan *phase = base;
    int total = 0;

    if (!decode_is(d, n, NODE_MAP, f->key, "a mapping of tables to lists of columns"))
        return;
    for (const struct node *key = n->first; key; key = key->next->next)
        total += key->next->kind == NODE_LIST ? (int) key->next->n : 1;
    phase->snapshot_columns.items = arena_array(d->arena, struct text, total);
    for (const struct node *key = n->first; key; key = key->next->next) {
        struct text_list columns = {0};
        if (!decode_texts(d, key->next, key->s, NULL, true, &columns))
            continue;
        for (int i = 0; i < columns.n; i++)
            phase->snapshot_columns.items[phase->snapshot_columns.n++] = (struct text) {
                arena_printf(d->arena, "%s.%s", key->s, columns.items[i].s), columns.items[i].at};
    }
}

ROWS snapshot_rows[] = {
    {KEY("columns"), WITH_AT(FT_TEXTS, phase_plan, snapshot_columns, decode_snapshot_columns)},
    {KEY("tables"), AT(FT_TEXTS, phase_plan, snapshot_tables)},
};
static const struct table snapshot_table = {TABLE("snapshot", snapshot_rows, phase_plan)};

ROWS rung_rows[] = {
    {KEY("percent"), AT(FT_INT32, rung, percent), NUM(0, 1, 100), .required = true},
    {KEY("pause"), AT(FT_MS, rung, pause_ms)},
};
static const struct table rung_table = {TABLE_AT("a rung", rung_rows, rung)};

static void check_compare(struct decoder *d, const struct node *n, void *base)
{
    struct compare *c = base;

    (void) d;
    c->present = true;
    if (!node_get(n, "sample"))
        c->sample_percent = 100;
}
ROWS compare_rows[] = {
    {KEY("sample"), AT(FT_PERCENT, compare, sample_percent)},
    {KEY("max_mismatch"), AT(FT_INT, compare, max_mismatch), NUM(0, 0, INT32_MAX)},
    {AT(FT_BOOL, compare, present)},
};
static const struct table compare_table = {TABLE_AT("compare", compare_rows, compare),
                                           .check = check_compare};

static void check_phase(struct decoder *d, const struct node *n, void *base)
{
    struct phase_plan *phase = base;
    const struct node *none = node_get(n, "none");

    phase->present = none == NULL;
    if (!none && !node_get(n, "release"))
        decode_say(d, n, "release: VERSION, or none: REASON", NULL, "a phase has no \"release\"");
    if (none && n->n > 1)
        decode_say(d, none, "nothing beside it", NULL, "\"none\" says that the phase is absent");
}

#define PHASE_ROWS                                                                                 \
    TEXTKEY("none", phase_plan, none),                                                             \
        {KEY("release"), AT(FT_TEXT, phase_plan, release), .arg = &rule_version},                  \
        {KEY("steps"), LIST_AT(FT_ITEMS, phase_plan, steps, items), .arg = &step_table},           \
        {KEY("finish"), LIST_AT(FT_ITEMS, phase_plan, finish, items), .arg = &step_table},         \
        {KEY("verify"), LIST_AT(FT_ITEMS, phase_plan, verify, items), .arg = &verify_table},       \
    {                                                                                              \
        KEY("gates"), AT(FT_TEXTS, phase_plan, gates), .arg = &rule_name                           \
    }
#define HOLD_ROW                                                                                   \
    .stored = FT_MS, .offset = offsetof(struct phase_plan, hold_ms), NUM(MODEL_UNSET, 0, 0)

ROWS expand_rows[] = {PHASE_ROWS, {HOLD_ROW}};
ROWS flag_phase_rows[] = {
    PHASE_ROWS,
    {KEY("rollout"), LIST_AT(FT_ITEMS, phase_plan, rollout, items), .arg = &rung_table},
    {KEY("backfill"), LIST_AT(FT_ITEMS, phase_plan, backfill, items), .arg = &backfill_table},
    {KEY("compare"), AT(FT_MAP, phase_plan, compare), .arg = &compare_table},
    {HOLD_ROW},
};
ROWS contract_rows[] = {
    PHASE_ROWS,
    {KEY("snapshot"), .type = FT_MAP, .stored = FT_MAP, .arg = &snapshot_table},
    {KEY("hold"), .type = FT_MS, HOLD_ROW},
};
const struct table phase_tables[PHASE_SLOTS] = {
    [PHASE_EXPAND] = {TABLE_AT("expand", expand_rows, phase_plan), .check = check_phase},
    [PHASE_DUAL_READ] = {TABLE_AT("dual_read", flag_phase_rows, phase_plan), .check = check_phase},
    [PHASE_WRITE_ACTIVATION] = {TABLE_AT("write_activation", flag_phase_rows, phase_plan),
                                .check = check_phase},
    [PHASE_CONTRACT] = {TABLE_AT("contract", contract_rows, phase_plan), .check = check_phase},
};

#define PHASE(word, p)                                                                             \
    {                                                                                              \
        KEY(word), AT(FT_MAP, plan, phases[p]), .arg = &phase_tables[p]                            \
    }
ROWS phases_rows[] = {
    PHASE("expand", PHASE_EXPAND),
    PHASE("dual_read", PHASE_DUAL_READ),
    PHASE("write_activation", PHASE_WRITE_ACTIVATION),
    PHASE("contract", PHASE_CONTRACT),
};
static const struct table phases_table = {
    .what = "phases",
    .rows = phases_rows,
    .n = sizeof phases_rows / sizeof *phases_rows,
    .at_offset = offsetof(struct plan, phases[PHASE_NONE].at),
};

/* ---- flags, sync ---------------------------------------------------------------------------------- */

ROWS flag_rows[] = {
    {KEY("key"), AT(FT_TEXT, flag_decl, key), .required = true},
    TEXTKEY("bucket_by", flag_decl, bucket_by),
};
static const struct table flag_table = {TABLE_AT("a flag", flag_rows, flag_decl)};

ROWS flags_rows[] = {
    {KEY("read"), AT(FT_MAP, plan, flags[FLAG_READ]), .arg = &flag_table},
    {KEY("write"), AT(FT_MAP, plan, flags[FLAG_WRITE]), .arg = &flag_table},
};
const struct table flags_table = {TABLE("flags", flags_rows, plan)};

static void decode_sync_by(struct decoder *d, const struct node *n, void *base,
                           const struct field *f)
{
    struct sync *sync = base;
    const struct node *cohort = node_get(n, "cohort");
    const struct node *column = cohort ? node_get(cohort, "column") : NULL;

    if (column && n->n == 1 && cohort->n == 1) {
        sync->by = SYNC_COHORT;
        decode_text(d, column, "column", NULL, &sync->cohort_column);
        return;
    }
    if (n->kind == NODE_SCALAR && strcmp(n->s, "trigger") == 0)
        sync->by = SYNC_TRIGGER;
    else if (n->kind == NODE_SCALAR && strcmp(n->s, "application") == 0)
        sync->by = SYNC_APPLICATION;
    else
        decode_say(d, n, "trigger, application or {cohort: {column: NAME}}", NULL, "\"%s\" is %s",
                   f->key, n->kind == NODE_SCALAR ? n->s : "something else");
}

ROWS sync_rows[] = {
    {KEY("table"), AT(FT_TABLEREF, sync, table), .offset2 = offsetof(struct sync, schema),
     .required = true},
    {KEY("forward"), AT(FT_PAIRS, sync, forward), .required = true},
    {KEY("reverse"), AT(FT_PAIRS, sync, reverse)},
    {KEY("by"), WITH_AT(FT_ENUM, sync, by, decode_sync_by), .required = true},
    {AT(FT_TEXT, sync, cohort_column)},
};
const struct table sync_table = {TABLE_AT("sync", sync_rows, sync)};

/* ---- runbook -------------------------------------------------------------------------------------- */

static void check_criterion(struct decoder *d, const struct node *n, void *base)
{
    static const char *const kinds[] = {"gate", "manual", "sql", NULL};

    (void) base;
    decode_one_of(d, n, "a criterion", kinds);
    decode_needs(d, n, "sql", "expect");
    decode_needs(d, n, "expect", "sql");
}
ROWS criterion_rows[] = {
    {KEY("id"), AT(FT_TEXT, criterion, id), .arg = &rule_word_id},
    TEXTKEY("gate", criterion, gate),
    TEXTKEY("manual", criterion, manual),
    TEXTKEY("sql", criterion, sql),
    {KEY("expect"), AT(FT_COND, criterion, expect)},
};
const struct table criterion_table = {TABLE_AT("a criterion", criterion_rows, criterion),
                                      .check = check_criterion};

ROWS message_rows[] = {
    {KEY("when"), AT(FT_TEXT, message, when), .required = true},
    {KEY("to"), AT(FT_TEXT, message, to), .required = true},
    {KEY("text"), AT(FT_TEXT, message, text), .required = true},
};
static const struct table message_table = {TABLE_AT("a message", message_rows, message)};

static void check_runbook(struct decoder *d, const struct node *n, void *base)
{
    struct runbook *r = base;
    const struct node *targets = node_get(n, "targets");
    int64_t ms;

    r->present = true;
    for (int i = 0; i < r->targets.n; i++) {
        const struct text *value = &r->targets.items[i].value;
        if (value->s && !duration_from_text(value->s, &ms))
            decode_say(d, node_get(targets, r->targets.items[i].key.s),
                       "a duration with its unit: 1m, 15m", NULL, "the target is %s", value->s);
    }
}
ROWS runbook_rows[] = {
    TEXTKEY("owner", runbook, owner),
    {KEY("contacts"), AT(FT_PAIRS, runbook, contacts)},
    {KEY("targets"), AT(FT_PAIRS, runbook, targets)},
    {KEY("go"), ARRAY_AT(FT_ITEMS, runbook, go), .arg = &criterion_table},
    {KEY("no_go"), ARRAY_AT(FT_ITEMS, runbook, no_go), .arg = &criterion_table},
    {KEY("rollback_when"), AT(FT_TEXTS, runbook, rollback_when), .arg = &rule_name},
    {KEY("communication"), ARRAY_AT(FT_ITEMS, runbook, communication), .arg = &message_table},
};
static const struct table runbook_table = {TABLE("runbook", runbook_rows, runbook),
                                           .check = check_runbook};

/* ---- plan ----------------------------------------------------------------------------------------- */

static void decode_timestamp(struct decoder *d, const struct node *n, void *base,
                             const struct field *f)
{
    struct plan *plan = base;
    static const char expected[] = "YYYYMMDDHHmmss, a real time in UTC, such as 20261114093000";
    struct text text = {0};

    if (!decode_raw(d, n, f->key, &text))
        return;
    if (!time_from_stamp(text.s, &plan->time)) {
        decode_say(d, n, expected, NULL, "\"%s\" can't be %.80s", f->key, text.s);
        return;
    }
    plan->timestamp = text;
}

ROWS dep_rows[] = {
    {KEY("plan"), AT(FT_TEXT, plan_dep, plan), .arg = &rule_plan_id, .required = true},
    {KEY("phase"), AT(FT_ENUM, plan_dep, phase), .arg = phase_words, .min = PHASE_FIRST,
     .required = true},
};
static const struct table dep_table = {TABLE_AT("a dependency", dep_rows, plan_dep)};

ROWS plan_rows[] = {
    {KEY("phasegate"), .type = FT_WITH, .stored = FT_WITH, .with = decode_phasegate,
     .required = true},
    {KEY("plan"), AT(FT_TEXT, plan, id), .arg = &rule_plan_id, .required = true},
    {KEY("timestamp"), WITH_AT(FT_TEXT, plan, timestamp, decode_timestamp), .required = true},
    {KEY("database"), AT(FT_TEXT, plan, database), .arg = &rule_name},
    {KEY("title"), AT(FT_TEXT, plan, title), .required = true},
    {KEY("author"), AT(FT_TEXT, plan, author), .required = true},
    {KEY("compensates"), AT(FT_TEXT, plan, compensates), .arg = &rule_plan_id},
    {KEY("depends_on"), ARRAY_AT(FT_ITEMS, plan, depends_on), .arg = &dep_table},
    {KEY("requires"), ARRAY_AT(FT_ITEMS, plan, requires), .arg = &require_table},
    {KEY("flags"), .type = FT_MAP, .stored = FT_MAP, .arg = &flags_table},
    {KEY("data_checks"), LIST_AT(FT_ITEMS, plan, data_checks, items), .arg = &data_check_table},
    {KEY("sync"), AT(FT_MAP, plan, sync), .arg = &sync_table},
    {KEY("tests"), ARRAY_AT(FT_ITEMS, plan, tests), .arg = &test_table},
    {KEY("phases"), .type = FT_MAP, .stored = FT_MAP, .arg = &phases_table, .required = true,
     .signed_apart = true},
    {KEY("gates"), ARRAY_AT(FT_NAMED, plan, gates), .arg = &gate_table},
    {KEY("validation"), ARRAY_AT(FT_ITEMS, plan, validation), .arg = &validation_table},
    {KEY("runbook"), AT(FT_MAP, plan, runbook), .arg = &runbook_table},
};
const struct table plan_table = {TABLE("the plan", plan_rows, plan)};
