/* Slices: taken by one worker at a time, given back when it can't go on. */
#include "crew.h"

#include "sql_embedded.h"

#include <stdlib.h>

static const char *number(struct arena *a, int64_t n)
{
    return arena_printf(a, "%lld", (long long) n);
}

bool slice_claim(struct worker *w, bool *found, struct err *err)
{
    struct crew *c = w->crew;
    struct db_rows rows = {0};
    AUTO(arena) a = {0};

    if (!db_query(w->db, &a, sql_claim_backfill_slice,
                  &DB_PARAMS(number(&a, c->job->id),
                             arena_printf(&a, "%s#%d", c->setup->owner, w->number),
                             c->setup->checksum),
                  &rows, err))
        return false;
    *found = rows.n_rows > 0;
    if (!*found)
        return true;
    arena_reset(&w->slice.a);
    w->slice.id = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    w->slice.number = strtoll(db_cell(&rows, 0, 1), NULL, 10);
    w->slice.hi = key_read(&w->slice.a, db_cell(&rows, 0, 2), c->walk.n_keys);
    place_set(&w->cursor, key_read(&a, db_cell(&rows, 0, 3), c->walk.n_keys), c->walk.n_keys);
    w->slice.epoch = strtoll(db_cell(&rows, 0, 4), NULL, 10);
    if (!w->slice.hi || (db_cell(&rows, 0, 3) && !w->cursor.key))
        return err_set(err, ERR_BUG, "slice %lld of backfill %s has no key as its end",
                       (long long) w->slice.number, c->setup->name);
    return true;
}

void slice_release(struct worker *w, const struct err *why)
{
    AUTO(arena) a = {0};
    AUTO(err) ignored = {0};
    bool failed = why && why->kind != ERR_NONE;

    if (w->slice.id && w->db && db_is_usable(w->db))
        (void) !db_exec(w->db, sql_release_backfill_slice,
                        &DB_PARAMS(number(&a, w->slice.id), number(&a, w->slice.epoch),
                                   failed ? why->sqlstate : NULL,
                                   failed ? str_text(&why->message) : NULL),
                        &ignored);
    w->slice.id = 0;
}
