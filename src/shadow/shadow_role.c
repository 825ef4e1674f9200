/* Roles of the shadow: what steps and releases run as. */
#include "shadow/shadow_int.h"
#include "shadow/wire_int.h"

#include <string.h>

static bool role_query(struct shadow *s, struct arena *a, const char *name, struct wire_result *r,
                       struct err *err)
{
    AUTO(str) sql = {0};

    str_add(&sql, "SELECT rolsuper OR rolcreaterole OR rolreplication, rolcanlogin, "
                  "pg_catalog.shobj_description(oid, 'pg_authid') "
                  "FROM pg_catalog.pg_roles WHERE rolname = ");
    sql_literal(&sql, name);
    if (!wire_exec(s->admin, a, str_text(&sql), true, r, err))
        return false;
    return r->ok ? true : shadow_result_err(r, "preparing the shadow", err);
}

/* On our own server trust admits whoever may enter its folder: no password is needed there. */
static void add_login(const struct shadow *s, struct str *sql)
{
    str_add(sql, " LOGIN");
    if (!s->secret)
        return;
    str_add(sql, " PASSWORD ");
    sql_literal(sql, s->secret);
}

bool shadow_role_make(struct shadow *s, const char *name, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(str) sql = {0};
    struct wire_result r = {0};
    bool is_owner = strcmp(name, s->owner) == 0;

    if (!role_query(s, &a, name, &r, err))
        return false;
    if (r.n_rows > 0)
        return true;
    str_add(&sql, "CREATE ROLE ");
    sql_ident(&sql, name);
    str_add(&sql, is_owner && s->superuser_steps ? " SUPERUSER" : " NOSUPERUSER");
    if (!s->url || is_owner)
        add_login(s, &sql);
    if (!shadow_admin(s, str_text(&sql), err))
        return false;
    names_add(&s->arena, &s->roles_made, name);
    return true;
}

static bool is_limited(const char *name)
{
    return strncmp(name, "pg_", 3) != 0 && strcmp(name, SHADOW_ADMIN) != 0;
}

static bool login_own(struct shadow *s, const char *name, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(str) sql = {0};
    struct wire_result r = {0};

    if (!is_limited(name)) {
        err_set(err, ERR_INPUT, "statements can't run as role %s: it has more than a role's rights",
                name);
        return err_hint(err, "Name the role that the application connects as.");
    }
    if (!shadow_role_make(s, name, err) || !role_query(s, &a, name, &r, err))
        return false;
    bool is_strong = strcmp(r.cell[0][0], "t") == 0;
    bool can_login = strcmp(r.cell[0][1], "t") == 0;
    if (can_login && (!is_strong || s->superuser_steps))
        return true;
    str_add(&sql, "ALTER ROLE ");
    sql_ident(&sql, name);
    str_add(&sql, " LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity'");
    if (!s->superuser_steps)
        str_add(&sql, " NOSUPERUSER NOCREATEROLE NOREPLICATION");
    return shadow_admin(s, str_text(&sql), err);
}

bool shadow_role_login(struct shadow *s, const char *name, const char **out, struct err *err)
{
    if (!login_own(s, name, err))
        return false;
    *out = arena_strdup(&s->arena, name);
    return true;
}
