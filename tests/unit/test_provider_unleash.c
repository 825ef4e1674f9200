/* The machine of provider unleash, against canned answers in the shapes of Unleash 6.10. */
#include "provider_tape.h"

#define URL "http://flags"
#define FEATURE URL "/api/admin/projects/shop/features/f"
#define ENV FEATURE "/environments/production"
#define SEARCH URL "/api/admin/search/features?query=f&project=IS%3Ashop&limit=100"
#define NOT_ARCHIVED                                                                               \
    {                                                                                              \
        .ask = "GET " SEARCH "&archived=IS%3Atrue", .status = 200,                                 \
        .answer = "{\"features\":[],\"total\":0}"                                                  \
    }
#define STRATEGY(rollout, more)                                                                    \
    "{\"id\":\"s1\",\"name\":\"flexibleRollout\",\"constraints\":[],\"segments\":[],\"disabled\":" \
    "false,"                                                                                       \
    "\"title\":\"t\",\"parameters\":{\"rollout\":\"" rollout                                       \
    "\",\"stickiness\":\"accountId\",\"groupId\":\"f\"}" more "}"
#define FLAG(enabled, strategies, more)                                                            \
    "{\"name\":\"f\",\"archived\":false,\"dependencies\":[],\"environments\":[{\"name\":"          \
    "\"development\","                                                                             \
    "\"enabled\":true,\"strategies\":[]},{\"name\":\"production\",\"enabled\":" enabled            \
    ",\"strategies\":[" strategies "]" more "}]}"
#define NOT_THERE "{\"name\":\"NotFoundError\",\"message\":\"There's no feature named f\"}"
#define GET_FLAG(enabled, strategies)                                                              \
    {                                                                                              \
        .ask = "GET " FEATURE, .status = 200, .answer = FLAG(enabled, strategies, "")              \
    }
#define HTML .type = "text/html", .answer = "<html></html>"

static const struct flag_service service = {
    .url = URL "/api/",
    .token = "secret",
    .project = "shop",
    .environment = "production",
    .sdk_token = "sdk",
    .shown = "unleash at " URL,
};

static void run(const struct tape_case *cases, size_t n)
{
    struct flag_service s = service;
    const struct flag_ref ref = {
        .service = &s, .key = "f", .bucket_by = "accountId", .purpose = "read flag of p"};

    s.provider = flag_provider_find("unleash");
    tape_table(&ref, cases, n);
}

