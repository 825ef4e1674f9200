/* Numbers for gates: JSON pointers, and the answers of Prometheus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "phasegate/measure.h"

#define NOTHING "(null)"

static const char document[] =
    "{\"a\": {\"b/c\": [10, \"x\\u00e4\", {\"~1\": 0.1}], \"\": \"empty name\", \"m~n\": 8},"
    " \"t\": true, \"f\": false, \"n\": null, \"i\": -9223372036854775808, \"r\": 1e-7,"
    " \"third\": 0.3333333333333333, \"big\": 1e300, \"whole\": 5.0, \"no\": \"\", \"01\": 1}";

static void test_pointers(void **state)
{
    static const struct {
        const char *pointer, *expected;
    } cases[] = {
        {"/a/b~1c/0", "10"},
        {"/a/b~1c/1", "x\xc3\xa4"},
        {"/a/b~1c/2/~01", "0.1"},
        {"/a/", "empty name"},
        {"/a/m~0n", "8"},
        {"/t", "true"},
        {"/f", "false"},
        {"/n", NOTHING},
        {"/i", "-9223372036854775808"},
        {"/r", "1e-07"},
        {"/third", "0.3333333333333333"},
        {"/big", "1e+300"},
        {"/whole", "5"},
        {"/no", ""},
        {"/01", "1"},
    };
    AUTO(arena) a = {0};
    AUTO(err) err = {0};

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *out = "unset";

        if (!measure_json_pointer(document, strlen(document), cases[i].pointer, &a, &out, &err))
            fail_msg("%s: %s", cases[i].pointer, str_text(&err.message));
        assert_string_equal(out ? out : NOTHING, cases[i].expected);
    }
}

static void test_pointers_that_fail(void **state)
{
    static const struct {
        const char *body, *pointer;
        enum err_kind kind;
    } cases[] = {
        {document, "a", ERR_INPUT},
        {document, "/a~", ERR_INPUT},
        {document, "/a~2", ERR_INPUT},
        {document, "", ERR_UNREACHABLE}, /* the whole is an object */
        {document, "/a", ERR_UNREACHABLE},
        {document, "/a/b~1c", ERR_UNREACHABLE},
        {document, "/x", ERR_UNREACHABLE},
        {document, "/t/x", ERR_UNREACHABLE},
        {document, "/a/b~1c/3", ERR_UNREACHABLE},
        {document, "/a/b~1c/00", ERR_UNREACHABLE},
        {document, "/a/b~1c/-", ERR_UNREACHABLE},
        {document, "/a/b~1c/-1", ERR_UNREACHABLE},
        {document, "/a/b~1c/99999999999999999999", ERR_UNREACHABLE},
        {"", "", ERR_UNREACHABLE},
        {"{\"a\": 1", "/a", ERR_UNREACHABLE},
        {"{\"a\": 1} x", "/a", ERR_UNREACHABLE},
        {"{\"a\": 1, \"a\": 2}", "/a", ERR_UNREACHABLE}, /* which one? */
        {"<html>200</html>", "", ERR_UNREACHABLE},
        {"{\"a\": NaN}", "/a", ERR_UNREACHABLE},
        {"{\"a\": 18446744073709551616}", "/a", ERR_UNREACHABLE},
        {"{\"a\": 1e999}", "/a", ERR_UNREACHABLE},
    };
    AUTO(arena) a = {0};
    AUTO(err) err = {0};

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *out = "unset";

        if (measure_json_pointer(cases[i].body, strlen(cases[i].body), cases[i].pointer, &a, &out,
                                 &err))
            fail_msg("%s in %s gives %s", cases[i].pointer, cases[i].body, out);
        assert_int_equal(err.kind, cases[i].kind);
        assert_string_equal(out, "unset");
    }
}

