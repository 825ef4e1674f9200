/* The API of the flag server, endpoint by endpoint, over HTTP. Faults are in test_flag_server_faults.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "flag_client.h"
#include "serve/flag_server_int.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char *folder;
    struct str state;
    struct flag_server *server;
    const char *url;
};

static bool start_with(struct fixture *f, struct flag_server_options o, struct err *err)
{
    o.state_path = str_text(&f->state);
    if (!flag_server_start(&o, &f->server, err))
        return false;
    f->url = flag_server_url(f->server);
    return true;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    AUTO(err) err = {0};

    f->folder = test_folder();
    str_addf(&f->state, "%s/flags.json", f->folder);
    *state = f;
    if (!start_with(f, (struct flag_server_options) {.admin_token = ADMIN_TOKEN}, &err))
        fail_msg("%s", str_text(&err.message));
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    flag_server_stop(f->server);
    test_folder_remove(f->folder);
    str_free(&f->state);
    free(f);
    return 0;
}

static void post(const struct fixture *f, const char *path, const char *headers, const char *body,
                 struct reply *out)
{
    AUTO(str) url = {0};

    str_addf(&url, "%s%s", f->url, path);
    http_call("POST", str_text(&url), headers ? headers : "Content-Type: application/json", body,
              out);
}

static void get(const struct fixture *f, const char *path, const char *headers, struct reply *out)
{
    AUTO(str) url = {0};

    str_addf(&url, "%s%s", f->url, path);
    http_call("GET", str_text(&url), headers, NULL, out);
}

/* ---- OFREP ------------------------------------------------------------------------------------------ */

static void test_ofrep_single(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};

    flag_create(f->url, "all", 100, NULL);
    flag_create(f->url, "none", 0, NULL);
    flag_create(f->url, "half", 50, NULL);

    post(f, "/ofrep/v1/evaluate/flags/all", NULL, "{\"context\":{\"targetingKey\":\"u1\"}}", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(str_text(&r.type), "application/json");
    assert_string_equal(reply_text(&r, "key"), "all");
    assert_true(reply_bool(&r, "value"));
    assert_string_equal(reply_text(&r, "reason"), "STATIC");
    assert_string_equal(reply_text(&r, "variant"), "on");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(r.json, "metadata"), "percent")), 100);

    post(f, "/ofrep/v1/evaluate/flags/none", NULL, "{\"context\":{\"targetingKey\":\"u1\"}}", &r);
    assert_false(reply_bool(&r, "value"));
    assert_string_equal(reply_text(&r, "variant"), "off");

    post(f, "/ofrep/v1/evaluate/flags/half", NULL, "{\"context\":{\"targetingKey\":\"u1\"}}", &r);
    assert_string_equal(reply_text(&r, "reason"), "SPLIT");
    assert_int_equal(reply_bool(&r, "value"), flag_bucket("half", "u1") < 5000);

    /* No context at all is fine where nothing depends on it. */
    post(f, "/ofrep/v1/evaluate/flags/all", NULL, "{}", &r);
    assert_int_equal(r.status, 200);
    assert_true(reply_bool(&r, "value"));
    post(f, "/ofrep/v1/evaluate/flags/all", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
}

static void test_ofrep_missing_bucket_is_off(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};

    flag_create(f->url, "acct", 99, "accountId");
    flag_create(f->url, "user", 99, NULL);
    const char *const without[] = {
        "{}", "{\"context\":{\"targetingKey\":\"u1\"}}", "{\"context\":{\"accountId\":null}}",
        "{\"context\":{\"accountId\":[1]}}", "{\"context\":{\"accountId\":\"\"}}"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        post(f, "/ofrep/v1/evaluate/flags/acct", NULL, without[i], &r);
        assert_int_equal(r.status, 200);
        assert_false(reply_bool(&r, "value"));
        assert_string_equal(reply_text(&r, "reason"), "DEFAULT");
        assert_non_null(json_object_get(json_object_get(r.json, "metadata"), "note"));
    }
    post(f, "/ofrep/v1/evaluate/flags/user", NULL, "{\"context\":{\"accountId\":7}}", &r);
    assert_int_equal(r.status, 200);
    assert_false(reply_bool(&r, "value"));
    assert_string_equal(reply_text(&r, "reason"), "DEFAULT");
    post(f, "/ofrep/v1/evaluate/flags/user", NULL, "{\"context\":{\"targetingKey\":\"\"}}", &r);
    assert_int_equal(r.status, 400);
    assert_string_equal(reply_text(&r, "errorCode"), "TARGETING_KEY_MISSING");
}