static void test_observe(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"off", FLAG_DO_OBSERVE, .tape = {GET_FLAG("false", STRATEGY("25", ""))},
         .state = FLAG_OFF},
        {"off without strategies", FLAG_DO_OBSERVE, .tape = {GET_FLAG("false", "")},
         .state = FLAG_OFF},
        {"25", FLAG_DO_OBSERVE, .tape = {GET_FLAG("true", STRATEGY("25", ""))},
         .state = FLAG_PERCENT, .seen = 25},
        {"100", FLAG_DO_OBSERVE, .tape = {GET_FLAG("true", STRATEGY("100", ""))}, .state = FLAG_ON,
         .seen = 100},
        {"on at 0 %", FLAG_DO_OBSERVE, .tape = {GET_FLAG("true", STRATEGY("0", ""))},
         .state = FLAG_OFF},
        {"everybody", FLAG_DO_OBSERVE,
         .tape = {GET_FLAG("true", "{\"id\":\"x\",\"name\":\"default\"}")}, .state = FLAG_ON,
         .seen = 100},
        {"abc %", FLAG_DO_OBSERVE, .tape = {GET_FLAG("true", STRATEGY("abc", ""))},
         .state = FLAG_COMPLEX, .why = "whole number"},
        {"12.5 %", FLAG_DO_OBSERVE, .tape = {GET_FLAG("true", STRATEGY("12.5", ""))},
         .state = FLAG_COMPLEX},
        {"250 %", FLAG_DO_OBSERVE, .tape = {GET_FLAG("true", STRATEGY("250", ""))},
         .state = FLAG_COMPLEX},
        {"two strategies", FLAG_DO_OBSERVE,
         .tape = {GET_FLAG("true", STRATEGY("1", "") "," STRATEGY("100", ""))},
         .state = FLAG_COMPLEX, .why = "2 strategies"},
        {"user ids", FLAG_DO_OBSERVE,
         .tape = {GET_FLAG("true", "{\"id\":\"x\",\"name\":\"userWithId\"}")},
         .state = FLAG_COMPLEX, .why = "userWithId"},
        {"constraints", FLAG_DO_OBSERVE,
         .tape = {GET_FLAG("true",
                           "{\"id\":\"x\",\"name\":\"flexibleRollout\",\"constraints\":[{}],"
                           "\"parameters\":{\"rollout\":\"5\"}}")},
         .state = FLAG_COMPLEX, .why = "constraints"},
        {"segments", FLAG_DO_OBSERVE,
         .tape = {GET_FLAG("true", "{\"id\":\"x\",\"name\":\"flexibleRollout\",\"segments\":[1],"
                                   "\"parameters\":{\"rollout\":\"5\"}}")},
         .state = FLAG_COMPLEX, .why = "segments"},
        {"dependency", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " FEATURE,
                   .status = 200,
                   .answer = "{\"name\":\"f\",\"dependencies\":[{\"feature\":\"g\"}],"
                             "\"environments\":[{\"name\":"
                             "\"production\",\"enabled\":true,\"strategies\":[" STRATEGY(
                                 "5", "") "]}]}"}},
         .state = FLAG_COMPLEX, .why = "depends"},
        {"release plan", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " FEATURE,
                   .status = 200,
                   .answer = FLAG("true", STRATEGY("5", ""), ",\"releasePlans\":[{\"id\":1}]")}},
         .state = FLAG_COMPLEX, .why = "release plan"},
        {"archived is off whatever the environment says", FLAG_DO_OBSERVE,
         .tape =
             {{.ask = "GET " FEATURE,
               .status = 200,
               .answer =
                   "{\"name\":\"f\",\"archived\":true,\"environments\":[{\"name\":\"production\","
                   "\"enabled\":true,\"strategies\":[]}]}"}},
         .state = FLAG_ARCHIVED},
        {"another environment", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " FEATURE,
                   .status = 200,
                   .answer = "{\"name\":\"f\",\"environments\":[]}"}},
         .answer = FLAG_NOT_FOUND, .detail = "no environment \"production\""},
        {"absent when a search agrees", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH,
                   .status = 200,
                   .answer = "{\"features\":[{\"name\":\"f2\"}],\"total\":1}"},
                  NOT_ARCHIVED},
         .state = FLAG_ABSENT},
        {"archived, which the feature endpoint doesn't know", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH, .status = 200, .answer = "{\"features\":[]}"},
                  {.ask = "GET " SEARCH "&archived=IS%3Atrue",
                   .status = 200,
                   .answer = "{\"features\":[{\"name\":\"f\"}]}"}},
         .state = FLAG_ARCHIVED},
        {"404 and the search finds it", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH,
                   .status = 200,
                   .answer = "{\"features\":[{\"name\":\"f\"}],\"total\":1}"}},
         .answer = FLAG_NOT_SENT, .state = FLAG_UNKNOWN},
        {"404 and the search is down", FLAG_DO_OBSERVE, .seen_before = true,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH, .status = 500, .answer = "{}"}},
         .answer = FLAG_NOT_SENT, .state = FLAG_UNKNOWN},
        {"404 and the search finds too much", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH,
                   .status = 200,
                   .answer = "{\"features\":[],\"total\":500}"}},
         .answer = FLAG_NOT_SENT, .state = FLAG_UNKNOWN},
        {"404 of a proxy", FLAG_DO_OBSERVE, .tape = {{.ask = "GET " FEATURE, .status = 404, HTML}},
         .answer = FLAG_NOT_SENT, .state = FLAG_UNKNOWN},
        {"200 of the web page", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " FEATURE, .status = 200, HTML}}, .answer = FLAG_NOT_SENT,
         .state = FLAG_UNKNOWN, .why = "web page"},
        {"wrong token", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " FEATURE,
                   .header = "Authorization: secret",
                   .status = 401,
                   .answer = "{}"}},
         .answer = FLAG_AUTH, .state = FLAG_UNKNOWN},
        {"cut", FLAG_DO_OBSERVE, .tape = {{.ask = "GET " FEATURE, .outcome = HTTP_IN_DOUBT}},
         .answer = FLAG_NOT_SENT, .state = FLAG_UNKNOWN, .why = "it was cut"},
        {"other JSON", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " FEATURE, .status = 200, .answer = "[]"}}, .answer = FLAG_NOT_SENT,
         .state = FLAG_UNKNOWN},
        {"not JSON after all", FLAG_DO_OBSERVE,
         .tape = {{.ask = "GET " FEATURE, .status = 200, .answer = "{\"na"}},
         .answer = FLAG_NOT_SENT, .state = FLAG_UNKNOWN},
    };

    run(cases, ROWS(cases));
}

