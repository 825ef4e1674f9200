/* The backfill's decisions: sizes, rests, throttles, failures, slices. By table and by running them. */
#include "phasegate/backfill.h"
#include "table.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- sizes ----------------------------------------------------------------------------------------------- */

static void sizes_step_by_step(void **state)
{
    (void) state;
    static const struct {
        int64_t rows, changed;
        double ms;
        int64_t next;
        const char *why;
    } rows[] = {
        {1000, 1000, 10, 1500, "at most one and a half"},
        {1500, 1500, 15, 2250, "again"},
        {2250, 0, 1, 2250, "nothing was changed: it says nothing"},
        {2250, 2250, 251, 562, "more than five targets: a quarter at once"},
        {562, 562, 40, 781, "1.5 x by the smoothed rate: 50 / (0.7 * 0.01 + 0.3 * 0.0712) = 1763"},
        {781, 781, 250, 390, "five targets and no more: half at least"},
    };
    struct batch_size b;

    batch_size_begin(&b, &BATCH_LIMITS_DEFAULT, 0);
    assert_int_equal(b.rows, 1000);
    for (size_t i = 0; i < ROWS(rows); i++) {
        b.rows = rows[i].rows;
        batch_size_done(&b, rows[i].rows, rows[i].changed, rows[i].ms);
        CHECK(llabs(b.rows - rows[i].next) <= 70, "row %zu (%s): %lld, not %lld", i, rows[i].why,
              (long long) b.rows, (long long) rows[i].next);
    }
}

/* Whatever a row costs, the size settles where a batch takes the target, or at a bound. */
static void sizes_settle(void **state)
{
    (void) state;
    for (double per_row = 0.0002; per_row < 20; per_row *= 3) {
        struct batch_size b;
        double ms = 0;

        batch_size_begin(&b, &BATCH_LIMITS_DEFAULT, 0);
        for (int i = 0; i < 40; i++) {
            ms = per_row * (double) b.rows;
            batch_size_done(&b, b.rows, b.rows, ms);
            assert_in_range(b.rows, 100, 50000);
        }
        CHECK(fabs(ms - 50) < 5 || b.rows == 100 || b.rows == 50000, "%g ms per row: %g ms",
              per_row, ms);
    }
}

