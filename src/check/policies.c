/* Policies of row level security: whom they hold for, and what they say in a statement. */
#include "check/work.h"

#include <stdlib.h>

const char *policies_words(struct proof *p, const struct cat_relation *r)
{
    AUTO(str) all = {0};

    if (!r->has_rls)
        return "no row level security";
    for (int i = 0; i < r->n_policies; i++)
        str_addf(&all, "%s%s (%s)", i ? ", " : "", r->policies[i].name, r->policies[i].definition);
    return all.len ? arena_strdup(p->a, str_text(&all)) : "no policy, which shows no row";
}

const struct cat_relation *policies_holder(const struct catalogue *c, const struct cat_relation *r,
                                           unsigned oid)
{
    for (int depth = 0; r->kind == 'v' && r->is_invoker && depth < 8; depth++) {
        const struct cat_relation *next = r->n_uses == 1 ? cat_by_oid(c, r->uses[0]) : NULL;

        for (int i = 0; !next && i < r->n_uses; i++)
            next = r->uses[i] == oid ? cat_by_oid(c, oid) : NULL;
        if (!next)
            break;
        r = next;
    }
    return r;
}

/* Each between two line ends. */
static bool has_role(const char *roles, const char *role)
{
    const char *at = roles ? strstr(roles, role) : NULL;
    size_t n = strlen(role);

    while (at && (at[-1] != '\n' || at[n] != '\n'))
        at = strstr(at + 1, role);
    return at != NULL;
}

static bool holds_for(const struct cat_named *policy, const char *role)
{
    return !policy->roles || has_role(policy->roles, role);
}

bool policies_are_passed(const struct catalogue *before, const struct catalogue *now,
                         const char *role)
{
    return has_role(before->passers, role) && has_role(now->passers, role);
}

/* "true", or "(a IS NOT NULL)" of a column that always is. */
static bool is_true(const struct cat_relation *r, const char *says)
{
    static const char end[] = " IS NOT NULL)";
    size_t n = strlen(says);

    if (strcmp(says, "true") == 0)
        return true;
    for (int i = 0; i < r->n_columns; i++) {
        const char *name = r->columns[i].name;
        size_t k = strlen(name);

        if (r->columns[i].not_null && n > k && says[0] == '(' && strncmp(says + 1, name, k) == 0 &&
            strcmp(says + 1 + k, end) == 0)
            return true;
    }
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* A command's policies as one text, whatever they are called and however they are split up. command: as in pg_policy; of
 * WITH CHECK, which is USING where it isn't said, or of USING. */
static const char *said_to(struct arena *a, const struct cat_relation *r, const char *role,
                           char command, bool of_check)
{
    const char **show = arena_array(a, const char *, r->n_policies + 1),
               **hide = arena_array(a, const char *, r->n_policies + 1);
    int n_show = 0, n_hide = 0;
    bool shows_all = !r->has_rls;
    AUTO(str) all = {0};

    for (int i = 0; r->has_rls && i < r->n_policies; i++) {
        const struct cat_named *policy = &r->policies[i];
        const char *d = policy->definition;
        const char *says = of_check && policy->takes ? policy->takes : policy->shows;

        if (!says || (d[0] != '*' && d[0] != command) || !holds_for(policy, role))
            continue;
        if (strncmp(d + 1, " t", 2) == 0) {
            shows_all |= is_true(r, says);
            show[n_show++] = says;
        } else if (!is_true(r, says)) {
            hide[n_hide++] = says;
        }
    }
    if (!shows_all && n_show == 0)
        return "";
    qsort(show, (size_t) n_show, sizeof *show, by_text);
    qsort(hide, (size_t) n_hide, sizeof *hide, by_text);
    for (int i = 0; !shows_all && i < n_show; i++)
        if (i == 0 || strcmp(show[i], show[i - 1]) != 0)
            str_addf(&all, "%s%s", i ? "\nOR " : "", show[i]);
    str_add(&all, shows_all ? "true" : "");
    for (int i = 0; i < n_hide; i++)
        if (i == 0 || strcmp(hide[i], hide[i - 1]) != 0)
            str_addf(&all, "\nAND %s", hide[i]);
    return arena_strdup(a, str_text(&all));
}

static bool same_for(struct arena *a, const struct cat_relation *before,
                     const struct cat_relation *now, const char *role, char command, bool of_check)
{
    return strcmp(said_to(a, before, role, command, of_check),
                  said_to(a, now, role, command, of_check)) == 0;
}

bool policies_same(const struct cat_relation *before, const struct cat_relation *now,
                   const struct fact_rel *f, const char *role)
{
    AUTO(arena) a = {0};
    bool updates = f->is_target && f->verb != VERB_DELETE, merges = f->verb == VERB_MERGE,
         deletes = f->is_target && f->verb != VERB_UPDATE;

    /* An UPDATE and a DELETE look for their rows, too. */
    return same_for(&a, before, now, role, 'r', false) &&
           (!(updates || f->is_locked) || same_for(&a, before, now, role, 'w', false)) &&
           (!updates || same_for(&a, before, now, role, 'w', true)) &&
           (!deletes || same_for(&a, before, now, role, 'd', false)) &&
           (!merges || same_for(&a, before, now, role, 'a', true));
}
