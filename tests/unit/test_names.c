#include "phasegate/names.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_nearest_word(void **state)
{
    (void) state;
    static const char *const keys[] = {"plan",       "plans", "phases", "release",      "releases",
                                       "depends_on", "sql",   "id",     "lock_timeout", "rollout",
                                       "rollback",   "where", NULL};
    static const struct {
        const char *word, *nearest;
    } rows[] = {
        {"plan", "plan"}, /* exact, though others are near */
        {"plans", "plans"},
        {"pln", "plan"},                  /* insert */
        {"phasess", "phases"},            /* delete */
        {"relaase", "release"},           /* replace */
        {"lokc_timeout", "lock_timeout"}, /* swap counts once */
        {"whree", "where"},
        {"depends-on", "depends_on"},
        {"dependson", "depends_on"},
        {"slq", "sql"}, /* a swap is within a third of three */
        {"sqll", "sql"},
        {"rolloutt", "rollout"},
        {"rollbakc", "rollback"},
        {"di", NULL}, /* a third of two is none */
        {"locktimeouts", "lock_timeout"},
        {"lck_tmeut", "lock_timeout"},
        {"lck_tmt", NULL}, /* five edits of twelve */
        {"xyz", NULL},
        {"", NULL},
        {"release_of_something_much_longer", NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        const char *got = name_nearest(row->word, keys);
        CHECK(got ? row->nearest && strcmp(got, row->nearest) == 0 : !row->nearest, "%s gives %s",
              row->word, got ? got : "nothing");
    }

    static const char *const equals[] = {"abd", "abe", NULL};
    assert_string_equal(name_nearest("abc", equals), "abd");
    static const char *const none[] = {NULL};
    assert_null(name_nearest("abc", none));

    AUTO(str) hostile = {0};
    while (hostile.len < 1000000)
        str_add(&hostile, "plan");
    assert_null(name_nearest(hostile.text, keys));
}

#define SIXTY "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij"

static void test_ids(void **state)
{
    (void) state;
    static const struct {
        const char *id;
        bool is_plan, is_word;
    } rows[] = {
        {"orders-external-ref", true, true},
        {"a", true, true},
        {"4", true, true},
        {"-a", true, false},
        {"a-", true, true},
        {"a_b", false, true},
        {"_a", false, false},
        {"", false, false},
        {"Orders", false, false},
        {"a b", false, false},
        {"a\n", false, false},
        {"\xc3\xa4", false, false},
        {"a.b", false, false},
        {SIXTY "123", true, true},
        {SIXTY "1234", false, false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        CHECK(is_plan_id(row->id) == row->is_plan, "plan id \"%s\"", row->id);
        CHECK(is_word_id(row->id) == row->is_word, "word id \"%s\"", row->id);
    }
}

static void test_stamps(void **state)
{
    (void) state;
    static const struct {
        const char *stamp;
        bool is_time;
        int64_t seconds;
    } rows[] = {
        {"19700101000000", true, 0},
        {"19691231235959", true, -1},
        {"20000301000000", true, 951868800},
        {"20261114093000", true, 1794648600},
        {"20230322235959", true, 1679529599},
        {"20200229000000", true, 1582934400}, /* leap year */
        {"20240229120000", true, 1709208000},
        {"20000229000000", true, 951782400}, /* divisible by 400 */
        {"20380119031408", true, 2147483648},
        {"00010101000000", true, -62135596800},
        {"99991231235959", true, 253402300799},
        {"20211901120000", false, 0}, /* month 19 */
        {"20230322519590", false, 0}, /* hour 51, minute 95, second 90 */
        {"20200230000000", false, 0}, /* 30 February */
        {"20210229000000", false, 0}, /* not a leap year */
        {"19000229000000", false, 0}, /* divisible by 100 */
        {"21000229000000", false, 0},
        {"20210431000000", false, 0}, /* April has 30 days */
        {"20210631000000", false, 0},
        {"20210931000000", false, 0},
        {"20211131000000", false, 0},
        {"20210132000000", false, 0},
        {"20210001000000", false, 0},
        {"20210100000000", false, 0},
        {"20211301000000", false, 0},
        {"20210101240000", false, 0},
        {"20210101006000", false, 0},
        {"20161231235960", false, 0}, /* even a real leap second */
        {"00000101000000", false, 0}, /* no year 0 */
        {"2021010100000", false, 0},
        {"202101010000000", false, 0},
        {"2021010100000 ", false, 0},
        {" 2021010100000", false, 0},
        {"2021-01-01 000", false, 0},
        {"+2021010100000", false, 0},
        {"2021010100000x", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        int64_t seconds = 4711;
        bool is_time = time_from_stamp(row->stamp, &seconds);
        CHECK(is_time == row->is_time, "%s is %sa time", row->stamp, is_time ? "" : "not ");
        CHECK(seconds == (is_time ? row->seconds : 4711), "%s: %lld", row->stamp,
              (long long) seconds);
        char back[15];
        if (is_time) {
            time_to_stamp(seconds, back);
            assert_string_equal(back, row->stamp);
        }
    }
    char end[15];
    time_to_stamp(INT64_MIN, end);
    assert_string_equal(end, "00010101000000");
    time_to_stamp(INT64_MAX, end);
    assert_string_equal(end, "99991231235959");
}

/* Day by day against a calendar that is counted, not computed: 0001 to 9999. */
static void test_stamps_every_day(void **state)
{
    (void) state;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t expected = -62135596800;
    for (int year = 1; year <= 9999; year++) {
        bool is_leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
        for (int month = 1; month <= 12; month++) {
            int length = lengths[month - 1] + (is_leap && month == 2);
            for (int day = 1; day <= 31; day++) {
                /* Some years in full, of the others the ends of the months. */
                bool is_checked = year % 1000 < 5 || day >= 28;
                if (is_checked) {
                    char stamp[32], back[15];
                    snprintf(stamp, sizeof stamp, "%04d%02d%02d000000", year, month, day);
                    int64_t seconds = 0;
                    bool is_time = time_from_stamp(stamp, &seconds);
                    CHECK(is_time == (day <= length), "%s", stamp);
                    if (is_time) {
                        CHECK(seconds == expected, "%s: %lld", stamp, (long long) seconds);
                        time_to_stamp(seconds, back);
                        CHECK(strcmp(back, stamp) == 0, "%s came back as %s", stamp, back);
                    }
                }
                expected += day <= length ? 86400 : 0;
            }
        }
    }
}

static void test_rfc3339(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        bool is_time;
        int64_t ms;
        const char *back;
    } rows[] = {
        {"1970-01-01T00:00:00Z", true, 0, "1970-01-01T00:00:00.000Z"},
        {"1969-12-31T23:59:59.999Z", true, -1, "1969-12-31T23:59:59.999Z"},
        {"2026-11-14T09:30:00.000Z", true, 1794648600000, "2026-11-14T09:30:00.000Z"},
        {"2026-11-14T10:30:00+01:00", true, 1794648600000, "2026-11-14T09:30:00.000Z"},
        {"2026-11-14T04:00:00.25-05:30", true, 1794648600250, "2026-11-14T09:30:00.250Z"},
        {"2026-11-14t09:30:00z", true, 1794648600000, "2026-11-14T09:30:00.000Z"},
        {"2026-11-14 09:30:00.123456789Z", true, 1794648600123, "2026-11-14T09:30:00.123Z"},
        {"2024-02-29T00:00:00-00:00", true, 1709164800000, "2024-02-29T00:00:00.000Z"},
        {"2023-02-29T00:00:00Z", false, 0, NULL},
        {"2026-13-14T09:30:00Z", false, 0, NULL},
        {"2026-11-14T09:30:60Z", false, 0, NULL},
        {"2026-11-14T24:00:00Z", false, 0, NULL},
        {"2026-11-14T09:30:00", false, 0, NULL}, /* which time zone? */
        {"2026-11-14T09:30Z", false, 0, NULL},
        {"2026-11-14", false, 0, NULL},
        {"2026-11-14T09:30:00.Z", false, 0, NULL},
        {"2026-11-14T09:30:00+24:00", false, 0, NULL},
        {"2026-11-14T09:30:00+01:60", false, 0, NULL},
        {"2026-11-14T09:30:00+0100", false, 0, NULL},
        {"2026-11-14T09:30:00+01", false, 0, NULL},
        {"2026-11-14T09:30:00ZZ", false, 0, NULL},
        {"2026-11-14T09:30:00Z ", false, 0, NULL},
        {"", false, 0, NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        int64_t ms = 4711;
        bool is_time = time_from_rfc3339(row->text, &ms);
        CHECK(is_time == row->is_time, "%s is %sa time", row->text, is_time ? "" : "not ");
        CHECK(ms == (is_time ? row->ms : 4711), "%s: %lld", row->text, (long long) ms);
        char back[25];
        if (is_time) {
            time_to_rfc3339(ms, back);
            assert_string_equal(back, row->back);
        }
    }
    char end[25];
    time_to_rfc3339(INT64_MIN, end);
    assert_string_equal(end, "0001-01-01T00:00:00.000Z");
    time_to_rfc3339(INT64_MAX, end);
    assert_string_equal(end, "9999-12-31T23:59:59.999Z");
}

static void test_durations(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } rows[] = {
        {"500ms", 500},
        {"30s", 30000},
        {"10m", 600000},
        {"1h", 3600000},
        {"72h", 259200000},
        {"30d", 2592000000},
        {"0s", 0},
        {"9223372036854775807ms", INT64_MAX},
        {"30", -1},
        {"", -1},
        {"s", -1},
        {"ms", -1},
        {"-1s", -1},
        {"+1s", -1},
        {" 1s", -1},
        {"1s ", -1},
        {"1 s", -1},
        {"1.5h", -1},
        {"1S", -1},
        {"1w", -1},
        {"1h30m", -1},
        {"1h 30m", -1},
        {"1msx", -1},
        {"9223372036854775808ms", -1},
        {"106751991168d", -1},
        {"99999999999999999999s", -1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        int64_t ms = -1;
        bool ok = duration_from_text(row->text, &ms);
        CHECK(ok == (row->ms >= 0) && ms == row->ms, "%s: %lld", row->text, (long long) ms);
    }
}

static void test_durations_to_text(void **state)
{
    (void) state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {1, "1ms"},
        {250, "250ms"},
        {999, "999ms"},
        {1000, "1s"},
        {1500, "1s 500ms"},
        {45000, "45s"},
        {60000, "1m"},
        {90000, "1m 30s"},
        {5400000, "1h 30m"},
        {3600001, "1h 1ms"},
        {259200000, "3d"},
        {86400000, "1d"},
        {90000000, "1d 1h"},
        {259500000, "3d 5m"},
        {93780000, "26h 3m"},     /* 1d 2h 3m */
        {93784000, "1563m 4s"},   /* 1d 2h 3m 4s */
        {93784005, "93784s 5ms"}, /* 1d 2h 3m 4s 5ms */
        {-5400000, "-1h 30m"},
        {INT64_MAX, "9223372036854775s 807ms"},
        {INT64_MIN, "-9223372036854775s 808ms"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        AUTO(str) s = {0};
        duration_to_text(&s, row->ms);
        CHECK(strcmp(str_text(&s), row->text) == 0, "%lld: %s", (long long) row->ms, str_text(&s));
    }
}

static void test_sizes(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int64_t bytes; /* -1: refused */
    } rows[] = {
        {"2GiB", 2147483648},
        {"500MB", 500000000},
        {"10kB", 10000},
        {"123", 123},
        {"0", 0},
        {"7B", 7},
        {"1KiB", 1024},
        {"1MiB", 1048576},
        {"1TiB", 1099511627776},
        {"1GB", 1000000000},
        {"3TB", 3000000000000},
        {"8388607TiB", 9223370937343148032},
        {"", -1},
        {"GiB", -1},
        {"-1", -1},
        {"+1", -1},
        {" 1", -1},
        {"1 ", -1},
        {"1 GB", -1},
        {"1.5GB", -1},
        {"1KB", -1},
        {"1kb", -1},
        {"1gib", -1},
        {"1G", -1},
        {"1GiBs", -1},
        {"0x10", -1},
        {"8388608TiB", -1},
        {"9223372036854775808", -1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        int64_t bytes = -1;
        bool ok = size_from_text(row->text, &bytes);
        CHECK(ok == (row->bytes >= 0) && bytes == row->bytes, "%s: %lld", row->text,
              (long long) bytes);
    }
}

static void test_percentages(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        double percent; /* -1: refused */
    } rows[] = {
        {"80%", 80},
        {"12.5%", 12.5},
        {"0%", 0},
        {"100%", 100},
        {"100.0%", 100},
        {"0.1%", 0.1},
        {"0.000000001%", 1e-9},
        {"99.99%", 99.99},
        {"80", -1},
        {"%", -1},
        {"", -1},
        {"101%", -1},
        {"100.1%", -1},
        {"-1%", -1},
        {"+1%", -1},
        {".5%", -1},
        {"5.%", -1},
        {"5,5%", -1},
        {"5 %", -1},
        {"5%%", -1},
        {" 5%", -1},
        {"nan%", -1},
        {"1e1%", -1},
        {"0x5%", -1},
        {"1.2.3%", -1},
        {"0.0000000001%", -1},
        {"99999999999999999999%", -1},
        {"1.99999999999999999999%", -1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        double percent = -1;
        bool ok = percent_from_text(row->text, &percent);
        bool is_same = percent >= row->percent && percent <= row->percent;
        CHECK(ok == (row->percent >= 0) && is_same, "%s: %g", row->text, percent);
    }
}

static void test_quoting(void **state)
{
    (void) state;
    static const struct {
        const char *text, *ident, *literal;
    } rows[] = {
        {"orders", "\"orders\"", "'orders'"},
        {"Order Lines", "\"Order Lines\"", "'Order Lines'"},
        {"select", "\"select\"", "'select'"},
        {"", "\"\"", "''"},
        {"it's", "\"it's\"", "'it''s'"},
        {"'", "\"'\"", "''''"},
        {"''", "\"''\"", "''''''"},
        {"a\"b", "\"a\"\"b\"", "'a\"b'"},
        {"\"", "\"\"\"\"", "'\"'"},
        {"\"\"x", "\"\"\"\"\"x\"", "'\"\"x'"},
        {"a\\b", "\"a\\b\"", "E'a\\\\b'"},
        {"\\", "\"\\\"", "E'\\\\'"},
        {"\\'", "\"\\'\"", "E'\\\\'''"}, /* the classic way out of a literal */
        {"'; DROP TABLE x; --", "\"'; DROP TABLE x; --\"", "'''; DROP TABLE x; --'"},
        {"x\"; DROP TABLE x; --", "\"x\"\"; DROP TABLE x; --\"", "'x\"; DROP TABLE x; --'"},
        {"a\nb", "\"a\nb\"", "'a\nb'"},
        {"\xc3\xa4'", "\"\xc3\xa4'\"", "'\xc3\xa4'''"},
        {"$$", "\"$$\"", "'$$'"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        const __typeof__(*rows) *row = &rows[i];
        AUTO(str) ident = {0};
        AUTO(str) literal = {0};
        sql_ident(&ident, row->text);
        sql_literal(&literal, row->text);
        CHECK(strcmp(ident.text, row->ident) == 0, "row %zu: %s", i, ident.text);
        CHECK(strcmp(literal.text, row->literal) == 0, "row %zu: %s", i, literal.text);
    }

    AUTO(str) s = {0};
    str_add(&s, "TABLE ");
    sql_qualified(&s, "pub\"lic", "orders");
    str_addc(&s, ' ');
    sql_qualified(&s, NULL, "orders");
    str_addc(&s, ' ');
    sql_literal(&s, NULL);
    assert_string_equal(s.text, "TABLE \"pub\"\"lic\".\"orders\" \"orders\" NULL");

    str_clear(&s);
    sql_element(&s, "a,b");
    sql_element(&s, "");
    sql_element(&s, "\"it's\\");
    assert_string_equal(s.text, "\"a,b\"\"\"\"\\\"it's\\\\\"");
}

static void test_path_tidy(void **state)
{
    (void) state;
    static const struct {
        const char *path, *tidy, *climbed;
    } rows[] = {
        {"a/b", "a/b", "a/b"},
        {"./a//b/", "a/b", "a/b"},
        {"./", ".", "."},
        {"/", "/", "/"},
        {"//a/./b//", "/a/b", "/a/b"},
        {"", "", ""},
        {"a/../b", "a/../b", "b"},
        {"../a", "../a", "../a"},
        {"a/../../b", "a/../../b", "../b"},
        {"/a/../../b", "/a/../../b", "/b"},
        {"/..", "/..", "/"},
        {"a/..", "a/..", "."},
        {"../../a/", "../../a", "../../a"},
        {"/a/b/..", "/a/b/..", "/a"},
        {"..a/.b", "..a/.b", "..a/.b"},
    };
    AUTO(arena) a = {0};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(path_tidy(&a, rows[i].path, false), rows[i].tidy);
        assert_string_equal(path_tidy(&a, rows[i].path, true), rows[i].climbed);
    }
    assert_null(path_tidy(&a, NULL, true));
}

static void test_put(void **state)
{
    (void) state;
    AUTO(arena) a = {0};

    assert_string_equal(sql_put(&a, "FROM <<f>>(true), <<f>>(false)", "f", "\"s\".g"),
                        "FROM \"s\".g(true), \"s\".g(false)");
    assert_string_equal(sql_put(&a, "a <<b> <<f>>", "b", "x"), "a <<b> <<f>>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_tidy),
        cmocka_unit_test(test_nearest_word),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_stamps),
        cmocka_unit_test(test_stamps_every_day),
        cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_durations_to_text),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_percentages),
        cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