static void sizes_are_bounded_by_bytes(void **state)
{
    (void) state;
    static const struct {
        double row_bytes;
        int64_t start, most;
    } rows[] = {
        {0, 1000, 50000},  {100, 1000, 50000}, {1024, 1000, 16384}, {65536, 256, 256},
        {1048576, 16, 16}, {33554432, 1, 1},   {1e12, 1, 1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct batch_size b;
        batch_size_begin(&b, &BATCH_LIMITS_DEFAULT, rows[i].row_bytes);
        CHECK(b.rows == rows[i].start, "%zu: starts with %lld", i, (long long) b.rows);
        for (int k = 0; k < 50; k++)
            batch_size_done(&b, b.rows, b.rows, 0.01);
        CHECK(b.rows == rows[i].most, "%zu: at most %lld", i, (long long) b.rows);
    }
}

static void sizes_are_halved_down_to_the_least(void **state)
{
    (void) state;
    struct batch_size b;
    int times = 0;

    batch_size_begin(&b, &BATCH_LIMITS_DEFAULT, 0);
    while (batch_size_halve(&b))
        times++;
    assert_int_equal(b.rows, 100);
    assert_int_equal(times, 4); /* 500, 250, 125, 100 */
    batch_size_limit(&b, &(struct batch_limits) {1, 7, 7, 50, 0});
    assert_int_equal(b.rows, 7);
}

/* ---- rests ----------------------------------------------------------------------------------------------- */

static void the_pace_grows_in_calm_and_is_halved_else(void **state)
{
    (void) state;
    struct pace p;

    pace_begin(&p, 0.25, 0.8, 1000);
    assert_int_equal(pace_rest_ms(&p, 50, 10), 150); /* a quarter of the time is worked */
    assert_int_equal(pace_rest_ms(&p, 50, 0), 0);
    for (int64_t now = 1000; now <= 61000; now += 1000)
        pace_level(&p, SIGNAL_OK, now);
    CHECK(fabs(p.duty - 0.8) < 1e-9, "%g", p.duty);
    assert_in_range(pace_rest_ms(&p, 80, 1), 19, 21);
    pace_level(&p, SIGNAL_SLOW, 62000);
    CHECK(fabs(p.duty - 0.4) < 1e-9, "%g", p.duty);
    pace_level(&p, SIGNAL_SLOW, 63000); /* too soon to say whether it helped */
    CHECK(fabs(p.duty - 0.4) < 1e-9, "%g", p.duty);
    for (int64_t now = 64000; now < 300000; now += 1000)
        pace_level(&p, SIGNAL_SLOW, now);
    CHECK(p.duty >= 0.05 - 1e-9 && p.duty < 0.06, "never quite still: %g", p.duty);
    pace_limit(&p, 0.01);
    CHECK(p.duty <= 0.01, "%g", p.duty);
    pace_begin(&p, 1, 1, 0);
    assert_int_equal(pace_rest_ms(&p, 1000, 1), 0);
}

/* ---- throttles ------------------------------------------------------------------------------------------- */

static void every_signal_has_a_word_and_limits(void **state)
{
    (void) state;
    for (int k = 0; k < SIGNAL_COUNT; k++) {
        enum signal_kind back;
        struct signal_limit l = signal_limit_default((enum signal_kind) k);

        assert_true(signal_from_word(signal_word((enum signal_kind) k), &back));
        assert_int_equal(back, k);
        CHECK(signal_is_floor((enum signal_kind) k) ? l.slow >= l.stop : l.slow <= l.stop,
              "%s: slow beyond stop", signal_word((enum signal_kind) k));
        assert_int_equal(l.is_on, signal_is_usual((enum signal_kind) k));
    }
    enum signal_kind none;
    assert_false(signal_from_word("load", &none));
}

static void a_signal_rises_at_once_and_falls_late(void **state)
{
    (void) state;
    static const struct signal_limit limit = {1, 5, true};
    static const struct {
        double value; /* < 0: it can't be read */
        enum signal_level level;
        const char *why;
    } rows[] = {
        {0.5, SIGNAL_OK, "calm"},
        {1, SIGNAL_SLOW, "at the limit"},
        {6, SIGNAL_STOP, "at once"},
        {4.5, SIGNAL_STOP, "not below 80 %"},
        {3.9, SIGNAL_STOP, "once"},
        {3.9, SIGNAL_STOP, "twice"},
        {4.1, SIGNAL_STOP, "counted from the start again"},
        {0.1, SIGNAL_STOP, "once"},
        {3, SIGNAL_STOP, "twice"},
        {0.1, SIGNAL_OK, "three times, and where it is by now"},
        {-1, SIGNAL_OK, "not seen once"},
        {0.1, SIGNAL_OK, "seen again"},
        {2, SIGNAL_SLOW, "slow"},
        {0.9, SIGNAL_SLOW, "not below 80 %"},
        {0.7, SIGNAL_SLOW, "once"},
        {0.7, SIGNAL_SLOW, "twice"},
        {0.7, SIGNAL_OK, "three times"},
    };
    struct signal_state s = {0};

    for (size_t i = 0; i < ROWS(rows); i++) {
        const double *value = rows[i].value < 0 ? NULL : &rows[i].value;
        enum signal_level l =
            signal_take(&s, SIGNAL_REPLICA_LAG, &limit, value, "gone", 1000 * (int64_t) (i + 1));
        CHECK(l == rows[i].level && l == s.level, "row %zu (%s): %s", i, rows[i].why,
              signal_level_word(l));
    }
}

/* Of what is left there has to be enough: the same, upside down. */
static void a_floor_is_upside_down(void **state)
{
    (void) state;
    static const struct signal_limit limit = {4e9, 2e9, true};
    static const struct {
        double value;
        enum signal_level level;
        const char *why;
    } rows[] = {
        {5e9, SIGNAL_OK, "enough"},          {4e9, SIGNAL_SLOW, "at the limit"},
        {1e9, SIGNAL_STOP, "at once"},       {2.4e9, SIGNAL_STOP, "not 25 % above"},
        {2.6e9, SIGNAL_STOP, "once"},        {2.6e9, SIGNAL_STOP, "twice"},
        {2.6e9, SIGNAL_SLOW, "three times"}, {9e9, SIGNAL_SLOW, "once"},
        {9e9, SIGNAL_SLOW, "twice"},         {9e9, SIGNAL_OK, "three times"},
    };
    struct signal_state s = {0};
    AUTO(str) words = {0};

    for (size_t i = 0; i < ROWS(rows); i++) {
        enum signal_level l = signal_take(&s, SIGNAL_DISK_FREE, &limit, &rows[i].value, NULL,
                                          1000 * (int64_t) (i + 1));
        CHECK(l == rows[i].level, "row %zu (%s): %s", i, rows[i].why, signal_level_word(l));
    }
    s.level = SIGNAL_STOP;
    s.value = 1.5 * 1073741824;
    signal_reason(&words, SIGNAL_DISK_FREE, &s, &limit);
    assert_string_equal(str_text(&words),
                        "disk_free 1.5 GiB, limit 1.9 GiB: are left on the disk of the data");
}

static void what_cant_be_seen_stops(void **state)
{
    (void) state;
    static const struct signal_limit limit = {1, 5, true}, off = {1, 5, false};
    struct signal_state s = {0};
    AUTO(str) words = {0};
    double value = 0;

    assert_int_equal(signal_take(&s, SIGNAL_REPLICA_LAG, &limit, NULL, "gone", 1000), SIGNAL_OK);
    assert_int_equal(signal_take(&s, SIGNAL_REPLICA_LAG, &limit, NULL, "gone", 15999), SIGNAL_OK);
    assert_int_equal(signal_take(&s, SIGNAL_REPLICA_LAG, &limit, NULL, "gone", 16000), SIGNAL_STOP);
    assert_int_equal(s.since_ms, 16000);
    signal_reason(&words, SIGNAL_REPLICA_LAG, &s, &limit);
    assert_string_equal(str_text(&words), "replica_lag can't be read: gone");
    assert_int_equal(signal_take(&s, SIGNAL_REPLICA_LAG, &limit, &value, NULL, 17000), SIGNAL_STOP);
    assert_int_equal(signal_take(&s, SIGNAL_REPLICA_LAG, &limit, &value, NULL, 18000), SIGNAL_STOP);
    assert_int_equal(signal_take(&s, SIGNAL_REPLICA_LAG, &limit, &value, NULL, 19000), SIGNAL_OK);
    value = 9;
    assert_int_equal(signal_take(&s, SIGNAL_REPLICA_LAG, &off, &value, NULL, 20000), SIGNAL_OK);
    assert_int_equal(signal_take(&s, SIGNAL_REPLICA_LAG, &off, NULL, "gone", 90000), SIGNAL_OK);
}

static void the_worst_signal_is_named(void **state)
{
    (void) state;
    struct signal_state s[SIGNAL_COUNT] = {0};
    struct signal_limit limits[SIGNAL_COUNT];
    enum signal_kind worst = SIGNAL_COUNT;
    AUTO(str) words = {0};

    for (int k = 0; k < SIGNAL_COUNT; k++)
        limits[k] = signal_limit_default((enum signal_kind) k);
    assert_int_equal(signals_level(s, limits, &worst), SIGNAL_OK);
    s[SIGNAL_ACTIVE_SESSIONS].level = SIGNAL_SLOW;
    s[SIGNAL_DEAD_TUPLES] =
        (struct signal_state) {.level = SIGNAL_STOP, .value = 21.5, .has_value = true};
    s[SIGNAL_HTTP].level = SIGNAL_STOP; /* not asked for */
    assert_int_equal(signals_level(s, limits, &worst), SIGNAL_STOP);
    assert_int_equal(worst, SIGNAL_DEAD_TUPLES);
    signal_reason(&words, worst, &s[worst], &limits[worst]);
    assert_string_equal(str_text(&words),
                        "dead_tuples 21.5 %, limit 20.0 %: of the table's rows are dead");
}

/* ---- failures -------------------------------------------------------------------------------------------- */

static void failures_by_sqlstate(void **state)
{
    (void) state;
    static const struct {
        const char *sqlstate;
        enum failure_class class;
    } rows[] = {
        {"55P03", FAILURE_CONTENTION}, {"40P01", FAILURE_CONTENTION}, {"40001", FAILURE_CONTENTION},
        {"57014", FAILURE_SLOW},       {"22012", FAILURE_DATA},       {"22P02", FAILURE_DATA},
        {"23505", FAILURE_DATA},       {"23502", FAILURE_DATA},       {"44000", FAILURE_DATA},
        {"P0001", FAILURE_DATA},       {"53100", FAILURE_DISK},       {"58030", FAILURE_DISK},
        {"53200", FAILURE_RESOURCES},  {"53300", FAILURE_RESOURCES},  {"57P01", FAILURE_CONNECTION},
        {"57P03", FAILURE_CONNECTION}, {"08006", FAILURE_CONNECTION}, {"25006", FAILURE_CONNECTION},
        {"", FAILURE_CONNECTION},      {"42P01", FAILURE_SPEC},       {"42501", FAILURE_SPEC},
        {"0A000", FAILURE_SPEC},       {"XX001", FAILURE_CORRUPT},    {"P0002", FAILURE_SPEC},
    };

    for (size_t i = 0; i < ROWS(rows); i++)
        CHECK(failure_of(rows[i].sqlstate) == rows[i].class, "%s: %s", rows[i].sqlstate,
              failure_word(failure_of(rows[i].sqlstate)));
}

static void waits_grow_and_end(void **state)
{
    (void) state;
    static const uint32_t randoms[] = {0, 1, 0x7fffffff, 0xffffffff};

    for (int f = FAILURE_CONTENTION; f <= FAILURE_FENCED; f++)
        for (size_t r = 0; r < ROWS(randoms); r++) {
            int attempt = 1;
            for (; attempt < 100; attempt++) {
                int64_t ms = failure_wait_ms((enum failure_class) f, attempt, randoms[r]);
                if (ms < 0)
                    break;
                assert_in_range(ms, 0, 300000);
            }
            CHECK(attempt < 100 || f == FAILURE_SLOW, "%s never ends",
                  failure_word((enum failure_class) f));
        }
    for (size_t r = 0; r < ROWS(randoms); r++)
        assert_in_range(failure_wait_ms(FAILURE_CONTENTION, 3, randoms[r]), 50, 400);
    assert_int_equal(failure_wait_ms(FAILURE_CONTENTION, 4, 0), -1);
    assert_int_equal(failure_wait_ms(FAILURE_DATA, 1, 0), -1);
}

/* ---- slices ---------------------------------------------------------------------------------------------- */

static void how_many_slices(void **state)
{
    (void) state;
    static const struct {
        int64_t rows, workers;
        int n;
    } rows[] = {
        {0, 1, 1},       {999999, 1, 1},       {5000000, 1, 5}, {5000000, 2, 32},  {1000, 4, 1},
        {16000, 4, 16},  {2000000000, 1, 256}, {15999, 4, 1},   {20000000, 2, 32}, {60000, 2, 8},
        {160000, 2, 16}, {319999, 2, 16},      {320000, 2, 32}, {40000000, 2, 40}, {-1, 1, 1}};

    for (size_t i = 0; i < ROWS(rows); i++)
        CHECK(slices_wanted(rows[i].rows, rows[i].workers) == rows[i].n, "%zu: %d", i,
              slices_wanted(rows[i].rows, rows[i].workers));
}

/* Ascending, inside, and as even as the bounds allow. */
static void cuts(void **state)
{
    (void) state;
    int at[256];

    for (int bounds = 0; bounds <= 101; bounds++)
        for (int wanted = 1; wanted <= 256; wanted += wanted < 20 ? 1 : 17) {
            int n = slices_cut(bounds, wanted, at), widest = 0;

            CHECK(n < wanted && (n == 0 || n <= bounds - 2), "%d of %d: %d", wanted, bounds, n);
            for (int i = 0; i <= n && bounds > 1; i++) {
                int from = i ? at[i - 1] : 0, to = i < n ? at[i] : bounds - 1;
                CHECK(from < to, "%d of %d: an empty slice", wanted, bounds);
                widest = to - from > widest ? to - from : widest;
            }
            if (bounds > 1 && wanted < bounds)
                CHECK(widest <= (bounds - 1) / wanted + 1, "%d of %d: %d wide", wanted, bounds,
                      widest);
        }
}

/* ---- what is left ---------------------------------------------------------------------------------------- */

static void forecasts(void **state)
{
    (void) state;
    struct forecast f = {0};

    forecast_take(&f, 0, 1000);
    assert_int_equal(forecast_left_ms(&f, 0, 1000000), -1);
    for (int s = 1; s <= 60; s++)
        forecast_take(&f, 10000 * s, 1000 + 1000 * s);
    assert_in_range(forecast_left_ms(&f, 600000, 1000000), 39000, 41000);
    assert_int_equal(forecast_left_ms(&f, 9999, 1000000), -1); /* less than one in a hundred */
    assert_int_equal(forecast_left_ms(&f, 1000000, 1000000), 0);
    /* It stands still for ten minutes: what is left takes ever longer. */
    int64_t before = forecast_left_ms(&f, 600000, 1000000);
    for (int s = 61; s <= 660; s++)
        forecast_take(&f, 600000, 1000 + 1000 * s);
    assert_true(forecast_left_ms(&f, 600000, 1000000) > 3 * before);
}

/* ---- what can be set --------------------------------------------------------------------------------------- */

static void settings(void **state)
{
    (void) state;
    static const struct {
        const char *key, *value;
        const char *why; /* part of what was expected; NULL: it is taken */
    } rows[] = {
        {"target", "50ms", NULL},
        {"target", "1ms", NULL},
        {"target", "30s", NULL},
        {"target", "31s", "from 1ms to 30s"},
        {"target", "1h", "from 1ms to 30s"},
        {"target", "0s", "from 1ms to 30s"},
        {"target", "50", "a time like 50ms"},
        {"target", "50 ms", "a time like 50ms"},
        {"target", "5lightyears", "a time like 50ms"},
        {"target", "off", "a time like 50ms"},
        {"min_rows", "1", NULL},
        {"max_rows", "1000000", NULL},
        {"min_rows", "0", "from 1 to 1000000"},
        {"max_rows", "1000001", "from 1 to 1000000"},
        {"max_rows", "99999999999999999999", "from 1 to 1000000"},
        {"max_rows", "1e3", "a whole number"},
        {"max_rows", "0x10", "a whole number"},
        {"max_rows", "10.5", "a whole number"},
        {"max_rows", "-1", "a whole number"},
        {"duty", "0.5", NULL},
        {"duty", "0.01", NULL},
        {"duty", "1", NULL},
        {"duty", "1.0", NULL},
        {"duty", "0.009", "from 0.01 to 1"},
        {"duty", "1.01", "from 0.01 to 1"},
        {"duty", "nan", "from 0.01 to 1"},
        {"duty", "inf", "from 0.01 to 1"},
        {"duty", "0.", "from 0.01 to 1"},
        {"duty", "50%", "from 0.01 to 1"},
        {"vacuum", "20%", NULL},
        {"vacuum", "off", NULL},
        {"vacuum", "on", NULL},
        {"vacuum", "0%", "from 1% to 100%"},
        {"vacuum", "101%", "from 1% to 100%"},
        {"dead_tuples", "0.2", "a share like 20%"},
        {"replica_lag", "5s", NULL},
        {"replica_lag", "100ms", NULL},
        {"replica_lag", "64MiB", NULL},
        {"replica_lag", "on", NULL},
        {"replica_lag", "off", NULL},
        {"replica_lag", "5", "a time like 5s"},
        {"replica_lag", "99ms", "from 100ms to 24h"},
        {"replica_lag", "25h", "from 100ms to 24h"},
        {"replica_lag", "5 parsecs", "a time like 5s"},
        {"replica_bytes", "64KiB", NULL},
        {"replica_bytes", "1KiB", "from 64KiB"},
        {"replica_bytes", "64", "a size like 64MiB"},
        {"slot_retention", "8GiB", NULL},
        {"slot_retention", "8XiB", "a size like 64MiB"},
        {"archiver", "42", NULL},
        {"archiver", "0", "from 1 to 1000000"},
        {"sessions", "1.5", "a whole number"},
        {"oldest_xmin", "30m", NULL},
        {"wal_rate", "off", NULL},
        {"http", "http://127.0.0.1:8080/ready", NULL},
        {"http", "https://host/x?y", NULL},
        {"http", "off", NULL},
        {"http", "file:", "a URL like http://"},
        {"http", "file:///etc/passwd", "a URL like http://"},
        {"http", "http://", "a URL like http://"},
        {"http", "https:///x", "a URL like http://"},
        {"http", "on", "a URL like http://"},
        {"sql", "SELECT 1", NULL},
        {"sql", "on", "a query"},
        {"sql", "  ", "a query"},
        {"file", "/tmp/stop", NULL},
        {"file", "true", "the name of a file"},
        {"wal_disk", "80%", NULL},
        {"wal_disk", "on", NULL},
        {"wal_disk", "101%", "a share like 20%"},
        {"disk_free", "10GiB", NULL},
        {"disk_free", "10%", "a size like 64MiB"},
        {"window", "22:00-06:00", NULL},
        {"window", "off", NULL},
        {"window", "on", "hours like 22:00-06:00"},
        {"window", "night", "hours like 22:00-06:00"},
        {"speed", "11", "a setting that this version knows"},
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct backfill_knobs k;
        const char *why = "";

        knobs_begin(&k, &BATCH_LIMITS_DEFAULT);
        bool taken = knob_take(&k, rows[i].key, rows[i].value, &why);
        CHECK(taken == (rows[i].why == NULL), "%s=%s: %s", rows[i].key, rows[i].value, why);
        CHECK(taken || strstr(why, rows[i].why), "%s=%s: expected %s, not %s", rows[i].key,
              rows[i].value, rows[i].why, why);
    }
}

static void settings_have_effect(void **state)
{
    (void) state;
    struct backfill_knobs k;
    const char *why = NULL;

    knobs_begin(&k, &BATCH_LIMITS_DEFAULT);
    assert_true(knob_take(&k, "target", "20ms", &why));
    assert_true(fabs(k.batch.target_ms - 20) < 1e-9);
    assert_true(knob_take(&k, "duty", "0.25", &why));
    assert_true(fabs(k.max_duty - 0.25) < 1e-9);
    assert_true(knob_take(&k, "vacuum", "12.5%", &why));
    assert_true(fabs(k.vacuum_share - 0.125) < 1e-9);
    assert_true(knob_take(&k, "replica_lag", "10s", &why));
    assert_true(fabs(k.limits[SIGNAL_REPLICA_LAG].stop - 10) < 1e-9);
    assert_true(fabs(k.limits[SIGNAL_REPLICA_LAG].slow - 2) < 1e-9);
    assert_true(knob_take(&k, "replica_lag", "32MiB", &why));
    assert_true(fabs(k.limits[SIGNAL_REPLICA_BYTES].stop - 32 * 1048576.0) < 1e-9);
    assert_false(knob_take(&k, "duty", "7", &why));
    assert_true(fabs(k.max_duty - 0.25) < 1e-9); /* what is refused changes nothing */
}

/* Either alone moves the other one's default out of the way; both together have to agree. */
static void settings_that_contradict(void **state)
{
    (void) state;
    static const struct {
        const char *min, *max;
        bool agree;
    } rows[] = {{NULL, NULL, true},     {"60000", NULL, true}, {NULL, "50", true},
                {"1", "1", true},       {"10", "100", true},   {"101", "100", false},
                {"1000000", "1", false}};

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct backfill_knobs k;
        const char *why = NULL;

        knobs_begin(&k, &BATCH_LIMITS_DEFAULT);
        assert_true(!rows[i].min || knob_take(&k, "min_rows", rows[i].min, &why));
        assert_true(!rows[i].max || knob_take(&k, "max_rows", rows[i].max, &why));
        CHECK(knobs_agree(&k, &why) == rows[i].agree, "%zu", i);
        assert_true(rows[i].agree || strstr(why, "max_rows"));
    }
}

