/* Providers http and ofrep, and what all providers have in common: classification, words, the
 * list. */
#include "provider_tape.h"

#define URL "http://flags"
#define SHOWN .shown = "http at " URL
#define GET(text)                                                                                  \
    {                                                                                              \
        .ask = "GET " URL "/f", .status = 200, .answer = text                                      \
    }
#define PUT                                                                                        \
    {                                                                                              \
        .ask = "PUT " URL "/f", .status = 204, .type = ""                                          \
    }

static const struct flag_service service = {
    .url = URL,
    .set_url = URL "/{{key}}",
    .set_body = "{\"on\":{{enabled}},\"share\":{{percent}},\"op\":\"{{op_id}}\"}",
    .get_url = URL "/{{key}}",
    .get_on_pointer = "/a~1b/0/on",
    .get_percent_pointer = "/share",
    SHOWN,
};

static void run(const struct flag_service *from, const char *key, const struct tape_case *cases,
                size_t n)
{
    struct flag_service s = *from;
    const struct flag_ref ref = {.service = &s, .key = key};

    if (!s.provider)
        s.provider = flag_provider_find("http");
    tape_table(&ref, cases, n);
}

#define STATE(on, share) "{\"a/b\":[{\"on\":" on "}],\"share\":" share "}"

static void test_reading(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"25", FLAG_DO_OBSERVE, .tape = {GET(STATE("true", "25"))}, .state = FLAG_PERCENT,
         .seen = 25},
        {"text", FLAG_DO_OBSERVE, .tape = {GET(STATE("\"ON\"", "\"25\""))}, .state = FLAG_PERCENT,
         .seen = 25},
        {"off at 25", FLAG_DO_OBSERVE, .tape = {GET(STATE("false", "25"))}, .state = FLAG_OFF},
        {"off without a percentage", FLAG_DO_OBSERVE, .tape = {GET(STATE("0", "null"))},
         .state = FLAG_OFF},
        {"on at 100", FLAG_DO_OBSERVE, .tape = {GET(STATE("1", "100.0"))}, .state = FLAG_ON,
         .seen = 100},
        {"half a percent", FLAG_DO_OBSERVE, .tape = {GET(STATE("true", "0.5"))},
         .answer = FLAG_NOT_SENT},
        {"101 %", FLAG_DO_OBSERVE, .tape = {GET(STATE("true", "101"))}, .answer = FLAG_NOT_SENT},
        {"no percentage", FLAG_DO_OBSERVE, .tape = {GET(STATE("true", "null"))},
         .answer = FLAG_NOT_SENT},
        {"perhaps", FLAG_DO_OBSERVE, .tape = {GET(STATE("\"perhaps\"", "1"))},
         .answer = FLAG_NOT_SENT},
        {"nothing there", FLAG_DO_OBSERVE, .tape = {GET("{\"share\":1}")}, .answer = FLAG_NOT_SENT},
        {"absent", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " URL "/f", .status = 404, .answer = "{}"}}, .state = FLAG_ABSENT},
        {"absent, but seen before", FLAG_DO_OBSERVE, .seen_before = true,
         .tape = {{.ask = "GET " URL "/f", .status = 404, .answer = "{}"}},
         .answer = FLAG_NOT_SENT},
    };

    run(&service, "f", cases, ROWS(cases));
}

