#include "phasegate/json_out.h"
#include "table.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_json_escapes(void **state)
{
    (void) state;
#define TEXT(literal) literal, sizeof literal - 1
    static const struct {
        const char *text;
        size_t n;
        const char *json;
    } rows[] = {
        {TEXT(""), "\"\""},
        {TEXT("plain"), "\"plain\""},
        {TEXT("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
        {TEXT("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {TEXT("\x01\x1f\x7f"), "\"\\u0001\\u001f\x7f\""},
        {TEXT("a\0b"), "\"a\\u0000b\""},
        {TEXT("a\xE2\x80\xAE"
              "b\xC2\x9B"),
         "\"a\\u202eb\\u009b\""},
        {TEXT("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x98"),
         "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x98\""},
        {TEXT("\xf4\x8f\xbf\xbf"), "\"\xf4\x8f\xbf\xbf\""}, /* the last character there is */
        {TEXT("\xff"), "\"\xef\xbf\xbd\""},                 /* never a byte of UTF-8 */
        {TEXT("a\x80z"), "\"a\xef\xbf\xbdz\""},             /* lone continuation */
        {TEXT("\xc3"), "\"\xef\xbf\xbd\""},                 /* cut at the end */
        {TEXT("\xc3(x"), "\"\xef\xbf\xbd(x\""},             /* cut by another character */
        {TEXT("\xe2\x82"), "\"\xef\xbf\xbd\""},             /* one start, one replacement */
        {TEXT("\xf0\x9f\x90\""), "\"\xef\xbf\xbd\\\"\""},   /* never swallows the quote */
        {TEXT("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\""}, /* overlong '/' */
        {TEXT("\xe0\x80\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {TEXT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
        {TEXT("\xf4\x90\x80\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
#undef TEXT
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        /* A copy of the exact size, so that the sanitizer sees a read past it. */
        char *exact = malloc(row->n + !row->n);
        assert_non_null(exact);
        memcpy(exact, row->text, row->n);
        AUTO(str) s = {0};
        struct json_out j;
        json_begin(&j, &s, false);
        json_strn(&j, NULL, exact, row->n);
        free(exact);
        CHECK(strcmp(str_text(&s), row->json) == 0, "row %zu: %s", i, str_text(&s));
    }
}

static void test_json_numbers(void **state)
{
    (void) state;
    static const struct {
        double v;
        const char *json;
    } rows[] = {
        {0, "0"},
        {1.04, "1.04"},
        {0.1, "0.1"},
        {-12.5, "-12.5"},
        {100, "100"},
        {1e300, "1e+300"},
        {1.0 / 3, "0.3333333333333333"},
        {0.1 + 0.2, "0.30000000000000004"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
        {NAN, "null"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        AUTO(str) s = {0};
        struct json_out j;
        json_begin(&j, &s, false);
        json_double(&j, NULL, row->v);
        CHECK(strcmp(str_text(&s), row->json) == 0, "row %zu: %s", i, str_text(&s));
    }

    AUTO(str) s = {0};
    struct json_out j;
    json_begin(&j, &s, false);
    json_array_begin(&j, NULL);
    json_int(&j, NULL, INT64_MIN);
    json_int(&j, NULL, INT64_MAX);
    json_array_end(&j);
    assert_string_equal(s.text, "[-9223372036854775808,9223372036854775807]");
}

static void json_sample(struct str *to, bool pretty)
{
    struct json_out j;
    json_begin(&j, to, pretty);
    json_object_begin(&j, NULL);
    json_str(&j, "pl\"an", "orders");
    json_str(&j, "author", NULL);
    json_array_begin(&j, "steps");
    json_int(&j, NULL, 1);
    json_object_begin(&j, NULL);
    json_bool(&j, "done", true);
    json_bool(&j, "lossy", false);
    json_object_end(&j);
    json_array_end(&j);
    json_array_begin(&j, "gates");
    json_array_end(&j);
    json_object_begin(&j, "flags");
    json_object_end(&j);
    json_raw(&j, "row", "{\"a\": 1}");
    json_raw(&j, "nothing", NULL);
    json_put_null(&j, "end");
    json_object_end(&j);
}

static void test_json_shapes(void **state)
{
    (void) state;
    AUTO(str) dense = {0};
    AUTO(str) pretty = {0};
    json_sample(&dense, false);
    json_sample(&pretty, true);

    assert_string_equal(dense.text,
                        "{\"pl\\\"an\":\"orders\",\"author\":null,\"steps\":[1,{\"done\":true,"
                        "\"lossy\":false}],\"gates\":[],\"flags\":{},\"row\":{\"a\": 1},"
                        "\"nothing\":null,\"end\":null}");
    assert_string_equal(pretty.text, "{\n"
                                     "  \"pl\\\"an\": \"orders\",\n"
                                     "  \"author\": null,\n"
                                     "  \"steps\": [\n"
                                     "    1,\n"
                                     "    {\n"
                                     "      \"done\": true,\n"
                                     "      \"lossy\": false\n"
                                     "    }\n"
                                     "  ],\n"
                                     "  \"gates\": [],\n"
                                     "  \"flags\": {},\n"
                                     "  \"row\": {\"a\": 1},\n"
                                     "  \"nothing\": null,\n"
                                     "  \"end\": null\n"
                                     "}\n");
}

static void misuse_end_first(struct json_out *j) { json_object_end(j); }

static void misuse_wrong_end(struct json_out *j)
{
    json_object_begin(j, NULL);
    json_array_end(j);
}

static void misuse_key_missing(struct json_out *j)
{
    json_object_begin(j, NULL);
    json_int(j, NULL, 1);
}

static void misuse_key_in_array(struct json_out *j)
{
    json_array_begin(j, NULL);
    json_int(j, "key", 1);
}

static void misuse_second_value(struct json_out *j)
{
    json_int(j, NULL, 1);
    json_int(j, NULL, 2);
}

static void misuse_too_deep(struct json_out *j)
{
    for (int i = 0; i < JSON_DEPTH + 1; i++)
        json_array_begin(j, NULL);
}

static void good_deepest(struct json_out *j)
{
    for (int i = 0; i < JSON_DEPTH; i++)
        json_array_begin(j, NULL);
    for (int i = 0; i < JSON_DEPTH; i++)
        json_array_end(j);
}

static void test_json_misuse_aborts(void **state)
{
    (void) state;
    static const struct {
        const char *name;
        void (*run)(struct json_out *);
        bool aborts;
    } rows[] = {
        {"end first", misuse_end_first, true},
        {"wrong end", misuse_wrong_end, true},
        {"key missing", misuse_key_missing, true},
        {"key in array", misuse_key_in_array, true},
        {"second value", misuse_second_value, true},
        {"too deep", misuse_too_deep, true},
        {"deepest", good_deepest, false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct str s = {0};
            struct json_out j;
            signal(SIGABRT, SIG_DFL);
            json_begin(&j, &s, false);
            row->run(&j);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
        CHECK(aborted == row->aborts, "%s: status %d", row->name, status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_escapes),
        cmocka_unit_test(test_json_numbers),
        cmocka_unit_test(test_json_shapes),
        cmocka_unit_test(test_json_misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