/* A least size above the largest by default is meant: it isn't cut down to that. */
static void a_least_size_of_its_own(void **state)
{
    (void) state;
    struct backfill_knobs k;
    const char *why = NULL;
    struct batch_size b;

    knobs_begin(&k, &BATCH_LIMITS_DEFAULT);
    assert_true(knob_take(&k, "min_rows", "60000", &why));
    batch_size_begin(&b, &k.batch, 0);
    assert_int_equal(b.rows, 60000);
}

/* ---- what it will take --------------------------------------------------------------------------------------- */

#define MIB 1048576

/* The tables of tests/bench/backfill, with what one UPDATE and phasegate took of them: rows as wide, one index. */
static void estimates_near_what_was_measured(void **state)
{
    (void) state;
    static const struct {
        int64_t rows, bytes, index_bytes, wal, growth;
    } rows[] = {{600000, 111 * (int64_t) MIB, 13 * MIB, 338000000, 65000000},
                {1000000, 178 * (int64_t) MIB, 21 * MIB, 575000000, 86000000}};

    for (size_t i = 0; i < ROWS(rows); i++) {
        const struct estimate_basis b = {.rows = rows[i].rows,
                                         .bytes = rows[i].bytes,
                                         .index_bytes = rows[i].index_bytes,
                                         .n_indexes = 1,
                                         .todo_share = 1,
                                         .vacuum_share = 0.2,
                                         .duty = 1,
                                         .workers = 1,
                                         .batch = BATCH_LIMITS_DEFAULT};
        struct estimate e;

        estimate_make(&b, &e);
        assert_int_equal(e.rows, rows[i].rows);
        assert_in_range(e.wal_bytes, 0.8 * (double) rows[i].wal, 1.25 * (double) rows[i].wal);
        assert_in_range(e.growth_bytes, 0.6 * (double) rows[i].growth,
                        1.4 * (double) rows[i].growth);
        assert_true(e.least_ms < e.ms && e.ms < e.most_ms && !e.is_measured);
        assert_in_range(e.batches, rows[i].rows / 50000, rows[i].rows / 4000);
    }
}