/* A number that can't be held doesn't spoil its neighbours. */
static void test_numbers_beyond_64_bits(void **state)
{
    static const char body[] = "{\"huge\": 18446744073709551616, \"small\": 42, \"text\": \"x\"}";
    AUTO(arena) a = {0};
    AUTO(err) err = {0};
    const char *out = NULL;

    (void) state;
    assert_true(measure_json_pointer(body, strlen(body), "/small", &a, &out, &err));
    assert_string_equal(out, "42");
    assert_true(measure_json_pointer("7.5", 3, "", &a, &out, &err));
    assert_string_equal(out, "7.5");
    assert_true(measure_json_pointer("12345", 2, "", &a, &out, &err)); /* n counts, not the NUL */
    assert_string_equal(out, "12");
}

/* ---- Prometheus ------------------------------------------------------------------------------ */

#define VECTOR(samples)                                                                            \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" samples "]}}"
#define SAMPLE(value) "{\"metric\":{\"job\":\"x\"},\"value\":[1763700000.123,\"" value "\"]}"

static void test_prometheus(void **state)
{
    static const struct {
        const char *body, *expected;
        int samples;
    } cases[] = {
        {VECTOR(SAMPLE("0.0123")), "0.0123", 1},
        {VECTOR(SAMPLE("-1.5e-07")), "-1.5e-07", 1},
        {VECTOR(SAMPLE("+Inf")), "+Inf", 1},
        {VECTOR(SAMPLE("NaN")), NOTHING, 1},
        {VECTOR(""), NOTHING, 0},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1763700000,\"3\"]"
         "},"
         "\"warnings\":[\"w\"]}",
         "3", 1},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1763700000,"
         "\"NaN\"]}}",
         NOTHING, 1},
    };
    AUTO(arena) a = {0};
    AUTO(err) err = {0};

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *out = "unset";
        int samples = -1;

        if (!measure_prometheus(cases[i].body, strlen(cases[i].body), &a, &out, &samples, &err))
            fail_msg("%s: %s", cases[i].body, str_text(&err.message));
        assert_string_equal(out ? out : NOTHING, cases[i].expected);
        assert_int_equal(samples, cases[i].samples);
    }
}

static void test_prometheus_fails(void **state)
{
    static const struct {
        const char *body, *part;
        enum err_kind kind;
    } cases[] = {
        {VECTOR(SAMPLE("1") "," SAMPLE("2")), "2 samples", ERR_INPUT},
        {"{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"parse error at char 4\"}",
         "parse error at char 4", ERR_INPUT},
        {"{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"query timed out\"}",
         "query timed out", ERR_UNREACHABLE},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}", "matrix",
         ERR_INPUT},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":{}}}", "",
         ERR_UNREACHABLE},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\"}}", "", ERR_UNREACHABLE},
        {"{\"status\":\"error\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}", "",
         ERR_UNREACHABLE},
        {VECTOR("{\"metric\":{},\"histogram\":[1,{}]}"), "", ERR_UNREACHABLE},
        {VECTOR("{\"metric\":{},\"value\":[1,2]}"), "", ERR_UNREACHABLE},
        {VECTOR("{\"metric\":{},\"value\":[\"1\"]}"), "", ERR_UNREACHABLE},
        {VECTOR(SAMPLE("12abc")), "", ERR_UNREACHABLE},
        {VECTOR(SAMPLE("")), "", ERR_UNREACHABLE},
        {VECTOR(SAMPLE("1e5e")), "", ERR_UNREACHABLE},
        {"[]", "", ERR_UNREACHABLE},
        {"\"success\"", "", ERR_UNREACHABLE},
        {"<html>", "not JSON", ERR_UNREACHABLE},
    };
    AUTO(arena) a = {0};
    AUTO(err) err = {0};

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *out = "unset";
        int samples = -1;

        if (measure_prometheus(cases[i].body, strlen(cases[i].body), &a, &out, &samples, &err))
            fail_msg("%s gives %s", cases[i].body, out ? out : NOTHING);
        assert_int_equal(err.kind, cases[i].kind);
        assert_non_null(strstr(str_text(&err.message), cases[i].part));
        assert_string_equal(out, "unset");
        assert_int_equal(samples, -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_pointers_that_fail),
        cmocka_unit_test(test_numbers_beyond_64_bits),
        cmocka_unit_test(test_prometheus),
        cmocka_unit_test(test_prometheus_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
