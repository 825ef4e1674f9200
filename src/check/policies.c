/* Policies of row level security: whom they hold for, and what they say in a statement. */
#include "check/work.h"

const char *policies_words(struct proof *p, const struct cat_relation *r)
{
    AUTO(str) all = {0};

    if (!r->has_rls)
        return "no row level security";
    for (int i = 0; i < r->n_policies; i++)
        str_addf(&all, "%s%s (%s)", i ? ", " : "", r->policies[i].name, r->policies[i].definition);
    return all.len ? arena_strdup(p->a, str_text(&all)) : "no policy, which shows no row";
}

/* Is there a policy that lets everybody at every row, and none that takes some away again? As the catalogue query
 * writes them: command, permissive, roles where they are named, expressions. */
bool policies_show_all(const struct cat_relation *r, const struct fact_rel *f)
{
    bool all = false;

    for (int i = 0; i < r->n_policies; i++) {
        const char *d = r->policies[i].definition;

        if (strncmp(d + 1, " t ", 3) != 0)
            return false;
        all |= (d[0] == '*' || (d[0] == 'r' && !f->is_target)) &&
               (strcmp(d + 4, "true") == 0 || strcmp(d + 4, "true true") == 0);
    }
    return all;
}

/* Does it say anything to this role in this statement? Its definition begins with its command. */
static bool holds_for(const struct cat_named *policy, const struct fact_rel *f, const char *role)
{
    const char *at = policy->roles ? strstr(policy->roles, role) : NULL;
    size_t n = strlen(role);

    while (at && (at[-1] != '\n' || at[n] != '\n'))
        at = strstr(at + 1, role);
    return (!policy->roles || at) && !(policy->definition[0] == 'a' && f->verb != VERB_MERGE) &&
           !(policy->definition[0] == 'd' && !f->is_target);
}

static const struct cat_named *next_policy(const struct cat_relation *r, int *i,
                                           const struct fact_rel *f, const char *role)
{
    while (*i < r->n_policies && !holds_for(&r->policies[*i], f, role))
        (*i)++;
    return *i < r->n_policies ? &r->policies[(*i)++] : NULL;
}

bool policies_same(const struct cat_relation *before, const struct cat_relation *now,
                   const struct fact_rel *f, const char *role)
{
    int b = 0, n = 0;

    for (;;) {
        const struct cat_named *x = next_policy(before, &b, f, role);
        const struct cat_named *y = next_policy(now, &n, f, role);

        if (!x || !y)
            return x == y;
        if (strcmp(x->definition, y->definition) != 0)
            return false;
    }
}
