/* Columns that a plan fills with what is another value each time: now(), random(), a generated key. Looked for only where
 * two runs that should agree don't. */
#include "rehearse/rehearse_int.h"

enum { RUNS = 2 };

static bool run_aside(struct scene *s, const char *name, struct state *out, struct err *err)
{
    struct aside from;
    AUTO(err) ignored = {0};
    bool ok = stage_aside(s, name, false, &from, err);

    for (int i = 0; ok && i < s->out->n_phases; i++) {
        struct command c = {COMMAND_ADVANCE, &s->plan, s->out->phases[i].phase, false};
        struct command_answer answer = {0};
        ok = command_run(s, &c, &answer, err);
    }
    ok = ok && state_read(s, out, err);
    bool is_back = stage_away(s, &from, ok ? err : &ignored);
    return ok && is_back;
}

static void note(struct scene *s, const struct state_table *x, const struct state_table *y)
{
    for (int i = 0; i < x->n_columns && i < y->n_columns; i++)
        if (strcmp(x->columns[i].name, y->columns[i].name) == 0 &&
            strcmp(x->columns[i].sum, y->columns[i].sum) != 0)
            text_add(s->a, &s->restless, "%s.%s.%s", x->schema, x->name, x->columns[i].name);
}

static bool find(struct scene *s, struct err *err)
{
    struct state of[RUNS];

    s->restless_phases = s->out->n_phases;
    s->restless = (struct text_list) {0};
    for (int i = 0; i < RUNS; i++)
        if (!run_aside(s, i ? "aside_2" : "aside_1", &of[i], err))
            return false;
    for (int i = 0; i < of[0].n_tables && i < of[1].n_tables; i++)
        if (strcmp(of[0].tables[i].name, of[1].tables[i].name) == 0)
            note(s, &of[0].tables[i], &of[1].tables[i]);
    return true;
}

bool restless_compare(struct scene *s, const struct state *wanted, const struct state *got,
                      struct text_list *left, struct err *err)
{
    state_compare_all(s->a, wanted, got, left);
    if (!left->n || s->o->clone_url)
        return true;
    if (s->restless_phases < s->out->n_phases && !find(s, err))
        return false;
    *left = (struct text_list) {0};
    state_compare_all(s->a, wanted, got, left);
    return true;
}
