/* A connection string as environment variables. */
#include "db_libpq.h"

#include <string.h>

static bool is_passed(const PQconninfoOption *o)
{
    return o->val && o->envvar && strcmp(o->envvar, "PGAPPNAME") != 0;
}

bool db_variables(const char *url, struct arena *a, const char *const **out, struct err *err)
{
    char *why = NULL;
    int hosts;

    if (!db_url_check(url ? url : "", &hosts, err))
        return false;
    PQconninfoOption *options = PQconninfoParse(url ? url : "", &why);
    const char **list;
    int n = 0;

    PQfreemem(why);
    if (!options)
        return db_url_error(url ? url : "", err);
    for (PQconninfoOption *o = options; o->keyword; o++)
        n += is_passed(o);
    list = arena_array(a, const char *, n + 1);
    n = 0;
    for (PQconninfoOption *o = options; o->keyword; o++)
        if (is_passed(o))
            list[n++] = arena_printf(a, "%s=%s", o->envvar, o->val);
    list[n] = NULL;
    PQconninfoFree(options);
    *out = list;
    return true;
}
