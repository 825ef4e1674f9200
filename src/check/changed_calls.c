/* What else a function that is made anew may be called with: other values for parameters that go to no column, which the rows
 * of no table show.
 */
#include "check/changed.h"
#include "check/limits.h"
#include "check/types.h"
#include "check/words.h"

#define SHORT 24 /* what is longer is for what restricts */

/* Does it call one that the step names? */
static bool calls_any(const struct query *q, const struct sql_mentions *said)
{
    for (int i = 0; i < q->facts.functions.n; i++) {
        const char *name = q->facts.functions.items[i].s, *dot = strrchr(name, '.');

        if (text_list_has(&said->names, dot ? dot + 1 : name))
            return true;
    }
    return false;
}

/* Only the order of additions may be another: that shows in the last digits. */
static bool is_inexact(unsigned type) { return type == T_FLOAT4 || type == T_FLOAT8; }

/* The end of a type is where nobody comes. */
static bool is_plain(const char *value)
{
    static const char *const ends[] = {"2147483647", "9223372036854775807"};
    bool any = !value || strlen(value) > SHORT;

    for (size_t i = 0; i < sizeof ends / sizeof *ends && !any; i++)
        any = strcmp(value, ends[i]) == 0;
    return !any;
}

void trial_add_call(struct trial *t, const struct app_statement *a, int param, const char *value)
{
    struct proof *p = t->p;
    const struct arg_set *own = &a->q->sets[0];
    struct arg_set *set = arena_new(p->scratch, struct arg_set);

    *set =
        (struct arg_set) {.values = arena_array(p->scratch, const char *, own->n + 1), .n = own->n};
    memcpy(set->values, own->values, sizeof *set->values * (size_t) own->n);
    set->values[param - 1] = value;
    t->asked[t->n_asked++] = (struct asked) {
        .a = a, .call = set, .words = arena_printf(p->a, "with $%d = '%s'", param, value)};
}

void trial_add_calls(struct trial *t, const struct app_statement *a)
{
    struct proof *p = t->p;
    const struct query *q = a->q;
    const struct description *d = q->shape[p->t.states[t->state].from];
    const struct cat_relation nowhere = {0}, *r = NULL;
    struct limits l = {.judges = true};
    int n = 0;

    for (int i = 0; i < t->n_sql; i++)
        sql_mentions_add(p->scratch, t->sql[i], &l.said);
    if (!d || q->facts.n_writes > 0 || !calls_any(q, &l.said))
        return;
    for (int i = 1; i <= d->n_params && i <= q->sets[0].n; i++) {
        const char *values[LIMIT_VALUES];

        if (is_inexact(d->params[i - 1]) || args_compared(p, q, i, &r))
            continue;
        int most = limit_values_of_type(p, &l, &nowhere, d->params[i - 1], values);
        for (int v = 0; v < most && n < CALLS_MAX; v++)
            if (is_plain(values[v])) {
                trial_add_call(t, a, i, values[v]);
                n++;
            }
    }
}