static void test_ofrep_bucket_value_types(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) number = {0};
    AUTO(reply) text = {0};
    int on = 0;

    flag_create(f->url, "acct", 50, "accountId");
    for (int i = 0; i < 40; i++) {
        AUTO(str) a = {0};
        AUTO(str) b = {0};

        str_addf(&a, "{\"context\":{\"accountId\":%d}}", i);
        str_addf(&b, "{\"context\":{\"accountId\":\"%d\"}}", i);
        post(f, "/ofrep/v1/evaluate/flags/acct", NULL, str_text(&a), &number);
        post(f, "/ofrep/v1/evaluate/flags/acct", NULL, str_text(&b), &text);
        assert_int_equal(reply_bool(&number, "value"), reply_bool(&text, "value"));
        on += reply_bool(&number, "value");
    }
    assert_in_range(on, 8, 32);
}

static void test_ofrep_errors(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};
    static const struct {
        const char *body, *code;
    } bad[] = {
        {"{", "PARSE_ERROR"},
        {"[]", "PARSE_ERROR"},
        {"\"x\"", "PARSE_ERROR"},
        {"{\"context\":{\"a\":1,\"a\":2}}", "PARSE_ERROR"},
        {"{\"context\":[]}", "INVALID_CONTEXT"},
        {"{\"context\":\"u1\"}", "INVALID_CONTEXT"},
        {"{\"context\":{\"targetingKey\":5}}", "INVALID_CONTEXT"},
    };

    flag_create(f->url, "x", 50, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        post(f, "/ofrep/v1/evaluate/flags/x", NULL, bad[i].body, &r);
        assert_int_equal(r.status, 400);
        assert_string_equal(reply_text(&r, "errorCode"), bad[i].code);
        assert_string_equal(reply_text(&r, "key"), "x");
        post(f, "/ofrep/v1/evaluate/flags", NULL, bad[i].body, &r);
        assert_int_equal(r.status, 400);
        assert_string_equal(reply_text(&r, "errorCode"), bad[i].code);
    }
    post(f, "/ofrep/v1/evaluate/flags/y", NULL, "{}", &r);
    assert_int_equal(r.status, 404);
    assert_string_equal(reply_text(&r, "errorCode"), "FLAG_NOT_FOUND");
    assert_string_equal(reply_text(&r, "key"), "y");
    get(f, "/ofrep/v1/evaluate/flags/x", NULL, &r);
    assert_int_equal(r.status, 405);
    assert_string_equal(str_text(&r.allow), "POST");
}

static void test_ofrep_bulk_etag(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};
    AUTO(reply) again = {0};
    AUTO(str) headers = {0};
    const char *context = "{\"context\":{\"targetingKey\":\"u1\"}}";

    flag_create(f->url, "b", 100, NULL);
    flag_create(f->url, "a", 0, NULL);
    post(f, "/ofrep/v1/evaluate/flags", NULL, context, &r);
    assert_int_equal(r.status, 200);
    json_t *flags = json_object_get(r.json, "flags");
    assert_int_equal(json_array_size(flags), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(flags, 0), "key")), "a");
    assert_true(json_is_true(json_object_get(json_array_get(flags, 1), "value")));
    assert_true(r.etag.len > 4);

    str_addf(&headers, "Content-Type: application/json\nIf-None-Match: %s", str_text(&r.etag));
    post(f, "/ofrep/v1/evaluate/flags", str_text(&headers), context, &again);
    assert_int_equal(again.status, 304);
    assert_int_equal(again.body.len, 0);
    assert_string_equal(str_text(&again.etag), str_text(&r.etag));
    /* Another context, another answer: never a 304. */
    post(f, "/ofrep/v1/evaluate/flags", str_text(&headers),
         "{\"context\":{\"targetingKey\":\"u2\"}}", &again);
    assert_int_equal(again.status, 200);

    flag_set_percent(f->url, "a", 30);
    post(f, "/ofrep/v1/evaluate/flags", str_text(&headers), context, &again);
    assert_int_equal(again.status, 200);
    assert_string_not_equal(str_text(&again.etag), str_text(&r.etag));
}

/* ---- percentages --------------------------------------------------------------------------------------- */

