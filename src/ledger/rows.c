#include "rows.h"
#include "phasegate/names.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int64_t read_int(struct reader *r)
{
    const char *text = read_text(r);
    return text ? strtoll(text, NULL, 10) : 0;
}

bool read_bool(struct reader *r)
{
    const char *text = read_text(r);
    return text && text[0] == 't';
}

void call_begin(struct db_call *call, const char *sql) { *call = (struct db_call) {.sql = sql}; }

void call_text(struct db_call *call, const char *text_or_null)
{
    if (call->params.n == DB_MAX_PARAMS)
        abort();
    call->params.value[call->params.n++] = text_or_null;
}

void call_int(struct arena *a, struct db_call *call, int64_t v)
{
    call_text(call, arena_printf(a, "%" PRId64, v));
}

void call_time(struct arena *a, struct db_call *call, int64_t ms)
{
    if (ms)
        call_int(a, call, ms);
    else
        call_text(call, NULL);
}

void call_bool(struct db_call *call, bool v) { call_text(call, v ? "t" : "f"); }

bool ledger_read(struct db *db, struct arena *a, const char *sql, const struct db_params *params,
                 struct db_rows *rows, struct err *err)
{
    if (db_query(db, a, sql, params, rows, err))
        return true;

    bool is_missing = strcmp(err->sqlstate, "42P01") == 0 || strcmp(err->sqlstate, "3F000") == 0;
    if (!is_missing)
        return ledger_explain(db, err);

    /* Only a failed read pays for the question whether there is a ledger at all. */
    int version = 0;
    AUTO(err) second = {0};
    if (!ledger_version(db, &version, &second)) {
        if (err_is(&second, ERR_REFUSED))
            err_move(err, &second);
        return false;
    }
    if (version == 0) {
        err_clear(err);
        *rows = (struct db_rows) {0};
        return true;
    }
    AUTO(str) said = {0};
    str_add(&said, str_text(&err->message));
    err_set(err, ERR_REFUSED, "the ledger in %s is damaged: %s", db->shown, str_text(&said));
    err_reason(err, "ledger_damaged");
    err_detail(err,
               "Version %d of schema phasegate is recorded, but not all of its tables are there.",
               version);
    return err_hint(
        err,
        "Restore schema phasegate from a backup, or drop it: phasegate then looks at the catalogue "
        "for what is already in place.");
}

bool ledger_read_since(struct db *db, struct arena *a, int version, const char *sql,
                       const struct db_params *params, struct db_rows *rows, struct err *err)
{
    int found = 0;

    *rows = (struct db_rows) {0};
    if (!ledger_version(db, &found, err))
        return false;
    return found < version || ledger_read(db, a, sql, params, rows, err);
}

bool ledger_explain(struct db *db, struct err *err)
{
    if (strcmp(err->sqlstate, "42501") != 0)
        return false;

    AUTO(arena) a = {0};
    AUTO(err) second = {0};
    struct db_rows rows = {0};
    AUTO(str) role = {0};
    AUTO(str) said = {0};
    str_add(&said, str_text(&err->message));
    if (db_query(db, &a, sql_select_session, &DB_NO_PARAMS, &rows, &second))
        sql_ident(&role, db_cell(&rows, 0, 3));
    else
        str_set(&role, "ROLE");
    err_set(err, ERR_REFUSED, "no rights on the ledger in %s: %s", db->shown, str_text(&said));
    err_reason(err, "rights");
    return err_hint(err,
                    "As the owner of schema phasegate: GRANT USAGE ON SCHEMA phasegate TO %s; "
                    "GRANT SELECT ON ALL TABLES IN SCHEMA phasegate TO %s - that is enough to "
                    "look; to run plans, grant "
                    "the owner's role itself to %s",
                    str_text(&role), str_text(&role), str_text(&role));
}

int64_t lock_key(const char *name)
{
    uint32_t hash = 2166136261u;
    for (const unsigned char *p = (const unsigned char *) name; *p; p++)
        hash = (uint32_t) (((uint64_t) hash ^ *p) * 16777619u);
    return hash & 0x7fffffffu;
}

struct db_params lock_params(struct arena *a, int64_t class, const char *name)
{
    struct db_call call;
    call_begin(&call, NULL);
    call_int(a, &call, class);
    call_int(a, &call, lock_key(name));
    return call.params;
}

bool lock_owner(struct db *db, struct arena *a, int64_t class, const char *name,
                struct lock_owner *out, struct err *err)
{
    struct db_params params = lock_params(a, class, name);
    struct db_rows rows = {0};
    if (!db_query(db, a, sql_select_advisory_lock, &params, &rows, err))
        return false;

    *out = (struct lock_owner) {0};
    if (rows.n_rows == 0)
        return true;
    struct reader r = {&rows, 0, 0};
    out->backend_pid = read_int(&r);
    out->is_mine = read_bool(&r);
    out->label = read_text(&r);
    out->role = read_text(&r);
    out->address = read_text(&r);
    out->state = read_text(&r);
    out->since_ms = read_int(&r);
    return true;
}