#define CLIENT URL "/api/client/features"
#define SDK(enabled, strategies)                                                                   \
    "{\"version\":2,\"features\":[{\"name\":\"g\",\"enabled\":true,\"strategies\":[]},{\"name\":"  \
    "\"f\",\"enabled\":" enabled ",\"strategies\":[" strategies                                    \
    "]}],\"query\":{\"environment\":\"production\"}}"

static void test_delivered(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"25", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {{.ask = "GET " CLIENT,
                   .header = "Authorization: sdk",
                   .status = 200,
                   .answer = SDK("true", STRATEGY("25", "")),
                   .etag = "\"a:1\""}},
         .state = FLAG_PERCENT, .seen = 25},
        {"off", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {{.ask = "GET " CLIENT,
                   .status = 200,
                   .answer = SDK("false", STRATEGY("25", ""))}},
         .state = FLAG_OFF},
        {"not listed", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED, .seen_before = true,
         .tape = {{.ask = "GET " CLIENT, .status = 200, .answer = "{\"features\":[]}"}},
         .state = FLAG_ABSENT},
        {"wrong kind of token", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {{.ask = "GET " CLIENT,
                   .status = 403,
                   .answer = "{\"message\":\"invalid token\"}"}},
         .answer = FLAG_AUTH, .detail = "sdk_token: "},
        {"web page", FLAG_DO_OBSERVE, .level = FLAG_DELIVERED,
         .tape = {{.ask = "GET " CLIENT, .status = 200, HTML}}, .answer = FLAG_NOT_SENT,
         .state = FLAG_UNKNOWN},
    };

    run(cases, ROWS(cases));
}

static void test_delivered_not_modified(void **state)
{
    (void) state;
    static const struct tape_case c = {
        "304",
        FLAG_DO_OBSERVE,
        .level = FLAG_DELIVERED,
        .tape = {{.ask = "GET " CLIENT, .header = "If-None-Match: \"a:1\"", .status = 304}},
        .state = FLAG_PERCENT,
        .seen = 7};
    const struct flag_obs known = {.state = FLAG_PERCENT, .percent = 7};
    struct flag_service s = service;
    const struct flag_ref ref = {.service = &s, .key = "f"};
    AUTO(arena) a = {0};
    struct flag_call call;

    s.provider = flag_provider_find("unleash");
    tape_prepare(&call, &ref, &a, &c);
    call.known = &known;
    call.etag = "\"a:1\"";
    tape_run(&call, &c);
    tape_check(&call, &c);
    assert_string_equal(call.etag, "\"a:1\"");
}

#define ADD(rollout)                                                                               \
    .ask = "POST " ENV "/strategies",                                                              \
    .body = "\"parameters\":{\"groupId\":\"f\",\"rollout\":\"" rollout                             \
            "\",\"stickiness\":\"accountId\"}",                                                    \
    .status = 200, .answer = STRATEGY(rollout, "")
#define PATCH(rollout)                                                                             \
    .ask = "PATCH " ENV "/strategies/s1",                                                          \
    .body = "{\"op\":\"replace\",\"path\":\"/parameters/rollout\",\"value\":\"" rollout "\"}",     \
    .status = 200, .answer = STRATEGY(rollout, "")
#define ON .ask = "POST " ENV "/on", .body = "", .status = 200, .type = "", .answer = ""
#define OFF .ask = "POST " ENV "/off", .body = "", .status = 200, .type = "", .answer = ""

