/* The keys of a gate. */
#include "load/tables.h"
#include "phasegate/names.h"

#include <string.h>

#define ROWS static const struct field
#define TEXTKEY(k, member)                                                                         \
    {                                                                                              \
        KEY(k), AT(FT_TEXT, gate, member)                                                          \
    }
#define EXPECT                                                                                     \
    {                                                                                              \
        KEY("expect"), AT(FT_COND, gate, expect)                                                   \
    }

static bool is_pointer(const char *s) { return *s == '/'; }
static const struct text_rule rule_pointer = {is_pointer, "a JSON pointer, such as /status"};

ROWS http_rows[] = {
    {KEY("url"), AT(FT_TEXT, gate, url), .required = true},
    {KEY("status"), AT(FT_INT, gate, status), NUM(MODEL_UNSET, 100, 599)},
    {KEY("json"), AT(FT_TEXT, gate, json_pointer), .arg = &rule_pointer},
    {KEY("headers"), AT(FT_PAIRS, gate, headers)},
    EXPECT,
};
static const struct table http_table = {TABLE("http", http_rows, gate)};

ROWS prometheus_rows[] = {
    {KEY("url"), AT(FT_TEXT, gate, url), .required = true},
    {KEY("query"), AT(FT_TEXT, gate, query), .required = true},
    {KEY("headers"), AT(FT_PAIRS, gate, headers)},
    EXPECT,
};
static const struct table prometheus_table = {TABLE("prometheus", prometheus_rows, gate)};

ROWS sql_rows[] = {
    {KEY("query"), AT(FT_TEXT, gate, sql), .required = true},
    EXPECT,
};
static const struct table sql_table = {TABLE("sql", sql_rows, gate)};

ROWS sessions_rows[] = {
    {KEY("release"), AT(FT_TEXT, gate, release), .arg = &rule_version, .required = true}};
static const struct table sessions_table = {TABLE("sessions", sessions_rows, gate)};

ROWS approval_rows[] = {
    {KEY("role"), AT(FT_TEXT, gate, role), .arg = &rule_name, .required = true},
    {KEY("count"), AT(FT_INT, gate, approvals), NUM(1, 1, 100)},
};
static const struct table approval_table = {TABLE("approval", approval_rows, gate)};

ROWS lag_rows[] = {
    {KEY("time"), AT(FT_MS, gate, lag_ms), NUM(MODEL_UNSET, 0, 0)},
    {KEY("bytes"), AT(FT_BYTES, gate, lag_bytes), NUM(MODEL_UNSET, 0, 0)},
};
static const struct table lag_table = {TABLE("lag", lag_rows, gate)};

ROWS rehearsal_rows[] = {{KEY("max_age"), AT(FT_MS, gate, max_age_ms), NUM(MODEL_UNSET, 0, 0)}};
static const struct table rehearsal_table = {TABLE("rehearsal", rehearsal_rows, gate)};

ROWS backup_rows[] = {
    {KEY("max_age"), AT(FT_MS, gate, max_age_ms), NUM(MODEL_UNSET, 0, 0)},
    {KEY("check"), AT(FT_BOOL, gate, tries_archive)},
};
static const struct table backup_table = {TABLE("backup", backup_rows, gate)};

/* A kind with one main setting may be written as that: sql: "SELECT ...", lag: 5s, sessions: 4.1.0. */
static void decode_short_or_map(struct decoder *d, const struct node *n, void *base,
                                const struct field *f)
{
    const struct table *t = f->arg;

    if (n->kind == NODE_SCALAR) {
        struct field main_row = t->rows[0];
        main_row.key = f->key;
        decode_scalar(d, n, &main_row, base);
        return;
    }
    decode_part(d, n, t, base);
    if (t == &lag_table && n->kind == NODE_MAP && n->n == 0)
        decode_say(d, n, "one of: time, bytes, or both", NULL, "\"lag\" sets no limit");
}

static const char *gate_name(const struct gate *g) { return g->name.s ? g->name.s : "?"; }

static const char *const kind_words[] = {"http",     "sql", "prometheus", "command", "sessions",
                                         "approval", "lag", "rehearsal",  "backup",  NULL};

/* Those whose answer can be empty without anything being wrong. A smoke test (http) that isn't answered as it
 * should be holds; more than that is stated. */
static bool must_state_no_data(enum gate_kind k)
{
    return k == GATE_SQL || k == GATE_PROMETHEUS || k == GATE_COMMAND || k == GATE_LAG;
}

