/* The machine of provider builtin, in the shapes of `phasegate flag-server`. */
#include "provider_tape.h"

#define URL "http://flags"
#define ADMIN URL "/admin/v1/flags/f"
#define SOURCE URL "/flagd/v1/flags.json"
#define FLAG(percent, more)                                                                        \
    "{\"key\":\"f\",\"enabled\":true,\"percent\":" percent                                         \
    ",\"bucketBy\":\"accountId\",\"updatedAt\":"                                                   \
    "\"2026-11-21T03:14:52.830Z\",\"updatedBy\":\"alice\",\"archived\":false" more "}"
#define GET(percent)                                                                               \
    {                                                                                              \
        .ask = "GET " ADMIN, .status = 200, .answer = FLAG(percent, ""), .etag = "\"s-7\""         \
    }
#define MISSING                                                                                    \
    {                                                                                              \
        .ask = "GET " ADMIN, .status = 404, .answer = "{\"error\":\"not_found\"}"                  \
    }

static const struct flag_service service = {
    .url = URL "/", .token = "secret", .shown = "builtin at " URL};

static void run(const struct tape_case *cases, size_t n)
{
    struct flag_service s = service;
    const struct flag_ref ref = {.service = &s, .key = "f", .bucket_by = "accountId"};

    s.provider = flag_provider_find("builtin");
    tape_table(&ref, cases, n);
}

static void test_configured(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"0", FLAG_DO_OBSERVE, .tape = {GET("0")}, .state = FLAG_OFF},
        {"25", FLAG_DO_OBSERVE, .tape = {GET("25")}, .state = FLAG_PERCENT, .seen = 25},
        {"100", FLAG_DO_OBSERVE, .tape = {GET("100")}, .state = FLAG_ON, .seen = 100},
        {"token", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " ADMIN,
                   .header = "Authorization: Bearer secret",
                   .status = 401,
                   .answer = "{}"}},
         .answer = FLAG_AUTH},
        {"101", FLAG_DO_OBSERVE, .tape = {GET("101")}, .answer = FLAG_NOT_SENT},
        {"text", FLAG_DO_OBSERVE, .tape = {GET("\"25\"")}, .answer = FLAG_NOT_SENT},
        {"another flag", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " ADMIN, .status = 200, .answer = "{\"key\":\"g\",\"percent\":1}"}},
         .answer = FLAG_NOT_SENT},
        {"archived", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " ADMIN,
                   .status = 200,
                   .answer = "{\"key\":\"f\",\"percent\":0,\"archived\":true}"}},
         .state = FLAG_ARCHIVED},
        {"absent", FLAG_DO_OBSERVE, .tape = {MISSING}, .state = FLAG_ABSENT},
        {"absent, but seen before", FLAG_DO_OBSERVE, .seen_before = true, .tape = {MISSING},
         .answer = FLAG_NOT_SENT},
    };

    run(cases, ROWS(cases));
}

#define TARGETING(on, off)                                                                         \
    "{\"if\":[{\"!=\":[{\"var\":\"accountId\"},null]},{\"fractional\":[{\"cat\":[{\"var\":\"$"     \
    "flagd.flagKey\"},"                                                                            \
    "{\"var\":\"accountId\"}]},[\"on\"," on "],[\"off\"," off "]]},\"off\"]}"
#define FLAGD(preset, targeting)                                                                   \
    "{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},"           \
    "\"defaultVariant\":\"" preset "\"" targeting "}}}"
#define READ_SOURCE(text)                                                                          \
    {                                                                                              \
        .ask = "GET " SOURCE, .status = 200, .answer = text, .etag = "\"s-9\""                     \
    }