static void test_percentages_are_monotone(void **state)
{
    enum { USERS = 10000 };
    static bool before[USERS];
    (void) state;

    for (int percent = 0; percent <= 100; percent++) {
        struct flag_item item = {.key = "orders-write",
                                 .now = {.percent = percent, .bucket_by = "accountId"}};
        int on = 0;

        for (int i = 0; i < USERS; i++) {
            json_t *value = json_pack("{s:{s:i}}", "context", "accountId", i);
            struct flag_context c = {.root = value, .values = json_object_get(value, "context")};
            struct flag_verdict v;

            flag_evaluate(&item, &c, &v);
            flag_context_free(&c);
            if (before[i] && !v.value)
                fail_msg("account %d is in %d %% and not in %d %%", i, percent - 1, percent);
            before[i] = v.value;
            on += v.value;
        }
        if (abs(on * 100 - percent * USERS) > 150 * (USERS / 100))
            fail_msg("%d %% of %d are %d", percent, USERS, on);
        if (percent % 100 == 0)
            assert_int_equal(on, percent == 0 ? 0 : USERS);
    }
}

static void test_flags_split_differently(void **state)
{
    int both = 0;
    (void) state;

    for (int i = 0; i < 10000; i++) {
        AUTO(str) user = {0};

        str_addf(&user, "%d", i);
        both += flag_bucket("one", str_text(&user)) < 5000 &&
                flag_bucket("two", str_text(&user)) < 5000;
    }
    assert_in_range(both, 2350, 2650);
}

static void test_rungs_over_http(void **state)
{
    struct fixture *f = *state;
    static const int rungs[] = {5, 50, 100};
    bool before[60] = {false};

    flag_create(f->url, "w", 0, "accountId");
    for (size_t r = 0; r < sizeof rungs / sizeof *rungs; r++) {
        flag_set_percent(f->url, "w", rungs[r]);
        for (int i = 0; i < 60; i++) {
            AUTO(str) user = {0};

            str_addf(&user, "%d", i);
            int on = ofrep_value(f->url, "w", "accountId", str_text(&user));
            assert_int_equal(on, flag_bucket("w", str_text(&user)) < rungs[r] * 100);
            assert_true(on || !before[i]);
            before[i] = on;
        }
    }
}

/* ---- flagd ---------------------------------------------------------------------------------------------- */

static void test_flagd_sync(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};
    AUTO(reply) again = {0};
    AUTO(str) header = {0};

    flag_create(f->url, "all", 100, NULL);
    flag_create(f->url, "none", 0, NULL);
    flag_create(f->url, "some", 25, "accountId");
    get(f, "/flagd/v1/flags.json", NULL, &r);
    assert_int_equal(r.status, 200);
    json_t *expected = json_loads(
        "{\"flags\":{"
        "\"all\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},"
        "\"defaultVariant\":\"on\"},"
        "\"none\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},"
        "\"defaultVariant\":\"off\"},"
        "\"some\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},"
        "\"defaultVariant\":\"off\","
        "\"targeting\":{\"if\":[{\"!=\":[{\"var\":\"accountId\"},null]},{\"fractional\":["
        "{\"cat\":[{\"var\":\"$flagd.flagKey\"},{\"var\":\"accountId\"}]},[\"on\",25],[\"off\",75]]"
        "},"
        "\"off\"]}}}}",
        0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(expected, r.json));
    json_decref(expected);

    str_addf(&header, "If-None-Match: %s", str_text(&r.etag));
    get(f, "/flagd/v1/flags.json", str_text(&header), &again);
    assert_int_equal(again.status, 304);
    admin_call("POST", f->url, "/admin/v1/flags/some/off", NULL, NULL, &again);
    assert_int_equal(again.status, 200);
    get(f, "/flagd/v1/flags.json", str_text(&header), &again);
    assert_int_equal(again.status, 200);
    json_t *some = json_object_get(json_object_get(again.json, "flags"), "some");
    assert_string_equal(json_string_value(json_object_get(some, "defaultVariant")), "off");
    assert_string_equal(json_string_value(json_object_get(some, "state")), "ENABLED");
    assert_null(json_object_get(some, "targeting"));
}

/* ---- admin API -------------------------------------------------------------------------------------------- */

