/* Setting a flag by the rules, against a service that misbehaves. */
#include "flag_rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define AT_5                                                                                       \
    "{\"unleash\":{\"f\":{\"enabled\":true,\"archived\":false,\"strategies\":[{\"id\":\"s9\","     \
    "\"name\":"                                                                                    \
    "\"flexibleRollout\",\"disabled\":false,\"title\":\"t\",\"parameters\":{\"rollout\":\"5\","    \
    "\"groupId\":\"f\","                                                                           \
    "\"stickiness\":\"accountId\"}}]}}}"
#define OFF_AT_1                                                                                   \
    "{\"unleash\":{\"f\":{\"enabled\":false,\"archived\":false,\"strategies\":[{\"id\":\"s9\","    \
    "\"name\":"                                                                                    \
    "\"flexibleRollout\",\"disabled\":false,\"title\":\"t\",\"parameters\":{\"rollout\":\"1\","    \
    "\"groupId\":\"f\","                                                                           \
    "\"stickiness\":\"accountId\"}}]}}}"
#define FAULT(method, path, fault)                                                                 \
    "[{\"method\":\"" method "\",\"path\":\"" path "\",\"fault\":" fault "}]"
#define ALWAYS(method, path, fault)                                                                \
    "[{\"method\":\"" method "\",\"path\":\"" path "\",\"times\":0,\"fault\":" fault "}]"

static struct flag_ref ref_of(const struct flag_service *s, const char *key)
{
    return (struct flag_ref) {
        .service = s, .key = key, .bucket_by = "accountId", .purpose = "read flag of p"};
}

/* Sets "f" of the rig's service; the journal must be writable. */
static struct flag_set_result set(struct rig *r, int percent, int expect)
{
    const struct flag_ref ref = ref_of(r->ops.service, "f");
    const struct flag_set_request request = {.ref = &ref,
                                             .desired = flag_value_percent(percent),
                                             .plan = "p",
                                             .role = "read",
                                             .reason = "rung",
                                             .expect_percent = expect,
                                             .ensure = true};
    struct flag_set_result result;
    AUTO(err) err = {0};

    if (!flag_ops_set(&r->ops, &request, &r->arena, &result, &err))
        fail_msg("%s", str_text(&err.message));
    return result;
}

static void assert_answer(const struct flag_set_result *result, enum flag_answer answer)
{
    if (result->answer != answer)
        fail_msg("answer %s, not %s: %s", flag_answer_word(result->answer),
                 flag_answer_word(answer), result->detail ? result->detail : "");
}

static int n_unmatched(struct rig *r)
{
    struct flag_entry *list;
    AUTO(err) err = {0};
    int n;

    assert_true(flag_journal_unmatched(&r->ops, &r->arena, &list, &n, &err));
    return n;
}

static void test_ladder(void **state)
{
    (void) state;
    static const int ladder[] = {5, 25, 100, 25, 0};
    AUTO(rig) r;
    int before = 0;

    rig_open(&r);
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
        struct flag_set_result got = set(&r, ladder[i], i ? before : -1);

        assert_answer(&got, FLAG_OK);
        assert_true(got.settled);
        assert_int_equal(got.level, FLAG_DELIVERED);
        assert_true(got.configured_ms > 0 && got.delivered_ms >= got.configured_ms);
        assert_true(got.ms >= 50); /* the bound */
        assert_int_equal(double_percent(&r, "f"), ladder[i]);
        before = ladder[i];
    }
    struct flag_set_result again = set(&r, 0, 0);
    assert_answer(&again, FLAG_NOCHANGE);
    assert_true(again.settled);
    assert_int_equal(n_unmatched(&r), 0);
    char *flag = double_flag(&r, "unleash", "f");
    assert_non_null(strstr(flag, "\"groupId\":\"f\""));
    assert_non_null(strstr(flag, "\"stickiness\":\"accountId\""));
    assert_non_null(strstr(flag, "phasegate "));
    free(flag);
}

