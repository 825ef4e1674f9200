/* A range with rows that can't be filled: halved until they are alone, and those go to quarantine.
 *
 * Each piece is filled by itself, which may be done twice without harm: what is filled isn't to do any more. The
 * cursor moves once all of it is.
 */
#include "crew.h"

#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

/* Ranges that are still to be filled, the next one on top. Halving needs no more than one for each level. */
#define DEPTH_MAX 64

struct search {
    struct worker *w;
    struct arena a;
    struct key_range stack[DEPTH_MAX];
    int n;
    int64_t changed;
    bool
        only_looks; /* everything is rolled back: no row may be left, so none of the range is filled yet */
};

static void add_key(struct db_params *p, const char *const *key, int n)
{
    for (int i = 0; key && i < n; i++)
        p->value[p->n++] = key[i];
}

static struct db_params params_of(const struct search *s, const struct key_range *r)
{
    struct db_params p = {0};

    add_key(&p, r->lo, s->w->crew->walk.n_keys);
    add_key(&p, r->hi, s->w->crew->walk.n_keys);
    return p;
}

static bool fill_and_roll_back(struct search *s, const struct db_call *fill, struct err *err)
{
    const struct db_call calls[] = {{.sql = "BEGIN"}, *fill, {.sql = "ROLLBACK"}};
    AUTO(err) ignored = {0};
    int done = 0;

    if (db_pipeline(s->w->db, &s->a, calls, 3, NULL, &done, err))
        return true;
    if (db_is_usable(s->w->db))
        (void) !db_exec(s->w->db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
    return false;
}

static bool fill(struct search *s, const struct key_range *r, struct err *err)
{
    const struct db_call call = {.sql = s->w->crew->sql.fill[!r->lo], .params = params_of(s, r)};
    struct db_rows rows = {0};

    if (s->only_looks)
        return fill_and_roll_back(s, &call, err);
    if (!db_query(s->w->db, &s->a, call.sql, &call.params, &rows, err))
        return false;
    s->changed += strtoll(db_cell(&rows, 0, 0), NULL, 10);
    return true;
}

/* Where a row lies now is no name to keep it by. */
static bool name_by_place(struct worker *w, const char **key, const struct err *why,
                          struct err *err)
{
    const struct crew *c = w->crew;

    err_set(err, ERR_SQL, "backfill %s: a row can't be filled, and none may be left",
            c->setup->name);
    memcpy(err->sqlstate, why->sqlstate, sizeof err->sqlstate);
    err_detail(err, "it lies at ctid %s: %s", key[0], str_text(&why->message));
    return err_hint(err,
                    "SELECT * FROM %s WHERE ctid = '%s' shows it, as long as nobody changes it; "
                    "mend it and run the same command again",
                    c->walk.table, key[0]);
}

bool quarantine_row(struct worker *w, struct arena *a, const char **key, const struct err *why,
                    struct err *err)
{
    struct crew *c = w->crew;
    struct db_rows rows = {0};
    const struct backfill_setup *b = c->setup;
    const char *shown = key_json(a, (const char *const *) key, c->walk.n_keys);
    bool only_looks = bisect_only_looks(w);

    if (c->walk.by_blocks)
        return name_by_place(w, key, why, err);
    if (!db_query(w->db, a, sql_insert_backfill_quarantine,
                  &DB_PARAMS(arena_printf(a, "%lld", (long long) c->job->id), shown, why->sqlstate,
                             str_text(&why->message)),
                  &rows, err))
        return false;
    int64_t bad = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    if (bad <= b->max_bad_rows && !only_looks)
        return true;
    if (only_looks)
        err_set(err, ERR_SQL, "backfill %s: a row can't be filled, and none may be left", b->name);
    else
        err_set(err, ERR_SQL, "backfill %s: %lld rows can't be filled, at most %lld may be",
                b->name, (long long) bad, (long long) b->max_bad_rows);
    memcpy(err->sqlstate, why->sqlstate, sizeof err->sqlstate);
    err_detail(err, "%s, %s: %s", only_looks ? "it is" : "the last one", shown,
               str_text(&why->message));
    return err_hint(err,
                    "mend the rows and run the same command again, or allow some: max_bad_rows");
}

/* Up to the middle of the rows that are still to do, and what is behind it. A range of one row has no middle. */
static bool halve(struct search *s, const struct key_range *r, const struct err *why,
                  struct err *err)
{
    struct db_params p = params_of(s, r);
    struct db_rows rows = {0};

    p.value[p.n++] = arena_printf(&s->a, "%lld", (long long) s->w->crew->limits.max + 1);
    if (!db_query(s->w->db, &s->a, s->w->crew->sql.left[!r->lo], &p, &rows, err))
        return false;
    if (rows.n_rows == 0)
        return true; /* somebody else filled them, or took them away */
    const char **last = rows.cell[rows.n_rows - 1];
    if (rows.n_rows == 1)
        return quarantine_row(s->w, &s->a, last, why, err);
    const char **middle = rows.cell[rows.n_rows / 2 - 1];
    if (s->n + 2 > DEPTH_MAX)
        return err_set(err, ERR_BUG, "a batch can't be halved so often");
    s->stack[s->n++] = (struct key_range) {middle, last};
    s->stack[s->n++] = (struct key_range) {r->lo, middle};
    return true;
}

static bool is_told_to_stop(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    bool stops = c->stops;
    pthread_mutex_unlock(&c->lock);
    return stops;
}

bool bisect_only_looks(const struct worker *w)
{
    return w->crew->setup->stops_at_bad_row || w->crew->setup->max_bad_rows == 0 ||
           w->crew->walk.by_blocks;
}

bool bisect(struct worker *w, const struct key_range *whole, int64_t *changed, struct err *err)
{
    struct search s = {.w = w, .only_looks = bisect_only_looks(w)};
    bool good = true;

    s.stack[s.n++] = *whole;
    while (good && s.n > 0) {
        const struct key_range r = s.stack[--s.n];
        AUTO(err) why = {0};

        if (fill(&s, &r, &why))
            continue;
        if (failure_of(why.sqlstate) == FAILURE_DATA && !is_told_to_stop(w->crew)) {
            good = halve(&s, &r, &why, err);
        } else {
            err_move(err, &why);
            good = false;
        }
    }
    *changed = s.changed;
    arena_free(&s.a);
    return good;
}