static void test_writing(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"25", FLAG_DO_SET, 25,
         .tape = {GET(STATE("false", "0")),
                  {.ask = "PUT " URL "/f",
                   .body = "{\"on\":true,\"share\":25,\"op\":\"op-1\"}",
                   .status = 204,
                   .type = "",
                   .header = "Content-Type: application/json"}},
         .answer = FLAG_OK, .wrote = true},
        {"already", FLAG_DO_SET, 25, .tape = {GET(STATE("true", "25"))}, .answer = FLAG_NOCHANGE,
         .state = FLAG_PERCENT, .seen = 25},
        {"not as expected", FLAG_DO_SET, 25, "1/5", .tape = {GET(STATE("true", "6"))},
         .answer = FLAG_CONFLICT, .state = FLAG_PERCENT, .seen = 6},
        {"as expected", FLAG_DO_SET, 25, "1/5", .tape = {GET(STATE("true", "5")), PUT},
         .answer = FLAG_OK, .wrote = true},
        {"killed without a look", FLAG_DO_KILL,
         .tape = {{.ask = "PUT " URL "/f",
                   .body = "{\"on\":false,\"share\":0",
                   .status = 200,
                   .type = "text/plain",
                   .answer = "ok"}},
         .answer = FLAG_OK, .wrote = true},
        {"sign-in page", FLAG_DO_KILL,
         .tape = {{.ask = "PUT " URL "/f", .status = 200, .type = "text/html", .answer = "<p>"}},
         .answer = FLAG_IN_DOUBT, .wrote = true},
        {"redirect", FLAG_DO_KILL,
         .tape = {{.ask = "PUT " URL "/f", .status = 302, .type = "text/html"}},
         .answer = FLAG_REJECTED, .wrote = true, .detail = "redirect"},
        {"redirect after the deed", FLAG_DO_KILL,
         .tape = {{.ask = "PUT " URL "/f", .status = 303, .type = ""}}, .answer = FLAG_IN_DOUBT,
         .wrote = true},
    };

    run(&service, "f", cases, ROWS(cases));
}

static void test_templates_escape(void **state)
{
    (void) state;
    static const struct tape_case json[] = {
        {"json", FLAG_DO_KILL,
         .tape = {{.ask = "POST http://x/a%2F%22b%3Fc?r=rung%201",
                   .body = "{\"k\":\"a/\\\"b?c\",\"{{x}}\":{{0}}",
                   .status = 200}},
         .answer = FLAG_OK, .wrote = true}};
    static const struct tape_case form[] = {
        {"form", FLAG_DO_KILL,
         .tape = {{.ask = "PUT http://x",
                   .body = "k=a%2F%22b%3Fc&on=false",
                   .header = "content-type: application/x-www-form-urlencoded",
                   .status = 200}},
         .answer = FLAG_OK, .wrote = true}};
    const struct flag_service a = {.set_method = "POST",
                                   .set_url = "http://x/{{key}}?r={{reason}}",
                                   .set_body = "{\"k\":\"{{key}}\",\"{{x}}\":{{0}}",
                                   SHOWN};
    const struct flag_service b = {.set_url = "http://x",
                                   .set_body = "k={{key}}&on={{enabled}}",
                                   SHOWN,
                                   .headers = {"content-type: application/x-www-form-urlencoded"}};

    run(&a, "a/\"b?c", json, 1);
    run(&b, "a/\"b?c", form, 1);
}

static void test_blind_and_boolean_services(void **state)
{
    (void) state;
    static const struct tape_case blind[] = {
        {"set without read-back", FLAG_DO_SET, 100,
         .tape = {{.ask = "PUT " URL "/f",
                   .header = "Authorization: Bearer t",
                   .status = 200,
                   .type = ""}},
         .answer = FLAG_OK, .wrote = true},
        {"25 isn't possible", FLAG_DO_SET, 25, .answer = FLAG_REJECTED, .detail = "{{percent}}"},
        {"no read", FLAG_DO_OBSERVE, .state = FLAG_UNKNOWN, .why = "get_url"},
    };
    static const struct tape_case mine[] = {{"their own header", FLAG_DO_KILL,
                                             .tape = {{.ask = "PUT " URL "/f",
                                                       .header = "authorization: Basic x",
                                                       .status = 200,
                                                       .type = ""}},
                                             .answer = FLAG_OK, .wrote = true}};
    const struct flag_service s = {
        .set_url = URL "/{{key}}", .set_body = "{\"on\":{{enabled}}}", .token = "t", SHOWN};
    struct flag_service other = s;

    other.headers[0] = "authorization: Basic x";
    run(&s, "f", blind, ROWS(blind));
    run(&other, "f", mine, 1);
    assert_int_equal(flag_provider_find("http")->reach(&s, flag_value_percent(0)), FLAG_ACCEPTED);
    assert_int_equal(flag_provider_find("http")->reach(&service, flag_value_percent(25)),
                     FLAG_CONFIGURED);
}