static void test_admin_life(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};
    AUTO(str) match = {0};

    admin_call("GET", f->url, "/admin/v1/flags/w", NULL, NULL, &r);
    assert_int_equal(r.status, 404);
    assert_string_equal(reply_text(&r, "error"), "not_found");

    admin_call("PUT", f->url, "/admin/v1/flags/w", "If-None-Match: *",
               "{\"percent\":0,\"bucketBy\":\"accountId\",\"opId\":\"op-1\",\"reason\":\"made\","
               "\"by\":\"ann\"}",
               &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_text(&r, "key"), "w");
    assert_false(reply_bool(&r, "enabled"));
    assert_false(reply_bool(&r, "archived"));
    assert_int_equal(reply_int(&r, "percent"), 0);
    assert_string_equal(reply_text(&r, "bucketBy"), "accountId");
    assert_string_equal(reply_text(&r, "opId"), "op-1");
    assert_string_equal(reply_text(&r, "reason"), "made");
    assert_string_equal(reply_text(&r, "updatedBy"), "ann");
    assert_int_equal(strlen(reply_text(&r, "updatedAt")), 24);
    admin_call("PUT", f->url, "/admin/v1/flags/w", "If-None-Match: *", "{\"percent\":10}", &r);
    assert_int_equal(r.status, 412);

    admin_call("GET", f->url, "/admin/v1/flags/w", NULL, NULL, &r);
    str_addf(&match, "If-Match: %s", str_text(&r.etag));
    admin_call("PUT", f->url, "/admin/v1/flags/w", str_text(&match),
               "{\"percent\":25,\"opId\":\"op-2\"}", &r);
    assert_int_equal(r.status, 200);
    assert_true(reply_bool(&r, "enabled"));
    assert_int_equal(reply_int(&r, "percent"), 25);
    assert_string_equal(reply_text(&r, "bucketBy"), "accountId"); /* kept */
    assert_true(r.etag.len > 0 && strcmp(str_text(&r.etag), str_text(&match) + 10) != 0);
    /* The old ETag has gone. */
    admin_call("PUT", f->url, "/admin/v1/flags/w", str_text(&match), "{\"percent\":100}", &r);
    assert_int_equal(r.status, 412);
    assert_string_equal(reply_text(&r, "error"), "precondition_failed");
    admin_call("GET", f->url, "/admin/v1/flags/w", NULL, NULL, &r);
    assert_int_equal(reply_int(&r, "percent"), 25);

    admin_call("POST", f->url, "/admin/v1/flags/w/off", NULL,
               "{\"opId\":\"kill-1\",\"reason\":\"bad\"}", &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(reply_int(&r, "percent"), 0);
    assert_false(reply_bool(&r, "enabled"));
    str_set(&match, str_text(&r.etag));
    /* The same kill once more is no change; another one is, for its name. */
    admin_call("POST", f->url, "/admin/v1/flags/w/off", NULL, "{\"opId\":\"kill-1\"}", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(str_text(&r.etag), str_text(&match));
    admin_call("POST", f->url, "/admin/v1/flags/w/off", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_string_not_equal(str_text(&r.etag), str_text(&match));
    admin_call("POST", f->url, "/admin/v1/flags/unknown/off", NULL, NULL, &r);
    assert_int_equal(r.status, 404);
    assert_string_equal(reply_text(&r, "error"), "not_found");
}

static void test_admin_archive_and_restore(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};

    flag_create(f->url, "w", 100, NULL);
    admin_call("DELETE", f->url, "/admin/v1/flags/w", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_true(reply_bool(&r, "archived"));
    assert_int_equal(reply_int(&r, "percent"), 0);
    assert_int_equal(ofrep_value(f->url, "w", "targetingKey", "u"), -1);
    get(f, "/flagd/v1/flags.json", NULL, &r);
    assert_null(json_object_get(json_object_get(r.json, "flags"), "w"));
    admin_call("GET", f->url, "/admin/v1/flags/w", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_true(reply_bool(&r, "archived"));

    admin_call("PUT", f->url, "/admin/v1/flags/w", "If-Match: *", "{\"percent\":5}", &r);
    assert_int_equal(r.status, 409);
    assert_string_equal(reply_text(&r, "error"), "archived");
    admin_call("PUT", f->url, "/admin/v1/flags/w", "If-None-Match: *", "{\"percent\":5}", &r);
    assert_int_equal(r.status, 412);
    admin_call("POST", f->url, "/admin/v1/flags/w/off", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    admin_call("POST", f->url, "/admin/v1/flags/w/restore", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_false(reply_bool(&r, "archived"));
    assert_int_equal(reply_int(&r, "percent"), 0);
    assert_int_equal(ofrep_value(f->url, "w", "targetingKey", "u"), 0);
}

static void test_admin_list_and_history(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};

    flag_create(f->url, "b", 1, NULL);
    flag_create(f->url, "a", 2, NULL);
    flag_set_percent(f->url, "a", 50);
    admin_call("POST", f->url, "/admin/v1/flags/a/off", NULL, "{\"opId\":\"k\",\"reason\":\"why\"}",
               &r);
    admin_call("GET", f->url, "/admin/v1/flags", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    json_t *flags = json_object_get(r.json, "flags");
    assert_int_equal(json_array_size(flags), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(flags, 0), "key")), "a");

    admin_call("GET", f->url, "/admin/v1/flags/a/history?limit=2", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    json_t *history = json_object_get(r.json, "history");
    assert_int_equal(json_array_size(history), 2);
    json_t *newest = json_array_get(history, 0);
    assert_string_equal(json_string_value(json_object_get(newest, "action")), "off");
    assert_int_equal(json_integer_value(json_object_get(newest, "previousPercent")), 50);
    assert_string_equal(json_string_value(json_object_get(newest, "opId")), "k");
    assert_string_equal(json_string_value(json_object_get(json_array_get(history, 1), "action")),
                        "set");
    admin_call("GET", f->url, "/admin/v1/flags/a/history?limit=0", NULL, NULL, &r);
    assert_int_equal(r.status, 400);
    admin_call("GET", f->url, "/admin/v1/flags/none/history", NULL, NULL, &r);
    assert_int_equal(r.status, 404);

    for (int i = 0; i < FLAG_SERVER_HISTORY + 5; i++)
        flag_set_percent(f->url, "b", 2 + i);
    admin_call("GET", f->url, "/admin/v1/flags/b/history", NULL, NULL, &r);
    history = json_object_get(r.json, "history");
    assert_int_equal(json_array_size(history), FLAG_SERVER_HISTORY);
    newest = json_array_get(history, 0);
    assert_int_equal(json_integer_value(json_object_get(newest, "percent")),
                     FLAG_SERVER_HISTORY + 6);
}

static void test_admin_validation(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "5",
        "{}",
        "{\"percent\":-1}",
        "{\"percent\":101}",
        "{\"percent\":12.5}",
        "{\"percent\":\"25\"}",
        "{\"percent\":null}",
        "{\"percent\":5,\"percent\":6}",
        "{\"percent\":5,\"bucketBy\":7}",
        "{\"percent\":5,\"bucketBy\":\"\"}",
        "{\"percent\":5,\"bucketBy\":\"a.b\"}",
        "{\"percent\":5,\"bucketby\":\"a\"}",
        "{\"percent\":5,\"opId\":{}}",
        "{\"percent\":5} x",
        "{\"percent\":5,\"reason\":\"\\u0000\"}",
        "{\"percent\":99999999999999999999}",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        admin_call("PUT", f->url, "/admin/v1/flags/w", "If-None-Match: *", bad[i], &r);
        if (r.status != 400 || strcmp(reply_text(&r, "error"), "invalid") != 0)
            fail_msg("%s: %d %s", bad[i], r.status, str_text(&r.body));
        assert_true(strlen(reply_text(&r, "message")) > 0);
    }
    const char *good = "{\"percent\":5}";
    admin_call("PUT", f->url, "/admin/v1/flags/w", NULL, good, &r);
    assert_int_equal(r.status, 428);
    admin_call("PUT", f->url, "/admin/v1/flags/w", "If-None-Match: \"x\"", good, &r);
    assert_int_equal(r.status, 400);
    admin_call("PUT", f->url, "/admin/v1/flags/w", "If-None-Match: *\nIf-Match: *", good, &r);
    assert_int_equal(r.status, 400);
    admin_call("PUT", f->url, "/admin/v1/flags/w", "If-Match: *", good, &r);
    assert_int_equal(r.status, 412);
    admin_call("PUT", f->url, "/admin/v1/flags/a%20b", "If-None-Match: *", good, &r);
    assert_int_equal(r.status, 400);
    admin_call("PUT", f->url, "/admin/v1/flags/a%2Foff", "If-None-Match: *", good, &r);
    assert_int_equal(r.status, 400);
    admin_call("PUT", f->url, "/admin/v1/flags/a%00", "If-None-Match: *", good, &r);
    assert_int_equal(r.status, 404);
    admin_call("PUT", f->url, "/admin/v1/flags/%61-%62", "If-None-Match: *", good, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_text(&r, "key"), "a-b");
    admin_call("POST", f->url, "/admin/v1/flags/a-b/off", NULL, "{\"percent\":7}", &r);
    assert_int_equal(r.status, 400);
    admin_call("PATCH", f->url, "/admin/v1/flags/a-b", NULL, good, &r);
    assert_int_equal(r.status, 405);
    assert_string_equal(str_text(&r.allow), "GET, HEAD, PUT, DELETE");
    admin_call("GET", f->url, "/admin/v1/flags/", NULL, NULL, &r);
    assert_int_equal(r.status, 404);
}

static void test_content_type_is_required(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};
    AUTO(str) url = {0};

    /* A form of a web page can't send application/json without asking first. */
    flag_create(f->url, "w", 100, NULL);
    str_addf(&url, "%s/admin/v1/flags/w/off", f->url);
    http_call("POST", str_text(&url), "Authorization: Bearer " ADMIN_TOKEN, "{\"opId\":\"x\"}", &r);
    assert_int_equal(r.status, 415);
    http_call("POST", str_text(&url),
              "Authorization: Bearer " ADMIN_TOKEN
              "\nContent-Type: Application/JSON; charset=utf-8",
              "{\"opId\":\"x\"}", &r);
    assert_int_equal(r.status, 200);
}

static void test_health_and_unknown_paths(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};
    static const char *const unknown[] = {"/",
                                          "/x",
                                          "/admin",
                                          "/admin/v2/flags",
                                          "/ofrep/v1",
                                          "/ofrep/v1/configuration",
                                          "/flagd/v1/other",
                                          "//healthz",
                                          "/healthz/",
                                          "/a/b/c/d/e/f/g/h/i/j"};

    get(f, "/healthz", NULL, &r);
    assert_int_equal(r.status, 200);
    assert_true(reply_bool(&r, "writable"));
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        get(f, unknown[i], NULL, &r);
        if (r.status != 404 || strcmp(str_text(&r.type), "application/json") != 0)
            fail_msg("%s: %d %s", unknown[i], r.status, str_text(&r.type));
    }
    AUTO(str) url = {0};
    str_addf(&url, "%s/healthz", f->url);
    http_call("HEAD", str_text(&url), NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.len, 0);
    http_call("DELETE", str_text(&url), NULL, NULL, &r);
    assert_int_equal(r.status, 405);
}