static void test_other_services(void **state)
{
    (void) state;
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, "{\"generic\":{\"f\":{\"on\":false,\"share\":0}}}");
    r.ops.service = &r.builtin;
    struct flag_set_result got = set(&r, 25, -1);
    assert_answer(&got, FLAG_OK);
    assert_true(got.settled);
    assert_int_equal(got.level, FLAG_DELIVERED);
    char *flag = double_flag(&r, "builtin", "f");
    assert_non_null(strstr(flag, "\"percent\":25"));
    free(flag);
    r.ops.service = &r.generic;
    got = set(&r, 25, 0);
    assert_answer(&got, FLAG_OK);
    assert_true(got.settled);
    assert_int_equal(got.level, FLAG_CONFIGURED);
    r.ops.service = &r.file;
    got = set(&r, 25, -1);
    assert_answer(&got, FLAG_OK);
    assert_true(got.settled);
    assert_int_equal(got.level, FLAG_CONFIGURED);
}

/* The journal line is on disk before the request is sent: killed in between, the intent is
 * found. */
static int set_and_hang(struct rig *r)
{
    set(r, 25, 5);
    return 0;
}

static void test_journal_before_send(void **state)
{
    (void) state;
    AUTO(rig) r;
    struct flag_entry *list;
    AUTO(err) err = {0};
    int n;

    rig_open(&r);
    double_state(&r, AT_5);
    double_faults(&r, ALWAYS("PATCH", ".*", "{\"kind\":\"hang\",\"ms\":3000}"));
    pid_t child = rig_fork(&r, 0, set_and_hang);
    for (int i = 0; i < 500 && double_count(&r, "PATCH") == 0; i++)
        usleep(10000);
    kill(child, SIGKILL);
    assert_int_equal(rig_join(child), 128 + SIGKILL);
    assert_int_equal(double_count(&r, "PATCH"), 1);

    assert_true(flag_journal_unmatched(&r.ops, &r.arena, &list, &n, &err));
    assert_int_equal(n, 1);
    assert_string_equal(list[0].key, "f");
    assert_string_equal(list[0].verb, "set");
    assert_string_equal(list[0].actor, "bob");
    assert_string_equal(list[0].plan, "p");
    assert_int_equal(list[0].desired, 25);
    assert_true(list[0].expect && list[0].request && !list[0].answered);

    /* It is in doubt: the next raise waits until it can't land any more, then goes on from what it
     * reads. */
    int64_t ends = flag_entry_doubt_ends_ms(&r.ops, &list[0]);
    struct flag_set_result got;
    double_stop(&r);
    double_start(&r, atoi(strrchr(r.url, ':') + 1));
    double_state(&r, AT_5);
    got = set(&r, 25, 5);
    assert_answer(&got, FLAG_OK);
    assert_true(clock_wall_ms(r.ports.clock) >= ends);
    assert_int_equal(n_unmatched(&r), 0);
}

static void test_nothing_is_sent_without_a_journal(void **state)
{
    (void) state;
    AUTO(rig) r;
    AUTO(err) err = {0};
    struct flag_set_result result;

    rig_open(&r);
    double_state(&r, AT_5);
    r.ops.state_dir = "/proc/phasegate";
    const struct flag_ref ref = ref_of(r.ops.service, "f");
    const struct flag_set_request request = {
        .ref = &ref, .desired = flag_value_percent(25), .expect_percent = 5};
    assert_false(flag_ops_set(&r.ops, &request, &r.arena, &result, &err));
    assert_int_equal(result.answer, FLAG_NOT_SENT);
    assert_int_equal(double_count(&r, "PATCH") + double_count(&r, "POST"), 0);
}

/* The client gave up, the service applied it later: one write, found by reading. */
static void test_late_apply_is_found(void **state)
{
    (void) state;
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, AT_5);
    double_faults(&r, FAULT("PATCH", ".*", "{\"kind\":\"late\",\"after_ms\":550}"));
    r.ops.times.total_ms = 500;
    r.ops.times.doubt_ms[0] = 300;
    struct flag_set_result got = set(&r, 25, 5);
    assert_answer(&got, FLAG_OK);
    assert_true(got.settled);
    assert_int_equal(double_count(&r, "PATCH"), 1);
    assert_int_equal(double_percent(&r, "f"), 25);
    assert_int_equal(n_unmatched(&r), 0);
}

