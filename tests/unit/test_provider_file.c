/* Provider file: what becomes of the bytes. */
#include "fake_host.h"
#include "provider_tape.h"

#include <jansson.h>

#define PATH "/etc/app/flags.json"
#define FLAG(preset, more)                                                                         \
    "{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"" preset \
    "\"" more "}"
#define FILE_OF(flag)                                                                              \
    "{\"$schema\":\"x\",\"flags\":{\"other\":{\"state\":\"ENABLED\",\"x\":[1]},\"f\":" flag        \
    "},\"$evaluators\":{}}"
#define HALF ",\"targeting\":{\"fractional\":[{\"var\":\"accountId\"},[\"on\",50],[\"off\",50]]}"

struct file_case {
    const char *name;
    enum flag_verb verb;
    int percent;
    const char *expect, *before; /* before NULL: no file */
    enum flag_answer answer;
    enum flag_state state;
    int seen;
    bool written;
    const char *after; /* the flag, canonical JSON; NULL: don't look, "": no such flag */
    const char *detail;
};

static const struct flag_service service = {.path = PATH, .shown = "file " PATH};

static void check_rest(const struct file_case *c, json_t *root)
{
    if (!c->before || !strstr(c->before, "other"))
        return;
    char *other =
        json_dumps(json_object_get(json_object_get(root, "flags"), "other"), JSON_COMPACT);

    CHECK(other && strcmp(other, "{\"state\":\"ENABLED\",\"x\":[1]}") == 0, "%s: other is %s",
          c->name, other);
    CHECK(json_object_get(root, "$schema") && json_object_get(root, "$evaluators"),
          "%s: keys are lost", c->name);
    free(other);
}

