/* Was the kill of a flag drilled lately, before it is shown to anybody? */
#include "internal.h"

#include "phasegate/flag_ops.h"

bool flag_change_is_answered(const char *answer)
{
    return answer && (strcmp(answer, flag_answer_word(FLAG_OK)) == 0 ||
                      strcmp(answer, flag_answer_word(FLAG_NOCHANGE)) == 0);
}

/* When it was drilled last: here, whether or not the ledger has heard of it, or from anywhere. 0: never. */
static bool drilled_at(struct work *w, const char *key, int64_t *out, struct err *err)
{
    AUTO(arena) scratch = {0};
    struct flag_ops ops = flags_ops(w);
    struct flag_entry *here = NULL;
    struct flag_change *rows = NULL;
    int n_here = 0, n = 0;

    *out = 0;
    if (!flag_journal_load(&ops, &scratch, &here, &n_here, err))
        return false;
    for (int i = 0; i < n_here; i++)
        if (strcmp(here[i].verb, "drill") == 0 && strcmp(here[i].key, key) == 0 &&
            here[i].answered && (here[i].answer == FLAG_OK || here[i].answer == FLAG_NOCHANGE) &&
            here[i].at_ms > *out)
            *out = here[i].at_ms;
    if (w->e->has_ledger && !ledger_flag_changes(w->e->db, &scratch, NULL, 0, &rows, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (flag_change_is_drill(&rows[i]) && strcmp(rows[i].flag, key) == 0 &&
            (!rows[i].environment || strcmp(rows[i].environment, w->e->env->name.s) == 0) &&
            flag_change_is_answered(rows[i].answer) && rows[i].at_ms > *out)
            *out = rows[i].at_ms;
    return true;
}

/* A sentence on what is missing before the flag's first rung; NULL: nothing. */
static bool missing(struct work *w, enum flag_role role, const char **what, int64_t *at,
                    struct err *err)
{
    AUTO(str) age = {0}, limit = {0};
    const char *key = w->p->flags[role].key.s;
    int64_t max = w->e->policy.kill_drill_ms;

    *what = NULL;
    *at = 0;
    if (max <= 0 || !key || !w->e->flags || w->state.percent[role] > 0)
        return true;
    if (!drilled_at(w, key, at, err))
        return false;
    int64_t old = now_ms(w->e) - *at;
    if (*at && old <= max)
        return true;
    duration_to_text(&limit, max);
    duration_to_text(&age, old - old % 1000);
    *what = *at ? arena_printf(w->a, "the kill of flag %s was drilled %s ago, and %s is the limit",
                               key, str_text(&age), str_text(&limit))
                : arena_printf(w->a, "the kill of flag %s was never drilled", key);
    return true;
}

static const char *way_out(struct work *w)
{
    return arena_printf(w->a,
                        "phasegate -e %s kill %s --drill, which flips its flags to safe, measures "
                        "that and puts them back; a flag that isn't there yet has to be made, off",
                        w->e->env->name.s, w->p->id.s);
}

bool drill_look(struct work *w, enum phase phase, struct fact *f, struct err *err)
{
    bool seen[FLAG_ROLES] = {false};
    struct script s;

    fact_yes(f);
    if (w->e->policy.kill_drill_ms <= 0 || phase == PHASE_NONE || !w->p->phases[phase].present)
        return true;
    plan_script(w->a, w->p, phase, false, &s);
    for (int i = 0; i < s.n && f->holds; i++) {
        const struct task *t = &s.tasks[i];
        const char *what;
        int64_t at;
        if (t->kind != TASK_RUNG || seen[t->flag])
            continue;
        seen[t->flag] = true;
        if (!missing(w, t->flag, &what, &at, err))
            return false;
        if (what) {
            fact_no(f, what, way_out(w));
            f->since_ms = at;
        }
    }
    return true;
}

bool drill_before_rung(struct work *w, enum flag_role role, struct err *err)
{
    const char *what;
    int64_t at;

    if (!missing(w, role, &what, &at, err))
        return false;
    if (!what)
        return true;
    err_set(err, ERR_REFUSED, "the first rung of plan %s is refused: %s", w->p->id.s, what);
    err_hint(err, "%s", way_out(w));
    return err_reason(err, guard_word(GUARD_DRILLED));
}
