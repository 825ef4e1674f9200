/* Provider unleash and the operations on flags, against a real Unleash server. */
#include "flag_rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define OF_FLAG(key) "/projects/default/features/" key
#define OF_ENV(key) OF_FLAG(key) "/environments/development"

/* ---- the server ------------------------------------------------------------------------------ */

static struct {
    pid_t pid;
    FILE *to, *from;
    char *url, *admin, *client;
} server;

static json_t *answer(void)
{
    char *line = NULL;
    size_t room = 0;
    json_t *json;

    if (getline(&line, &room, server.from) <= 0)
        fail_msg("the server's console has gone");
    json = json_loads(line, JSON_DECODE_ANY, NULL);
    if (!json)
        fail_msg("the console said %s", line);
    if (json_object_get(json, "error"))
        fail_msg("%s", json_string_value(json_object_get(json, "error")));
    free(line);
    return json;
}

/* ["admin", "POST", ...], written with printf's means. */
__attribute__((format(printf, 1, 2))) static json_t *say(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vfprintf(server.to, format, ap);
    va_end(ap);
    fputc('\n', server.to);
    fflush(server.to);
    return answer();
}

#define DO(...) json_decref(say(__VA_ARGS__))

static int server_start(void **state)
{
    const char *root = getenv("PHASEGATE_SRC");
    char script[4096];
    int in[2], out[2];
    json_t *hello;

    (void) state;
    snprintf(script, sizeof script, "%s/tests/lib/unleash_console.py", root ? root : ".");
    if (pipe(in) != 0 || pipe(out) != 0)
        return -1;
    server.pid = fork();
    if (server.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execlp("python3", "python3", script, (char *) NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    server.to = fdopen(in[1], "w");
    server.from = fdopen(out[0], "r");
    hello = answer();
    server.url = strdup(json_string_value(json_object_get(hello, "url")));
    server.admin = strdup(json_string_value(json_object_get(hello, "admin")));
    server.client = strdup(json_string_value(json_object_get(hello, "client")));
    json_decref(hello);
    return 0;
}

static int server_stop(void **state)
{
    (void) state;
    fclose(server.to);
    waitpid(server.pid, NULL, 0);
    fclose(server.from);
    free(server.url);
    free(server.admin);
    free(server.client);
    return 0;
}

/* {"enabled", "strategies"} of a flag, as the management API has it. */
static json_t *environment_of(const char *key)
{
    json_t *got = say("[\"admin\", \"GET\", \"" OF_FLAG("%s") "\"]", key), *found = NULL, *one;
    size_t i;

    json_array_foreach(json_object_get(json_object_get(got, "body"), "environments"), i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "name")), "development") == 0)
            found = json_incref(one);
    }
    json_decref(got);
    assert_non_null(found);
    return found;
}

static bool is_enabled(const char *key)
{
    json_t *environment = environment_of(key);
    bool enabled = json_is_true(json_object_get(environment, "enabled"));

    json_decref(environment);
    return enabled;
}

static void create(const char *key)
{
    DO("[\"admin\", \"POST\", \"/projects/default/features\", {\"name\": \"%s\", \"type\": "
       "\"release\"}]",
       key);
}

static void add_strategy(const char *key, const char *rollout, bool disabled)
{
    DO("[\"admin\", \"POST\", \"" OF_ENV(
           "%s") "/strategies\", {\"name\": \"flexibleRollout\", \"disabled\": %s, "
                 "\"parameters\": {\"rollout\": \"%s\", \"stickiness\": \"userId\", \"groupId\": "
                 "\"%s\"}}]",
       key, disabled ? "true" : "false", rollout, key);
}

static void switch_on(const char *key)
{
    DO("[\"admin\", \"POST\", \"" OF_ENV("%s") "/on\"]", key);
}

/* ---- the rig on it --------------------------------------------------------------------------- */

static void open_rig(struct rig *r)
{
    rig_open(r);
    double_stop(r);
    r->unleash.url = server.url;
    r->unleash.token = server.admin;
    r->unleash.sdk_token = server.client;
    r->unleash.environment = "development";
    r->unleash.propagation_ms = 100;
    r->unleash.shown = "unleash";
    r->ops.times = (struct flag_times) {.connect_ms = 1000,
                                        .total_ms = 2000,
                                        .kill_connect_ms = 1000,
                                        .kill_total_ms = 1500,
                                        .retry_ms = 4000,
                                        .confirm_ms = 15000,
                                        .poll_ms = 100,
                                        .reassert_ms = 500,
                                        .doubt_ms = {500, 1000, 2000, 4000, 8000}};
}

static struct flag_ref ref_of(struct rig *r, const char *key)
{
    return (struct flag_ref) {
        .service = &r->unleash, .key = key, .bucket_by = "userId", .purpose = "read flag of p"};
}

