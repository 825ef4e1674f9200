/* The system's clocks, and a sleep that a signal ends. */
#include "phasegate/io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { SLICE_MS = 50 };

struct clock_system {
    struct clock base;
    const struct interrupt *interrupt;
    sig_atomic_t reported; /* signals that a sleep has already returned early for */
};

static int64_t read_ms(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t system_wall_ms(struct clock *c)
{
    (void) c;
    return read_ms(CLOCK_REALTIME);
}

static int64_t system_mono_ms(struct clock *c)
{
    (void) c;
    return read_ms(CLOCK_MONOTONIC);
}

/* A signal that comes between the caller's own look at the interrupt and this sleep would be
 * lost, if only those during the sleep counted: hence `reported`. */
static bool is_signalled(struct clock_system *s)
{
    sig_atomic_t count = s->interrupt ? s->interrupt->count : 0;

    if (count == s->reported)
        return false;
    s->reported = count;
    return true;
}

static void system_sleep_ms(struct clock *c, int64_t ms)
{
    struct clock_system *s = (struct clock_system *) c;
    int64_t end = system_mono_ms(c) + ms;

    /* Slices, because the signal may be delivered to another thread. */
    for (int64_t left = ms; left > 0 && !is_signalled(s); left = end - system_mono_ms(c)) {
        int64_t slice = left < SLICE_MS ? left : SLICE_MS;
        struct timespec t = {.tv_nsec = slice * 1000000};

        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    }
}

static uint32_t system_random(struct clock *c)
{
    uint32_t n = 0;

    if (getrandom(&n, sizeof n, 0) == (ssize_t) sizeof n)
        return n;
    /* No entropy call in this sandbox: jitter is all that is asked for. */
    return (uint32_t) system_mono_ms(c) * 2654435761u ^ (uint32_t) getpid();
}

static const struct clock_ops ops = {system_wall_ms, system_mono_ms, system_sleep_ms,
                                     system_random};

struct clock *clock_system(const struct interrupt *interrupt_or_null)
{
    struct clock_system *s = calloc(1, sizeof *s);

    if (!s)
        abort();
    s->base.ops = &ops;
    s->interrupt = interrupt_or_null;
    return &s->base;
}

void clock_system_free(struct clock *c) { free(c); }
