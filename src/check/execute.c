/* EXECUTE runs what a PREPARE of its release says, which is proved by itself. Without one nobody knows what it runs. */
#include "check/work.h"

#include <ctype.h>

static const char *skip_blank(const char *s)
{
    for (;;) {
        s += strspn(s, " \t\r\n");
        if (strncmp(s, "--", 2) == 0)
            s += strcspn(s, "\n");
        else if (strncmp(s, "/*", 2) == 0 && strstr(s, "*/"))
            s = strstr(s, "*/") + 2;
        else
            return s;
    }
}

/* The name behind the first word, where that is this one; as the server folds it. NULL: it isn't. */
static const char *name_behind(struct arena *a, const char *sql, const char *word)
{
    const char *s = skip_blank(sql);
    size_t n = strlen(word);

    if (strncasecmp(s, word, n) != 0 || isalnum((unsigned char) s[n]) || s[n] == '_')
        return NULL;
    s = skip_blank(s + n);
    if (*s == '"')
        return arena_strndup(a, s + 1, strcspn(s + 1, "\""));
    n = strcspn(s, " \t\r\n(;");
    char *name = arena_strndup(a, s, n);
    for (size_t i = 0; i < n; i++)
        name[i] = (char) tolower((unsigned char) name[i]);
    return name;
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
