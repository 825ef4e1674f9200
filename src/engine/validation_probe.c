/* A statement of the releases as one value: the application's view, before and after. */
#include "internal.h"

#include "phasegate/rehearse_sql.h"
#include "phasegate/statements.h"
#include "phasegate/validation.h"

static const struct release *find_release(const struct project *p, const char *version)
{
    int i = version ? project_release_index(p, version) : -1;

    return i < 0 ? NULL : &p->releases[i];
}

/* Before: the release that ran before the plan. After: the one that its newest phase came with. */
static const char *version_of(const struct work *w, const struct validation *v, bool before)
{
    const struct project *prj = &w->e->set->project;
    const char *first = NULL, *newest = NULL;

    if (v->release.s && strcmp(v->release.s, "both") != 0)
        return v->release.s;
    for (int i = PHASE_FIRST; i <= PHASE_LAST; i++) {
        if (!w->p->phases[i].present || !w->p->phases[i].release.s)
            continue;
        first = first ? first : w->p->phases[i].release.s;
        newest = w->state.release[i] ? w->p->phases[i].release.s : newest;
    }
    int at = first ? project_release_index(prj, first) : -1;
    if ((before || !newest) && at > 0)
        return prj->releases[at - 1].version.s;
    return newest && !before ? newest : first;
}

struct flag_states {
    struct work *w;
    struct err *err;
    bool failed;
};

/* As far as its rollout has got; one that isn't at 100 % is off, as it is for some. */
static bool is_on(void *ctx, const char *flag)
{
    struct flag_states *f = ctx;
    const struct plan_set *set = f->w->e->set;

    for (int i = 0; i < set->n_plans && !f->failed; i++)
        for (int r = 0; r < FLAG_ROLES; r++) {
            const struct plan *p = &set->plans[i];
            struct plan_state s = {0};
            if (!p->flags[r].key.s || strcmp(p->flags[r].key.s, flag) != 0)
                continue;
            if (f->w->e->has_ledger &&
                !ledger_plan_state(f->w->e->db, f->w->a, p->id.s, &s, f->err)) {
                f->failed = true;
                return false;
            }
            return s.percent[r] == 100;
        }
    return false;
}

static bool find_statement(struct work *w, const struct validation *v, const struct release *rel,
                           const struct statement **out, const char **why, struct err *err)
{
    struct statements *all = arena_new(w->a, struct statements);
    struct flag_states flags = {.w = w, .err = err};
    AUTO(problem_list) problems = {0};
    AUTO(err) bad = {0};

    if (!statements_load_release(w->a, w->e->set->project.root, rel, all, &problems, &bad)) {
        *why = arena_printf(w->a, "the statements of release %s can't be read: %s", rel->version.s,
                            str_text(&bad.message));
        return true;
    }
    *out = statement_pick(all, v->probe.s, is_on, &flags);
    if (flags.failed)
        return false;
    if (!*out)
        *why = arena_printf(w->a, "release %s has no statement %s", rel->version.s, v->probe.s);
    else if ((*out)->n_params > 0 && (*out)->n_args == 0) {
        *why = arena_printf(w->a,
                            "statement %s of release %s takes parameters, and has no -- args: line "
                            "(%s:%d)",
                            v->probe.s, rel->version.s, (*out)->at.file, (*out)->at.line);
        *out = NULL;
    }
    return true;
}

/* How many rows and their digest: what is unchanged is compared whole, and nobody's data gets into the journal. */
static bool ask_statement(struct work *w, const struct validation *v, const struct release *rel,
                          const struct statement *s, const char **value, struct err *err)
{
    const char *name =
        arena_printf(w->a, "phasegate_probe_%lld", (long long) clock_mono_ms(w->e->ports->clock));
    struct engine as = *w->e;
    const char **args = arena_array(w->a, const char *, s->n_params + 1);
    const char *text =
        v->expect.op == COND_UNCHANGED ? rehearse_digest_sql(w->a, s->dollar_sql) : s->dollar_sql;
    struct db_rows rows = {0};
    int n = 0;

    /* EXECUTE takes expressions where a parameter of ours could only be a value. */
    for (; n < s->n_params && n < s->args[0].n; n++)
        args[n] = s->args[0].items[n].sql;
    as.as_role = s->role ? s->role : rel->session_role.s;
    if (rel->session_search_path.s)
        as.search_path = rel->session_search_path.s;
    if (!ask_rows(&as, w->a, rehearse_prepare_sql(w->a, name, text, &(struct text_list) {0}),
                  rehearse_execute_sql(w->a, name, args, n), &DB_NO_PARAMS, 0, &rows, err))
        return false;
    *value = rows.n_rows > 0 && rows.n_cols > 0 ? db_cell(&rows, 0, 0) : NULL;
    return db_exec(w->e->db, arena_printf(w->a, "DEALLOCATE %s", name), &DB_NO_PARAMS, err);
}

bool probe_value(struct work *w, const struct validation *v, bool before, const char **value,
                 const char **why, struct err *err)
{
    const char *version = version_of(w, v, before);
    const struct release *rel = find_release(&w->e->set->project, version);
    const struct statement *s = NULL;

    if (!rel || rel->statements.n == 0) {
        *why = arena_printf(w->a, "release %s %s", version ? version : "of no phase",
                            rel ? "lists no statements (statements: in phasegate.yaml)"
                                : "isn't in releases: of phasegate.yaml");
        return true;
    }
    if (!find_statement(w, v, rel, &s, why, err))
        return false;
    return !s || ask_statement(w, v, rel, s, value, err);
}
