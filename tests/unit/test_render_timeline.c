/* The timeline as a table and as a picture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "timeline_life.h"

static const struct build_project project = {
    .plans =
        {{"orders",
          {"t"},
          {[PHASE_EXPAND] = "1.1 s1", [PHASE_DUAL_READ] = "1.2 r1", [PHASE_CONTRACT] = "1.3 d1"}}},
    .listed = {"1.0", "1.1", "1.2", "1.3"},
    .consumers = {"reports"},
};
static const struct build_project meeting = {
    .plans = {{"a", {"t"}, {[PHASE_EXPAND] = "2 s1"}, .no_flags = true},
              {"b", {"t"}, {[PHASE_EXPAND] = "2 s1"}, .no_flags = true}},
    .listed = {"1", "2"},
};
static const int cells[] = {1, 10, 100, 100, 100, 100, 100, 1000, 1};

static void check_text(const struct build_project *b, const int *n, const char *expected)
{
    AUTO(made) m = {0};
    AUTO(str) s = {0};

    make(&m, b, 1);
    timeline_text(&m.t, n, &s);
    assert_string_equal(str_text(&s), expected);
}

static void check_mermaid(const struct build_project *b, const int *n, const char *expected)
{
    AUTO(made) m = {0};
    AUTO(str) s = {0};

    make(&m, b, 1);
    timeline_mermaid(&m.t, n, &s);
    assert_string_equal(str_text(&s), expected);
}

static void test_table(void **state)
{
    (void) state;
    check_text(&project, cells,
               "world  kind      schema step                              live                "
               "flags                                cells\n"
               "0      baseline  0 baseline                               1.0 + reports       "
               "orders-read=off orders-write=off     1\n"
               "1      expand    1 step1 (expand of orders)               1.0 + reports       "
               "orders-read=off orders-write=off     10\n"
               "2      rolling   1 step1 (expand of orders)               1.0, 1.1 + reports  "
               "orders-read=off orders-write=off     100\n"
               "3      rolling   1 step1 (expand of orders)               1.1, 1.2 + reports  "
               "orders-read=off orders-write=off     100\n"
               "4      flags     1 step1 (expand of orders)               1.1, 1.2 + reports  "
               "orders-read=either orders-write=off  100\n"
               "5      rolling   1 step1 (expand of orders)               1.2, 1.3 + reports  "
               "orders-read=either orders-write=off  100\n"
               "6      contract  2 drop1 (contract of orders)             1.2, 1.3 + reports  "
               "orders-read=either orders-write=off  100\n"
               "7      restored  3 restored (contract of orders)          1.2, 1.3 + reports  "
               "orders-read=either orders-write=off  1000\n"
               "8      purged    4 purge/drop1 (purge of orders), from 2  1.2, 1.3 + reports  "
               "orders-read=either orders-write=off  1\n"
               "\n"
               "9 worlds of 5 states of the database, 1512 cells\n");
    check_text(&meeting, NULL,
               "world  kind      schema step                    live\n"
               "0      baseline  0 baseline                     1\n"
               "1      expand    1 step1 (expand of a)          1\n"
               "2      expand    2 step1 (expand of b)          1\n"
               "3      expand    3 step1 (expand of b), from 0  1\n"
               "4      rolling   2 step1 (expand of b)          1, 2\n"
               "\n"
               "5 worlds of 4 states of the database\n");
}

static void test_nothing_at_all(void **state)
{
    static const struct build_project empty = {.listed = {NULL}};

    (void) state;
    check_text(&empty, NULL,
               "world  kind      schema step  live\n"
               "0      baseline  0 baseline   -\n"
               "\n"
               "1 world of 1 state of the database\n");
    check_mermaid(&empty, NULL,
                  "flowchart TD\n"
                  "    s0[\"baseline<br/>0 baseline: -\"]\n");
}

static void test_picture(void **state)
{
    (void) state;
    check_mermaid(&project, cells,
                  "flowchart TD\n"
                  "    s0[\"baseline<br/>0 baseline: 1.0 + reports, 1 cell\"]\n"
                  "    s1[\"step1 (expand of orders)<br/>1 expand: 1.0 + reports, 10 cells<br/>2 "
                  "rolling: 1.0, 1.1 + reports, 100 cells<br/>3 rolling: 1.1, 1.2 + reports, 100 "
                  "cells<br/>4 flags: 1.1, 1.2 + reports, orders-read=either, 100 cells<br/>5 "
                  "rolling: 1.2, 1.3 + reports, orders-read=either, 100 cells\"]\n"
                  "    s2[\"drop1 (contract of orders)<br/>6 contract: 1.2, 1.3 + reports, "
                  "orders-read=either, 100 cells\"]\n"
                  "    s3[\"restored (contract of orders)<br/>7 restored: 1.2, 1.3 + reports, "
                  "orders-read=either, 1000 cells\"]\n"
                  "    s4[\"purge/drop1 (purge of orders)<br/>8 purged: 1.2, 1.3 + reports, "
                  "orders-read=either, 1 cell\"]\n"
                  "    s0 -- \"expand 1.1\" --> s1\n"
                  "    s1 -- \"contract 1.3\" --> s2\n"
                  "    s2 -. \"restore\" .-> s3\n"
                  "    s2 -- \"purge 1.3\" --> s4\n");
    check_mermaid(&meeting, NULL,
                  "flowchart TD\n"
                  "    s0[\"baseline<br/>0 baseline: 1\"]\n"
                  "    s1[\"step1 (expand of a)<br/>1 expand: 1\"]\n"
                  "    s2[\"step1 (expand of b)<br/>2 expand: 1<br/>4 rolling: 1, 2\"]\n"
                  "    s3[\"step1 (expand of b)<br/>3 expand: 1\"]\n"
                  "    s0 -- \"expand 2\" --> s1\n"
                  "    s1 -- \"expand 2\" --> s2\n"
                  "    s0 -- \"expand 2\" --> s3\n");
}

/* Ids are the author's: nothing of them may end a label. */
static void test_labels_are_quoted(void **state)
{
    static const struct build_project odd = {
        .plans = {{"a", {"t"}, {[PHASE_EXPAND] = "2\"]; s1"}, .no_flags = true}},
        .listed = {"1", "<b>#1"},
    };

    (void) state;
    check_mermaid(&odd, NULL,
                  "flowchart TD\n"
                  "    s0[\"baseline<br/>0 baseline: 1<br/>1 rolling: 1, #60;b#62;#35;1\"]\n"
                  "    s1[\"step1 (expand of a)<br/>2 expand: #60;b#62;#35;1<br/>3 rolling: "
                  "#60;b#62;#35;1, 2#34;]#59;\"]\n"
                  "    s0 -- \"expand 2#34;]#59;\" --> s1\n");
}

static void test_what_was_cut_is_said(void **state)
{
    static const struct build_project many = {
        .plans = {{"a", {"t"}, {[PHASE_EXPAND] = "2 s9"}},
                  {"b", {"t"}, {[PHASE_EXPAND] = "2 s9"}},
                  {"c", {"t"}, {[PHASE_EXPAND] = "2 s9"}}},
        .listed = {"1", "2"},
    };
    AUTO(made) m = {0};
    AUTO(str) s = {0};

    (void) state;
    make(&m, &many, 1);
    timeline_text(&m.t, NULL, &s);
    assert_non_null(strstr(str_text(&s), " more: the plans that meet can be in the middle"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_nothing_at_all),
        cmocka_unit_test(test_picture),
        cmocka_unit_test(test_labels_are_quoted),
        cmocka_unit_test(test_what_was_cut_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
