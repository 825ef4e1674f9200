/* Is a snapshot what was taken? Read back from where it lies, and put into tables again. And its end. */
#include "snapshot_int.h"

#include "phasegate/names.h"
#include "sql_embedded.h"

#include <stdlib.h>
#include <string.h>

bool snapshot_hashes_hold(const struct store *store, const struct snapshot *s, struct err *err)
{
    for (int i = 0; i < s->n_parts; i++)
        if (!unpack_hash(store, s->name, s->parts[i].file, s->parts[i].sha256, err))
            return false;
    return !s->definition.file ||
           unpack_hash(store, s->name, s->definition.file, s->definition.sha256, err);
}

/* Types are the one thing of a manifest that goes into SQL as it is written there, and whoever can write to the store can
 * write anything. */
static bool make_table(struct db *db, struct arena *a, const struct snapshot_part *p,
                       const char *create, struct err *err)
{
    AUTO(str) types = {0};
    AUTO(err) cause = {0};
    struct db_rows rows = {0};

    str_addc(&types, '{');
    for (int i = 0; i < p->n_columns; i++) {
        str_add(&types, i ? "," : "");
        sql_element(&types, p->columns[i].type);
    }
    str_addc(&types, '}');
    if (db_query(db, a, sql_select_snapshot_types, &DB_PARAMS(str_text(&types)), &rows, &cause))
        return db_exec(db, create, &DB_NO_PARAMS, err);
    if (!err_is(&cause, ERR_SQL)) {
        err_move(err, &cause);
        return false;
    }
    err_set(err, ERR_NO, "the types of table %s.%s can't be had here: %s", p->schema, p->table,
            str_text(&cause.message));
    err_hint(err, "a type of one's own has to be there again; else the manifest isn't the one that "
                  "was written");
    return err_reason(err, "snapshot_damaged");
}

/* Through a table that is there already. A file that isn't the one that was written is told by its hash
 * before by what the server makes of its rows. */
static bool pour(const struct store *store, struct db *db, const char *name,
                 const struct snapshot_part *p, const char *copy, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(err) cause = {0};
    struct unpacker *u = NULL;
    int64_t rows = 0;

    if (!unpacker_open(&u, store, name, p->file, err))
        return false;
    struct db_source source = unpacker_source(u);
    bool good = db_copy_in(db, snapshot_copy_in_sql(&a, p, copy), &source, &rows, &cause);
    if (good || err_is(&cause, ERR_SQL))
        good = unpacker_check(u, p->sha256, err) && good;
    if (!good && !err->kind)
        err_move(err, &cause);
    unpacker_close(u);
    return good;
}

static bool differs(const struct snapshot_part *p, const struct snapshot_part *got, struct err *err)
{
    if (got->rows == p->rows && strcmp(got->digest, p->digest) == 0)
        return true;
    err_set(err, ERR_NO,
            "table %s.%s comes back from the snapshot with %lld rows and digest %s; it was taken "
            "with %lld and %s",
            p->schema, p->table, (long long) got->rows, got->digest, (long long) p->rows,
            p->digest);
    err_hint(err, "it can't be trusted: take another one (phasegate snapshot PLAN)");
    return err_reason(err, "snapshot_damaged");
}

static bool verify_part(const struct store *store, struct db *db, const struct snapshot *s, int i,
                        const char *schema, struct err *err)
{
    const struct snapshot_part *p = &s->parts[i];
    struct snapshot_part got = *p;
    AUTO(arena) a = {0};
    AUTO(str) copy = {0};
    struct db_rows rows = {0};

    sql_qualified(&copy, schema, arena_printf(&a, "part_%d", i + 1));
    const char *name = str_text(&copy);
    if (!make_table(db, &a, p, snapshot_create_sql(&a, p, "CREATE UNLOGGED TABLE", name, ""),
                    err) ||
        !pour(store, db, s->name, p, name, err) ||
        !db_query(db, &a, snapshot_measure_copy_sql(&a, p, name), &DB_NO_PARAMS, &rows, err))
        return false;
    got.rows = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    got.digest = db_cell(&rows, 0, 1);
    return differs(p, &got, err);
}

static bool verify_all(const struct store *store, struct db *db, const struct snapshot *s,
                       struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(str) make = {0};
    struct db_rows rows = {0};
    const char *schema =
        arena_printf(&a, "phasegate_verify_%08x", (unsigned) clock_random(store->ports->clock));

    str_add(&make, "CREATE SCHEMA ");
    sql_ident(&make, schema);
    if (!db_exec(db, "BEGIN", &DB_NO_PARAMS, err) ||
        !db_query(db, &a, sql_set_snapshot_limits, &DB_NO_PARAMS, &rows, err))
        return false;
    if (!db_exec(db, str_text(&make), &DB_NO_PARAMS, err))
        return err_hint(err, "a snapshot counts once it was put into tables again: GRANT CREATE ON "
                             "DATABASE to phasegate's role");
    for (int i = 0; i < s->n_parts; i++)
        if (!verify_part(store, db, s, i, schema, err))
            return false;
    return !s->definition.file ||
           unpack_hash(store, s->name, s->definition.file, s->definition.sha256, err);
}

bool snapshot_verify(const struct store *store, struct db *db, const struct snapshot *s,
                     struct err *err)
{
    AUTO(err) ignored = {0};
    bool good = verify_all(store, db, s, err);

    if (db_is_usable(db))
        (void) !db_exec(db, "ROLLBACK", &DB_NO_PARAMS, &ignored);
    return good ? true : err_note(err, "verifying snapshot %s", s->name);
}

bool snapshot_unpack(const struct store *store, struct db *db, const struct snapshot *s,
                     const struct snapshot_part *p, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_rows rows = {0};

    if (!make_table(db, &a, p,
                    snapshot_create_sql(
                        &a, p, "CREATE TEMPORARY TABLE", "phasegate_snapshot",
                        ", phasegate_n pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
                    err) ||
        !pour(store, db, s->name, p, SNAPSHOT_COPY, err) ||
        !db_query(db, &a, sql_put(&a, sql_count_snapshot_copy, "copy", SNAPSHOT_COPY),
                  &DB_NO_PARAMS, &rows, err))
        return false;
    int64_t n = strtoll(db_cell(&rows, 0, 0), NULL, 10);
    if (n == p->rows)
        return true;
    err_set(err, ERR_NO,
            "table %s.%s comes back from the snapshot with %lld rows; its manifest says %lld",
            p->schema, p->table, (long long) n, (long long) p->rows);
    err_hint(err, "it isn't what was written: choose another one (phasegate snapshots list)");
    return err_reason(err, "snapshot_damaged");
}