/* It lands at the very time of the look that decides whether to send again. */
static void test_late_apply_races_the_look(void **state)
{
    (void) state;
    for (int after_ms = 590; after_ms < 620; after_ms += 6) {
        AUTO(rig) r;
        char rule[128];

        rig_open(&r);
        double_state(&r, AT_5);
        snprintf(rule, sizeof rule,
                 "[{\"method\":\"PATCH\",\"path\":\".*\",\"fault\":{\"kind\":\"late\",\"after_ms\":"
                 "%d}}]",
                 after_ms);
        double_faults(&r, rule);
        r.ops.times.total_ms = 500;
        struct flag_set_result got = set(&r, 25, 5);
        assert_answer(&got, FLAG_OK);
        assert_true(got.settled);
        assert_int_equal(double_percent(&r, "f"), 25);
        assert_int_equal(n_unmatched(&r), 0);
    }
}

/* Applied, but nobody was told: no second write. */
static void test_answers_that_are_lost(void **state)
{
    (void) state;
    static const char *const faults[] = {
        "{\"kind\":\"answer\",\"status\":500,\"apply\":true}",
        "{\"kind\":\"answer\",\"status\":502,\"type\":\"text/html\",\"apply\":true}",
        "{\"kind\":\"reset\",\"apply\":true}",
        "{\"kind\":\"answer\",\"status\":200,\"type\":\"text/"
        "plain\",\"body\":\"ok\",\"apply\":true}",
        "{\"kind\":\"answer\",\"status\":200,\"body\":\"{\\\"cut\",\"apply\":true}",
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        AUTO(rig) r;
        char rule[256];

        rig_open(&r);
        double_state(&r, AT_5);
        snprintf(rule, sizeof rule, "[{\"method\":\"PATCH\",\"path\":\".*\",\"fault\":%s}]",
                 faults[i]);
        double_faults(&r, rule);
        struct flag_set_result got = set(&r, 25, 5);
        assert_answer(&got, FLAG_OK);
        assert_true(got.settled);
        assert_int_equal(double_count(&r, "PATCH"), 1);
    }
}

/* Not applied, and nobody was told: sent again only after a read, and the first one's window
 * waited out. */
static void test_writes_that_are_lost(void **state)
{
    (void) state;
    static const char *const faults[] = {
        "{\"kind\":\"hang\",\"ms\":100}",
        "{\"kind\":\"reset\"}",
        "{\"kind\":\"html\"}",
        "{\"kind\":\"big\"}",
        "{\"kind\":\"answer\",\"status\":503,\"headers\":{\"Retry-After\":\"1\"}}",
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        AUTO(rig) r;
        char rule[256];

        rig_open(&r);
        double_state(&r, AT_5);
        snprintf(rule, sizeof rule, "[{\"method\":\"PATCH\",\"path\":\".*\",\"fault\":%s}]",
                 faults[i]);
        double_faults(&r, rule);
        struct flag_set_result got = set(&r, 25, 5);
        assert_answer(&got, FLAG_OK);
        assert_true(got.settled);
        assert_int_equal(double_count(&r, "PATCH"), 2);
        assert_int_equal(double_percent(&r, "f"), 25);
        assert_true(got.ms >= 1600);
        assert_int_equal(n_unmatched(&r), 0);
    }
}

/* The service stays silent: the answer is in doubt, the journal says so, and nothing says it
 * failed. */
static void test_silence_is_doubt(void **state)
{
    (void) state;
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, AT_5);
    double_faults(&r, FAULT("PATCH", ".*", "{\"kind\":\"hang\",\"ms\":10}"));
    double_faults(&r, "[{\"method\":\"GET\",\"path\":\"features/"
                      "f$\",\"times\":2,\"fault\":{\"kind\":\"slow\",\"ms\":0}},"
                      "{\"method\":\"GET\",\"path\":\"features/"
                      "f$\",\"times\":0,\"fault\":{\"kind\":\"answer\",\"status\":500}}]");
    struct flag_set_result got = set(&r, 25, 5);
    assert_answer(&got, FLAG_IN_DOUBT);
    assert_false(got.settled);
    assert_true(got.in_doubt_until_ms > 0);
    assert_int_equal(n_unmatched(&r), 1);
    assert_int_equal(double_count(&r, "PATCH"), 1);

    AUTO(err) err = {0};
    const struct flag_ref ref = ref_of(r.ops.service, "f");
    const struct flag_set_request request = {.ref = &ref};
    assert_false(flag_set_verdict(&request, &got, &err));
    assert_true(err_is(&err, ERR_IN_DOUBT));
}

