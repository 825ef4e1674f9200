/* What a baseline has done to PostgreSQL's own objects, as superuser: nothing of it may lift a step.
 *
 * Whatever looks like a built-in function could be called by our own sessions, as superuser. So it is looked for
 * first, by statements that fit built-in functions exactly, where no other one is chosen.
 */
#include "shadow/load_int.h"
#include "shadow/wire_int.h"

#include "sql_embedded.h"

#include <string.h>

/* In every database of a server, as long as nobody changes it. */
static const char *const same[] = {sql_shadow_own_functions, sql_shadow_own_rules,
                                   sql_shadow_own_privileges, sql_shadow_own_languages};

static bool changes(const char *what, const char *name, struct err *err)
{
    err_set(err, ERR_INPUT, "the baseline changes what is PostgreSQL's own: %s %s", what, name);
    return err_hint(err, "Make it in a schema of the project's; pg_dump writes nothing else.");
}

static bool ask(struct wire *w, struct arena *a, const char *sql, struct wire_result *r,
                struct err *err)
{
    return wire_exec(w, a, sql, true, r, err) &&
           (r->ok || shadow_result_err(r, "looking at what was loaded", err));
}

static bool is_same_cell(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool compare(const struct wire_result *is, const struct wire_result *was, struct err *err)
{
    for (int i = 0; i < is->n_rows || i < was->n_rows; i++) {
        bool equal = i < is->n_rows && i < was->n_rows;

        for (int k = 0; equal && k < is->n_columns; k++)
            equal = is_same_cell(is->cell[i][k], was->cell[i][k]);
        if (!equal)
            return changes("object", i < is->n_rows ? is->cell[i][0] : was->cell[i][0], err);
    }
    return true;
}

static bool look(struct shadow *s, struct wire *w, struct err *err)
{
    AUTO(arena) a = {0};
    struct wire_result is = {0}, was = {0};

    if (!ask(w, &a, sql_shadow_added_to_own, &is, err))
        return false;
    if (is.n_rows > 0)
        return changes(is.cell[0][0], is.cell[0][1], err);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!ask(w, &a, same[i], &is, err) || !shadow_admin_query(s, &a, same[i], &was, err) ||
            !compare(&is, &was, err))
            return false;
    return true;
}

bool load_check(struct shadow *s, const char *database, struct err *err)
{
    const struct connect_spec c = {.database = database, .options = SHADOW_WITHIN};
    const struct wire_options o = {.statement_ms = SHADOW_ADMIN_MS};
    struct wire *w;

    if (s->url || s->superuser_steps)
        return true;
    if (!wire_connect(s, &c, &o, &w, err))
        return false;
    bool good = look(s, w, err);
    wire_close(w);
    return good;
}

bool load_settle(struct shadow *s, struct err *err)
{
    static const char *const reset[] = {
        "SET default_transaction_read_only = off",
        "DELETE FROM pg_db_role_setting WHERE setrole IN (0, 10, to_regrole('" SHADOW_OWNER "'))",
        "UPDATE pg_authid SET rolcanlogin = true, rolinherit = true, rolconnlimit = -1, "
        "rolvaliduntil = NULL WHERE rolname IN ('" SHADOW_ADMIN "', '" SHADOW_OWNER "')",
        "UPDATE pg_database SET datallowconn = true, datconnlimit = -1 "
        "WHERE datname <> 'template0' AND (NOT datallowconn OR datconnlimit <> -1)",
    };
    AUTO(arena) a = {0};
    struct wire_result r = {0};

    if (s->url)
        return true;
    if (!shadow_admin_query(s, &a,
                            "SELECT FROM pg_roles WHERE oid = 10 AND rolsuper "
                            "AND rolname = '" SHADOW_ADMIN "'",
                            &r, err))
        return false;
    if (r.n_rows == 0)
        return changes("the shadow's role", SHADOW_ADMIN, err);
    for (size_t i = 0; i < sizeof reset / sizeof *reset; i++)
        if (!shadow_admin(s, reset[i], err))
            return false;
    return true;
}