/* ---- tokens ------------------------------------------------------------------------------------------------ */

static void test_tokens(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};
    AUTO(err) err = {0};
    static const char *const wrong[] = {
        NULL,
        "Authorization: Bearer",
        "Authorization: Bearer x",
        "Authorization: Bearer " READ_TOKEN,
        "Authorization: Basic " ADMIN_TOKEN,
        "Authorization: " ADMIN_TOKEN,
        "Authorization: Bearer " ADMIN_TOKEN "x",
        "X-API-Key: " ADMIN_TOKEN,
    };

    flag_server_stop(f->server);
    f->server = NULL;
    assert_true(start_with(
        f, (struct flag_server_options) {.admin_token = ADMIN_TOKEN, .read_token = READ_TOKEN},
        &err));
    flag_create(f->url, "w", 100, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        get(f, "/admin/v1/flags/w", wrong[i], &r);
        assert_int_equal(r.status, 401);
        assert_string_equal(reply_text(&r, "error"), "unauthorized");
        post(f, "/admin/v1/flags/w/off", wrong[i] ? wrong[i] : "X: y", NULL, &r);
        assert_int_equal(r.status, 401);
    }
    get(f, "/flagd/v1/flags.json", NULL, &r);
    assert_int_equal(r.status, 401);
    post(f, "/ofrep/v1/evaluate/flags/w", NULL, "{}", &r);
    assert_int_equal(r.status, 401);
    post(f, "/ofrep/v1/evaluate/flags/w", "X-API-Key: nearly-" READ_TOKEN, "{}", &r);
    assert_int_equal(r.status, 401);
    post(f, "/ofrep/v1/evaluate/flags/w", "X-API-Key: " READ_TOKEN, "{}", &r);
    assert_int_equal(r.status, 200);
    get(f, "/flagd/v1/flags.json", "authorization: bearer " READ_TOKEN, &r);
    assert_int_equal(r.status, 200);
    get(f, "/flagd/v1/flags.json", "Authorization: Bearer " ADMIN_TOKEN, &r);
    assert_int_equal(r.status, 200);
    get(f, "/healthz", NULL, &r);
    assert_int_equal(r.status, 200);
}

