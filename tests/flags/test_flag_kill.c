/* kill and its drill, against a service that misbehaves, and against an advance in flight. */
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

#define STRATEGY(rollout)                                                                          \
    "{\"id\":\"s9\",\"name\":\"flexibleRollout\",\"disabled\":false,\"title\":\"t\","              \
    "\"parameters\":{\"rollout\":\"" rollout "\",\"groupId\":\"f\",\"stickiness\":\"accountId\"}}"
#define FLAG(enabled, rollout)                                                                     \
    "{\"enabled\":" enabled ",\"archived\":false,\"strategies\":[" STRATEGY(rollout) "]}"
#define BOTH_ON "{\"unleash\":{\"r\":" FLAG("true", "25") ",\"w\":" FLAG("true", "10") "}}"
#define R_OFF "POST /api/admin/projects/default/features/r/environments/production/off"
#define W_OFF "POST /api/admin/projects/default/features/w/environments/production/off"

static struct flag_kill_target target(struct rig *r, const char *key, int role)
{
    return (struct flag_kill_target) {
        .ref = {.service = r->ops.service, .key = key, .bucket_by = "accountId"},
        .plan = role < 0 ? NULL : "p",
        .role = role};
}

static struct flag_kill_report kill_both(struct rig *r, const struct flag_kill_options *o)
{
    const struct flag_kill_target targets[] = {target(r, "r", FLAG_READ),
                                               target(r, "w", FLAG_WRITE)};
    struct flag_kill_report report;

    flag_ops_kill(&r->ops, targets, 2, o, &r->arena, &report);
    return report;
}

static struct flag_kill_report kill_one(struct rig *r, const char *key, int role,
                                        const struct flag_kill_options *o)
{
    const struct flag_kill_target t = target(r, key, role);
    struct flag_kill_report report;

    flag_ops_kill(&r->ops, &t, 1, o, &r->arena, &report);
    return report;
}

static void assert_code(const struct flag_kill_report *report, int code)
{
    if (report->exit_code == code)
        return;
    for (int i = 0; i < report->n; i++)
        print_error("%s at %s: %s, %s, reached %d, in doubt %d, exit %d: %s\n",
                    report->results[i].key, report->results[i].target,
                    flag_answer_word(report->results[i].answer),
                    flag_level_word(report->results[i].level), report->results[i].reached,
                    report->results[i].in_doubt, report->results[i].exit_code,
                    report->results[i].detail ? report->results[i].detail : "");
    fail_msg("exit code %d, not %d", report->exit_code, code);
}

static int n_unmatched(struct rig *r)
{
    struct flag_entry *list;
    AUTO(err) err = {0};
    int n;

    assert_true(flag_journal_unmatched(&r->ops, &r->arena, &list, &n, &err));
    return n;
}

static void test_read_then_write(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 3000, .reason = "errors"};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, BOTH_ON);
    r.unleash.propagation_ms = 600;
    struct flag_kill_report report = kill_both(&r, &o);
    assert_code(&report, 0);
    assert_int_equal(report.n, 2);
    for (int i = 0; i < 2; i++) {
        assert_true(report.results[i].reached && !report.results[i].in_doubt);
        assert_int_equal(report.results[i].answer, FLAG_OK);
        assert_int_equal(report.results[i].level, FLAG_DELIVERED);
        assert_null(report.results[i].detail);
    }
    assert_string_equal(report.results[0].role, "read");
    assert_string_equal(report.results[1].role, "write");
    assert_true(report.results[1].ms >= report.results[0].ms + 600);
    assert_true(double_span_ms(&r, "/off") >= 600);
    assert_int_equal(double_percent(&r, "r") + double_percent(&r, "w"), 0);
    assert_int_equal(n_unmatched(&r), 0);
    /* One line for all intents, one for all answers. */
    char *journal = rig_journal(&r);
    int lines = 0;
    for (const char *p = journal; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 2);
    assert_non_null(strstr(journal, "\"reason\":\"errors\""));
    free(journal);
}