static void check_after(const struct file_case *c, struct fake_host *host)
{
    const struct fake_file *file = fake_file(host, PATH, false);
    json_t *root = file ? json_loadb(str_text(&file->text), file->text.len, 0, NULL) : NULL;
    json_t *flag = json_object_get(json_object_get(root, "flags"), "f");
    char *text = flag ? json_dumps(flag, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    CHECK(root, "%s: no JSON was written", c->name);
    CHECK(strcmp(text ? text : "", c->after) == 0, "%s: the flag is %s", c->name, text);
    check_rest(c, root);
    CHECK(file->mode == 0644, "%s: mode %o", c->name, (unsigned) file->mode);
    free(text);
    json_decref(root);
}

static void run_case(const struct file_case *c)
{
    const struct tape_case row = {c->name, c->verb, c->percent, c->expect};
    struct flag_service s = service;
    const struct flag_ref ref = {.service = &s, .key = "f", .bucket_by = "accountId"};
    AUTO(fake_host) host;
    AUTO(arena) a = {0};
    struct flag_call call;
    struct http_req req;

    fake_host_init(&host);
    if (c->before)
        str_add(&fake_file(&host, PATH, true)->text, c->before);
    s.provider = flag_provider_find("file");
    tape_prepare(&call, &ref, &a, &row);
    call.host = &host.host;
    CHECK(s.provider->next(&call, NULL, &req) == FLAG_FINISHED, "%s: it wants a request", c->name);
    CHECK(call.answer == c->answer, "%s: answer %s (%s)", c->name, flag_answer_word(call.answer),
          call.detail ? call.detail : "");
    CHECK(call.obs.state == c->state && call.obs.percent == c->seen, "%s: state %s, %d %% (%s)",
          c->name, flag_state_word(call.obs.state), call.obs.percent,
          call.obs.why ? call.obs.why : "");
    CHECK(host.writes == c->written && call.wrote == c->written, "%s: %d writes", c->name,
          host.writes);
    if (c->after)
        check_after(c, &host);
    if (c->detail)
        CHECK(call.detail && strstr(call.detail, c->detail), "%s: detail %s", c->name, call.detail);
}

#define META ",\"metadata\":{\"phasegate\":\"op-1\"}"
#define FRACTION(n, m)                                                                             \
    "\"targeting\":{\"if\":[{\"!=\":[{\"var\":\"accountId\"},null]},{\"fractional\":[{\"cat\":[{"  \
    "\"var\":\"$flagd.flagKey\"},"                                                                 \
    "{\"var\":\"accountId\"}]},[\"on\"," n "],[\"off\"," m "]]},\"off\"]},"
#define SAVED(preset, more)                                                                        \
    "{\"defaultVariant\":\"" preset "\"" META ",\"state\":\"ENABLED\"," more                       \
    "\"variants\":{\"off\":false,\"on\":true}}"

static void test_file(void **state)
{
    (void) state;
    static const struct file_case cases[] = {
        {"no file", FLAG_DO_OBSERVE, .state = FLAG_ABSENT},
        {"empty file", FLAG_DO_OBSERVE, .before = "", .state = FLAG_ABSENT},
        {"no such flag", FLAG_DO_OBSERVE, .before = "{\"flags\":{}}", .state = FLAG_ABSENT},
        {"off", FLAG_DO_OBSERVE, .before = FILE_OF(FLAG("off", "")), .state = FLAG_OFF},
        {"on", FLAG_DO_OBSERVE, .before = FILE_OF(FLAG("on", "")), .state = FLAG_ON, .seen = 100},
        {"half", FLAG_DO_OBSERVE, .before = FILE_OF(FLAG("off", HALF)), .state = FLAG_PERCENT,
         .seen = 50},
        {"broken", FLAG_DO_OBSERVE, .before = "{\"flags\":", .answer = FLAG_NOT_SENT},
        {"not an object", FLAG_DO_OBSERVE, .before = "[]", .answer = FLAG_NOT_SENT},
        {"flags as a list", FLAG_DO_OBSERVE, .before = "{\"flags\":[]}", .answer = FLAG_NOT_SENT},
        {"flag as a text", FLAG_DO_OBSERVE, .before = "{\"flags\":{\"f\":1}}",
         .answer = FLAG_NOT_SENT},
        {"twice", FLAG_DO_OBSERVE, .before = "{\"flags\":{\"f\":{},\"f\":{}}}",
         .answer = FLAG_NOT_SENT},

        {"made", FLAG_DO_ENSURE, .answer = FLAG_OK, .state = FLAG_OFF, .written = true,
         .after = SAVED("off", "")},
        {"made beside others", FLAG_DO_ENSURE,
         .before = "{\"flags\":{\"other\":{\"state\":\"ENABLED\",\"x\":[1]}},\"$schema\":1,\"$"
                   "evaluators\":1}",
         .answer = FLAG_OK, .state = FLAG_OFF, .written = true, .after = SAVED("off", "")},
        {"there", FLAG_DO_ENSURE, .before = FILE_OF(FLAG("on", "")), .answer = FLAG_NOCHANGE,
         .state = FLAG_ON, .seen = 100},

        {"off to 25", FLAG_DO_SET, 25, .before = FILE_OF(FLAG("off", "")), .answer = FLAG_OK,
         .state = FLAG_PERCENT, .seen = 25, .written = true,
         .after = SAVED("off", FRACTION("25", "75"))},
        {"half to 100", FLAG_DO_SET, 100, .before = FILE_OF(FLAG("off", HALF)), .answer = FLAG_OK,
         .state = FLAG_ON, .seen = 100, .written = true, .after = SAVED("on", "")},
        {"half to off", FLAG_DO_SET, 0, .before = FILE_OF(FLAG("off", HALF)), .answer = FLAG_OK,
         .state = FLAG_OFF, .written = true, .after = SAVED("off", "")},
        {"half to half", FLAG_DO_SET, 50, .before = FILE_OF(FLAG("off", HALF)),
         .answer = FLAG_NOCHANGE, .state = FLAG_PERCENT, .seen = 50},
        {"other names", FLAG_DO_SET, 100,
         .before = "{\"flags\":{\"f\":{\"variants\":{\"new\":true,\"old\":false},"
                   "\"defaultVariant\":\"old\",\"note\":1}}}",
         .answer = FLAG_OK, .state = FLAG_ON, .seen = 100, .written = true,
         .after = "{\"defaultVariant\":\"new\"" META
                  ",\"note\":1,\"state\":\"ENABLED\",\"variants\":{\"new\":true,\"old\":false}}"},
        {"changed meanwhile", FLAG_DO_SET, 25, "other", .before = FILE_OF(FLAG("off", "")),
         .answer = FLAG_CONFLICT, .state = FLAG_OFF},
        {"absent", FLAG_DO_SET, 25, .before = "{\"flags\":{}}", .answer = FLAG_NOT_FOUND,
         .state = FLAG_ABSENT},
        {"other targeting", FLAG_DO_SET, 25,
         .before = FILE_OF(FLAG("off", ",\"targeting\":{\"==\":[1,1]}")), .answer = FLAG_REJECTED,
         .state = FLAG_COMPLEX},
        {"by another value", FLAG_DO_SET, 60,
         .before =
             FILE_OF(FLAG("off", ",\"targeting\":{\"fractional\":[[\"on\",50],[\"off\",50]]}")),
         .answer = FLAG_REJECTED, .state = FLAG_PERCENT, .seen = 50, .detail = "\"targetingKey\""},
        {"not our file", FLAG_DO_SET, 25, .before = "{]", .answer = FLAG_NOT_SENT},

        {"kill", FLAG_DO_KILL, .before = FILE_OF(FLAG("on", "")), .answer = FLAG_OK,
         .state = FLAG_OFF, .written = true, .after = SAVED("off", "")},
        {"kill half", FLAG_DO_KILL, .before = FILE_OF(FLAG("off", HALF)), .answer = FLAG_OK,
         .state = FLAG_OFF, .written = true, .after = SAVED("off", "")},
        {"kill what is complex", FLAG_DO_KILL,
         .before = FILE_OF(FLAG("off", ",\"targeting\":{\"==\":[1,1]}")), .answer = FLAG_OK,
         .state = FLAG_OFF, .written = true, .after = SAVED("off", "")},
        {"kill what is disabled: off must be served", FLAG_DO_KILL,
         .before = "{\"flags\":{\"f\":{\"state\":\"DISABLED\",\"variants\":{\"on\":true,\"off\":"
                   "false},\"defaultVariant\":\"on\"}}}",
         .answer = FLAG_OK, .state = FLAG_OFF, .written = true, .after = SAVED("off", "")},
        {"kill what is not there: it overrides other sources", FLAG_DO_KILL, .answer = FLAG_OK,
         .state = FLAG_OFF, .written = true, .after = SAVED("off", "")},
        {"killed already", FLAG_DO_KILL, .before = FILE_OF(FLAG("off", "")),
         .answer = FLAG_NOCHANGE, .state = FLAG_OFF},
        {"kill a text flag", FLAG_DO_KILL,
         .before = "{\"flags\":{\"f\":{\"variants\":{\"on\":\"blue\"}}}}", .answer = FLAG_REJECTED,
         .state = FLAG_COMPLEX},

        {"clear", FLAG_DO_CLEAR, .before = FILE_OF(FLAG("off", "")), .answer = FLAG_OK,
         .state = FLAG_ABSENT, .written = true, .after = ""},
        {"clear nothing", FLAG_DO_CLEAR, .answer = FLAG_NOCHANGE, .state = FLAG_ABSENT},
    };
    for (size_t i = 0; i < ROWS(cases); i++)
        run_case(&cases[i]);
}

static void test_full_disk(void **state)
{
    (void) state;
    const struct tape_case row = {"full", FLAG_DO_KILL};
    struct flag_service s = service;
    const struct flag_ref ref = {.service = &s, .key = "f"};
    AUTO(fake_host) host;
    AUTO(arena) a = {0};
    struct flag_call call;
    struct http_req req;

    fake_host_init(&host);
    str_add(&fake_file(&host, PATH, true)->text, FILE_OF(FLAG("on", "")));
    host.disk_full = true;
    s.provider = flag_provider_find("file");
    tape_prepare(&call, &ref, &a, &row);
    call.host = &host.host;
    assert_int_equal(s.provider->next(&call, NULL, &req), FLAG_FINISHED);
    assert_int_equal(call.answer, FLAG_IN_DOUBT);
    assert_int_equal(call.obs.state, FLAG_UNKNOWN);
    assert_non_null(strstr(call.detail, "no space left"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