static void test_options_that_are_refused(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};
    AUTO(err) err = {0};
    int port = flag_server_port(f->server);

    /* The state file is taken. */
    struct flag_server *running = f->server;
    assert_false(start_with(f, (struct flag_server_options) {0}, &err));
    assert_true(err_is(&err, ERR_LOCKED));
    f->server = running;
    str_add(&f->state, ".2");
    assert_false(start_with(f, (struct flag_server_options) {.port = port}, &err));
    assert_true(err_is(&err, ERR_UNREACHABLE));
    assert_false(start_with(
        f, (struct flag_server_options) {.listen = "0.0.0.0", .admin_token = ADMIN_TOKEN}, &err));
    assert_true(err_is(&err, ERR_CONFIG));
    assert_non_null(strstr(str_text(&err.message), "read token"));
    assert_false(start_with(f, (struct flag_server_options) {.listen = "::"}, &err));
    assert_false(start_with(f, (struct flag_server_options) {.admin_token = "short"}, &err));
    assert_null(strstr(str_text(&err.message), "short\""));
    assert_false(start_with(f, (struct flag_server_options) {.port = 70000}, &err));

    flag_server_stop(running);
    f->server = NULL;
    assert_true(start_with(f, (struct flag_server_options) {0}, &err));
    admin_call("GET", f->url, "/admin/v1/flags", NULL, NULL, &r);
    assert_int_equal(r.status, 403);
    assert_string_equal(reply_text(&r, "error"), "admin_disabled");
}

