/* Roles of the shadow: what steps and releases run as. */
#include "shadow/shadow_int.h"
#include "shadow/wire_int.h"

#include <stdlib.h>
#include <string.h>

/* What a role is allowed that gets it out of its database, itself or by way of another one. A role that bears
 * a baseline's name has its run's in the comment: any other one is somebody's. */
static const char look[] =
    "SELECT EXISTS (SELECT FROM pg_roles u WHERE pg_has_role(r.oid, u.oid, 'MEMBER') AND "
    "(u.rolsuper OR u.rolcreaterole OR u.rolreplication OR u.rolname IN "
    "('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', "
    "'pg_create_subscription', 'pg_signal_backend'))), r.rolcanlogin, "
    "coalesce(shobj_description(r.oid, 'pg_authid') ~ '" SHADOW_RUN "$' "
    "AND r.rolname !~ '" SHADOW_RUN "_', false) "
    "FROM pg_roles r WHERE r.rolname = ";

struct role {
    bool exists, is_strong, can_login, is_of_run;
};

static bool get_role(struct shadow *s, const char *name, struct role *out, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(str) sql = {0};
    struct wire_result r = {0};

    str_add(&sql, look);
    sql_literal(&sql, name);
    if (!shadow_admin_query(s, &a, str_text(&sql), &r, err))
        return false;
    *out = (struct role) {.exists = r.n_rows > 0};
    if (out->exists) {
        out->is_strong = strcmp(r.cell[0][0], "t") == 0;
        out->can_login = strcmp(r.cell[0][1], "t") == 0;
        out->is_of_run = strcmp(r.cell[0][2], "t") == 0;
    }
    return true;
}

/* On our own server trust admits whoever may enter its folder. Elsewhere there's a password of this run's; what is
 * sent of it is its hash, for the sake of the server's log. */
static bool add_login(struct shadow *s, struct str *sql, const char *name, struct err *err)
{
    char *hash;

    str_add(sql, " LOGIN");
    if (!s->secret)
        return true;
    hash = PQencryptPasswordConn(s->admin->conn, s->secret, name, "scram-sha-256");
    if (!hash)
        return err_set(err, ERR_UNREACHABLE, "no password for the role %s", name);
    str_add(sql, " PASSWORD ");
    sql_literal(sql, hash);
    PQfreemem(hash);
    return true;
}

/* A later run knows by it what was left behind. */
static void add_mark(const struct shadow *s, struct str *sql, const char *name)
{
    str_add(sql, "; COMMENT ON ROLE ");
    sql_ident(sql, name);
    str_add(sql, " IS ");
    sql_literal(sql, s->run);
}

static void add_setting(struct str *sql, const char *role, const char *name, const char *value)
{
    str_add(sql, "; ALTER ROLE ");
    sql_ident(sql, role);
    str_addf(sql, " SET %s = ", name);
    sql_literal(sql, value);
}

/* One text is one transaction: on a server that isn't ours there is no role without its mark, whenever we are killed.
 * The limit on files our own server has in its settings. setting may be NULL. */
static bool create(struct shadow *s, const struct str *role, const char *name, const char *setting,
                   const char *value, struct err *err)
{
    AUTO(str) sql = {0};

    str_add(&sql, str_text(role));
    if (s->url) {
        add_mark(s, &sql, name);
        add_setting(&sql, name, "temp_file_limit", SHADOW_TEMP_FILES);
    }
    if (setting)
        add_setting(&sql, name, setting, value);
    return shadow_admin(s, str_text(&sql), err);
}

static bool create_named(struct shadow *s, const char *name, struct err *err)
{
    bool is_owner = strcmp(name, s->owner) == 0;
    AUTO(str) sql = {0};

    str_add(&sql, "CREATE ROLE ");
    sql_ident(&sql, name);
    str_add(&sql, is_owner && s->superuser_steps ? " SUPERUSER" : " NOSUPERUSER");
    if ((!s->url || is_owner) && !add_login(s, &sql, name, err))
        return false;
    if (create(s, &sql, name, NULL, NULL, err)) {
        names_add(&s->arena, &s->roles_made, name);
        return true;
    }
    /* Another run was quicker: duplicate_object, or unique_violation while it hasn't committed. */
    if (!s->url || (strcmp(err->sqlstate, "42710") != 0 && strcmp(err->sqlstate, "23505") != 0))
        return false;
    err_clear(err);
    return true;
}

bool shadow_role_make(struct shadow *s, const char *name, struct err *err)
{
    struct role role;

    return shadow_url_hold(s, name, err) && get_role(s, name, &role, err) &&
           (role.exists || create_named(s, name, err));
}

bool shadow_role_adopt(struct shadow *s, const char *name, struct err *err)
{
    AUTO(str) sql = {0};

    names_add(&s->arena, &s->roles_made, name);
    if (!shadow_url_hold(s, name, err))
        return false;
    if (!s->url)
        return true;
    str_add(&sql, "SELECT");
    add_mark(s, &sql, name);
    return shadow_admin(s, str_text(&sql), err);
}

static bool too_strong(const char *name, struct err *err)
{
    err_set(err, ERR_INPUT,
            "statements can't run as role %s: on the shadow it is a superuser or "
            "has a superuser's rights",
            name);
    return err_hint(err, "Name the role that the application connects as.");
}

/* Whoever becomes it ends its sessions elsewhere, and alters it, and what belongs to it in other databases. */
static bool is_a_strangers(const char *name, struct err *err)
{
    err_set(err, ERR_INPUT,
            "statements can't run as role %s: the server of --shadow has a role of that name, and "
            "it isn't phasegate's to use",
            name);
    return err_hint(err, "Name a server that doesn't have it, or a role that isn't there; without "
                         "--shadow phasegate starts a server of its own.");
}