static void test_ensure(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"made, off, with a strategy of 1 %", FLAG_DO_ENSURE,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH, .status = 200, .answer = "{\"features\":[],\"total\":0}"},
                  NOT_ARCHIVED,
                  {.ask = "POST " URL "/api/admin/projects/shop/features",
                   .body = "\"name\":\"f\"",
                   .status = 201,
                   .answer = "{\"name\":\"f\"}"},
                  {ADD("1")},
                  GET_FLAG("false", STRATEGY("1", ""))},
         .answer = FLAG_OK, .state = FLAG_OFF, .wrote = true},
        {"only the strategy is missing", FLAG_DO_ENSURE,
         .tape = {GET_FLAG("false", ""), {ADD("1")}, GET_FLAG("false", STRATEGY("1", ""))},
         .answer = FLAG_OK, .state = FLAG_OFF, .wrote = true},
        {"there already", FLAG_DO_ENSURE, .tape = {GET_FLAG("false", STRATEGY("1", ""))},
         .answer = FLAG_NOCHANGE, .state = FLAG_OFF},
        {"archived namesake", FLAG_DO_ENSURE,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH, .status = 200, .answer = "{\"features\":[],\"total\":0}"},
                  NOT_ARCHIVED,
                  {.ask = "POST " URL "/api/admin/projects/shop/features",
                   .status = 409,
                   .answer = "{\"name\":\"NameExistsError\",\"message\":\"An archived flag with "
                             "that name already exists\"}"}},
         .answer = FLAG_REJECTED, .state = FLAG_ABSENT, .wrote = true,
         .detail = "An archived flag"},
        {"not made on a 404 alone", FLAG_DO_ENSURE,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH, .status = 500, .answer = "{}"}},
         .answer = FLAG_NOT_SENT, .state = FLAG_UNKNOWN},
        {"foreign strategies", FLAG_DO_ENSURE,
         .tape = {GET_FLAG("false", STRATEGY("1", "") "," STRATEGY("100", ""))},
         .answer = FLAG_REJECTED, .state = FLAG_OFF, .why = "2 strategies"},
        {"a second strategy came meanwhile", FLAG_DO_ENSURE,
         .tape = {GET_FLAG("false", ""),
                  {ADD("1")},
                  GET_FLAG("false", STRATEGY("1", "") "," STRATEGY("1", ""))},
         .answer = FLAG_REJECTED, .state = FLAG_OFF, .wrote = true},
        {"creation in doubt", FLAG_DO_ENSURE,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH, .status = 200, .answer = "{\"features\":[],\"total\":0}"},
                  NOT_ARCHIVED,
                  {.ask = "POST " URL "/api/admin/projects/shop/features",
                   .outcome = HTTP_IN_DOUBT}},
         .answer = FLAG_IN_DOUBT, .state = FLAG_UNKNOWN, .wrote = true},
    };

    run(cases, ROWS(cases));
}

