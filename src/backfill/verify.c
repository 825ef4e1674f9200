/* A verification: begun, or gone on with. Its workers are those of a backfill, and look instead of filling. */
#include "crew.h"

#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

#define TRIES 3

static const char *number(struct arena *a, int64_t n)
{
    return arena_printf(a, "%lld", (long long) n);
}

static bool same(const char *x, const char *y) { return x && y ? strcmp(x, y) == 0 : x == y; }

/* Are two answers the same? What is filled with now() or random() never was what it is now. Rows may change between the
 * two, so it is asked some times. An expression that writes (nextval) fails, for nothing may be written here; a
 * type without an equality can't be compared. */
static bool can_compare(struct db *db, struct arena *a, const struct backfill_setup *s,
                        const struct walk *w, const char *differs, bool *out, struct err *err)
{
    const char *sql = walk_values_sql(a, w, differs), *before = NULL;

    struct db_rows some = {0};
    struct db_params p = {0};

    *out = false;
    if (w->by_blocks && !job_ask(db, a, s, walk_some_sql(a, w), &DB_NO_PARAMS, &some, err))
        return false;
    if (w->by_blocks)
        p = DB_PARAMS(db_cell(&some, 0, 0));
    for (int i = 0; !*out && i <= TRIES; i++) {
        struct db_rows rows = {0};

        if (!job_ask(db, a, s, sql, &p, &rows, err)) {
            bool bad_row = failure_of(err->sqlstate) == FAILURE_DATA;

            if (!bad_row && strcmp(err->sqlstate, "25006") != 0 &&
                strcmp(err->sqlstate, "42883") != 0)
                return false;
            err_clear(err);
            *out = bad_row;
            return true;
        }
        *out = i > 0 && same(before, db_cell(&rows, 0, 0));
        before = db_cell(&rows, 0, 0);
    }
    return true;
}

/* Whoever asks the same goes on with it; what is asked is in the statements. */
static bool question_hash(struct db *db, struct arena *a, const struct backfill_setup *s,
                          const struct walk *w, const char *differs, const char **out,
                          struct err *err)
{
    const char *text = walk_verify_sql(a, w, false, differs, WALK_EVALUATES);
    struct db_rows rows = {0};

    if (!db_query(db, a,
                  "SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to($1 || $2, "
                  "'UTF8')), 'hex')",
                  &DB_PARAMS(text, s->checksum ? s->checksum : ""), &rows, err))
        return false;
    *out = db_cell(&rows, 0, 0);
    return true;
}

static bool find_end(struct db *db, struct arena *a, const struct backfill_setup *s,
                     const struct walk *w, const char **out, struct err *err)
{
    struct db_rows rows = {0};

    if (!job_ask(db, a, s, walk_end_sql(a, w), &DB_NO_PARAMS, &rows, err))
        return false;
    *out = rows.n_rows > 0 ? key_json(a, rows.cell[0], w->n_keys) : NULL;
    return true;
}

bool backfill_verify_begin(struct db *db, struct arena *a, const struct backfill_setup *s,
                           const struct backfill_table *t, const struct backfill_job *job,
                           bool compares, struct backfill_question *out, struct err *err)
{
    const struct walk w = backfill_walk(s, t);
    const char *differs = compares ? walk_differs_sql(a, &w) : NULL, *hash = NULL, *end = NULL;
    const char *id = number(a, job->id);
    struct db_rows rows[6] = {{0}};
    AUTO(err) ignored = {0};
    int done = 0;

    compares = differs != NULL;
    if (compares && !can_compare(db, a, s, &w, differs, &compares, err))
        return false;
    differs = compares ? differs : NULL;
    if (!question_hash(db, a, s, &w, differs, &hash, err) || !find_end(db, a, s, &w, &end, err))
        return false;
    const struct db_call calls[] = {
        {.sql = "BEGIN"},
        {.sql = sql_delete_stale_verification, .params = DB_PARAMS(id, hash)},
        {.sql = sql_insert_backfill_verification,
         .params = DB_PARAMS(id, hash, compares ? "true" : "false")},
        {.sql = sql_insert_verified_slices, .params = DB_PARAMS(id, end)},
        {.sql = sql_select_open_verification, .params = DB_PARAMS(id)},
        {.sql = "COMMIT"}};
    if (!db_pipeline(db, a, calls, 6, rows, &done, err)) {
        if (db_is_usable(db))
            (void) !db_exec(db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
        return false;
    }
    if (rows[4].n_rows == 0) /* somebody has finished it this moment: then it's another one */
        return backfill_verify_begin(db, a, s, t, job, compares, out, err);
    *out = (struct backfill_question) {strtoll(db_cell(&rows[4], 0, 0), NULL, 10), differs,
                                       strtoll(db_cell(&rows[4], 0, 3), NULL, 10),
                                       strtoll(db_cell(&rows[4], 0, 2), NULL, 10)};
    return true;
}
