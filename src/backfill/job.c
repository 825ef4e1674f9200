/* A job: its table, the end that is frozen, and the slices that it is cut into once. */
#include "crew.h"

#include "phasegate/names.h"
#include "sql_embedded.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 8192.0
#define SAMPLE_PAGES 1000
#define USUAL_ROWS 50 /* on a page, where nobody knows */
#define SAMPLE_BOUNDS 100

/* ---- the table --------------------------------------------------------------------------------------------- */

bool job_ask(struct db *db, struct arena *a, const struct backfill_setup *s, const char *sql,
             const struct db_params *p, struct db_rows *rows, struct err *err)
{
    const struct db_call calls[] = {
        {.sql = "BEGIN TRANSACTION READ ONLY"},
        {.sql = "SELECT pg_catalog.set_config('search_path', $1, true)",
         .params = DB_PARAMS(s->search_path)},
        {.sql = sql, .params = *p},
        {.sql = "COMMIT"},
    };
    struct db_rows all[4] = {{0}, {0}, {0}, {0}};
    AUTO(err) ignored = {0};
    int done = 0;

    if (db_pipeline(db, a, calls, 4, all, &done, err)) {
        *rows = all[2];
        return true;
    }
    if (db_is_usable(db))
        (void) !db_exec(db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
    return false;
}

static void take_keys(struct arena *a, const struct backfill_setup *s, const struct db_rows *rows,
                      struct backfill_table *out)
{
    out->keys = arena_array(a, const char *, rows->n_rows + s->n_key);
    for (int i = 0; i < s->n_key; i++)
        out->keys[out->n_keys++] = s->key[i];
    for (int i = 0; s->n_key == 0 && i < rows->n_rows; i++)
        if (db_cell(rows, i, 4))
            out->keys[out->n_keys++] = arena_strdup(a, db_cell(rows, i, 4));
    if (out->n_keys > WALK_KEYS_MAX)
        out->n_keys = 0;
    out->by_blocks = out->n_keys == 1 && s->n_key == 1 && strcmp(out->keys[0], WALK_CTID) == 0;
}

/* Without a key: where a row lies. What has no blocks of its own (a view, a table of another server) has nothing. */
static void take_blocks(struct arena *a, char kind, struct backfill_table *out)
{
    if (out->n_keys > 0 || !strchr("rp", kind))
        return;
    out->keys = arena_array(a, const char *, 1);
    out->keys[0] = WALK_CTID;
    out->n_keys = 1;
    out->by_blocks = true;
}

struct walk backfill_walk(const struct backfill_setup *s, const struct backfill_table *t)
{
    double pages = (double) t->bytes / PAGE_BYTES;
    double rows = t->rows > 0 && pages > 0 ? (double) t->rows / pages : USUAL_ROWS;

    return (struct walk) {&s->spec,
                          t->quoted,
                          t->has_parts,
                          (const char *const *) t->keys,
                          t->n_keys,
                          t->by_blocks,
                          rows < 0.01 ? 0.01 : rows,
                          (const char *const *) t->key_types,
                          (const char *const *) t->set_types};
}

/* Each once; rows may be without one. */
static void take_bounds(struct arena *a, const struct db_rows *rows, struct backfill_table *t)
{
    t->bounds = arena_array(a, const char *, rows->n_rows);
    for (int i = 0; i < rows->n_rows; i++) {
        const char *bound = db_cell(rows, i, 0);

        if (bound && (t->n_bounds == 0 || strcmp(t->bounds[t->n_bounds - 1], bound) != 0))
            t->bounds[t->n_bounds++] = bound;
    }
}

/* Where nobody may ANALYZE, or nobody has: a sample of some pages says how many rows there are and where to cut them.
 * What can't be sampled isn't cut. */
static bool sample(struct db *db, struct arena *a, const struct backfill_setup *s,
                   struct backfill_table *t, struct err *err)
{
    double pages = (double) t->bytes / PAGE_BYTES, percent = 100;
    AUTO(str) sql = {0};
    struct db_rows rows = {0};

    if (pages > SAMPLE_PAGES)
        percent = 100 * SAMPLE_PAGES / pages;
    str_add(&sql, "SELECT DISTINCT ON (x.n) x.k, x.total FROM (SELECT ");
    sql_ident(&sql, t->keys[0]);
    str_addf(&sql, " AS k, pg_catalog.ntile(%d) OVER (ORDER BY ", SAMPLE_BOUNDS);
    sql_ident(&sql, t->keys[0]);
    str_addf(&sql,
             ") AS n, pg_catalog.count(*) OVER () AS total FROM %s%s TABLESAMPLE SYSTEM (%.9g)) AS "
             "x ORDER BY x.n, x.k DESC",
             t->has_parts ? "" : "ONLY ", t->quoted, percent);
    if (!job_ask(db, a, s, str_text(&sql), &DB_NO_PARAMS, &rows, err)) {
        if (!err_is(err, ERR_SQL))
            return false;
        err_clear(err);
        return true;
    }
    take_bounds(a, &rows, t);
    if (t->rows == 0 && rows.n_rows > 0)
        t->rows = (int64_t) (strtod(db_cell(&rows, 0, 1), NULL) * 100 / percent);
    return true;
}

/* Bounds as texts, through an array's own text form: whatever their type is. */
static bool look_at_bounds(struct db *db, struct arena *a, const struct backfill_setup *s,
                           struct backfill_table *t, struct err *err)
{
    struct db_rows rows = {0};

    if (t->n_keys == 0 || (t->by_blocks && t->rows > 0))
        return true;
    if (t->by_blocks) {
        bool good =
            sample(db, a, s, t, err); /* for how many there are; blocks are cut by their numbers */

        t->n_bounds = 0;
        return good;
    }
    if (!job_ask(
            db, a, s, sql_select_backfill_bounds,
            &DB_PARAMS(arena_printf(a, "%u", t->oid), t->keys[0], t->has_parts ? "true" : "false"),
            &rows, err))
        return false;
    take_bounds(a, &rows, t);
    return t->n_bounds > 0 && t->rows > 0 ? true : sample(db, a, s, t, err);
}

/* What a program says and what is kept are texts, and have to become values of these. */
static bool look_at_types(struct db *db, struct arena *a, const struct backfill_setup *s,
                          struct backfill_table *t, struct err *err)
{
    int n_set = s->spec.set.n;
    AUTO(str) columns = {0};
    struct db_rows rows = {0};

    for (int i = 0; i < t->n_keys + n_set; i++) {
        str_add(&columns, i ? "," : "{");
        sql_element(&columns, i < t->n_keys ? t->keys[i] : s->spec.set.items[i - t->n_keys].key.s);
    }
    str_add(&columns, "}");
    if (!job_ask(db, a, s, sql_select_backfill_types,
                 &DB_PARAMS(arena_printf(a, "%u", t->oid), str_text(&columns)), &rows, err))
        return false;
    t->key_types = arena_array(a, const char *, t->n_keys);
    t->set_types = arena_array(a, const char *, n_set);
    for (int i = 0; i < t->n_keys + n_set; i++) {
        const char *type = db_cell(&rows, i, 0);
        const char *name = i < t->n_keys ? t->keys[i] : s->spec.set.items[i - t->n_keys].key.s;

        if (!type)
            return err_set(err, ERR_INPUT, "table %s of backfill %s has no column %s", t->quoted,
                           s->name, name);
        if (i < t->n_keys)
            t->key_types[i] = type;
        else
            t->set_types[i - t->n_keys] = type;
    }
    return true;
}

bool backfill_look(struct db *db, struct arena *a, const struct backfill_setup *s,
                   struct backfill_table *out, struct err *err)
{
    struct db_rows rows = {0};
    AUTO(str) name = {0};

    memset(out, 0, sizeof *out);
    sql_qualified(&name, s->spec.schema, s->spec.table);
    out->quoted = arena_strdup(a, str_text(&name));
    if (!job_ask(db, a, s, sql_select_backfill_table, &DB_PARAMS(out->quoted), &rows, err))
        return false;
    if (rows.n_rows == 0)
        return err_set(err, ERR_INPUT, "table %s of backfill %s isn't there", out->quoted, s->name);
    out->oid = (unsigned) strtoul(db_cell(&rows, 0, 0), NULL, 10);
    out->has_parts = db_cell(&rows, 0, 1)[0] == 'p';
    const char *bytes = db_cell(&rows, 0, out->has_parts ? 2 : 3);
    out->bytes = bytes ? strtoll(bytes, NULL, 10) : 0;
    out->rows = strtoll(db_cell(&rows, 0, 5), NULL, 10);
    take_keys(a, s, &rows, out);
    take_blocks(a, db_cell(&rows, 0, 1)[0], out);
    bool names_rows = s->spec.via || s->keeps_before;
    if (names_rows && out->by_blocks) {
        err_set(err, ERR_INPUT, "backfill %s: %s has no key, and %s needs one", s->name,
                out->quoted, s->spec.via ? "via:" : "keep: before");
        return err_hint(err, "a primary key; or the columns of a unique index, none of them NULL, "
                             "in key:");
    }
    if (names_rows && out->n_keys > 0 && !look_at_types(db, a, s, out, err))
        return false;
    return look_at_bounds(db, a, s, out, err);
}

/* ---- slices ------------------------------------------------------------------------------------------------ */

/* "(99,65535)", behind the last row of block 99. */
static const char **block_end(struct arena *a, int64_t block)
{
    const char **out = arena_array(a, const char *, 1);

    out[0] = arena_printf(a, "(%lld,65535)", (long long) block);
    return out;
}

/* Bounds have the first column only: the others of a slice's end are those of the row before which it is cut. */
static bool find_end(struct db *db, struct arena *a, const struct backfill_setup *s,
                     const struct walk *w, const char *bound_or_null, const char ***out,
                     struct err *err)
{
    AUTO(str) sql = {0};
    struct db_rows rows = {0};
    struct db_params p = {0};

    if (w->by_blocks) {
        if (!job_ask(db, a, s, walk_end_sql(a, w), &DB_NO_PARAMS, &rows, err))
            return false;
        *out = rows.n_rows > 0 ? rows.cell[0] : NULL;
        return true;
    }
    str_add(&sql, "SELECT ");
    for (int i = 0; i < w->n_keys; i++) {
        str_add(&sql, i ? ", " : "");
        sql_ident(&sql, w->keys[i]);
    }
    str_addf(&sql, " FROM %s%s", w->has_parts ? "" : "ONLY ", w->table);
    if (bound_or_null) {
        str_add(&sql, " WHERE ");
        sql_ident(&sql, w->keys[0]);
        str_add(&sql, " OPERATOR(pg_catalog.<=) $1");
        p = DB_PARAMS(bound_or_null);
    }
    str_add(&sql, " ORDER BY ");
    for (int i = 0; i < w->n_keys; i++) {
        str_add(&sql, i ? ", " : "");
        sql_ident(&sql, w->keys[i]);
        str_add(&sql, " DESC");
    }
    str_add(&sql, " LIMIT 1");
    if (!job_ask(db, a, s, str_text(&sql), &p, &rows, err))
        return false;
    *out = rows.n_rows > 0 ? rows.cell[0] : NULL;
    return true;
}

static json_t *key_list(const char *const *key, int n)
{
    json_t *list = key ? json_array() : json_null();

    for (int i = 0; key && i < n; i++)
        json_array_append_new(list, json_string(key[i]));
    return list;
}

static bool same_key(const char *const *x, const char *const *y, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(x[i], y[i]) != 0)
            return false;
    return true;
}