static void test_write_now(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 3000, .write_now = true};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, BOTH_ON);
    r.unleash.propagation_ms = 60000;
    struct flag_kill_report report = kill_both(&r, &o);
    assert_code(&report, 0);
    assert_true(double_span_ms(&r, "/off") < 500);
}

/* Nobody looks anything up before the request: the first one is the kill. */
static void test_first_request_is_the_kill(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 1000};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, BOTH_ON);
    double_faults(&r, "[{\"method\":\"GET\",\"path\":\".*\",\"times\":0,\"fault\":{\"kind\":"
                      "\"answer\",\"status\":500}}]");
    struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
    assert_code(&report, 5); /* accepted, never verified */
    assert_true(report.results[0].in_doubt && !report.results[0].reached);
    assert_int_equal(report.results[0].answer, FLAG_OK);
    assert_int_equal(double_percent(&r, "r"), 0);
    assert_int_equal(double_count(&r, R_OFF), 1);
    assert_int_equal(n_unmatched(&r), 1);
}

static void test_service_down(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 700};
    AUTO(rig) r;

    rig_open(&r);
    double_stop(&r);
    r.ops.kill_file = &r.file;
    struct flag_kill_report report = kill_both(&r, &o);
    assert_code(&report, 3);
    assert_int_equal(report.n, 4);
    assert_int_equal(report.results[0].answer, FLAG_NOT_SENT);
    assert_int_equal(report.results[0].exit_code, 3);
    assert_false(report.results[0].in_doubt);
    assert_true(report.results[1].reached); /* the file */
    assert_int_equal(report.results[1].exit_code, 0);
    assert_true(
        report.results[3].reached); /* and the write flag in it: the file's read flag was off */
    struct flag_ref refs[] = {{.service = &r.file, .key = "r"}, {.service = &r.file, .key = "w"}};
    struct flag_obs obs[2];
    flag_ops_observe_all(&r.ops, refs, 2, FLAG_CONFIGURED, NULL, &r.arena, obs);
    assert_int_equal(obs[0].state, FLAG_OFF);
    assert_int_equal(obs[1].state, FLAG_OFF);
}

/* Without a second target the write flag stays where it is when the read flag can't be switched
 * off. */
static void test_write_waits_for_read(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 500};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, BOTH_ON);
    double_faults(
        &r, "[{\"path\":\"features/r/\",\"times\":0,\"fault\":{\"kind\":\"hang\",\"ms\":10}}]");
    struct flag_kill_report report = kill_both(&r, &o);
    assert_code(&report, 3);
    assert_int_equal(report.results[0].exit_code, 5);
    assert_int_equal(report.results[1].exit_code, 3);
    assert_non_null(strstr(report.results[1].detail, "--write-now"));
    assert_int_equal(double_count(&r, W_OFF), 0);
}