static void test_out_of_reach(void **state)
{
    (void) state;
    AUTO(rig) r;

    rig_open(&r);
    double_stop(&r);
    r.ops.times.retry_ms = 900;
    struct flag_set_result got = set(&r, 25, 5);
    assert_answer(&got, FLAG_NOT_SENT);
    assert_true(got.ms >= 400); /* it tried again */
    assert_int_equal(n_unmatched(&r), 0);
}

static int restart_double(struct rig *r)
{
    double_start(r, atoi(strrchr(r->url, ':') + 1));
    double_state(r, AT_5);
    usleep(3000000);
    double_stop(r);
    return 0;
}

static void test_comes_back(void **state)
{
    (void) state;
    AUTO(rig) r;

    rig_open(&r);
    double_stop(&r);
    r.ops.times.retry_ms = 10000;
    pid_t child = rig_fork(&r, 300, restart_double);
    struct flag_set_result got = set(&r, 25, 5);
    assert_answer(&got, FLAG_OK);
    assert_true(got.settled);
    kill(child, SIGKILL);
    rig_join(child);
}

static void test_rate_limits(void **state)
{
    (void) state;
    static const struct {
        const char *headers;
        long at_least;
    } rows[] = {
        {"{\"Retry-After\":\"1\"}", 950},
        {"{\"retry-after-date\":2}", 950},
        {"{\"x-ratelimit-reset-in\":700}", 650},
        {"{}", 950},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(rig) r;
        char rule[256];

        rig_open(&r);
        double_state(&r, AT_5);
        snprintf(rule, sizeof rule,
                 "[{\"method\":\"PATCH\",\"path\":\".*\",\"fault\":{\"kind\":\"answer\",\"status\":"
                 "429,\"headers\":%s}}]",
                 rows[i].headers);
        double_faults(&r, rule);
        struct flag_set_result got = set(&r, 25, 5);
        assert_answer(&got, FLAG_OK);
        assert_int_equal(double_count(&r, "PATCH"), 2);
        if (double_span_ms(&r, "PATCH") < rows[i].at_least)
            fail_msg("%s: again after %ld ms", rows[i].headers, double_span_ms(&r, "PATCH"));
    }
}

static void test_refusals(void **state)
{
    (void) state;
    static const struct {
        const char *fault;
        enum flag_answer answer;
    } rows[] = {
        {"{\"kind\":\"answer\",\"status\":403}", FLAG_AUTH},
        {"{\"kind\":\"answer\",\"status\":401}", FLAG_AUTH},
        {"{\"kind\":\"answer\",\"status\":403,\"body\":{\"message\":\"use a change request\"}}",
         FLAG_BLOCKED_APPROVAL},
        {"{\"kind\":\"answer\",\"status\":405,\"body\":{\"message\":\"updates require approval\"}}",
         FLAG_BLOCKED_APPROVAL},
        {"{\"kind\":\"answer\",\"status\":409,\"body\":{\"code\":\"change_requests_enabled\"}}",
         FLAG_BLOCKED_APPROVAL},
        {"{\"kind\":\"answer\",\"status\":409}", FLAG_REJECTED},
        {"{\"kind\":\"answer\",\"status\":400}", FLAG_REJECTED},
        {"{\"kind\":\"redirect\"}", FLAG_REJECTED},
        {"{\"kind\":\"not_found\"}", FLAG_CONFLICT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(rig) r;
        char rule[256];

        rig_open(&r);
        double_state(&r, AT_5);
        snprintf(rule, sizeof rule,
                 "[{\"method\":\"PATCH\",\"path\":\".*\",\"times\":0,\"fault\":%s}]",
                 rows[i].fault);
        double_faults(&r, rule);
        struct flag_set_result got = set(&r, 25, 5);
        assert_answer(&got, rows[i].answer);
        assert_int_equal(double_count(&r, "PATCH"), 1);
        assert_int_equal(double_percent(&r, "f"), 5);
        assert_int_equal(n_unmatched(&r), 0);
    }
}

/* A service without its database says that there's no such flag. */
static void test_404_while_down(void **state)
{
    (void) state;
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, AT_5);
    double_faults(
        &r, "[{\"path\":\"/search/\",\"times\":0,\"fault\":{\"kind\":\"answer\",\"status\":500}},"
            "{\"path\":\"features\",\"times\":0,\"fault\":{\"kind\":\"not_found\"}}]");
    r.ops.times.retry_ms = 500;
    struct flag_set_result got = set(&r, 25, 5);
    assert_answer(&got, FLAG_NOT_SENT);
    assert_int_equal(got.before.state, FLAG_UNKNOWN);
    assert_int_equal(double_count(&r, "POST"), 0); /* above all: not made anew */
    assert_int_equal(double_count(&r, "PATCH"), 0);
}