static void test_set(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"off to 25: the percentage first, then on", FLAG_DO_SET, 25,
         .tape = {GET_FLAG("false", STRATEGY("1", "")), {PATCH("25")}, {ON}}, .answer = FLAG_OK,
         .wrote = true},
        {"off to 25 without a strategy: never on before it", FLAG_DO_SET, 25,
         .tape = {GET_FLAG("false", ""), {ADD("25")}, {ON}}, .answer = FLAG_OK, .wrote = true},
        {"off to 25, left at 25", FLAG_DO_SET, 25,
         .tape = {GET_FLAG("false", STRATEGY("25", "")), {ON}}, .answer = FLAG_OK, .wrote = true},
        {"5 to 25", FLAG_DO_SET, 25, .tape = {GET_FLAG("true", STRATEGY("5", "")), {PATCH("25")}},
         .answer = FLAG_OK, .wrote = true},
        {"5 to 100", FLAG_DO_SET, 100,
         .tape = {GET_FLAG("true", STRATEGY("5", "")), {PATCH("100")}}, .answer = FLAG_OK,
         .wrote = true},
        {"25 to off", FLAG_DO_SET, 0, .tape = {GET_FLAG("true", STRATEGY("25", "")), {OFF}},
         .answer = FLAG_OK, .wrote = true},
        {"the op id is in the title", FLAG_DO_SET, 25,
         .tape = {GET_FLAG("true", STRATEGY("5", "")),
                  {.ask = "PATCH " ENV "/strategies/s1",
                   .body = "\"value\":\"phasegate op-1: rung 1\"",
                   .status = 200,
                   .answer = STRATEGY("25", "")}},
         .answer = FLAG_OK, .wrote = true},
        {"25 to 25", FLAG_DO_SET, 25, .tape = {GET_FLAG("true", STRATEGY("25", ""))},
         .answer = FLAG_NOCHANGE, .state = FLAG_PERCENT, .seen = 25},
        {"off to off", FLAG_DO_SET, 0, .tape = {GET_FLAG("false", "")}, .answer = FLAG_NOCHANGE,
         .state = FLAG_OFF},
        {"a disabled strategy is enabled before on", FLAG_DO_SET, 25,
         .tape =
             {GET_FLAG(
                  "false",
                  "{\"id\":\"s1\",\"name\":\"flexibleRollout\",\"disabled\":true,\"parameters\":"
                  "{\"rollout\":\"25\",\"stickiness\":\"accountId\"}}"),
              {.ask = "PATCH " ENV "/strategies/s1",
               .body = "{\"op\":\"replace\",\"path\":\"/disabled\",\"value\":false}",
               .status = 200,
               .answer = STRATEGY("25", "")},
              {ON}},
         .answer = FLAG_OK, .wrote = true},
        {"changed meanwhile", FLAG_DO_SET, 25, "other",
         .tape = {GET_FLAG("true", STRATEGY("5", ""))}, .answer = FLAG_CONFLICT,
         .state = FLAG_PERCENT, .seen = 5},
        {"two strategies", FLAG_DO_SET, 25,
         .tape = {GET_FLAG("true", STRATEGY("5", "") "," STRATEGY("6", ""))},
         .answer = FLAG_REJECTED, .state = FLAG_COMPLEX, .detail = "2 strategies"},
        {"two strategies can be switched off", FLAG_DO_SET, 0,
         .tape = {GET_FLAG("true", STRATEGY("5", "") "," STRATEGY("6", "")), {OFF}},
         .answer = FLAG_OK, .wrote = true},
        {"other stickiness", FLAG_DO_SET, 25,
         .tape = {GET_FLAG(
             "false",
             "{\"id\":\"s1\",\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"1\","
             "\"stickiness\":\"userId\"}}")},
         .answer = FLAG_REJECTED, .state = FLAG_OFF, .detail = "\"userId\""},
        {"absent", FLAG_DO_SET, 25,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH, .status = 200, .answer = "{\"features\":[],\"total\":0}"},
                  NOT_ARCHIVED},
         .answer = FLAG_NOT_FOUND, .state = FLAG_ABSENT},
        {"archived", FLAG_DO_SET, 25,
         .tape = {{.ask = "GET " FEATURE,
                   .status = 200,
                   .answer = "{\"name\":\"f\",\"archived\":true}"}},
         .answer = FLAG_REJECTED, .state = FLAG_ARCHIVED},
        {"nothing sent when the read fails", FLAG_DO_SET, 25,
         .tape = {{.ask = "GET " FEATURE, .outcome = HTTP_IN_DOUBT}}, .answer = FLAG_NOT_SENT,
         .state = FLAG_UNKNOWN},
        {"patch in doubt", FLAG_DO_SET, 25,
         .tape = {GET_FLAG("true", STRATEGY("5", "")),
                  {.ask = "PATCH " ENV "/strategies/s1", .outcome = HTTP_IN_DOUBT}},
         .answer = FLAG_IN_DOUBT, .wrote = true},
        {"patch out of reach", FLAG_DO_SET, 25,
         .tape = {GET_FLAG("true", STRATEGY("5", "")),
                  {.ask = "PATCH " ENV "/strategies/s1", .outcome = HTTP_NOT_SENT}},
         .answer = FLAG_NOT_SENT, .wrote = true},
        {"the service has another percentage", FLAG_DO_SET, 25,
         .tape = {GET_FLAG("true", STRATEGY("5", "")),
                  {.ask = "PATCH " ENV "/strategies/s1",
                   .status = 200,
                   .answer = STRATEGY("5", "")}},
         .answer = FLAG_IN_DOUBT, .wrote = true},
        {"on answered by a web page", FLAG_DO_SET, 5,
         .tape = {GET_FLAG("false", STRATEGY("5", "")),
                  {.ask = "POST " ENV "/on", .status = 200, HTML}},
         .answer = FLAG_IN_DOUBT, .wrote = true},
        {"on with 500", FLAG_DO_SET, 5,
         .tape = {GET_FLAG("false", STRATEGY("5", "")),
                  {.ask = "POST " ENV "/on", .status = 500, .answer = "{}"}},
         .answer = FLAG_IN_DOUBT, .wrote = true},
        {"change requests", FLAG_DO_SET, 25,
         .tape = {GET_FLAG("true", STRATEGY("5", "")),
                  {.ask = "PATCH " ENV "/strategies/s1",
                   .status = 403,
                   .answer = "{\"message\":\"You need the SKIP_CHANGE_REQUEST permission\"}"}},
         .answer = FLAG_BLOCKED_APPROVAL, .wrote = true},
    };

    run(cases, ROWS(cases));
}

