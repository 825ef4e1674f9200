/* Checks that plans bring and find right: of a table without rows nobody knows whether its rows will have met them by then,
 * and the author says so. So the rows that are made meet them from the start.
 */
#include "check/seed.h"
#include "check/words.h"

bool foreseen_is_validated(const struct proof *p, const char *constraint)
{
    for (int i = 0; i < p->t.n_plans; i++)
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
            const struct step_list *steps = &p->t.plans[i]->phases[ph].steps;

            for (int k = 0; k < steps->n; k++)
                for (int m = 0; m < steps->items[k].n_stmts; m++)
                    if (has_word(steps->items[k].stmts[m].sql, "validate") &&
                        has_word(steps->items[k].stmts[m].sql, constraint))
                        return true;
        }
    return false;
}

static bool is_foreseen(const struct proof *p, const struct sql_stmt *s)
{
    return s->table && s->object && strstr(s->kind, "ADD CHECK") &&
           (!strcasestr(s->sql, "not valid") || foreseen_is_validated(p, s->object));
}

/* The next such statement from the nth on; NULL: there are no more. */
static const struct sql_stmt *next_check(const struct proof *p, int *nth)
{
    int n = 0;

    for (int i = 0; i < p->t.n_plans; i++)
        for (int ph = PHASE_FIRST; ph <= PHASE_LAST; ph++) {
            const struct step_list *steps = &p->t.plans[i]->phases[ph].steps;

            for (int k = 0; k < steps->n; k++)
                for (int m = 0; m < steps->items[k].n_stmts; m++, n++)
                    if (n >= *nth && is_foreseen(p, &steps->items[k].stmts[m])) {
                        *nth = n + 1;
                        return &steps->items[k].stmts[m];
                    }
        }
    return NULL;
}

uint64_t foreseen_print(const struct proof *p)
{
    const struct sql_stmt *s;
    uint64_t h = PRINT_START;

    for (int nth = 0; (s = next_check(p, &nth));)
        h = print_text(h, s->sql);
    return h;
}

static bool check_of(struct proof *p, const struct cat_relation *r, const char *sql,
                     struct cat_constraint *out)
{
    const char *condition = words_brackets(p->scratch, sql, "check");

    *out = (struct cat_constraint) {.name = "phasegate_foreseen", .type = 'c'};
    for (int i = 0; condition && i < r->n_columns && out->n_columns < CAT_KEYS; i++)
        if (has_name(condition, r->columns[i].name))
            out->columns[out->n_columns++] = r->columns[i].number;
    out->definition = arena_printf(p->scratch, "CHECK %s", condition ? condition : "(true)");
    return out->n_columns > 0;
}

const struct cat_relation *foreseen_checks(struct proof *p, const struct cat_relation *r)
{
    struct cat_relation *with = NULL;
    const struct sql_stmt *s;
    struct cat_constraint one;

    for (int nth = 0; (s = next_check(p, &nth));) {
        if (strcmp(s->table, r->name) != 0 || (s->schema && strcmp(s->schema, r->schema) != 0) ||
            !check_of(p, r, s->sql, &one))
            continue;
        if (!with) {
            with = arena_new(p->scratch, struct cat_relation);
            *with = *r;
        }
        /* Those that are asked about come first. */
        struct cat_constraint *all =
            arena_array(p->scratch, struct cat_constraint, with->n_constraints + 1);
        all[0] = one;
        if (with->n_constraints > 0)
            memcpy(all + 1, with->constraints, sizeof *all * (size_t) with->n_constraints);
        with->constraints = all;
        with->n_constraints++;
        with->n_checks++;
    }
    return with;
}