static void test_drifted_before(void **state)
{
    (void) state;
    AUTO(rig) r;
    AUTO(err) err = {0};

    rig_open(&r);
    double_state(&r, AT_5);
    struct flag_set_result got = set(&r, 25, 10);
    assert_answer(&got, FLAG_CONFLICT);
    assert_int_equal(double_count(&r, "PATCH"), 0);
    char *journal = rig_journal(&r);
    assert_string_equal(journal, "");
    free(journal);
    const struct flag_ref ref = ref_of(r.ops.service, "f");
    const struct flag_set_request request = {.ref = &ref};
    assert_false(flag_set_verdict(&request, &got, &err));
    assert_string_equal(err.reason, "flag_drift");
}

/* Between the look and the write somebody else wrote: the service's own compare-and-set says so. */
static void test_changed_in_between(void **state)
{
    (void) state;
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r,
                 "{\"builtin\":{\"f\":{\"percent\":5,\"bucketBy\":\"accountId\",\"revision\":7}}}");
    double_faults(
        &r,
        FAULT("PUT", ".*",
              "{\"kind\":\"answer\",\"status\":412,\"body\":{\"error\":\"precondition_failed\"}}"));
    r.ops.service = &r.builtin;
    struct flag_set_result got = set(&r, 25, 5);
    assert_answer(&got, FLAG_CONFLICT);
    assert_int_equal(double_count(&r, "PUT /admin"), 1);
}

/* What SDKs get stays behind: set, but not settled. */
static void test_not_delivered(void **state)
{
    (void) state;
    AUTO(rig) r;
    AUTO(err) err = {0};

    rig_open(&r);
    double_state(&r, AT_5);
    double_faults(&r, ALWAYS("GET", "/api/client/features",
                             "{\"kind\":\"answer\",\"status\":200,\"body\":{\"features\":[]}}"));
    r.ops.times.confirm_ms = 300;
    struct flag_set_result got = set(&r, 25, 5);
    assert_answer(&got, FLAG_OK);
    assert_false(got.settled);
    assert_int_equal(got.level, FLAG_CONFIGURED);
    const struct flag_ref ref = ref_of(r.ops.service, "f");
    const struct flag_set_request request = {.ref = &ref};
    assert_false(flag_set_verdict(&request, &got, &err));
    assert_true(err_is(&err, ERR_IN_DOUBT));
}

static void test_foreign_strategies(void **state)
{
    (void) state;
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, "{\"unleash\":{\"f\":{\"enabled\":true,\"archived\":false,\"strategies\":[{"
                     "\"id\":\"a\",\"name\":"
                     "\"default\"},{\"id\":\"b\",\"name\":\"userWithId\"}]}}}");
    struct flag_set_result got = set(&r, 25, -1);
    assert_answer(&got, FLAG_REJECTED);
    assert_int_equal(got.before.state, FLAG_COMPLEX);
    got = set(&r, 0, -1); /* off is always possible */
    assert_answer(&got, FLAG_OK);
    assert_int_equal(double_percent(&r, "f"), 0);
}

static void test_kill_file_is_lifted(void **state)
{
    (void) state;
    AUTO(rig) r;
    char path[4096];
    FILE *f;

    rig_open(&r);
    r.ops.kill_file = &r.file;
    snprintf(path, sizeof path, "%s/kill.json", r.folder);
    f = fopen(path, "w");
    fputs("{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},"
          "\"defaultVariant\":\"off\"}}}",
          f);
    fclose(f);
    struct flag_set_result got = set(&r, 5, -1);
    assert_answer(&got, FLAG_OK);
    struct flag_ref ref = ref_of(&r.file, "f");
    struct flag_obs obs;
    flag_ops_observe_all(&r.ops, &ref, 1, FLAG_CONFIGURED, NULL, &r.arena, &obs);
    assert_int_equal(obs.state, FLAG_ABSENT);
}

