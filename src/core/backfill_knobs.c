/* What can be set about a backfill, by its plan and while it runs. Pure. */
#include "phasegate/backfill.h"
#include "phasegate/hours.h"
#include "phasegate/names.h"

#include <string.h>

#define VACUUM_SHARE 0.1 /* larger ones last longer by far: what they read is no longer in memory */

/* Keys of plans come first. */
const char *const knob_words[] = {
    "target",        "min_rows",       "max_rows",    "duty",     "vacuum",    "replica_lag",
    "replica_bytes", "slot_retention", "archiver",    "wal_disk", "disk_free", "lock_waiters",
    "sessions",      "dead_tuples",    "oldest_xmin", "wal_rate", "sql",       "http",
    "file",          "window",         NULL};

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

/* By hand, because strtod takes hexadecimal, "inf" and the locale's decimal point. */
static bool take_digits(const char **v, double *out)
{
    const char *start = *v;

    for (*out = 0; **v >= '0' && **v <= '9' && *v - start < 9; ++*v)
        *out = 10 * *out + (**v - '0');
    return *v > start;
}

static bool take_count(const char *v, double low, double high, double *out)
{
    double n;

    if (!take_digits(&v, &n) || *v || n < low || n > high)
        return false;
    *out = n;
    return true;
}

static bool take_share(const char *v, double low, double *out)
{
    double n, parts = 0;

    if (!take_digits(&v, &n))
        return false;
    if (*v == '.') {
        const char *start = ++v;

        if (!take_digits(&v, &parts))
            return false;
        for (; start < v; start++)
            parts /= 10;
    }
    if (*v || n + parts < low || n + parts > 1)
        return false;
    *out = n + parts;
    return true;
}

#define DAY_MS 86400000
#define TARGET_MS_MAX 30000 /* nobody has to wait for longer than that */
#define BYTES_LEAST 65536
#define BYTES_MOST ((int64_t) 1 << 50)

static bool take_ms(const char *v, int64_t least, int64_t most, double *out)
{
    int64_t ms;

    if (!duration_from_text(v, &ms) || ms < least || ms > most)
        return false;
    *out = (double) ms;
    return true;
}

static bool take_bytes(const char *v, double *out)
{
    int64_t n;

    if (!size_from_text(v, &n) || n < BYTES_LEAST || n > BYTES_MOST)
        return false;
    *out = (double) n;
    return true;
}

static bool take_percent(const char *v, double *out)
{
    double n;

    if (!percent_from_text(v, &n) || n < 1)
        return false;
    *out = n;
    return true;
}

static bool take_value(enum signal_unit u, const char *v, double *out)
{
    switch (u) {
    case UNIT_SECONDS:
        if (!take_ms(v, 100, DAY_MS, out))
            return false;
        *out /= 1000;
        return true;
    case UNIT_BYTES: return take_bytes(v, out);
    case UNIT_PERCENT: return take_percent(v, out);
    case UNIT_COUNT: return take_count(v, 1, 1e6, out);
    case UNIT_NONE: return false;
    }
    return false;
}

#define EXPECTED_SHARE "a share like 20%, from 1% to 100%, on or off"

static const char *expected(enum signal_unit u)
{
    switch (u) {
    case UNIT_SECONDS: return "a time like 5s, from 100ms to 24h, on or off";
    case UNIT_BYTES: return "a size like 64MiB, from 64KiB to 1024TiB, on or off";
    case UNIT_PERCENT: return EXPECTED_SHARE;
    case UNIT_COUNT: return "a whole number from 1 to 1000000, on or off";
    case UNIT_NONE: return "a text, or off";
    }
    return "";
}

/* What is only looked at is a text; on alone says nothing of where to look. */
static bool take_text(enum signal_kind kind, const char *v, const char **why)
{
    if (kind == SIGNAL_HTTP) {
        *why = "a URL like http://host:port/path or https://host/path, or off";
        return (strncmp(v, "http://", 7) == 0 && v[7] && v[7] != '/') ||
               (strncmp(v, "https://", 8) == 0 && v[8] && v[8] != '/');
    }
    if (kind == SIGNAL_WINDOW) {
        struct hours hours;

        *why = HOURS_EXPECTED ", or off";
        return hours_parse(v, &hours);
    }
    *why = kind == SIGNAL_SQL ? "a query, or off" : "the name of a file, or off";
    return !is_on(v) && v[strspn(v, " \t\r\n")] != '\0';
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
        if (!take_text(kind, v, why))
            return false;
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
        *why = "a time like 50ms, from 1ms to 30s";
        return take_ms(v, 1, TARGET_MS_MAX, &k->batch.target_ms);
    }
    if (strcmp(key, "min_rows") == 0 || strcmp(key, "max_rows") == 0) {
        bool is_min = key[1] == 'i';

        *why = "a whole number of rows from 1 to 1000000";
        if (!take_count(v, 1, 1e6, &n))
            return false;
        *(is_min ? &k->batch.min : &k->batch.max) = (int64_t) n;
        *(is_min ? &k->has_min : &k->has_max) = true;
        /* One that nobody asked for gives way. */
        if (k->batch.min > k->batch.max && !(k->has_min && k->has_max))
            *(is_min ? &k->batch.max : &k->batch.min) = (int64_t) n;
        return true;
    }
    *mine = false;
    return true;
}

bool knobs_agree(const struct backfill_knobs *k, const char **why)
{
    *why = "min_rows up to max_rows";
    return !k->has_min || !k->has_max || k->batch.min <= k->batch.max;
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
        *why = "a share of the time like 0.5, from 0.01 to 1";
        return take_share(v, 0.01, &k->max_duty);
    }
    if (strcmp(key, "vacuum") == 0 || strcmp(key, "dead_tuples") == 0) {
        double percent = 100 * VACUUM_SHARE;
        *why = EXPECTED_SHARE;
        if (is_off(v))
            percent = 0;
        else if (!is_on(v) && !take_percent(v, &percent))
            return false;
        k->vacuum_share = percent / 100;
        return true;
    }
    if (signal_from_word(key, &kind))
        return take_signal(k, kind, v, why);
    *why = "a setting that this version knows";
    return false;
}
