/* What a failed batch means, and how a table is cut. Pure. */
#include "phasegate/backfill.h"

#include <string.h>

/* Slices for each of several workers: as many as leave each a good number of batches. */
#define SLICES_EACH 16
#define SLICES_EACH_LEAST 4
#define SLICE_ROWS_WELL 10000
#define SLICE_ROWS_LEAST 1000

#define LONG_TRIES 30 /* about a quarter of an hour, as for the lock of a step */

static const struct {
    const char *start; /* of the SQLSTATE */
    enum failure_class class;
} classes[] = {
    /* PostgreSQL's manual, Appendix A; the first that fits. */
    {"55P03", FAILURE_CONTENTION}, /* lock_not_available */
    {"40P01", FAILURE_CONTENTION}, /* deadlock_detected */
    {"40001", FAILURE_CONTENTION}, /* serialization_failure */
    {"57014", FAILURE_SLOW},       /* query_canceled */
    {"25P03", FAILURE_CONNECTION}, /* idle_in_transaction_session_timeout */
    {"25006", FAILURE_CONNECTION}, /* read_only_sql_transaction: it is a standby now */
    {"57P", FAILURE_CONNECTION},   /* admin_shutdown, crash_shutdown, cannot_connect_now */
    {"08", FAILURE_CONNECTION},    {"22", FAILURE_DATA},    {"23", FAILURE_DATA},
    {"44000", FAILURE_DATA}, /* with_check_option_violation */
    {"P0001", FAILURE_DATA}, /* raise_exception: of a trigger, a function */
    {"P0004", FAILURE_DATA}, /* assert_failure */
    {"53100", FAILURE_DISK},       {"58030", FAILURE_DISK}, /* io_error */
    {"53", FAILURE_RESOURCES},     {"XX", FAILURE_CORRUPT}, {"", FAILURE_SPEC},
};

enum failure_class failure_of(const char *sqlstate)
{
    if (!*sqlstate)
        return FAILURE_CONNECTION;
    for (size_t i = 0;; i++)
        if (strncmp(sqlstate, classes[i].start, strlen(classes[i].start)) == 0)
            return classes[i].class;
}

const char *failure_word(enum failure_class f)
{
    static const char *const words[] = {[FAILURE_CONTENTION] = "contention",
                                        [FAILURE_SLOW] = "slow",
                                        [FAILURE_DATA] = "data",
                                        [FAILURE_DISK] = "disk",
                                        [FAILURE_RESOURCES] = "resources",
                                        [FAILURE_CONNECTION] = "connection",
                                        [FAILURE_SPEC] = "statement",
                                        [FAILURE_CORRUPT] = "corruption",
                                        [FAILURE_FENCED] = "taken over"};

    return words[f];
}

/* Between low and high, evenly. */
static int64_t jitter(int64_t low, int64_t high, uint32_t random)
{
    return low + (int64_t) ((uint64_t) random * (uint64_t) (high - low + 1) >> 32);
}

static int64_t doubled(int64_t first, int attempt, int64_t most)
{
    for (int i = 1; i < attempt && first < most; i++)
        first *= 2;
    return first < most ? first : most;
}

int64_t failure_wait_ms(enum failure_class f, int attempt, uint32_t random)
{
    int64_t most;

    switch (f) {
    case FAILURE_CONTENTION: return attempt > 3 ? -1 : jitter(50, 400, random);
    case FAILURE_SLOW: return 0;
    case FAILURE_RESOURCES:
        most = doubled(30000, attempt, 300000);
        return attempt > 10 ? -1 : jitter(most / 2, most, random);
    case FAILURE_CONNECTION:
        most = doubled(250, attempt, 30000);
        return attempt > 20 ? -1 : jitter(most / 2, most, random);
    case FAILURE_DATA:
    case FAILURE_DISK:
    case FAILURE_SPEC:
    case FAILURE_CORRUPT:
    case FAILURE_FENCED: return -1;
    }
    return -1;
}

int64_t failure_long_wait_ms(int attempt, uint32_t random)
{
    int64_t most = doubled(1000, attempt, 60000);

    return attempt > LONG_TRIES ? -1 : jitter(most / 2, most, random);
}

/* ---- slices ---------------------------------------------------------------------------------------------- */

int slices_wanted(int64_t rows, int64_t workers)
{
    int64_t n = rows / SLICE_ROWS, each = SLICES_EACH;

    if (workers > 1) { /* the last ones to end shouldn't wait long for one another */
        while (each > SLICES_EACH_LEAST && rows < each * workers * SLICE_ROWS_WELL)
            each /= 2;
        if (n < each * workers && rows >= each * workers * SLICE_ROWS_LEAST)
            n = each * workers;
    }
    return n < 1 ? 1 : n > SLICES_MAX ? SLICES_MAX : (int) n;
}

int slices_cut(int n_bounds, int wanted, int *out)
{
    int n = 0;

    for (int i = 1; i < wanted; i++) {
        int at = (int) ((int64_t) i * (n_bounds - 1) / wanted);
        if (at > 0 && at < n_bounds - 1 && (n == 0 || out[n - 1] < at))
            out[n++] = at;
    }
    return n;
}
