/* A server of the user's as the shadow: what of it is ours, and that nothing of it stays.
 *
 * A run has a name, phasegate_shadow_1a2b3c4d, which its databases and its own roles begin with and which its
 * superuser's session bears as application_name: where no such session is left, the run is dead, and the next one ends
 * its other sessions and removes its databases and roles. Roles that bear the names of a baseline's have the run's in
 * their comment.
 */
#include "shadow/shadow_int.h"
#include "shadow/wire_int.h"

#include <string.h>

/* A role of a run's may call its own session what it likes, so it doesn't count. */
#define ALIVE                                                                                      \
    "WITH alive (run) AS (SELECT a.application_name FROM pg_stat_activity a JOIN pg_roles u "      \
    "ON u.oid = a.usesysid WHERE u.rolsuper AND u.rolname !~ '" SHADOW_RUN "_' "                   \
    "AND a.application_name ~ '" SHADOW_RUN "$') "
#define OURS "'" SHADOW_RUN "(?=_)'"

/* A program that was killed leaves its statements to the server, which goes on with them. Waits for their end. */
static const char end_sessions[] =
    ALIVE "SELECT pg_terminate_backend(p.pid, 5000) FROM pg_stat_activity p "
          "WHERE coalesce(substring(p.datname from " OURS "), substring(p.usename from " OURS ")) "
          "NOT IN (SELECT run FROM alive)";

/* A role that bears a baseline's name may be in use by a run that lives: see drop_role. */
static const char leftovers[] =
    ALIVE "SELECT kind, name FROM (SELECT 'DATABASE', datname, substring(datname from " OURS ") "
          "FROM pg_database UNION ALL SELECT 'ROLE', rolname, "
          "coalesce(substring(rolname from " OURS "), "
          "substring(shobj_description(oid, 'pg_authid') from '" SHADOW_RUN "$')) "
          "FROM pg_roles) o (kind, name, run) WHERE run NOT IN (SELECT run FROM alive) "
          "ORDER BY kind";

static void drop(struct shadow *s, const char *kind, const char *name)
{
    AUTO(str) sql = {0};
    AUTO(err) ignored = {0};

    if (strcmp(kind, "DATABASE") == 0 && !shadow_end_prepared(s, name, &ignored))
        err_clear(&ignored);
    str_addf(&sql, "DROP %s IF EXISTS ", kind);
    sql_ident(&sql, name);
    if (strcmp(kind, "DATABASE") == 0)
        str_add(&sql, " WITH (FORCE)");
    if (!shadow_admin(s, str_text(&sql), &ignored))
        err_clear(&ignored); /* somebody needs it: a later run will see */
}

/* ---- roles that several runs use --------------------------------------------------------------- */

/* Whoever needs one holds a lock with its name from before it looks whether the role is there, and the one that drops
 * it has to have the lock for itself alone. Locks are a database's, and runs may have come by different ones. */
static const char alone[] =
    "SELECT FROM (VALUES (%s)) v (name) WHERE pg_try_advisory_lock(1885, hashtext(v.name)) "
    "AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = v.name "
    "AND shobj_description(r.oid, 'pg_authid') ~ '" SHADOW_RUN "$') "
    "AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 1885 "
    "AND l.pid <> pg_backend_pid() AND l.objid = hashtext(v.name)::oid)";

static void drop_role(struct shadow *s, const char *role)
{
    AUTO(arena) a = {0};
    AUTO(str) name = {0};
    AUTO(str) look = {0};
    AUTO(str) unlock = {0};
    AUTO(err) ignored = {0};
    struct wire_result r = {0};

    sql_literal(&name, role);
    str_addf(&look, alone, str_text(&name));
    if (shadow_admin_query(s, &a, str_text(&look), &r, &ignored) && r.n_rows > 0)
        drop(s, "ROLE", role);
    err_clear(&ignored);
    /* Not there, if it wasn't to be had: that's a warning. */
    str_addf(&unlock, "SELECT pg_advisory_unlock(1885, hashtext(%s))", str_text(&name));
    if (!shadow_admin(s, str_text(&unlock), &ignored))
        err_clear(&ignored);
}

/* ---- runs that were killed --------------------------------------------------------------------- */

static bool clean(struct shadow *s, struct err *err)
{
    AUTO(arena) a = {0};
    struct wire_result r = {0};

    if (!shadow_admin(s, end_sessions, err) || !shadow_admin_query(s, &a, leftovers, &r, err))
        return false;
    for (int i = 0; i < r.n_rows; i++)
        if (strcmp(r.cell[i][0], "ROLE") == 0)
            drop_role(s, r.cell[i][1]);
        else
            drop(s, r.cell[i][0], r.cell[i][1]);
    return true;
}

bool shadow_url_begin(struct shadow *s, struct err *err)
{
    if (!s->is_super) {
        err_set(err, ERR_UNREACHABLE, "the user of --shadow is no superuser of that server");
        return err_hint(err, "Name a throwaway server and its superuser, as CI services have one: "
                             "baselines are loaded as they are, owners and extensions included. "
                             "Plan steps and statements run as roles without such rights.");
    }
    return clean(s, err);
}

/* A role may be another run's as well: who needs it holds a lock with its name. */
bool shadow_url_hold(struct shadow *s, const char *role, struct err *err)
{
    AUTO(str) sql = {0};

    if (!s->url || names_find(&s->held, role) >= 0)
        return true;
    str_add(&sql, "SELECT pg_advisory_lock_shared(1885, hashtext(");
    sql_literal(&sql, role);
    str_add(&sql, "))");
    names_add(&s->arena, &s->held, role);
    return shadow_admin(s, str_text(&sql), err);
}

void shadow_url_end(struct shadow *s)
{
    struct wire *admin;
    AUTO(err) ignored = {0};

    /* Also after a signal: what is ours has to go. */
    s->interrupt = NULL;
    if (!s->admin || !shadow_admin_wire(s, &admin, &ignored))
        return;
    admin->interrupt = NULL;
    for (int i = 0; i < s->databases.n; i++) {
        AUTO(err) failed = {0};

        if (s->databases.items[i] && !shadow_drop(s, s->databases.items[i], &failed))
            err_clear(&failed);
    }
    for (int i = 0; i < s->logins.n; i++)
        drop(s, "ROLE", s->logins.items[i]);
    for (int i = s->roles_made.n - 1; i >= 0; i--)
        if (s->roles_made.items[i])
            drop_role(s, s->roles_made.items[i]);
    /* What another run has made, which couldn't drop it while we were there. */
    for (int i = 0; i < s->held.n; i++)
        if (names_find(&s->roles_made, s->held.items[i]) < 0)
            drop_role(s, s->held.items[i]);
}
