/* What the tests of the ledger share: sessions as phasegate opens them, and a ledger in a
 * fresh database. */
#ifndef PHASEGATE_LEDGER_TEST_H
#define PHASEGATE_LEDGER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pgtest.h"
#include "phasegate/io.h"
#include "phasegate/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fails with the whole err: a red test must say why. */
#define assert_good(call, err)                                                                     \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("%s: %s [%s] %s | %s | %s", #call, err_kind_word((err)->kind),                \
                     (err)->sqlstate, str_text(&(err)->message), str_text(&(err)->detail),         \
                     str_text(&(err)->notes));                                                     \
    } while (0)

#define assert_err(call, err, expected_kind)                                                       \
    do {                                                                                           \
        assert_false(call);                                                                        \
        if ((err)->kind != (expected_kind))                                                        \
            fail_msg("%s: %s [%s] %s", #call, err_kind_word((err)->kind), (err)->sqlstate,         \
                     str_text(&(err)->message));                                                   \
    } while (0)

#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (!strstr((text), (part)))                                                               \
            fail_msg("\"%s\" isn't in \"%s\"", (part), (text));                                    \
    } while (0)

static inline struct clock *test_clock(void)
{
    static struct clock *clock;
    if (!clock)
        clock = clock_system(NULL);
    return clock;
}

static inline struct db *test_open_url(const char *url, const char *label, bool writable)
{
    struct db_options o = db_options_default();
    AUTO(err) err = {0};
    struct db *db = NULL;
    o.url = url;
    o.label = label;
    o.writable = writable;
    o.clock = test_clock();
    o.lock_ms = 10000;
    assert_good(db_connect(&o, &db, &err), &err);
    return db;
}

static inline struct db *test_open(const char *conninfo)
{
    return test_open_url(conninfo, "phasegate/me", true);
}

static inline void test_exec(struct db *db, const char *sql)
{
    AUTO(err) err = {0};
    assert_good(db_exec(db, sql, &DB_NO_PARAMS, &err), &err);
}

static inline struct lease_options test_lease(const char *run_id)
{
    return (struct lease_options) {.run_id = run_id,
                                   .host = "box",
                                   .user = "ann",
                                   .command = "advance widen",
                                   .pid = 4242,
                                   .clock = test_clock()};
}

/* A session on a database with a ledger. */
static inline struct db *test_ledger(const char *conninfo)
{
    AUTO(err) err = {0};
    struct db *db = test_open(conninfo);
    assert_good(ledger_upgrade(db, &err), &err);
    return db;
}

#endif