/* ---- the race ----------------------------------------------------------------------------------------------- */

struct racer {
    const struct fixture *f;
    const char *match;
    int percent, status;
};

static void *race(void *arg)
{
    struct racer *me = arg;
    AUTO(reply) r = {0};
    AUTO(str) body = {0};

    str_addf(&body, "{\"percent\":%d}", me->percent);
    admin_call("PUT", me->f->url, "/admin/v1/flags/w", me->match, str_text(&body), &r);
    me->status = r.status;
    return NULL;
}

static void test_one_of_eight_wins(void **state)
{
    struct fixture *f = *state;
    AUTO(reply) r = {0};

    flag_create(f->url, "w", 0, NULL);
    for (int round = 0; round < 10; round++) {
        struct racer racers[8];
        pthread_t threads[8];
        AUTO(str) match = {0};
        int won = 0, percent = -1;

        admin_call("GET", f->url, "/admin/v1/flags/w", NULL, NULL, &r);
        str_addf(&match, "If-Match: %s", str_text(&r.etag));
        for (int i = 0; i < 8; i++) {
            racers[i] = (struct racer) {f, str_text(&match), round * 8 + i, 0};
            pthread_create(&threads[i], NULL, race, &racers[i]);
        }
        for (int i = 0; i < 8; i++) {
            pthread_join(threads[i], NULL);
            assert_true(racers[i].status == 200 || racers[i].status == 412);
            if (racers[i].status == 200) {
                won++;
                percent = racers[i].percent;
            }
        }
        assert_int_equal(won, 1);
        admin_call("GET", f->url, "/admin/v1/flags/w", NULL, NULL, &r);
        assert_int_equal(reply_int(&r, "percent"), percent);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_ofrep_single),
        T(test_ofrep_missing_bucket_is_off),
        T(test_ofrep_bucket_value_types),
        T(test_ofrep_errors),
        T(test_ofrep_bulk_etag),
        cmocka_unit_test(test_percentages_are_monotone),
        cmocka_unit_test(test_flags_split_differently),
        T(test_rungs_over_http),
        T(test_flagd_sync),
        T(test_admin_life),
        T(test_admin_archive_and_restore),
        T(test_admin_list_and_history),
        T(test_admin_validation),
        T(test_content_type_is_required),
        T(test_health_and_unknown_paths),
        T(test_tokens),
        T(test_options_that_are_refused),
        T(test_one_of_eight_wins),
    };
    int failed;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