static void test_reasserts(void **state)
{
    (void) state;
    static const struct {
        const char *fault;
        int times, code;
    } rows[] = {
        {"{\"kind\":\"hang\",\"ms\":10}", 2, 0},
        {"{\"kind\":\"reset\"}", 2, 0},
        {"{\"kind\":\"html\"}", 2, 0},
        {"{\"kind\":\"answer\",\"status\":500}", 2, 0},
        {"{\"kind\":\"answer\",\"status\":500,\"apply\":true}", 1, 0},
        {"{\"kind\":\"late\",\"after_ms\":900}", 1, 0},
        {"{\"kind\":\"answer\",\"status\":429,\"headers\":{\"Retry-After\":\"1\"}}", 2, 0},
        {"{\"kind\":\"answer\",\"status\":503,\"headers\":{\"retry-after-date\":1}}", 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct flag_kill_options o = {.wait_ms = 6000};
        AUTO(rig) r;
        char rule[256];

        rig_open(&r);
        double_state(&r, BOTH_ON);
        snprintf(rule, sizeof rule,
                 "[{\"path\":\"r/environments/production/off\",\"times\":%d,\"fault\":%s}]",
                 rows[i].times, rows[i].fault);
        double_faults(&r, rule);
        struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
        assert_code(&report, rows[i].code);
        assert_int_equal(double_percent(&r, "r"), 0);
        assert_int_equal(n_unmatched(&r), 0);
    }
}

static void test_refusals(void **state)
{
    (void) state;
    static const char *const faults[] = {
        "{\"kind\":\"answer\",\"status\":401}",
        "{\"kind\":\"answer\",\"status\":403,\"body\":{\"message\":\"change request\"}}",
        "{\"kind\":\"answer\",\"status\":405}",
        "{\"kind\":\"answer\",\"status\":409,\"body\":{\"code\":\"change_requests_enabled\"}}",
        "{\"kind\":\"redirect\"}",
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const struct flag_kill_options o = {.wait_ms = 5000};
        AUTO(rig) r;
        char rule[256];

        rig_open(&r);
        double_state(&r, BOTH_ON);
        snprintf(rule, sizeof rule, "[{\"path\":\"/off\",\"times\":0,\"fault\":%s}]", faults[i]);
        double_faults(&r, rule);
        struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
        assert_code(&report, 3);
        assert_false(report.results[0].in_doubt);
        assert_non_null(report.results[0].detail);
        assert_true(report.results[0].ms < 2000); /* no retry cures it */
        assert_int_equal(double_percent(&r, "r"), 25);
    }
}

/* What SDKs get may be off only because it is old: a kill without an answer isn't reached by
 * that. */
static void test_stale_delivery_is_no_proof(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 1200};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, BOTH_ON);
    double_faults(&r,
                  "[{\"path\":\"/api/admin/\",\"times\":0,\"fault\":{\"kind\":\"hang\",\"ms\":10}},"
                  "{\"path\":\"/api/client/"
                  "\",\"times\":0,\"fault\":{\"kind\":\"answer\",\"status\":200,\"body\":"
                  "{\"features\":[{\"name\":\"r\",\"enabled\":false,\"strategies\":[]}]}}}]");
    struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
    assert_code(&report, 5);
    assert_false(report.results[0].reached);
}

static void test_not_delivered(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 800};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, BOTH_ON);
    double_faults(&r, "[{\"path\":\"/api/client/"
                      "\",\"times\":0,\"fault\":{\"kind\":\"answer\",\"status\":200,\"body\":"
                      "{\"features\":[{\"name\":\"r\",\"enabled\":true,\"strategies\":[" STRATEGY(
                          "25") "]}]}}}]");
    struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
    assert_code(&report, 5);
    assert_int_equal(report.results[0].level, FLAG_CONFIGURED);
    assert_int_equal(report.results[0].wanted, FLAG_DELIVERED);
    assert_int_equal(double_count(&r, R_OFF),
                     1); /* the configuration is off: nothing to assert again */
}

static void test_missing_flags(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 2000};
    AUTO(rig) r;

    rig_open(&r);
    struct flag_kill_report report = kill_one(&r, "typo", -1, &o);
    assert_code(&report, 3);
    assert_int_equal(report.results[0].answer, FLAG_NOT_FOUND);
    assert_non_null(strstr(report.results[0].detail, "\"typo\""));
    /* A plan that hasn't begun has no flags yet: nobody can get them. */
    report = kill_one(&r, "r", FLAG_READ, &o);
    assert_code(&report, 0);
    assert_true(report.results[0].reached);
    /* A service that only says so because its database is away doesn't count. */
    double_faults(
        &r, "[{\"path\":\"/search/\",\"times\":0,\"fault\":{\"kind\":\"answer\",\"status\":500}}]");
    const struct flag_kill_options brief = {.wait_ms = 500};
    report = kill_one(&r, "r", FLAG_READ, &brief);
    assert_true(report.exit_code != 0);
}