/* [[null, end], [end, end], ...] from lo to hi. Statistics may be old: an end at or behind hi is hi. Which comes first
 * the database says, in the type's own order: so each is the newest row up to the bound and up to hi, asked for both. */
static bool cut(struct db *db, struct arena *a, const struct backfill_setup *s,
                const struct backfill_table *t, const struct walk *w, const char *const *lo,
                const char *const *hi, const char **out, struct err *err)
{
    int *at = arena_array(a, int, SLICES_MAX), n = 0;
    json_t *list = json_array();
    const char *const *from = lo;
    bool good = true;

    if (!lo) /* of a job that goes on nobody knows where in the table its cursor is */
        n = slices_cut(t->n_bounds, slices_wanted(t->rows, s->workers), at);
    for (int i = 0; good && i < n; i++) {
        const char **end = NULL;
        good = find_end(db, a, s, w, t->bounds[at[i]], &end, err);
        if (!good || !end || (from && same_key(from, (const char *const *) end, w->n_keys)) ||
            same_key((const char *const *) end, hi, w->n_keys))
            continue;
        json_array_append_new(list, json_pack("[o, o]", key_list(from, w->n_keys),
                                              key_list((const char *const *) end, w->n_keys)));
        from = (const char *const *) end;
    }
    json_array_append_new(list,
                          json_pack("[o, o]", key_list(from, w->n_keys), key_list(hi, w->n_keys)));
    char *text = json_dumps(list, JSON_COMPACT);
    *out = arena_strdup(a, text);
    free(text);
    json_decref(list);
    return good;
}

