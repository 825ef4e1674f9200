/* What throttles a backfill. Pure. */
#include "phasegate/backfill.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *word, *says;
    enum signal_unit unit;
    bool is_usual;
} kinds[SIGNAL_COUNT] = {
#define X(name, word, unit, says, on) {word, says, unit, on},
    SIGNALS(X)
#undef X
};

#define MIB 1048576.0
#define GIB (1024 * MIB)

/* Where the figures come from: docs/backfill.md. active_sessions depends on the server: see its reader. */
static const struct signal_limit defaults[SIGNAL_COUNT] = {
    [SIGNAL_REPLICA_LAG] = {1, 5, true},
    [SIGNAL_REPLICA_BYTES] = {16 * MIB, 64 * MIB, true},
    [SIGNAL_SLOT_RETAINED] = {2 * GIB, 8 * GIB, true},
    [SIGNAL_ARCHIVE_READY] = {8, 42, true},
    [SIGNAL_LOCK_WAITERS] = {1, 5, true},
    [SIGNAL_ACTIVE_SESSIONS] = {8, 16, true},
    [SIGNAL_DEAD_TUPLES] = {10, 20, true},
    [SIGNAL_VACUUM_RUNNING] = {1, HUGE_VAL, true},
    [SIGNAL_OLDEST_XMIN] = {300, 1800, true},
    [SIGNAL_WAL_RATE] = {HUGE_VAL, HUGE_VAL, false},
    [SIGNAL_WAL_DISK] = {70, 85, false},
    [SIGNAL_DISK_FREE] = {4 * GIB, 2 * GIB, false},
    [SIGNAL_SQL] = {1, 1, false},
    [SIGNAL_HTTP] = {1, 1, false},
    [SIGNAL_FILE] = {1, 1, false},
    [SIGNAL_WINDOW] = {1, 1, false},
};

const char *signal_word(enum signal_kind k) { return kinds[k].word; }
const char *signal_says(enum signal_kind k) { return kinds[k].says; }
enum signal_unit signal_unit(enum signal_kind k) { return kinds[k].unit; }
bool signal_is_usual(enum signal_kind k) { return kinds[k].is_usual; }
bool signal_is_floor(enum signal_kind k) { return k == SIGNAL_DISK_FREE; }
struct signal_limit signal_limit_default(enum signal_kind k) { return defaults[k]; }

bool signal_from_word(const char *word, enum signal_kind *out)
{
    for (int k = 0; k < SIGNAL_COUNT; k++)
        if (strcmp(kinds[k].word, word) == 0) {
            *out = (enum signal_kind) k;
            return true;
        }
    return false;
}

const char *signal_level_word(enum signal_level l)
{
    return l == SIGNAL_STOP ? "stop" : l == SIGNAL_SLOW ? "slow" : "ok";
}

/* ---- one signal ------------------------------------------------------------------------------------------ */

static enum signal_level level_at(enum signal_kind k, const struct signal_limit *l, double value)
{
    double sign = signal_is_floor(k) ? -1 : 1;

    if (sign * value >= sign * l->stop)
        return SIGNAL_STOP;
    return sign * value >= sign * l->slow ? SIGNAL_SLOW : SIGNAL_OK;
}

static void set_level(struct signal_state *s, enum signal_level l, int64_t now_ms)
{
    if (s->level != l)
        s->since_ms = now_ms;
    s->level = l;
    s->calm = 0;
}

static enum signal_level take_blind(struct signal_state *s, const char *why, int64_t now_ms)
{
    if (s->blind_since_ms == 0)
        s->blind_since_ms = now_ms;
    s->why_blind = why;
    s->calm = 0;
    if (now_ms - s->blind_since_ms >= SIGNAL_BLIND_MS)
        set_level(s, SIGNAL_STOP, now_ms);
    return s->level;
}

enum signal_level signal_take(struct signal_state *s, enum signal_kind k,
                              const struct signal_limit *limit, const double *value,
                              const char *why, int64_t now_ms)
{
    double share = signal_is_floor(k) ? 1 / SIGNAL_CALM_SHARE : SIGNAL_CALM_SHARE;

    if (!limit->is_on) {
        *s = (struct signal_state) {0};
        return SIGNAL_OK;
    }
    if (!value)
        return take_blind(s, why ? why : "it can't be read", now_ms);
    s->blind_since_ms = 0;
    s->why_blind = NULL;
    s->value = *value;
    s->has_value = true;
    if (level_at(k, limit, *value) >= s->level) {
        set_level(s, level_at(k, limit, *value), now_ms);
        return s->level;
    }
    /* As if it were worse by what it has to get better. */
    enum signal_level lower = level_at(k, limit, *value / share);
    s->calm = lower < s->level ? s->calm + 1 : 0;
    if (s->calm >= SIGNAL_CALM_TIMES)
        set_level(s, lower, now_ms);
    return s->level;
}

/* ---- all of them ----------------------------------------------------------------------------------------- */

enum signal_level signals_level(const struct signal_state *s, const struct signal_limit *limits,
                                enum signal_kind *out_worst)
{
    enum signal_level worst = SIGNAL_OK;

    for (int k = 0; k < SIGNAL_COUNT; k++)
        if (limits[k].is_on && s[k].level > worst) {
            worst = s[k].level;
            *out_worst = (enum signal_kind) k;
        }
    return worst;
}

/* ---- words ----------------------------------------------------------------------------------------------- */

static void add_value(struct str *out, enum signal_kind k, double v)
{
    switch (kinds[k].unit) {
    case UNIT_SECONDS: str_addf(out, v < 10 ? "%.1f s" : "%.0f s", v); break;
    case UNIT_PERCENT: str_addf(out, "%.1f %%", v); break;
    case UNIT_BYTES:
        if (v >= GIB)
            str_addf(out, "%.1f GiB", v / GIB);
        else
            str_addf(out, "%.1f MiB", v / MIB);
        break;
    case UNIT_COUNT: str_addf(out, "%.0f", v); break;
    case UNIT_NONE: break;
    }
}

void signal_reason(struct str *out, enum signal_kind k, const struct signal_state *s,
                   const struct signal_limit *limit)
{
    double at = s->level == SIGNAL_STOP ? limit->stop : limit->slow;

    str_add(out, kinds[k].word);
    if (s->why_blind) {
        str_addf(out, " can't be read: %s", s->why_blind);
        return;
    }
    if (kinds[k].unit != UNIT_NONE && s->has_value) {
        str_addc(out, ' ');
        add_value(out, k, s->value);
        if (isfinite(at)) {
            str_add(out, ", limit ");
            add_value(out, k, at);
        }
    }
    str_addf(out, ": %s", kinds[k].says);
}