static void test_every_provider(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 2000};
    static const enum flag_level levels[] = {FLAG_DELIVERED, FLAG_CONFIGURED, FLAG_ACCEPTED,
                                             FLAG_CONFIGURED};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r,
                 "{\"builtin\":{\"r\":{\"percent\":5,\"bucketBy\":\"accountId\",\"revision\":7}},"
                 "\"generic\":{\"r\":{\"on\":true,\"share\":25}}}");
    struct flag_service blind = r.generic;
    blind.get_url = NULL;
    struct flag_service *const services[] = {&r.builtin, &r.generic, &blind, &r.file};
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        r.ops.service = services[i];
        struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
        assert_code(&report, 0);
        assert_int_equal(report.results[0].wanted, levels[i]);
        assert_int_equal(report.results[0].level, levels[i]);
    }
}

static void test_many_cost_little_more_than_one(void **state)
{
    (void) state;
    enum { N = 20 };
    const struct flag_kill_options o = {.wait_ms = 5000};
    struct flag_kill_target targets[N];
    AUTO(rig) r;
    AUTO(str) all = {0};
    struct flag_kill_report report;

    rig_open(&r);
    str_add(&all, "{\"unleash\":{");
    for (int i = 0; i < N; i++) {
        targets[i] = target(&r, arena_printf(&r.arena, "f%d", i), -1);
        str_addf(&all, "%s\"f%d\":" FLAG("true", "25"), i ? "," : "", i);
    }
    str_add(&all, "}}");
    double_state(&r, str_text(&all));
    double_faults(&r, "[{\"path\":\".*\",\"times\":0,\"fault\":{\"kind\":\"slow\",\"ms\":200}}]");
    flag_ops_kill(&r.ops, targets, N, &o, &r.arena, &report);
    assert_code(&report, 0);
    for (int i = 0; i < N; i++)
        assert_true(report.results[i].ms < 400 * N / 4);
}

/* The disk of the journal is full, or away: said, and no reason to stop. */
static void test_without_a_journal(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 2000};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, BOTH_ON);
    r.ops.state_dir = "/proc/phasegate";
    struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
    assert_code(&report, 0);
    assert_non_null(report.journal_error);
    assert_int_equal(double_percent(&r, "r"), 0);
}

/* ---- with an advance in flight --------------------------------------------------------------- */

static int advance_r(struct rig *r)
{
    const struct flag_ref ref = {.service = r->ops.service, .key = "r", .bucket_by = "accountId"};
    const struct flag_set_request request = {.ref = &ref,
                                             .desired = flag_value_percent(25),
                                             .plan = "p",
                                             .role = "read",
                                             .expect_percent = 0};
    struct flag_set_result result;
    AUTO(err) err = {0};

    if (!flag_ops_set(&r->ops, &request, &r->arena, &result, &err))
        return 99;
    return result.preempted ? 50 + (int) result.answer : (int) result.answer;
}

static void wait_for(struct rig *r, const char *request)
{
    for (int i = 0; i < 1000 && double_count(r, request) == 0; i++)
        usleep(5000);
    assert_true(double_count(r, request) > 0);
}

#define R_IS_OFF "{\"unleash\":{\"r\":" FLAG("false", "1") "}}"

/* The advance is between its two requests: the second one is never sent. */
static void test_kill_stops_an_advance(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 6000};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, R_IS_OFF);
    double_faults(
        &r, "[{\"method\":\"PATCH\",\"path\":\".*\",\"fault\":{\"kind\":\"slow\",\"ms\":500}}]");
    pid_t child = rig_fork(&r, 0, advance_r);
    wait_for(&r, "PATCH");
    struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
    assert_int_equal(rig_join(child), 50 + FLAG_CONFLICT);
    assert_code(&report, 0);
    assert_int_equal(double_count(&r, "/environments/production/on"), 0);
    assert_int_equal(double_percent(&r, "r"), 0);
    assert_int_equal(n_unmatched(&r), 0);
}

/* The advance's "on" is answered after the kill's "off" was applied: the kill looks again and
 * wins. */
static void test_kill_outlives_a_slow_advance(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 6000};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, R_IS_OFF);
    double_faults(
        &r, "[{\"method\":\"POST\",\"path\":\"/on$\",\"fault\":{\"kind\":\"slow\",\"ms\":500}}]");
    pid_t child = rig_fork(&r, 0, advance_r);
    wait_for(&r, "/on");
    struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
    assert_int_equal(rig_join(child), 50 + FLAG_CONFLICT);
    assert_code(&report, 0);
    assert_true(double_count(&r, R_OFF) >= 2);
    assert_int_equal(double_percent(&r, "r"), 0);
}