static void estimates_follow_what_they_are_made_of(void **state)
{
    (void) state;
    const struct estimate_basis usual = {.rows = 1000000,
                                         .bytes = 200 * (int64_t) MIB,
                                         .index_bytes = 20 * MIB,
                                         .n_indexes = 1,
                                         .todo_share = 1,
                                         .vacuum_share = 0.2,
                                         .duty = 1,
                                         .workers = 1,
                                         .batch = BATCH_LIMITS_DEFAULT};
    struct estimate_basis b = usual;
    struct estimate e, f;

    estimate_make(&usual, &e);
    b.duty = 0.5;
    estimate_make(&b, &f);
    assert_in_range(f.ms, 2 * e.ms - 2, 2 * e.ms + 2);
    b = usual;
    b.workers = 2;
    estimate_make(&b, &f);
    assert_in_range(f.ms, 0.6 * (double) e.ms, 0.75 * (double) e.ms);
    b = usual;
    b.n_indexes = 4;
    estimate_make(&b, &f);
    assert_true(f.ms > e.ms && f.wal_bytes > e.wal_bytes);
    b.hot_share = 1;
    estimate_make(&b, &f);
    assert_true(f.ms < e.ms && f.wal_bytes < e.wal_bytes && f.growth_bytes == 0);
    b = usual;
    b.vacuum_share = 0;
    estimate_make(&b, &f);
    assert_in_range(f.growth_bytes, 219 * MIB, 221 * MIB);
    b = usual;
    b.todo_share = 0.1;
    estimate_make(&b, &f);
    assert_int_equal(f.rows, 100000);
    assert_true(f.wal_bytes < e.wal_bytes && f.batches == e.batches);
    b = usual;
    b.ms_per_row = 0.05;
    b.wal_per_row = 300;
    estimate_make(&b, &f);
    assert_true(f.is_measured && f.ms == 50000 && f.wal_bytes == 300000000);
    assert_int_equal(f.batches, 1000);
    b = (struct estimate_basis) {.workers = 1, .batch = BATCH_LIMITS_DEFAULT};
    estimate_make(&b, &f);
    assert_true(f.rows == 0 && f.batches == 0 && f.ms == 0 && f.wal_bytes == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_step_by_step),
        cmocka_unit_test(sizes_settle),
        cmocka_unit_test(sizes_are_bounded_by_bytes),
        cmocka_unit_test(sizes_are_halved_down_to_the_least),
        cmocka_unit_test(the_pace_grows_in_calm_and_is_halved_else),
        cmocka_unit_test(every_signal_has_a_word_and_limits),
        cmocka_unit_test(a_signal_rises_at_once_and_falls_late),
        cmocka_unit_test(a_floor_is_upside_down),
        cmocka_unit_test(what_cant_be_seen_stops),
        cmocka_unit_test(the_worst_signal_is_named),
        cmocka_unit_test(failures_by_sqlstate),
        cmocka_unit_test(waits_grow_and_end),
        cmocka_unit_test(how_many_slices),
        cmocka_unit_test(cuts),
        cmocka_unit_test(forecasts),
        cmocka_unit_test(estimates_near_what_was_measured),
        cmocka_unit_test(estimates_follow_what_they_are_made_of),
        cmocka_unit_test(settings),
        cmocka_unit_test(settings_have_effect),
        cmocka_unit_test(settings_that_contradict),
        cmocka_unit_test(a_least_size_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
