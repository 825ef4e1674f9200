/* load_fixture: a plan to change and look at, for the tests of the loader. */
#ifndef PHASEGATE_TESTS_LOAD_FIXTURE_H
#define PHASEGATE_TESTS_LOAD_FIXTURE_H

#include "phasegate/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char plan_text[] = "phasegate: 1\n"
                                "plan: orders-reference\n"
                                "timestamp: 20261114093000\n"
                                "title: Give every order a reference\n"
                                "author: team-orders\n"
                                "flags:\n"
                                "  read: {key: orders-read}\n"
                                "  write: {key: orders-write, bucket_by: accountId}\n"
                                "sync:\n"
                                "  table: app.orders\n"
                                "  forward: {reference: legacy}\n"
                                "  by: {cohort: {column: account_id}}\n"
                                "phases:\n"
                                "  expand:\n"
                                "    release: 4.2.0\n"
                                "    steps:\n"
                                "      - id: column\n"
                                "        sql: |\n"
                                "          ALTER TABLE orders\n"
                                "            ADD COLUMN reference text\n"
                                "        lock_timeout: 1s\n"
                                "  dual_read:\n"
                                "    release: 4.3.0\n"
                                "    rollout: [{percent: 5, pause: 10m}, {percent: 100}]\n"
                                "    compare: {sample: 1.5%}\n"
                                "    gates: [errors]\n"
                                "  write_activation:\n"
                                "    release: 4.4.0\n"
                                "    backfill: [{id: fill, batch: {rows: 10}, key: id}]\n"
                                "    verify: [{id: filled, sql: SELECT 1, expect: \"= 1\"}]\n"
                                "  contract: {none: the old column stays}\n"
                                "gates:\n"
                                "  errors: {sql: SELECT count(*) FROM errors, expect: \"< 0.5\", "
                                "no_data: fail, on_failure: hold}\n";

/* text with the first `from` replaced by `to`. */
static inline void replaced(struct str *out, const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);

    assert_non_null(at);
    str_clear(out);
    str_addn(out, text, (size_t) (at - text));
    str_add(out, to);
    str_add(out, at + strlen(from));
}

static inline void assert_problem(const struct problem_list *problems, const char *expected)
{
    for (int i = 0; i < problems->n; i++) {
        AUTO(str) line = {0};
        problem_text(&line, &problems->items[i]);
        if (strstr(str_text(&line), expected))
            return;
    }
    for (int i = 0; i < problems->n; i++) {
        AUTO(str) line = {0};
        problem_text(&line, &problems->items[i]);
        print_message("  %s\n", str_text(&line));
    }
    fail_msg("no problem says: %s", expected);
}

static inline void assert_pos(struct pos at, int line, int col)
{
    assert_string_equal(at.file, "plans/x.yaml");
    assert_int_equal(at.line, line);
    assert_int_equal(at.col, col);
}

#endif