static void test_kill(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"one request without a body", FLAG_DO_KILL, .tape = {{OFF}}, .answer = FLAG_OK,
         .wrote = true},
        {"archived already", FLAG_DO_KILL,
         .tape =
             {{.ask = "POST " ENV "/off",
               .status = 400,
               .answer =
                   "{\"name\":\"ArchivedFeatureError\",\"message\":\"This feature is archived\"}"}},
         .answer = FLAG_NOCHANGE, .state = FLAG_ARCHIVED, .wrote = true},
        {"404", FLAG_DO_KILL,
         .tape = {{.ask = "POST " ENV "/off", .status = 404, .answer = NOT_THERE}},
         .answer = FLAG_NOT_FOUND, .wrote = true},
        {"web page", FLAG_DO_KILL, .tape = {{.ask = "POST " ENV "/off", .status = 200, HTML}},
         .answer = FLAG_IN_DOUBT, .wrote = true},
        {"cut", FLAG_DO_KILL, .tape = {{.ask = "POST " ENV "/off", .outcome = HTTP_IN_DOUBT}},
         .answer = FLAG_IN_DOUBT, .wrote = true},
        {"no connection", FLAG_DO_KILL,
         .tape = {{.ask = "POST " ENV "/off", .outcome = HTTP_NOT_SENT}}, .answer = FLAG_NOT_SENT,
         .wrote = true},
    };

    run(cases, ROWS(cases));
}

#define ENVIRONMENTS URL "/api/admin/environments/project/shop"
#define APPROVALS URL "/api/admin/projects/shop/change-requests/config"
#define LIST                                                                                       \
    "{\"environments\":[{\"name\":\"production\",\"visible\":true},{\"name\":\"x\",\"visible\":"   \
    "false}]}"

static void test_preflight(void **state)
{
    (void) state;
    static const struct tape_case cases[] = {
        {"all there", FLAG_DO_PREFLIGHT,
         .tape = {GET_FLAG("false", STRATEGY("1", "")),
                  {.ask = "GET " ENVIRONMENTS, .status = 200, .answer = LIST},
                  {.ask = "GET " APPROVALS, .status = 404, .answer = "{}"},
                  {.ask = "GET " CLIENT, .status = 200, .answer = SDK("false", "")}},
         .state = FLAG_OFF},
        {"not made yet", FLAG_DO_PREFLIGHT,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH, .status = 200, .answer = "{\"features\":[],\"total\":0}"},
                  NOT_ARCHIVED,
                  {.ask = "GET " ENVIRONMENTS, .status = 200, .answer = LIST},
                  {.ask = "GET " APPROVALS, .status = 404, .answer = "{}"},
                  {.ask = "GET " CLIENT, .status = 200, .answer = SDK("false", "")}},
         .state = FLAG_ABSENT},
        {"no such project", FLAG_DO_PREFLIGHT,
         .tape = {{.ask = "GET " FEATURE, .status = 404, .answer = NOT_THERE},
                  {.ask = "GET " SEARCH, .status = 200, .answer = "{\"features\":[],\"total\":0}"},
                  NOT_ARCHIVED,
                  {.ask = "GET " ENVIRONMENTS,
                   .status = 200,
                   .answer = "{\"environments\":[{\"name\":\"production\",\"visible\":false}]}"}},
         .answer = FLAG_NOT_FOUND, .state = FLAG_ABSENT},
        {"sdk token of another environment", FLAG_DO_PREFLIGHT,
         .tape = {GET_FLAG("false", STRATEGY("1", "")),
                  {.ask = "GET " ENVIRONMENTS, .status = 200, .answer = LIST},
                  {.ask = "GET " APPROVALS, .status = 404, .answer = "{}"},
                  {.ask = "GET " CLIENT,
                   .status = 200,
                   .answer = "{\"features\":[],\"query\":{\"environment\":\"development\"}}"}},
         .answer = FLAG_REJECTED, .state = FLAG_OFF, .detail = "\"development\""},
    };

    run(cases, ROWS(cases));
}