/* The advance's "on" was given up by its client and lands long after the kill: in doubt until
 * then, and off in the end. */
static void test_kill_outlives_a_late_advance(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 8000};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, R_IS_OFF);
    double_faults(&r, "[{\"method\":\"POST\",\"path\":\"/"
                      "on$\",\"fault\":{\"kind\":\"late\",\"after_ms\":1400}}]");
    pid_t child = rig_fork(&r, 0, advance_r);
    wait_for(&r, "/on");
    struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
    assert_int_equal(rig_join(child), 50 + FLAG_IN_DOUBT);
    assert_code(&report, 0);
    assert_true(double_count(&r, R_OFF) >= 2);
    assert_non_null(strstr(report.results[0].detail, "raised again"));
    assert_int_equal(double_percent(&r, "r"), 0);
}

/* In the foreground a kill says that it isn't over; --watch sees it through. */
static void test_foreground_ends_in_doubt(void **state)
{
    (void) state;
    const struct flag_kill_options brief = {.wait_ms = 300},
                                   watch = {.wait_ms = 300, .watch = true};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, R_IS_OFF);
    double_faults(&r, "[{\"method\":\"POST\",\"path\":\"/"
                      "on$\",\"fault\":{\"kind\":\"late\",\"after_ms\":1400}}]");
    pid_t child = rig_fork(&r, 0, advance_r);
    wait_for(&r, "/on");
    struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &brief);
    assert_code(&report, 5);
    assert_true(report.results[0].reached && report.results[0].in_doubt);
    assert_non_null(strstr(report.results[0].detail, "may still raise it"));
    report = kill_one(&r, "r", FLAG_READ, &watch);
    assert_true(double_percent(&r, "r") == 0);
    assert_int_equal(report.results[0].reached, true);
    rig_join(child);
}

/* An advance that begins while a kill is in doubt waits, and then finds the flag where the kill
 * left it. */
static void test_advance_waits_for_a_kill_in_doubt(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 300};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, "{\"unleash\":{\"r\":" FLAG("true", "5") "}}");
    double_faults(&r, "[{\"path\":\"/off\",\"times\":0,\"fault\":{\"kind\":\"hang\",\"ms\":10}}]");
    struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
    assert_code(&report, 5);
    int64_t start = clock_mono_ms(r.ports.clock);
    assert_int_equal(advance_r(&r), FLAG_CONFLICT);
    assert_true(clock_mono_ms(r.ports.clock) - start > 1000);
    assert_int_equal(double_count(&r, "PATCH"), 0);
    assert_int_equal(n_unmatched(&r), 0);
}

/* ---- drill ----------------------------------------------------------------------------------- */

static void test_drill(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 2000, .drill = true};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, "{\"unleash\":{\"r\":" FLAG("true", "25") ",\"w\":" FLAG("false", "1") "}}");
    r.ops.kill_file = &r.file;
    struct flag_kill_report report = kill_both(&r, &o);
    assert_code(&report, 0);
    assert_int_equal(report.n, 4);
    assert_true(report.results[0].reached && report.results[0].ms > 0);
    assert_int_equal(report.results[0].before_percent, 25);
    assert_int_equal(report.results[1].before_percent, -1);
    assert_int_equal(report.results[2].before_percent, 0);
    assert_int_equal(double_percent(&r, "r"), 25);
    assert_int_equal(double_percent(&r, "w"), 0);
    assert_true(double_count(&r, R_OFF) >= 1);
    assert_int_equal(double_count(&r, W_OFF), 1); /* off already, and the way to it proved */
    struct flag_ref ref = {.service = &r.file, .key = "r"};
    struct flag_obs obs;
    flag_ops_observe_all(&r.ops, &ref, 1, FLAG_CONFIGURED, NULL, &r.arena, &obs);
    assert_int_equal(obs.state, FLAG_ABSENT);
    assert_int_equal(n_unmatched(&r), 0);
}

