/* A server of the user's as the shadow: what of it is ours, and that nothing of it stays.
 *
 * A run has a name, phasegate_shadow_1a2b3c4d, which its databases and roles begin with and which its session with
 * the server bears as application_name: where no session bears it any more, the run is dead, and what it left is
 * removed by the next one. Roles that bear the names of a baseline's have the run's in their comment.
 */
#include "shadow/shadow_int.h"
#include "shadow/wire_int.h"

#include <string.h>

/* Runs without a session, with what is theirs. Nobody may be connected to a database that is dropped. */
static const char leftovers[] =
    "SELECT 'DATABASE', d.datname FROM pg_database d WHERE d.datname ~ "
    "'^phasegate_shadow_[0-9a-f]{8}_' "
    "AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid "
    "OR a.application_name = left(d.datname, 25)) "
    "UNION ALL SELECT 'ROLE', r.rolname FROM pg_roles r "
    "WHERE shobj_description(r.oid, 'pg_authid') ~ '^phasegate_shadow_[0-9a-f]{8}$' "
    "AND NOT EXISTS (SELECT FROM pg_stat_activity a "
    "WHERE a.application_name = shobj_description(r.oid, 'pg_authid')) "
    "AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 1885 "
    "AND l.objid = hashtext(r.rolname)::oid) ORDER BY 1";

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

    if (!shadow_admin_query(s, &a, leftovers, &r, err))
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