static void test_preflight_finds_approvals(void **state)
{
    (void) state;
    static const struct tape_case c = {
        "approvals", FLAG_DO_PREFLIGHT,
        .tape = {GET_FLAG("false", STRATEGY("1", "")),
                 {.ask = "GET " ENVIRONMENTS, .status = 200, .answer = LIST},
                 {.ask = "GET " APPROVALS,
                  .status = 200,
                  .answer = "[{\"environment\":\"production\",\"changeRequestEnabled\":true}]"}},
        .state = FLAG_OFF};
    struct flag_service s = service;
    const struct flag_ref ref = {.service = &s, .key = "f"};
    AUTO(arena) a = {0};
    struct flag_call call;

    s.provider = flag_provider_find("unleash");
    s.sdk_token = NULL;
    tape_prepare(&call, &ref, &a, &c);
    tape_run(&call, &c);
    tape_check(&call, &c);
    assert_true(call.approvals_block);
    assert_false(call.has_sdk_endpoint);
}

static void test_history(void **state)
{
    (void) state;
    static const struct tape_case c = {
        "history", FLAG_DO_HISTORY,
        .tape = {{.ask = "GET " URL "/api/admin/search/events?feature=IS%3Af&limit=20",
                  .status = 200,
                  .answer =
                      "{\"events\":[{\"type\":\"feature-environment-disabled\",\"createdBy\":"
                      "\"alice\",\"createdAt\":"
                      "\"2026-11-21T03:14:52.830Z\",\"environment\":\"production\"},{\"type\":"
                      "\"x\",\"environment\":"
                      "\"development\"},{\"type\":\"feature-created\",\"createdBy\":\"bob\"}]}"}}};
    struct flag_service s = service;
    const struct flag_ref ref = {.service = &s, .key = "f"};
    AUTO(arena) a = {0};
    struct flag_call call;

    s.provider = flag_provider_find("unleash");
    tape_prepare(&call, &ref, &a, &c);
    tape_run(&call, &c);
    tape_check(&call, &c);
    assert_int_equal(call.n_events, 2);
    assert_string_equal(call.events[0].actor, "alice");
    assert_int_equal(call.events[0].at_ms, INT64_C(1795230892830));
    assert_string_equal(call.events[1].actor, "bob");
}

static void test_fingerprints(void **state)
{
    (void) state;
    static const char *const flags[] = {
        FLAG("false", STRATEGY("25", ""), ""),
        FLAG("true", STRATEGY("25", ""), ""),
        FLAG("true", STRATEGY("26", ""), ""),
        FLAG("true", STRATEGY("25", ",\"sortOrder\":1"), ""),
        FLAG("true", "", ""),
        FLAG("true", STRATEGY("25", ""), ",\"releasePlans\":[{}]"),
    };
    struct flag_service s = service;
    const struct flag_ref ref = {.service = &s, .key = "f"};
    const char *seen[ROWS(flags)];
    AUTO(arena) a = {0};

    s.provider = flag_provider_find("unleash");
    for (size_t i = 0; i < ROWS(flags); i++) {
        const struct tape_case c = {
            "f", FLAG_DO_OBSERVE,
            .tape = {{.ask = "GET " FEATURE, .status = 200, .answer = flags[i]}}};
        struct flag_call call;

        for (int again = 0; again < 2; again++) {
            tape_prepare(&call, &ref, &a, &c);
            tape_run(&call, &c);
            if (again)
                assert_string_equal(call.obs.fingerprint, seen[i]);
            seen[i] = call.obs.fingerprint;
        }
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    }
}

static void test_names_are_escaped(void **state)
{
    (void) state;
    static const struct tape_case c = {
        "escaped", FLAG_DO_KILL,
        .tape = {{.ask = "POST " URL "/api/admin/projects/a%2Fb/features/%2E%2E/"
                         "environments/x%3Fy/off",
                  .status = 200,
                  .type = "",
                  .answer = ""}},
        .answer = FLAG_OK, .wrote = true};
    struct flag_service s = service;
    const struct flag_ref ref = {.service = &s, .key = ".."};

    s.provider = flag_provider_find("unleash");
    s.project = "a/b";
    s.environment = "x?y";
    tape_table(&ref, &c, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_observe),
        cmocka_unit_test(test_delivered),
        cmocka_unit_test(test_delivered_not_modified),
        cmocka_unit_test(test_ensure),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_preflight),
        cmocka_unit_test(test_preflight_finds_approvals),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_fingerprints),
        cmocka_unit_test(test_names_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
