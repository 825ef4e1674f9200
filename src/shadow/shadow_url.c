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
#define IS_DEAD(run)                                                                               \
    "NOT EXISTS (SELECT FROM pg_stat_activity a JOIN pg_roles u ON u.oid = a.usesysid "            \
    "WHERE u.rolsuper AND u.rolname !~ '" SHADOW_RUN "_' AND a.application_name = " run ")"
#define RUN_OF(name) "left(" name ", " SHADOW_RUN_LENGTH ")"

/* A program that was killed leaves its statements to the server, which goes on with them. Waits for their end. */
static const char end_sessions[] =
    "SELECT pg_terminate_backend(p.pid, 5000) FROM pg_stat_activity p, "
    "LATERAL (SELECT " RUN_OF(
        "CASE WHEN p.datname ~ '" SHADOW_RUN "_' THEN p.datname "
        "WHEN p.usename ~ '" SHADOW_RUN
        "_' THEN p.usename END") " AS name) run "
                                 "WHERE run.name IS NOT NULL AND " IS_DEAD("run.name");

/* What is a dead run's; of its roles others may be in use by a run that lives. */
static const char leftovers[] =
    "SELECT 'DATABASE', d.datname FROM pg_database d WHERE d.datname ~ '" SHADOW_RUN "_' "
    "AND " IS_DEAD(RUN_OF(
        "d.datname")) " UNION ALL SELECT 'ROLE', r.rolname FROM pg_roles r, "
                      "LATERAL (SELECT CASE WHEN r.rolname ~ '" SHADOW_RUN "_' THEN " RUN_OF(
                          "r.rolname") " WHEN "
                                       "shobj_description(r.oid, 'pg_authid') ~ '" SHADOW_RUN "$' "
                                       "THEN shobj_description(r.oid, 'pg_authid') END AS name) "
                                       "run "
                                       "WHERE run.name IS NOT NULL AND " IS_DEAD(
                                           "run.name") " AND NOT EXISTS (SELECT FROM pg_locks l "
                                                       "WHERE l.locktype = 'advisory' AND "
                                                       "l.classid = 1885 "
                                                       "AND l.objid = hashtext(r.rolname)::oid) "
                                                       "ORDER BY 1";

static void drop(struct shadow *s, const char *kind, const char *name)
{
    AUTO(str) sql = {0};
    AUTO(err) ignored = {0};

    if (strcmp(kind, "DATABASE") == 0 && !shadow_end_prepared(s, name, &ignored))
        err_clear(&ignored);
    str_addf(&sql, "DROP %s IF EXISTS ", kind);
    sql_ident(&sql, name);
    if (!shadow_admin(s, str_text(&sql), &ignored))
        err_clear(&ignored); /* somebody needs it: a later run will see */
}

static bool clean(struct shadow *s, struct err *err)
{
    AUTO(arena) a = {0};
    struct wire_result r = {0};

    if (!shadow_admin(s, end_sessions, err) || !shadow_admin_query(s, &a, leftovers, &r, err))
        return false;
    for (int i = 0; i < r.n_rows; i++)
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

static bool is_needed_by_others(struct shadow *s, const char *role)
{
    AUTO(arena) a = {0};
    AUTO(str) sql = {0};
    AUTO(err) ignored = {0};
    struct wire_result r = {0};

    str_add(&sql, "SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 1885 "
                  "AND pid <> pg_backend_pid() AND objid = hashtext(");
    sql_literal(&sql, role);
    str_add(&sql, ")::oid");
    return !shadow_admin_query(s, &a, str_text(&sql), &r, &ignored) || r.n_rows > 0;
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
        if (s->roles_made.items[i] && !is_needed_by_others(s, s->roles_made.items[i]))
            drop(s, "ROLE", s->roles_made.items[i]);
}
