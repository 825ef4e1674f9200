/* Slices: taken by one worker at a time, given back when it can't go on. */
#include "crew.h"

#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

static const char *number(struct arena *a, int64_t n)
{
    return arena_printf(a, "%lld", (long long) n);
}

static struct db_call call_claim(struct worker *w, struct arena *a)
{
    const struct crew *c = w->crew;
    const char *who = arena_printf(a, "%s#%d", c->setup->owner, w->number);

    if (c->setup->verifies)
        return (struct db_call) {.sql = sql_claim_verified_slice,
                                 .params = DB_PARAMS(number(a, c->setup->verifies->id), who)};
    return (struct db_call) {.sql = sql_claim_backfill_slice,
                             .params = DB_PARAMS(number(a, c->job->id), who, c->setup->checksum)};
}

bool slice_claim(struct worker *w, bool *found, struct err *err)
{
    struct crew *c = w->crew;
    struct db_rows rows = {0};
    AUTO(arena) a = {0};

    const struct db_call call = call_claim(w, &a);
    if (!db_query(w->db, &a, call.sql, &call.params, &rows, err))
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

    if (w->slice.id && w->db && db_is_usable(w->db) && w->crew->setup->verifies)
        (void) !db_exec(w->db, sql_release_verified_slice,
                        &DB_PARAMS(number(&a, w->slice.id), number(&a, w->slice.epoch)), &ignored);
    else if (w->slice.id && w->db && db_is_usable(w->db))
        (void) !db_exec(w->db, sql_release_backfill_slice,
                        &DB_PARAMS(number(&a, w->slice.id), number(&a, w->slice.epoch),
                                   failed ? why->sqlstate : NULL,
                                   failed ? str_text(&why->message) : NULL),
                        &ignored);
    w->slice.id = 0;
}

bool slice_any_open(struct worker *w, bool *out, struct err *err)
{
    const struct crew *c = w->crew;
    AUTO(arena) a = {0};
    struct db_rows rows = {0};
    const struct db_call call =
        c->setup->verifies
            ? (struct db_call) {.sql = sql_count_open_verified_slices,
                                .params = DB_PARAMS(number(&a, c->setup->verifies->id))}
            : (struct db_call) {.sql = sql_count_open_slices,
                                .params = DB_PARAMS(number(&a, c->job->id), c->setup->checksum)};

    if (!db_query(w->db, &a, call.sql, &call.params, &rows, err))
        return false;
    *out = strcmp(db_cell(&rows, 0, 0), "0") != 0;
    return true;
}