static void check_expect(struct decoder *d, const struct node *n, const struct node *of_kind,
                         const struct gate *g)
{
    static const char expected[] = "expect: a comparator (= != < <= > >=) and a value";
    const struct node *outer = node_get(n, "expect");
    const struct node *inner = node_get(of_kind, "expect");
    bool stated = outer || inner;

    if (outer && inner)
        decode_say(d, outer, NULL, NULL, "\"expect\" is stated twice; the first is in line %d",
                   inner->line);
    if (!stated && (g->kind == GATE_SQL || g->kind == GATE_PROMETHEUS))
        decode_say(d, n, expected, NULL, "gate \"%s\" measures a value and expects nothing of it",
                   gate_name(g));
    if (!stated && g->kind == GATE_HTTP && g->json_pointer.s)
        decode_say(d, of_kind, expected, NULL,
                   "gate \"%s\" reads \"json\" and expects nothing of it", gate_name(g));
    if (stated && g->kind == GATE_HTTP && !g->json_pointer.s)
        decode_say(d, of_kind, "json: a JSON pointer to the value", NULL,
                   "gate \"%s\" expects a value and doesn't say which", gate_name(g));
    if (outer && (g->kind == GATE_SESSIONS || g->kind == GATE_APPROVAL || g->kind == GATE_LAG ||
                  g->kind == GATE_REHEARSAL || g->kind == GATE_BACKUP))
        decode_say(d, outer, NULL, NULL, "\"expect\" can't stand beside \"%s\"",
                   gate_kind_word(g->kind));
    if (g->expect.op == COND_UNCHANGED)
        decode_say(d, outer ? outer : inner, "a comparator and a value", NULL,
                   "a gate has no value before it to be unchanged from");
}

static void check_gate(struct decoder *d, const struct node *n, void *base)
{
    struct gate *g = base;
    const char *kind = decode_one_of(d, n, "a gate", kind_words);

    if (!kind)
        return;
    for (int i = 0; kind_words[i]; i++)
        if (strcmp(kind, kind_words[i]) == 0)
            g->kind = (enum gate_kind) i;
    check_expect(d, n, node_get(n, kind), g);
    if (must_state_no_data(g->kind) && !node_get(n, "no_data"))
        decode_say(d, n, "no_data: hold, fail or pass",
                   "an empty answer is not a zero; hold is the careful choice",
                   "gate \"%s\" doesn't say what no data means", gate_name(g));
}

static const char *const no_data_words[] = {"hold", "fail", "pass", NULL};
static const char *const on_failure_words[] = {"rollback", "hold", NULL};

ROWS gate_rows[] = {
    {AT(FT_ENUM, gate, kind)},
    {AT(FT_TEXT, gate, name)},
    {KEY("http"), .type = FT_MAP, .stored = FT_MAP, .arg = &http_table},
    {KEY("prometheus"), .type = FT_MAP, .stored = FT_MAP, .arg = &prometheus_table},
    {KEY("sql"), .type = FT_WITH, .stored = FT_MAP, .arg = &sql_table, .with = decode_short_or_map},
    {KEY("command"), AT(FT_TEXTS, gate, command)},
    {KEY("sessions"), .type = FT_WITH, .stored = FT_MAP, .arg = &sessions_table,
     .with = decode_short_or_map},
    {KEY("approval"), .type = FT_MAP, .stored = FT_MAP, .arg = &approval_table},
    {KEY("lag"), .type = FT_WITH, .stored = FT_MAP, .arg = &lag_table, .with = decode_short_or_map},
    {KEY("rehearsal"), .type = FT_MAP, .stored = FT_MAP, .arg = &rehearsal_table},
    EXPECT,
    {KEY("interval"), AT(FT_MS, gate, interval_ms), .dflt = 30000},
    {KEY("count"), AT(FT_INT, gate, count), NUM(1, 0, 1000000)},
    {KEY("failure_limit"), AT(FT_INT, gate, failure_limit), NUM(0, 0, 1000000)},
    {KEY("timeout"), AT(FT_MS, gate, timeout_ms), .dflt = 10000},
    {KEY("no_data"), AT(FT_ENUM, gate, no_data), .arg = no_data_words},
    {KEY("on_failure"), AT(FT_ENUM, gate, on_failure), .arg = on_failure_words},
    {KEY("backup"), .type = FT_MAP, .stored = FT_MAP, .arg = &backup_table},
};
const struct table gate_table = {TABLE_AT("gate", gate_rows, gate), .check = check_gate};
