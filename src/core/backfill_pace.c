/* Sizes of batches, rests between them, and when the last one will be done. Pure. */
#include "phasegate/backfill.h"

#define EWMA 0.3  /* weight of the newest batch */
#define SHOCK 5.0 /* targets */
#define PACE_STEP 0.05
#define PACE_STEP_MS 5000
#define PACE_MIN 0.05
#define FORECAST_MS 300000.0
#define FORECAST_SHARE 100 /* no forecast before one row in so many */

/* ---- sizes ----------------------------------------------------------------------------------------------- */

static int64_t clamp(int64_t n, int64_t low, int64_t high)
{
    return n < low ? low : n > high ? high : n;
}

/* Rows that the byte bound allows; at least one. */
static int64_t most(const struct batch_size *b)
{
    int64_t max = b->limits.max;

    if (b->limits.max_bytes > 0 && b->row_bytes > 0) {
        double fit = (double) b->limits.max_bytes / b->row_bytes;
        if (fit < (double) max)
            max = fit < 1 ? 1 : (int64_t) fit;
    }
    return max;
}

static int64_t bound(const struct batch_size *b, int64_t rows)
{
    int64_t max = most(b);

    return clamp(rows, b->limits.min < max ? b->limits.min : max, max);
}

void batch_size_begin(struct batch_size *b, const struct batch_limits *limits, double row_bytes)
{
    *b = (struct batch_size) {.limits = *limits, .row_bytes = row_bytes};
    b->rows = bound(b, limits->start);
}

void batch_size_limit(struct batch_size *b, const struct batch_limits *limits)
{
    b->limits = *limits;
    b->rows = bound(b, b->rows);
}

void batch_size_done(struct batch_size *b, int64_t rows, int64_t changed, double ms)
{
    if (changed == 0 || rows == 0)
        return;
    double per_row = (ms > 0 ? ms : 0.001) / (double) rows;

    if (ms > SHOCK * b->limits.target_ms) {
        b->rows = bound(b, b->rows / 4);
        return;
    }
    b->ms_per_row = b->ms_per_row > 0 ? (1 - EWMA) * b->ms_per_row + EWMA * per_row : per_row;
    double want = b->limits.target_ms / b->ms_per_row;
    double low = 0.5 * (double) b->rows, high = 1.5 * (double) b->rows;

    b->rows = bound(b, (int64_t) (want < low ? low : want > high ? high : want));
}

bool batch_size_halve(struct batch_size *b)
{
    int64_t before = b->rows;

    b->rows = bound(b, b->rows / 2);
    return b->rows < before;
}

/* ---- rests ----------------------------------------------------------------------------------------------- */

void pace_begin(struct pace *p, double start, double max, int64_t now_ms)
{
    *p = (struct pace) {start < max ? start : max, max, now_ms};
}

void pace_limit(struct pace *p, double max)
{
    p->max_duty = max;
    if (p->duty > max)
        p->duty = max;
}

void pace_level(struct pace *p, enum signal_level l, int64_t now_ms)
{
    /* Who waits burdens nobody, however long: afterwards it goes on as it was before. */
    if (l == SIGNAL_STOP) {
        if (p->calm_since_ms < now_ms)
            p->calm_since_ms = now_ms;
        return;
    }
    if (l != SIGNAL_OK) {
        /* Once for each stretch of five seconds: a signal is sampled more often than it can change. */
        if (now_ms >= p->calm_since_ms) {
            p->duty = p->duty / 2 < PACE_MIN ? PACE_MIN : p->duty / 2;
            p->calm_since_ms = now_ms + PACE_STEP_MS;
        }
        return;
    }
    while (now_ms - p->calm_since_ms >= PACE_STEP_MS) {
        p->duty += PACE_STEP;
        p->calm_since_ms += PACE_STEP_MS;
    }
    if (p->duty > p->max_duty)
        p->duty = p->max_duty;
}

int64_t pace_rest_ms(const struct pace *p, int64_t ms, int64_t changed)
{
    if (changed == 0 || ms <= 0 || p->duty >= 1)
        return 0;
    return (int64_t) ((double) ms * (1 / p->duty - 1) + 0.5);
}

/* ---- what is left ---------------------------------------------------------------------------------------- */

void forecast_take(struct forecast *f, int64_t rows_done, int64_t now_ms)
{
    double ms = (double) (now_ms - f->at_ms), rows = (double) (rows_done - f->rows);

    if (f->at_ms == 0 || rows < 0) {
        f->at_ms = now_ms;
        f->rows = rows_done;
        return;
    }
    if (ms < 1)
        return;
    double rate = 1000 * rows / ms, weight = ms / FORECAST_MS;

    /* Of a young run the mean so far: then every second counts alike. */
    if (weight > 1 || f->per_second <= 0)
        weight = 1;
    f->per_second += weight * (rate - f->per_second);
    f->at_ms = now_ms;
    f->rows = rows_done;
}

int64_t forecast_left_ms(const struct forecast *f, int64_t rows_done, int64_t rows_total)
{
    if (f->per_second <= 0 || rows_total <= 0 || rows_done < rows_total / FORECAST_SHARE)
        return -1;
    int64_t left = rows_total - rows_done;

    return left <= 0 ? 0 : (int64_t) (1000.0 * (double) left / f->per_second);
}
