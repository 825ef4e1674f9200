/* The ledger's own tables: which version is there, and how the next one gets there. */
#include "phasegate/names.h"
#include "rows.h"

#include <stdlib.h>
#include <string.h>

/* In a schema file: the line that parts two statements. */
#define SEPARATOR "-- statement\n"

bool ledger_version(struct db *db, int *out_version, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_rows rows = {0};
    if (!db_query(db, &a, sql_select_ledger_presence, &DB_NO_PARAMS, &rows, err))
        return false;
    struct reader presence = {&rows, 0, 1};
    if (!read_bool(&presence)) {
        *out_version = 0;
        return true;
    }

    if (!db_query(db, &a, sql_select_ledger_version, &DB_NO_PARAMS, &rows, err))
        return ledger_explain(db, err);
    struct reader r = {&rows, 0, 0};
    int version = (int) read_int(&r);
    if (version > LEDGER_VERSION) {
        err_set(err, ERR_REFUSED,
                "the ledger in %s has version %d, this program knows versions up to %d", db->shown,
                version, LEDGER_VERSION);
        err_reason(err, "ledger_newer");
        return err_hint(err,
                        "Use the phasegate that wrote it, or a newer one; nothing was changed.");
    }
    *out_version = version;
    return true;
}

static bool schema_exists(struct db *db, bool *out, struct err *err)
{
    AUTO(arena) a = {0};
    struct db_rows rows = {0};
    if (!db_query(db, &a, sql_select_ledger_presence, &DB_NO_PARAMS, &rows, err))
        return false;
    struct reader r = {&rows, 0, 0};
    *out = read_bool(&r);
    return true;
}

/* 42501 while making the schema or its tables: says the GRANT. err is set. */
static bool explain_rights(struct db *db, bool has_schema, struct err *err)
{
    if (strcmp(err->sqlstate, "42501") != 0)
        return false;

    AUTO(arena) a = {0};
    AUTO(err) second = {0};
    struct db_rows rows = {0};
    AUTO(str) role = {0};
    AUTO(str) database = {0};
    AUTO(str) said = {0};
    str_add(&said, str_text(&err->message));
    if (!db_query(db, &a, sql_select_session, &DB_NO_PARAMS, &rows, &second))
        return false;
    sql_ident(&role, db_cell(&rows, 0, 3));
    sql_ident(&database, db_cell(&rows, 0, 4));

    err_set(err, ERR_REFUSED, "role %s may not make phasegate's tables in database %s: %s",
            str_text(&role), str_text(&database), str_text(&said));
    err_reason(err, "rights");
    if (has_schema)
        return err_hint(err, "As the owner of the schema: ALTER SCHEMA phasegate OWNER TO %s",
                        str_text(&role));
    return err_hint(
        err,
        "As the owner of the database: GRANT CREATE ON DATABASE %s TO %s - or, without that right: "
        "CREATE SCHEMA phasegate AUTHORIZATION %s",
        str_text(&database), str_text(&role), str_text(&role));
}

struct script_calls {
    struct db_call *items;
    int n;
};

static void calls_add(struct arena *a, struct script_calls *calls, const char *sql)
{
    size_t size = sizeof(struct db_call);
    calls->items =
        arena_grow(a, calls->items, (size_t) calls->n * size, (size_t) (calls->n + 1) * size);
    calls->items[calls->n++] = (struct db_call) {.sql = sql};
}

/* The statements of a schema file. */
static void calls_add_file(struct arena *a, struct script_calls *calls, const char *text)
{
    size_t len = strlen(SEPARATOR);
    for (const char *at = text; at;) {
        const char *end = strncmp(at, SEPARATOR, len) == 0 ? at : strstr(at, "\n" SEPARATOR);
        if (!end) {
            calls_add(a, calls, at);
            return;
        }
        if (end > at)
            calls_add(a, calls, arena_strndup(a, at, (size_t) (end - at)));
        at = end + len + (end > at ? 1 : 0);
    }
}

static bool ledger_apply(struct db *db, const struct schema_file *file, bool make_schema,
                         struct err *err)
{
    AUTO(arena) a = {0};
    struct script_calls calls = {0};
    calls_add(&a, &calls, "BEGIN");
    if (make_schema) {
        calls_add(&a, &calls, sql_create_schema);
        calls_add(&a, &calls, sql_comment_schema);
    }
    calls_add_file(&a, &calls, file->text);
    calls_add(&a, &calls, sql_insert_schema_version);
    struct db_call *record = &calls.items[calls.n - 1];
    call_int(&a, record, file->number);
    call_text(record, file->name);
    calls_add(&a, &calls, "COMMIT");

    int done = 0;
    if (db_pipeline(db, &a, calls.items, calls.n, NULL, &done, err))
        return true;

    AUTO(err) ignored = {0};
    if (db_is_usable(db) && !db_exec(db, "ROLLBACK", &DB_NO_PARAMS, &ignored))
        err_note(err, "rolling back: %s", str_text(&ignored.message));
    explain_rights(db, !make_schema, err);
    return err_note(err, "making version %d of the ledger (%s)", file->number, file->name);
}

bool ledger_upgrade(struct db *db, struct err *err)
{
    int version = 0;
    if (!ledger_version(db, &version, err))
        return false;
    if (version == LEDGER_VERSION)
        return true;

    bool has_schema = true;
    if (version == 0 && !schema_exists(db, &has_schema, err))
        return false;
    for (const struct schema_file *file = schema_files; file->text; file++) {
        if (file->number <= version)
            continue;
        if (!ledger_apply(db, file, !has_schema, err))
            return false;
        has_schema = true;
    }
    return true;
}
