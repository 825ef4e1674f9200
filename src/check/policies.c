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

/* Behind command, permissive and roles: USING, WITH CHECK. */
static bool is_true(const struct cat_named *policy)
{
    const char *d = policy->definition, *at = policy->roles ? strchr(d + 4, ' ') : d + 3;

    return at && (strcmp(at, " true") == 0 || strcmp(at, " true true") == 0);
}

/* One that takes away from what others show, and takes nothing from who only reads. */
static bool is_idle(const struct cat_named *policy, const struct fact_rel *f)
{
    const char *d = policy->definition, *at = policy->roles ? strchr(d + 4, ' ') : d + 3;

    return strncmp(d + 1, " f ", 3) == 0 && !f->is_target && at && strncmp(at, " true", 5) == 0 &&
           (at[5] == '\0' || at[5] == ' ');
}

bool policies_show_all(const struct cat_relation *r, const struct fact_rel *f, const char *role)
{
    /* An UPDATE and a DELETE look for their rows, too. */
    bool updates = f->is_target && f->verb != VERB_DELETE,
         deletes = f->is_target && f->verb != VERB_UPDATE;
    bool reads = false, updated = !updates, deleted = !deletes;

    for (int i = 0; i < r->n_policies; i++) {
        const char *d = r->policies[i].definition;

        if (!holds_for(&r->policies[i], f, role) || is_idle(&r->policies[i], f))
            continue;
        if (strncmp(d + 1, " t ", 3) != 0)
            return false;
        if (!is_true(&r->policies[i]))
            continue;
        reads |= strchr("*r", d[0]) != NULL;
        updated |= strchr("*w", d[0]) != NULL;
        deleted |= strchr("*d", d[0]) != NULL;
    }
    return reads && updated && deleted;
}

static const struct cat_named *next_policy(const struct cat_relation *r, int *i,
                                           const struct fact_rel *f, const char *role)
{
    while (*i < r->n_policies &&
           (!holds_for(&r->policies[*i], f, role) || is_idle(&r->policies[*i], f)))
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