static void test_delivered(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"on", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED, .tape = {READ_SOURCE(FLAGD("on", ""))},
         .state = FLAG_ON, .seen = 100},
        {"off", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED, .tape = {READ_SOURCE(FLAGD("off", ""))},
         .state = FLAG_OFF},
        {"25", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {READ_SOURCE(FLAGD("off", ",\"targeting\":" TARGETING("25", "75")))},
         .state = FLAG_PERCENT, .seen = 25},
        {"25, bare", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {READ_SOURCE(FLAGD(
             "off", ",\"targeting\":{\"fractional\":[{\"var\":\"u\"},[\"on\",1],[\"off\",3]]}"))},
         .state = FLAG_PERCENT, .seen = 25},
        {"other targeting", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {READ_SOURCE(
             FLAGD("off", ",\"targeting\":{\"if\":[{\"==\":[1,1]},\"on\",\"off\"]}"))},
         .state = FLAG_COMPLEX, .why = "targeting"},
        {"three shares", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {READ_SOURCE(
             FLAGD("off", ",\"targeting\":{\"fractional\":[[\"on\",1],[\"off\",1],[\"on\",1]]}"))},
         .state = FLAG_COMPLEX},
        {"a third of a percent", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {READ_SOURCE(
             FLAGD("off", ",\"targeting\":{\"fractional\":[[\"on\",1],[\"off\",2]]}"))},
         .state = FLAG_COMPLEX},
        {"disabled", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {READ_SOURCE(
             "{\"flags\":{\"f\":{\"state\":\"DISABLED\",\"variants\":{\"on\":true,\"off\":false},"
             "\"defaultVariant\":\"off\"}}}")},
         .state = FLAG_COMPLEX, .why = "DISABLED"},
        {"absent", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED, .seen_before = true,
         .tape = {READ_SOURCE("{\"flags\":{}}")}, .state = FLAG_ABSENT},
        {"something else", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED, .tape = {READ_SOURCE("{}")},
         .answer = FLAG_NOT_SENT},
    };

    run(cases, ROWS(cases));
}

#define PUT(ask_body, percent)                                                                     \
    {                                                                                              \
        .ask = "PUT " ADMIN, .body = ask_body, .header = "If-Match: \"s-7\"", .status = 200,       \
        .answer = FLAG(percent, ""), .etag = "\"s-8\""                                             \
    }

static void test_writes(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"made, off", FLAG_DO_ENSURE,
         .tape = {MISSING,
                  {.ask = "PUT " ADMIN,
                   .body = "\"percent\":0",
                   .header = "If-None-Match: *",
                   .status = 200,
                   .answer = FLAG("0", "")}},
         .answer = FLAG_OK, .state = FLAG_OFF, .wrote = true},
        {"somebody made it first", FLAG_DO_ENSURE,
         .tape = {MISSING,
                  {.ask = "PUT " ADMIN,
                   .status = 412,
                   .answer = "{\"error\":\"precondition_failed\"}"},
                  GET("0")},
         .answer = FLAG_NOCHANGE, .state = FLAG_OFF, .wrote = true},
        {"0 to 25", FLAG_DO_SET, 25, .tape = {GET("0"), PUT("\"percent\":25", "25")},
         .answer = FLAG_OK, .state = FLAG_PERCENT, .seen = 25, .wrote = true},
        {"op id and reason", FLAG_DO_SET, 25, .tape = {GET("0"), PUT("\"opId\":\"op-1\"", "25")},
         .answer = FLAG_OK, .state = FLAG_PERCENT, .seen = 25, .wrote = true},
        {"25 to 0", FLAG_DO_SET, 0, .tape = {GET("25"), PUT("\"percent\":0", "0")},
         .answer = FLAG_OK, .state = FLAG_OFF, .wrote = true},
        {"25 to 100", FLAG_DO_SET, 100, .tape = {GET("25"), PUT("\"percent\":100", "100")},
         .answer = FLAG_OK, .state = FLAG_ON, .seen = 100, .wrote = true},
        {"25 to 25", FLAG_DO_SET, 25, .tape = {GET("25")}, .answer = FLAG_NOCHANGE,
         .state = FLAG_PERCENT, .seen = 25},
        {"as expected", FLAG_DO_SET, 25, "\"s-7\"", .tape = {GET("5"), PUT("\"percent\":25", "25")},
         .answer = FLAG_OK, .state = FLAG_PERCENT, .seen = 25, .wrote = true},
        {"not as expected", FLAG_DO_SET, 25, "\"s-6\"", .tape = {GET("5")}, .answer = FLAG_CONFLICT,
         .state = FLAG_PERCENT, .seen = 5, .detail = "alice"},
        {"changed in between", FLAG_DO_SET, 25,
         .tape = {GET("5"),
                  {.ask = "PUT " ADMIN,
                   .status = 412,
                   .answer = "{\"error\":\"precondition_failed\"}"}},
         .answer = FLAG_CONFLICT, .state = FLAG_PERCENT, .seen = 5, .wrote = true},
        {"absent", FLAG_DO_SET, 25, .tape = {MISSING}, .answer = FLAG_NOT_FOUND,
         .state = FLAG_ABSENT},
        {"not stored durably", FLAG_DO_SET, 25,
         .tape = {GET("5"),
                  {.ask = "PUT " ADMIN, .status = 500, .answer = "{\"error\":\"in_doubt\"}"}},
         .answer = FLAG_IN_DOUBT, .wrote = true},
        {"killed", FLAG_DO_KILL,
         .tape = {{.ask = "POST " ADMIN "/off",
                   .body = "{\"opId\":\"op-1\",\"reason\":\"rung 1\"}",
                   .status = 200,
                   .answer = FLAG("0", "")}},
         .answer = FLAG_OK, .state = FLAG_OFF, .wrote = true},
        {"killed, archived", FLAG_DO_KILL,
         .tape = {{.ask = "POST " ADMIN "/off",
                   .status = 200,
                   .answer = "{\"key\":\"f\",\"percent\":0,\"archived\":true}"}},
         .answer = FLAG_OK, .state = FLAG_ARCHIVED, .wrote = true},
        {"no flag to kill", FLAG_DO_KILL,
         .tape = {{.ask = "POST " ADMIN "/off", .status = 404, .answer = "{}"}},
         .answer = FLAG_NOT_FOUND, .wrote = true},
        {"killed, cut", FLAG_DO_KILL,
         .tape = {{.ask = "POST " ADMIN "/off", .outcome = HTTP_IN_DOUBT}}, .answer = FLAG_IN_DOUBT,
         .wrote = true},
        {"not stored", FLAG_DO_KILL,
         .tape = {{.ask = "POST " ADMIN "/off", .status = 507, .answer = "{}"}},
         .answer = FLAG_IN_DOUBT, .wrote = true},
    };

    run(cases, ROWS(cases));
}