static bool record_row(void *ctx, const struct flag_change *row, struct err *err)
{
    int *n = ctx;

    ++*n;
    assert_string_equal(row->flag, "f");
    assert_string_equal(row->after, "25 %");
    return *n != 2 || err_set(err, ERR_UNREACHABLE, "no database");
}

static void test_ledger_catches_up(void **state)
{
    (void) state;
    AUTO(rig) r;
    AUTO(err) err = {0};
    struct flag_change *rows;
    int calls = 0, n;

    rig_open(&r);
    r.ops.record = record_row;
    r.ops.record_ctx = &calls;
    set(&r, 25, -1);
    assert_true(flag_journal_pending(&r.ops, &r.arena, &rows, &n, &err));
    assert_int_equal(n, 0);
    set(&r, 25, 25); /* the second row fails */
    assert_int_equal(calls, 2);
    assert_true(flag_journal_pending(&r.ops, &r.arena, &rows, &n, &err));
    assert_int_equal(n, 1);
    assert_string_equal(rows[0].flag, "f");
    assert_string_equal(rows[0].desired, "25 %");
    assert_string_equal(rows[0].answer, "nochange");
    assert_string_equal(rows[0].level, "delivered");
    assert_string_equal(rows[0].environment, "production");
    assert_true(flag_journal_recorded(&r.ops, rows, n, &err));
    assert_true(flag_journal_pending(&r.ops, &r.arena, &rows, &n, &err));
    assert_int_equal(n, 0);
}

static void test_journal_survives_rubbish(void **state)
{
    (void) state;
    AUTO(rig) r;
    AUTO(err) err = {0};
    struct flag_entry *list;
    char path[4096];
    FILE *f;
    int n;

    rig_open(&r);
    set(&r, 25, -1);
    snprintf(path, sizeof path, "%s/flags-production.jsonl", r.folder);
    f = fopen(path, "a");
    fputs("\n[{\"t\":\"intent\",\"op\":\"x\",\"key\":\"f\"},7,null]\nnot "
          "json\n{\"t\":\"answer\",\"op\":\"nobody's\"}\n"
          "[{\"t\":\"intent\",\"op\":\"cut\",\"ke",
          f);
    fclose(f);
    assert_true(flag_journal_load(&r.ops, &r.arena, &list, &n, &err));
    assert_int_equal(n, 2);
    assert_string_equal(list[1].op_id, "x");
    assert_false(list[1].answered);
}

static void test_drift(void **state)
{
    (void) state;
    AUTO(rig) r;
    struct flag_drift d;

    rig_open(&r);
    const struct flag_ref ref = ref_of(r.ops.service, "f");
    const struct flag_ref never = ref_of(r.ops.service, "never-made");
    set(&r, 25, -1);
    flag_ops_drift(&r.ops, &ref, 25, &r.arena, &d);
    assert_int_equal(d.kind, FLAG_DRIFT_NONE);
    flag_ops_drift(&r.ops, &never, 0, &r.arena, &d);
    assert_int_equal(d.kind, FLAG_DRIFT_NONE); /* nobody has raised it yet */
    flag_ops_drift(&r.ops, &never, 25, &r.arena, &d);
    assert_int_equal(d.kind, FLAG_DRIFT_KILL_SEEN); /* somebody took it away */
    flag_ops_drift(&r.ops, &ref, 50, &r.arena, &d);
    assert_int_equal(d.kind, FLAG_DRIFT_KILL_SEEN);
    assert_string_equal(d.actor, "double");
    assert_true(d.changed_at_ms > 0);
    flag_ops_drift(&r.ops, &ref, 10, &r.arena, &d);
    assert_int_equal(d.kind, FLAG_DRIFT_HOLD);
    double_faults(&r, ALWAYS("GET", "features/f", "{\"kind\":\"not_found\"}"));
    flag_ops_drift(&r.ops, &ref, 25, &r.arena, &d);
    assert_int_equal(d.kind, FLAG_DRIFT_UNKNOWN); /* the search still finds it */
    double_stop(&r);
    flag_ops_drift(&r.ops, &ref, 25, &r.arena, &d);
    assert_int_equal(d.kind, FLAG_DRIFT_UNKNOWN);
}

