/* A baseline that the limited role loads: what our superuser does for it before, and takes back afterwards.
 *
 * For the time of the load there is one more role, whose members may make things anywhere in the database: what becomes
 * another role's needs that role's right to make it there.
 */
#include "shadow/load_int.h"
#include "shadow/wire_int.h"

#include "sql_embedded.h"

#include <string.h>

static const char *helper_of(struct load *l)
{
    return arena_printf(&l->arena, "%sload", l->s->prefix);
}

static bool is_usable(const struct load *l, const char *role)
{
    return role && strcmp(role, l->s->owner) != 0 && strncmp(role, "pg_", 3) != 0 &&
           names_find(&l->scan.strong, role) < 0 && names_find(&l->scan.foreign, role) < 0;
}

static bool grant(struct load *l, const char *role, const char *to, struct err *err)
{
    AUTO(str) sql = {0};

    str_add(&sql, "GRANT ");
    sql_ident(&sql, role);
    str_add(&sql, " TO ");
    sql_ident(&sql, to);
    return shadow_admin(l->s, str_text(&sql), err);
}

/* ---- roles ------------------------------------------------------------------------------------- */

static bool join_roles(struct load *l, const char *helper, struct err *err)
{
    const struct scan *sc = &l->scan;

    for (int i = 0; i < sc->mentioned.n; i++) {
        const char *role = sc->mentioned.items[i];

        if (is_usable(l, role) &&
            (!grant(l, role, l->s->owner, err) || !grant(l, helper, role, err)))
            return false;
    }
    for (int i = 0; i < sc->member.n; i++)
        if (is_usable(l, sc->member.items[i]) && is_usable(l, sc->member_of.items[i]) &&
            !grant(l, sc->member_of.items[i], sc->member.items[i], err))
            return false;
    return true;
}

static bool set_options(struct load *l, const struct names *roles, const char *option,
                        struct err *err)
{
    for (int i = 0; i < roles->n; i++) {
        AUTO(str) sql = {0};

        if (!roles->items[i] || names_find(&l->s->roles_made, roles->items[i]) < 0)
            continue;
        str_add(&sql, "ALTER ROLE ");
        sql_ident(&sql, roles->items[i]);
        str_addf(&sql, " %s", option);
        if (!shadow_admin(l->s, str_text(&sql), err))
            return false;
    }
    return true;
}

/* ---- extensions -------------------------------------------------------------------------------- */

static void extension_sql(const struct scan_extension *e, struct str *sql)
{
    str_add(sql, "CREATE EXTENSION IF NOT EXISTS ");
    sql_ident(sql, e->name);
    str_add(sql, " WITH SCHEMA ");
    sql_ident(sql, e->schema ? e->schema : "public");
    if (e->version) {
        str_add(sql, " VERSION ");
        sql_ident(sql, e->version);
    }
    if (e->cascades)
        str_add(sql, " CASCADE");
}

static bool make_schema(struct load *l, struct wire *w, const char *name, struct err *err)
{
    AUTO(str) sql = {0};
    struct wire_result r = {0};

    if (strcmp(name, "public") == 0 || strncmp(name, "pg_", 3) == 0)
        return true;
    str_add(&sql, "CREATE SCHEMA IF NOT EXISTS ");
    sql_ident(&sql, name);
    str_add(&sql, " AUTHORIZATION ");
    sql_ident(&sql, l->s->owner);
    return wire_exec(w, &l->arena, str_text(&sql), false, &r, err) &&
           (r.ok || shadow_result_err(&r, "preparing the shadow", err));
}

/* Those that aren't relocatable have a schema of their own, whatever is asked for. */
static bool make_extension(struct load *l, struct wire *w, const struct scan_extension *e,
                           struct err *err)
{
    AUTO(str) sql = {0};
    struct wire_result r = {0};
    struct scan_extension own = *e;
    int line;

    if (e->schema && !make_schema(l, w, e->schema, err))
        return false;
    extension_sql(&own, &sql);
    if (!wire_exec(w, &l->arena, str_text(&sql), false, &r, err))
        return false;
    if (!r.ok && !e->schema) {
        str_clear(&sql);
        str_add(&sql, "CREATE EXTENSION IF NOT EXISTS ");
        sql_ident(&sql, e->name);
        if (e->cascades)
            str_add(&sql, " CASCADE");
        if (!wire_exec(w, &l->arena, str_text(&sql), false, &r, err))
            return false;
    }
    if (r.ok)
        return true;
    const char *file = scan_place(&l->scan, e->line, &line);
    return load_extension_error(l, file, line, r.sqlstate, r.message ? r.message : "failed", err);
}

/* Servers and foreign tables are made as the dump has them, and nothing is behind them until the load is over. */
static const char close_wrappers[] =
    "DO $do$ DECLARE r record; BEGIN "
    "FOR r IN SELECT fdwname FROM pg_foreign_data_wrapper LOOP "
    "EXECUTE format('ALTER FOREIGN DATA WRAPPER %I NO HANDLER NO VALIDATOR', r.fdwname); "
    "EXECUTE format('GRANT USAGE ON FOREIGN DATA WRAPPER %I TO %I', r.fdwname, "
    "current_setting('phasegate.load')); END LOOP; END $do$";

