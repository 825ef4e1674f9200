/* What a baseline has made becomes the limited role's. */
#include "shadow/load_int.h"
#include "shadow/wire_int.h"

#include "sql_embedded.h"

#include <string.h>

/* SET name = '{"a","b"}' */
static void add_array(struct str *to, const char *name, const struct names *names)
{
    AUTO(str) array = {0};

    str_addc(&array, '{');
    for (int i = 0; i < names->n; i++) {
        if (!names->items[i])
            continue;
        str_add(&array, array.len > 1 ? "," : "");
        sql_element(&array, names->items[i]);
    }
    str_addc(&array, '}');
    str_addf(to, "SET %s = ", name);
    sql_literal(to, str_text(&array));
}

bool load_finish(struct shadow *s, const char *database, bool is_loaded, struct err *err)
{
    AUTO(str) roles = {0};
    AUTO(str) owner = {0};
    AUTO(str) seeds = {0};
    const char *sql[16], *maker;
    int n = 0;

    if (!shadow_role_seeds(s, &maker, err))
        return false;
    str_add(&seeds, "SET phasegate.seeds = ");
    sql_literal(&seeds, maker);
    add_array(&roles, "phasegate.roles", &s->roles_made);
    str_add(&owner, "SET phasegate.owner = ");
    sql_literal(&owner, s->owner);
    /* Triggers on events are the baseline's, and would run as us. */
    sql[n++] = "SET session_replication_role = replica";
    sql[n++] = sql_shadow_calm_events;
    sql[n++] = str_text(&owner);
    sql[n++] = str_text(&roles);
    sql[n++] = str_text(&seeds);
    if (!s->superuser_steps)
        sql[n++] = sql_shadow_weaken_roles;
    if (!s->superuser_steps && !s->url)
        sql[n++] = sql_shadow_take_back;
    if (is_loaded) {
        sql[n++] = sql_shadow_take_over;
        sql[n++] = sql_shadow_take_definers;
        sql[n++] = sql_shadow_join_owners;
        sql[n++] = sql_shadow_take_defaults;
        sql[n++] = sql_shadow_open_extension_tables;
        sql[n++] = sql_shadow_close_wrappers;
        sql[n++] = sql_shadow_close_functions;
        if (!s->url)
            sql[n++] = sql_shadow_take_extensions;
    }
    return shadow_within(s, database, sql, n, err);
}