static void test_many_are_read_side_by_side(void **state)
{
    (void) state;
    enum { N = 20 };
    AUTO(rig) r;
    struct flag_ref refs[N];
    struct flag_obs obs[N];

    rig_open(&r);
    double_state(&r, AT_5);
    double_faults(&r, ALWAYS("GET", ".*", "{\"kind\":\"slow\",\"ms\":200}"));
    for (int i = 0; i < N; i++)
        refs[i] = ref_of(r.ops.service, "f");
    int64_t start = clock_mono_ms(r.ports.clock);
    flag_ops_observe_all(&r.ops, refs, N, FLAG_DELIVERED, NULL, &r.arena, obs);
    assert_true(clock_mono_ms(r.ports.clock) - start < 200 * N / 2);
    for (int i = 0; i < N; i++)
        assert_int_equal(obs[i].percent, 5);
}

static void test_preflight(void **state)
{
    (void) state;
    AUTO(rig) r;
    struct flag_call call;

    rig_open(&r);
    const struct flag_ref ref = ref_of(r.ops.service, "f");
    flag_ops_preflight(&r.ops, &ref, &r.arena, &call);
    assert_int_equal(call.answer, FLAG_OK);
    assert_int_equal(call.obs.state, FLAG_ABSENT);
    assert_true(call.has_sdk_endpoint);
    r.unleash.token = "wrong";
    flag_ops_preflight(&r.ops, &ref, &r.arena, &call);
    assert_int_equal(call.answer, FLAG_AUTH);
    assert_null(strstr(call.detail, "wrong"));
    assert_int_equal(double_count(&r, "POST") + double_count(&r, "PUT") + double_count(&r, "PATCH"),
                     0);
}

static int interrupt_parent(struct rig *r)
{
    (void) r;
    kill(getppid(), SIGUSR1);
    return 0;
}

static struct rig *running;
static void on_signal(int n)
{
    (void) n;
    running->interrupt.count++;
}

/* A signal during the wait for the bound: what was done stands, and it isn't called settled. */
static void test_interrupted(void **state)
{
    (void) state;
    AUTO(rig) r;
    AUTO(err) err = {0};

    rig_open(&r);
    double_state(&r, AT_5);
    r.unleash.propagation_ms = 60000;
    running = &r;
    signal(SIGUSR1, on_signal);
    pid_t child = rig_fork(&r, 1000, interrupt_parent);
    struct flag_set_result got = set(&r, 25, 5);
    rig_join(child);
    assert_answer(&got, FLAG_OK);
    assert_true(got.interrupted);
    assert_false(got.settled);
    assert_int_equal(got.level, FLAG_DELIVERED);
    assert_int_equal(n_unmatched(&r), 0);
    const struct flag_ref ref = ref_of(r.ops.service, "f");
    const struct flag_set_request request = {.ref = &ref};
    assert_false(flag_set_verdict(&request, &got, &err));
    assert_true(err_is(&err, ERR_STOPPED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ladder),
        cmocka_unit_test(test_other_services),
        cmocka_unit_test(test_journal_before_send),
        cmocka_unit_test(test_nothing_is_sent_without_a_journal),
        cmocka_unit_test(test_late_apply_is_found),
        cmocka_unit_test(test_late_apply_races_the_look),
        cmocka_unit_test(test_answers_that_are_lost),
        cmocka_unit_test(test_writes_that_are_lost),
        cmocka_unit_test(test_silence_is_doubt),
        cmocka_unit_test(test_out_of_reach),
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_rate_limits),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_404_while_down),
        cmocka_unit_test(test_drifted_before),
        cmocka_unit_test(test_changed_in_between),
        cmocka_unit_test(test_not_delivered),
        cmocka_unit_test(test_foreign_strategies),
        cmocka_unit_test(test_kill_file_is_lifted),
        cmocka_unit_test(test_ledger_catches_up),
        cmocka_unit_test(test_journal_survives_rubbish),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_many_are_read_side_by_side),
        cmocka_unit_test(test_preflight),
        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