/* The same of blocks: as many in each. */
static void cut_blocks(struct arena *a, const struct backfill_setup *s,
                       const struct backfill_table *t, const char *const *hi, const char **out)
{
    int64_t last = strtoll(hi[0] + 1, NULL, 10), n = slices_wanted(t->rows, s->workers);
    json_t *list = json_array();
    const char *const *from = NULL;

    for (int64_t i = 1; i < n && n <= last; i++) {
        const char *const *end = (const char *const *) block_end(a, (last + 1) * i / n - 1);

        json_array_append_new(list, json_pack("[o, o]", key_list(from, 1), key_list(end, 1)));
        from = end;
    }
    json_array_append_new(list, json_pack("[o, o]", key_list(from, 1), key_list(hi, 1)));
    char *text = json_dumps(list, JSON_COMPACT);
    *out = arena_strdup(a, text);
    free(text);
    json_decref(list);
}

/* ---- beginning --------------------------------------------------------------------------------------------- */

static bool has_slices(struct db *db, struct arena *a, int64_t job, bool *out, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(db, a, sql_select_backfill_slice,
                  &DB_PARAMS(arena_printf(a, "%lld", (long long) job)), &rows, err))
        return false;
    *out = rows.n_rows > 0;
    return true;
}

bool backfill_begin(struct db *db, struct arena *a, const struct backfill_setup *s,
                    const struct backfill_table *t, struct backfill_job *out, bool *empty,
                    struct err *err)
{
    struct backfill_job before = {0}, job = {.plan = s->plan,
                                             .name = s->name,
                                             .table = t->quoted,
                                             .checksum = s->checksum,
                                             .mode = t->by_blocks ? "ctid" : "keyset"};
    struct walk w = backfill_walk(s, t);
    const char **hi = NULL, **lo = NULL, *ranges = NULL;
    bool cut_before = false;