static void test_drill_refuses_what_it_cannot_put_back(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 2000, .drill = true};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, "{\"unleash\":{\"r\":{\"enabled\":true,\"archived\":false,\"strategies\":[{"
                     "\"id\":\"a\",\"name\":"
                     "\"userWithId\"}]}}}");
    struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
    assert_code(&report, 3);
    assert_int_equal(report.results[0].answer, FLAG_REJECTED);
    assert_int_equal(double_count(&r, "/off"), 0);
    char *journal = rig_journal(&r);
    assert_string_equal(journal, ""); /* so no advance is stopped by it */
    free(journal);
    report = kill_one(&r, "absent", FLAG_READ, &o);
    assert_code(&report, 3);
}

static void test_drill_says_when_it_could_not_put_back(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 2000, .drill = true};
    AUTO(rig) r;

    rig_open(&r);
    double_state(&r, "{\"unleash\":{\"r\":" FLAG("true", "25") "}}");
    double_faults(
        &r, "[{\"path\":\"/on$\",\"times\":0,\"fault\":{\"kind\":\"answer\",\"status\":403}}]");
    struct flag_kill_report report = kill_one(&r, "r", FLAG_READ, &o);
    assert_code(&report, 5);
    assert_non_null(strstr(report.results[0].detail, "could not be put back"));
    assert_int_equal(double_percent(&r, "r"), 0);
}

static void test_targets(void **state)
{
    (void) state;
    struct plan a = {
        .id = {.s = "a"},
        .flags = {[FLAG_READ] = {.key = {.s = "a-r"}}, [FLAG_WRITE] = {.key = {.s = "a-w"}}}};
    struct plan b = {.id = {.s = "b"}, .flags = {[FLAG_WRITE] = {.key = {.s = "b-w"}}}};
    const struct plan *const plans[] = {&a, &b, &a};
    const char *const keys[] = {"extra", "a-w", "extra"};
    struct flag_kill_target *list;
    AUTO(rig) r;
    int n;

    rig_open(&r);
    flag_kill_targets(&r.arena, &r.ops, plans, 3, keys, 3, &list, &n);
    assert_int_equal(n, 4);
    assert_string_equal(list[0].ref.key, "a-r");
    assert_int_equal(list[1].role, FLAG_WRITE);
    assert_string_equal(list[2].plan, "b");
    assert_string_equal(list[3].ref.key, "extra");
    assert_null(list[3].plan);
    flag_kill_targets(&r.arena, &r.ops, NULL, 0, NULL, 0, &list, &n);
    assert_int_equal(n, 0);
    struct flag_kill_report report;
    flag_ops_kill(&r.ops, list, 0, &(struct flag_kill_options) {0}, &r.arena, &report);
    assert_code(&report, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_then_write),
        cmocka_unit_test(test_write_now),
        cmocka_unit_test(test_first_request_is_the_kill),
        cmocka_unit_test(test_service_down),
        cmocka_unit_test(test_write_waits_for_read),
        cmocka_unit_test(test_reasserts),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_stale_delivery_is_no_proof),
        cmocka_unit_test(test_not_delivered),
        cmocka_unit_test(test_missing_flags),
        cmocka_unit_test(test_every_provider),
        cmocka_unit_test(test_many_cost_little_more_than_one),
        cmocka_unit_test(test_without_a_journal),
        cmocka_unit_test(test_kill_stops_an_advance),
        cmocka_unit_test(test_kill_outlives_a_slow_advance),
        cmocka_unit_test(test_kill_outlives_a_late_advance),
        cmocka_unit_test(test_foreground_ends_in_doubt),
        cmocka_unit_test(test_advance_waits_for_a_kill_in_doubt),
        cmocka_unit_test(test_drill),
        cmocka_unit_test(test_drill_refuses_what_it_cannot_put_back),
        cmocka_unit_test(test_drill_says_when_it_could_not_put_back),
        cmocka_unit_test(test_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
