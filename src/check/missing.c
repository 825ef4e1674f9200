/* A statement that works in no state of the database: the baseline's fault, or a step's that nobody wrote? */
#include "check/work.h"

static bool ran_before(const struct proof *p, const struct app_statement *a)
{
    for (int i = 0; i < p->n_app; i++)
        if (p->app[i].release < a->release &&
            strcmp(p->app[i].s->dollar_sql, a->s->dollar_sql) == 0)
            return true;
    return false;
}

/* Where only one transition is looked at, what other plans make isn't there. */
const char *missing_rule(const struct proof *p, const struct app_statement *a,
                         const struct outcome *o)
{
    static const char *const absent[] = {"42P01", "42703", "42883", "42704", "3F000"};
    const struct timeline_release *r = &p->t.releases[a->release];

    if (p->o->next || r->is_projected || r->is_consumer || a->release == 0 || ran_before(p, a))
        return NULL;
    if (strcmp(o->sqlstate, "42501") == 0)
        return "grants-missing-for-app-role";
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        if (strcmp(o->sqlstate, absent[i]) == 0)
            return "new-query-needs-later-state";
    return NULL;
}