    *empty = false;
    if (!ledger_backfill_job(db, a, s->plan, s->name, &before, err))
        return false;
    bool goes_on = before.exists && before.checksum && strcmp(before.checksum, s->checksum) == 0 &&
                   strcmp(before.status, "done") != 0 && strcmp(before.status, "void") != 0 &&
                   strcmp(before.status, "cancelled") != 0;
    if (goes_on && !server_begin(db, s, before.id, &(struct server) {0}, &(struct server) {0}, err))
        return false;
    if (goes_on && !has_slices(db, a, before.id, &cut_before, err))
        return false;
    if (goes_on) { /* the end stays where it is */
        hi = key_read(a, before.hi, t->n_keys);
        lo = key_read(a, before.cursor, t->n_keys);
    }
    if (!hi && !find_end(db, a, s, &w, NULL, &hi, err))
        return false;
    *empty = !hi;
    if (!hi)
        return true;
    job.hi = key_json(a, (const char *const *) hi, t->n_keys);
    job.rows_total = t->rows;
    if (!cut_before && t->by_blocks)
        cut_blocks(a, s, t, (const char *const *) hi, &ranges);
    else if (!cut_before && !cut(db, a, s, t, &w, (const char *const *) lo,
                                 (const char *const *) hi, &ranges, err))
        return false;
    if (!cut_before)
        return ledger_backfill_begin_cut(db, a, &job, ranges, out, err);
    if (!ledger_backfill_begin(db, a, &job, out, err))
        return false;
    out->rows_done = before.rows_done;
    return true;
}