static struct flag_set_result set(struct rig *r, const char *key, int percent, bool ensure)
{
    const struct flag_ref ref = ref_of(r, key);
    const struct flag_set_request request = {.ref = &ref,
                                             .desired = flag_value_percent(percent),
                                             .reason = "rung",
                                             .plan = "p",
                                             .role = "read",
                                             .expect_percent = -1,
                                             .ensure = ensure};
    struct flag_set_result result;
    AUTO(err) err = {0};

    if (!flag_ops_set(&r->ops, &request, &r->arena, &result, &err))
        fail_msg("%s", str_text(&err.message));
    return result;
}

static void must_set(struct rig *r, const char *key, int percent)
{
    struct flag_set_result got = set(r, key, percent, true);

    if (!got.settled)
        fail_msg("%s to %d %%: %s, %s: %s", key, percent, flag_answer_word(got.answer),
                 flag_level_word(got.level), got.detail ? got.detail : "");
    assert_int_equal(got.level, FLAG_DELIVERED);
}

static struct flag_obs observe(struct rig *r, const char *key, enum flag_level level)
{
    const struct flag_ref ref = ref_of(r, key);
    struct flag_obs obs;

    flag_ops_observe_all(&r->ops, &ref, 1, level, NULL, &r->arena, &obs);
    return obs;
}

static struct flag_kill_report kill_flag(struct rig *r, const char *key,
                                         const struct flag_kill_options *o)
{
    const struct flag_kill_target t = {.ref = ref_of(r, key), .plan = "p", .role = FLAG_READ};
    struct flag_kill_report report;

    flag_ops_kill(&r->ops, &t, 1, o, &r->arena, &report);
    return report;
}

static void assert_code(const struct flag_kill_report *report, int code)
{
    const struct flag_kill_result *one = &report->results[0];

    if (report->exit_code != code)
        fail_msg("exit code %d, not %d: %s, %s, reached %d, in doubt %d: %s", report->exit_code,
                 code, flag_answer_word(one->answer), flag_level_word(one->level), one->reached,
                 one->in_doubt, one->detail ? one->detail : "");
}

static enum flag_answer call_of(struct rig *r, const char *key, enum flag_verb verb,
                                const char **detail)
{
    struct flag_call call;
    const struct flag_ref ref = ref_of(r, key);

    assert_int_equal(verb, FLAG_DO_PREFLIGHT);
    flag_ops_preflight(&r->ops, &ref, &r->arena, &call);
    *detail = call.detail ? call.detail : "";
    return call.answer;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static bool holds(const json_t *list, const char *text)
{
    json_t *one;
    size_t i;

    json_array_foreach((json_t *) list, i,
                       one) if (strcmp(json_string_value(one), text) == 0) return true;
    return false;
}

/* Made off; up the ladder nobody falls out; down and up again the same users are in. */
static void test_ladder(void **state)
{
    (void) state;
    static const int ladder[] = {1, 5, 25, 50, 100, 0, 25};
    json_t *before = json_array(), *at_25 = NULL;
    AUTO(rig) r;

    open_rig(&r);
    assert_int_equal(observe(&r, "ladder", FLAG_CONFIGURED).state, FLAG_ABSENT);
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
        must_set(&r, "ladder", ladder[i]);

        struct flag_obs obs = observe(&r, "ladder", FLAG_DELIVERED);
        assert_int_equal(flag_exposure(obs.state, obs.percent), ladder[i]);
        json_t *users = say("[\"users\", \"ladder\", 200]"), *one;
        size_t u;
        if (ladder[i] > 0)
            json_array_foreach(before, u, one) assert_true(holds(users, json_string_value(one)));
        if (ladder[i] == 25 && at_25)
            assert_true(json_equal(users, at_25));
        if (ladder[i] == 25 && !at_25)
            at_25 = json_incref(users);
        if (ladder[i] == 100)
            assert_int_equal(json_array_size(users), 200);
        if (ladder[i] == 50)
            assert_true(json_array_size(users) > 60 && json_array_size(users) < 140);
        json_decref(before);
        before = ladder[i] ? users : json_array();
        if (!ladder[i]) {
            assert_int_equal(json_array_size(users), 0);
            json_decref(users);
        }
    }
    json_decref(before);
    json_decref(at_25);

    json_t *environment = environment_of("ladder");
    const json_t *strategies = json_object_get(environment, "strategies");
    assert_int_equal(json_array_size(strategies), 1);
    const json_t *parameters = json_object_get(json_array_get(strategies, 0), "parameters");
    assert_string_equal(json_string_value(json_object_get(parameters, "groupId")), "ladder");
    assert_string_equal(json_string_value(json_object_get(parameters, "stickiness")), "userId");
    assert_non_null(strstr(
        json_string_value(json_object_get(json_array_get(strategies, 0), "title")), "phasegate "));
    json_decref(environment);
}

