/* Before a backfill: can its batches be found by an index, does filling twice change nothing, what will it take.
 *
 * Nothing of this stays: it is read, or done to a few rows and rolled back.
 */
#include "internal.h"

#include "backfill_before.h"
#include "sql_embedded.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define TRIAL_CALLS 12
#define TRIAL_LOCK_MS "100"
#define PROBE_MS "100" /* each of four statements: nobody waits for a row of theirs for long */
#define MEASURE_MS "500"
#define LOOK_MS "500"
#define SAMPLE_MS "5000"
#define SMALL_ROWS 20000 /* so few are read at a glance */
#define PROBE_ROWS "20"
#define SAMPLE_PAGES 300.0
#define PAGE_BYTES 8192.0
#define MEASURED_ROWS "999" /* offset of the last */
#define MEASURED_PLACES 5

/* ---- a transaction that leaves nothing ------------------------------------------------------------------------- */

static bool trial(struct work *w, const char *begin, const char *ms, const struct db_call *calls,
                  int n, struct db_rows *rows, struct err *err)
{
    struct db_rows all[TRIAL_CALLS] = {{0}};
    struct db_call c[TRIAL_CALLS] = {
        {.sql = begin},
        {.sql = sql_set_backfill_trial, .params = DB_PARAMS(w->e->search_path, TRIAL_LOCK_MS, ms)}};
    AUTO(err) ignored = {0};
    int done = 0;

    for (int i = 0; i < n; i++)
        c[2 + i] = calls[i];
    c[2 + n] = (struct db_call) {.sql = "ROLLBACK"};
    if (!db_pipeline(w->e->db, w->a, c, n + 3, all, &done, err)) {
        if (db_is_usable(w->e->db))
            (void) !db_exec(w->e->db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
        return false;
    }
    for (int i = 0; i < n; i++)
        rows[i] = all[2 + i];
    return true;
}

/* One statement that only looks. */
static bool look(struct work *w, const char *ms, const char *sql, const struct db_params *p,
                 struct db_rows *out, struct err *err)
{
    const struct db_call call = {.sql = sql, .params = *p};

    return trial(w, "BEGIN TRANSACTION READ ONLY", ms, &call, 1, out, err);
}

static void add_key(struct db_params *p, const char *const *key, int n)
{
    for (int i = 0; key && i < n; i++)
        p->value[p->n++] = key[i];
}

/* The table's last key; NULL: it is empty. */
static bool find_end(struct work *w, const struct walk *k, const char ***out, struct err *err)
{
    struct db_rows rows = {0};

    if (!look(w, SAMPLE_MS, walk_end_sql(w->a, k), &DB_NO_PARAMS, &rows, err))
        return false;
    *out = rows.n_rows > 0 ? rows.cell[0] : NULL;
    return true;
}

/* ---- the shape of its plans ------------------------------------------------------------------------------------ */

/* The node of this type, and of this relation where one is named. */
static const json_t *find_node(const json_t *node, const char *type, const char *relation)
{
    const char *is = json_string_value(json_object_get(node, "Node Type"));
    const char *of = json_string_value(json_object_get(node, "Relation Name"));
    const json_t *below = json_object_get(node, "Plans"), *found = NULL;

    if (is && strcmp(is, type) == 0 && (!relation || (of && strcmp(of, relation) == 0)))
        return node;
    for (size_t i = 0; !found && i < json_array_size(below); i++)
        found = find_node(json_array_get(below, i), type, relation);
    return found;
}

static json_t *plan_of(const struct db_rows *r)
{
    const char *text = r->n_rows > 0 ? db_cell(r, 0, 0) : NULL;

    return text ? json_loads(text, 0, NULL) : NULL;
}

static const json_t *top_of(const json_t *explained)
{
    return json_object_get(json_array_get(explained, 0), "Plan");
}

static bool no_index(const struct task *t, const struct backfill_setup *s,
                     const struct backfill_table *table, struct err *err)
{
    const struct pos at = t->backfill->at;
    AUTO(str) keys = {0};

    for (int i = 0; i < table->n_keys; i++) {
        str_add(&keys, i ? ", " : "");
        sql_ident(&keys, table->keys[i]);
    }
    err_set(err, ERR_INPUT,
            "%s:%d:%d: no index of table %s finds the batches of backfill %s along (%s): each "
            "would read all of it",
            at.file, at.line, at.col, table->quoted, s->name, str_text(&keys));
    return err_hint(err,
                    "CREATE UNIQUE INDEX CONCURRENTLY ON %s (%s), or name the columns of an "
                    "index in key:",
                    table->quoted, str_text(&keys));
}

/* With all other ways made dear: what is still read whole or sorted has no index. */
bool backfill_check_shape(struct work *w, const struct task *t, const struct backfill_setup *s,
                          const struct backfill_table *table, struct err *err)
{
    const struct walk k = backfill_walk(s, table);
    const char **hi = NULL;
    struct db_rows rows[3] = {{0}, {0}, {0}};

    if (table->rows < SMALL_ROWS)
        return true;
    if (!find_end(w, &k, &hi, err)) /* an index finds it at once */
        return strcmp(err->sqlstate, "57014") == 0 ? no_index(t, s, table, err) : false;
    if (!hi)
        return true;
    struct db_params next = {0}, fill = {0};
    add_key(&next, (const char *const *) hi, k.n_keys);
    add_key(&fill, (const char *const *) hi, k.n_keys);
    next.value[next.n++] = MEASURED_ROWS;
    const struct db_call calls[] = {
        {.sql = sql_set_index_scans_only},
        {.sql = arena_printf(w->a, "EXPLAIN (FORMAT JSON) %s", walk_next_sql(w->a, &k, true)),
         .params = next},
        {.sql = arena_printf(w->a, "EXPLAIN (FORMAT JSON) %s",
                             s->via ? walk_via_read_sql(w->a, &k, true)
                                    : walk_fill_sql(w->a, &k, true)),
         .params = fill}};
    if (!trial(w, "BEGIN TRANSACTION READ ONLY", LOOK_MS, calls, 3, rows, err))
        return false;
    json_t *walks = plan_of(&rows[1]), *fills = plan_of(&rows[2]);
    bool good = !find_node(top_of(walks), "Seq Scan", NULL) &&
                !find_node(top_of(walks), "Sort", NULL) &&
                (k.has_parts || !find_node(top_of(fills), "Seq Scan", s->spec.table));
    json_decref(walks);
    json_decref(fills);
    return good || no_index(t, s, table, err);
}

/* ---- twice the same -------------------------------------------------------------------------------------------- */

static int64_t number(const struct db_rows *r)
{
    const char *text = r->n_rows > 0 ? db_cell(r, 0, 0) : NULL;

    return text ? strtoll(text, NULL, 10) : 0;
}

static bool same(const struct db_rows *x, const struct db_rows *y)
{
    const char *a = x->n_rows > 0 ? db_cell(x, 0, 0) : NULL;
    const char *b = y->n_rows > 0 ? db_cell(y, 0, 0) : NULL;

    return a == b || (a && b && strcmp(a, b) == 0);
}

/* What of a trial says nothing about the backfill: a row that can't be filled, one that others hold, little time. */
static bool is_no_answer(struct err *err)
{
    if (!err_is(err, ERR_SQL) && !err_is(err, ERR_LOCK_TIMEOUT))
        return false;
    err_clear(err);
    return true;
}

#define FIRST_BLOCKS "(99,65535)" /* of a table without a key: there a few rows are found at once */

/* What is filled may lie elsewhere afterwards, so the rows say themselves whether they are still to do. A pass over all of
 * them ends only when none is. */
static bool check_ends(struct work *w, const struct task *t, const struct backfill_setup *s,
                       const struct walk *k, struct err *err)
{
    const struct pos at = t->backfill->at;
    struct db_rows todo = {0}, rows = {0};

    if (!look(w, LOOK_MS, walk_left_sql(w->a, k, true), &DB_PARAMS(FIRST_BLOCKS, PROBE_ROWS), &todo,
              err))
        return is_no_answer(err);
    if (todo.n_rows == 0)
        return true;
    const struct db_call still = {.sql = walk_still_sql(w->a, k, true),
                                  .params = DB_PARAMS(db_cell(&todo, todo.n_rows - 1, 0))};
    if (!trial(w, "BEGIN", PROBE_MS, &still, 1, &rows, err))
        return is_no_answer(err);
    if (strcmp(db_cell(&rows, 0, 1), "0") == 0)
        return true;
    err_set(err, ERR_INPUT,
            "%s:%d:%d: %s of the first %s rows of backfill %s are still to do once they were "
            "filled, and without a primary key nothing else tells which are done",
            at.file, at.line, at.col, db_cell(&rows, 0, 1), db_cell(&rows, 0, 0), s->name);
    return err_hint(err, "where: has to be false for a row that was filled; or name the columns of "
                         "a unique index in key:");
}

bool backfill_check_twice(struct work *w, const struct task *t, const struct backfill_setup *s,
                          const struct backfill_table *table, struct err *err)
{
    const struct walk k = backfill_walk(s, table);
    const struct pos at = t->backfill->at;
    const char **hi = NULL;
    struct db_rows todo = {0}, rows[4] = {{0}, {0}, {0}, {0}};
    struct db_params p = {0}, fill = {0};

    if (s->via) /* a program is asked for rows that are written, and for no others */
        return true;
    if (k.by_blocks && !s->spec.insert)
        return check_ends(w, t, s, &k, err);
    if (!find_end(w, &k, &hi, err))
        return is_no_answer(err);
    if (!hi)
        return true;
    add_key(&p, (const char *const *) hi, k.n_keys);
    p.value[p.n++] = PROBE_ROWS;
    if (!look(w, LOOK_MS, walk_left_sql(w->a, &k, true), &p, &todo, err))
        return is_no_answer(err);
    if (todo.n_rows == 0)
        return true;
    add_key(&fill, (const char *const *) todo.cell[todo.n_rows - 1], k.n_keys);
    const struct db_call fills = {.sql = walk_fill_sql(w->a, &k, true), .params = fill},
                         digest = {.sql = walk_digest_sql(w->a, &k, true), .params = fill};
    const struct db_call calls[] = {fills, digest, fills, digest};
    if (!trial(w, "BEGIN", PROBE_MS, calls, 4, rows, err))
        return is_no_answer(err);
    if (number(&rows[2]) == 0)
        return true;
    if (!s->spec.insert && same(&rows[1], &rows[3])) {
        emit(w, EVENT_WARNING, t->id,
             "%lld of the first %lld rows are still to do once they were filled: where: stays true "
             "for them, and verification will count them as left",
             (long long) number(&rows[2]), (long long) number(&rows[0]));
        return true;
    }
    err_set(err, ERR_INPUT,
            "%s:%d:%d: backfill %s isn't idempotent: what it has filled it would fill again, with "
            "something else",
            at.file, at.line, at.col, s->name);
    return err_hint(err, s->spec.insert
                             ? "let its select end in ON CONFLICT ... DO NOTHING, or say in where: "
                               "which rows have none yet"
                             : "where: has to be false for a row that was filled");
}

/* ---- what it will take ----------------------------------------------------------------------------------------- */

/* Of the rows on some pages: how many are to do. */
static bool sample_todo(struct work *w, const struct backfill_setup *s,
                        const struct backfill_table *t, double *share, struct err *err)
{
    double pages = (double) t->bytes / PAGE_BYTES;
    AUTO(str) from = {0}, sql = {0};
    struct db_rows rows = {0};

    str_addf(&from, "%s%s TABLESAMPLE SYSTEM (%.9g) REPEATABLE (1)", t->has_parts ? "" : "ONLY ",
             t->quoted, pages > SAMPLE_PAGES ? 100 * SAMPLE_PAGES / pages : 100);
    str_addf(&sql,
             "SELECT (SELECT pg_catalog.count(*) FROM %s), (SELECT pg_catalog.count(*) FROM %s",
             str_text(&from), str_text(&from));
    if (s->spec.from)
        str_addf(&sql, ", %s", s->spec.from);
    str_addf(&sql, " WHERE (%s)", s->spec.todo);
    if (s->spec.match)
        str_addf(&sql, " AND (%s)", s->spec.match);
    str_add(&sql, ")");
    if (!look(w, SAMPLE_MS, str_text(&sql), &DB_NO_PARAMS, &rows, err))
        return false;
    double all = strtod(db_cell(&rows, 0, 0), NULL), todo = strtod(db_cell(&rows, 0, 1), NULL);
    *share = all > 0 ? todo / all : 1;
    *share = *share > 1 ? 1 : *share;
    return true;
}

static bool weigh(struct work *w, const struct backfill_setup *s, const struct backfill_table *t,
                  struct estimate_basis *b, struct err *err)
{
    AUTO(str) columns = {0};
    struct db_rows rows = {0};

    str_add(&columns, "{");
    for (int i = 0; i < s->spec.set.n; i++) {
        str_add(&columns, i ? "," : "");
        sql_element(&columns, s->spec.set.items[i].key.s);
    }
    str_add(&columns, "}");
    if (!look(w, LOOK_MS, sql_select_backfill_weight,
              &DB_PARAMS(arena_printf(w->a, "%u", t->oid), str_text(&columns)), &rows, err))
        return false;
    b->index_bytes = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    b->n_indexes = (int) strtol(db_cell(&rows, 0, 1), NULL, 10);
    double fill = strtod(db_cell(&rows, 0, 3), NULL) / 100;
    bool is_indexed = strcmp(db_cell(&rows, 0, 2), "t") == 0;
    b->hot_share = is_indexed || fill >= 1 ? 0 : fill <= 0.5 ? 1 : (1 - fill) / fill;
    return true;
}

bool backfill_basis(struct work *w, const struct backfill_setup *s, const struct backfill_table *t,
                    struct estimate_basis *out, struct err *err)
{
    *out = (struct estimate_basis) {.rows = t->rows,
                                    .bytes = t->bytes,
                                    .vacuum_share = s->knobs.vacuum_share,
                                    .duty = s->knobs.max_duty,
                                    .workers = s->workers,
                                    .batch = s->knobs.batch};
    return sample_todo(w, s, t, &out->todo_share, err) && weigh(w, s, t, out, err);
}

/* ---- measured -------------------------------------------------------------------------------------------------- */

struct sums {
    double rows, ms, wal;
};

static void take(struct sums *m, const struct db_rows *r)
{
    json_t *explained = plan_of(r);
    const json_t *update = find_node(top_of(explained), "ModifyTable", NULL);
    double rows = json_number_value(json_object_get(update, "Actual Rows"));

    if (rows > 0) {
        m->rows += rows;
        m->ms += json_number_value(json_object_get(json_array_get(explained, 0), "Execution Time"));
        m->wal += json_number_value(json_object_get(update, "WAL Bytes"));
    }
    json_decref(explained);
}

/* One batch behind lo (NULL: from the start), rolled back. */
static bool measure_at(struct work *w, const struct walk *k, const char *const *lo,
                       const char *const *hi, struct sums *m, struct err *err)
{
    struct db_rows rows = {0};
    struct db_params p = {0};

    add_key(&p, lo, k->n_keys);
    add_key(&p, hi, k->n_keys);
    struct db_params next = p;
    next.value[next.n++] = MEASURED_ROWS;
    if (!look(w, LOOK_MS, walk_next_sql(w->a, k, !lo), &next, &rows, err))
        return false;
    if (rows.n_rows > 0) {
        p.n = lo ? k->n_keys : 0;
        add_key(&p, (const char *const *) rows.cell[0], k->n_keys);
    }
    const struct db_call call = {
        .sql = arena_printf(w->a, "EXPLAIN (ANALYZE, WAL, TIMING OFF, SUMMARY ON, FORMAT JSON) %s",
                            walk_fill_sql(w->a, k, !lo)),
        .params = p};
    if (!trial(w, "BEGIN", MEASURE_MS, &call, 1, &rows, err))
        return false;
    take(m, &rows);
    return true;
}

static bool no_measure(struct err *err)
{
    err_note(err, "a batch of a thousand rows that would have been rolled back");
    if (strcmp(err->sqlstate, "57014") != 0)
        return false;
    return err_hint(err, "it takes longer than others should wait for its rows: estimate without "
                         "--measure, and begin with small batches (batch: {rows: 100})");
}

bool backfill_measure(struct work *w, const struct backfill_setup *s,
                      const struct backfill_table *t, struct estimate_basis *b, struct err *err)
{
    const struct walk k = backfill_walk(s, t);
    const char **hi = NULL;
    struct sums m = {0};

    if (s->via) /* nor for these */
        return true;
    if (!find_end(w, &k, &hi, err))
        return false;
    if (!hi)
        return true;
    for (int i = 0; i < MEASURED_PLACES; i++) {
        const char *lo[] = {i ? t->bounds[(int64_t) i * t->n_bounds / MEASURED_PLACES] : NULL};

        if (!measure_at(w, &k, i ? lo : NULL, (const char *const *) hi, &m, err))
            return no_measure(err);
        if (k.n_keys > 1 || t->n_bounds < MEASURED_PLACES)
            break;
    }
    if (m.rows > 0) {
        b->ms_per_row = m.ms / m.rows;
        b->wal_per_row = m.wal / m.rows;
    }
    return true;
}
