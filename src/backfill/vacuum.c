/* VACUUM while the table is filled: what the batches leave dead is used again instead of making the table longer. */
#include "crew.h"

#include "sql_embedded.h"

#include <stdlib.h>

/* Below, nobody minds how long a table becomes. */
#define ROWS_MIN 100000

bool vacuum_is_due(struct crew *c, const struct monitor *m, const struct backfill_now *now)
{
    double share = m->knobs.vacuum_share;

    pthread_mutex_lock(&c->lock);
    bool is_at_it = c->vacuum_begun;
    pthread_mutex_unlock(&c->lock);
    return !is_at_it && share > 0 && now->rows_total >= ROWS_MIN &&
           (double) (now->rows_changed - now->vacuumed_at_changed) >=
               share * (double) now->rows_total;
}

/* One process does it, whoever comes first. */
bool vacuum_claim(struct crew *c, struct db *db, const struct backfill_now *now)
{
    AUTO(arena) a = {0};
    AUTO(err) ignored = {0};
    struct db_rows rows = {0};

    return db_query(db, &a, sql_claim_backfill_vacuum,
                    &DB_PARAMS(arena_printf(&a, "%lld", (long long) c->job->id),
                               arena_printf(&a, "%lld", (long long) now->vacuumed_at_changed),
                               arena_printf(&a, "%lld", (long long) now->rows_changed)),
                    &rows, &ignored) &&
           rows.n_rows > 0;
}

/* By itself it has so few buffers that it waits for the write-ahead log again and again. */
static const char *buffers(struct db *db)
{
    return db_server_version(db) >= 160000 ? ", BUFFER_USAGE_LIMIT '16MB'" : "";
}

/* TRUNCATE would take the table from everybody, and SKIP_LOCKED waits for nobody. A VACUUM that fails, or that this
 * role may not do, is no reason to stop: autovacuum will come. */
static bool work(struct worker *w, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(err) ignored = {0};

    (void) err;
    if (worker_session(w, &ignored) &&
        db_exec(w->db, "SELECT pg_catalog.set_config('statement_timeout', '0', false)",
                &DB_NO_PARAMS, &ignored))
        (void) !db_exec(w->db,
                        arena_printf(&a,
                                     "VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF, SKIP_LOCKED%s) %s",
                                     buffers(w->db), w->crew->table->quoted),
                        &DB_NO_PARAMS, &ignored);
    pthread_mutex_lock(&w->crew->lock);
    w->crew->vacuum_begun = false;
    pthread_mutex_unlock(&w->crew->lock);
    return true;
}

void *vacuum_main(void *worker)
{
    worker_thread(worker, work);
    return NULL;
}
