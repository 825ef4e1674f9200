/* What a backfill will take, from the size of its table and what is to do. Pure. */
#include "phasegate/backfill.h"

/* Of a usual machine, in microseconds; where a batch was measured that says it. */
#define ROW_US 1.5
#define BYTE_US 0.004
#define ENTRY_US 1.2 /* of each index, for each version that isn't on its page */
#define VISIT_US 0.5 /* of a row that has nothing to do */
#define USUAL_LEAST 0.5
#define USUAL_MOST 4.0
#define MEASURED_LEAST 0.7
#define MEASURED_MOST 2.0

/* Of the write-ahead log, in bytes. */
#define PAGE_BYTES 8192.0
#define ROW_WAL_SHARE 1.2
#define ROW_WAL 60.0
#define ENTRY_WAL 80.0

/* VACUUM comes late and takes a while: what was measured beside the share that it is asked for. */
#define VACUUM_LATE 2.0
#define VACUUM_ROWS_MIN 100000

#define WORKER_SPEED 0.5 /* of each one more */
#define WORKERS_FULL 8

static double least(double x, double y) { return x < y ? x : y; }

static double row_us(const struct estimate_basis *b, double row_bytes)
{
    if (b->ms_per_row > 0)
        return 1000 * b->ms_per_row;
    return ROW_US + BYTE_US * row_bytes + ENTRY_US * b->n_indexes * (1 - b->hot_share);
}

static int64_t batches(const struct estimate_basis *b, double ms_per_row, double row_bytes)
{
    struct batch_size size;

    batch_size_begin(&size, &b->batch, row_bytes);
    for (int i = 0; i < 64; i++)
        batch_size_done(&size, size.rows, size.rows, ms_per_row * (double) size.rows);
    return (b->rows + size.rows - 1) / size.rows;
}

static double growth(const struct estimate_basis *b, double todo, double row_bytes)
{
    double heap = todo * row_bytes * (1 - b->hot_share);

    if (b->vacuum_share > 0 && b->rows >= VACUUM_ROWS_MIN)
        heap = least(heap, VACUUM_LATE * b->vacuum_share * (double) b->bytes);
    return heap + (double) b->index_bytes * b->todo_share * (1 - b->hot_share);
}

void estimate_make(const struct estimate_basis *b, struct estimate *out)
{
    double rows = (double) b->rows, todo = rows * b->todo_share;
    double row_bytes = b->rows > 0 ? (double) b->bytes / rows : 0, us = row_us(b, row_bytes);
    bool measured = b->ms_per_row > 0;
    int helpers = b->workers < WORKERS_FULL ? b->workers - 1 : WORKERS_FULL - 1;
    double duty = b->duty > 0 && b->duty < 1 ? b->duty : 1;
    double ms = (todo * us + (rows - todo) * VISIT_US) / 1000 / duty / (1 + WORKER_SPEED * helpers);

    *out = (struct estimate) {.rows = (int64_t) todo, .is_measured = measured};
    if (b->rows <= 0)
        return;
    out->batches = batches(b, us / 1000, row_bytes);
    out->ms = (int64_t) ms;
    out->least_ms = (int64_t) (ms * (measured ? MEASURED_LEAST : USUAL_LEAST));
    out->most_ms = (int64_t) (ms * (measured ? MEASURED_MOST : USUAL_MOST));
    if (b->wal_per_row > 0)
        out->wal_bytes = (int64_t) (todo * b->wal_per_row);
    else
        out->wal_bytes = (int64_t) (todo * (ROW_WAL_SHARE * row_bytes + ROW_WAL +
                                            ENTRY_WAL * b->n_indexes * (1 - b->hot_share)) +
                                    least((double) b->bytes, todo * PAGE_BYTES));
    out->growth_bytes = (int64_t) growth(b, todo, row_bytes);
}