/* A flag that people made: no strategy, one without a title, one that is disabled. Never 100 % by
 * accident. */
static void test_flags_that_people_made(void **state)
{
    (void) state;
    AUTO(rig) r;

    open_rig(&r);
    create("bare");
    create("untitled");
    add_strategy("untitled", "1", false);
    create("disabled");
    add_strategy("disabled", "30", true);
    static const char *const keys[] = {"bare", "untitled", "disabled"};
    for (size_t i = 0; i < 3; i++) {
        must_set(&r, keys[i], 25);
        json_t *environment = environment_of(keys[i]);
        const json_t *strategies = json_object_get(environment, "strategies");
        assert_true(json_is_true(json_object_get(environment, "enabled")));
        assert_int_equal(json_array_size(strategies), 1);
        assert_string_equal(
            json_string_value(json_object_get(
                json_object_get(json_array_get(strategies, 0), "parameters"), "rollout")),
            "25");
        json_decref(environment);
    }
}

static void test_archived(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 10000};
    AUTO(rig) r;

    open_rig(&r);
    must_set(&r, "old", 25);
    DO("[\"admin\", \"DELETE\", \"" OF_FLAG("old") "\"]");
    assert_int_equal(observe(&r, "old", FLAG_CONFIGURED).state, FLAG_ARCHIVED);
    struct flag_set_result got = set(&r, "old", 50, true);
    assert_int_equal(got.answer, FLAG_REJECTED);
    struct flag_kill_report report = kill_flag(&r, "old", &o);
    assert_code(&report, 0);
}

static void test_foreign_strategies(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 10000};
    AUTO(rig) r;

    open_rig(&r);
    must_set(&r, "mixed", 5);
    add_strategy("mixed", "100", false);
    struct flag_obs obs = observe(&r, "mixed", FLAG_CONFIGURED);
    assert_int_equal(obs.state, FLAG_COMPLEX);
    assert_non_null(strstr(obs.why, "2 strategies"));
    struct flag_set_result got = set(&r, "mixed", 25, false);
    assert_int_equal(got.answer, FLAG_REJECTED);
    struct flag_kill_report report = kill_flag(&r, "mixed", &o);
    assert_code(&report, 0);
    assert_false(is_enabled("mixed"));

    create("narrow");
    DO("[\"admin\", \"POST\", \"" OF_ENV(
        "narrow") "/strategies\", {\"name\": \"flexibleRollout\", \"constraints\": "
                  "[{\"contextName\": \"userId\", \"operator\": \"IN\", \"values\": [\"a\"]}], "
                  "\"parameters\": {\"rollout\": "
                  "\"100\", \"stickiness\": \"userId\", \"groupId\": \"narrow\"}}]");
    switch_on("narrow");
    assert_int_equal(observe(&r, "narrow", FLAG_CONFIGURED).state, FLAG_COMPLEX);
}

static void test_tokens_and_places(void **state)
{
    (void) state;
    const char *detail;
    AUTO(rig) r;

    open_rig(&r);
    assert_int_equal(call_of(&r, "new", FLAG_DO_PREFLIGHT, &detail), FLAG_OK);
    r.unleash.project = "nowhere";
    assert_int_equal(call_of(&r, "new", FLAG_DO_PREFLIGHT, &detail), FLAG_NOT_FOUND);
    r.unleash.project = "default";
    r.unleash.environment = "staging";
    assert_int_equal(call_of(&r, "new", FLAG_DO_PREFLIGHT, &detail), FLAG_NOT_FOUND);
    assert_non_null(strstr(detail, "staging"));
    r.unleash.environment = "production"; /* it is there, but the SDK token is of another */
    assert_int_equal(call_of(&r, "new", FLAG_DO_PREFLIGHT, &detail), FLAG_REJECTED);
    assert_non_null(strstr(detail, "development"));
    r.unleash.environment = "development";
    r.unleash.sdk_token = "default:development.wrong-secret";
    assert_int_equal(call_of(&r, "new", FLAG_DO_PREFLIGHT, &detail), FLAG_AUTH);
    assert_non_null(strstr(detail, "sdk_token"));
    assert_null(strstr(detail, "wrong-secret"));
    r.unleash.sdk_token = server.client;
    r.unleash.token = "*:*.wrong-secret";
    assert_int_equal(call_of(&r, "new", FLAG_DO_PREFLIGHT, &detail), FLAG_AUTH);
    assert_null(strstr(detail, "wrong-secret"));
    assert_int_equal(set(&r, "new", 5, true).answer, FLAG_AUTH);
    const struct flag_kill_options o = {.wait_ms = 5000};
    struct flag_kill_report report = kill_flag(&r, "new", &o);
    assert_code(&report, 3);
    r.unleash.token = server.client; /* a token of the wrong kind */
    assert_int_equal(set(&r, "new", 5, true).answer, FLAG_AUTH);
    r.unleash.token = server.admin;
    assert_int_equal(set(&r, "never-made", 5, false).answer, FLAG_NOT_FOUND);
    r.unleash.url = "http://127.0.0.1:1";
    assert_int_equal(set(&r, "new", 5, true).answer, FLAG_NOT_SENT);
}

