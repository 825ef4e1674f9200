/* What can be set about a backfill, by its plan and while it runs. Pure. */
#include "phasegate/backfill.h"
#include "phasegate/names.h"

#include <stdlib.h>
#include <string.h>

#define VACUUM_SHARE 0.2

/* Keys of plans come first. */
const char *const knob_words[] = {
    "target",        "min_rows",       "max_rows", "duty",         "vacuum",   "replica_lag",
    "replica_bytes", "slot_retention", "archiver", "lock_waiters", "sessions", "dead_tuples",
    "oldest_xmin",   "wal_rate",       "sql",      "http",         "file",     NULL};

void knobs_begin(struct backfill_knobs *k, const struct batch_limits *batch)
{
    memset(k, 0, sizeof *k);
    k->batch = *batch;
    k->max_duty = 1;
    k->vacuum_share = VACUUM_SHARE;
    for (int i = 0; i < SIGNAL_COUNT; i++)
        k->limits[i] = signal_limit_default((enum signal_kind) i);
    k->limits[SIGNAL_DEAD_TUPLES].is_on = false; /* VACUUM takes them away */
}

static bool is_off(const char *v) { return strcmp(v, "off") == 0 || strcmp(v, "false") == 0; }
static bool is_on(const char *v) { return strcmp(v, "on") == 0 || strcmp(v, "true") == 0; }

static bool take_count(const char *v, double low, double high, double *out)
{
    char *end = NULL;
    double n = *v ? strtod(v, &end) : -1;

    if (!end || *end || !(n >= low && n <= high))
        return false;
    *out = n;
    return true;
}

static bool take_seconds(const char *v, double *out)
{
    int64_t ms;

    if (!duration_from_text(v, &ms) || ms <= 0)
        return false;
    *out = (double) ms / 1000;
    return true;
}

static bool take_bytes(const char *v, double *out)
{
    int64_t n;

    if (!size_from_text(v, &n) || n <= 0)
        return false;
    *out = (double) n;
    return true;
}

static bool take_percent(const char *v, double *out) { return percent_from_text(v, out); }

static bool take_value(enum signal_unit u, const char *v, double *out)
{
    switch (u) {
    case UNIT_SECONDS: return take_seconds(v, out);
    case UNIT_BYTES: return take_bytes(v, out);
    case UNIT_PERCENT: return take_percent(v, out);
    case UNIT_COUNT: return take_count(v, 1, 1e6, out);
    case UNIT_NONE: return false;
    }
    return false;
}

static const char *expected(enum signal_unit u)
{
    switch (u) {
    case UNIT_SECONDS: return "a time like 5s, on or off";
    case UNIT_BYTES: return "a size like 64MiB, on or off";
    case UNIT_PERCENT: return "a share like 20%, on or off";
    case UNIT_COUNT: return "a number, on or off";
    case UNIT_NONE: return "a text, or off";
    }
    return "";
}

/* Slow begins where it does by default, in proportion. */
static void limit_at(struct signal_limit *l, enum signal_kind kind, double stop)
{
    const struct signal_limit usual = signal_limit_default(kind);
    bool known = usual.stop > 0 && usual.stop < 1e300 && usual.slow < 1e300;

    l->slow = known ? stop * usual.slow / usual.stop : stop / 2;
    l->stop = stop;
    l->is_on = true;
}

static bool take_signal(struct backfill_knobs *k, enum signal_kind kind, const char *v,
                        const char **why)
{
    double stop;

    /* One word in plans for both sides of it. */
    if (kind == SIGNAL_REPLICA_LAG && take_bytes(v, &stop) && !is_on(v))
        kind = SIGNAL_REPLICA_BYTES;
    if (is_off(v)) {
        k->limits[kind].is_on = false;
        return true;
    }
    if (signal_unit(kind) == UNIT_NONE) {
        k->limits[kind] = (struct signal_limit) {1, 1, true};
        k->text[kind] = v;
    } else if (is_on(v)) {
        k->limits[kind] = signal_limit_default(kind);
        k->limits[kind].is_on = true;
    } else if (take_value(signal_unit(kind), v, &stop)) {
        limit_at(&k->limits[kind], kind, stop);
    } else {
        *why = expected(signal_unit(kind));
        return false;
    }
    k->is_named[kind] = true;
    return true;
}

static bool take_batch(struct backfill_knobs *k, const char *key, const char *v, bool *mine,
                       const char **why)
{
    double n;

    *mine = true;
    if (strcmp(key, "target") == 0) {
        *why = "a time like 50ms";
        if (!take_seconds(v, &n))
            return false;
        k->batch.target_ms = 1000 * n;
    } else if (strcmp(key, "min_rows") == 0 || strcmp(key, "max_rows") == 0) {
        *why = "a number of rows from 1 to 1000000";
        if (!take_count(v, 1, 1e6, &n))
            return false;
        *(key[1] == 'i' ? &k->batch.min : &k->batch.max) = (int64_t) n;
    } else {
        *mine = false;
    }
    return true;
}

bool knob_take(struct backfill_knobs *k, const char *key, const char *v, const char **why)
{
    enum signal_kind kind;
    bool mine = false;

    if (!take_batch(k, key, v, &mine, why))
        return false;
    if (mine)
        return true;
    if (strcmp(key, "paused") == 0) {
        k->paused = *v ? v : NULL;
        return true;
    }
    if (strcmp(key, "duty") == 0) {
        *why = "a share of the time from 0.01 to 1";
        return take_count(v, 0.01, 1, &k->max_duty);
    }
    if (strcmp(key, "vacuum") == 0 || strcmp(key, "dead_tuples") == 0) {
        double percent = 100 * VACUUM_SHARE;
        *why = "a share like 20%, on or off";
        if (is_off(v))
            percent = 0;
        else if (!is_on(v) && (!take_percent(v, &percent) || percent <= 0))
            return false;
        k->vacuum_share = percent / 100;
        return true;
    }
    if (signal_from_word(key, &kind) && kind != SIGNAL_WAL_DISK && kind != SIGNAL_WINDOW)
        return take_signal(k, kind, v, why);
    *why = "a setting that this version knows";
    return false;
}
