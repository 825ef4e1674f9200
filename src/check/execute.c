/* EXECUTE runs what a PREPARE of its release says, which is proved by itself. Without one nobody knows what it runs. */
#include "check/work.h"

/* The name behind the first word, where that is this one. NULL: it isn't. */
static const char *name_behind(struct arena *a, const char *sql, const char *word)
{
    return text_takes_word(&sql, word) ? text_name(a, &sql) : NULL;
}

/* An EXECUTE behind EXPLAIN, or that fills a table, is none of a name that could be looked for here. */
const char *execute_loose(const struct proof *p, const struct app_statement *a)
{
    const char *name =
        a->q->facts.is_utility ? name_behind(p->a, a->s->dollar_sql, "execute") : NULL;

    for (int i = 0; name && i < p->n_app; i++) {
        const char *made = p->app[i].release == a->release
                               ? name_behind(p->a, p->app[i].s->dollar_sql, "prepare")
                               : NULL;
        if (made && strcmp(made, name) == 0)
            return NULL;
    }
    return name;
}

void execute_report(struct proof *p)
{
    for (int i = 0; i < p->n_app; i++) {
        const struct app_statement *a = &p->app[i];
        const char *name = a->first_world < 0 || p->t.releases[a->release].is_projected
                               ? NULL
                               : execute_loose(p, a);

        if (!name)
            continue;
        struct finding *f = finding_of_statement(
            p, a, &p->t.worlds[a->first_world], "cell-untested", a->s->sql_at, NULL,
            arena_printf(p->a, "what EXECUTE %s runs isn't known: %s has no PREPARE %s", name,
                         release_words(p, a->release), name));
        f->help = arena_printf(p->a,
                               "add the statement that it stands for, as PREPARE %s AS ... or by "
                               "itself, to the release's files, or take the EXECUTE out",
                               name);
    }
}