/* postgres_fdw lets nobody out who has no user mapping, and those go after the load. */
static const char open_wrapper[] =
    "DO $do$ BEGIN IF EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid "
    "AND d.refclassid = 'pg_extension'::regclass JOIN pg_foreign_data_wrapper w ON w.oid = d.objid "
    "AND d.classid = 'pg_foreign_data_wrapper'::regclass WHERE e.extname = 'postgres_fdw' "
    "AND w.fdwname = 'postgres_fdw') THEN "
    "EXECUTE (SELECT format('ALTER FOREIGN DATA WRAPPER postgres_fdw HANDLER %I.%I VALIDATOR "
    "%I.%I', "
    "n.nspname, 'postgres_fdw_handler', n.nspname, 'postgres_fdw_validator') FROM pg_extension e "
    "JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'postgres_fdw'); "
    "END IF; END $do$";

/* ---- before ------------------------------------------------------------------------------------ */

static bool run_all(struct load *l, struct wire *w, const char *const *sql, int n, struct err *err)
{
    for (int i = 0; i < n; i++) {
        struct wire_result r = {0};

        if (!wire_exec(w, &l->arena, sql[i], false, &r, err))
            return false;
        if (!r.ok)
            return shadow_result_err(&r, "preparing the shadow", err);
    }
    return true;
}

static bool lend_rights(struct load *l, struct wire *w, const char *helper, struct err *err)
{
    AUTO(str) name = {0};
    AUTO(str) database = {0};
    AUTO(str) owner = {0};
    AUTO(str) setting = {0};

    sql_ident(&name, helper);
    sql_ident(&database, l->database);
    sql_ident(&owner, l->s->owner);
    str_add(&setting, "SET phasegate.load = ");
    sql_literal(&setting, helper);
    const char *const sql[] = {
        str_text(&setting),
        arena_printf(&l->arena, "GRANT CREATE ON DATABASE %s TO %s", str_text(&database),
                     str_text(&name)),
        arena_printf(&l->arena, "GRANT CREATE, USAGE ON SCHEMA public TO %s", str_text(&name)),
        arena_printf(&l->arena,
                     "ALTER DEFAULT PRIVILEGES FOR ROLE %s GRANT CREATE, USAGE ON SCHEMAS TO %s",
                     str_text(&owner), str_text(&name)),
    };
    return run_all(l, w, sql, sizeof sql / sizeof *sql, err);
}

static bool prepare_within(struct load *l, struct wire *w, const char *helper, struct err *err)
{
    static const char *const close[] = {sql_shadow_close_functions, close_wrappers};

    if (!lend_rights(l, w, helper, err))
        return false;
    for (int i = 0; i < l->scan.n_extensions; i++)
        if (!make_extension(l, w, &l->scan.extensions[i], err))
            return false;
    return run_all(l, w, close, 2, err);
}

bool limited_prepare(struct load *l, struct err *err)
{
    const struct connect_spec c = {.database = l->database, .options = SHADOW_WITHIN};
    const struct wire_options o = {.statement_ms = SHADOW_ADMIN_MS};
    const char *helper = helper_of(l);
    struct wire *w;

    if (!shadow_role_make(l->s, helper, err) || !grant(l, helper, l->s->owner, err) ||
        !join_roles(l, helper, err) || !wire_connect(l->s, &c, &o, &w, err))
        return false;
    bool good = prepare_within(l, w, helper, err);
    wire_close(w);
    return good;
}

/* ---- afterwards -------------------------------------------------------------------------------- */

static const char *drop_extensions_sql(struct load *l)
{
    AUTO(str) sql = {0};

    for (int i = 0; i < l->scan.dropped_extensions.n; i++) {
        const char *name = l->scan.dropped_extensions.items[i];

        if (!name)
            continue;
        str_add(&sql, sql.len ? ", " : "DROP EXTENSION IF EXISTS ");
        sql_ident(&sql, name);
    }
    return sql.len ? arena_strdup(&l->arena, str_text(&sql)) : "SELECT";
}

static void tell(struct load *l)
{
    const struct scan *sc = &l->scan;
    struct shadow *s = l->s;

    s->left_out = arena_array(&s->arena, struct shadow_left_out, sc->n_left_out + 1);
    s->n_left_out = sc->n_left_out;
    for (int i = 0; i < sc->n_left_out; i++) {
        struct shadow_left_out *to = &s->left_out[i];

        to->what = arena_strdup(&s->arena, sc->left_out[i].what);
        to->file = arena_strdup(&s->arena, scan_place(sc, sc->left_out[i].line, &to->line));
    }
}

/* The role itself is needed again: by another load, or by a second try of this one. */
bool limited_finish(struct load *l, bool is_loaded, struct err *err)
{
    AUTO(str) owned = {0};

    str_add(&owned, "DROP OWNED BY ");
    sql_ident(&owned, helper_of(l));
    const char *const sql[] = {str_text(&owned), open_wrapper, drop_extensions_sql(l)};
    if (!is_loaded)
        return true;
    tell(l);
    return shadow_within(l->s, l->database, sql, sizeof sql / sizeof *sql, err) &&
           set_options(l, &l->scan.own_only, "NOINHERIT", err) &&
           set_options(l, &l->scan.sees_rows, "BYPASSRLS", err);
}