static void test_other_bucket(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"25 by another value", FLAG_DO_SET, 50, .tape = {GET("25")}, .answer = FLAG_REJECTED,
         .state = FLAG_PERCENT, .seen = 25, .detail = "\"accountId\""},
        {"to everybody", FLAG_DO_SET, 100, .tape = {GET("25"), PUT("100", "100")},
         .answer = FLAG_OK, .state = FLAG_ON, .seen = 100, .wrote = true},
        {"from nobody", FLAG_DO_SET, 5, .tape = {GET("0"), PUT("\"bucketBy\":\"tenantId\"", "5")},
         .answer = FLAG_OK, .state = FLAG_PERCENT, .seen = 5, .wrote = true},
    };
    struct flag_service s = service;
    const struct flag_ref ref = {.service = &s, .key = "f", .bucket_by = "tenantId"};

    s.provider = flag_provider_find("builtin");
    tape_table(&ref, cases, ROWS(cases));
}

static void test_long_reasons_do_not_stop_a_kill(void **state)
{
    (void) state;
    static const struct tape_case c = {
        "long",
        FLAG_DO_KILL,
        .tape = {{.ask = "POST " ADMIN "/off", .status = 200, .answer = FLAG("0", "")}},
        .answer = FLAG_OK,
        .state = FLAG_OFF,
        .wrote = true};
    char reason[1000];
    struct flag_service s = service;
    const struct flag_ref ref = {.service = &s, .key = "f"};
    AUTO(arena) a = {0};
    struct flag_call call;
    struct http_req req;

    memset(reason, 'x', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    memcpy(reason + 255, "\xc3\xa9", 2); /* a character that the limit of 256 bytes cuts in half */
    s.provider = flag_provider_find("builtin");
    tape_prepare(&call, &ref, &a, &c);
    call.reason = reason;
    assert_int_equal(s.provider->next(&call, NULL, &req), FLAG_REQUEST);
    assert_non_null(strstr(req.body, "xxx\"}"));
    assert_true(req.body_len < 300);
}

static void test_history(void **state)
{
    (void) state;
    static const struct tape_case c = {
        "history", FLAG_DO_HISTORY,
        .tape = {{.ask = "GET " ADMIN "/history",
                  .status = 200,
                  .answer = "{\"key\":\"f\",\"history\":[{\"action\":\"off\",\"previousPercent\":"
                            "25,\"percent\":0,\"at\":"
                            "\"2026-11-21T03:14:52.830Z\",\"by\":\"bob\"}]}"}}};
    struct flag_service s = service;
    const struct flag_ref ref = {.service = &s, .key = "f"};
    AUTO(arena) a = {0};
    struct flag_call call;

    s.provider = flag_provider_find("builtin");
    tape_prepare(&call, &ref, &a, &c);
    tape_run(&call, &c);
    tape_check(&call, &c);
    assert_int_equal(call.n_events, 1);
    assert_string_equal(call.events[0].actor, "bob");
    assert_string_equal(call.events[0].what, "off: 25 % to 0 %");
    assert_int_equal(call.events[0].at_ms, INT64_C(1795230892830));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configured),
        cmocka_unit_test(test_delivered),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_other_bucket),
        cmocka_unit_test(test_long_reasons_do_not_stop_a_kill),
        cmocka_unit_test(test_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