static void test_checks(void **state)
{
    (void) state;
    const struct {
        const char *provider;
        struct flag_service s;
        const char *says; /* NULL: good */
    } rows[] = {
        {"http", {.set_url = "http://x/{{key}}"}, NULL},
        {"http", {.get_url = "http://x", .get_on_pointer = "/on"}, NULL},
        {"http", {0}, "set_url"},
        {"http", {.get_url = "http://x"}, "get_on_pointer"},
        {"http",
         {.set_url = "http://x/{{percent}}", .get_url = "http://x", .get_on_pointer = "/on"},
         "get_percent_pointer"},
        {"http", {.set_url = "http://x/{{kye}}"}, "{{kye}}"},
        {"http", {.set_url = "http://x", .set_body = "{{value}}"}, "{{value}}"},
        {"http", {.get_url = "http://x", .get_on_pointer = "on"}, "start with /"},
        {"unleash", {.url = "u", .token = "t", .environment = "e"}, NULL},
        {"unleash", {.token = "t", .environment = "e"}, "`url`"},
        {"unleash", {.url = "u", .environment = "e"}, "`token`"},
        {"unleash", {.url = "u", .token = "t"}, "`environment`"},
        {"builtin", {.url = "u", .token = "t"}, NULL},
        {"builtin", {.url = "u"}, "`token`"},
        {"builtin", {.token = "t"}, "`url`"},
        {"file", {.path = "p"}, NULL},
        {"file", {0}, "`path`"},
        {"ofrep", {.url = "u"}, NULL},
        {"ofrep", {0}, "`url`"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO(err) err = {0};
        bool good = flag_provider_find(rows[i].provider)->check(&rows[i].s, &err);

        CHECK(good == !rows[i].says, "row %zu: %s", i, str_text(&err.message));
        CHECK(good || strstr(str_text(&err.message), rows[i].says), "row %zu: %s", i,
              str_text(&err.message));
        CHECK(good || err.kind == ERR_CONFIG, "row %zu: kind %s", i, err_kind_word(err.kind));
    }
}

/* What every service does alike. The answers are given to a kill (a write) and to an
 * observation. */
static void test_classification(void **state)
{
    (void) state;
    const int64_t s = 1000;
    const struct {
        const char *name;
        struct exchange x;
        enum flag_answer write, read;
        int64_t retry_in_ms; /* of the write; 0: not said */
    } rows[] = {
        {"no connection", {.outcome = HTTP_NOT_SENT}, FLAG_NOT_SENT, FLAG_NOT_SENT, 0},
        {"cut", {.outcome = HTTP_IN_DOUBT}, FLAG_IN_DOUBT, FLAG_NOT_SENT, 0},
        {"401", {.status = 401}, FLAG_AUTH, FLAG_AUTH, 0},
        {"403", {.status = 403}, FLAG_AUTH, FLAG_AUTH, 0},
        {"403 approval",
         {.status = 403, .answer = "{\"message\":\"change request needed\"}"},
         FLAG_BLOCKED_APPROVAL,
         FLAG_BLOCKED_APPROVAL,
         0},
        {"405 approval",
         {.status = 405, .answer = "{\"message\":\"Flag configuration updates require approval\"}"},
         FLAG_BLOCKED_APPROVAL,
         FLAG_BLOCKED_APPROVAL,
         0},
        {"405", {.status = 405}, FLAG_REJECTED, FLAG_REJECTED, 0},
        {"409 change requests",
         {.status = 409, .answer = "{\"code\":\"change_requests_enabled\"}"},
         FLAG_BLOCKED_APPROVAL,
         FLAG_BLOCKED_APPROVAL,
         0},
        {"409", {.status = 409}, FLAG_CONFLICT, FLAG_REJECTED, 0},
        {"408", {.status = 408}, FLAG_IN_DOUBT, FLAG_NOT_SENT, 0},
        {"400", {.status = 400}, FLAG_REJECTED, FLAG_REJECTED, 0},
        {"429", {.status = 429}, FLAG_RATE_LIMITED, FLAG_RATE_LIMITED, 1 * s},
        {"429 seconds",
         {.status = 429, .retry_after = "7"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         7 * s},
        {"429 date",
         {.status = 429, .retry_after = "Mon, 21 Sep 2026 14:13:29 GMT"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         9 * s},
        {"429 date of RFC 850",
         {.status = 429, .retry_after = "Monday, 21-Sep-26 14:13:29 GMT"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         9 * s},
        {"429 date of C",
         {.status = 429, .retry_after = "Mon Sep 21 14:13:29 2026"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         9 * s},
        {"429 date that isn't",
         {.status = 429, .retry_after = "Mon, 31 Feb 2026 14:13:29 GMT"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         1 * s},
        {"429 date of long ago",
         {.status = 429, .retry_after = "Mon, 21 Sep 2020 14:13:29 GMT"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         1 * s},
        {"429 next year",
         {.status = 429, .retry_after = "Mon, 20 Sep 2027 14:13:29 GMT"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         600 * s},
        {"429 for ever",
         {.status = 429, .retry_after = "99999999999"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         600 * s},
        {"429 reset ms",
         {.status = 429, .rate_reset = "1790000003000"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         3 * s},
        {"429 reset s",
         {.status = 429, .rate_reset = "1790000004"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         4 * s},
        {"429 reset in",
         {.status = 429, .rate_reset = "5"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         5 * s},
        {"429 nonsense",
         {.status = 429, .retry_after = "soon", .rate_reset = "-1"},
         FLAG_RATE_LIMITED,
         FLAG_RATE_LIMITED,
         1 * s},
        {"500", {.status = 500}, FLAG_IN_DOUBT, FLAG_NOT_SENT, 0},
        {"502 page", {.status = 502, .type = "text/html"}, FLAG_IN_DOUBT, FLAG_NOT_SENT, 0},
        {"503", {.status = 503}, FLAG_IN_DOUBT, FLAG_NOT_SENT, 0},
        {"503 later", {.status = 503, .retry_after = "2"}, FLAG_IN_DOUBT, FLAG_RATE_LIMITED, 2 * s},
        {"301", {.status = 301}, FLAG_REJECTED, FLAG_REJECTED, 0},
        {"307", {.status = 307}, FLAG_REJECTED, FLAG_REJECTED, 0},
        {"200 page", {.status = 200, .type = "text/html"}, FLAG_IN_DOUBT, FLAG_NOT_SENT, 0},
        {"200 text",
         {.status = 200, .type = "text/plain", .answer = "ok"},
         FLAG_OK,
         FLAG_NOT_SENT,
         0},
        {"404 page", {.status = 404, .type = "text/html"}, FLAG_IN_DOUBT, FLAG_NOT_SENT, 0},
        {"404", {.status = 404}, FLAG_NOT_FOUND, FLAG_OK, 0},
        {"problem",
         {.status = 400, .type = "application/problem+json"},
         FLAG_REJECTED,
         FLAG_REJECTED,
         0},
        {"101", {.status = 101}, FLAG_IN_DOUBT, FLAG_NOT_SENT, 0},
    };
    struct flag_service http = service;
    const struct flag_ref ref = {.service = &http, .key = "f"};

    http.provider = flag_provider_find("http");
    for (size_t i = 0; i < ROWS(rows); i++) {
        for (int write = 0; write < 2; write++) {
            struct tape_case c = {rows[i].name, write ? FLAG_DO_KILL : FLAG_DO_OBSERVE,
                                  .tape = {rows[i].x}};
            AUTO(arena) a = {0};
            struct flag_call call;

            c.tape[0].ask = write ? "PUT " URL "/f" : "GET " URL "/f";
            tape_prepare(&call, &ref, &a, &c);
            tape_run(&call, &c);
            CHECK(call.answer == (write ? rows[i].write : rows[i].read), "%s, %s: %s", c.name,
                  write ? "write" : "read", flag_answer_word(call.answer));
            CHECK(call.answer == FLAG_OK || call.detail, "%s: no detail", c.name);
            CHECK(!call.detail || !strstr(call.detail, "secret"), "%s: a secret in %s", c.name,
                  call.detail);
            if (write)
                CHECK(call.retry_at_ms ==
                          (rows[i].retry_in_ms ? TAPE_NOW + rows[i].retry_in_ms : 0),
                      "%s: retry in %lld", c.name, (long long) (call.retry_at_ms - TAPE_NOW));
        }
    }
}

#define OFREP                                                                                      \
    {                                                                                              \
        .ask = "POST " URL "/ofrep/v1/evaluate/flags/f", .body = "targetingKey",                   \
        .header = "Authorization: Bearer r"
#define EVALUATED(value, reason)                                                                   \
    OFREP, .status = 200,                                                                          \
           .answer = "{\"key\":\"f\",\"value\":" value ",\"reason\":\"" reason "\"}"               \
    }

static void test_ofrep(void **state)
{
    (void) state;
    static const struct tape_case
        cases[] = {{"off", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
                    .tape = {EVALUATED("false", "STATIC")}, .state = FLAG_OFF},
                   {"on", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
                    .tape = {EVALUATED("true", "DEFAULT")}, .state = FLAG_ON, .seen = 100},
                   {"one user's", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
                    .tape = {EVALUATED("false", "SPLIT")}, .state = FLAG_UNKNOWN, .why = "SPLIT"},
                   {"no reason", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
                    .tape = {OFREP, .status = 200, .answer = "{\"value\":false}"}},
                   .state = FLAG_UNKNOWN},
        {"text", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {EVALUATED("\"blue\"", "STATIC")}, .state = FLAG_COMPLEX},
        {"absent", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {OFREP, .status = 404, .answer = "{\"errorCode\":\"FLAG_NOT_FOUND\"}"}},
        .state = FLAG_ABSENT
}
,
    {"absent, but seen before", FLAG_DO_OBSERVE, .seen_before = true,
     .tape = {OFREP, .status = 404, .answer = "{\"errorCode\":\"FLAG_NOT_FOUND\"}"}},
    .answer = FLAG_NOT_SENT
}
, {"no such path", FLAG_DO_OBSERVE, .tape = {OFREP, .status = 404, .answer = "{}"}},
    .answer = FLAG_REJECTED
}
, {"no writing", FLAG_DO_SET, 25, .answer = FLAG_REJECTED},
    {"no kill", FLAG_DO_KILL, .answer = FLAG_REJECTED},
}
;
struct flag_service s = {
    .provider = flag_provider_find("ofrep"), .url = URL, .token = "r", .shown = "ofrep"};

run(&s, "f", cases, ROWS(cases));
/* as a second source of another provider */
s = service;
s.ofrep_url = URL;
s.sdk_token = "r";
s.provider = flag_provider_find("http");
run(&s, "f", cases, 3);
assert_int_equal(flag_service_reach(&s, flag_value_percent(0)), FLAG_DELIVERED);
assert_int_equal(flag_service_reach(&s, flag_value_percent(25)), FLAG_CONFIGURED);
}

static void test_words_and_list(void **state)
{
    (void) state;
    static const char *const names[] = {"unleash", "builtin", "file", "http", "ofrep"};
    int n = 0;

    for (; flag_providers[n]; n++) {
        assert_ptr_equal(flag_provider_find(flag_providers[n]->name), flag_providers[n]);
        assert_true(flag_providers[n]->about && flag_providers[n]->check &&
                    flag_providers[n]->next && flag_providers[n]->reach &&
                    flag_providers[n]->default_propagation_ms > 0);
    }
    assert_int_equal(n, ROWS(names));
    for (size_t i = 0; i < ROWS(names); i++)
        assert_non_null(flag_provider_find(names[i]));
    assert_null(flag_provider_find("toggle"));
    assert_null(flag_provider_find(NULL));
    for (int i = FLAG_UNKNOWN; i <= FLAG_COMPLEX; i++)
        assert_non_null(flag_state_word((enum flag_state) i));
    for (int i = FLAG_OK; i <= FLAG_IN_DOUBT; i++)
        assert_non_null(flag_answer_word((enum flag_answer) i));
    assert_string_equal(flag_answer_word(FLAG_IN_DOUBT), "in_doubt");
    assert_string_equal(flag_level_word(FLAG_CONFIRMED), "confirmed");
    assert_string_equal(flag_verb_word(FLAG_DO_CLEAR), "clear");
    assert_int_equal(flag_exposure(FLAG_PERCENT, 7), 7);
    assert_int_equal(flag_exposure(FLAG_ON, 100), 100);
    assert_int_equal(flag_exposure(FLAG_ARCHIVED, 0), 0);
    assert_int_equal(flag_exposure(FLAG_COMPLEX, 50), -1);
    assert_int_equal(flag_exposure(FLAG_UNKNOWN, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_templates_escape),
        cmocka_unit_test(test_blind_and_boolean_services),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_classification),
        cmocka_unit_test(test_ofrep),
        cmocka_unit_test(test_words_and_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