static void test_kill_and_drill(void **state)
{
    (void) state;
    const struct flag_kill_options kill_it = {.wait_ms = 10000, .reason = "errors"};
    const struct flag_kill_options drill = {.wait_ms = 10000, .drill = true};
    AUTO(rig) r;
    struct flag_drift drift;

    open_rig(&r);
    must_set(&r, "shop-read", 25);
    struct flag_kill_report report = kill_flag(&r, "shop-read", &drill);
    assert_code(&report, 0);
    assert_int_equal(report.results[0].before_percent, 25);
    struct flag_obs obs = observe(&r, "shop-read", FLAG_CONFIGURED);
    assert_int_equal(flag_exposure(obs.state, obs.percent), 25);

    report = kill_flag(&r, "shop-read", &kill_it);
    assert_code(&report, 0);
    assert_int_equal(report.results[0].level, FLAG_DELIVERED);
    assert_false(is_enabled("shop-read"));
    const struct flag_ref ref = ref_of(&r, "shop-read");
    flag_ops_drift(&r.ops, &ref, 25, &r.arena, &drift);
    assert_int_equal(drift.kind, FLAG_DRIFT_KILL_SEEN);
    assert_non_null(drift.actor);
}

/* ---- without its database -------------------------------------------------------------------- */

static void wait_until_readable(struct rig *r, const char *key)
{
    for (int i = 0; i < 240; i++) {
        if (observe(r, key, FLAG_CONFIGURED).state != FLAG_UNKNOWN)
            return;
        usleep(250000);
    }
    fail_msg("the server didn't come back");
}

static void test_database_stopped(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 3000}, later = {.wait_ms = 20000};
    AUTO(rig) r;

    open_rig(&r);
    must_set(&r, "outage", 25);
    DO("[\"stop_database\"]");
    assert_int_equal(observe(&r, "outage", FLAG_CONFIGURED).state, FLAG_UNKNOWN);
    struct flag_set_result got = set(&r, "outage", 50, true);
    assert_int_equal(got.answer, FLAG_NOT_SENT); /* it couldn't even be read */
    struct flag_kill_report report = kill_flag(&r, "outage", &o);
    assert_code(&report, 5);
    assert_true(report.results[0].in_doubt && !report.results[0].reached);
    DO("[\"start_database\"]");
    wait_until_readable(&r, "outage");
    report = kill_flag(&r, "outage", &later);
    assert_code(&report, 0);
    assert_false(is_enabled("outage"));
}

static int advance_race(struct rig *r)
{
    struct flag_set_result got = set(r, "race", 25, true);

    return got.preempted ? 50 + (int) got.answer : (int) got.answer;
}

/* The advance's "on" and the kill's "off" wait in the server for a lock, both given up by their
 * clients. In whatever order they are carried out, the kill is the one that stays. */
static void test_late_writes_reorder(void **state)
{
    (void) state;
    const struct flag_kill_options o = {.wait_ms = 25000};
    AUTO(rig) r;

    open_rig(&r);
    must_set(&r, "race", 1);
    must_set(&r, "race", 0);
    DO("[\"lock\", \"feature_environments\"]");
    pid_t child = rig_fork(&r, 0, advance_race);
    sleep(1); /* its PATCH is through, its "on" waits */
    pid_t unlocker = fork();
    if (unlocker == 0) {
        sleep(4); /* longer than either waits for an answer */
        fputs("[\"unlock\"]\n", server.to);
        fflush(server.to);
        _exit(0);
    }
    struct flag_kill_report report = kill_flag(&r, "race", &o);
    json_decref(answer());
    waitpid(unlocker, NULL, 0);
    int advanced = rig_join(child);
    if (advanced != 50 + FLAG_IN_DOUBT && advanced != 50 + FLAG_CONFLICT)
        fail_msg("the advance ended with %d", advanced);
    assert_code(&report, 0);
    sleep(1);
    assert_false(is_enabled("race"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ladder),
        cmocka_unit_test(test_flags_that_people_made),
        cmocka_unit_test(test_archived),
        cmocka_unit_test(test_foreign_strategies),
        cmocka_unit_test(test_tokens_and_places),
        cmocka_unit_test(test_kill_and_drill),
        cmocka_unit_test(test_late_writes_reorder),
        cmocka_unit_test(test_database_stopped),
    };
    return cmocka_run_group_tests(tests, server_start, server_stop);
}