/* Our own server: the role itself. What a baseline gave it was taken from it after the load. */
static bool login_own(struct shadow *s, const char *name, const struct role *role, struct err *err)
{
    AUTO(str) sql = {0};

    if (role->can_login)
        return true;
    str_add(&sql, "ALTER ROLE ");
    sql_ident(&sql, name);
    str_add(&sql, " LOGIN");
    return shadow_admin(s, str_text(&sql), err);
}

/* The user's server: a role of this run's, which is `name` from its first moment on. Its own rights are that one's:
 * nothing is above it to come back to. */
static bool login_elsewhere(struct shadow *s, const char *name, const char **out, struct err *err)
{
    int at = names_find(&s->login_of, name);
    AUTO(str) sql = {0};

    if (at >= 0) {
        *out = s->logins.items[at];
        return true;
    }
    *out = arena_printf(&s->arena, "%sas_%d", s->prefix, s->logins.n + 1);
    str_add(&sql, "CREATE ROLE ");
    sql_ident(&sql, *out);
    if (!add_login(s, &sql, *out, err))
        return false;
    str_add(&sql, " IN ROLE ");
    sql_ident(&sql, name);
    if (!create(s, &sql, *out, "role", name, err))
        return false;
    names_add(&s->arena, &s->logins, *out);
    names_add(&s->arena, &s->login_of, name);
    return true;
}

bool shadow_role_login(struct shadow *s, const char *name, const char **out, struct err *err)
{
    bool is_owner = strcmp(name, s->owner) == 0;
    struct role role;

    *out = arena_strdup(&s->arena, name);
    if (strncmp(name, "pg_", 3) == 0)
        return too_strong(name, err);
    if (!shadow_role_make(s, name, err) || !get_role(s, name, &role, err))
        return false;
    if (is_owner)
        return true;
    if (role.is_strong)
        return too_strong(name, err);
    if (s->url && !role.is_of_run && !s->superuser_steps)
        return is_a_strangers(name, err);
    return s->url ? login_elsewhere(s, name, out, err) : login_own(s, name, &role, err);
}

static bool grant_or_revoke(struct shadow *s, const char *role, bool grants, struct err *err)
{
    AUTO(str) sql = {0};

    str_add(&sql, grants ? "GRANT " : "REVOKE ");
    sql_ident(&sql, role);
    str_add(&sql, grants ? " TO " : " FROM ");
    sql_ident(&sql, s->owner);
    return shadow_admin(s, str_text(&sql), err);
}

/* 1: the owner is of that role; 0: it isn't; -1: that one is of the owner's. */
static bool get_kinship(struct shadow *s, const char *name, int *out, struct err *err)
{
    AUTO(arena) a = {0};
    AUTO(str) sql = {0};
    struct wire_result r = {0};

    str_add(&sql,
            "SELECT CASE WHEN pg_has_role(r.oid, o.oid, 'MEMBER') THEN -1 WHEN "
            "pg_has_role(o.oid, r.oid, 'MEMBER') THEN 1 ELSE 0 END FROM pg_roles r, pg_roles o "
            "WHERE r.rolname = ");
    sql_literal(&sql, name);
    str_add(&sql, " AND o.rolname = ");
    sql_literal(&sql, s->owner);
    if (!shadow_admin_query(s, &a, str_text(&sql), &r, err))
        return false;
    *out = r.n_rows == 1 ? (int) strtol(r.cell[0][0], NULL, 10) : -1;
    return true;
}

bool shadow_role_lend(struct shadow *s, const char *name, struct err *err)
{
    return s->url || shadow_role_become(s, name, err);
}

bool shadow_role_become(struct shadow *s, const char *name, struct err *err)
{
    struct role role;
    int kinship;

    if (s->superuser_steps || strncmp(name, "phasegate", strlen("phasegate")) == 0 ||
        strncmp(name, "pg_", 3) == 0 || shadow_role_is_lent(s, name))
        return true;
    if (!get_role(s, name, &role, err))
        return false;
    if (!role.exists || role.is_strong || (s->url && !role.is_of_run))
        return true;
    if (!get_kinship(s, name, &kinship, err) ||
        (kinship == 0 && !grant_or_revoke(s, name, true, err)))
        return false;
    if (kinship >= 0)
        names_add(&s->arena, &s->lent, name);
    if (kinship == 0)
        names_add(&s->arena, &s->lent_anew, name);
    return true;
}

bool shadow_role_is_lent(const struct shadow *s, const char *name)
{
    return names_find(&s->lent, name) >= 0;
}

bool shadow_roles_return(struct shadow *s, struct err *err)
{
    s->lent.n = 0;
    while (s->lent_anew.n > 0)
        if (!grant_or_revoke(s, s->lent_anew.items[--s->lent_anew.n], false, err))
            return false;
    return true;
}

/* Rows are checked, completed and indexed by code of the baseline's: a superuser would run it as itself. */
bool shadow_role_seeds(struct shadow *s, const char **out, struct err *err)
{
    const char *name = s->url ? arena_printf(&s->arena, "%sseeds", s->prefix)
                              : arena_strdup(&s->arena, SHADOW_SEEDS);
    AUTO(str) sql = {0};
    struct role role;

    *out = name;
    if (!get_role(s, name, &role, err))
        return false;
    if (role.exists)
        return true;
    str_add(&sql, "CREATE ROLE ");
    sql_ident(&sql, name);
    str_add(&sql, " BYPASSRLS");
    if (!add_login(s, &sql, name, err))
        return false;
    str_add(&sql, " IN ROLE ");
    sql_ident(&sql, s->owner);
    if (!create(s, &sql, name, "session_replication_role", "replica", err))
        return false;
    names_add(&s->arena, &s->roles_made, name);
    return true;
}
