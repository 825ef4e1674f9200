/* Taking a snapshot: one repeatable-read transaction for count, digest and rows of every table. */
#include "snapshot_int.h"

#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is there ------------------------------------------------------------------------------- */

static const char *known_name(const struct snapshot_part *p, const char *now)
{
    for (int i = 0; i < p->n_known; i++)
        if (strcmp(p->known[i].now, now) == 0)
            return p->known[i].name;
    return NULL;
}

struct found_column {
    struct snapshot_column c;
    bool is_generated, is_known;
    int place;
};

static void add(struct snapshot_part *p, const struct found_column *f)
{
    p->columns[p->n_columns++] = f->c;
}

bool snapshot_describe(struct db *db, struct arena *a, struct snapshot_part *p, bool *found,
                       struct err *err)
{
    struct db_rows rows = {0};
    bool has_known = false;

    if (!db_query(db, a, sql_select_snapshot_columns, &DB_PARAMS(p->now_schema, p->now_table),
                  &rows, err))
        return false;
    struct found_column *f = arena_array(a, struct found_column, rows.n_rows + 1);
    p->columns = arena_array(a, struct snapshot_column, rows.n_rows + 1);
    p->n_columns = p->n_key = 0;
    for (int i = 0; i < rows.n_rows; i++) {
        const char *now = db_cell(&rows, i, 0), *known = known_name(p, now);

        f[i] = (struct found_column) {{known ? known : now, now, db_cell(&rows, i, 1)},
                                      db_cell(&rows, i, 2)[0] == 't',
                                      known != NULL,
                                      (int) strtol(db_cell(&rows, i, 3), NULL, 10)};
        has_known |= known != NULL;
        if (f[i].place > p->n_key)
            p->n_key = f[i].place;
    }
    *found = rows.n_rows > 0 && (p->whole || has_known);
    if (p->n_key == 0)
        p->whole = true;
    for (int place = 1; place <= p->n_key; place++)
        for (int i = 0; i < rows.n_rows; i++)
            if (f[i].place == place)
                add(p, &f[i]);
    for (int i = 0; i < rows.n_rows; i++)
        if (!f[i].place && !f[i].is_generated && (p->whole || f[i].is_known))
            add(p, &f[i]);
    /* What goes is the key itself, or is computed: without the rest of the row it means nothing. */
    if (*found && !p->whole && p->n_columns == p->n_key) {
        p->whole = true;
        return snapshot_describe(db, a, p, found, err);
    }
    return true;
}

static bool measured(struct db *db, struct arena *a, const char *sql, struct snapshot_part *p,
                     struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(db, a, sql, &DB_NO_PARAMS, &rows, err))
        return false;
    p->rows = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    p->digest = db_cell(&rows, 0, 1);
    return true;
}

static void roll_back(struct db *db)
{
    AUTO(err) ignored = {0};

    if (db_is_usable(db))
        (void) !db_exec(db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
}

bool snapshot_measure(struct db *db, struct arena *a, struct snapshot_part *p, struct err *err)
{
    struct db_rows rows = {0};
    bool good = db_exec(db, "BEGIN READ ONLY", &DB_NO_PARAMS, err) &&
                db_query(db, a, sql_set_snapshot_limits, &DB_NO_PARAMS, &rows, err) &&
                measured(db, a, snapshot_measure_sql(a, p), p, err);

    roll_back(db);
    return good;
}

/* ---- taking ---------------------------------------------------------------------------------------- */

struct taking {
    const struct store *store;
    struct db *db;
    const char *url;
    struct arena *a;
    struct snapshot *s;
};

static bool take_part(struct taking *t, int i, struct err *err)
{
    struct snapshot_part *p = &t->s->parts[i];
    struct packer *packer = NULL;
    int64_t rows = 0;

    p->file = arena_printf(t->a, "%d.copy.zst", i + 1);
    if (snapshot_is_stopped(t->store->ports, err) ||
        !measured(t->db, t->a, snapshot_measure_sql(t->a, p), p, err) ||
        !packer_open(&packer, t->store, t->s->name, p->file, err))
        return false;
    struct db_sink sink = packer_sink(packer);
    if (!db_copy_out(t->db, snapshot_copy_out_sql(t->a, p), &sink, &rows, err)) {
        packer_drop(packer);
        return false;
    }
    if (!packer_close(packer, t->a, &p->bytes, &p->sha256, err))
        return false;
    if (rows != p->rows)
        return err_set(err, ERR_BUG, "COPY gave %lld rows where %lld were counted",
                       (long long) rows, (long long) p->rows);
    return true;
}

static bool read_server(struct taking *t, struct err *err)
{
    struct db_rows rows = {0};

    if (!db_query(t->db, t->a, sql_set_snapshot_limits, &DB_NO_PARAMS, &rows, err) ||
        !db_query(t->db, t->a, sql_select_snapshot_server, &DB_NO_PARAMS, &rows, err))
        return false;
    t->s->database = db_cell(&rows, 0, 0);
    t->s->server_version = db_cell(&rows, 0, 1);
    t->s->system_identifier = db_cell(&rows, 0, 2);
    t->s->lsn = db_cell(&rows, 0, 3);
    t->s->taken_at_ms = strtoll(db_cell(&rows, 0, 4), NULL, 10);
    return true;
}

static bool take_parts(struct taking *t, struct err *lacks, struct err *err)
{
    if (!db_exec(t->db, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", &DB_NO_PARAMS, err) ||
        !read_server(t, err))
        return false;
    for (int i = 0; i < t->s->n_parts; i++)
        if (!take_part(t, i, err))
            return err_note(err, "table %s.%s", t->s->parts[i].schema, t->s->parts[i].table);
    return definition_take(t->store, t->db, t->url, t->a, t->s, lacks, err);
}

bool snapshot_take(const struct store *store, struct db *db, const char *url, struct arena *a,
                   struct snapshot *s, struct err *lacks, struct err *err)
{
    struct taking t = {store, db, url, a, s};
    AUTO(err) ignored = {0};
    AUTO(str) manifest = {0};

    if (!store_make(store, s->name, err))
        return false;
    bool good = take_parts(&t, lacks, err);
    roll_back(db);
    if (good) {
        snapshot_to_json(s, &manifest);
        s->manifest_sha256 = sha256_of(a, str_text(&manifest), manifest.len);
        good = store_put(store, s->name, MANIFEST, str_text(&manifest), manifest.len, err);
    }
    if (!good)
        (void) !store_remove(store, s->name, &ignored);
    return good;
}
